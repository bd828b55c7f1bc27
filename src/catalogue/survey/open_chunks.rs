//! The open chunks of a survey: those that are not settled lead to their recordings, and those whose entries cannot be read
//! are counted by themselves.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Candidates;
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::ledger::OpenChunk;
use crate::recording::DocumentId;
use crate::standing::{ChunkEntry, of_chunk};
use crate::store::digest::Sha256Digest;
use crate::store::index::recording_name;

/// Open chunks that a survey reads. Those beyond its limit may only wait for their deletion at ACS.
const LOOKED_AT: usize = 5000;

/// Open chunks whose entries were not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadChunks {
    /// Their entries are not readable, or are missing although their markers are old.
    pub unreadable: Vec<DocumentId>,
    /// Their markers are so new that their entries may be about to be written.
    pub unwritten: Vec<DocumentId>,
}

impl UnreadChunks {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &DocumentId> {
        self.unreadable.iter().chain(&self.unwritten)
    }

    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Keeps those that are not among these.
    pub(super) fn without(mut self, known: &BTreeSet<&DocumentId>) -> Self {
        self.unreadable.retain(|id| !known.contains(id));
        self.unwritten.retain(|id| !known.contains(id));
        self
    }
}

/// Recordings of which a settled chunk is open, with that chunk.
type Settled = Vec<(Sha256Digest, DocumentId)>;

impl Catalogue {
    /// Adds the recordings of open chunks, those whose chunks are not settled first. Any number of chunks may wait for
    /// nothing but their deletion at ACS: they take no room from the others, and cap a survey only beyond [`LOOKED_AT`].
    pub(super) async fn add_open_chunks(
        &self,
        candidates: &mut Candidates,
        limit: usize,
    ) -> Result<(), CatalogueError> {
        let (mut after, mut looked_at, mut settled) = (None, 0, Settled::new());
        loop {
            let (open, next) = self.ledger.open_chunks(after.as_ref(), limit).await?;
            looked_at += open.len();
            let of_page = self.add_page(candidates, open).await?;
            let room = limit.saturating_sub(settled.len());
            settled.extend(of_page.into_iter().take(room));
            let Some(next) = next else { break };
            if candidates.order.len() >= limit || looked_at >= LOOKED_AT {
                candidates.is_capped = true;
                break;
            }
            after = Some(next);
        }
        self.look_again_for_unwritten(candidates).await?;
        let room = limit.saturating_sub(candidates.order.len());
        for (name, document_id) in settled.into_iter().take(room) {
            candidates.add(name, Some(document_id));
        }
        Ok(())
    }

    /// Reads entries again that were not found: most are written within milliseconds of their markers.
    async fn look_again_for_unwritten(
        &self,
        candidates: &mut Candidates,
    ) -> Result<(), CatalogueError> {
        for document_id in std::mem::take(&mut candidates.chunks.unwritten) {
            match self.chunk_entry(&document_id).await? {
                ChunkEntry::Found(entry) => {
                    let name = recording_name(&entry.chunk.filed_under());
                    candidates.add(name, Some(document_id));
                }
                ChunkEntry::Unreadable => candidates.chunks.unreadable.push(document_id),
                ChunkEntry::Absent => candidates.chunks.unwritten.push(document_id),
            }
        }
        Ok(())
    }

    /// Adds the recordings of the unsettled chunks of a page. Returns the settled ones.
    async fn add_page(
        &self,
        candidates: &mut Candidates,
        open: Vec<OpenChunk>,
    ) -> Result<Settled, CatalogueError> {
        let entries = futures::stream::iter(open).map(|chunk| async move {
            let entry = self.chunk_entry(&chunk.document_id).await?;
            Ok::<_, CatalogueError>((chunk, entry))
        });
        let mut entries = entries.buffered(AT_ONCE);
        let (now, mut settled) = (self.clock.now(), Settled::new());
        while let Some((chunk, entry)) = entries.try_next().await? {
            let document_id = chunk.document_id.clone();
            match entry {
                ChunkEntry::Found(entry) => {
                    let name = recording_name(&entry.chunk.filed_under());
                    if of_chunk(&entry, now).standing.is_settled() {
                        settled.push((name, document_id));
                    } else {
                        candidates.add(name, Some(document_id));
                        candidates.open.push(name);
                    }
                }
                ChunkEntry::Unreadable => candidates.chunks.unreadable.push(document_id),
                ChunkEntry::Absent if self.lacks_entry(&chunk, now) => {
                    candidates.chunks.unreadable.push(document_id);
                }
                ChunkEntry::Absent => candidates.chunks.unwritten.push(document_id),
            }
        }
        Ok(settled)
    }
}
