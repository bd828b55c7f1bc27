//! The current numbers of days. The nightly report of a day is used only where all of the day was settled in it.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use tracing::debug;
use utoipa::ToSchema;

use super::day_context::DayContext;
use super::day_numbers::DayNumbers;
use super::report::is_over;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::clock::is_ahead;
use crate::control::day_summary::DaySummary;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;

/// The most days in one answer.
pub const MOST_DAYS: usize = 92;
/// Recordings that are read for all days that are not final, newest days first.
const LOOKED_AT: usize = 2000;
/// Recordings of a day that are counted.
const COUNTED: usize = 10_000;

/// A day's recordings, by when they began (UTC).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// `2026-03-02`
    pub day: String,
    pub recordings: usize,
    pub minutes: f64,
    /// Recordings that are not settled: something is missing, or they are on their way.
    pub incomplete: usize,
    /// There are more than were looked at: the numbers are lower bounds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_capped: bool,
    /// When all of its recordings were last read. Unless that is now, nothing changed since that the register knows of.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Whether all its recordings should be known. Until two hours after its end, more may begin or be announced.
    pub is_over: bool,
    /// What the last complete check found about its recordings, such as copies that are not in the vault.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings: usize,
}

/// Days in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Days {
    pub days: Vec<Day>,
    /// What was not checked, or is wrong and may concern any day, a sentence each. Unless it is empty, a day of which nothing is
    /// incomplete may lack something.
    pub not_checked: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Day {
    /// The numbers of a day, as its report has them. The last complete check has read its recordings again.
    fn of(kept: DaySummary, checked_at: Option<Timestamp>) -> Self {
        Self {
            as_of: checked_at.map_or(kept.made_at, |at| at.max(kept.made_at)),
            day: kept.day,
            recordings: kept.recordings,
            minutes: kept.minutes,
            incomplete: kept.incomplete,
            is_capped: false,
            is_over: false,
            findings: 0,
        }
    }
}

impl Catalogue {
    /// Returns the days from `from` to `to`, at most [`MOST_DAYS`].
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn days(&self, from: Date, to: Date) -> Result<Days, CatalogueError> {
        let dates: Vec<Date> = from
            .series(1.day())
            .take_while(|day| *day <= to)
            .take(MOST_DAYS)
            .collect();
        let kept = futures::stream::iter(dates.clone())
            .map(|day| async move { self.kept_or_due(day).await });
        let kept: Vec<Option<DaySummary>> = kept.buffered(AT_ONCE).try_collect().await?;
        let context = self.day_context().await?;
        let mut days = Vec::with_capacity(dates.len());
        let mut left = LOOKED_AT;
        for (date, kept) in dates.into_iter().zip(kept).rev() {
            let is_final = match &kept {
                Some(kept) if !context.concerns(date) => {
                    self.is_final(date, kept, context.as_of()).await?
                }
                Some(_) | None => false,
            };
            let day = match kept.filter(|_| is_final) {
                Some(kept) => Day::of(kept, context.checked_at()),
                None => self.looked_at(&context, date, &mut left).await?,
            };
            days.push(Day {
                is_capped: day.is_capped
                    || context.is_capped()
                    || context.unknown_starts_of(date).is_some(),
                is_over: is_over(date, context.as_of()),
                findings: context.findings_of(date).len(),
                ..day
            });
        }
        days.reverse();
        let of_any_day = context.findings_of_any_day();
        Ok(Days {
            days,
            not_checked: of_any_day.chain(context.not_checked()).cloned().collect(),
        })
    }

    async fn looked_at(
        &self,
        context: &DayContext,
        date: Date,
        left: &mut usize,
    ) -> Result<Day, CatalogueError> {
        let mut day = Day {
            day: date.to_string(),
            recordings: 0,
            minutes: 0.0,
            incomplete: 0,
            is_capped: false,
            as_of: context.as_of(),
            is_over: false,
            findings: 0,
        };
        let places = self.register.of_day(date, None, COUNTED + 1).await?;
        let mut numbers = DayNumbers::default();
        let looked_at = places.len().min(*left);
        let unread = &places[looked_at..];
        let mut counted: BTreeSet<Sha256Digest> =
            unread.iter().map(|place| place.recording).collect();
        if looked_at > 0 {
            let is_unregistered = |name: &Sha256Digest| context.has_unregistered(name);
            let (judged, _) = self.judged(&is_unregistered, date, None, looked_at).await?;
            for recording in judged.iter().filter(|one| counted.insert(one.name)) {
                numbers.add(recording);
            }
        }
        // The list of a day may lack one: it has no account, or its marker was lost.
        for recording in context.open_of(date) {
            if counted.insert(recording.name) {
                numbers.add(recording);
            }
        }
        *left -= looked_at;
        day.is_capped = !unread.is_empty();
        day.recordings = numbers.recordings + unread.len();
        (day.minutes, day.incomplete) = (numbers.minutes, numbers.incomplete);
        Ok(day)
    }

    /// Returns the stored numbers of a day. Unreadable ones are made again by the next sweep.
    async fn kept_or_due(&self, day: Date) -> Result<Option<DaySummary>, CatalogueError> {
        match self.register.day_summary(&day.to_string()).await {
            Err(error) if error.is_damage() => {
                if let Err(error) = self.register.need_report(day).await {
                    debug!(error = %ErrorChain(&error), "Could not note that the report of {day} must be made again");
                }
                Ok(None)
            }
            found => Ok(found?),
        }
    }

    /// Whether the stored numbers of a day are current, where nothing that is known now concerns it: nothing was open in
    /// them, they were made after its end and not by a clock that was ahead, and nothing in the register changed later.
    async fn is_final(
        &self,
        day: Date,
        kept: &DaySummary,
        now: Timestamp,
    ) -> Result<bool, CatalogueError> {
        let is_in_time = is_over(day, kept.made_at) && !is_ahead(kept.made_at, now);
        Ok(kept.incomplete == 0 && is_in_time && !self.register.is_report_due(&kept.day).await?)
    }
}
