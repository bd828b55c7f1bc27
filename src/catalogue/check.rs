//! The complete check: once a day, it classifies every recording, compares the markers of the ledger with the accounts,
//! reads every chunk's entry, and lists and compares every receipt and media file of the vault. The verdict says "safe" only if a complete check is recent.
//!
//! ```text
//! complete-check.json   the last check that ended, with what it saw, and what was proved since; the days whose reports
//!                       must still be marked as due; and the one under way, with its cursor
//! ```
//! A check runs in slices, with its own budget. A slice is stored only if no other process has stored one meanwhile,
//! so any number of processes may run slices, and a kill loses one slice.

mod chunks;
mod due_days;
mod files;
mod markers;
mod proved;

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Catalogue, CatalogueError};
use crate::control::register::NamedMarker;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::export::layout::BlobName;
use crate::recording::DocumentId;
use crate::standing::Counts;
use crate::standing::verdict::{CheckSummary, is_ahead};
use crate::store::digest::Sha256Digest;
use crate::store::documents::{DocumentError, Keyed};

pub use proved::ProvedSince;

pub(super) const KEY: &str = "complete-check.json";
/// The interval between the starts of two checks: they are never further apart than the verdict allows.
const EVERY: SignedDuration = SignedDuration::from_hours(22);
/// Findings that are stored; all are counted.
const FINDINGS_KEPT: usize = 100;
/// Findings that a summary names.
const FINDINGS_NAMED: usize = 10;
/// Stored names of recordings that are not settled; lists of the ledger name nearly all of them too.
const NOTEWORTHY_KEPT: usize = 500;

/// A finished complete check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRecord {
    pub began_at: Timestamp,
    pub finished_at: Timestamp,
    pub seen: Seen,
    /// What was proved since, as far as later slices have read it.
    #[serde(default)]
    pub proved: ProvedSince,
}

/// What a check has found so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub recordings: usize,
    /// Number of recordings by standing.
    pub standings: Counts,
    pub chunks: usize,
    /// Files of the vault.
    pub files: usize,
    /// Files in the customer's own storage that could not be looked at.
    #[serde(default)]
    pub in_place_unseen: usize,
    /// Recordings that were not settled, by their names in the index.
    pub noteworthy: Vec<Sha256Digest>,
    /// The first chunks of recordings without an account in the register.
    #[serde(default)]
    pub unregistered: Vec<DocumentId>,
    /// Markers of recordings without an account.
    #[serde(default)]
    pub unaccounted: Vec<NamedMarker>,
    /// The first of them.
    pub findings: Vec<CheckFinding>,
    pub finding_count: usize,
}

/// A file or entry that is missing or has no counterpart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFinding {
    /// A chunk or a file.
    pub subject: String,
    pub problem: String,
    /// The day (UTC) of its recording, as far as it was known when the check ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
}

/// The position of a check. The stages are in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
enum Stage {
    Recordings { after: Option<String> },
    Markers { after: Option<String> },
    Chunks { after: Option<String> },
    Files { after: Option<BlobName> },
    Done,
}

/// A check in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunningCheck {
    began_at: Timestamp,
    stage: Stage,
    seen: Seen,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct CheckState {
    last: Option<CheckRecord>,
    running: Option<RunningCheck>,
    /// Days whose reports the last check makes out of date, until they are marked as due.
    #[serde(rename = "dueDays", default)]
    due_days: BTreeSet<Date>,
}

impl Keyed for CheckState {
    fn key(&self) -> Option<String> {
        Some(KEY.to_owned())
    }
}

/// When a check runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStart {
    /// If the last one began long enough ago.
    WhenDue,
    /// If none began since somebody asked for one.
    Now { asked_at: Timestamp },
}

/// Outcome of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceOutcome {
    NotDue,
    /// There is more to check.
    Unfinished,
    Finished,
    /// Another process stored a slice meanwhile; this one is lost.
    Superseded,
}

impl Seen {
    /// Whether more recordings were not settled than it names.
    pub fn has_more_than_noteworthy(&self) -> bool {
        let unsettled = self.standings.iter();
        let unsettled = unsettled.filter(|(standing, _)| !standing.is_settled());
        unsettled.map(|(_, count)| count).sum::<usize>() > self.noteworthy.len()
    }

    fn find(&mut self, subject: impl Into<String>, problem: impl Into<String>) {
        self.finding_count += 1;
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(CheckFinding {
                subject: subject.into(),
                problem: problem.into(),
                day: None,
            });
        }
    }
}

impl CheckRecord {
    /// Returns what the verdict needs.
    pub fn summary(&self) -> CheckSummary {
        let named = self.seen.findings.iter().take(FINDINGS_NAMED);
        CheckSummary {
            began_at: self.began_at,
            finished_at: self.finished_at,
            recordings: self.seen.recordings,
            chunks: self.seen.chunks,
            files: self.seen.files,
            in_place_unseen: self.seen.in_place_unseen,
            findings: self.seen.finding_count,
            examples: named
                .map(|finding| format!("{}: {}", finding.subject, finding.problem))
                .collect(),
        }
    }
}

impl Catalogue {
    /// Returns the last finished complete check. An unreadable one is reported and counts as none.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn last_check(&self) -> Result<Option<CheckRecord>, CatalogueError> {
        Ok(self.check_state().await?.and_then(|state| state.last))
    }

    async fn check_state(&self) -> Result<Option<CheckState>, CatalogueError> {
        match self.register.documents().find(KEY).await {
            Err(DocumentError::Corrupt { key, source }) => {
                tracing::warn!(key, error = %ErrorChain(&source), "The last complete check is not readable; the next one replaces it");
                Ok(None)
            }
            found => Ok(found?),
        }
    }

    /// Runs a slice of the complete check.
    ///
    /// # Errors
    /// When the ledger or the vault cannot be read: the next slice begins where this one did.
    pub async fn check(
        &self,
        start: CheckStart,
        budget: Budget,
    ) -> Result<SliceOutcome, CatalogueError> {
        let before = match self.check_state().await? {
            Some(state) => Some(self.mark_due_days(state).await?),
            None => None,
        };
        let mut state = before.clone().unwrap_or_default();
        if let Some(last) = &mut state.last {
            last.proved = self.read_proved(last, &budget).await?;
        }
        let now = self.clock.now();
        let is_due = state.last.as_ref().is_none_or(|last| match start {
            CheckStart::WhenDue => {
                now.duration_since(last.began_at) >= EVERY || is_ahead(last.began_at, now)
            }
            CheckStart::Now { asked_at } => last.began_at < asked_at,
        });
        let is_recent = |running: &RunningCheck| match start {
            CheckStart::WhenDue => true,
            CheckStart::Now { asked_at } => running.began_at >= asked_at,
        };
        let mut running = match state.running.clone().filter(is_recent) {
            Some(running) => running,
            None if is_due => RunningCheck {
                began_at: now,
                stage: Stage::Recordings { after: None },
                seen: Seen::default(),
            },
            None => {
                if before.as_ref() != Some(&state) && before.is_some() {
                    self.keep_check(before.as_ref(), &state).await?;
                }
                return Ok(SliceOutcome::NotDue);
            }
        };
        while running.stage != Stage::Done && !budget.is_spent() {
            running = self.page(running).await?;
        }
        let (outcome, after) = self.after_slice(running, state.last).await?;
        if !self.keep_check(before.as_ref(), &after).await? {
            return Ok(SliceOutcome::Superseded);
        }
        self.mark_due_days(after).await?;
        Ok(outcome)
    }

    async fn after_slice(
        &self,
        running: RunningCheck,
        last: Option<CheckRecord>,
    ) -> Result<(SliceOutcome, CheckState), CatalogueError> {
        Ok(match running {
            RunningCheck {
                began_at,
                stage: Stage::Done,
                seen,
            } => {
                let finished = CheckRecord {
                    began_at,
                    finished_at: self.clock.now(),
                    seen,
                    proved: ProvedSince::default(),
                };
                let finished = self.with_days(finished).await?;
                let due_days = self.days_reported_otherwise(&finished, last.as_ref());
                let state = CheckState {
                    due_days: due_days.await?,
                    last: Some(finished),
                    running: None,
                };
                (SliceOutcome::Finished, state)
            }
            running => {
                let state = CheckState {
                    last,
                    running: Some(running),
                    due_days: BTreeSet::new(),
                };
                (SliceOutcome::Unfinished, state)
            }
        })
    }

    /// Stores a slice, unless another process was first. Returns whether it is stored.
    async fn keep_check(
        &self,
        before: Option<&CheckState>,
        after: &CheckState,
    ) -> Result<bool, CatalogueError> {
        let documents = self.register.documents();
        if before.is_none() {
            documents.remove_unreadable::<CheckState>(KEY).await?;
        }
        let replace = |known: Option<&CheckState>| (known == before).then(|| after.clone());
        let kept = documents.change(KEY, replace).await?;
        Ok(kept.as_ref() == Some(after))
    }

    async fn page(&self, running: RunningCheck) -> Result<RunningCheck, CatalogueError> {
        let RunningCheck {
            began_at,
            stage,
            mut seen,
        } = running;
        let stage = match stage {
            Stage::Recordings { after } => {
                let next = self.check_recordings(after.as_deref(), &mut seen).await?;
                match next {
                    Some(after) => Stage::Recordings { after: Some(after) },
                    None => Stage::Markers { after: None },
                }
            }
            Stage::Markers { after } => {
                let next = self.check_markers(after.as_deref(), &mut seen).await?;
                match next {
                    Some(after) => Stage::Markers { after: Some(after) },
                    None => Stage::Chunks { after: None },
                }
            }
            Stage::Chunks { after } => {
                let next = self.check_chunks(after.as_deref(), &mut seen).await?;
                match next {
                    Some(after) => Stage::Chunks { after: Some(after) },
                    None => Stage::Files { after: None },
                }
            }
            Stage::Files { after } => {
                let next = self.check_files(after.as_ref(), &mut seen).await?;
                match next {
                    Some(after) => Stage::Files { after: Some(after) },
                    None => Stage::Done,
                }
            }
            Stage::Done => Stage::Done,
        };
        Ok(RunningCheck {
            began_at,
            stage,
            seen,
        })
    }
}
