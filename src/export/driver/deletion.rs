//! The end of a source: deleted by its location with the receipt in hand, or left, with the reason.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{Instrument as _, error, info, info_span, warn};

use super::settle::Blame;
use super::{AFTER_VAULT_FAILURE, DriveOutcome, ExportDriver};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::ExportReceipt;
use crate::export::source::{SourceDeletion, SourceError};
use crate::export::state::ChunkState;
use crate::recording::{DeleteLocation, SourceKept};
use crate::store::audit::AuditAction;
use crate::store::holds::{self, Case};

/// How soon a held chunk is looked at again.
const WHILE_HELD: Duration = Duration::from_mins(15);

impl ExportDriver {
    pub(super) async fn delete_source(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: ExportReceipt,
        exported_now: bool,
    ) -> Result<DriveOutcome, LedgerError> {
        let location = match self.permission(entry, &receipt).await? {
            DeletionPermission::Granted(location) => location,
            DeletionPermission::Denied { reason } => {
                warn!(document.id = %entry.chunk.document_id, error = reason, "Chunk `{}` is not deleted at ACS", entry.chunk.document_id);
                let state = ChunkState::SourceLeft { receipt, reason };
                return self.settle(claim, state, exported_now).await;
            }
        };
        if let Some(outcome) = self.withheld(claim, entry, &receipt, exported_now).await? {
            return Ok(outcome);
        }
        // A proof that is not from this moment is looked at again: what lies in a vault may be moved or replaced.
        if !exported_now {
            match self.exporter.still_holds(&receipt).await {
                Ok(true) => {}
                Ok(false) => return self.export_again(claim).await,
                Err(error) => {
                    let reason = ErrorChain(&error).to_string();
                    return self
                        .back_off(claim, entry, AFTER_VAULT_FAILURE, Blame::Vault, reason)
                        .await;
                }
            }
            // That may have taken minutes; a hold counts until right before the deletion.
            if let Some(outcome) = self.withheld(claim, entry, &receipt, exported_now).await? {
                return Ok(outcome);
            }
        }
        self.audit_deletion(&location).await?;
        let deletion = self.source.delete(&location, &receipt);
        match deletion.instrument(info_span!("delete")).await {
            Ok(deletion) => {
                self.settle_deleted(claim, entry, receipt, deletion, exported_now)
                    .await
            }
            Err(error) => {
                self.settle_failed_deletion(claim, entry, receipt, error, exported_now)
                    .await
            }
        }
    }

    async fn audit_deletion(&self, location: &DeleteLocation) -> Result<(), LedgerError> {
        let mut detail = serde_json::json!({"at": location.url()});
        if let Some(other) = location.other_object() {
            detail["otherObject"] = other.as_str().into();
        }
        self.ledger
            .audit_step(AuditAction::DeletingSource, location.document_id(), detail)
            .await?;
        Ok(())
    }

    async fn settle_deleted(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: ExportReceipt,
        deletion: SourceDeletion,
        exported_now: bool,
    ) -> Result<DriveOutcome, LedgerError> {
        let id = &entry.chunk.document_id;
        if deletion == SourceDeletion::WasGone {
            self.ledger
                .audit_step(AuditAction::SourceWasGone, id, serde_json::Value::Null)
                .await?;
        }
        let state = ChunkState::SourceDeleted {
            receipt,
            deleted_at: self.clock.now(),
        };
        let outcome = self.settle(claim, state, exported_now).await?;
        match deletion {
            SourceDeletion::Deleted => {
                info!(document.id = %id, chunk.index = entry.chunk.index, "Deleted chunk `{id}` at ACS");
            }
            SourceDeletion::WasGone => {
                info!(document.id = %id, chunk.index = entry.chunk.index, "Chunk `{id}` was gone at ACS already");
            }
        }
        Ok(outcome)
    }

    async fn settle_failed_deletion(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: ExportReceipt,
        error: SourceError,
        exported_now: bool,
    ) -> Result<DriveOutcome, LedgerError> {
        let reason = ErrorChain(&error).to_string();
        let retry_after = match &error {
            SourceError::Transient { retry_after, .. }
                if !entry.is_surely_gone(self.clock.now()) =>
            {
                *retry_after
            }
            // Refused, or past its retention: the copy is safe, ACS drops its own by itself.
            SourceError::Transient { .. } | SourceError::Refused(_) | SourceError::Gone { .. } => {
                warn!(document.id = %entry.chunk.document_id, error = %reason, "Chunk `{}` is safe, but is not deleted at ACS", entry.chunk.document_id);
                let state = ChunkState::SourceLeft { receipt, reason };
                return self.settle(claim, state, exported_now).await;
            }
        };
        let delay = self
            .policy
            .attempts
            .delay(entry.attempts + 1, retry_after, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        self.back_off(claim, entry, delay, Blame::Source, reason)
            .await
    }

    /// What becomes of a chunk that is held: it waits, until ACS itself has dropped the source. `None` when nothing holds it.
    async fn withheld(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
        exported_now: bool,
    ) -> Result<Option<DriveOutcome>, LedgerError> {
        let cases = self.cases_on(entry).await?;
        if cases.is_empty() {
            return Ok(None);
        }
        let (now, receipt) = (self.clock.now(), receipt.clone());
        if entry.is_surely_gone(now) {
            let reason = format!(
                "held for {}, it was not deleted; ACS has dropped it by itself",
                holds::tags(&cases)
            );
            return self
                .settle(
                    claim,
                    ChunkState::SourceLeft { receipt, reason },
                    exported_now,
                )
                .await
                .map(Some);
        }
        let until = now
            .checked_add(WHILE_HELD)
            .unwrap_or(Timestamp::MAX)
            .min(entry.surely_gone_at);
        self.ledger
            .update(claim, AfterUpdate::Release, |entry| {
                entry.not_before = Some(until)
            })
            .await?;
        let id = &entry.chunk.document_id;
        info!(document.id = %id, chunk.index = entry.chunk.index, "Chunk `{id}` is held for {}, and not deleted at ACS", holds::tags(&cases));
        Ok(Some(if exported_now {
            DriveOutcome::Exported { receipt }
        } else {
            DriveOutcome::Waiting { until }
        }))
    }

    /// The cases that hold what this deletion would delete.
    pub(super) async fn cases_on(&self, entry: &LedgerEntry) -> Result<Vec<Case>, LedgerError> {
        let holds = self.ledger.holds();
        let mut cases = holds.on(&entry.chunk).await?;
        // By its location the document of another chunk goes too.
        if let Ok(location) = self.location_of(entry)
            && let Some(other) = location.other_object()
            && let Some(found) = self.ledger.find(other).await?
        {
            cases.extend(holds.on(&found.entry.chunk).await?);
        }
        Ok(cases)
    }

    pub(super) async fn export_again(&self, claim: &Claim) -> Result<DriveOutcome, LedgerError> {
        let id = claim.document_id();
        error!(document.id = %id, "The copy of chunk `{id}` is not in the vault as it was proved; it is exported again");
        self.reopen(
            claim,
            "the vault no longer holds what was proved".to_owned(),
        )
        .await
    }

    /// What was proved or accepted of a copy is not true of the next one.
    pub(super) async fn reopen(
        &self,
        claim: &Claim,
        reason: String,
    ) -> Result<DriveOutcome, LedgerError> {
        let change = |entry: &mut LedgerEntry| {
            entry.state = ChunkState::Pending;
            entry.anomaly_accepted_at = None;
        };
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, change)
            .await?;
        self.back_off(claim, &entry, AFTER_VAULT_FAILURE, Blame::Vault, reason)
            .await
    }

    fn location_of(&self, entry: &LedgerEntry) -> Result<DeleteLocation, SourceKept> {
        DeleteLocation::of(&entry.chunk, self.policy.deletion.other_objects)
    }

    /// Whether this receipt is the right to delete this source, and at which location.
    pub(super) async fn permission(
        &self,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<DeletionPermission, LedgerError> {
        let denied = |reason| Ok(DeletionPermission::Denied { reason });
        let until = entry.expires_at;
        let location = match self.location_of(entry) {
            Ok(location) => location,
            Err(kept) => return denied(format!("{kept}; ACS drops it by itself at {until}")),
        };
        if receipt.metadata().is_none() && !entry.is_surely_gone(self.clock.now()) {
            return denied(format!(
                "its metadata is not in the vault, and would be deleted with it; ACS drops it by itself at {until}"
            ));
        }
        if let Some(other) = location.other_object()
            && let Some(found) = self.ledger.find(other).await?
            && !has_copy(&found.entry.state)
        {
            return denied(format!(
                "its deleteLocation is that of chunk `{other}`, which is not in the vault"
            ));
        }
        Ok(DeletionPermission::Granted(location))
    }
}

/// What may be done about a source whose copy is proved.
pub(super) enum DeletionPermission {
    Granted(DeleteLocation),
    Denied { reason: String },
}

fn has_copy(state: &ChunkState) -> bool {
    match state {
        ChunkState::Pending
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
        ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. } => true,
    }
}
