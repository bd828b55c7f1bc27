//! Writes ahead what must exist before the entries of an event's chunks, while the account of their recording is written.
//!
//! An entry never precedes the account that names its chunk: an erasure that ends before the entry is written has then
//! closed the chunk, or the account says that the recording is erased.

use std::collections::HashMap;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tracing::debug;

use super::{CHUNKS_LOGGED_EACH, Intake};
use crate::control::BeforeEvent;
use crate::error_chain::ErrorChain;
use crate::export::ledger::{AnnouncedAhead, AnnouncedChunk, Solicitation};
use crate::recording::{DocumentId, RecordingChunk, RecordingFileStatusUpdated};

/// Chunks that are written ahead at once.
const AT_ONCE: usize = 8;

/// Chunks of an event whose markers and audit records are written.
#[derive(Default)]
pub(super) struct ChunksAhead(HashMap<DocumentId, AnnouncedAhead>);

impl ChunksAhead {
    /// The chunk, with what is written of it.
    pub fn with(&mut self, chunk: RecordingChunk) -> AnnouncedChunk {
        let ahead = self.0.remove(&chunk.document_id);
        AnnouncedChunk { chunk, ahead }
    }
}

/// The chunks of an event that are probably new. A document that an event names twice has one entry: that of its first place.
/// None of an event with very many, of which each would be looked for among those of its account.
pub(super) fn new_chunks(
    update: &RecordingFileStatusUpdated,
    before: &BeforeEvent,
) -> HashMap<DocumentId, RecordingChunk> {
    if update.chunks.len() > CHUNKS_LOGGED_EACH {
        return HashMap::new();
    }
    let chunks = update.chunks.iter().rev();
    let new = chunks.filter(|chunk| before.lacks(&chunk.document_id));
    new.map(|chunk| (chunk.document_id.clone(), chunk.clone()))
        .collect()
}

impl Intake {
    /// Writes markers and audit records of new chunks. What fails is written with the entry.
    pub(super) async fn announce_ahead(
        &self,
        chunks: HashMap<DocumentId, RecordingChunk>,
    ) -> ChunksAhead {
        let announcing = chunks.into_iter().map(|(id, chunk)| {
            async move {
                let ahead = self.ledger.announce_ahead(chunk, Solicitation::Solicited);
                match ahead.await {
                    Ok(ahead) => Some((id, ahead)),
                    Err(error) => {
                        debug!(document.id = %id, error = %ErrorChain(&error), "Could not write the marker of a chunk ahead of its entry");
                        None
                    }
                }
            }
            .boxed()
        });
        let announcing: Vec<BoxFuture<'_, _>> = announcing.collect();
        let announced = futures::stream::iter(announcing).buffer_unordered(AT_ONCE);
        let announced: Vec<Option<_>> = announced.collect().await;
        ChunksAhead(announced.into_iter().flatten().collect())
    }
}
