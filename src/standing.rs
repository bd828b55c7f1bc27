//! The standing of chunks and recordings: the one definition of what is safe, what is lost and what needs a person.
//!
//! A standing is a pure function of a recording's account, its chunk entries and the time. The page, the HTTP API, `list`,
//! `report`, `reconcile`, the nightly report, the metrics and the alerts use it and compute no standing of their own.
//! Lists in the ledger are made of stored states, and a standing changes with time: readers classify its recordings.
//!
//! It must not know where accounts and entries are read from.

mod chunk;
mod recording;
pub mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use chunk::of_chunk;
pub use recording::{ChunkEntry, KnownChunk, of_recording, problems};

/// The standing of a chunk or a recording, worst first. A recording has the standing of its worst part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    Lost,
    Failed,
    AtRisk,
    Unknown,
    Missing,
    Incomplete,
    Doubtful,
    BackupOnly,
    Active,
    Paused,
    AwaitingFiles,
    Exporting,
    Waiting,
    Acknowledged,
    Verified,
    InPlace,
    Erased,
    Removed,
}

/// What a standing asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Concern {
    /// A person must act.
    Attention,
    /// Nothing is wrong, but it is not in the vault at home yet.
    UnderWay,
    /// A loss that a person has acknowledged.
    Acknowledged,
    /// Nothing is left to do.
    Safe,
}

/// What a person does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OperatorStep {
    Nothing,
    Retry,
    Accept,
    Acknowledge,
    CheckExport,
    CheckEvents,
    StartAgain,
    ImportAgain,
    Rebuild,
    RestoreAccount,
    RestoreCopy,
    FinishDeletion,
}

/// The time and the limits by which standings are determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub now: Timestamp,
    /// Files that are not announced this long after a recording's end are missing.
    pub missing_after: Duration,
    /// How long ACS keeps a file.
    pub source_retention: Duration,
}

/// A standing with what a person must know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    pub standing: Standing,
    /// The reasons, a sentence each; empty if there are none.
    pub reasons: Vec<String>,
    /// When it gets worse by itself.
    pub deadline: Option<Timestamp>,
    pub next_step: OperatorStep,
}

/// Number of parts or recordings by standing.
pub type Counts = BTreeMap<Standing, usize>;

impl Standing {
    /// Every standing, worst first.
    pub const ALL: [Self; 18] = [
        Self::Lost,
        Self::Failed,
        Self::AtRisk,
        Self::Unknown,
        Self::Missing,
        Self::Incomplete,
        Self::Doubtful,
        Self::BackupOnly,
        Self::Active,
        Self::Paused,
        Self::AwaitingFiles,
        Self::Exporting,
        Self::Waiting,
        Self::Acknowledged,
        Self::Verified,
        Self::InPlace,
        Self::Erased,
        Self::Removed,
    ];

    /// Returns its name in JSON, in filters and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::AtRisk => "atRisk",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Incomplete => "incomplete",
            Self::Doubtful => "doubtful",
            Self::BackupOnly => "backupOnly",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::AwaitingFiles => "awaitingFiles",
            Self::Exporting => "exporting",
            Self::Waiting => "waiting",
            Self::Acknowledged => "acknowledged",
            Self::Verified => "verified",
            Self::InPlace => "inPlace",
            Self::Erased => "erased",
            Self::Removed => "removed",
        }
    }

    /// Returns what it means, in half a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Lost => "ACS has dropped a file, and no copy of it is proved",
            Self::Failed => "the export was given up, or ACS could not start the recording",
            Self::AtRisk => {
                "there is no proved copy at home, and half of the time at ACS or more has passed, or ACS has dropped the source and the copy in the backup vault could not be moved home, or attempts have failed in a row for 10 minutes, or only a person can end what prevents it"
            }
            Self::Unknown => {
                "an account or an entry is not readable, or ACS does not confirm that it runs, or a deletion from the vault was begun and is not finished"
            }
            Self::Missing => "it ended, and no event announced a file in time",
            Self::Incomplete => {
                "files are announced, and not all of them, or ACS could not store all of one, or another form of one has no copy"
            }
            Self::Doubtful => {
                "the copy is exact, and its media contradicts its event or metadata, or its entry was rebuilt, or events name different recordings for it; or a verification found the copy damaged"
            }
            Self::BackupOnly => "the only proved copy is in the backup vault",
            Self::Active => "it is being recorded",
            Self::Paused => "its recording is paused",
            Self::AwaitingFiles => "it ended, and not all its files are announced yet",
            Self::Exporting => "a process is exporting it",
            Self::Waiting => "it waits for its export, with time to spare",
            Self::Acknowledged => "what is wrong with it was acknowledged with a reason",
            Self::Verified => "the proved copy is in the vault at home",
            Self::InPlace => "it is in your own storage, and was checked there",
            Self::Erased => "it was erased on request",
            Self::Removed => "its copy was deleted from the vault by policy",
        }
    }

    pub fn concern(self) -> Concern {
        match self {
            Self::Lost
            | Self::Failed
            | Self::AtRisk
            | Self::Unknown
            | Self::Missing
            | Self::Incomplete
            | Self::Doubtful => Concern::Attention,
            Self::BackupOnly
            | Self::Active
            | Self::Paused
            | Self::AwaitingFiles
            | Self::Exporting
            | Self::Waiting => Concern::UnderWay,
            Self::Acknowledged => Concern::Acknowledged,
            Self::Verified | Self::InPlace | Self::Erased | Self::Removed => Concern::Safe,
        }
    }

    /// Whether nothing is left to do for it.
    pub fn is_settled(self) -> bool {
        matches!(self.concern(), Concern::Safe | Concern::Acknowledged)
    }

    /// Returns what happens at the deadline of this standing, if it has one.
    pub fn deadline(self) -> Option<&'static str> {
        match self {
            Self::Failed | Self::AtRisk | Self::Exporting | Self::Waiting => {
                Some("ACS drops the file")
            }
            Self::Missing | Self::Incomplete => Some("ACS drops what was not announced"),
            Self::Doubtful => Some("ACS drops the source, while it is still there"),
            Self::AwaitingFiles => Some("the files are missing"),
            Self::Lost
            | Self::Unknown
            | Self::BackupOnly
            | Self::Active
            | Self::Paused
            | Self::Acknowledged
            | Self::Verified
            | Self::InPlace
            | Self::Erased
            | Self::Removed => None,
        }
    }

    /// Returns the steps that a person may have to take.
    pub fn steps(self) -> &'static [OperatorStep] {
        match self {
            Self::Lost => &[OperatorStep::Acknowledge],
            Self::Failed => &[
                OperatorStep::Retry,
                OperatorStep::StartAgain,
                OperatorStep::ImportAgain,
            ],
            Self::AtRisk => &[OperatorStep::CheckExport],
            Self::Unknown => &[
                OperatorStep::Rebuild,
                OperatorStep::RestoreAccount,
                OperatorStep::CheckEvents,
                OperatorStep::FinishDeletion,
            ],
            Self::Missing => &[OperatorStep::CheckEvents, OperatorStep::Acknowledge],
            Self::Incomplete => &[
                OperatorStep::CheckEvents,
                OperatorStep::Retry,
                OperatorStep::Acknowledge,
            ],
            Self::Doubtful => &[OperatorStep::Accept, OperatorStep::RestoreCopy],
            Self::BackupOnly
            | Self::Active
            | Self::Paused
            | Self::AwaitingFiles
            | Self::Exporting
            | Self::Waiting
            | Self::Acknowledged
            | Self::Verified
            | Self::InPlace
            | Self::Erased
            | Self::Removed => &[OperatorStep::Nothing],
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Standing {
    type Err = String;
    /// Takes any casing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|standing| standing.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("is `{text}`; expected one of {}", names.join(", "))
        })
    }
}

impl OperatorStep {
    /// Returns what to do, in a sentence; `None` if there is nothing to do.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Retry => Some(
                "Fix the cause, then run `recording-vault retry`; if it is not needed, `recording-vault acknowledge`",
            ),
            Self::Accept => Some("Look at the copy; if it is right, run `recording-vault accept`"),
            Self::Acknowledge => Some(
                "Look for another copy; then write down why it is missing: `recording-vault acknowledge`",
            ),
            Self::CheckExport => Some(
                "Look at its failures (`recording-vault show`), at the vault, and whether the sweep runs (`recording-vault doctor`)",
            ),
            Self::CheckEvents => Some(
                "Look at the Event Grid subscription and replay its dead letters: `recording-vault replay`",
            ),
            Self::StartAgain => Some(
                "Start the recording again; then write down why it is missing: `recording-vault acknowledge`",
            ),
            Self::ImportAgain => Some(
                "Run `recording-vault import` with its file again; if it is not needed, `recording-vault acknowledge`",
            ),
            Self::Rebuild => Some(
                "Run `recording-vault ledger rebuild`; if the vaults have no receipt of it, replay its event afterwards, or import its file",
            ),
            // `ledger rebuild` writes entries only.
            Self::RestoreAccount => Some(
                "Restore an earlier version of its account in the ledger; if there is none, `recording-vault replay` of the event that announced its files writes a new one",
            ),
            Self::RestoreCopy => Some(
                "Restore the file in the vault from an earlier version or a backup, then run `recording-vault verify` for it",
            ),
            Self::FinishDeletion => Some(
                "Run `recording-vault retention apply` or `gdpr erase` again, whichever began it; what is held is kept, as far as it is there: if a part is gone, `recording-vault acknowledge`",
            ),
        }
    }
}

impl Assessment {
    /// A standing without a reason.
    pub(crate) fn plain(standing: Standing) -> Self {
        Self {
            standing,
            reasons: Vec::new(),
            deadline: None,
            next_step: OperatorStep::Nothing,
        }
    }

    /// A standing with its reason and what to do about it.
    pub(crate) fn because(
        standing: Standing,
        reason: impl Into<String>,
        next_step: OperatorStep,
    ) -> Self {
        Self {
            standing,
            reasons: vec![reason.into()],
            deadline: None,
            next_step,
        }
    }

    pub(crate) fn until(self, deadline: Timestamp) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// The standing of a recording with an unreadable account: nothing is known of it.
    pub fn of_unreadable(problem: String) -> Self {
        Self::because(Standing::Unknown, problem, OperatorStep::RestoreAccount)
    }

    /// Combines the standings of the parts: the worst, with the reasons of all.
    pub(crate) fn of_parts(mut parts: Vec<Self>) -> Self {
        parts.sort_by_key(|part| part.standing);
        let Some(worst) = parts.first() else {
            return Self::plain(Standing::Verified);
        };
        let (standing, next_step) = (worst.standing, worst.next_step);
        let earliest =
            |parts: &mut dyn Iterator<Item = &Self>| parts.filter_map(|part| part.deadline).min();
        let of_worst = earliest(&mut parts.iter().filter(|part| part.standing == standing));
        let deadline = of_worst.or_else(|| earliest(&mut parts.iter()));
        Self {
            standing,
            deadline,
            next_step,
            reasons: parts.into_iter().flat_map(|part| part.reasons).collect(),
        }
    }
}

/// Counts the standings.
pub fn count(standings: impl IntoIterator<Item = Standing>) -> Counts {
    let mut counts = Counts::new();
    for standing in standings {
        *counts.entry(standing).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_the_word_in_json_and_is_read_back_in_any_case() {
        for standing in Standing::ALL {
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.name());
            assert_eq!(standing.name().to_uppercase().parse(), Ok(standing));
        }
        assert!("fine".parse::<Standing>().is_err());
    }

    #[test]
    fn every_standing_is_in_the_list_worst_first() {
        assert!(Standing::ALL.is_sorted());
        let concerns: Vec<Concern> = Standing::ALL.into_iter().map(Standing::concern).collect();
        assert!(concerns.is_sorted(), "{concerns:?}");
    }

    #[test]
    fn whatever_needs_attention_has_a_next_step_and_what_is_safe_has_none() {
        for standing in Standing::ALL {
            let has_step = standing.steps().iter().all(|step| step.advice().is_some());
            let needs_attention = standing.concern() == Concern::Attention;
            assert_eq!(has_step, needs_attention, "{standing}");
        }
    }

    #[test]
    fn the_worst_part_decides_and_every_reason_is_named() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let whole = Assessment::of_parts(vec![
            Assessment::plain(Standing::Verified),
            Assessment::because(Standing::Waiting, "w", OperatorStep::Nothing)
                .until(at("2026-03-02T10:00:00Z")),
            Assessment::because(Standing::Doubtful, "d", OperatorStep::Accept),
            Assessment::because(Standing::Failed, "later", OperatorStep::Retry)
                .until(at("2026-03-03T12:00:00Z")),
            Assessment::because(Standing::Failed, "f", OperatorStep::Retry)
                .until(at("2026-03-03T11:00:00Z")),
        ]);
        assert_eq!(whole.standing, Standing::Failed);
        assert_eq!(whole.reasons, ["later", "f", "d", "w"]);
        assert_eq!(whole.deadline, Some(at("2026-03-03T11:00:00Z")));
        assert_eq!(whole.next_step, OperatorStep::Retry);
    }
}
