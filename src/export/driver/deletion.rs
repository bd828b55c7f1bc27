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
use crate::export::source::SourceError;
use crate::export::state::ChunkState;
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
        let now = self.clock.now();
        if let Some(reason) = self.objection(entry, &receipt).await? {
            warn!(document.id = %entry.chunk.document_id, error = reason, "Chunk `{}` is not deleted at ACS", entry.chunk.document_id);
            return self
                .settle(
                    claim,
                    ChunkState::SourceLeft { receipt, reason },
                    exported_now,
                )
                .await;
        }
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
        let location = entry
            .chunk
            .locations
            .delete
            .as_deref()
            .and_then(|location| location.split(['?', '#']).next());
        self.ledger
            .audit_step(
                AuditAction::DeletingSource,
                &entry.chunk.document_id,
                serde_json::json!({"at": location}),
            )
            .await?;
        let error = match self
            .source
            .delete(&entry.chunk, &receipt)
            .instrument(info_span!("delete"))
            .await
        {
            Ok(()) => {
                let outcome = self
                    .settle(
                        claim,
                        ChunkState::SourceDeleted {
                            receipt,
                            deleted_at: now,
                        },
                        exported_now,
                    )
                    .await?;
                let id = &entry.chunk.document_id;
                info!(document.id = %id, chunk.index = entry.chunk.index, "Deleted chunk `{id}` at ACS");
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let retry_after = match &error {
            SourceError::Transient { retry_after, .. }
                if !entry.is_surely_gone(self.clock.now()) =>
            {
                *retry_after
            }
            // Refused, or past its retention: the copy is safe, ACS drops its own by itself.
            SourceError::Transient { .. } | SourceError::Refused(_) | SourceError::Gone { .. } => {
                let reason = ErrorChain(&error).to_string();
                warn!(document.id = %entry.chunk.document_id, error = %reason, "Chunk `{}` is safe, but is not deleted at ACS", entry.chunk.document_id);
                return self
                    .settle(
                        claim,
                        ChunkState::SourceLeft { receipt, reason },
                        exported_now,
                    )
                    .await;
            }
        };
        let delay = self
            .policy
            .attempts
            .delay(entry.attempts + 1, retry_after, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        let reason = ErrorChain(&error).to_string();
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
        if let Some(other) = entry.chunk.deletes_another()
            && let Some(found) = self.ledger.find(&other).await?
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

    /// Why this receipt is no right to this deletion, if it is none.
    pub(super) async fn objection(
        &self,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<Option<String>, LedgerError> {
        if receipt.metadata().is_none() && !entry.is_surely_gone(self.clock.now()) {
            let until = entry.expires_at;
            return Ok(Some(format!(
                "its metadata is not in the vault, and would be deleted with it; ACS drops it by itself at {until}"
            )));
        }
        let Some(other) = entry.chunk.deletes_another() else {
            return Ok(None);
        };
        let is_unsafe = match self.ledger.find(&other).await? {
            Some(found) => match found.entry.state {
                ChunkState::Pending
                | ChunkState::Removing { .. }
                | ChunkState::Removed { .. }
                | ChunkState::Expired { .. }
                | ChunkState::DeadLettered { .. } => true,
                ChunkState::Exported { .. }
                | ChunkState::SourceDeleted { .. }
                | ChunkState::SourceLeft { .. }
                | ChunkState::InPlace { .. } => false,
            },
            None => false,
        };
        Ok(is_unsafe.then(|| {
            format!("its deleteLocation is that of chunk `{other}`, which is not in the vault")
        }))
    }
}
