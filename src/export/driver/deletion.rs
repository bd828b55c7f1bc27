//! The end of a source: deleted by its location with the receipt in hand, or left, with the reason.

use tracing::{error, info, warn};

use super::settle::Blame;
use super::{AFTER_VAULT_FAILURE, DriveOutcome, ExportDriver};
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::ExportReceipt;
use crate::export::source::SourceError;
use crate::export::state::ChunkState;
use crate::telemetry::ErrorChain;

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
            return self.settle(claim, ChunkState::SourceLeft { receipt, reason }, exported_now).await;
        }
        // A proof that is not from this moment is looked at again: what lies in a vault may be moved or replaced.
        let holds = if exported_now { Ok(true) } else { self.exporter.still_holds(&receipt).await };
        match holds {
            Ok(true) => {}
            Ok(false) => return self.export_again(claim).await,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                return self.back_off(claim, entry, AFTER_VAULT_FAILURE, Blame::Vault, reason).await;
            }
        }
        let location = entry.chunk.locations.delete.as_deref().and_then(|location| location.split(['?', '#']).next());
        self.ledger.audit_step("deletingSource", &entry.chunk.document_id, serde_json::json!({"at": location})).await?;
        let error = match self.source.delete(&entry.chunk, &receipt).await {
            Ok(()) => {
                let outcome = self.settle(claim, ChunkState::SourceDeleted { receipt, deleted_at: now }, exported_now).await?;
                let id = &entry.chunk.document_id;
                info!(document.id = %id, chunk.index = entry.chunk.index, "Deleted chunk `{id}` at ACS");
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let retry_after = match &error {
            SourceError::Transient { retry_after, .. } if !entry.is_surely_gone(self.clock.now()) => *retry_after,
            // Refused, or past its retention: the copy is safe, ACS drops its own by itself.
            SourceError::Transient { .. } | SourceError::Refused(_) | SourceError::Gone { .. } => {
                let reason = ErrorChain(&error).to_string();
                warn!(document.id = %entry.chunk.document_id, error = %reason, "Chunk `{}` is safe, but is not deleted at ACS", entry.chunk.document_id);
                return self.settle(claim, ChunkState::SourceLeft { receipt, reason }, exported_now).await;
            }
        };
        let delay = self.policy.attempts.delay(entry.attempts + 1, retry_after, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        let reason = ErrorChain(&error).to_string();
        self.back_off(claim, entry, delay, Blame::Source, reason).await
    }

    pub(super) async fn export_again(&self, claim: &Claim) -> Result<DriveOutcome, LedgerError> {
        let id = claim.document_id();
        error!(document.id = %id, "The copy of chunk `{id}` is not in the vault as it was proved; it is exported again");
        self.reopen(claim, "the vault no longer holds what was proved".to_owned()).await
    }

    /// What was proved or accepted of a copy is not true of the next one.
    pub(super) async fn reopen(&self, claim: &Claim, reason: String) -> Result<DriveOutcome, LedgerError> {
        let change = |entry: &mut LedgerEntry| {
            entry.state = ChunkState::Pending;
            entry.anomaly_accepted_at = None;
        };
        let entry = self.ledger.update(claim, AfterUpdate::KeepClaim, change).await?;
        self.back_off(claim, &entry, AFTER_VAULT_FAILURE, Blame::Vault, reason).await
    }

    /// Why this receipt is no right to this deletion, if it is none.
    pub(super) async fn objection(&self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Result<Option<String>, LedgerError> {
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
                ChunkState::Pending | ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } => true,
                ChunkState::Exported { .. }
                | ChunkState::SourceDeleted { .. }
                | ChunkState::SourceLeft { .. }
                | ChunkState::InPlace { .. } => false,
            },
            None => false,
        };
        Ok(is_unsafe.then(|| format!("its deleteLocation is that of chunk `{other}`, which is not in the vault")))
    }
}
