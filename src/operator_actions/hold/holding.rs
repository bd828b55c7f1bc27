//! What a hold that is in force keeps, and what it was too late for.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::export::{ChunkState, LedgerEntry};
use crate::recording::{DocumentId, RecordingId};
use crate::store::holds::{Added, Case, CaseTag, Held};

/// A hold that is in force.
#[derive(Debug)]
pub struct Holding {
    pub held: Held,
    pub tag: CaseTag,
    pub added: Added,
    /// Known chunks that are held.
    pub chunks: Vec<DocumentId>,
    /// Chunks that may match, and therefore count as held.
    pub uncertain: Vec<DocumentId>,
    /// More recordings match than were read: whether parts of the others were deleted is unknown.
    pub is_capped: bool,
    /// Recordings in the register that match.
    pub recordings: usize,
    /// Chunks whose copies were deleted before, or are being deleted now: the hold was too late for them.
    pub gone: Vec<DocumentId>,
    /// Chunks whose deletion at ACS began before the hold: whether ACS has them, and keeps them, is unknown.
    pub in_doubt: Vec<DoubtfulHold>,
    /// Unreadable accounts and entries that may belong to it: whether they are held is unknown.
    pub unreadable: Vec<String>,
    /// Recordings that were started with the id that is held, while their files have other ids: they are not held.
    pub named_otherwise: Vec<RecordingId>,
    /// Every case that holds it, this one included.
    pub cases: Vec<Case>,
}

/// A chunk whose copy in the vault is held, and whose source at ACS may be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoubtfulHold {
    pub document_id: DocumentId,
    pub deletion_began_at: Timestamp,
    /// Until then the deletion may still arrive at ACS; `None` if it no longer can, but may have arrived.
    pub may_arrive_until: Option<Timestamp>,
}

impl fmt::Display for DoubtfulHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, began_at) = (&self.document_id, self.deletion_began_at);
        write!(
            f,
            "the deletion of chunk {id} at ACS began at {began_at:.0}, before the hold, and "
        )?;
        match self.may_arrive_until {
            Some(until) => write!(f, "may still happen until {until:.0}")?,
            None => f.write_str("whether ACS deleted it is unknown")?,
        }
        f.write_str("; its copy in the vault is held")
    }
}

impl Holding {
    /// Whether everything known is held, and was held before any deletion of it began.
    pub fn is_complete(&self) -> bool {
        self.gone.is_empty()
            && self.in_doubt.is_empty()
            && self.unreadable.is_empty()
            && self.named_otherwise.is_empty()
            && !self.is_capped
    }

    /// Whether no known recording matches, so that the hold applies to future ones.
    pub fn matches_nothing(&self) -> bool {
        self.recordings == 0
            && self.chunks.is_empty()
            && self.uncertain.is_empty()
            && self.in_doubt.is_empty()
            && self.gone.is_empty()
            && self.unreadable.is_empty()
            && self.named_otherwise.is_empty()
            && !self.is_capped
    }

    /// Returns what is not held, or may not be: a sentence for each.
    pub fn problems(&self) -> Vec<String> {
        let gone = self.gone.iter().map(|id| {
            format!("chunk {id} of it was deleted from the vault, or is being deleted now")
        });
        let in_doubt = self.in_doubt.iter().map(DoubtfulHold::to_string);
        let unreadable = self.unreadable.iter().map(|name| {
            format!("{name} is not readable: whether it belongs to what is held is unknown")
        });
        let capped = self.is_capped.then(|| {
            format!(
                "it matches more than {} recordings; whether copies of the others were deleted before is not checked",
                self.recordings
            )
        });
        let named_otherwise = self.named_otherwise.iter().map(|id| {
            format!(
                "recording {id} was started with this id, and its files have other ids: it is not held; hold it by its own id"
            )
        });
        gone.chain(in_doubt)
            .chain(unreadable)
            .chain(named_otherwise)
            .chain(capped)
            .collect()
    }
}

impl Holding {
    /// Notes a chunk whose deletion began before the hold; returns any other.
    pub(super) fn add_begun(&mut self, entry: &LedgerEntry, now: Timestamp) -> Option<DocumentId> {
        let id = entry.chunk.document_id.clone();
        if is_deleted(entry) {
            self.gone.push(id);
        } else if let Some(doubt) = doubt_about(entry, now) {
            self.in_doubt.push(doubt);
        } else {
            return Some(id);
        }
        None
    }
}

pub(super) fn is_deleted(entry: &LedgerEntry) -> bool {
    match entry.state {
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => true,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

/// Returns a deletion that has begun and is not settled: whether ACS has the source is unknown, and a request may still
/// be on its way.
fn doubt_about(entry: &LedgerEntry, now: Timestamp) -> Option<DoubtfulHold> {
    let intent = entry.intent.as_ref()?;
    Some(DoubtfulHold {
        document_id: entry.chunk.document_id.clone(),
        deletion_began_at: intent.began_at,
        may_arrive_until: intent.may_still_act(now).then(|| intent.acts_until()),
    })
}
