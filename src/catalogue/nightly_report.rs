//! The nightly report: the completeness report of a day, stored, and made again when that day changes later.
//!
//! ```text
//! reports/<day>.json           the report; the only one that is made from the register
//! reports/<day>-summary.json   its numbers, derived from it, with its SHA-256
//! reports/<day>.txt            the same to be read, derived from it, with its SHA-256
//! ```
//! A day's marker is removed after all three are written: the next sweep repeats what a kill left undone. One that is not
//! readable is made again. A report whose time is in the future is of a clock that was ahead, and is replaced.

mod needed;

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use tracing::{debug, error, info, warn};

use super::report::{CompletenessReport, DayOutcome};
use super::{Catalogue, CatalogueError};
use crate::clock::is_ahead;
use crate::control::day_summary::{DaySummary, summary_key};
use crate::control::register::days::DueDay;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Precondition, PutOutcome};
use crate::store::documents::{Decision, DocumentError, Keyed, Known};
use crate::store::outbox::Notice;

/// Days whose reports are made in one sweep.
const MOST_DAYS: usize = 8;
/// Days that one sweep looks at for them: some rest, and some cannot be made.
const DAYS_LOOKED_AT: usize = 64;
/// Minimum age of a report before it is made again, per recording: a day of many is not read every minute.
const REST_PER_RECORDING: SignedDuration = SignedDuration::from_secs(1);

/// Minimum age of a report in which nothing is incomplete, before it is made again because not everything was known.
const REST_OF_UNKNOWN: SignedDuration = SignedDuration::from_hours(1);

/// Totals of minutes that differ by less than this are the same: the order of a sum changes its last digits.
const SAME_MINUTES: f64 = 0.01;

/// How a report compares with the one that it replaces.
#[derive(Debug, PartialEq, Eq)]
enum News {
    First,
    Changed,
    Same,
    /// It replaces none: the stored one was begun later.
    Outdated,
}

/// What became of a day whose report is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Made,
    /// It was made so recently that it rests.
    Resting,
}

impl Catalogue {
    /// Makes the report of yesterday, those of days on which no sweep ran, and again those of days that changed later.
    ///
    /// # Errors
    /// As [`Catalogue::report`].
    pub async fn report_daily(&self) -> Result<(), CatalogueError> {
        let now = self.clock.now();
        self.need_reports(now).await?;
        let (mut after, mut made) = (None, 0);
        for _ in 0..DAYS_LOOKED_AT {
            let Some(due) = self.register.next_due_day(after).await? else {
                break;
            };
            after = Some(due.day);
            match self.report_due(&due, now).await {
                Ok(Due::Made) => made += 1,
                Ok(Due::Resting) => {}
                // It must not keep the other days from their reports.
                Err(CatalogueError::Register(error)) if error.is_of_one_document() => {
                    error!(error = %ErrorChain(&error), "The report of {} cannot be made; the next sweep tries again", due.day);
                }
                Err(error) => return Err(error),
            }
            if made == MOST_DAYS {
                break;
            }
        }
        Ok(())
    }

    async fn report_due(&self, due: &DueDay, now: Timestamp) -> Result<Due, CatalogueError> {
        let known = self.kept_summary(due.day).await?;
        if known.is_some_and(|known| is_resting(&known, now)) {
            return Ok(Due::Resting);
        }
        let began = self.clock.now();
        self.keep_report(due.day).await?;
        self.register.reported(due, began).await?;
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
    async fn keep_report(&self, day: Date) -> Result<(), CatalogueError> {
        let mut report = self.report(day).await?;
        // It is kept for years, and an erasure does not find it.
        for recording in &mut report.recordings {
            recording.participants.clear();
        }
        let key = report_key(&day.to_string());
        let mut decide = |before: Option<CompletenessReport>| {
            self.decide_on_report(day, before, &report).boxed()
        };
        let documents = self.register.documents();
        let decided = match documents.decide(&key, Known::Nothing, &mut decide).await {
            Err(CatalogueError::Register(error)) if error.is_damage() => {
                self.clear_damaged::<CompletenessReport>(&key, &error)
                    .await?;
                documents.decide(&key, Known::Nothing, &mut decide).await?
            }
            decided => decided?,
        };
        self.derive(day).await?;
        match decided.outcome {
            News::Same | News::Outdated => {}
            News::First | News::Changed => log(&report, &key),
        }
        Ok(())
    }

    /// Removes a document that is not readable, and is made again.
    async fn clear_damaged<T: DeserializeOwned + Keyed>(
        &self,
        key: &str,
        error: &DocumentError,
    ) -> Result<(), CatalogueError> {
        warn!(key, error = %ErrorChain(error), "The ledger's `{key}` is not readable; it is made again");
        let documents = self.register.documents();
        Ok(documents.remove_unreadable::<T>(key).await?)
    }

    /// Decides on the report that is stored now. Its notice is kept before the write: after a kill in between, the next
    /// report that replaces the same one keeps the same notice.
    async fn decide_on_report(
        &self,
        day: Date,
        before: Option<CompletenessReport>,
        report: &CompletenessReport,
    ) -> Result<Decision<CompletenessReport, News>, CatalogueError> {
        let replaced = before.as_ref().map(|before| before.made_at);
        let now = self.clock.now();
        // A time in the future is of a clock that was ahead: what changed since is not in that report.
        let is_newer = |made_at| made_at >= report.made_at && !is_ahead(made_at, now);
        if replaced.is_some_and(is_newer) {
            return Ok(Decision::Leave(News::Outdated));
        }
        if before
            .as_ref()
            .is_none_or(|before| differs_for_subscribers(before, report))
        {
            let notice = Notice::DayCompleted { day, replaced };
            self.register.keep_notice(notice, now).await?;
        }
        Ok(Decision::Write(
            report.clone(),
            news(before.as_ref(), report),
        ))
    }

    /// Derives the other forms of a day's report from the stored report.
    async fn derive(&self, day: Date) -> Result<(), CatalogueError> {
        let documents = self.register.documents();
        let text_key = format!("reports/{day}.txt");
        let known_text = match documents.store.find(&text_key).await {
            Err(error) if error.damaged().is_some() => {
                documents.store.remove(&text_key).await?;
                None
            }
            found => found?,
        };
        let key = report_key(&day.to_string());
        let Some(stored) = documents.store.find(&key).await? else {
            return Ok(());
        };
        let Some(report) = documents.find::<CompletenessReport>(&key).await? else {
            return Ok(());
        };
        let report_sha256 = Sha256Digest::of(&stored.content);
        let summary = DaySummary {
            day: report.day.clone(),
            recordings: report.recordings.len(),
            minutes: report.minutes,
            incomplete: report.incomplete,
            findings: report.findings.len(),
            not_checked: report.not_checked.len(),
            made_at: report.made_at,
            report_sha256,
        };
        self.keep_summary(&summary).await?;
        let text = format!("{report}\n\nFrom {key}, SHA-256 {report_sha256}\n");
        if known_text
            .as_ref()
            .is_some_and(|known| known.content == text.as_bytes())
        {
            return Ok(());
        }
        let condition = known_text.map_or(Precondition::Absent, |known| {
            Precondition::Unchanged(known.version)
        });
        let put = documents.store.put(&text_key, Bytes::from(text), condition);
        if put.await? == PutOutcome::Conflict {
            debug!("Another sweep wrote {text_key} at the same time");
        }
        Ok(())
    }

    /// Stores the numbers of a day, unless those of a later report are stored.
    async fn keep_summary(&self, summary: &DaySummary) -> Result<(), CatalogueError> {
        let (documents, now) = (self.register.documents(), self.clock.now());
        let replace = |known: Option<&DaySummary>| {
            let is_older = known.is_none_or(|known| {
                known.made_at <= summary.made_at || is_ahead(known.made_at, now)
            });
            (is_older && known != Some(summary)).then(|| summary.clone())
        };
        let key = summary_key(&summary.day);
        match documents.change(&key, replace).await {
            Err(error) if error.is_damage() => {
                self.clear_damaged::<DaySummary>(&key, &error).await?;
                documents.change(&key, replace).await?;
            }
            changed => drop(changed?),
        }
        Ok(())
    }
}

impl Keyed for CompletenessReport {
    fn key(&self) -> Option<String> {
        Some(report_key(&self.day))
    }
}

fn report_key(day: &str) -> String {
    format!("reports/{day}.json")
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
    age < rest.unwrap_or(SignedDuration::MAX) && !is_ahead(known.made_at, now)
}

fn news(before: Option<&CompletenessReport>, report: &CompletenessReport) -> News {
    match before {
        None => News::First,
        Some(before)
            if before.standings == report.standings && before.outcome() == report.outcome() =>
        {
            News::Same
        }
        Some(_) => News::Changed,
    }
}

/// Whether the numbers of its event differ.
fn differs_for_subscribers(before: &CompletenessReport, report: &CompletenessReport) -> bool {
    let numbers = |report: &CompletenessReport| {
        (
            report.recordings.len(),
            report.incomplete,
            report.findings.len(),
            report.not_checked.len(),
        )
    };
    numbers(before) != numbers(report) || (before.minutes - report.minutes).abs() >= SAME_MINUTES
}

fn log(report: &CompletenessReport, key: &str) {
    let (day, recordings) = (&report.day, report.recordings.len());
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
