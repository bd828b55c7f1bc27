//! The verdict: is everything safe, and if not, what is wrong, worst first, and what is not known. Pure.
//!
//! "Safe" covers only what was checked: every recording is settled, everything announced was readable, the sweep runs,
//! and a complete check is recent. It must not know how any of that is found out.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Concern, Counts, Standing};

/// A complete check runs each night; an older one says nothing about today.
pub const CHECK_LASTS: SignedDuration = SignedDuration::from_hours(26);
/// The timer sweeps each minute; a longer interval means that something prevents it.
pub const SWEEP_IS_LATE: SignedDuration = SignedDuration::from_mins(10);

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerdictKind {
    /// Every recording is settled, and that was checked.
    Safe,
    /// Nothing is wrong, and some recordings are on their way.
    UnderWay,
    /// A person must act.
    Attention,
    /// Nothing wrong is known, and not everything was checked.
    Unknown,
    /// Nothing was ever recorded.
    NoData,
}

/// What is known at a time.
#[derive(Debug, Clone)]
pub struct Facts {
    pub as_of: Timestamp,
    /// Recordings by standing: all that are not settled, and those that were acknowledged.
    pub recordings: Counts,
    /// There are more that were not read.
    pub is_capped: bool,
    /// The nearest deadline of a recording that is not settled.
    pub first_deadline: Option<Timestamp>,
    /// Chunks with unreadable entries, of which no recording is known.
    pub unreadable_chunks: usize,
    /// Unreadable events that are not handled yet.
    pub poison: usize,
    pub last_sweep: Option<Timestamp>,
    pub check: Option<CheckSummary>,
    pub storage: StorageUse,
}

/// What the last complete check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckSummary {
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub finished_at: Timestamp,
    pub recordings: usize,
    pub chunks: usize,
    /// Files in the vault that were compared with their receipts.
    pub files: usize,
    /// What was wrong with files and entries.
    pub findings: usize,
    /// The first of it, a sentence each.
    pub examples: Vec<String>,
}

/// Whether ledger and vault hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageUse {
    /// Neither was ever used.
    Unused,
    Used,
    /// The ledger has proofs of copies, and the vault has no file.
    VaultEmpty,
    /// The vault has files, and the ledger has no chunk.
    LedgerEmpty,
}

/// Whether everything is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub kind: VerdictKind,
    /// In a few words: the worst first.
    pub headline: String,
    /// All of it, a sentence each.
    pub details: Vec<String>,
    /// What was not checked; the verdict says nothing of it.
    pub not_checked: Vec<String>,
    /// Recordings by standing: all that are not settled, and those that were acknowledged.
    #[schema(value_type = Object)]
    pub recordings: Counts,
    /// Recordings whose loss was acknowledged.
    pub acknowledged: usize,
    /// Events that could not be read.
    pub poison: usize,
    /// When the first of them gets worse by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_deadline: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_sweep: Option<Timestamp>,
    /// The last complete check.
    pub check: Option<CheckSummary>,
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.headline)?;
        for detail in &self.details {
            write!(f, "\n  {detail}")?;
        }
        for unchecked in &self.not_checked {
            write!(f, "\n  Not checked: {unchecked}")?;
        }
        match &self.check {
            Some(check) => write!(
                f,
                "\nLast complete check: {:.0}, {}, {} files in the vault.",
                check.began_at,
                recordings(check.recordings),
                check.files
            )?,
            None => write!(f, "\nLast complete check: none.")?,
        }
        match self.last_sweep {
            Some(at) => write!(f, "\nLast sweep: {at:.0}.")?,
            None => write!(f, "\nLast sweep: none.")?,
        }
        write!(f, "\nAs of {:.0}.", self.as_of)
    }
}

/// Derives the verdict from what is known.
pub fn verdict(facts: Facts) -> Verdict {
    let problems = problems(&facts);
    let not_checked = not_checked(&facts);
    let under_way = of_concern(&facts.recordings, Concern::UnderWay);
    let under_way_sentence = sentence_of(&facts, Concern::UnderWay);
    let kind = match facts.storage {
        _ if !problems.is_empty() => VerdictKind::Attention,
        StorageUse::Unused => VerdictKind::NoData,
        StorageUse::Used | StorageUse::VaultEmpty | StorageUse::LedgerEmpty => {
            match (not_checked.is_empty(), under_way) {
                (false, _) => VerdictKind::Unknown,
                (true, 0) => VerdictKind::Safe,
                (true, _) => VerdictKind::UnderWay,
            }
        }
    };
    let headline = match kind {
        VerdictKind::Attention => format!("Needs attention: {}", problems.join(", ")),
        VerdictKind::NoData => "Nothing has been recorded yet".to_owned(),
        VerdictKind::Unknown => "Not known whether everything is safe".to_owned(),
        VerdictKind::Safe => "Everything recorded is safe".to_owned(),
        VerdictKind::UnderWay => {
            format!("Nothing is wrong; {} on the way", recordings(under_way))
        }
    };
    let acknowledged = facts.recordings.get(&Standing::Acknowledged).copied();
    let acknowledged = acknowledged.unwrap_or_default();
    let mut details: Vec<String> = under_way_sentence.into_iter().collect();
    details.extend(deadline_sentence(&facts));
    let check = facts.check.iter();
    details.extend(check.flat_map(|check| check.examples.iter().cloned()));
    if acknowledged > 0 {
        details.push(format!(
            "Acknowledged losses: {}.",
            recordings(acknowledged)
        ));
    }
    Verdict {
        kind,
        headline,
        details,
        not_checked,
        acknowledged,
        poison: facts.poison,
        first_deadline: facts.first_deadline,
        last_sweep: facts.last_sweep,
        check: facts.check,
        as_of: facts.as_of,
        recordings: facts.recordings,
    }
}

/// Lists what needs a person, worst first.
fn problems(facts: &Facts) -> Vec<String> {
    let mut problems = Vec::new();
    match facts.storage {
        StorageUse::VaultEmpty => problems.push(
            "the ledger has proofs of copies, and the vault is empty: check VAULT_URL".to_owned(),
        ),
        StorageUse::LedgerEmpty => problems
            .push("the vault has files, and the ledger is empty: check LEDGER_URL".to_owned()),
        StorageUse::Unused | StorageUse::Used => {}
    }
    for (standing, count) in &facts.recordings {
        if standing.concern() == Concern::Attention && *count > 0 {
            problems.push(counted(*standing, *count));
        }
    }
    let findings = facts.check.as_ref().map_or(0, |check| check.findings);
    let others = [
        (
            facts.unreadable_chunks,
            "unreadable chunk entry",
            "unreadable chunk entries",
        ),
        (
            facts.poison,
            "event that could not be read",
            "events that could not be read",
        ),
        (
            findings,
            "finding of the last complete check",
            "findings of the last complete check",
        ),
    ];
    for (count, one, many) in others {
        match count {
            0 => {}
            1 => problems.push(format!("1 {one}")),
            count => problems.push(format!("{count} {many}")),
        }
    }
    problems
}

/// Lists what the verdict does not cover.
fn not_checked(facts: &Facts) -> Vec<String> {
    let mut unchecked = Vec::new();
    if facts.is_capped {
        unchecked
            .push("there are more recordings that are not settled than were looked at".to_owned());
    }
    let age = |at: Timestamp| facts.as_of.duration_since(at);
    match facts.last_sweep {
        None => unchecked.push("no sweep has ended yet; see that the timer runs".to_owned()),
        Some(at) if age(at) > SWEEP_IS_LATE => unchecked.push(format!(
            "the last sweep ended {} min ago, at {at:.0}; see that the timer runs",
            age(at).as_mins()
        )),
        Some(_) => {}
    }
    match &facts.check {
        None => unchecked.push(
            "no complete check of all recordings and of the vault's files has ended yet".to_owned(),
        ),
        Some(check) if age(check.began_at) > CHECK_LASTS => unchecked.push(format!(
            "the last complete check is of {:.0}, {} h ago",
            check.began_at,
            age(check.began_at).as_hours()
        )),
        Some(_) => {}
    }
    unchecked
}

fn of_concern(counts: &Counts, concern: Concern) -> usize {
    let of = counts
        .iter()
        .filter(|(standing, _)| standing.concern() == concern);
    of.map(|(_, count)| count).sum()
}

/// `1 recording paused, 2 recordings waiting for their export.`
fn sentence_of(facts: &Facts, concern: Concern) -> Option<String> {
    let of = facts.recordings.iter();
    let of = of.filter(|(standing, count)| standing.concern() == concern && **count > 0);
    let parts: Vec<String> = of
        .map(|(standing, count)| counted(*standing, *count))
        .collect();
    (!parts.is_empty()).then(|| format!("On the way: {}.", parts.join(", ")))
}

fn deadline_sentence(facts: &Facts) -> Option<String> {
    let deadline = facts.first_deadline?;
    let left = deadline.duration_since(facts.as_of);
    Some(if left.is_positive() {
        format!("The first deadline is {deadline:.0}, in {}.", rough(left))
    } else {
        format!("The first deadline was {deadline:.0}: it has passed.")
    })
}

fn rough(span: SignedDuration) -> String {
    match span.as_mins() {
        0 => "less than a minute".to_owned(),
        minutes @ 1..120 => format!("{minutes} min"),
        minutes => format!("{} h", minutes / 60),
    }
}

fn recordings(count: usize) -> String {
    match count {
        1 => "1 recording".to_owned(),
        count => format!("{count} recordings"),
    }
}

fn counted(standing: Standing, count: usize) -> String {
    let how = match standing {
        Standing::Lost => "lost",
        Standing::Failed => "failed",
        Standing::AtRisk => "at risk",
        Standing::Unknown => "unknown, not readable",
        Standing::Missing => "without files",
        Standing::Incomplete => "incomplete",
        Standing::Doubtful => "with doubtful media",
        Standing::BackupOnly => "in the backup vault only",
        Standing::Active => "running",
        Standing::Paused => "paused",
        Standing::AwaitingFiles => "waiting for files to be announced",
        Standing::Exporting => "being exported",
        Standing::Waiting => "waiting for export",
        Standing::Acknowledged => "lost and acknowledged",
        Standing::Verified => "safe",
        Standing::InPlace => "in your own storage",
        Standing::Erased => "erased",
        Standing::Removed => "removed by policy",
    };
    format!("{} {how}", recordings(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn facts(recordings: &[(Standing, usize)]) -> Facts {
        let as_of = at("2026-03-02T12:00:00Z");
        Facts {
            as_of,
            recordings: recordings.iter().copied().collect(),
            is_capped: false,
            first_deadline: None,
            unreadable_chunks: 0,
            poison: 0,
            last_sweep: Some(at("2026-03-02T11:59:00Z")),
            check: Some(CheckSummary {
                began_at: at("2026-03-02T02:00:00Z"),
                finished_at: at("2026-03-02T02:01:00Z"),
                recordings: 7,
                chunks: 7,
                files: 21,
                findings: 0,
                examples: Vec::new(),
            }),
            storage: StorageUse::Used,
        }
    }

    fn kind(facts: Facts) -> VerdictKind {
        verdict(facts).kind
    }

    #[test]
    fn safe_is_said_only_if_every_recording_is_and_everything_was_checked() {
        assert_eq!(kind(facts(&[])), VerdictKind::Safe);
        assert_eq!(
            kind(facts(&[(Standing::Acknowledged, 1)])),
            VerdictKind::Safe
        );
        for standing in Standing::ALL {
            let found = kind(facts(&[(standing, 1)]));
            let expected = match standing.concern() {
                Concern::Attention => VerdictKind::Attention,
                Concern::UnderWay => VerdictKind::UnderWay,
                Concern::Acknowledged | Concern::Safe => VerdictKind::Safe,
            };
            assert_eq!(found, expected, "{standing}");
        }
    }

    #[test]
    fn what_was_not_checked_is_said_and_is_never_called_safe() {
        let changes: [fn(&mut Facts); 5] = [
            |facts| facts.is_capped = true,
            |facts| facts.last_sweep = None,
            |facts| facts.last_sweep = Some(at("2026-03-02T11:49:00Z")),
            |facts| facts.check = None,
            |facts| facts.check.as_mut().unwrap().began_at = at("2026-03-01T09:59:00Z"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut facts = facts(&[(Standing::Waiting, 1)]);
            change(&mut facts);
            let verdict = verdict(facts);
            assert_eq!(
                (verdict.kind, verdict.not_checked.len()),
                (VerdictKind::Unknown, 1),
                "{number}"
            );
        }
    }

    #[test]
    fn whatever_cannot_be_read_needs_attention() {
        let changes: [fn(&mut Facts); 5] = [
            |facts| facts.poison = 1,
            |facts| facts.unreadable_chunks = 1,
            |facts| facts.check.as_mut().unwrap().findings = 2,
            |facts| facts.storage = StorageUse::VaultEmpty,
            |facts| facts.storage = StorageUse::LedgerEmpty,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut facts = facts(&[]);
            change(&mut facts);
            assert_eq!(kind(facts), VerdictKind::Attention, "{number}");
        }
    }

    #[test]
    fn the_worst_comes_first_and_every_kind_is_counted() {
        let mut facts = facts(&[
            (Standing::Doubtful, 1),
            (Standing::Lost, 2),
            (Standing::Waiting, 3),
            (Standing::Acknowledged, 4),
        ]);
        facts.poison = 1;
        facts.first_deadline = Some(at("2026-03-02T15:00:00Z"));
        let verdict = verdict(facts);
        assert_eq!(
            verdict.headline,
            "Needs attention: 2 recordings lost, 1 recording with doubtful media, 1 event that could not be read"
        );
        assert_eq!(
            verdict.details,
            [
                "On the way: 3 recordings waiting for export.",
                "The first deadline is 2026-03-02T15:00:00Z, in 3 h.",
                "Acknowledged losses: 4 recordings."
            ]
        );
    }

    #[test]
    fn there_is_time_only_where_a_deadline_says_so() {
        let mut facts = facts(&[(Standing::Failed, 1)]);
        assert!(verdict(facts.clone()).details.is_empty());
        facts.first_deadline = Some(at("2026-03-02T11:00:00Z"));
        assert!(verdict(facts).details[0].ends_with("it has passed."));
    }

    #[test]
    fn a_vault_that_was_never_used_has_no_data() {
        let mut facts = facts(&[]);
        facts.storage = StorageUse::Unused;
        facts.check = None;
        assert_eq!(kind(facts), VerdictKind::NoData);
    }
}
