//! The open chunks of a survey: those that are not settled lead to their recordings, and those whose entries cannot be read
//! are counted by themselves.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};

use super::Candidates;
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::ledger::OpenChunk;
use crate::recording::DocumentId;
use crate::standing::{ChunkEntry, of_chunk};
use crate::store::index::recording_name;

/// Open chunks that are read at once. Most of many wait only for their deletion at ACS.
pub(in crate::catalogue) const OPEN_CHUNKS_READ: usize = 5000;

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

    /// Leaves out those that are among these.
    pub(super) fn leave_out(&mut self, known: &BTreeSet<&DocumentId>) {
        self.unreadable.retain(|id| !known.contains(id));
        self.unwritten.retain(|id| !known.contains(id));
    }
}

impl Candidates {
    /// Adds recordings of settled chunks where there is room. Returns whether there was too little: each of their chunks is
    /// in the vault, and only what their accounts say is not known.
    pub(super) fn add_settled(&mut self, limit: usize) -> bool {
        let mut is_left_out = false;
        for (name, document_id) in std::mem::take(&mut self.settled) {
            if self.order.len() < limit || self.leads.contains_key(&name) {
                self.add(name, Some(document_id));
            } else {
                is_left_out = true;
            }
        }
        is_left_out
    }
}

impl Catalogue {
    /// Adds the recordings of open chunks that are not settled, and notes those of the settled ones, which wait only for
    /// their deletion at ACS.
    pub(super) async fn add_open_chunks(
        &self,
        candidates: &mut Candidates,
        limit: usize,
    ) -> Result<(), CatalogueError> {
        let (mut after, mut looked_at) = (None, 0);
        loop {
            let (open, next) = self.ledger.open_chunks(after.as_ref(), limit).await?;
            looked_at += open.len();
            self.add_page(candidates, open).await?;
            let Some(next) = next else { break };
            if candidates.open.len() >= limit || looked_at >= OPEN_CHUNKS_READ {
                candidates.is_capped = true;
                break;
            }
            after = Some(next);
        }
        self.look_again_for_unwritten(candidates).await
    }

    /// Reads entries again that were not found: most are written within milliseconds of their markers.
    async fn look_again_for_unwritten(
        &self,
        candidates: &mut Candidates,
    ) -> Result<(), CatalogueError> {
        let unwritten = std::mem::take(&mut candidates.chunks.unwritten);
        let entries = futures::stream::iter(unwritten).map(|document_id| async move {
            let entry = self.chunk_entry(&document_id).await?;
            Ok::<_, CatalogueError>((document_id, entry))
        });
        let mut entries = entries.buffered(AT_ONCE);
        while let Some((document_id, entry)) = entries.try_next().await? {
            match entry {
                ChunkEntry::Found(entry) => {
                    let name = recording_name(&entry.chunk.filed_under());
                    candidates.add(name, Some(document_id));
                    candidates.open.push(name);
                }
                ChunkEntry::Unreadable => candidates.chunks.unreadable.push(document_id),
                ChunkEntry::Absent => candidates.chunks.unwritten.push(document_id),
            }
        }
        Ok(())
    }

    async fn add_page(
        &self,
        candidates: &mut Candidates,
        open: Vec<OpenChunk>,
    ) -> Result<(), CatalogueError> {
        let entries = futures::stream::iter(open).map(|chunk| async move {
            let entry = self.chunk_entry(&chunk.document_id).await?;
            Ok::<_, CatalogueError>((chunk, entry))
        });
        let mut entries = entries.buffered(AT_ONCE);
        let now = self.clock.now();
        while let Some((chunk, entry)) = entries.try_next().await? {
            let document_id = chunk.document_id.clone();
            match entry {
                ChunkEntry::Found(entry) => {
                    let name = recording_name(&entry.chunk.filed_under());
                    if of_chunk(&entry, now).standing.is_settled() {
                        candidates.settled.push((name, document_id));
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
        Ok(())
    }
}
