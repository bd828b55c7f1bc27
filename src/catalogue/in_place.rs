//! Looks at files in the customer's own storage, which ACS wrote there and this app only reads.

use super::Catalogue;
use crate::error_chain::ErrorChain;
use crate::export::source::{ChunkPart, SourceError};
use crate::export::{ChunkState, LedgerEntry};

/// How the media of a chunk was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InPlaceSeen {
    /// It is there, with the length that was read.
    AsRead,
    Differs {
        location: String,
        problem: String,
    },
    /// The storage could not be looked at.
    NotSeen,
}

impl Catalogue {
    /// Looks at the media of a chunk that is in the customer's own storage; `None` for any other chunk.
    pub async fn look_in_place(&self, entry: &LedgerEntry) -> Option<InPlaceSeen> {
        let ChunkState::InPlace { files, .. } = &entry.state else {
            return None;
        };
        let Some(external) = &self.external else {
            return Some(InPlaceSeen::NotSeen);
        };
        let (chunk, media) = (&entry.chunk, &files.media);
        let id = &chunk.document_id;
        let differs = |problem: String| InPlaceSeen::Differs {
            location: media.location.clone(),
            problem,
        };
        Some(match external.length(chunk, ChunkPart::Media).await {
            Ok(length) if length == media.size_bytes => InPlaceSeen::AsRead,
            Ok(length) => differs(format!(
                "your own storage has {length} bytes of this file of chunk {id}; it had {} before",
                media.size_bytes
            )),
            Err(SourceError::Gone { .. }) => differs(format!(
                "your own storage no longer has this file of chunk {id}"
            )),
            Err(error) => {
                tracing::debug!(document.id = %id, error = %ErrorChain(&error), "Could not look at a file in the external storage");
                InPlaceSeen::NotSeen
            }
        })
    }
}
