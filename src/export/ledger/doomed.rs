//! Chunks that were given up, by the time at which ACS has surely dropped their files: then they are lost.
//!
//! ```text
//! doomed/<seconds>-<documentId>   a marker, until the loss is reported
//! ```
//! It is a marker like those of the index: written before the entry says so, removed after it no longer does, and only
//! in the version that was seen. A retry or a repeated event removes it.

use futures::FutureExt as _;
use jiff::Timestamp;

use super::writing::{Change, MarkerCheck};
use super::{ChunkLedger, Found, LedgerError};
use crate::export::entry::LedgerEntry;
use crate::export::state::ChunkState;
use crate::recording::DocumentId;
use crate::store::index::SeenMarker;

const DOOMED: &str = "doomed/";

/// A chunk whose file ACS has dropped since it was given up.
#[derive(Debug)]
pub struct DoomedChunk {
    pub document_id: DocumentId,
    marker: Vec<SeenMarker>,
}

/// A place in the list of chunks that were given up.
#[derive(Debug, Clone)]
pub struct DoomedCursor(String);

/// The marker of an entry that ended without a copy and whose loss is still to be detected or reported.
pub(super) fn marker(entry: &LedgerEntry) -> Option<String> {
    let is_marked = match &entry.state {
        ChunkState::DeadLettered { .. } => true,
        ChunkState::Expired { .. } => !entry.reported_end,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::InPlace { .. } => false,
    };
    let seconds = entry.surely_gone_at.as_second().max(0);
    let id = &entry.chunk.document_id;
    (is_marked && !entry.is_external()).then(|| format!("{DOOMED}{seconds:011}-{id}"))
}

impl ChunkLedger {
    /// Chunks that were given up and are lost by now, earliest first, at most `limit` after `after`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn doomed(
        &self,
        after: Option<&DoomedCursor>,
        limit: usize,
    ) -> Result<(Vec<DoomedChunk>, Option<DoomedCursor>), LedgerError> {
        let now = self.clock.now().as_second();
        let after = after.map(|cursor| cursor.0.as_str());
        let keys = self.store.list(DOOMED, after, limit).await?;
        let next = keys.last().filter(|_| keys.len() == limit).cloned();
        let mut doomed = Vec::new();
        for key in keys {
            let Some((seconds, document_id)) = parts(&key) else {
                tracing::warn!(key, "The ledger holds a marker that names no chunk");
                continue;
            };
            if seconds > now {
                return Ok((doomed, None));
            }
            // Seen before the entry is read: a writer that relies on it writes it again.
            let marker = self.index().seen([key]).await?;
            doomed.push(DoomedChunk {
                document_id,
                marker,
            });
        }
        Ok((doomed, next.map(DoomedCursor)))
    }

    /// Turns a chunk that was given up into a loss, if ACS has dropped its file. Returns the entry if its loss is still
    /// to be reported. A marker that its entry does not need is removed.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn lose(&self, doomed: DoomedChunk) -> Result<Option<Found>, LedgerError> {
        let id = &doomed.document_id;
        let changed = self.change(id, None, |found| self.decide_lost(found).boxed());
        let found = changed.await?.found;
        let needs_marker = found
            .as_ref()
            .is_some_and(|found| marker(&found.entry).is_some());
        if !needs_marker {
            self.take_back(id, doomed.marker).await;
        }
        let is_unreported = |found: &Found| {
            matches!(found.entry.state, ChunkState::Expired { .. }) && !found.entry.reported_end
        };
        Ok(found.filter(is_unreported))
    }

    async fn decide_lost(&self, found: Option<LedgerEntry>) -> Result<Change<()>, LedgerError> {
        let now = self.clock.now();
        let Some((before, lost)) = found.and_then(|entry| {
            let lost = lost(&entry, now)?;
            Some((entry, lost))
        }) else {
            return Ok(Change::Leave(()));
        };
        let mut entry = lost;
        self.audit_change(&before, &mut entry).await?;
        Ok(Change::Write {
            entry: Box::new(entry),
            outcome: (),
            marker: MarkerCheck::Skip,
        })
    }
}

/// A chunk that was given up, as a loss; `None` if it is none.
fn lost(entry: &LedgerEntry, now: Timestamp) -> Option<LedgerEntry> {
    let ChunkState::DeadLettered { reason, .. } = &entry.state else {
        return None;
    };
    entry.is_doomed(now).then(|| LedgerEntry {
        state: ChunkState::Expired {
            seen_at: now,
            reason: format!("it was given up ({reason}), and ACS has dropped it since"),
        },
        // An operator who has acknowledged it knows.
        reported_end: entry.acknowledged.is_some(),
        ..entry.clone()
    })
}

fn parts(key: &str) -> Option<(i64, DocumentId)> {
    let (seconds, document_id) = key.strip_prefix(DOOMED)?.split_once('-')?;
    Some((seconds.parse().ok()?, document_id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;

    fn given_up() -> LedgerEntry {
        let entry = entry();
        LedgerEntry {
            state: ChunkState::DeadLettered {
                at: entry.recorded_at,
                reason: "refused".to_owned(),
            },
            ..entry
        }
    }

    #[test]
    fn a_marker_names_its_chunk_and_the_time_of_its_loss() {
        let entry = given_up();
        let marker = marker(&entry).unwrap();
        let expected = (
            entry.surely_gone_at.as_second(),
            entry.chunk.document_id.clone(),
        );
        assert_eq!(parts(&marker), Some(expected));
    }

    #[test]
    fn a_chunk_that_was_given_up_is_lost_when_acs_has_dropped_its_file_and_not_before() {
        let entry = given_up();
        let before = entry.surely_gone_at - jiff::SignedDuration::from_secs(1);
        assert_eq!(lost(&entry, before), None);
        let lost = lost(&entry, entry.surely_gone_at).unwrap();
        assert!(matches!(lost.state, ChunkState::Expired { .. }) && !lost.reported_end);
        assert!(marker(&lost).is_some(), "until it is reported");
        let reported = LedgerEntry {
            reported_end: true,
            ..lost
        };
        assert_eq!(marker(&reported), None);
    }

    #[test]
    fn acs_never_drops_what_is_in_the_customers_own_storage() {
        let mut entry = given_up();
        entry.chunk.storage_type = Some("AzureBlob".to_owned());
        assert_eq!(marker(&entry), None);
        assert_eq!(lost(&entry, entry.surely_gone_at), None);
    }
}
