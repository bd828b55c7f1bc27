//! Copies that the vault does not have: their removal would only seem to be one.

use super::Removals;
use super::files::FilePlace;
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::entry::{FurtherFile, LedgerEntry};
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
    /// Returns why the copy of a chunk cannot be removed: the vault lacks a file of it, or could not be asked. A removal that
    /// has begun may have removed any.
    pub async fn lacks_copy(&self, entry: &LedgerEntry) -> Option<String> {
        let has_begun = matches!(entry.state, ChunkState::Removing { .. });
        if has_begun || self.missing == MissingCopies::Removed {
            return None;
        }
        match self.missing_file(entry).await {
            Ok(missing) => missing.map(|place| {
                format!(
                    "the vault does not have `{}`, which is proved: check VAULT_URL; if the file was deleted in another way, add --missing-too",
                    place.name
                )
            }),
            Err(error) => Some(ErrorChain(&error).to_string()),
        }
    }

    async fn missing_file(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Option<FilePlace>, DestinationError> {
        let further = entry.further.iter().filter_map(FurtherFile::receipt);
        for receipt in entry.state.receipt().into_iter().chain(further) {
            let place = FilePlace {
                vault: receipt.vault(),
                name: receipt.media().name().clone(),
            };
            if self.vaults.see(vec![place.clone()]).await?.is_empty() {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}
