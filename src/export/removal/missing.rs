//! Copies that the vault does not have: their removal would only seem to be one.

use super::Removals;
use super::files::FilePlace;
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::entry::{FurtherFile, LedgerEntry};
use crate::export::layout::BlobName;
use crate::export::state::ChunkState;

/// How a removal handles a proved file that its vault does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingCopies {
    /// Its chunk is left: the settings may name another vault than the one that has it.
    Left,
    /// An operator says that it was deleted in another way: nothing is left to remove of it.
    Removed,
}

impl Removals {
    /// Looks whether the vaults have the media of each copy of a chunk. Returns the file that they lack, if an operator says
    /// that it was deleted in another way. A removal that has begun may have removed any.
    ///
    /// # Errors
    /// The reason why the copy cannot be removed: a file is missing, or the vault could not be asked.
    pub async fn look_for_copy(&self, entry: &LedgerEntry) -> Result<Option<BlobName>, String> {
        if matches!(entry.state, ChunkState::Removing { .. }) {
            return Ok(None);
        }
        let missing = self.missing_file(entry).await;
        let missing = missing.map_err(|error| ErrorChain(&error).to_string())?;
        match (missing, self.missing) {
            (Some(name), MissingCopies::Left) => Err(format!(
                "the vault does not have `{name}`, which is proved: check VAULT_URL; if the file was deleted in another way, add --missing-too"
            )),
            (missing, MissingCopies::Left | MissingCopies::Removed) => Ok(missing),
        }
    }

    async fn missing_file(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Option<BlobName>, DestinationError> {
        let further = entry.further.iter().filter_map(FurtherFile::receipt);
        for receipt in entry.state.receipt().into_iter().chain(further) {
            let place = FilePlace {
                vault: receipt.vault(),
                name: receipt.media().name().clone(),
            };
            if self.vaults.see(vec![place.clone()]).await?.is_empty() {
                return Ok(Some(place.name));
            }
        }
        Ok(None)
    }
}
