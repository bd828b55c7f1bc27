//! What the audit log says, in so few bytes that a long log fits into memory: of chunks, holds, recordings and markers.

pub mod chunk;
mod lost;

use std::collections::BTreeMap;

use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{AuditRecord, ExpectedMarkers, FollowedDocument};

use self::chunk::LoggedChunk;
use self::lost::LoggedLosses;
use super::accounts::LoggedAccounts;
use super::events::LoggedEvents;
use super::holds::LoggedHolds;
use super::read_log::ReadLog;

/// Everything that the log says.
#[derive(Debug, Default)]
pub struct Logged {
    pub chunks: LoggedChunks,
    pub holds: LoggedHolds,
    pub accounts: LoggedAccounts,
    pub events: LoggedEvents,
    pub markers: ExpectedMarkers,
    /// Checkpoints that sweeps found to be missing.
    pub lost: LoggedLosses,
    pub read: ReadLog,
}

impl Logged {
    /// Takes the records of the log in its order.
    pub fn add(&mut self, document: &FollowedDocument, record: &AuditRecord) {
        self.chunks.add(document, record);
        self.holds.add(document, record);
        self.accounts.add(record);
        self.events.add(record);
        self.lost.add(record);
        self.markers.add(&document.position, record);
    }
}

/// The chunks that the log has records of.
#[derive(Debug, Default)]
pub struct LoggedChunks(BTreeMap<DocumentId, LoggedChunk>);

impl LoggedChunks {
    fn add(&mut self, document: &FollowedDocument, record: &AuditRecord) {
        if !record.action.is_of_chunk() {
            return;
        }
        // Some of these actions have other subjects too, and a recording's id may look like a document's.
        if let Ok(id) = record.subject.parse::<DocumentId>() {
            self.0.entry(id).or_default().add(document, record);
        }
    }

    /// The log of a chunk; an empty one if it has no record.
    pub fn of(&self, id: &DocumentId) -> LoggedChunk {
        self.0.get(id).cloned().unwrap_or_default()
    }

    /// The chunks that came into being by a record.
    pub fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        let chunks = self.0.iter();
        let created = chunks.filter(|(_, chunk)| chunk.is_created());
        created.map(|(id, _)| id)
    }
}
