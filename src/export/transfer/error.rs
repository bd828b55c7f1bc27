//! Why the files of a chunk could not be moved or proved.

use crate::export::destination::DestinationError;
use crate::export::layout::BlobName;
use crate::export::ledger::LedgerError;
use crate::export::source::{ChunkPart, SourceError};
use crate::export::transfer::verify::Mismatch;

/// Why a transfer failed. Staged blocks are kept in any case.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("could not read the {} at its source", part.as_str())]
    Source {
        part: ChunkPart,
        source: SourceError,
    },
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A file that was there before the attempt is not that of the source.
    #[error("the copy could not be proved")]
    Unproved(#[source] Mismatch),
    /// What this attempt wrote is not what the vault has.
    #[error("the copy that was just written could not be proved")]
    NotAsWritten(#[source] Mismatch),
    /// The claim is lost, or the ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("another program has staged blocks under the name `{0}`")]
    ForeignBlocks(BlobName),
    #[error("`{0}` vanished from the vault right after its commit")]
    Vanished(BlobName),
}
