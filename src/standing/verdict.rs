//! The verdict: is everything safe, and if not, what is wrong, worst first, and what is not known. Pure.
//!
//! "Safe" covers only what was checked: every recording is settled, everything announced was readable, the timer runs the
//! sweep, and a complete check is recent. It must not know how any of that is found out.

mod causes;
mod code;
pub mod line;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Concern, Counts, Standing};
pub use crate::clock::is_ahead;
use crate::counted::counted;
use crate::export::ledger::TimerState;
use crate::recording::DocumentId;
use crate::visible;
pub use causes::{LOG_NOT_READ, not_read, not_recent, problems_of_any_day, unknown_starts};
use causes::{not_checked, problems};
use code::Cause;
pub use code::VerdictCode;

/// A complete check runs each night; an older one says nothing about today.
pub const CHECK_LASTS: SignedDuration = SignedDuration::from_hours(26);

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

impl VerdictKind {
    pub const ALL: [Self; 5] = [
        Self::Safe,
        Self::UnderWay,
        Self::Attention,
        Self::Unknown,
        Self::NoData,
    ];

    /// Returns its name in JSON, in the line of a sweep, in metrics and in alert rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::UnderWay => "underWay",
            Self::Attention => "attention",
            Self::Unknown => "unknown",
            Self::NoData => "noData",
        }
    }
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
    /// Open chunks of which no recording is known: their entries are not readable, or missing.
    pub unreadable_chunks: Vec<DocumentId>,
    /// Open chunks whose entries may be about to be written.
    pub unwritten_chunks: usize,
    /// Unreadable events that are not handled yet.
    pub poison: usize,
    /// Events that the sweep continues with.
    pub kept_events: usize,
    /// Starts of which ACS did not say whether they began a recording.
    pub unknown_starts: Vec<Timestamp>,
    /// There are more such starts than were read.
    pub has_more_starts: bool,
    pub last_sweep: Option<Timestamp>,
    /// Whether the timer triggers sweeps; `None`: no sweep has ended.
    pub timer: Option<TimerState>,
    /// The schedule of the timer explains no longer time without a sweep.
    pub sweep_late_after: SignedDuration,
    /// Why the newest checkpoint of the audit log did not cover all records at the last sweep; `None`: it did.
    pub audit_uncovered: Option<String>,
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
    /// Files in your own storage that could not be looked at.
    pub in_place_unseen: usize,
    /// What was wrong with files and entries.
    pub findings: usize,
    /// The first of it, a sentence each.
    pub examples: Vec<String>,
}

/// Whether ledger and vault hold anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageUse {
    /// Nothing says that there was ever a recording.
    Unused,
    Used,
    /// The ledger has proofs of copies, and the vault has no file.
    VaultEmpty,
    /// The ledger has nothing, and something else says that there were recordings.
    LedgerEmpty(Remains),
    /// Ledger and vault have nothing. The audit log may have records of recordings: not every record could be read.
    LogNotRead,
    /// The vault does not have all of the copies that were looked for.
    CopiesMissing {
        missing: usize,
        looked_at: usize,
    },
    /// The vault cannot be read, and the reason.
    VaultUnreadable {
        reason: String,
        /// The ledger has nothing, so that nothing at all is known.
        is_ledger_empty: bool,
    },
}

/// What says that there were recordings, where the ledger has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// The vault has files.
    Vault,
    /// The backup vault has files, and the vault has none.
    BackupVault,
    /// The audit log has records of chunks or recordings, and no vault has a file.
    AuditLog,
}

impl Remains {
    /// Says what is wrong, and what to check.
    pub fn problem(self) -> &'static str {
        match self {
            Self::Vault => "the vault has files, and the ledger is empty: check LEDGER_URL",
            Self::BackupVault => {
                "the backup vault has files, and the ledger is empty: check LEDGER_URL"
            }
            Self::AuditLog => {
                "the audit log has records of recordings, and ledger and vault are empty: check LEDGER_URL and VAULT_URL"
            }
        }
    }
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
    /// What is wrong and what was not checked, one code each, for alerts and programs.
    pub codes: Vec<VerdictCode>,
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
        visible::write_part(f, format_args!("{}.", self.headline))?;
        for detail in &self.details {
            visible::write_line(f, format_args!("  {detail}"))?;
        }
        for unchecked in &self.not_checked {
            visible::write_line(f, format_args!("  Not checked: {unchecked}"))?;
        }
        match &self.check {
            Some(check) => write!(
                f,
                "\nLast complete check: {:.0}, {}, {} in the vault.",
                check.began_at,
                recordings(check.recordings),
                counted(check.files, "file", "files")
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

/// What an empty ledger and an empty vault may mean.
const EMPTY: &str = "Ledger and vault are empty. If there were recordings before, LEDGER_URL or VAULT_URL names another place than before.";

/// Chunks that a verdict names.
const NAMED: usize = 3;

/// Derives the verdict from what is known.
pub fn verdict(facts: Facts) -> Verdict {
    let problems = problems(&facts);
    let not_checked = not_checked(&facts);
    let under_way = under_way(&facts);
    let kind = if !problems.is_empty() {
        VerdictKind::Attention
    } else if facts.storage == StorageUse::Unused
        && under_way.is_none()
        && not_checked.iter().all(Cause::is_usual_before_use)
    {
        VerdictKind::NoData
    } else {
        match (not_checked.is_empty(), &under_way) {
            (false, _) => VerdictKind::Unknown,
            (true, None) => VerdictKind::Safe,
            (true, Some(_)) => VerdictKind::UnderWay,
        }
    };
    let headline = match kind {
        VerdictKind::Attention => format!("Needs attention: {}", texts(&problems).join(", ")),
        VerdictKind::NoData => "Nothing has been recorded yet".to_owned(),
        VerdictKind::Unknown => "Not known whether everything is safe".to_owned(),
        VerdictKind::Safe => "Everything recorded is safe".to_owned(),
        VerdictKind::UnderWay => format!("Nothing is wrong; {} on the way", how_many(&facts)),
    };
    let acknowledged = facts.recordings.get(&Standing::Acknowledged).copied();
    let acknowledged = acknowledged.unwrap_or_default();
    let mut details: Vec<String> = under_way.into_iter().collect();
    details.extend(unread_sentence(&facts.unreadable_chunks));
    if kind == VerdictKind::NoData {
        details.push(EMPTY.to_owned());
    }
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
        codes: problems
            .iter()
            .chain(&not_checked)
            .map(|cause| cause.code)
            .collect(),
        not_checked: texts(&not_checked),
        acknowledged,
        poison: facts.poison,
        first_deadline: facts.first_deadline,
        last_sweep: facts.last_sweep,
        check: facts.check,
        as_of: facts.as_of,
        recordings: facts.recordings,
    }
}

fn texts(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| cause.text.clone()).collect()
}

/// Recordings that nothing is wrong with and that are not safe yet.
fn on_the_way(facts: &Facts) -> impl Iterator<Item = (Standing, usize)> {
    let counts = facts.recordings.iter().map(|(kind, count)| (*kind, *count));
    counts.filter(|(standing, count)| standing.concern() == Concern::UnderWay && *count > 0)
}

/// `3 recordings`, or `1 chunk` of which no recording is known yet.
fn how_many(facts: &Facts) -> String {
    match on_the_way(facts).map(|(_, count)| count).sum() {
        0 => counted(facts.unwritten_chunks, "chunk", "chunks"),
        count => recordings(count),
    }
}

/// `On the way: 1 recording paused, 2 recordings waiting for their export.`
fn under_way(facts: &Facts) -> Option<String> {
    let mut parts: Vec<String> = on_the_way(facts)
        .map(|(standing, count)| counted_by(standing, count))
        .collect();
    if facts.unwritten_chunks > 0 {
        let chunks = counted(facts.unwritten_chunks, "chunk", "chunks");
        parts.push(format!("{chunks} announced and not recorded yet"));
    }
    (!parts.is_empty()).then(|| format!("On the way: {}.", parts.join(", ")))
}

/// Names the first chunks whose entries are missing or not readable.
fn unread_sentence(chunks: &[DocumentId]) -> Option<String> {
    let named: Vec<String> = chunks.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match chunks.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.join(", ");
    (!chunks.is_empty()).then(|| format!("Entries missing or not readable: {named}{more}."))
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
    counted(count, "recording", "recordings")
}

fn counted_by(standing: Standing, count: usize) -> String {
    let how = match standing {
        Standing::Lost => "lost",
        Standing::Failed => "failed",
        Standing::AtRisk => "at risk",
        Standing::Unknown => "unknown",
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
mod tests;
