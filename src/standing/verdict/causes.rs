//! What makes a verdict: what is wrong, and what was not checked. Pure.

use jiff::{SignedDuration, Timestamp};

use super::code::{Cause, VerdictCode};
use super::{CHECK_LASTS, CheckSummary, Facts, StorageUse, counted, counted_by, is_ahead, texts};
use crate::export::ledger::TimerState;

/// What is not known of an empty ledger.
pub const LOG_NOT_READ: &str = "ledger and vault are empty, and not every record of the audit log could be read: whether there were recordings before is not known; check LEDGER_URL and VAULT_URL if there were";

/// Lists what needs a person, worst first.
pub(super) fn problems(facts: &Facts) -> Vec<Cause> {
    let mut problems: Vec<Cause> = storage_problem(&facts.storage).into_iter().collect();
    for (standing, count) in &facts.recordings {
        if let Some(code) = VerdictCode::of_standing(*standing).filter(|_| *count > 0) {
            problems.push(Cause::new(code, counted_by(*standing, *count)));
        }
    }
    problems.extend(unread_problems(facts));
    let findings = facts.check.as_ref().map_or(0, |check| check.findings);
    if findings > 0 {
        let (one, many) = (
            "finding of the last complete check",
            "findings of the last complete check",
        );
        let text = counted(findings, one, many);
        problems.push(Cause::new(VerdictCode::CheckFindings, text));
    }
    problems
}

/// Lists what is wrong and belongs to no known recording: recordings of any day may be affected. The findings of the last
/// complete check are apart.
pub fn problems_of_any_day(facts: &Facts) -> Vec<String> {
    let mut problems: Vec<Cause> = storage_problem(&facts.storage).into_iter().collect();
    problems.extend(unread_problems(facts));
    texts(&problems)
}

fn storage_problem(storage: &StorageUse) -> Option<Cause> {
    match storage {
        StorageUse::VaultEmpty => Some(Cause::new(
            VerdictCode::VaultEmpty,
            "the ledger has proofs of copies, but the vault is empty: check VAULT_URL",
        )),
        StorageUse::LedgerEmpty(remains) => {
            Some(Cause::new(VerdictCode::LedgerEmpty, remains.problem()))
        }
        StorageUse::CopiesMissing { missing, looked_at } => Some(Cause::new(
            VerdictCode::CopiesMissing,
            format!("of {looked_at} copies looked for, the vault lacks {missing}: check VAULT_URL"),
        )),
        // What cannot be read is not checked.
        StorageUse::Unused
        | StorageUse::Used
        | StorageUse::LogNotRead
        | StorageUse::VaultUnreadable { .. } => None,
    }
}

/// Entries that are missing or not readable, and events that are not readable.
fn unread_problems(facts: &Facts) -> impl Iterator<Item = Cause> {
    let unread = [
        (
            VerdictCode::UnreadableChunk,
            facts.unreadable_chunks.len(),
            "chunk whose entry is missing or not readable",
            "chunks whose entries are missing or not readable",
        ),
        (
            VerdictCode::Poison,
            facts.poison,
            "event that could not be read",
            "events that could not be read",
        ),
    ];
    let unread = unread.into_iter().filter(|(_, count, ..)| *count > 0);
    unread.map(|(code, count, one, many)| Cause::new(code, counted(count, one, many)))
}

/// Lists what the verdict does not cover.
pub(super) fn not_checked(facts: &Facts) -> Vec<Cause> {
    let mut unchecked = unread_causes(facts);
    let starts = unknown_starts(facts.unknown_starts.len(), facts.has_more_starts);
    unchecked.extend(starts.map(|text| Cause::new(VerdictCode::StartUnknown, text)));
    unchecked.extend(late_causes(facts));
    if let Some(reason) = &facts.audit_uncovered {
        let text = format!(
            "no checkpoint covers the newest records of the audit log, so their removal would not be detected: {reason}"
        );
        unchecked.push(Cause::new(VerdictCode::AuditUncovered, text));
    }
    let timer = facts.timer.and_then(late_timer);
    unchecked.extend(timer.map(|text| Cause::new(VerdictCode::TimerLate, text)));
    unchecked
}

/// Lists what could not be read, or was not read yet, and may concern recordings of any day.
pub fn not_read(facts: &Facts) -> Vec<String> {
    let mut unread = texts(&unread_causes(facts));
    // The days of the others are not known.
    let more = facts.has_more_starts;
    let unwritten = facts.unwritten_chunks;
    if unwritten > 0 {
        let chunks = counted(unwritten, "chunk is", "chunks are");
        unread.push(format!("{chunks} announced and not recorded yet"));
    }
    unread.extend(
        more.then(|| unknown_starts(facts.unknown_starts.len(), more))
            .flatten(),
    );
    unread
}

/// Names starts that ACS did not answer, if there are any.
pub fn unknown_starts(count: usize, has_more: bool) -> Option<String> {
    let starts = match (count, has_more) {
        (0, false) => return None,
        (count, false) => counted(count, "start", "starts"),
        (count, true) => format!("{count} starts or more"),
    };
    Some(format!(
        "ACS did not answer {starts}: whether a recording began is not known"
    ))
}

/// Lists what was not checked recently.
pub fn not_recent(facts: &Facts) -> Vec<String> {
    texts(&late_causes(facts))
}

fn unread_causes(facts: &Facts) -> Vec<Cause> {
    let mut unread = Vec::new();
    if facts.is_capped {
        unread.push(Cause::new(
            VerdictCode::SurveyCapped,
            "there are more recordings that are not settled than were looked at",
        ));
    }
    if let StorageUse::VaultUnreadable { reason, .. } = &facts.storage {
        let text = format!("the vault cannot be read: {reason}");
        unread.push(Cause::new(VerdictCode::VaultUnreadable, text));
    }
    if facts.storage == StorageUse::LogNotRead {
        unread.push(Cause::new(VerdictCode::NotDetermined, LOG_NOT_READ));
    }
    let kept = match facts.kept_events {
        0 => None,
        1 => Some("1 event is not completely processed".to_owned()),
        count => Some(format!("{count} events are not completely processed")),
    };
    unread.extend(kept.map(|text| Cause::new(VerdictCode::KeptEvents, text)));
    unread
}

fn late_causes(facts: &Facts) -> Vec<Cause> {
    let mut late = Vec::new();
    let sweep = late_sweep(facts.last_sweep, facts.as_of, facts.sweep_late_after);
    late.extend(sweep.map(|text| Cause::new(VerdictCode::SweepLate, text)));
    let check = late_check(facts.check.as_ref(), facts.as_of);
    late.extend(check.map(|text| Cause::new(VerdictCode::CheckLate, text)));
    let check = facts.check.as_ref();
    let unseen = check.map_or(0, |check| check.in_place_unseen);
    if unseen > 0 {
        let files = counted(unseen, "file", "files");
        let text = format!(
            "{files} in your own storage could not be looked at; check EXTERNAL_STORAGE and the rights of the identity there"
        );
        late.push(Cause::new(VerdictCode::InPlaceUnseen, text));
    }
    late
}

fn late_sweep(
    ended: Option<Timestamp>,
    now: Timestamp,
    late_after: SignedDuration,
) -> Option<String> {
    let Some(at) = ended else {
        return Some("no sweep has ended yet; check that the timer runs".to_owned());
    };
    let age = now.duration_since(at);
    if is_ahead(at, now) {
        Some(format!(
            "the time of the last sweep, {at:.0}, is in the future; check the clocks"
        ))
    } else if age > late_after {
        Some(format!(
            "the last sweep ended {} min ago, at {at:.0}; check that the timer runs",
            age.as_mins()
        ))
    } else {
        None
    }
}

/// Names a timer that does not trigger the sweeps. Requests run them in its place: without requests, files may expire
/// before a sweep sees them.
fn late_timer(timer: TimerState) -> Option<String> {
    let late = match timer {
        TimerState::Fires => return None,
        TimerState::Late { last: Some(at) } => {
            format!(
                "a request ran the last sweep, because the timer has triggered none since {at:.0}"
            )
        }
        TimerState::Late { last: None } => {
            "a request ran the last sweep, and none that the timer triggered is known".to_owned()
        }
        TimerState::Unknown => {
            return Some(
                "whether the timer triggers sweeps is not known: an earlier version of the app noted the last one; one of this version shows it".to_owned(),
            );
        }
    };
    Some(format!(
        "{late}: no sweep runs while there is no request; check that the timer of ExportSweep fires"
    ))
}

fn late_check(check: Option<&CheckSummary>, now: Timestamp) -> Option<String> {
    let Some(check) = check else {
        return Some(
            "no complete check of all recordings and of the vault's files has ended yet".to_owned(),
        );
    };
    let began_at = check.began_at;
    let age = now.duration_since(began_at);
    if is_ahead(began_at, now) {
        Some(format!(
            "the time of the last complete check, {began_at:.0}, is in the future; check the clocks"
        ))
    } else if age > CHECK_LASTS {
        Some(format!(
            "the last complete check is of {began_at:.0}, {} h ago",
            age.as_hours()
        ))
    } else {
        None
    }
}
