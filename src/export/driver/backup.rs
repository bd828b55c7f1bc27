//! Exports to the backup vault while the vault is not available, and the cleanup after the move home.
//!
//! The ledger records that the backup vault may hold files of a chunk before any are written, so none is forgotten.

use tracing::{error, info, warn};

use super::ExportDriver;
use super::obstacle::obstacle_of;
use super::run::{ReceiptFile, Run, Step};
use super::settle::Failed;
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::recheck::{Depth, Rechecked};
use crate::export::removal::BackupCleared;
use crate::export::state::ChunkState;
use crate::export::transfer::chunk::{ChunkExport, Proved};
use crate::export::transfer::error::TransferError;
use crate::store::audit::AuditAction;

/// How an export ended.
pub(super) enum Exported {
    Proved {
        proved: Box<Proved>,
        receipt: ReceiptFile,
    },
    /// The turn ended. The next one continues in this vault.
    OutOfTime {
        vault: VaultName,
    },
    Failed(TransferError),
}

fn is_vaults_fault(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Destination(_) | TransferError::Vanished(_)
    )
}

impl ExportDriver {
    /// Exports into the vault; or, when that has failed before and fails again, into the backup vault.
    ///
    /// Before an export ends without a copy, the backup vault is tried too, if it may hold files of the chunk.
    pub(super) async fn export(&self, run: &mut Run<'_>) -> Result<Exported, LedgerError> {
        let id = run.entry.chunk.document_id.clone();
        if !run.entry.uses_backup {
            // It was cleared since this drive began: nothing is written there before the ledger records it again.
            run.vault = VaultName::Home;
        }
        let mut in_backup = None;
        if run.vault == VaultName::Backup {
            match self.export_into(run, VaultName::Backup).await? {
                Exported::Failed(taken @ TransferError::ForeignBlocks(_)) => {
                    return Ok(Exported::Failed(taken));
                }
                Exported::Failed(error) => {
                    warn!(document.id = %id, error = %ErrorChain(&error), "The backup vault fails too");
                    in_backup = Some(error);
                }
                exported @ (Exported::Proved { .. } | Exported::OutOfTime { .. }) => {
                    return Ok(exported);
                }
            }
            run.begin_turn_again();
        }
        let error = match self.export_into(run, VaultName::Home).await? {
            Exported::Failed(error) => error,
            exported @ (Exported::Proved { .. } | Exported::OutOfTime { .. }) => {
                return Ok(exported);
            }
        };
        if matches!(error, TransferError::ForeignBlocks(_)) {
            return Ok(Exported::Failed(error));
        }
        let is_vaults_fault = is_vaults_fault(&error);
        // A copy that lacks its metadata is at home already.
        let may_help = run.entry.state.receipt().is_none()
            && (run.entry.uses_backup || (is_vaults_fault && run.entry.vault_failures > 0));
        if !may_help || run.vault == VaultName::Backup || !self.exporter.vaults.has_backup() {
            return Ok(Exported::Failed(
                self.decisive(&run.entry, error, in_backup),
            ));
        }
        warn!(document.id = %id, error = %ErrorChain(&error), "Exporting chunk `{id}` to the backup vault");
        let uses_backup = |entry: &mut LedgerEntry| entry.uses_backup = true;
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, uses_backup)
            .await?;
        // The time that the vault's timeouts took does not count against the backup vault.
        run.begin_turn_again();
        run.is_first = false;
        match self.export_into(run, VaultName::Backup).await? {
            Exported::Failed(taken @ TransferError::ForeignBlocks(_)) => {
                Ok(Exported::Failed(taken))
            }
            Exported::Failed(in_backup) => Ok(Exported::Failed(self.decisive(
                &run.entry,
                error,
                Some(in_backup),
            ))),
            exported @ (Exported::Proved { .. } | Exported::OutOfTime { .. }) => Ok(exported),
        }
    }

    /// Which failure decides where both vaults failed: that of the vault at home. But while that is not available, and ACS
    /// may have the file, the file can go to the backup vault under another name, if its own is taken there.
    fn decisive(
        &self,
        entry: &LedgerEntry,
        at_home: TransferError,
        in_backup: Option<TransferError>,
    ) -> TransferError {
        let may_move = is_vaults_fault(&at_home) && !entry.is_surely_gone(self.clock.now());
        match in_backup {
            Some(failed @ (TransferError::Unproved(_) | TransferError::NotAsWritten(_)))
                if may_move =>
            {
                failed
            }
            Some(_) | None => at_home,
        }
    }

    async fn export_into(&self, run: &Run<'_>, vault: VaultName) -> Result<Exported, LedgerError> {
        let Some(attempt) = run.attempt(&self.ledger, vault) else {
            return Ok(Exported::OutOfTime { vault });
        };
        match self.exporter.export(attempt).await {
            Ok(ChunkExport::Proved(proved)) => self.with_receipt(run, proved).await,
            Ok(ChunkExport::OutOfTime) => Ok(Exported::OutOfTime { vault }),
            Err(TransferError::Ledger(error)) => Err(error),
            Err(error) => Ok(Exported::Failed(error)),
        }
    }

    /// Writes the receipt of a copy at once in the backup vault, and where the vault at home has failed before: if that
    /// fails, the other vault is next. Where the vault may protect it, or may have an earlier one, it is written first
    /// too: the entry notes the result.
    async fn with_receipt(
        &self,
        run: &Run<'_>,
        proved: Box<Proved>,
    ) -> Result<Exported, LedgerError> {
        let vault = proved.receipt.vault();
        let has_failed = run.entry.vault_failures > 0 || run.entry.uses_backup;
        let is_usual = run.is_first
            && run.entry.state.receipt().is_none()
            && !self.vaults().home().asks_for_protection();
        if vault == VaultName::Home && !has_failed && is_usual {
            let receipt = ReceiptFile::ToWrite;
            return Ok(Exported::Proved { proved, receipt });
        }
        let written = self.write_receipt(run, &proved.receipt).await;
        Ok(match written {
            Ok(receipt) => Exported::Proved {
                proved: Box::new(Proved { receipt, ..*proved }),
                receipt: ReceiptFile::InVault,
            },
            Err(error) => Exported::Failed(TransferError::Destination(error)),
        })
    }

    pub(super) async fn settle_moved(
        &self,
        claim: &Claim,
        receipt: ExportReceipt,
    ) -> Result<LedgerEntry, LedgerError> {
        let exported = self.exported(claim, &receipt, None);
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, exported)
            .await?;
        info!(document.id = %entry.chunk.document_id, "Chunk `{}` was moved home from the backup vault", entry.chunk.document_id);
        Ok(entry)
    }

    pub(super) async fn settle_failed_move(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
        error: TransferError,
    ) -> Result<Step, LedgerError> {
        let reason = ErrorChain(&error).to_string();
        let id = run.entry.chunk.document_id.clone();
        // A source is the backup vault here, not ACS.
        let is_source = matches!(error, TransferError::Source { .. });
        let obstacle = (!is_source)
            .then(|| obstacle_of(&error, &run.entry))
            .flatten();
        match error {
            TransferError::Ledger(error) => return Err(error),
            // The backup vault does not return it: as long as ACS may have it, it is exported from there.
            TransferError::Source { .. } if !run.entry.is_surely_gone(self.clock.now()) => {
                warn!(document.id = %id, error = %reason, "Chunk `{id}` could not be moved home from the backup vault; it is exported from ACS again");
                return self.reopen(run, reason).await;
            }
            TransferError::Source { .. } => {
                let rechecked = self.vaults().recheck(receipt, Depth::Described).await;
                if let Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) = &rechecked {
                    return self.export_again(run, mismatch).await;
                }
                error!(document.id = %id, error = %reason, "Chunk `{id}` is in the backup vault and could not be moved home");
            }
            // A file that already has this name at home is no copy of it: another folder is taken.
            TransferError::Unproved(_) | TransferError::ForeignBlocks(_)
                if run.entry.has_another_name() =>
            {
                let number = run.entry.chunk.file_number;
                return self.take_another_name(run, number, &error).await;
            }
            TransferError::Unproved(_) | TransferError::NotAsWritten(_) => {
                error!(document.id = %id, error = %reason, "Chunk `{id}` is in the backup vault and could not be moved home");
            }
            TransferError::ForeignBlocks(_)
            | TransferError::Destination(_)
            | TransferError::Vanished(_) => {}
        }
        let failed = Failed {
            delay: self.delay_after(run.entry.vault_failures + 1, None),
            obstacle,
            ..Failed::of_vault(reason)
        };
        self.back_off(run, failed).await
    }

    /// Removes files from the backup vault that have been moved home.
    pub(super) async fn clear_backup(
        &self,
        run: &mut Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<Step, LedgerError> {
        // The record that files may be there is the intent. Holds are checked as before every removal.
        if let Some(withheld) = self.withheld(run, receipt).await? {
            return Ok(withheld);
        }
        // Without `BACKUP_VAULT_URL` nothing is cleared, and nothing is known to be clear.
        let name = receipt.media().name();
        let cleared = match self.vaults().get(VaultName::Backup, name).map(drop) {
            Ok(()) => {
                let id = &run.entry.chunk.document_id;
                self.ledger
                    .audit_step(AuditAction::ClearingBackup, id, serde_json::Value::Null)
                    .await?;
                let fence = Fence::new(&self.ledger, run.claim);
                self.vaults().clear_backup(fence, &run.entry, receipt).await
            }
            Err(error) => Err(error),
        };
        if let Ok(BackupCleared::LostAtHome(mismatch)) = &cleared {
            return self.export_again(run, mismatch).await;
        }
        let Err(error) = cleared else {
            self.ledger.note_cleared(run.claim.document_id()).await?;
            let now = self.clock.now();
            let is_cleared = |entry: &mut LedgerEntry| {
                entry.uses_backup = false;
                // Nothing took its place while its copy was in the backup vault.
                if let Some(successor) = entry.successor() {
                    entry.exchange(successor, now);
                }
            };
            run.entry = self
                .ledger
                .update(run.claim, AfterUpdate::KeepClaim, is_cleared)
                .await?;
            // Something was removed: the copy is checked before its source is deleted.
            run.proof = super::ProofAge::Earlier;
            return Ok(Step::Next);
        };
        let reason = ErrorChain(&error).to_string();
        if run.entry.is_surely_gone(self.clock.now()) {
            let id = &run.entry.chunk.document_id;
            error!(document.id = %id, error = %reason, "Chunk `{id}` is in the vault; its files in the backup vault cannot be removed");
            let state = ChunkState::SourceLeft {
                receipt: receipt.clone(),
                reason: format!("a copy is left in the backup vault: {reason}"),
            };
            return self.settle(run, state).await;
        }
        self.back_off(run, Failed::of_vault(reason)).await
    }
}
