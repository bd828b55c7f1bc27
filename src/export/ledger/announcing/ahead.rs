//! Writes ahead what must exist before the entry of a new chunk: its marker and its record in the audit log.
//!
//! The entry follows when the account of its recording names the chunk. Until then nothing exports the chunk, and its
//! marker without an entry is the same as one that a kill leaves between the two.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Solicitation;
use crate::export::entry::LedgerEntry;
use crate::export::ledger::auditing::announced;
use crate::export::ledger::{ChunkLedger, LedgerError};
use crate::recording::RecordingChunk;
use crate::store::audit::AuditAction;

/// After longer, the marker is written again with the entry. It stays without one for much longer.
const COUNTS_FOR: SignedDuration = SignedDuration::from_mins(1);

/// A chunk that an event announces.
pub struct AnnouncedChunk {
    pub chunk: RecordingChunk,
    /// What is written of it already.
    pub ahead: Option<AnnouncedAhead>,
}

/// A chunk whose marker and audit record are written. Its entry is not.
pub struct AnnouncedAhead {
    /// With its position in the audit log.
    entry: LedgerEntry,
    since: Instant,
}

impl From<RecordingChunk> for AnnouncedChunk {
    fn from(chunk: RecordingChunk) -> Self {
        Self { chunk, ahead: None }
    }
}

impl AnnouncedAhead {
    /// The entry to write, while its marker certainly exists. A monotonic clock stops with the machine, so both count.
    pub(super) fn entry(&self, now: Timestamp) -> Option<&LedgerEntry> {
        let age = now.duration_since(self.entry.recorded_at);
        let is_young = age < COUNTS_FOR && self.since.elapsed() < COUNTS_FOR.unsigned_abs();
        is_young.then_some(&self.entry)
    }
}

impl ChunkLedger {
    /// Writes the marker and the audit record of a chunk that is probably new. If it is not recorded after all, a sweep
    /// clears the marker.
    ///
    /// # Errors
    /// When the storage fails: then [`record_as`](Self::record_as) writes both.
    pub async fn announce_ahead(
        &self,
        chunk: RecordingChunk,
        solicitation: Solicitation,
    ) -> Result<AnnouncedAhead, LedgerError> {
        let since = Instant::now();
        let records = vec![announced(AuditAction::Recorded, &chunk)];
        let mut entry = self.unrecorded(chunk, solicitation);
        let opened = LedgerEntry {
            openings: entry.openings.saturating_add(1),
            ..entry.clone()
        };
        let id = &opened.chunk.document_id;
        let (marked, recorded) =
            futures::join!(self.put_marker(&opened), self.audit_steps(id, records));
        marked?;
        if let Some(position) = recorded? {
            entry.note_audited(position);
        }
        Ok(AnnouncedAhead { entry, since })
    }
}
