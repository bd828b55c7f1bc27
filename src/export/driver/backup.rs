//! While the vault is not available: into the one that stands in for it, and home again.
//!
//! That something may lie in the backup vault is durable before anything does, so that nothing is forgotten there.

use tracing::{info, warn};

use super::settle::Blame;
use super::{DriveOutcome, ExportDriver};
use crate::export::entry::LedgerEntry;
use crate::export::exporter::Attempt;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::transfer::TransferError;
use crate::telemetry::ErrorChain;

/// How an export ended.
pub(super) type Exported = Result<Option<ExportReceipt>, TransferError>;

impl ExportDriver {
    /// Into the vault; or, when that has failed before and fails again, into the one that stands in for it.
    pub(super) async fn export(&self, claim: &Claim, attempt: Attempt<'_>) -> Result<Exported, LedgerError> {
        let result = self.exporter.export(attempt).await;
        let error = match result {
            Err(error @ (TransferError::Destination(_) | TransferError::Vanished(_))) => error,
            result => return Ok(result),
        };
        if attempt.entry.vault_failures == 0 || !self.exporter.vaults.has_backup() {
            return Ok(Err(error));
        }
        let id = &attempt.entry.chunk.document_id;
        warn!(document.id = %id, error = %ErrorChain(&error), "Chunk `{id}` goes to the backup vault");
        self.ledger.update(claim, AfterUpdate::KeepClaim, |entry| entry.uses_backup = true).await?;
        Ok(self.exporter.export(Attempt { vault: VaultName::Backup, is_first: false, ..attempt }).await)
    }

    pub(super) async fn settle_moved(&self, claim: &Claim, receipt: ExportReceipt) -> Result<LedgerEntry, LedgerError> {
        let entry = self.settle_exported(claim, receipt).await?;
        info!(document.id = %entry.chunk.document_id, "Chunk `{}` came home from the backup vault", entry.chunk.document_id);
        Ok(entry)
    }

    pub(super) async fn settle_failed_move(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
        error: &TransferError,
    ) -> Result<DriveOutcome, LedgerError> {
        if let TransferError::Source { .. } = error
            && matches!(self.exporter.still_holds(receipt).await, Ok(false))
        {
            return self.export_again(claim).await;
        }
        let delay = self.policy.attempts.delay(entry.vault_failures + 1, None, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        let reason = ErrorChain(error).to_string();
        self.back_off(claim, entry, delay, Blame::Vault, reason).await
    }

    /// Removes from the backup vault what is at home. `Err(outcome)` when that has to be tried again.
    pub(super) async fn clear_backup(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<Result<LedgerEntry, DriveOutcome>, LedgerError> {
        if let Err(error) = self.exporter.clear_backup(entry, receipt).await {
            let reason = ErrorChain(&error).to_string();
            let outcome = self.back_off(claim, entry, super::AFTER_VAULT_FAILURE, Blame::Vault, reason).await?;
            return Ok(Err(outcome));
        }
        let cleared = self.ledger.update(claim, AfterUpdate::KeepClaim, |entry| entry.uses_backup = false).await?;
        Ok(Ok(cleared))
    }
}
