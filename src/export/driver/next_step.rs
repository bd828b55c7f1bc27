//! What is due for a chunk. Pure: clock and policy come in as arguments.

use std::time::Duration;

use jiff::Timestamp;

use crate::export::driver::objection::Objection;
use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::media::MediaVerdict;
use crate::recording::{ChunkEnd, OnOtherObject};

/// When a source may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionPolicy {
    /// Pause between the proof and the deletion.
    pub delay: Duration,
    pub anomalies: OnAnomaly,
    pub unknown_media: OnUnknownMedia,
    pub other_objects: OnOtherObject,
}

impl DeletionPolicy {
    /// Why a copy keeps its source from being deleted until somebody accepts it, if it does.
    pub fn copy_objection(self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Option<Objection> {
        if entry.anomaly_accepted_at.is_some() {
            return None;
        }
        // Whatever is made of anomalies: a copy that has to be protected and is not does not replace its source.
        if let Some(missing) = receipt.missing_protection() {
            return Some(Objection::Unprotected(missing));
        }
        match (receipt.anomaly(), self.anomalies) {
            (Some(anomaly), OnAnomaly::Keep) => {
                return Some(Objection::Doubtful(anomaly.to_owned()));
            }
            (Some(_), OnAnomaly::Delete) => return None,
            (None, OnAnomaly::Keep | OnAnomaly::Delete) => {}
        }
        let is_unknown = receipt.media_verdict() == MediaVerdict::Unknown;
        match self.unknown_media {
            OnUnknownMedia::Keep if is_unknown => Some(Objection::NotCompared),
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
        objection: Objection,
    },
    Wait {
        until: Timestamp,
    },
    Nothing,
}

/// Decides what is due for `entry` at `now`.
pub fn next_step(entry: &LedgerEntry, deletion: DeletionPolicy, now: Timestamp) -> NextStep {
    if let Some(until) = entry
        .not_before
        .filter(|until| now < *until && !entry.state.is_settled())
    {
        return NextStep::Wait { until };
    }
    match &entry.state {
        ChunkState::Pending if entry.is_external() => NextStep::Catalogue,
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
fn incomplete(entry: &LedgerEntry) -> Option<Objection> {
    match entry.chunk.end() {
        ChunkEnd::Failed => Some(Objection::NotStoredWhole),
        ChunkEnd::BeingRecorded => Some(Objection::CopiedUnfinished),
        ChunkEnd::Final => entry
            .copied_unfinished
            .then_some(Objection::CopiedUnfinished),
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
    if let Some(objection) = incomplete(entry) {
        // Its final event may still come; ACS keeps the file for as long as it can.
        let is_over = now >= entry.surely_gone_at || entry.chunk.end() == ChunkEnd::Failed;
        if !is_over {
            return NextStep::Wait {
                until: entry.surely_gone_at,
            };
        }
        return NextStep::LeaveSource {
            receipt: receipt.clone(),
            objection,
        };
    }
    if let Some(objection) = deletion.copy_objection(entry, receipt) {
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
mod tests {
    use super::*;
    use crate::export::destination::Protection;
    use crate::export::entry::tests::entry;
    use crate::export::receipt::tests::{receipt, receipt_in};
    use crate::export::state::SourceEnd;
    use crate::media::plausibility::Plausibility;
    use crate::media::{MediaExamination, MediaProbe};

    const HOUR: DeletionPolicy = DeletionPolicy {
        delay: Duration::from_hours(1),
        anomalies: OnAnomaly::Keep,
        unknown_media: OnUnknownMedia::Delete,
        other_objects: OnOtherObject::Keep,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn doubtful() -> LedgerEntry {
        let media = receipt().media().clone();
        let examination = Some(MediaExamination::of(
            &MediaProbe::new(0).finish(),
            0,
            Plausibility::Disagrees("the file is a web page".to_owned()),
        ));
        let receipt = ExportReceipt::new(
            media,
            None,
            VaultName::Home,
            examination,
            at("2026-03-02T10:00:00Z"),
        );
        LedgerEntry {
            state: ChunkState::Exported { receipt },
            ..exported()
        }
    }

    #[test]
    fn a_doubtful_source_stays_until_somebody_accepts_it_or_it_is_gone() {
        let mut entry = doubtful();
        let later = at("2026-03-02T12:00:00Z");
        assert_eq!(
            next_step(&entry, HOUR, later),
            NextStep::Wait {
                until: entry.surely_gone_at
            }
        );
        let step = next_step(&entry, HOUR, entry.surely_gone_at);
        assert!(
            matches!(&step, NextStep::LeaveSource { objection, .. } if objection.to_string().contains("a web page")),
            "{step:?}"
        );
        let careless = DeletionPolicy {
            anomalies: OnAnomaly::Delete,
            ..HOUR
        };
        assert!(matches!(
            next_step(&entry, careless, later),
            NextStep::DeleteSource { .. }
        ));
        entry.anomaly_accepted_at = Some(later);
        assert!(matches!(
            next_step(&entry, HOUR, later),
            NextStep::DeleteSource { .. }
        ));
    }

    #[test]
    fn the_source_of_a_copy_without_its_protection_stays_until_somebody_accepts_it() {
        let receipt = receipt().with_doubts(None, vec![Protection::LegalHold]);
        let mut entry = LedgerEntry {
            state: ChunkState::Exported { receipt },
            ..exported()
        };
        let now = at("2026-03-02T12:00:00Z");
        let careless = DeletionPolicy {
            anomalies: OnAnomaly::Delete,
            ..HOUR
        };
        let until = entry.surely_gone_at;
        assert_eq!(next_step(&entry, careless, now), NextStep::Wait { until });
        let step = next_step(&entry, careless, until);
        assert!(
            matches!(&step, NextStep::LeaveSource { objection, .. } if objection.to_string().contains("VAULT_LEGAL_HOLD")),
            "{step:?}"
        );
        entry.anomaly_accepted_at = Some(now);
        let step = next_step(&entry, HOUR, now);
        assert!(matches!(step, NextStep::DeleteSource { .. }), "{step:?}");
    }

    #[test]
    fn a_source_of_unknown_media_stays_only_where_the_policy_says_so() {
        let mut entry = exported();
        let now = at("2026-03-02T12:00:00Z");
        assert!(matches!(
            next_step(&entry, HOUR, now),
            NextStep::DeleteSource { .. }
        ));
        let careful = DeletionPolicy {
            unknown_media: OnUnknownMedia::Keep,
            ..HOUR
        };
        let until = entry.surely_gone_at;
        assert_eq!(next_step(&entry, careful, now), NextStep::Wait { until });
        let step = next_step(&entry, careful, until);
        assert!(
            matches!(
                &step,
                NextStep::LeaveSource {
                    objection: Objection::NotCompared,
                    ..
                }
            ),
            "{step:?}"
        );
        entry.anomaly_accepted_at = Some(now);
        assert!(matches!(
            next_step(&entry, careful, now),
            NextStep::DeleteSource { .. }
        ));
    }

    #[test]
    fn a_copy_in_the_backup_vault_is_moved_home_before_its_source_is_deleted() {
        let mut entry = exported();
        let receipt = receipt_in(VaultName::Backup);
        entry.state = ChunkState::Exported {
            receipt: receipt.clone(),
        };
        assert_eq!(
            next_step(&entry, HOUR, at("2026-03-02T12:00:00Z")),
            NextStep::MoveHome { receipt }
        );
    }

    fn exported() -> LedgerEntry {
        let mut entry = entry();
        entry.chunk.locations.delete = Some("https://us-storage.asm.skype.com/v1/objects/x".into());
        entry.state = ChunkState::Exported { receipt: receipt() };
        entry
    }

    #[test]
    fn a_copy_without_metadata_is_exported_again_once_a_place_for_it_is_known_until_it_is_gone() {
        let mut entry = exported();
        entry.chunk.locations.metadata =
            Some("https://us-storage.asm.skype.com/v1/objects/x/content/acsmetadata".into());
        let now = at("2026-03-02T12:00:00Z");
        assert_eq!(next_step(&entry, HOUR, now), NextStep::Export);
        let step = next_step(&entry, HOUR, entry.surely_gone_at);
        assert!(matches!(step, NextStep::DeleteSource { .. }), "{step:?}");
    }

    #[test]
    fn a_pending_chunk_is_exported_unless_it_backs_off() {
        let mut entry = entry();
        let now = at("2026-03-02T10:00:00Z");
        assert_eq!(next_step(&entry, HOUR, now), NextStep::Export);
        entry.not_before = Some(at("2026-03-02T10:00:01Z"));
        assert_eq!(
            next_step(&entry, HOUR, now),
            NextStep::Wait {
                until: at("2026-03-02T10:00:01Z")
            }
        );
    }

    #[test]
    fn deletion_waits_for_its_delay() {
        let due = at("2026-03-02T11:00:00Z");
        assert_eq!(
            next_step(&exported(), HOUR, at("2026-03-02T10:59:59Z")),
            NextStep::Wait { until: due }
        );
        assert_eq!(
            next_step(&exported(), HOUR, due),
            NextStep::DeleteSource { receipt: receipt() }
        );
    }

    #[test]
    fn a_chunk_that_is_still_recorded_is_copied_at_half_time_and_never_deleted() {
        let mut entry = entry();
        entry.chunk.end_reason = Some("ChunkIsBeingRecorded".to_owned());
        let half = at("2026-03-02T21:00:00Z");
        let before = at("2026-03-02T20:59:59Z");
        assert_eq!(
            next_step(&entry, HOUR, before),
            NextStep::Wait { until: half }
        );
        assert_eq!(next_step(&entry, HOUR, half), NextStep::Export);
        let copied = LedgerEntry {
            copied_unfinished: true,
            ..exported()
        };
        let wait = NextStep::Wait {
            until: copied.surely_gone_at,
        };
        assert_eq!(next_step(&copied, HOUR, half), wait);
        let step = next_step(&copied, HOUR, copied.surely_gone_at);
        assert!(matches!(step, NextStep::LeaveSource { .. }), "{step:?}");
    }

    #[test]
    fn a_chunk_that_acs_could_not_store_whole_is_copied_and_left() {
        let mut entry = exported();
        entry.chunk.end_reason = Some("ChunkUploadFailure".to_owned());
        let step = next_step(&entry, HOUR, at("2026-03-02T12:00:00Z"));
        assert!(
            matches!(
                &step,
                NextStep::LeaveSource {
                    objection: Objection::NotStoredWhole,
                    ..
                }
            ),
            "{step:?}"
        );
    }

    #[test]
    fn without_a_delete_location_the_source_is_left() {
        let mut entry = exported();
        entry.chunk.locations.delete = None;
        let step = next_step(&entry, HOUR, at("2026-03-02T10:00:00Z"));
        assert!(matches!(step, NextStep::LeaveSource { .. }), "{step:?}");
    }

    #[test]
    fn nothing_is_due_for_a_settled_chunk() {
        let now = at("2026-03-02T10:00:00Z");
        let states = [
            ChunkState::SourceDeleted {
                receipt: receipt(),
                deleted_at: now,
            },
            ChunkState::SourceLeft {
                receipt: receipt(),
                reason: String::new(),
            },
            ChunkState::Removing {
                receipt: Some(receipt()),
                source: SourceEnd::Deleted { deleted_at: now },
                began_at: now,
            },
            ChunkState::Removed {
                receipt: Some(receipt()),
                removed_at: now,
                reason: String::new(),
            },
            ChunkState::Expired {
                seen_at: now,
                reason: String::new(),
            },
            ChunkState::DeadLettered {
                at: now,
                reason: String::new(),
            },
        ];
        for state in states {
            assert!(state.is_settled());
            assert_eq!(
                next_step(
                    &LedgerEntry {
                        state,
                        ..exported()
                    },
                    HOUR,
                    now
                ),
                NextStep::Nothing
            );
        }
    }
}
