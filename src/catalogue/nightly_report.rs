//! The nightly report: the completeness report of a day, stored, and made again when that day changes later.
//!
//! ```text
//! reports/<day>.json           the report; the only one that is made from the register
//! reports/<day>-summary.json   its numbers, derived from it, with its SHA-256
//! reports/<day>.txt            the same to be read, derived from it, with its SHA-256
//! ```
//! A day's marker is removed after all three are written: the next sweep repeats what a kill left undone. One that is not
//! readable is made again. A report whose time is in the future is of a clock that was ahead, and is replaced.
//!
//! The list of recordings is bounded, so that each report can be read and held in memory: that of a larger day lists only
//! recordings that are not settled, and says so.

mod needed;
mod stored;

use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tracing::{error, info, warn};

use self::stored::{MOST_LISTED_BYTES, StoredReport, content_of, report_key};
use super::report::{CompletenessReport, DayOutcome};
use super::{Catalogue, CatalogueError};
use crate::clock::is_ahead;
use crate::control::day_summary::DaySummary;
use crate::control::register::days::DueDay;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;

/// Days whose reports are made in one sweep.
const MOST_DAYS: usize = 8;
/// Days that one sweep looks at for them: some rest, and some cannot be made.
const DAYS_LOOKED_AT: usize = 400;
/// Failures that are not of one document, after which a sweep makes no more reports: the storage fails.
const MOST_FAILURES: usize = 3;
/// No further report is begun after this time.
pub const REPORTS_BUDGET: Duration = Duration::from_mins(2);
/// Minimum age of a report before it is made again, per recording: a day of many is not read every minute.
const REST_PER_RECORDING: SignedDuration = SignedDuration::from_secs(1);
/// A report of any number of recordings is made again after this time.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(6);

/// Minimum age of a report in which nothing is incomplete, before it is made again because not everything was known.
const REST_OF_UNKNOWN: SignedDuration = SignedDuration::from_hours(1);

/// How a report compares with the one that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    First,
    Changed,
    Same,
}

/// What became of a day whose report is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Made,
    /// It was made so recently that it rests.
    Resting,
}

impl Catalogue {
    /// Makes the report of yesterday, those of days on which no sweep ran, and again those of days that changed later. A day
    /// whose report fails does not keep the others from theirs.
    ///
    /// # Errors
    /// As [`Catalogue::report`], for the first day that failed.
    pub async fn report_daily(&self) -> Result<(), CatalogueError> {
        self.report_days(MOST_LISTED_BYTES).await
    }

    /// Makes the reports that are due, with at most so many bytes of recordings in each.
    async fn report_days(&self, most_bytes: usize) -> Result<(), CatalogueError> {
        let now = self.clock.now();
        let mut failure = self.need_reports(now).await.err();
        let budget = Budget::of(REPORTS_BUDGET);
        let (mut after, mut made, mut failed) = (None, 0, 0);
        for _ in 0..DAYS_LOOKED_AT {
            if budget.is_spent() {
                break;
            }
            let Some(due) = self.register.next_due_day(after).await? else {
                break;
            };
            let day = due.day;
            after = Some(day);
            match self.report_due(due, now, most_bytes).await {
                Ok(Due::Made) => made += 1,
                Ok(Due::Resting) => {}
                Err(error) => {
                    error!(error = %ErrorChain(&error), "The report of {day} cannot be made; the next sweep tries again");
                    if !is_of_one_document(&error) {
                        failed += 1;
                        failure = failure.or(Some(error));
                    }
                }
            }
            if made == MOST_DAYS || failed == MOST_FAILURES {
                break;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn report_due(
        &self,
        mut due: DueDay,
        now: Timestamp,
        most_bytes: usize,
    ) -> Result<Due, CatalogueError> {
        let known = self.kept_summary(due.day).await?;
        if known.is_some_and(|known| is_resting(&known, now)) {
            return Ok(Due::Resting);
        }
        self.register.list_markers(&mut due).await?;
        let began = self.clock.now();
        self.keep_report(due.day, most_bytes).await?;
        self.register.reported(&due, began).await?;
        Ok(Due::Made)
    }

    /// Returns the stored numbers of a day. Unreadable ones count as none: they are derived.
    pub(super) async fn kept_summary(
        &self,
        day: Date,
    ) -> Result<Option<DaySummary>, CatalogueError> {
        match self.register.day_summary(&day.to_string()).await {
            Err(error) if error.is_damage() => Ok(None),
            found => Ok(found?),
        }
    }

    /// Makes and stores the report of a day. Does not replace one that was begun later.
    async fn keep_report(&self, day: Date, most_bytes: usize) -> Result<(), CatalogueError> {
        let report = self.report_to_store(day, most_bytes).await?;
        let content = content_of(&report);
        match self.store_report(day, &report, &content).await? {
            StoredReport::Written(news) => {
                let sha256 = Sha256Digest::of(&content);
                self.derive(day, &report, sha256).await?;
                match news {
                    News::Same => {}
                    News::First | News::Changed => log(&report),
                }
                Ok(())
            }
            // A kill may have stopped its process before it derived the other forms.
            StoredReport::Outdated(later) => {
                let sha256 = Sha256Digest::of(&later);
                let key = report_key(&report.day);
                let later: CompletenessReport = serde_json::from_slice(&later)
                    .map_err(|source| DocumentError::Corrupt { key, source })?;
                self.derive(day, &later, sha256).await
            }
        }
    }
}

/// Whether an error is about one document of the ledger, and does not show that its storage fails.
fn is_of_one_document(error: &CatalogueError) -> bool {
    matches!(error, CatalogueError::Register(error) if error.is_of_one_document())
}

/// Whether the report of yesterday must be made again although the register did not change.
fn is_open(known: &DaySummary, now: Timestamp) -> bool {
    if is_ahead(known.made_at, now) {
        return true;
    }
    if known.incomplete > 0 {
        return !is_resting(known, now);
    }
    let is_unknown = known.findings + known.not_checked > 0;
    is_unknown && now.duration_since(known.made_at) >= REST_OF_UNKNOWN && !is_resting(known, now)
}

fn is_resting(known: &DaySummary, now: Timestamp) -> bool {
    let rest = i32::try_from(known.recordings)
        .ok()
        .and_then(|recordings| REST_PER_RECORDING.checked_mul(recordings));
    let age = now.duration_since(known.made_at);
    age < rest.map_or(LONGEST_REST, |rest| rest.min(LONGEST_REST)) && !is_ahead(known.made_at, now)
}

fn log(report: &CompletenessReport) {
    let (day, recordings) = (&report.day, report.recording_count());
    let key = report_key(day);
    match report.outcome() {
        DayOutcome::NoRecordings => info!("No recording of {day} is known"),
        DayOutcome::Complete => info!(
            recordings,
            chunks = report.chunk_count,
            "Nothing is missing for {day}"
        ),
        DayOutcome::NotKnown => warn!(
            findings = report.findings.len(),
            not_checked = report.not_checked.len(),
            "Whether anything is missing for {day} is not known; see {key} in the ledger"
        ),
        DayOutcome::Incomplete if report.incomplete == 1 => error!(
            incomplete = 1,
            "1 recording of {day} is not complete; see {key} in the ledger"
        ),
        DayOutcome::Incomplete => {
            let incomplete = report.incomplete;
            error!(
                incomplete,
                "{incomplete} recordings of {day} are not complete; see {key} in the ledger"
            );
        }
    }
}

#[cfg(test)]
mod tests;
