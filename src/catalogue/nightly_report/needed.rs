//! Which days need a report although nothing of them changed: yesterday, the days before it on which no sweep ran, and days
//! whose report a clock that was ahead made too early.
//!
//! ```text
//! last-daily-report.json   the last day of which a sweep noted that its report must be made
//! ```
//! Days are noted before it is written: the next sweep repeats what a kill left undone.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::is_open;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::clock::is_ahead;
use crate::control::register::days::{REPORTED_AFTER, day_of};
use crate::store::documents::Keyed;
use crate::store::reports_due::may_be_reported;

const KEY: &str = "last-daily-report.json";
const REPORTS: &str = "reports/";
/// A report, its numbers, and the same to be read.
const FORMS: usize = 3;
/// Days after yesterday whose reports one sweep looks at: there are none unless a clock was ahead.
const EARLY_DAYS: usize = 8;
/// Days that one sweep notes at most; those of the next days note the others.
const MOST_SKIPPED: usize = 366;

/// `last-daily-report.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastDaily {
    day: Date,
}

impl Keyed for LastDaily {
    fn key(&self) -> Option<String> {
        Some(KEY.to_owned())
    }
}

impl Catalogue {
    /// Notes the days that need a report although nothing of them changed.
    pub(super) async fn need_reports(&self, now: Timestamp) -> Result<(), CatalogueError> {
        let yesterday = day_of(now - REPORTED_AFTER - SignedDuration::from_hours(24));
        let store = &self.register.documents().store;
        let begin = format!("{REPORTS}{yesterday}");
        let limit = FORMS + EARLY_DAYS * FORMS;
        let stored = store.list(REPORTS, Some(&begin), limit).await?;
        let (of_yesterday, later): (Vec<String>, Vec<String>) =
            stored.into_iter().partition(|key| key.starts_with(&begin));
        let is_whole = of_yesterday.len() == FORMS;
        if !is_whole {
            self.need_missing(yesterday, now).await?;
        }
        let known = self.kept_summary(yesterday).await?;
        if is_whole && known.is_none_or(|known| is_open(&known, now)) {
            self.register.need_report(yesterday).await?;
        }
        self.need_early(&later, now).await
    }

    /// Notes yesterday and the days since the last daily report on which no sweep ran, oldest first.
    async fn need_missing(&self, yesterday: Date, now: Timestamp) -> Result<(), CatalogueError> {
        let documents = self.register.documents();
        let known: Option<LastDaily> = match documents.find(KEY).await {
            Err(error) if error.is_damage() => {
                warn!(
                    "`{KEY}` was not readable: days before {yesterday} on which no sweep ran have no report"
                );
                documents.remove_unreadable::<LastDaily>(KEY).await?;
                None
            }
            found => found?,
        };
        let skipped = known.map_or_else(Vec::new, |last| days_between(last.day, yesterday));
        for day in skipped.iter().chain([&yesterday]) {
            self.register.need_report(*day).await?;
        }
        let noted = match skipped.last() {
            Some(last) if skipped.len() == MOST_SKIPPED => *last,
            Some(_) | None => yesterday,
        };
        let note = |current: Option<&LastDaily>| {
            let is_noted = current
                .is_some_and(|current| current.day >= noted && may_be_reported(current.day, now));
            (!is_noted).then_some(LastDaily { day: noted })
        };
        documents.change(KEY, note).await?;
        Ok(())
    }

    /// Notes days after yesterday whose report a clock that was ahead made: what came since is not in it.
    async fn need_early(&self, later: &[String], now: Timestamp) -> Result<(), CatalogueError> {
        let days = later.iter().filter_map(|key| day_in(key));
        let mut days: Vec<Date> = days.filter(|day| !may_be_reported(*day, now)).collect();
        days.dedup();
        for day in days {
            let known = self.kept_summary(day).await?;
            if known.is_none_or(|known| is_ahead(known.made_at, now)) {
                self.register.need_report(day).await?;
            }
        }
        Ok(())
    }
}

/// The days after one and before another, at most [`MOST_SKIPPED`].
fn days_between(last: Date, yesterday: Date) -> Vec<Date> {
    let days = last.series(1.day()).skip(1);
    let days = days.take_while(|day| *day < yesterday);
    days.take(MOST_SKIPPED).collect()
}

/// The day of a report by its key.
fn day_in(key: &str) -> Option<Date> {
    let rest = key.strip_prefix(REPORTS)?;
    rest.get(.."2026-03-02".len())?.parse().ok()
}
