//! Markers of open entries, which are the sweep's work list.
//!
//! An entry counts its openings, and opening *n* has the marker `open/<expiry>-<documentId>-<n>`. One whose chunk
//! expires so soon that the marker must outlast the expiry is named `open/<expiry>.<stays until>-<documentId>-<n>`. So
//! the list is in the order in which ACS drops the files. Why an open entry always has its marker, whatever else writes
//! at the same time:
//!
//! - To open an entry, write marker *n + 1* first, then the entry with `openings = n + 1`, conditionally.
//! - A marker *m* is removed only where the entry is settled and `m <= openings`. A later opening uses a higher
//!   number, so no removal can affect it, however late the request arrives.
//! - Where *m* is higher than `openings`, an opener may be about to write the entry. The sweep first writes the entry
//!   with `openings = m`, still settled. The opener's write then conflicts, and it begins again with marker *m + 1*.
//! - The marker of a chunk that ended without a copy stays until that end is reported: no kill hides a loss.
//! - A marker without an entry stays until both times in its name have passed: at least [`ORPHAN_STAYS`] after the
//!   write.
//! - A write that finds or leaves an entry open without working on it rewrites the marker, in case it is missing.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::{ChunkLedger, Found, LedgerEntry, LedgerError, WriteOutcome, entry_key};
use crate::recording::DocumentId;
use crate::store::document_store::{Precondition, StoreError};

const OPEN: &str = "open/";

/// A marker is never cleared as an orphan sooner than this after it was written: its opener writes the entry right
/// after it, and no request lives that long, nor is any clock that wrong.
const ORPHAN_STAYS: Duration = Duration::from_hours(1);

/// A marker of the sweep's work list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenChunk {
    pub document_id: DocumentId,
    /// It stays without an entry until then.
    stays_until_s: i64,
    /// That is later than its chunk's expiry.
    has_own_stay: bool,
    opening: u64,
    key: String,
}

/// A place in the list of open chunks.
#[derive(Debug, Clone)]
pub struct OpenCursor(String);

impl ChunkLedger {
    /// Chunks that are not settled, earliest expiry first, at most `limit` after the given cursor; and the next cursor.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn open_chunks(
        &self,
        after: Option<&OpenCursor>,
        limit: usize,
    ) -> Result<(Vec<OpenChunk>, Option<OpenCursor>), LedgerError> {
        let keys = self
            .store
            .list(OPEN, after.map(|cursor| cursor.0.as_str()), limit)
            .await?;
        let next = keys
            .last()
            .filter(|_| keys.len() == limit)
            .cloned()
            .map(OpenCursor);
        let mut chunks = Vec::with_capacity(keys.len());
        for key in keys {
            match OpenChunk::of(&key) {
                Some(chunk) => chunks.push(chunk),
                None => tracing::warn!(key, "The ledger holds a marker that names no chunk"),
            }
        }
        Ok((chunks, next))
    }

    /// Removes a marker that is no longer needed, such as one that a kill left behind. One of an open entry stays.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn clear(&self, marker: &OpenChunk) -> Result<(), LedgerError> {
        let Some(found) = self.find(&marker.document_id).await? else {
            if self.clock.now().as_second() >= marker.stays_until_s {
                let id = &marker.document_id;
                // Until somebody dismisses it: nothing else names this chunk.
                let trace = json!({"documentId": id, "marker": marker.key});
                let reason = "a chunk was announced, and its entry in the ledger was never written: its file may be lost";
                self.keep_poison(&trace, reason).await?;
                tracing::error!(document.id = %id, "Chunk `{id}` has no entry, and its marker was removed after its retention: its file may be lost");
                self.store.remove(&marker.key).await?;
            }
            return Ok(());
        };
        if found.entry.is_open() {
            return Ok(self.put_marker(&found.entry).await?);
        }
        if !found.entry.is_done() {
            return Ok(());
        }
        if marker.opening > found.entry.openings && !self.outnumber(found, marker.opening).await? {
            // Another writer was first: the next sweep checks again.
            return Ok(());
        }
        Ok(self.store.remove(&marker.key).await?)
    }

    /// Makes the write of an opener that has written this marker conflict. Returns whether it does.
    async fn outnumber(&self, found: Found, opening: u64) -> Result<bool, LedgerError> {
        let Found {
            mut entry,
            revision,
        } = found;
        let key = entry_key(&entry.chunk.document_id);
        entry.openings = opening;
        let written = self.entries.write(&key, Some(&revision), entry).await?;
        Ok(match written {
            WriteOutcome::Written(stored) => {
                !stored.document.is_open() && stored.document.openings >= opening
            }
            WriteOutcome::Conflict(_) => false,
        })
    }

    /// Whether an entry is open and has no marker, so that no sweep finds it.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn lacks_marker(&self, document_id: &DocumentId) -> Result<bool, LedgerError> {
        let Some(before) = self.find(document_id).await? else {
            return Ok(false);
        };
        let marker = marker_key(&before.entry);
        if !before.entry.is_open() || self.store.find(&marker).await?.is_some() {
            return Ok(false);
        }
        // A marker is removed after its entry is settled, and one that exists is of this opening.
        let now = self.find(document_id).await?;
        Ok(now
            .is_some_and(|now| now.entry.is_open() && now.entry.openings == before.entry.openings))
    }

    /// Ensures that an open entry has its marker.
    pub(super) async fn put_marker(&self, entry: &LedgerEntry) -> Result<(), StoreError> {
        self.store
            .put(&marker_key(entry), Bytes::new(), Precondition::Absent)
            .await
            .map(drop)
    }

    /// Writes a marker that leads to an entry before and after the entry is written, however long ago its chunk was
    /// recorded. A sweep clears it when the entry is settled.
    pub(super) async fn put_marker_of_rebuilt(
        &self,
        entry: &LedgerEntry,
    ) -> Result<(), StoreError> {
        let key = marker_of(entry, orphan_until(self.clock.now()));
        let putting = self.store.put(&key, Bytes::new(), Precondition::Absent);
        putting.await.map(drop)
    }

    /// Removes the marker of the opening that this settled entry ended.
    pub(super) async fn remove_marker(&self, settled: &LedgerEntry) -> Result<(), StoreError> {
        self.store.remove(&marker_key(settled)).await
    }
}

impl OpenChunk {
    /// Whether its chunk was announced before this time, by when it expires or how long the marker stays.
    pub fn is_from_before(&self, at: Timestamp, source_retention: Duration) -> bool {
        let stays = if self.has_own_stay {
            ORPHAN_STAYS
        } else {
            source_retention
        };
        at.checked_add(stays)
            .is_ok_and(|at| self.stays_until_s < at.as_second())
    }

    fn of(key: &str) -> Option<Self> {
        let (times, rest) = key.strip_prefix(OPEN)?.split_once('-')?;
        let (document_id, opening) = rest.rsplit_once('-')?;
        let stays_until = times.split_once('.').map_or(times, |(_, until)| until);
        Some(Self {
            document_id: document_id.parse().ok()?,
            stays_until_s: stays_until.parse().ok()?,
            has_own_stay: stays_until != times,
            opening: opening.parse().ok()?,
            key: key.to_owned(),
        })
    }
}

fn marker_key(entry: &LedgerEntry) -> String {
    marker_of(entry, orphan_until(entry.recorded_at))
}

/// The times in seconds, zero-padded, so that listing order is order of expiry.
fn marker_of(entry: &LedgerEntry, stays_until: Timestamp) -> String {
    let seconds = |time: Timestamp| format!("{:011}", time.as_second().max(0));
    let mut times = seconds(entry.expires_at);
    if stays_until > entry.expires_at {
        times = format!("{times}.{}", seconds(stays_until));
    }
    let (id, opening) = (&entry.chunk.document_id, entry.openings);
    format!("{OPEN}{times}-{id}-{opening}")
}

/// Until when a marker that is written now stays without an entry.
fn orphan_until(written_at: Timestamp) -> Timestamp {
    written_at
        .checked_add(ORPHAN_STAYS)
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;

    #[test]
    fn a_marker_names_its_chunk_and_its_opening() {
        let entry = LedgerEntry {
            openings: 7,
            ..entry()
        };
        let marker = OpenChunk::of(&marker_key(&entry)).unwrap();
        assert_eq!(marker.document_id, entry.chunk.document_id);
        assert_eq!(marker.opening, 7);
        assert_eq!(marker.stays_until_s, entry.expires_at.as_second());
    }

    #[test]
    fn the_marker_of_a_chunk_that_came_after_its_expiry_outlasts_the_write_of_its_entry() {
        let mut entry = entry();
        entry.expires_at = entry.recorded_at - jiff::SignedDuration::from_hours(48);
        let marker = OpenChunk::of(&marker_key(&entry)).unwrap();
        assert_eq!(
            marker.stays_until_s,
            entry.recorded_at.as_second() + ORPHAN_STAYS.as_secs().cast_signed()
        );
    }

    #[test]
    fn a_chunk_that_expires_in_minutes_comes_before_one_that_has_more_time() {
        let expiring_in = |id: &str, minutes| {
            let mut entry = entry();
            entry.chunk.document_id = id.parse().unwrap();
            entry.expires_at = entry.recorded_at + jiff::SignedDuration::from_mins(minutes);
            marker_key(&entry)
        };
        let keys = [
            expiring_in("0-eus-d1-z", 10),
            expiring_in("0-eus-d1-a", 30),
            expiring_in("0-eus-d1-b", 59),
            expiring_in("0-eus-d1-c", 61),
        ];
        assert!(keys.is_sorted(), "{keys:?}");
        for key in keys {
            let marker = OpenChunk::of(&key).unwrap();
            let recorded_at = entry().recorded_at.as_second();
            assert!(marker.stays_until_s >= recorded_at + 3600, "{key}");
        }
    }
}
