//! The catalogue: every recording, as the register and the ledger have it together. It finds, shows and plays; what it costs
//! grows with what is asked for, never with the vault.
//!
//! ```text
//! index (newest first) ─▶ account in the register ─▶ entries in the ledger ─▶ a row, or one recording with all that is known
//! ```
//! It knows no HTTP. What it finds in the index it looks at again: a marker that no longer fits is skipped.

pub mod archive;
pub mod covered;
pub mod days;
pub mod detail;
pub mod erasing;
pub mod evidence;
pub mod list;
pub mod media;
mod packing;
pub mod person;
pub mod rebuild;
pub mod row;
pub mod summary;
pub mod tickets;
mod timeline;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};

use crate::clock::Clock;
use crate::control::register::RecordingRegister;
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::ledger::LedgerError;
use crate::export::{ChunkLedger, LedgerEntry, Vaults};
use crate::recording::DocumentId;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::StoreError;
use crate::store::documents::DocumentError;
use row::{KnownChunk, KnownRecording};

/// Recordings, or chunks, that are read together.
const AT_ONCE: usize = 16;

/// Every recording there is.
#[derive(Clone)]
pub struct Catalogue {
    ledger: ChunkLedger,
    register: RecordingRegister,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
}

/// Why the catalogue cannot tell.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Register(#[from] DocumentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
}

impl Catalogue {
    pub fn new(
        ledger: ChunkLedger,
        register: RecordingRegister,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger,
            register,
            vaults,
            clock,
        }
    }

    /// A recording by its name in the index. One whose account is not readable is reported and left out.
    async fn recorded(
        &self,
        name: &Sha256Digest,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        match self.readable(name).await {
            Err(CatalogueError::Register(DocumentError::Corrupt { .. })) => Ok(None),
            found => found,
        }
    }

    /// A recording by its name in the index. One whose account is not readable is an error, and reported.
    async fn readable(
        &self,
        name: &Sha256Digest,
    ) -> Result<Option<KnownRecording>, CatalogueError> {
        let account = self.register.by_name(&name.to_string()).await;
        if let Err(DocumentError::Corrupt { key, source }) = &account {
            tracing::error!(key, error = %ErrorChain(source), "A recording cannot be shown: its account is not readable");
        }
        let Some(account) = account? else {
            return Ok(None);
        };
        let documents: Vec<_> = account
            .files
            .documents()
            .map(|(index, id)| (index, id.clone()))
            .collect();
        let chunks = futures::stream::iter(documents).map(|(index, document_id)| async move {
            let entry = self.entry(&document_id).await?;
            Ok::<_, CatalogueError>(KnownChunk {
                index,
                document_id,
                entry,
            })
        });
        let chunks = chunks.buffered(AT_ONCE).try_collect().await?;
        Ok(Some(KnownRecording {
            account,
            chunks,
            cases: Vec::new(),
        }))
    }

    /// The entry of a chunk. One that is not readable is reported and counts as none.
    async fn entry(&self, document_id: &DocumentId) -> Result<Option<LedgerEntry>, LedgerError> {
        match self.ledger.find(document_id).await {
            Err(error @ LedgerError::Corrupt { .. }) => {
                tracing::error!(document.id = %document_id, error = %ErrorChain(&error), "A chunk cannot be shown");
                Ok(None)
            }
            found => Ok(found?.map(|found| found.entry)),
        }
    }
}
