//! Checks cleared places once more, after the longest time that a request may live: an export that lost its
//! claim may have written there late, and nothing else would account for that.

use futures::StreamExt as _;
use tracing::{error, info, warn};

use super::files::{self, BackupCleared, FilePlace};
use super::{Removals, Removed};
use crate::error_chain::ErrorChain;
use crate::export::budget::Budget;
use crate::export::destination::DestinationError;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::ledger::{Claim, ClearedPlaces, LedgerError};
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::store::audit::AuditAction;

/// Chunks that one sweep checks. Those that have to wait move to the end of the list.
const LOOKED_AT: usize = 200;
/// Chunks that are checked concurrently.
const AT_ONCE: usize = 4;

/// Result of a check.
enum Look {
    /// The cleared places hold nothing of the chunk.
    Empty,
    /// A later sweep checks again.
    Later,
}

/// The places that must hold nothing of a chunk.
enum Cleared<'a> {
    /// It was removed: every place must be empty.
    Everywhere,
    /// It is proved at home: the backup vault must hold nothing of it.
    InBackup { at_home: &'a ExportReceipt },
    /// It is being exported or removed: that decides which places will be cleared.
    NotYet,
    /// Each place has a copy, or files that may become one.
    Nowhere,
}

impl Removals {
    /// Checks places that were cleared some time ago, and removes files that arrived late. One that cannot be checked
    /// does not stop the others; what exceeds the budget is left to the next sweep.
    pub async fn look_again(&self, budget: Budget) {
        let due = match self.ledger.cleared_due(LOOKED_AT).await {
            Ok(due) => due,
            Err(error) => {
                warn!(error = %ErrorChain(&error), "The list of places that were cleared cannot be read; the next sweep reads it again");
                return;
            }
        };
        futures::stream::iter(due)
            .take_while(|_| std::future::ready(!budget.is_spent()))
            .for_each_concurrent(AT_ONCE, async |cleared| {
                let id = &cleared.document_id;
                let looked = match Box::pin(self.look_at(&cleared)).await {
                    Ok(Look::Empty) => self.ledger.forget_cleared(&cleared).await,
                    Ok(Look::Later) => self.ledger.postpone_cleared(&cleared).await,
                    Err(error) => match self.ledger.postpone_cleared(&cleared).await {
                        Ok(()) => Err(error),
                        Err(later) => Err(later),
                    },
                };
                if let Err(error) = looked {
                    warn!(document.id = %id, error = %ErrorChain(&error), "Could not check whether files of chunk `{id}` came back into the vault; a later sweep checks again");
                }
            })
            .await;
    }

    async fn look_at(&self, cleared: &ClearedPlaces) -> Result<Look, LedgerError> {
        let id = &cleared.document_id;
        let Some(found) = self.ledger.find(id).await? else {
            return Ok(Look::Empty);
        };
        let places = match cleared_of(&found.entry) {
            Cleared::Nowhere => return Ok(Look::Empty),
            Cleared::NotYet => return Ok(Look::Later),
            Cleared::InBackup { .. } if !self.vaults.has_backup() => return Ok(Look::Later),
            Cleared::Everywhere | Cleared::InBackup { .. } => self.places_cleared_of(&found.entry),
        };
        match self.is_empty(&places).await {
            Ok(true) => return Ok(Look::Empty),
            Ok(false) => {}
            Err(error) => {
                warn!(document.id = %id, error = %ErrorChain(&error), "Could not check whether deleted files of chunk `{id}` came back; a later sweep checks again");
                return Ok(Look::Later);
            }
        }
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(Look::Later);
        };
        // Everything is decided again under the claim.
        let entry = claim.entry().unwrap_or(found.entry);
        let look = tokio::select! {
            biased;
            look = self.clear_late(&claim, &entry) => look,
            lost = self.ledger.keep_claimed(&claim) => Err(lost),
        };
        self.ledger.release_claim(&claim).await?;
        look
    }

    async fn is_empty(&self, places: &[FilePlace]) -> Result<bool, DestinationError> {
        let seen = self.vaults.see(places.to_vec()).await?;
        Ok(seen.is_empty() && !self.vaults.has_staged_at(places).await?)
    }

    async fn clear_late(&self, claim: &Claim, entry: &LedgerEntry) -> Result<Look, LedgerError> {
        let id = claim.document_id();
        self.ledger
            .audit_step(AuditAction::RemovingLate, id, serde_json::Value::Null)
            .await?;
        let cleared = match cleared_of(entry) {
            Cleared::Nowhere => return Ok(Look::Empty),
            Cleared::NotYet => return Ok(Look::Later),
            Cleared::Everywhere => self.clear_removed(claim, entry).await?,
            Cleared::InBackup { at_home } => self.clear_backup_late(claim, entry, at_home).await?,
        };
        if matches!(cleared, Look::Empty) {
            info!(document.id = %id, "Deleted files of chunk `{id}` that had come back into the vault");
        }
        Ok(cleared)
    }

    async fn clear_removed(&self, claim: &Claim, entry: &LedgerEntry) -> Result<Look, LedgerError> {
        let places = self.places_cleared_of(entry);
        let id = claim.document_id();
        let removing = self.remove_unless_held(claim, &places);
        Ok(match removing.await? {
            Removed::All => Look::Empty,
            Removed::Held { .. } => Look::Later,
            Removed::Stopped { reason, .. } => {
                warn!(document.id = %id, error = %reason, "Files of chunk `{id}` that came back into the vault cannot be deleted");
                Look::Later
            }
        })
    }

    /// Clears the backup vault only if the copy at home exists: otherwise the backup may be the only one.
    async fn clear_backup_late(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        at_home: &ExportReceipt,
    ) -> Result<Look, LedgerError> {
        let id = claim.document_id();
        if !self.ledger.cases_on(entry).await?.is_empty() {
            return Ok(Look::Later);
        }
        let fence = Fence::new(&self.ledger, claim);
        match self.vaults.clear_backup(fence, entry, at_home).await {
            Ok(BackupCleared::Done) => Ok(Look::Empty),
            Ok(BackupCleared::LostAtHome(mismatch)) => {
                error!(document.id = %id, error = %mismatch, "The copy of chunk `{id}` is not in the vault as it was proved; the copy in the backup vault may be the only one, and is kept");
                Ok(Look::Later)
            }
            Err(error) => {
                warn!(document.id = %id, error = %ErrorChain(&error), "Files of chunk `{id}` that came back into the backup vault cannot be deleted");
                Ok(Look::Later)
            }
        }
    }

    fn places_cleared_of(&self, entry: &LedgerEntry) -> Vec<FilePlace> {
        let mut places = Vec::new();
        if matches!(cleared_of(entry), Cleared::Everywhere) {
            places.extend(files::all_in(VaultName::Home, entry));
        }
        if self.vaults.has_backup() {
            places.extend(files::all_in(VaultName::Backup, entry));
        }
        places
    }
}

fn cleared_of(entry: &LedgerEntry) -> Cleared<'_> {
    match &entry.state {
        ChunkState::Removed { .. } => Cleared::Everywhere,
        ChunkState::Exported { receipt }
        | ChunkState::SourceDeleted { receipt, .. }
        | ChunkState::SourceLeft { receipt, .. } => {
            if entry.uses_backup || receipt.vault() == VaultName::Backup {
                Cleared::Nowhere
            } else {
                Cleared::InBackup { at_home: receipt }
            }
        }
        ChunkState::Pending | ChunkState::Removing { .. } => Cleared::NotYet,
        ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => Cleared::Nowhere,
    }
}
