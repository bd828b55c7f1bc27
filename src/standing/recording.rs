//! The standing of a recording, from its account, the entries of its chunks and the time. Pure.

use jiff::SignedDuration;

use super::chunk::import_note;
use super::{Assessment, OperatorStep, Rules, Standing, of_chunk};
use crate::clock::{CLOCKS_DIFFER, is_ahead};
use crate::control::entry::{RecordingStatus, RegisteredRecording};
use crate::export::LedgerEntry;
use crate::recording::DocumentId;

/// Files may be shorter than their recording by this much, whatever its length: the clocks differ.
const TOLERATED_GAP_MS: u64 = 30_000;
/// … and by this share of its length, if that is not more than `MOST_TOLERATED_MS`.
const TOLERATED_GAP_SHARE: u64 = 20;
const MOST_TOLERATED_MS: u64 = 60_000;
/// The sweep asks ACS every few minutes whether a recording runs; after a longer silence its state is unknown.
const CONFIRMED_FOR: SignedDuration = SignedDuration::from_mins(30);

/// A chunk that an event announced.
#[derive(Debug, Clone)]
pub struct KnownChunk {
    pub index: u32,
    pub document_id: DocumentId,
    pub entry: ChunkEntry,
}

impl KnownChunk {
    /// Returns what a standing says of a copy that was imported by hand, as a reason of the chunk and as one of its
    /// recording. It is a note, and no defect.
    pub fn import_notes(&self) -> impl Iterator<Item = String> {
        let receipt = self.entry.found().and_then(|entry| entry.state.receipt());
        let note = receipt.and_then(import_note);
        let of_recording = note.as_deref().map(|note| self.named(note));
        note.into_iter().chain(of_recording)
    }

    /// Returns a reason of its standing, as its recording has it.
    fn named(&self, reason: &str) -> String {
        format!("chunk {} ({}) {reason}", self.index, self.document_id)
    }
}

/// What the ledger has of an announced chunk.
#[derive(Debug, Clone)]
pub enum ChunkEntry {
    Found(Box<LedgerEntry>),
    Absent,
    Unreadable,
}

impl ChunkEntry {
    /// Returns the entry, if there is a readable one.
    pub fn found(&self) -> Option<&LedgerEntry> {
        match self {
            Self::Found(entry) => Some(entry),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// Returns the standing of a recording at a time.
pub fn of_recording(
    account: &RegisteredRecording,
    chunks: &[KnownChunk],
    rules: Rules,
) -> Assessment {
    let mut parts: Vec<Assessment> = of_account(account, chunks, rules).into_iter().collect();
    parts.extend(chunks.iter().map(|chunk| of_known(chunk, rules)));
    Assessment::of_parts(parts)
}

/// Classifies a chunk as a part of its recording: its reasons name it.
fn of_known(chunk: &KnownChunk, rules: Rules) -> Assessment {
    let unknown =
        |problem: &str| Assessment::because(Standing::Unknown, problem, OperatorStep::Rebuild);
    let mut part = match &chunk.entry {
        ChunkEntry::Found(entry) => of_chunk(entry, rules.now),
        ChunkEntry::Absent => unknown("is not in the ledger"),
        ChunkEntry::Unreadable => unknown("has an entry in the ledger that is not readable"),
    };
    for reason in &mut part.reasons {
        *reason = chunk.named(reason);
    }
    part
}

/// Returns the standing by the account alone. `None`: its chunks decide.
fn of_account(
    account: &RegisteredRecording,
    chunks: &[KnownChunk],
    rules: Rules,
) -> Option<Assessment> {
    if account.erased.is_some() {
        return Some(Assessment::plain(Standing::Erased));
    }
    let problems = problems(account, chunks);
    let ended_at = match &account.status {
        RecordingStatus::Running => return Some(running(account, rules)),
        RecordingStatus::Failed { .. } => {
            let part = Assessment {
                standing: Standing::Failed,
                reasons: problems.clone(),
                deadline: None,
                next_step: OperatorStep::StartAgain,
            };
            return Some(acknowledged_or(account, &problems, part));
        }
        RecordingStatus::Stopped { at } => *at,
    };
    if problems.is_empty() {
        return None;
    }
    let announced_by = ended_at
        .checked_add(rules.missing_after)
        .unwrap_or(jiff::Timestamp::MAX);
    let part = |standing, next_step| Assessment {
        standing,
        reasons: problems.clone(),
        deadline: None,
        next_step,
    };
    if rules.now < announced_by && account.files.missing_since.is_none() {
        return Some(part(Standing::AwaitingFiles, OperatorStep::Nothing).until(announced_by));
    }
    let standing = if account.files.chunks.is_empty() {
        Standing::Missing
    } else {
        Standing::Incomplete
    };
    let dropped_at = ended_at
        .checked_add(rules.source_retention)
        .unwrap_or(jiff::Timestamp::MAX);
    let part = if rules.now < dropped_at {
        part(standing, OperatorStep::CheckEvents).until(dropped_at)
    } else {
        let mut part = part(standing, OperatorStep::Acknowledge);
        part.reasons
            .push("ACS has dropped what was not announced".to_owned());
        part
    };
    Some(acknowledged_or(account, &problems, part))
}

fn running(account: &RegisteredRecording, rules: Rules) -> Assessment {
    if is_ahead(account.heard_at, rules.now) {
        let reason = format!(
            "by a clock that was ahead, ACS confirmed at {:.0} that it runs; run `recording-vault doctor`",
            account.heard_at
        );
        return Assessment::because(Standing::Unknown, reason, OperatorStep::CheckEvents);
    }
    if rules.now.duration_since(account.heard_at) > CONFIRMED_FOR {
        let reason = format!(
            "ACS has not confirmed since {:.0} that it runs; run `recording-vault doctor`",
            account.heard_at
        );
        return Assessment::because(Standing::Unknown, reason, OperatorStep::CheckEvents);
    }
    let due = rules.now.checked_sub(CLOCKS_DIFFER).unwrap_or(rules.now);
    if account.overdue_pause(due).is_some() {
        let reason = "its pause should have ended, and ACS did not resume it: what is said now may not be recorded; \
                      resume it";
        return Assessment::because(Standing::Unknown, reason, OperatorStep::CheckEvents);
    }
    let (standing, reason) = if account.open_pause().is_some() {
        (Standing::Paused, "it is paused")
    } else {
        (Standing::Active, "it still runs")
    };
    Assessment::because(standing, reason, OperatorStep::Nothing)
}

/// Returns what is wrong with a recording as a whole, whatever happens to its single chunks. Time does not change it.
pub fn problems(account: &RegisteredRecording, chunks: &[KnownChunk]) -> Vec<String> {
    let problems = account.problems();
    if problems.is_empty() && matches!(account.status, RecordingStatus::Stopped { .. }) {
        return gap(chunks).into_iter().collect();
    }
    problems
}

/// Says how much of the recording its files lack, by the lengths in event and metadata.
fn gap(chunks: &[KnownChunk]) -> Option<String> {
    let entries = chunks.iter().map(|chunk| chunk.entry.found());
    let entries = entries.collect::<Option<Vec<&LedgerEntry>>>()?;
    let announced_ms = entries.iter().find_map(|entry| entry.chunk.duration_ms)?;
    let lengths = entries.iter().map(|entry| {
        let metadata = entry.metadata.as_ref()?;
        let paused_ms = metadata.pauses.iter().map(|pause| pause.duration_ms);
        Some(paused_ms.fold(metadata.duration_ms?, u64::saturating_add))
    });
    let held_ms = lengths
        .collect::<Option<Vec<u64>>>()?
        .into_iter()
        .fold(0, u64::saturating_add);
    let lacking_ms = announced_ms.checked_sub(held_ms)?;
    let share_ms = (announced_ms / TOLERATED_GAP_SHARE).min(MOST_TOLERATED_MS);
    (lacking_ms > TOLERATED_GAP_MS.max(share_ms)).then(|| {
        let seconds = |ms: u64| ms / 1000;
        format!(
            "its files hold {} s of {} s",
            seconds(held_ms),
            seconds(announced_ms)
        )
    })
}

fn acknowledged_or(
    account: &RegisteredRecording,
    problems: &[String],
    part: Assessment,
) -> Assessment {
    match &account.acknowledged {
        Some(acknowledged) if acknowledged.covers(problems) => Assessment {
            standing: Standing::Acknowledged,
            reasons: part
                .reasons
                .iter()
                .map(|reason| format!("{reason} (acknowledged: {})", acknowledged.said.reason))
                .collect(),
            deadline: None,
            next_step: OperatorStep::Nothing,
        },
        _ => part,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::control::entry::{AcknowledgedProblems, Erased};
    use crate::export::ChunkState;
    use crate::export::receipt::tests::receipt;
    use crate::recording::{Acknowledgement, MetadataSummary};
    use crate::standing::chunk::tests::{at, dead, expired, in_state};

    const ENDED: &str = "2026-03-02T10:00:00Z";
    const LATER: &str = "2026-03-02T10:40:00Z";

    fn rules(now: &str) -> Rules {
        Rules {
            now: at(now),
            missing_after: Duration::from_mins(30),
            source_retention: Duration::from_hours(24),
        }
    }

    fn account(documents: &[(u32, &str)], has_last: bool) -> RegisteredRecording {
        let mut account = RegisteredRecording::unknown("r".parse().unwrap(), at(ENDED));
        account.status = RecordingStatus::Stopped { at: at(ENDED) };
        account.files.has_last = has_last;
        for (index, document) in documents {
            let here = account.files.chunks.entry(*index).or_default();
            here.insert(document.parse().unwrap());
            account.files.announced_at = Some(at(ENDED));
        }
        account
    }

    fn chunk(index: u32, document: &str, entry: ChunkEntry) -> KnownChunk {
        KnownChunk {
            index,
            document_id: document.parse().unwrap(),
            entry,
        }
    }

    fn found(state: ChunkState) -> ChunkEntry {
        ChunkEntry::Found(Box::new(in_state(state)))
    }

    fn exported() -> ChunkEntry {
        found(ChunkState::Exported { receipt: receipt() })
    }

    fn standing(account: &RegisteredRecording, chunks: &[KnownChunk], now: &str) -> Standing {
        let assessment = of_recording(account, chunks, rules(now));
        assert!(
            assessment.standing.steps().contains(&assessment.next_step),
            "{assessment:?}"
        );
        assessment.standing
    }

    #[test]
    fn a_recording_goes_from_running_to_awaited_to_missing() {
        let mut account = account(&[], false);
        let ended = std::mem::replace(&mut account.status, RecordingStatus::Running);
        assert_eq!(standing(&account, &[], ENDED), Standing::Active);
        assert_eq!(
            standing(&account, &[], LATER),
            Standing::Unknown,
            "ACS has said nothing of it for 40 minutes"
        );
        let before = "2026-03-02T06:00:00Z";
        assert_eq!(
            standing(&account, &[], before),
            Standing::Unknown,
            "ACS said it by a clock that was ahead"
        );
        account.start_paused(at(ENDED));
        assert_eq!(standing(&account, &[], ENDED), Standing::Paused);
        let later = "2026-03-02T10:06:00Z";
        assert_eq!(standing(&account, &[], later), Standing::Paused);
        account.pauses[0].resume_at = Some(at(ENDED));
        assert_eq!(standing(&account, &[], ENDED), Standing::Paused);
        assert_eq!(standing(&account, &[], later), Standing::Unknown, "overdue");
        account.pauses.clear();
        account.status = ended;
        assert_eq!(standing(&account, &[], ENDED), Standing::AwaitingFiles);
        assert_eq!(standing(&account, &[], LATER), Standing::Missing);
        let missing = of_recording(&account, &[], rules(LATER));
        assert_eq!(missing.deadline, Some(at("2026-03-03T10:00:00Z")));
        let gone = of_recording(&account, &[], rules("2026-03-03T10:00:00Z"));
        assert_eq!(
            (gone.standing, gone.deadline, gone.next_step),
            (Standing::Missing, None, OperatorStep::Acknowledge)
        );
        account.files.missing_since = Some(at(ENDED));
        assert_eq!(standing(&account, &[], ENDED), Standing::Missing);
    }

    #[test]
    fn a_gap_or_a_missing_end_is_awaited_and_then_incomplete() {
        for (documents, has_last) in [([(0, "a"), (2, "c")], true), ([(0, "a"), (1, "c")], false)] {
            let account = account(&documents, has_last);
            let chunks = [
                chunk(0, "a", exported()),
                chunk(documents[1].0, "c", exported()),
            ];
            assert_eq!(standing(&account, &chunks, ENDED), Standing::AwaitingFiles);
            assert_eq!(standing(&account, &chunks, LATER), Standing::Incomplete);
        }
    }

    #[test]
    fn chunk_entries_that_could_not_be_read_leave_the_recording_incomplete() {
        let mut account = account(&[(0, "a")], true);
        account
            .files
            .refused
            .insert("`documentId` is missing".to_owned());
        let chunks = [chunk(0, "a", exported())];
        assert_eq!(standing(&account, &chunks, LATER), Standing::Incomplete);
    }

    #[test]
    fn the_worst_chunk_decides_whatever_the_account_says() {
        let account = account(&[(0, "a"), (1, "b")], true);
        let of = |entry| {
            let chunks = [chunk(0, "a", exported()), chunk(1, "b", entry)];
            standing(&account, &chunks, LATER)
        };
        assert_eq!(of(exported()), Standing::Verified);
        assert_eq!(of(found(ChunkState::Pending)), Standing::Waiting);
        assert_eq!(of(found(dead())), Standing::Failed);
        assert_eq!(of(found(expired())), Standing::Lost);
        assert_eq!(of(ChunkEntry::Absent), Standing::Unknown);
        assert_eq!(of(ChunkEntry::Unreadable), Standing::Unknown);
    }

    #[test]
    fn a_start_that_failed_asks_for_another() {
        let mut account = account(&[], false);
        account.status = RecordingStatus::Failed {
            at: at(ENDED),
            reason: "no media".to_owned(),
        };
        assert_eq!(standing(&account, &[], LATER), Standing::Failed);
    }

    #[test]
    fn what_was_erased_is_erased_unless_a_copy_is_left() {
        let mut account = account(&[(0, "a")], true);
        account.erased = Some(Erased {
            at: at(ENDED),
            reason: "asked".to_owned(),
        });
        let removed = found(ChunkState::Removed {
            receipt: None,
            source: None,
            removed_at: at(ENDED),
            reason: "asked".to_owned(),
        });
        let chunks = [chunk(0, "a", removed)];
        assert_eq!(standing(&account, &chunks, LATER), Standing::Erased);
        let chunks = [chunk(0, "a", exported())];
        assert_eq!(standing(&account, &chunks, LATER), Standing::Verified);
    }

    #[test]
    fn an_acknowledgement_covers_what_was_known_and_nothing_that_came_later() {
        let mut account = account(&[], false);
        let known = problems(&account, &[]);
        account.acknowledged = Some(AcknowledgedProblems {
            said: Acknowledgement {
                at: at(ENDED),
                by: None,
                reason: "a test".to_owned(),
            },
            problems: known,
        });
        assert_eq!(
            standing(&account, &[], "2026-03-05T10:00:00Z"),
            Standing::Acknowledged
        );
        account.files.has_empty_event = true;
        assert_eq!(
            standing(&account, &[], "2026-03-05T10:00:00Z"),
            Standing::Missing
        );
    }

    #[rstest::rstest]
    #[case(3_600_000, 60_000, 0, true)]
    #[case(3_600_000, 3_590_000, 0, false)]
    #[case(3_600_000, 60_000, 3_540_000, false)]
    #[case(60_000, 35_000, 0, false)]
    #[case(72_000_000, 71_941_000, 0, false)]
    #[case(72_000_000, 71_939_000, 0, true)]
    fn files_that_hold_much_less_than_was_recorded_are_not_all(
        #[case] announced_ms: u64,
        #[case] held_ms: u64,
        #[case] paused_ms: u64,
        #[case] expected: bool,
    ) {
        let mut entry = in_state(ChunkState::Exported { receipt: receipt() });
        entry.chunk.duration_ms = Some(announced_ms);
        entry.metadata = Some(MetadataSummary {
            duration_ms: Some(held_ms),
            pauses: vec![crate::recording::PauseInterval {
                offset_ms: 0,
                duration_ms: paused_ms,
            }],
            ..MetadataSummary::default()
        });
        let chunks = [chunk(0, "a", ChunkEntry::Found(Box::new(entry)))];
        let account = account(&[(0, "a")], true);
        let is_incomplete = standing(&account, &chunks, LATER) == Standing::Incomplete;
        assert_eq!(is_incomplete, expected);
    }

    #[test]
    fn time_alone_never_makes_a_settled_recording_worse() {
        let account = account(&[(0, "a")], true);
        let chunks = [chunk(0, "a", exported())];
        for days in 0..40 {
            let now = at(ENDED) + SignedDuration::from_hours(24 * days);
            let now: Timestamp = now;
            assert_eq!(
                standing(&account, &chunks, &now.to_string()),
                Standing::Verified
            );
        }
    }
}
