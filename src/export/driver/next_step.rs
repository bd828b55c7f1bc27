//! What is due for a chunk. Pure: clock and policy come in as arguments.

use std::time::Duration;

use jiff::Timestamp;

use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::media::MediaVerdict;
use crate::recording::{ChunkEnd, FileNumber, OnOtherObject};

/// When a source may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionPolicy {
    /// Pause between the proof and the deletion.
    pub delay: Duration,
    pub anomalies: OnAnomaly,
    pub unknown_media: OnUnknownMedia,
    pub other_objects: OnOtherObject,
    pub unsolicited: OnUnsolicited,
}

/// What becomes of the source of a recording that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnsolicited {
    Delete,
    /// It stays at ACS until somebody accepts it, or ACS drops it.
    Keep,
}

impl DeletionPolicy {
    /// Why the source of a copy stays until an operator says otherwise, if it does.
    pub fn objection(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<String> {
        let disputed = entry.disputed_places().map(|places| {
            format!("events name {places} places for it; `accept --place` says which is right")
        });
        disputed
            .or_else(|| self.origin_objection(entry))
            .or_else(|| self.media_objection(entry, receipt))
    }

    fn origin_objection(self, entry: &LedgerEntry) -> Option<String> {
        let is_kept = match self.unsolicited {
            OnUnsolicited::Keep => entry.unsolicited && entry.anomaly_accepted_at.is_none(),
            OnUnsolicited::Delete => false,
        };
        is_kept.then(|| {
            "nobody asked for its recording: it was not started through this app, and no CallStarted announced its call".to_owned()
        })
    }

    /// Why the media of a copy keeps its source from being deleted, if it does.
    pub fn media_objection(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<String> {
        if entry.anomaly_accepted_at.is_some() {
            return None;
        }
        match (receipt.anomaly(), self.anomalies) {
            (Some(anomaly), OnAnomaly::Keep) => {
                return Some(format!("its media is doubtful: {anomaly}"));
            }
            (Some(_), OnAnomaly::Delete) => return None,
            (None, OnAnomaly::Keep | OnAnomaly::Delete) => {}
        }
        let is_unknown = receipt.media_verdict() == MediaVerdict::Unknown;
        match self.unknown_media {
            OnUnknownMedia::Keep if is_unknown => Some("its media could not be checked".to_owned()),
            OnUnknownMedia::Keep | OnUnknownMedia::Delete => None,
        }
    }
}

/// What becomes of a source whose media is not what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAnomaly {
    /// It stays at ACS until somebody accepts it, or ACS drops it.
    Keep,
    Delete,
}

/// What becomes of a source whose media could not be compared with what is reported of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknownMedia {
    Delete,
    /// It stays at ACS until somebody accepts it, or ACS drops it.
    Keep,
}

/// What is due for a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    Export,
    /// Another file of the document, beside its own.
    ExportFurther {
        number: FileNumber,
    },
    /// The files lie in the customer's own storage: look at them there.
    Catalogue,
    /// The copy lies in the backup vault: bring it home.
    MoveHome {
        receipt: ExportReceipt,
    },
    /// The copy is at home, and something of it may lie in the backup vault still.
    ClearBackup {
        receipt: ExportReceipt,
    },
    /// By the event's `deleteLocation`, verbatim; the receipt is the right to use it.
    DeleteSource {
        receipt: ExportReceipt,
    },
    /// Not to be deleted by us: nothing to do but to say so.
    LeaveSource {
        receipt: ExportReceipt,
        reason: String,
    },
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Decides what is due for `entry` at `now`.
pub fn next_step(entry: &LedgerEntry, deletion: DeletionPolicy, now: Timestamp) -> NextStep {
    let own = next_step_of_own_file(entry, deletion, now);
    let Some(further) = entry.next_further() else {
        return own;
    };
    let due_at = further.not_before.filter(|until| now < *until);
    match (own, due_at) {
        (
            own @ (NextStep::Export
            | NextStep::ExportFurther { .. }
            | NextStep::Catalogue
            | NextStep::MoveHome { .. }
            | NextStep::ClearBackup { .. }),
            _,
        ) => own,
        // Before the source is deleted, too: it may be the only place of that file.
        (
            NextStep::Wait { .. }
            | NextStep::DeleteSource { .. }
            | NextStep::LeaveSource { .. }
            | NextStep::Nothing,
            None,
        ) => NextStep::ExportFurther {
            number: further.file.number,
        },
        (NextStep::Wait { until }, Some(due_at)) => NextStep::Wait {
            until: until.min(due_at),
        },
        (NextStep::DeleteSource { .. } | NextStep::Nothing, Some(due_at)) => {
            NextStep::Wait { until: due_at }
        }
        (own @ NextStep::LeaveSource { .. }, Some(_)) => own,
    }
}

fn next_step_of_own_file(
    entry: &LedgerEntry,
    deletion: DeletionPolicy,
    now: Timestamp,
) -> NextStep {
    if let Some(until) = entry
        .not_before
        .filter(|until| now < *until && !entry.state.is_settled())
    {
        return NextStep::Wait { until };
    }
    match &entry.state {
        ChunkState::Pending if entry.chunk.is_external() => NextStep::Catalogue,
        ChunkState::Pending => match half_time(entry) {
            // Its final event may come before; a copy of half of it is better than none.
            until if entry.chunk.end() == ChunkEnd::BeingRecorded && now < until => {
                NextStep::Wait { until }
            }
            _ => NextStep::Export,
        },
        ChunkState::Exported { receipt } if receipt.vault() == VaultName::Backup => {
            NextStep::MoveHome {
                receipt: receipt.clone(),
            }
        }
        ChunkState::Exported { receipt } if entry.uses_backup => NextStep::ClearBackup {
            receipt: receipt.clone(),
        },
        // An event has named the metadata's place since: what is proved is not all there is.
        ChunkState::Exported { receipt } if lacks_metadata(entry, receipt, now) => NextStep::Export,
        ChunkState::Exported { receipt } => after_export(entry, receipt, deletion, now),
        ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => NextStep::Nothing,
    }
}

/// A place of its metadata is known, and none is in the vault, while ACS may still have it.
fn lacks_metadata(entry: &LedgerEntry, receipt: &ExportReceipt, now: Timestamp) -> bool {
    receipt.metadata().is_none()
        && !entry.metadata_too_large
        && entry.chunk.locations.metadata.is_some()
        && !entry.is_surely_gone(now)
}

/// Half of the time that ACS keeps it is over then.
fn half_time(entry: &LedgerEntry) -> Timestamp {
    let kept = entry.expires_at.duration_since(entry.recorded_at);
    entry
        .recorded_at
        .checked_add(kept / 2)
        .unwrap_or(Timestamp::MAX)
}

/// Why the file that was copied may not be all that was recorded: then it is never deleted at ACS.
fn incomplete(entry: &LedgerEntry) -> Option<&'static str> {
    match entry.chunk.end() {
        ChunkEnd::Failed => Some("ACS reports that it could not store all of it"),
        ChunkEnd::BeingRecorded => Some("it was copied while it was still recorded"),
        ChunkEnd::Final if entry.copied_unfinished => {
            Some("it was copied while it was still recorded")
        }
        ChunkEnd::Final => entry
            .has_failed_form()
            .then_some("a later event reports that ACS could not store all of it"),
    }
}

fn after_export(
    entry: &LedgerEntry,
    receipt: &ExportReceipt,
    deletion: DeletionPolicy,
    now: Timestamp,
) -> NextStep {
    if entry.chunk.locations.delete.is_none() {
        let reason = format!(
            "the event named no deleteLocation; ACS drops it by itself at {}",
            entry.expires_at
        );
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            reason,
        };
    }
    if let Some(reason) = incomplete(entry) {
        // Its final event may still come; ACS keeps the file for as long as it can.
        let is_over = now >= entry.surely_gone_at || entry.chunk.end() == ChunkEnd::Failed;
        if !is_over {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            reason: reason.to_owned(),
        };
    }
    if let Some(reason) = deletion.objection(entry, receipt) {
        if now < entry.surely_gone_at {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            reason,
        };
    }
    let due_at = receipt
        .verified_at()
        .checked_add(deletion.delay)
        .unwrap_or(Timestamp::MAX);
    if now < due_at {
        NextStep::Wait { until: due_at }
    } else {
        NextStep::DeleteSource {
            receipt: receipt.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
