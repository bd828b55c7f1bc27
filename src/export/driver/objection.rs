//! Reasons not to delete a source at ACS although its copy is proved. Decides nothing: `next_step` and the driver do.

use jiff::Timestamp;

use crate::export::entry::CutShort;
use crate::recording::{DocumentId, SourceKept};

/// Reason not to delete a source. As text it is the reason of
/// [`SourceLeft`](crate::export::ChunkState::SourceLeft).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("the event named no deleteLocation; ACS deletes it at {expires_at}")]
    NoDeleteLocation { expires_at: Timestamp },
    #[error("{kept}; ACS deletes it at {expires_at}")]
    Location {
        kept: SourceKept,
        expires_at: Timestamp,
    },
    #[error(
        "its metadata is not in the vault, and would be deleted with it; ACS deletes it at {expires_at}"
    )]
    MetadataNotInVault { expires_at: Timestamp },
    #[error(
        "its deleteLocation is that of chunk `{other}`, which has no copy in the vault that replaces its source"
    )]
    OtherNotInVault { other: DocumentId },
    #[error(
        "its deleteLocation is that of chunk `{other}`, whose copy could not be checked: {reason}"
    )]
    OtherNotChecked { other: DocumentId, reason: String },
    #[error(transparent)]
    CutShort(#[from] CutShort),
    #[error(
        "its entry was rebuilt, and ACS may have a longer form or another place of it; ACS deletes it at {expires_at}"
    )]
    Rebuilt { expires_at: Timestamp },
    #[error("another file of it is not in the vault yet")]
    OtherFilePending,
    #[error("events name {places} places for it; `accept --place` says which is right")]
    Disputed { places: usize },
    #[error(
        "its recording is unsolicited: it was not started through this app, and no CallStarted announced its call"
    )]
    Unsolicited,
    #[error("a verification found its copy damaged")]
    Damaged,
    #[error("its copy is doubtful: {0}")]
    Doubtful(String),
    #[error("{0}")]
    Unprotected(String),
    #[error("its media could not be checked")]
    NotCompared,
    #[error("its copy was imported by hand, and proves nothing about the source")]
    Imported,
}
