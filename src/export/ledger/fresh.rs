//! Cache of entries that this process has just written. It saves the next drive the first read of a new chunk.
//!
//! An outdated entry causes a conflict and nothing else, because all writes are conditional. It knows no storage.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ChunkLedger, Found};
use crate::recording::DocumentId;

/// Capacity of the cache. When it is full, the oldest entry is evicted.
const KEPT_AT_MOST: usize = 32;
/// How long an entry is kept. Its drive begins at once, or waits for others and reads the entry again.
const KEPT_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct FreshEntries(Mutex<VecDeque<(Instant, Found)>>);

impl FreshEntries {
    pub fn keep(&self, found: Found) {
        let mut kept = self.kept();
        if kept.len() >= KEPT_AT_MOST {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), found));
    }

    fn take(&self, document_id: &DocumentId) -> Option<Found> {
        let mut kept = self.kept();
        kept.retain(|(since, _)| since.elapsed() < KEPT_FOR);
        let is_wanted =
            |(_, found): &(Instant, Found)| found.entry.chunk.document_id == *document_id;
        let at = kept.iter().position(is_wanted)?;
        kept.remove(at).map(|(_, found)| found)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Instant, Found)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChunkLedger {
    /// Takes the entry of a chunk that this process has just recorded. Others may have changed it since.
    pub(in crate::export) fn take_fresh(&self, document_id: &DocumentId) -> Option<Found> {
        self.fresh.take(document_id)
    }
}
