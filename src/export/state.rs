//! Where a chunk stands, and what is to be done next. Pure.
//!
//! ```text
//!  record ─▶ Pending ──transfer, verify──▶ Exported ──delete at ACS──▶ SourceDeleted ∎
//!              │ │                             │
//!              │ │                             └─ nothing to delete by, or deletion impossible ─▶ SourceLeft ∎
//!              │ └─ refused location, attempts spent ─▶ DeadLettered ∎ (an operator may retry)
//!              │ └─ (the customer's own storage) looked at where it lies ─▶ InPlace ∎
//!              └─ ACS answers 404/410 after its retention ─▶ Expired ∎ (a loss: logged as an error)
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalogue::InPlace;
use super::entry::LedgerEntry;
use super::receipt::ExportReceipt;

/// Facts, not activities: whether somebody is at work is told by the claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChunkState {
    Pending,
    /// In the vault and proved; still at ACS.
    Exported {
        receipt: ExportReceipt,
    },
    SourceDeleted {
        receipt: ExportReceipt,
        deleted_at: Timestamp,
    },
    /// In the vault and proved; ACS drops its own copy by itself when its retention ends.
    SourceLeft {
        receipt: ExportReceipt,
        reason: String,
    },
    /// In the customer's own storage, where ACS wrote it; looked at there, not moved, never deleted.
    InPlace {
        files: InPlace,
        seen_at: Timestamp,
    },
    Expired {
        seen_at: Timestamp,
        reason: String,
    },
    DeadLettered {
        at: Timestamp,
        reason: String,
    },
}

impl ChunkState {
    /// A settled chunk is never due again by itself.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending | Self::Exported { .. } => false,
            Self::SourceDeleted { .. }
            | Self::SourceLeft { .. }
            | Self::InPlace { .. }
            | Self::Expired { .. }
            | Self::DeadLettered { .. } => true,
        }
    }

    /// The state's name as the ledger writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Exported { .. } => "exported",
            Self::SourceDeleted { .. } => "sourceDeleted",
            Self::SourceLeft { .. } => "sourceLeft",
            Self::InPlace { .. } => "inPlace",
            Self::Expired { .. } => "expired",
            Self::DeadLettered { .. } => "deadLettered",
        }
    }
}

/// What is due for a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    Export,
    /// The files lie in the customer's own storage: look at them there.
    Catalogue,
    /// By the event's `deleteLocation`, verbatim; the receipt is the right to use it.
    DeleteSource {
        receipt: ExportReceipt,
    },
    /// The event named no `deleteLocation`: nothing to do but to say so.
    LeaveSource {
        receipt: ExportReceipt,
    },
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Decides what is due for `entry` at `now`; `delete_delay` is the pause between proof and deletion.
pub fn next_step(entry: &LedgerEntry, delete_delay: Duration, now: Timestamp) -> NextStep {
    if let Some(until) = entry.not_before.filter(|until| now < *until && !entry.state.is_settled()) {
        return NextStep::Wait { until };
    }
    match &entry.state {
        ChunkState::Pending if entry.chunk.is_external() => NextStep::Catalogue,
        ChunkState::Pending => NextStep::Export,
        ChunkState::Exported { receipt } if entry.chunk.locations.delete.is_none() => {
            NextStep::LeaveSource { receipt: receipt.clone() }
        }
        ChunkState::Exported { receipt } => match receipt.verified_at().checked_add(delete_delay).unwrap_or(Timestamp::MAX) {
            due_at if now < due_at => NextStep::Wait { until: due_at },
            _ => NextStep::DeleteSource { receipt: receipt.clone() },
        },
        ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => NextStep::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::digest::Sha256Digest;
    use crate::export::entry::tests::entry;
    use crate::export::receipt::VerifiedFile;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn receipt() -> ExportReceipt {
        let media = VerifiedFile::new("a/b.wav".parse().unwrap(), 1, Sha256Digest::of(b"a"), "e".into());
        ExportReceipt::new(media, None, at("2026-03-02T10:00:00Z"))
    }

    fn exported() -> LedgerEntry {
        let mut entry = entry();
        entry.chunk.locations.delete = Some("https://us-storage.asm.skype.com/v1/objects/x".into());
        entry.state = ChunkState::Exported { receipt: receipt() };
        entry
    }

    #[test]
    fn a_pending_chunk_is_exported_unless_it_backs_off() {
        let mut entry = entry();
        let now = at("2026-03-02T10:00:00Z");
        assert_eq!(next_step(&entry, HOUR, now), NextStep::Export);
        entry.not_before = Some(at("2026-03-02T10:00:01Z"));
        assert_eq!(next_step(&entry, HOUR, now), NextStep::Wait { until: at("2026-03-02T10:00:01Z") });
    }

    #[test]
    fn deletion_waits_for_its_delay() {
        let due = at("2026-03-02T11:00:00Z");
        assert_eq!(next_step(&exported(), HOUR, at("2026-03-02T10:59:59Z")), NextStep::Wait { until: due });
        assert_eq!(next_step(&exported(), HOUR, due), NextStep::DeleteSource { receipt: receipt() });
    }

    #[test]
    fn without_a_delete_location_the_source_is_left() {
        let mut entry = exported();
        entry.chunk.locations.delete = None;
        let step = next_step(&entry, HOUR, at("2026-03-02T10:00:00Z"));
        assert_eq!(step, NextStep::LeaveSource { receipt: receipt() });
    }

    #[test]
    fn nothing_is_due_for_a_settled_chunk() {
        let now = at("2026-03-02T10:00:00Z");
        let states = [
            ChunkState::SourceDeleted { receipt: receipt(), deleted_at: now },
            ChunkState::SourceLeft { receipt: receipt(), reason: String::new() },
            ChunkState::Expired { seen_at: now, reason: String::new() },
            ChunkState::DeadLettered { at: now, reason: String::new() },
        ];
        for state in states {
            assert!(state.is_settled());
            assert_eq!(next_step(&LedgerEntry { state, ..exported() }, HOUR, now), NextStep::Nothing);
        }
    }
}
