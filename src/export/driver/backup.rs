//! While the vault is not available: into the one that stands in for it, and home again.
//!
//! That something may lie in the backup vault is durable before anything does, so that nothing is forgotten there.

use tracing::{error, info, warn};

use super::settle::Blame;
use super::{DriveOutcome, ExportDriver};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::export::transfer::chunk::{Attempt, Proved};
use crate::export::transfer::error::TransferError;

/// How an export ended.
pub(super) type Exported = Result<Option<Proved>, TransferError>;

impl ExportDriver {
    /// Into the vault; or, when that has failed before and fails again, into the one that stands in for it. Says into which.
    ///
    /// Before an export ends without a copy, the backup vault is asked too, if something may lie there.
    pub(super) async fn export(
        &self,
        claim: &Claim,
        attempt: Attempt<'_>,
    ) -> Result<(Exported, VaultName), LedgerError> {
        let Attempt { entry, turn, .. } = attempt;
        let id = &entry.chunk.document_id;
        if attempt.vault == VaultName::Backup {
            match self.exporter.export(attempt).await {
                Ok(exported) => return Ok((Ok(exported), VaultName::Backup)),
                Err(error) => {
                    warn!(document.id = %id, error = %ErrorChain(&error), "The backup vault fails too")
                }
            }
            turn.begin_again();
        }
        let error = match self
            .exporter
            .export(Attempt {
                vault: VaultName::Home,
                ..attempt
            })
            .await
        {
            Ok(exported) => return Ok((Ok(exported), VaultName::Home)),
            Err(error) => error,
        };
        let is_vaults_fault = matches!(
            error,
            TransferError::Destination(_) | TransferError::Vanished(_)
        );
        let may_help = entry.uses_backup || (is_vaults_fault && entry.vault_failures > 0);
        if !may_help || attempt.vault == VaultName::Backup || !self.exporter.vaults.has_backup() {
            return Ok((Err(error), VaultName::Home));
        }
        warn!(document.id = %id, error = %ErrorChain(&error), "Chunk `{id}` goes to the backup vault");
        self.ledger
            .update(claim, AfterUpdate::KeepClaim, |entry| {
                entry.uses_backup = true
            })
            .await?;
        // What the vault's timeouts took is not taken from the one that stands in.
        turn.begin_again();
        match self
            .exporter
            .export(Attempt {
                vault: VaultName::Backup,
                is_first: false,
                ..attempt
            })
            .await
        {
            Ok(exported) => Ok((Ok(exported), VaultName::Backup)),
            // Whatever the trouble is there, it is the vault's that decides.
            Err(_) => Ok((Err(error), VaultName::Home)),
        }
    }

    pub(super) async fn settle_moved(
        &self,
        claim: &Claim,
        receipt: ExportReceipt,
    ) -> Result<LedgerEntry, LedgerError> {
        let entry = self.put_exported(claim, receipt, None).await?;
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
        let reason = ErrorChain(error).to_string();
        let id = &entry.chunk.document_id;
        match error {
            // The backup vault does not give it: as long as ACS may have it, that is where to get it.
            TransferError::Source { .. } if !entry.is_surely_gone(self.clock.now()) => {
                warn!(document.id = %id, error = %reason, "Chunk `{id}` does not come home from the backup vault; it is exported from ACS again");
                return self.reopen(claim, reason).await;
            }
            TransferError::Source { .. }
                if matches!(self.exporter.still_holds(receipt).await, Ok(false)) =>
            {
                return self.export_again(claim).await;
            }
            TransferError::Source { .. } | TransferError::Unproved(_) => {
                error!(document.id = %id, error = %reason, "Chunk `{id}` lies in the backup vault and does not come home");
            }
            TransferError::Destination(_) | TransferError::Vanished(_) => {}
        }
        let delay = self
            .policy
            .attempts
            .delay(entry.vault_failures + 1, None, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        self.back_off(claim, entry, delay, Blame::Vault, reason)
            .await
    }

    /// Removes from the backup vault what is at home. `Err(outcome)` when that has to be tried again.
    pub(super) async fn clear_backup(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<Result<LedgerEntry, DriveOutcome>, LedgerError> {
        let cleared = match self.exporter.still_holds(receipt).await {
            Ok(true) => self.exporter.clear_backup(entry, receipt).await,
            // What is there may be the last copy.
            Ok(false) => return self.export_again(claim).await.map(Err),
            Err(error) => Err(error),
        };
        let Err(error) = cleared else {
            let cleared = self
                .ledger
                .update(claim, AfterUpdate::KeepClaim, |entry| {
                    entry.uses_backup = false
                })
                .await?;
            return Ok(Ok(cleared));
        };
        let reason = ErrorChain(&error).to_string();
        if entry.is_surely_gone(self.clock.now()) {
            let id = &entry.chunk.document_id;
            error!(document.id = %id, error = %reason, "Chunk `{id}` is in the vault; what lies in the backup vault too cannot be removed");
            let reason = format!("a copy is left in the backup vault: {reason}");
            let state = ChunkState::SourceLeft {
                receipt: receipt.clone(),
                reason,
            };
            return self.settle(claim, state, false).await.map(Err);
        }
        self.back_off(
            claim,
            entry,
            super::AFTER_VAULT_FAILURE,
            Blame::Vault,
            reason,
        )
        .await
        .map(Err)
    }
}
