//! Stores the report of a day, and derives its other forms from the report in hand: what was written is not read again, however
//! large it is. Of the report that it replaces, it reads the numbers and no recordings.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use tracing::{debug, warn};

use super::News;
use crate::catalogue::report::{CompletenessReport, DayOutcome, NotListed};
use crate::catalogue::{Catalogue, CatalogueError};
use crate::clock::is_ahead;
use crate::control::day_summary::{DaySummary, summary_key};
use crate::error_chain::ErrorChain;
use crate::standing::Counts;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{
    MOST_DOCUMENT_BYTES, Precondition, PutOutcome, StoreError, Versioned,
};
use crate::store::documents::{CONFLICTS_TOLERATED, DocumentError, Keyed};
use crate::store::outbox::Notice;

/// The size of the list of recordings in a stored report, about 15,000 recordings. The memory holds a few times as much while a
/// report is made.
pub(super) const MOST_LISTED_BYTES: usize = MOST_DOCUMENT_BYTES / 4;
/// Larger reports are stored without indentation.
const MOST_INDENTED_BYTES: usize = 1024 * 1024;
/// Totals of minutes that differ by less than this are the same: the order of a sum changes its last digits.
const SAME_MINUTES: f64 = 0.01;

/// What became of a report that was to be stored.
#[derive(Debug)]
pub(super) enum StoredReport {
    Written(News),
    /// The stored one, with this content, was begun later.
    Outdated(Bytes),
}

/// The numbers of a stored report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportHead {
    day: String,
    made_at: Timestamp,
    not_listed: Option<NotListed>,
    recordings: Vec<IgnoredAny>,
    incomplete: usize,
    standings: Counts,
    minutes: f64,
    findings: Vec<IgnoredAny>,
    not_checked: Vec<IgnoredAny>,
}

impl Keyed for ReportHead {
    fn key(&self) -> Option<String> {
        Some(report_key(&self.day))
    }
}

impl ReportHead {
    fn recording_count(&self) -> usize {
        let not_listed = self.not_listed.map_or(0, NotListed::count);
        self.recordings.len().saturating_add(not_listed)
    }

    fn outcome(&self) -> DayOutcome {
        let is_known = self.findings.is_empty() && self.not_checked.is_empty();
        DayOutcome::of(self.recording_count(), self.incomplete, is_known)
    }
}

impl Catalogue {
    /// Stores a report with this content, unless the stored one was begun later.
    pub(super) async fn store_report(
        &self,
        day: Date,
        report: &CompletenessReport,
        content: &Bytes,
    ) -> Result<StoredReport, CatalogueError> {
        let key = report_key(&report.day);
        let mut tried: Option<(News, Option<StoreError>)> = None;
        for _ in 0..CONFLICTS_TOLERATED {
            let (before, stored) = self.stored_report(&key).await?.unzip();
            let is_ours = stored
                .as_ref()
                .is_some_and(|stored| stored.content == *content);
            match tried.take() {
                // The answer to the write was lost.
                Some((news, _)) if is_ours => return Ok(StoredReport::Written(news)),
                Some((_, Some(failure))) => return Err(failure.into()),
                Some((_, None)) | None => {}
            }
            let is_outdated = before
                .as_ref()
                .is_some_and(|before| self.is_later(before, report));
            let condition = match stored {
                Some(stored) if is_outdated => return Ok(StoredReport::Outdated(stored.content)),
                Some(stored) => Precondition::Unchanged(stored.version),
                None => Precondition::Absent,
            };
            self.keep_day_notice(day, before.as_ref(), report).await?;
            let news = news(before.as_ref(), report);
            let store = &self.register.documents().store;
            match store.put(&key, content.clone(), condition).await {
                Ok(PutOutcome::Written(_)) => return Ok(StoredReport::Written(news)),
                Ok(PutOutcome::Conflict) => tried = Some((news, None)),
                Err(failure) => tried = Some((news, Some(failure))),
            }
        }
        Err(DocumentError::Contended { key }.into())
    }

    /// Derives the other forms of a report that is stored.
    pub(super) async fn derive(
        &self,
        day: Date,
        report: &CompletenessReport,
        report_sha256: Sha256Digest,
    ) -> Result<(), CatalogueError> {
        let summary = DaySummary {
            day: report.day.clone(),
            recordings: report.recording_count(),
            minutes: report.minutes,
            incomplete: report.incomplete,
            findings: report.findings.len(),
            not_checked: report.not_checked.len(),
            made_at: report.made_at,
            report_sha256,
        };
        self.keep_summary(&summary).await?;
        self.keep_text(day, report, report_sha256).await
    }

    /// Whether a stored report was begun later than another.
    fn is_later(&self, stored: &ReportHead, report: &CompletenessReport) -> bool {
        // A time in the future is of a clock that was ahead: what changed since is not in that report.
        stored.made_at >= report.made_at && !is_ahead(stored.made_at, self.clock.now())
    }

    /// Returns the stored report. One that is not readable is removed, because it is made again.
    async fn stored_report(
        &self,
        key: &str,
    ) -> Result<Option<(ReportHead, Versioned)>, CatalogueError> {
        let error = match self.register.documents().store.find(key).await {
            Ok(None) => return Ok(None),
            Ok(Some(stored)) => match head_of(key, &stored.content) {
                Ok(head) => return Ok(Some((head, stored))),
                Err(error) => error,
            },
            Err(error) if error.damaged().is_some() => DocumentError::Store(error),
            Err(error) => return Err(error.into()),
        };
        self.clear_damaged::<ReportHead>(key, &error).await?;
        Ok(None)
    }

    /// Keeps the notice of a day whose numbers change. It is kept before the report is written: after a kill in between, the
    /// next report that replaces the same one keeps the same notice.
    async fn keep_day_notice(
        &self,
        day: Date,
        before: Option<&ReportHead>,
        report: &CompletenessReport,
    ) -> Result<(), CatalogueError> {
        if before.is_some_and(|before| !differs_for_subscribers(before, report)) {
            return Ok(());
        }
        let replaced = before.map(|before| before.made_at);
        let notice = Notice::DayCompleted { day, replaced };
        let kept = self.register.keep_notice(notice, self.clock.now());
        Ok(kept.await?)
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

    /// Stores a report as text. Its numbers must be stored already: if those of another report have replaced them since, the
    /// process of that report writes the text.
    async fn keep_text(
        &self,
        day: Date,
        report: &CompletenessReport,
        report_sha256: Sha256Digest,
    ) -> Result<(), CatalogueError> {
        let store = &self.register.documents().store;
        let key = format!("reports/{day}.txt");
        let from = report_key(&report.day);
        let text = format!("{report}\n\nFrom {from}, SHA-256 {report_sha256}\n");
        let text = Bytes::from(text);
        for _ in 0..CONFLICTS_TOLERATED {
            let known = match store.find(&key).await {
                Err(error) if error.damaged().is_some() => {
                    store.remove(&key).await?;
                    None
                }
                found => found?,
            };
            // Read after the text: a text that another process has written since makes the write below conflict.
            let summary = self.kept_summary(day).await?;
            let is_replaced = summary.is_some_and(|kept| kept.report_sha256 != report_sha256);
            if is_replaced || known.as_ref().is_some_and(|known| known.content == text) {
                return Ok(());
            }
            let condition = known.map_or(Precondition::Absent, |known| {
                Precondition::Unchanged(known.version)
            });
            if store.put(&key, text.clone(), condition).await?.is_written() {
                return Ok(());
            }
            debug!("Another sweep wrote {key} at the same time");
        }
        Err(DocumentError::Contended { key }.into())
    }
}

/// Returns the content of a report that is stored.
pub(super) fn content_of(report: &CompletenessReport) -> Bytes {
    let has_string_keys = "a report has string keys only";
    let content = serde_json::to_vec(report).expect(has_string_keys);
    if content.len() > MOST_INDENTED_BYTES {
        return Bytes::from(content);
    }
    Bytes::from(serde_json::to_vec_pretty(report).expect(has_string_keys))
}

pub(super) fn report_key(day: &str) -> String {
    format!("reports/{day}.json")
}

fn head_of(key: &str, content: &[u8]) -> Result<ReportHead, DocumentError> {
    let corrupt = |source| DocumentError::Corrupt {
        key: key.to_owned(),
        source,
    };
    let head: ReportHead = serde_json::from_slice(content).map_err(corrupt)?;
    if report_key(&head.day) != key {
        let reason = format!("it is the report of `{}`", head.day);
        return Err(corrupt(serde_json::Error::custom(reason)));
    }
    Ok(head)
}

fn news(before: Option<&ReportHead>, report: &CompletenessReport) -> News {
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
fn differs_for_subscribers(before: &ReportHead, report: &CompletenessReport) -> bool {
    let numbers_before = (
        before.recording_count(),
        before.incomplete,
        before.findings.len(),
        before.not_checked.len(),
    );
    let numbers = (
        report.recording_count(),
        report.incomplete,
        report.findings.len(),
        report.not_checked.len(),
    );
    numbers_before != numbers || (before.minutes - report.minutes).abs() >= SAME_MINUTES
}
