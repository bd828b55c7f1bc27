//! The standing of a chunk in each state and at each time.

use std::time::Duration;

use super::*;
use crate::export::entry::tests::{claimed_until, entry};
use crate::export::entry::{Failure, FurtherFile, Obstacle};
use crate::export::receipt::tests::{doubtful_receipt, receipt, receipt_in_backup};
use crate::export::state::SourceEnd;
use crate::recording::{Acknowledgement, AnnouncedFile};

const EARLY: &str = "2026-03-02T10:00:00Z";
const HALF: &str = "2026-03-02T22:00:00Z";
const GONE: &str = "2026-03-05T00:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn in_state(state: ChunkState) -> LedgerEntry {
    let mut entry = entry();
    entry.state = state;
    entry
}

pub(crate) fn dead() -> ChunkState {
    ChunkState::DeadLettered {
        at: at(EARLY),
        reason: "refused".to_owned(),
    }
}

pub(crate) fn expired() -> ChunkState {
    ChunkState::Expired {
        seen_at: at(EARLY),
        reason: "404".to_owned(),
    }
}

#[test]
fn a_copy_in_the_backup_vault_is_at_risk_only_after_several_moves_and_where_acs_dropped_its_source()
{
    let mut entry = in_state(ChunkState::Exported {
        receipt: receipt_in_backup(),
    });
    let mut standing_after = |moves: u32| {
        entry.vault_failures = moves;
        of_chunk(&entry, at("2027-03-05T00:00:00Z")).standing
    };
    assert_eq!(standing_after(MOVES_TRIED - 1), Standing::BackupOnly);
    assert_eq!(standing_after(MOVES_TRIED), Standing::AtRisk);
    let url = "https://mine.blob.core.windows.net/calls/x.wav";
    entry.chunk.locations.content = Some(url.to_owned());
    assert!(entry.is_external());
    let own = of_chunk(&entry, at("2027-03-05T00:00:00Z")).standing;
    assert_eq!(own, Standing::BackupOnly);
}

fn standing(entry: &LedgerEntry, now: &str) -> Standing {
    let assessment = of_chunk(entry, at(now));
    assert!(
        assessment.standing.steps().contains(&assessment.next_step),
        "{assessment:?}"
    );
    assert!(
        assessment.deadline.is_none() || assessment.standing.deadline().is_some(),
        "{assessment:?}"
    );
    assessment.standing
}

#[test]
fn every_state_has_its_standing_at_every_time() {
    let exported = |receipt| ChunkState::Exported { receipt };
    let left = |receipt| ChunkState::SourceLeft {
        receipt,
        reason: "r".to_owned(),
    };
    let deleted = |receipt| ChunkState::SourceDeleted {
        receipt,
        deleted_at: at(EARLY),
    };
    let removed = ChunkState::Removed {
        receipt: None,
        source: None,
        removed_at: at(EARLY),
        reason: "policy".to_owned(),
    };
    let cases: Vec<(ChunkState, [Standing; 3])> = vec![
        (
            ChunkState::Pending,
            [Standing::Waiting, Standing::AtRisk, Standing::AtRisk],
        ),
        (exported(receipt()), [Standing::Verified; 3]),
        (deleted(receipt()), [Standing::Verified; 3]),
        (left(receipt()), [Standing::Verified; 3]),
        (exported(receipt_in_backup()), [Standing::BackupOnly; 3]),
        (exported(doubtful_receipt()), [Standing::Doubtful; 3]),
        (left(doubtful_receipt()), [Standing::Doubtful; 3]),
        (removed, [Standing::Removed; 3]),
        (expired(), [Standing::Lost; 3]),
        (dead(), [Standing::Failed, Standing::Failed, Standing::Lost]),
    ];
    for (state, expected) in cases {
        let entry = in_state(state);
        let found = [EARLY, HALF, GONE].map(|now| standing(&entry, now));
        assert_eq!(found, expected, "{:?}", entry.state);
    }
}

#[test]
fn a_chunk_at_risk_names_its_last_failure_and_its_deadline() {
    let mut entry = entry();
    entry.failures.push(Failure {
        at: at(EARLY),
        reason: "ACS answered 500".to_owned(),
    });
    let assessment = of_chunk(&entry, at(HALF));
    assert!(assessment.reasons[0].ends_with("the last failure: ACS answered 500"));
    assert_eq!(assessment.deadline, Some(entry.expires_at));
    let over = of_chunk(&entry, at(GONE));
    assert!(
        over.reasons[0].contains("its time at ACS has expired"),
        "{over:?}"
    );
}

#[test]
fn attempts_that_fail_in_a_row_need_attention_only_after_some_time() {
    let minutes = |minutes| at(EARLY) + Duration::from_mins(minutes);
    let mut entry = entry();
    for minute in [0, 1, 2] {
        entry.attempts += 1;
        entry.note_failure(minutes(minute), "ACS answered 503");
    }
    assert_eq!(of_chunk(&entry, minutes(9)).standing, Standing::Waiting);
    let late = of_chunk(&entry, minutes(10));
    assert_eq!(late.standing, Standing::AtRisk, "{late:?}");
    let reason = &late.reasons[0];
    assert!(
        reason.contains("3 attempts in a row have failed since 2026-03-02T10:00:00Z"),
        "{reason}"
    );
    // Those of the vault count too; a success begins the count again.
    (entry.attempts, entry.vault_failures) = (1, 2);
    assert_eq!(of_chunk(&entry, minutes(10)).standing, Standing::AtRisk);
    (entry.attempts, entry.vault_failures) = (2, 0);
    let begun_again = of_chunk(&entry, minutes(60));
    assert_eq!(begun_again.standing, Standing::Waiting);
}

#[test]
fn a_chunk_that_cannot_be_copied_before_a_person_acts_needs_attention_at_once() {
    let mut entry = entry();
    entry.obstacle = Some(Obstacle::RedirectRefused);
    entry.note_failure(at(EARLY), "ACS redirected to a refused location");
    let assessment = of_chunk(&entry, at(EARLY));
    assert_eq!(assessment.standing, Standing::AtRisk, "{assessment:?}");
    assert_eq!(assessment.next_step, OperatorStep::CheckExport);
    assert_eq!(assessment.deadline, Some(entry.expires_at));
    let reason = &assessment.reasons[0];
    assert!(
        reason.contains("add it to ACS_CONTENT_HOSTS") && reason.contains("the last failure: "),
        "{reason}"
    );
    let mut entry = in_state(ChunkState::Exported {
        receipt: receipt_in_backup(),
    });
    entry.obstacle = Some(Obstacle::NamesTaken);
    assert_eq!(standing(&entry, EARLY), Standing::AtRisk);
}

#[test]
fn what_is_in_the_customers_own_storage_is_never_dropped_by_acs() {
    let mut entry = in_state(dead());
    entry.chunk.storage_type = Some("AzureBlob".to_owned());
    assert_eq!(standing(&entry, GONE), Standing::Failed);
    assert_eq!(of_chunk(&entry, at(GONE)).deadline, None);
    entry.state = ChunkState::Pending;
    assert_eq!(standing(&entry, GONE), Standing::Waiting);
}

#[test]
fn a_file_that_acs_could_not_store_whole_is_incomplete_though_its_copy_is_proved() {
    let mut entry = in_state(ChunkState::Exported { receipt: receipt() });
    entry.chunk.end_reason = Some("ChunkUploadFailure".to_owned());
    assert_eq!(standing(&entry, EARLY), Standing::Incomplete);
    entry.chunk.end_reason = None;
    entry.copied_unfinished = true;
    assert_eq!(standing(&entry, EARLY), Standing::Incomplete);
}

#[test]
fn what_is_accepted_or_acknowledged_needs_nobody_any_more() {
    let mut doubtful = in_state(ChunkState::Exported {
        receipt: doubtful_receipt(),
    });
    doubtful.anomaly_accepted_at = Some(at(EARLY));
    assert_eq!(standing(&doubtful, EARLY), Standing::Verified);
    for state in [dead(), expired()] {
        let mut entry = in_state(state);
        entry.acknowledged = Some(Acknowledgement {
            at: at(EARLY),
            by: None,
            reason: "a test call".to_owned(),
        });
        let assessment = of_chunk(&entry, at(GONE));
        assert_eq!(assessment.standing, Standing::Acknowledged);
        assert!(
            assessment.reasons[0].ends_with("(acknowledged: a test call)"),
            "{assessment:?}"
        );
        entry.acknowledged = None;
        assert_eq!(standing(&entry, GONE), Standing::Lost);
    }
}

#[test]
fn a_deletion_from_the_vault_that_no_process_continues_is_not_known_to_be_done() {
    let source = SourceEnd::Deleted {
        deleted_at: at(EARLY),
    };
    for receipt in [None, Some(receipt())] {
        let mut removing = claimed_until(at(EARLY) + Duration::from_mins(1));
        removing.state = ChunkState::Removing {
            receipt,
            source: source.clone(),
            began_at: at(EARLY),
        };
        assert_eq!(standing(&removing, EARLY), Standing::Removed);
        let later = of_chunk(&removing, at(HALF));
        assert_eq!(later.standing, Standing::Unknown, "{later:?}");
        assert_eq!(later.next_step, OperatorStep::FinishDeletion);
        let reason = &later.reasons[0];
        assert!(reason.contains("begun at 2026-03-02T10:00:00Z"), "{reason}");
        removing.acknowledged = Some(Acknowledgement {
            at: at(HALF),
            by: None,
            reason: "held since".to_owned(),
        });
        assert_eq!(standing(&removing, HALF), Standing::Acknowledged);
    }
}

#[test]
fn announced_metadata_without_a_copy_is_waited_for_and_then_doubtful() {
    let mut entry = in_state(ChunkState::Exported { receipt: receipt() });
    entry.chunk.locations.metadata = None;
    assert_eq!(standing(&entry, EARLY), Standing::Verified);
    entry.chunk.locations.metadata = Some("https://acs.example/metadata".to_owned());
    let waiting = of_chunk(&entry, at(EARLY));
    assert_eq!(waiting.standing, Standing::Waiting, "{waiting:?}");
    assert_eq!(waiting.deadline, Some(entry.expires_at));
    assert_eq!(standing(&entry, HALF), Standing::AtRisk);
    entry.state = ChunkState::SourceLeft {
        receipt: receipt(),
        reason: "r".to_owned(),
    };
    assert_eq!(standing(&entry, GONE), Standing::Doubtful);
    entry.anomaly_accepted_at = Some(at(GONE));
    assert_eq!(standing(&entry, GONE), Standing::Verified);
}

#[test]
fn a_claimed_chunk_is_being_exported() {
    let claimed = claimed_until(at(EARLY) + Duration::from_mins(1));
    assert_eq!(standing(&claimed, EARLY), Standing::Exporting);
    let claimed = claimed_until(at(HALF) + Duration::from_mins(1));
    assert_eq!(standing(&claimed, HALF), Standing::AtRisk);
}

#[test]
fn an_acknowledged_loss_hides_no_other_file_that_is_still_to_be_copied() {
    for state in [dead(), expired()] {
        let mut entry = in_state(state);
        entry.acknowledged = Some(Acknowledgement {
            at: at(EARLY),
            by: None,
            reason: "known".to_owned(),
        });
        assert_eq!(standing(&entry, EARLY), Standing::Acknowledged);
        let file = AnnouncedFile::of(&entry.chunk);
        let further = FurtherFile::new(file, at(EARLY), at(GONE));
        entry.further.push(further);
        assert_eq!(standing(&entry, EARLY), Standing::Waiting);
    }
}
