//! Places that were cleared are looked at once more, after the longest time that a request may live: an export that lost its
//! claim may have written there late, and nobody else would account for that.

use tracing::{info, warn};

use super::Removals;
use super::files::{self, Act, Place};
use crate::error_chain::ErrorChain;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::ledger::{ClearedPlaces, LedgerError};
use crate::export::receipt::VaultName;
use crate::export::state::ChunkState;
use crate::store::audit::AuditAction;

/// Chunks that one sweep looks at.
const LOOKED_AT: usize = 200;

/// What a look found.
enum Look {
    /// Nothing of the chunk lies where it was cleared.
    Empty,
    /// The next sweep looks again.
    Later,
}

impl Removals {
    /// Looks at places that were cleared some time ago, and removes what came there late.
    ///
    /// # Errors
    /// When the list of such places cannot be read. One that cannot be looked at does not stop the others.
    pub async fn look_again(&self) -> Result<(), LedgerError> {
        for cleared in self.ledger.cleared_due(LOOKED_AT).await? {
            let id = &cleared.document_id;
            match self.look_at(&cleared).await {
                Ok(Look::Empty) => self.ledger.forget_cleared(&cleared).await?,
                Ok(Look::Later) => {}
                Err(error) => {
                    warn!(document.id = %id, error = %ErrorChain(&error), "Whether something of chunk `{id}` came back into the vault is unknown; the next sweep looks again");
                }
            }
        }
        Ok(())
    }

    async fn look_at(&self, cleared: &ClearedPlaces) -> Result<Look, LedgerError> {
        let id = &cleared.document_id;
        let Some(found) = self.ledger.find(id).await? else {
            return Ok(Look::Empty);
        };
        let places = self.places_cleared_of(&found.entry);
        match self.vaults.see(places).await {
            Ok(seen) if seen.is_empty() => return Ok(Look::Empty),
            Ok(_) => {}
            Err(error) => {
                warn!(document.id = %id, error = %ErrorChain(&error), "A vault that was cleared cannot be looked at");
                return Ok(Look::Later);
            }
        }
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(Look::Later);
        };
        let acted = async {
            self.ledger
                .audit_step(AuditAction::RemovingLate, id, serde_json::Value::Null)
                .await?;
            // Under the claim the places are decided anew; then versions, holds, removals, as in every removal.
            let Some(now) = self.ledger.find(id).await? else {
                return Ok(Look::Empty);
            };
            let Ok(seen) = self.vaults.see(self.places_cleared_of(&now.entry)).await else {
                return Ok(Look::Later);
            };
            if !self.ledger.holds().on(&now.entry.chunk).await?.is_empty() {
                return Ok(Look::Later);
            }
            let fence = Fence::new(&self.ledger, &claim);
            match self.vaults.remove_seen(fence, &seen).await {
                Act::Done => {
                    info!(document.id = %id, "Deleted what had come back into the vault of chunk `{id}`");
                    Ok::<_, LedgerError>(Look::Empty)
                }
                Act::Stopped { .. } => Ok(Look::Later),
            }
        };
        let look = acted.await;
        self.ledger.release_claim(&claim).await?;
        look
    }

    /// Where nothing of the chunk is to lie: nowhere, if it was removed; else not in the backup vault, once that was cleared.
    fn places_cleared_of(&self, entry: &LedgerEntry) -> Vec<Place> {
        let is_removed = matches!(entry.state, ChunkState::Removed { .. });
        let lies_in_backup = entry
            .state
            .receipt()
            .is_some_and(|receipt| receipt.vault() == VaultName::Backup);
        let is_backup_cleared = match &entry.state {
            ChunkState::Removed { .. } => true,
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. } => !entry.uses_backup && !lies_in_backup,
            ChunkState::Pending
            | ChunkState::Removing { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => false,
        };
        let mut places = Vec::new();
        if is_removed {
            places.extend(files::all_in(VaultName::Home, entry));
        }
        if is_backup_cleared && self.vaults.has_backup() {
            places.extend(files::all_in(VaultName::Backup, entry));
        }
        places
    }
}
