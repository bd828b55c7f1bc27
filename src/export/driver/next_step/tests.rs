//! What is due for a chunk, state by state.

use super::*;
use crate::export::destination::Protection;
use crate::export::entry::Damage;
use crate::export::entry::tests::entry;
use crate::export::receipt::tests::receipt;
use crate::export::state::SourceEnd;
use crate::media::plausibility::Plausibility;
use crate::media::{MediaExamination, MediaProbe};

const HOUR: DeletionPolicy = DeletionPolicy {
    delay: Duration::from_hours(1),
    anomalies: OnAnomaly::Keep,
    unknown_media: OnUnknownMedia::Delete,
    other_objects: OnOtherObject::Keep,
    unsolicited: OnUnsolicited::Delete,
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
        matches!(&step, NextStep::LeaveSource { objection, .. } if objection.to_string().contains("could not be checked")),
        "{step:?}"
    );
    entry.anomaly_accepted_at = Some(now);
    assert!(matches!(
        next_step(&entry, careful, now),
        NextStep::DeleteSource { .. }
    ));
}

#[test]
fn a_source_that_nobody_asked_for_stays_where_the_policy_says_so_until_it_is_accepted() {
    let now = at("2026-03-02T12:00:00Z");
    let mut entry = exported();
    let careful = DeletionPolicy {
        unsolicited: OnUnsolicited::Keep,
        ..HOUR
    };
    let is_deleted = |entry: &LedgerEntry, policy| {
        matches!(next_step(entry, policy, now), NextStep::DeleteSource { .. })
    };
    assert!(is_deleted(&entry, careful));
    entry.unsolicited = true;
    assert!(is_deleted(&entry, HOUR));
    let until = entry.surely_gone_at;
    assert_eq!(next_step(&entry, careful, now), NextStep::Wait { until });
    let left = next_step(&entry, careful, until);
    assert!(
        matches!(&left, NextStep::LeaveSource { objection, .. } if objection.to_string().contains("CallStarted")),
        "{left:?}"
    );
    entry.anomaly_accepted_at = Some(now);
    assert!(is_deleted(&entry, careful));
}

#[test]
fn a_copy_in_the_backup_vault_is_moved_home_before_its_source_is_deleted() {
    let mut entry = exported();
    let media = receipt().media().clone();
    let receipt = ExportReceipt::new(
        media,
        None,
        VaultName::Backup,
        None,
        at("2026-03-02T10:00:00Z"),
    );
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
fn no_source_of_a_copy_that_was_found_damaged_is_deleted() {
    let now = at("2026-03-02T12:00:00Z");
    let mut entry = exported();
    entry.damage = Some(Box::new(Damage {
        found_at: now,
        problem: "it has another SHA-256".to_owned(),
        by_reading: true,
    }));
    // An operator accepts what a copy says, not what is wrong with it.
    for accepted in [None, Some(now)] {
        entry.anomaly_accepted_at = accepted;
        let step = next_step(&entry, HOUR, now);
        assert!(matches!(step, NextStep::ReplaceDamaged { .. }), "{step:?}");
        let step = next_step(&entry, HOUR, entry.surely_gone_at);
        assert!(
            matches!(
                &step,
                NextStep::LeaveSource {
                    objection: Objection::Damaged,
                    ..
                }
            ),
            "{step:?}"
        );
    }
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
        matches!(&step, NextStep::LeaveSource { objection, .. } if objection.to_string().contains("could not store")),
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
            source: None,
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
fn media_that_is_unknown_stays_whatever_else_is_doubtful_in_its_copy() {
    let anomaly = "the metadata is that of another chunk".to_owned();
    let receipt = receipt().with_doubts(Some(anomaly), Vec::new());
    assert_eq!(receipt.media_verdict(), MediaVerdict::Unknown);
    let mut entry = LedgerEntry {
        state: ChunkState::Exported { receipt },
        ..exported()
    };
    let now = at("2026-03-02T12:00:00Z");
    let policy = DeletionPolicy {
        anomalies: OnAnomaly::Delete,
        unknown_media: OnUnknownMedia::Keep,
        ..HOUR
    };
    let until = entry.surely_gone_at;
    assert_eq!(next_step(&entry, policy, now), NextStep::Wait { until });
    let is_deleted = |entry: &LedgerEntry, policy: DeletionPolicy| {
        matches!(next_step(entry, policy, now), NextStep::DeleteSource { .. })
    };
    let unknown_media = OnUnknownMedia::Delete;
    let careless = DeletionPolicy {
        unknown_media,
        ..policy
    };
    assert!(is_deleted(&entry, careless));
    assert!(is_deleted(&doubtful(), policy), "what disagrees is known");
    entry.anomaly_accepted_at = Some(now);
    assert!(is_deleted(&entry, policy));
}

#[test]
fn late_metadata_is_copied_before_the_backup_vault_is_cleared_and_after_a_damaged_copy_is_replaced()
{
    let now = at("2026-03-02T12:00:00Z");
    let mut entry = LedgerEntry {
        uses_backup: true,
        ..exported()
    };
    entry.chunk.locations.metadata = None;
    let clears = |entry| matches!(next_step(entry, HOUR, now), NextStep::ClearBackup { .. });
    assert!(clears(&entry));
    entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
    assert_eq!(next_step(&entry, HOUR, now), NextStep::Export);
    let gone_at = entry.surely_gone_at;
    assert!(matches!(
        next_step(&entry, HOUR, gone_at),
        NextStep::ClearBackup { .. }
    ));
    entry.uses_backup = false;
    entry.damage = Some(Box::new(Damage {
        found_at: now,
        problem: "it differs".to_owned(),
        by_reading: true,
    }));
    assert!(matches!(
        next_step(&entry, HOUR, now),
        NextStep::ReplaceDamaged { .. }
    ));
}
