//! What is due for a chunk. Pure: clock and policy come in as arguments.

use std::time::Duration;

use jiff::Timestamp;

use crate::export::driver::objection::Objection;
use crate::export::entry::{CutShort, LedgerEntry};
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

/// What to do with the source of an unsolicited recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnsolicited {
    Delete,
    /// It stays at ACS until an operator accepts it, or ACS drops it.
    Keep,
}

impl DeletionPolicy {
    /// The reason why the source of a copy stays until an operator accepts it, if there is one.
    pub fn objection(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<Objection> {
        let disputed = entry.disputed_places();
        disputed
            .map(|places| Objection::Disputed { places })
            .or_else(|| self.origin_objection(entry))
            .or_else(|| self.copy_objection(entry, receipt))
    }

    /// The reason why this copy does not replace its source, if there is one: it may be incomplete, another file is still
    /// to be exported, or an operator has to accept it.
    pub(super) fn spares(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<Objection> {
        let pending = || entry.next_further().map(|_| Objection::OtherFilePending);
        entry
            .cut_short()
            .map(Objection::from)
            .or_else(|| kept_for_good(entry))
            .or_else(|| entry.open_damage().map(|_| Objection::Damaged))
            .or_else(pending)
            .or_else(|| self.objection(entry, receipt))
    }

    fn origin_objection(self, entry: &LedgerEntry) -> Option<Objection> {
        let is_kept = match self.unsolicited {
            OnUnsolicited::Keep => entry.unsolicited && entry.anomaly_accepted_at.is_none(),
            OnUnsolicited::Delete => false,
        };
        is_kept.then_some(Objection::Unsolicited)
    }

    /// The reason why a copy prevents the deletion of its source until an operator accepts it, if there is one.
    fn copy_objection(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<Objection> {
        if entry.anomaly_accepted_at.is_some() {
            return None;
        }
        // Whatever the policy for anomalies: a copy that lacks a required protection does not replace its source.
        if let Some(missing) = receipt.missing_protection() {
            return Some(Objection::Unprotected(missing));
        }
        match (receipt.anomaly(), self.anomalies) {
            (Some(anomaly), OnAnomaly::Keep) => {
                return Some(Objection::Doubtful(anomaly.to_owned()));
            }
            (Some(_), OnAnomaly::Delete) | (None, OnAnomaly::Keep | OnAnomaly::Delete) => {}
        }
        let is_unknown = receipt.media_verdict() == MediaVerdict::Unknown;
        match self.unknown_media {
            OnUnknownMedia::Keep if is_unknown => Some(Objection::NotCompared),
            OnUnknownMedia::Keep | OnUnknownMedia::Delete => None,
        }
    }
}

/// What to do with a source whose media contradicts what is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAnomaly {
    /// It stays at ACS until an operator accepts it, or ACS drops it.
    Keep,
    Delete,
}

/// What to do with a source whose media could not be compared with what is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknownMedia {
    Delete,
    /// It stays at ACS until an operator accepts it, or ACS drops it.
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
    /// The files are in the customer's own storage: check them there.
    Catalogue,
    /// The copy is in the backup vault: move it home.
    MoveHome {
        receipt: ExportReceipt,
    },
    /// The copy is at home, and the backup vault may still hold files of it.
    ClearBackup {
        receipt: ExportReceipt,
    },
    /// A verification found the copy damaged, and ACS may still have its file: compare the copy, and export it again.
    ReplaceDamaged {
        receipt: ExportReceipt,
    },
    /// By the event's `deleteLocation`, verbatim. The receipt permits its use.
    DeleteSource {
        receipt: ExportReceipt,
    },
    /// Not to be deleted by this product: only record that.
    LeaveSource {
        receipt: ExportReceipt,
        objection: Objection,
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
            | NextStep::ClearBackup { .. }
            | NextStep::ReplaceDamaged { .. }),
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
        // ACS never had its file.
        ChunkState::Pending if entry.is_unfinished_import() => NextStep::Nothing,
        ChunkState::Pending => match half_time(entry) {
            // Its final event may come before that; a partial copy is better than none.
            until if entry.chunk.end() == ChunkEnd::BeingRecorded && now < until => {
                NextStep::Wait { until }
            }
            _ if entry.is_external() => NextStep::Catalogue,
            _ => NextStep::Export,
        },
        // First, because a further export would mistake the imported file for the one at ACS.
        ChunkState::Exported { receipt } if receipt.imported().is_some() => NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection: Objection::Imported,
        },
        ChunkState::Exported { receipt } if receipt.vault() == VaultName::Backup => {
            NextStep::MoveHome {
                receipt: receipt.clone(),
            }
        }
        // An event has named the location of the metadata since: what is proved is incomplete. Of the steps below, only this
        // has a deadline. A damaged copy is replaced first: it must not be proved again.
        ChunkState::Exported { .. }
            if entry.awaits_metadata()
                && entry.open_damage().is_none()
                && !entry.is_surely_gone(now) =>
        {
            NextStep::Export
        }
        ChunkState::Exported { receipt } if entry.uses_backup => NextStep::ClearBackup {
            receipt: receipt.clone(),
        },
        ChunkState::Exported { receipt }
            if entry.open_damage().is_some() && !entry.is_surely_gone(now) =>
        {
            NextStep::ReplaceDamaged {
                receipt: receipt.clone(),
            }
        }
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

/// The middle of the time that ACS keeps it.
fn half_time(entry: &LedgerEntry) -> Timestamp {
    let kept = entry.expires_at.duration_since(entry.recorded_at);
    entry
        .recorded_at
        .checked_add(kept / 2)
        .unwrap_or(Timestamp::MAX)
}

/// The reason why its source is never deleted at ACS, whatever an operator accepts, if there is one.
fn kept_for_good(entry: &LedgerEntry) -> Option<Objection> {
    let expires_at = entry.expires_at;
    entry.rebuilt.then_some(Objection::Rebuilt { expires_at })
}

/// Whether another event may still announce the whole file.
fn has_event_to_come(why: CutShort) -> bool {
    match why {
        CutShort::NotStoredWhole | CutShort::FormNotCopied => false,
        CutShort::LaterFormFailed | CutShort::CopiedUnfinished => true,
    }
}

fn after_export(
    entry: &LedgerEntry,
    receipt: &ExportReceipt,
    deletion: DeletionPolicy,
    now: Timestamp,
) -> NextStep {
    if entry.chunk.locations.delete.is_none() {
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection: Objection::NoDeleteLocation {
                expires_at: entry.expires_at,
            },
        };
    }
    // A file that may be incomplete is never deleted at ACS.
    if let Some(why) = entry.cut_short() {
        // Its final event may still come; ACS keeps the file for as long as it can.
        let is_over = now >= entry.surely_gone_at || !has_event_to_come(why);
        if !is_over {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection: why.into(),
        };
    }
    let damaged = entry.open_damage().map(|_| Objection::Damaged);
    if let Some(objection) = kept_for_good(entry).or(damaged) {
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection,
        };
    }
    if let Some(objection) = deletion.objection(entry, receipt) {
        if now < entry.surely_gone_at {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection,
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
