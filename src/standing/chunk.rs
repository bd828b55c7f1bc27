//! The standing of one chunk, from its entry and the time. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{Assessment, OperatorStep, Standing};
use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;

/// A copy that could not be moved home this often needs a person: after a short outage the sweep moves it.
const MOVES_TRIED: u32 = 3;

/// Attempts that fail in a row, and the time since the first of them, after which the chunk needs attention: a failure of a
/// moment ends before.
const FAILED_IN_A_ROW: u32 = 3;
const FAILS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Returns the standing of a chunk at a time.
pub fn of_chunk(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    match &entry.state {
        ChunkState::Pending if entry.is_unfinished_import() => unfinished_import(entry, now),
        ChunkState::Pending => pending(entry, now),
        ChunkState::Exported { receipt }
        | ChunkState::SourceDeleted { receipt, .. }
        | ChunkState::SourceLeft { receipt, .. } => copied(entry, receipt, now),
        ChunkState::Removing { began_at, .. } => removing(entry, *began_at, now),
        ChunkState::Removed { .. } => Assessment::plain(Standing::Removed),
        ChunkState::InPlace { .. } => in_place(entry, now),
        ChunkState::Expired { reason, .. } => acknowledged_or(entry, lost(reason)),
        ChunkState::DeadLettered { reason, .. } if entry.is_doomed(now) => {
            let reason = format!("it was given up ({reason}), and ACS has dropped it since");
            acknowledged_or(entry, lost(&reason))
        }
        ChunkState::DeadLettered { reason, .. } => acknowledged_or(entry, failed(entry, reason)),
    }
}

fn pending(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if entry.is_external() {
        let reason = "waits for its check in your own storage";
        return Assessment::because(Standing::Waiting, reason, OperatorStep::Nothing);
    }
    let failed = entry.attempts.saturating_add(entry.vault_failures);
    not_in_vault(entry, "", failed, now).until(entry.deadline().unwrap_or(entry.expires_at))
}

/// Classifies a deletion from the vault. One that no process works on was interrupted, or a hold stopped it: how much of
/// the copy is left is unknown.
fn removing(entry: &LedgerEntry, began_at: Timestamp, now: Timestamp) -> Assessment {
    if entry.is_claimed(now) {
        let reason = "is being deleted from the vault";
        return Assessment::because(Standing::Removed, reason, OperatorStep::Nothing);
    }
    let reason = format!(
        "may be in the vault in part: its deletion was begun at {began_at:.0}, and is not finished"
    );
    Assessment::because(Standing::Unknown, reason, OperatorStep::FinishDeletion)
}

/// Classifies a file that is still to be copied. `which`: of several files, with a space after it. `failed`: attempts that
/// failed in a row.
fn not_in_vault(entry: &LedgerEntry, which: &str, failed: u32, now: Timestamp) -> Assessment {
    let fails_since = fails_since(entry, failed, now);
    if entry.is_at_risk(now) || entry.obstacle.is_some() || fails_since.is_some() {
        let failure = entry.failures.last();
        let last = failure.map(|failure| format!("; the last failure: {}", failure.reason));
        let because = match (entry.obstacle, fails_since) {
            (Some(obstacle), _) => format!(": {obstacle}"),
            (None, Some(since)) => {
                format!(": {failed} attempts in a row have failed since {since:.0}")
            }
            (None, None) => String::new(),
        };
        let is_over = if !entry.is_at_risk(now) {
            "is not in the vault yet"
        } else if entry.deadline().is_none_or(|deadline| now < deadline) {
            "is not in the vault yet, and much of its time at ACS has passed"
        } else {
            "is not in the vault, and its time at ACS has expired"
        };
        let last = last.unwrap_or_default();
        let reason = format!("{which}{is_over}{because}{last}");
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    let standing = if entry.is_claimed(now) {
        Standing::Exporting
    } else {
        Standing::Waiting
    };
    let reason = format!("{which}is not in the vault yet");
    Assessment::because(standing, reason, OperatorStep::Nothing)
}

/// When the first of so many attempts in a row failed, if that is long ago. Of more failures than are kept, the oldest kept
/// one counts.
fn fails_since(entry: &LedgerEntry, failed: u32, now: Timestamp) -> Option<Timestamp> {
    if failed < FAILED_IN_A_ROW {
        return None;
    }
    let failures = &entry.failures;
    let in_a_row = usize::try_from(failed).unwrap_or(usize::MAX);
    let first = failures.get(failures.len().saturating_sub(in_a_row))?;
    (now.duration_since(first.at) >= FAILS_FOR).then_some(first.at)
}

/// Classifies another form of the file that is still to be copied, beside a copy.
fn pending_form(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    let failed = entry
        .pending_forms()
        .map(|form| form.attempts.saturating_add(form.unproved))
        .max()?;
    let part = not_in_vault(entry, "has another form, which ", failed, now);
    Some(part.until(entry.deadline()?))
}

/// Classifies a chunk that only an import recorded. Whether ACS ever had its file is unknown, so it is no loss.
fn unfinished_import(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if entry.is_claimed(now) {
        let reason = "is being imported by hand";
        return Assessment::because(Standing::Exporting, reason, OperatorStep::Nothing);
    }
    let reason = "has no copy: an import was begun and not finished";
    let part = Assessment::because(Standing::Failed, reason, OperatorStep::ImportAgain);
    acknowledged_or(entry, part)
}

/// Classifies metadata that is still to be copied, beside a copy of the media.
fn pending_metadata(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    if !entry.awaits_metadata() {
        return None;
    }
    let failed = entry.attempts.saturating_add(entry.vault_failures);
    let part = not_in_vault(entry, "has metadata that ", failed, now);
    Some(part.until(entry.expires_at))
}

/// Classifies a proved copy: which vault has it, and is it what it should be?
fn copied(entry: &LedgerEntry, receipt: &ExportReceipt, now: Timestamp) -> Assessment {
    let place = match receipt.vault() {
        VaultName::Home => match receipt.imported() {
            None => Assessment::plain(Standing::Verified),
            Some(import) => {
                let reason = format!("was imported by hand from {}", import.from);
                Assessment::because(Standing::Verified, reason, OperatorStep::Nothing)
            }
        },
        VaultName::Backup => in_backup_only(entry, now),
    };
    let doubt = entry.open_anomaly().map(|anomaly| {
        let reason = format!("is doubtful: {anomaly}");
        let part = Assessment::because(Standing::Doubtful, reason, OperatorStep::Accept);
        if matches!(entry.state, ChunkState::Exported { .. }) {
            part.until(entry.expires_at)
        } else {
            part
        }
    });
    let parts = [
        Some(place),
        pending_metadata(entry, now),
        pending_form(entry, now),
        cut_short(entry, now),
        doubt,
        damaged(entry),
        disputed(entry),
    ];
    Assessment::of_parts(parts.into_iter().flatten().collect())
}

/// Classifies a copy that a verification found to be damaged.
fn damaged(entry: &LedgerEntry) -> Option<Assessment> {
    let damage = entry.open_damage()?;
    let (at, problem) = (damage.found_at, &damage.problem);
    let reason = format!("has a damaged copy, by the verification at {at:.0}: {problem}");
    Some(Assessment::because(
        Standing::Doubtful,
        reason,
        OperatorStep::RestoreCopy,
    ))
}

/// Classifies a copy that the sweep moves home, unless a person has to act first.
fn in_backup_only(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if let Some(obstacle) = entry.obstacle {
        let reason = format!(
            "has its only copy in the backup vault, and the sweep cannot move it home: {obstacle}"
        );
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    // No other copy is left, and the one that is could not be moved.
    if entry.is_doomed(now) && entry.vault_failures >= MOVES_TRIED {
        let last = entry.failures.last();
        let last = last.map(|failure| format!(": {}", failure.reason));
        let reason = format!(
            "has its only copy in the backup vault, ACS has dropped its source, and the sweep could not move the copy home{}",
            last.unwrap_or_default()
        );
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    let reason = "has its only copy in the backup vault; the sweep moves it home";
    Assessment::because(Standing::BackupOnly, reason, OperatorStep::Nothing)
}

/// Classifies a file in the customer's own storage: is it whole, and the only one that events announce?
fn in_place(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    let parts = [
        Some(Assessment::plain(Standing::InPlace)),
        pending_form(entry, now),
        cut_short(entry, now),
        disputed(entry),
    ];
    Assessment::of_parts(parts.into_iter().flatten().collect())
}

/// Classifies a file that may be incomplete.
fn cut_short(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    let why = entry.cut_short()?;
    let next_step = if entry.is_worth_a_retry(now) {
        OperatorStep::Retry
    } else {
        OperatorStep::Acknowledge
    };
    let reason = format!("is not whole: {why}");
    let part = Assessment::because(Standing::Incomplete, reason, next_step);
    Some(acknowledged_or(entry, part))
}

/// Handles several places for one document: an operator decides which file is right.
fn disputed(entry: &LedgerEntry) -> Option<Assessment> {
    let places = entry.disputed_places()?;
    let reason = format!("has {places} places by its events; `accept --place` says which is right");
    Some(Assessment::because(
        Standing::Doubtful,
        reason,
        OperatorStep::Accept,
    ))
}

fn failed(entry: &LedgerEntry, reason: &str) -> Assessment {
    let reason = format!("was given up: {reason}");
    let part = Assessment::because(Standing::Failed, reason, OperatorStep::Retry);
    if entry.is_external() {
        return part;
    }
    part.until(entry.expires_at)
}

fn lost(reason: &str) -> Assessment {
    let reason = format!("is lost: {reason}");
    Assessment::because(Standing::Lost, reason, OperatorStep::Acknowledge)
}

/// Applies an acknowledgement: the standing keeps its reason, and no longer asks for anything.
fn acknowledged_or(entry: &LedgerEntry, part: Assessment) -> Assessment {
    let Some(acknowledgement) = &entry.acknowledged else {
        return part;
    };
    let why = &acknowledgement.reason;
    let reasons = part.reasons.into_iter();
    Assessment {
        standing: Standing::Acknowledged,
        reasons: reasons
            .map(|reason| format!("{reason} (acknowledged: {why})"))
            .collect(),
        deadline: None,
        next_step: OperatorStep::Nothing,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::export::entry::tests::{claimed_until, entry};
    use crate::export::entry::{Failure, Obstacle};
    use crate::export::receipt::tests::{doubtful_receipt, receipt, receipt_in_backup};
    use crate::export::state::SourceEnd;
    use crate::recording::Acknowledgement;

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
            entry.note_failure(minutes(minute), "ACS answered 503".to_owned());
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
        entry.note_failure(at(EARLY), "ACS redirected to a refused location".to_owned());
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
    fn what_lies_in_the_customers_own_storage_is_never_dropped_by_acs() {
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
}
