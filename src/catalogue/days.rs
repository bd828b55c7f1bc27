//! Days in numbers: from the nightly reports, and by looking where there is none yet.

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::row::KnownRecording;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::day_summary::DaySummary;
use crate::control::entry::RecordingStatus;
use crate::export::entry;
use crate::store::digest::Sha256Digest;

/// The most days that are told of at once.
pub const MOST_DAYS: usize = 92;
/// Recordings that are looked at for all days without a report; the newest days' first.
const LOOKED_AT: usize = 1000;
/// Recordings of a day that are counted.
const COUNTED: usize = 10_000;
const MS_PER_MINUTE: f64 = 60_000.0;

/// A day's recordings, by when they began (UTC).
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// `2026-03-02`
    pub day: String,
    pub recordings: usize,
    pub minutes: f64,
    /// Recordings of which something is missing.
    pub incomplete: usize,
    /// There are more than were looked at: the numbers are lower bounds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_capped: bool,
}

/// Days in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Days {
    pub days: Vec<Day>,
}

impl Catalogue {
    /// The days from `from` to `to`, at most [`MOST_DAYS`].
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
            .map(|day| async move { self.register.day_summary(&day.to_string()).await });
        let kept: Vec<Option<DaySummary>> = kept.buffered(AT_ONCE).try_collect().await?;
        let mut days = Vec::with_capacity(dates.len());
        let mut left = LOOKED_AT;
        for (date, kept) in dates.into_iter().zip(kept).rev() {
            days.push(match kept {
                Some(DaySummary {
                    day,
                    recordings,
                    minutes,
                    incomplete,
                    ..
                }) => Day {
                    day,
                    recordings,
                    minutes,
                    incomplete,
                    is_capped: false,
                },
                None => self.looked_at(date, &mut left).await?,
            });
        }
        days.reverse();
        Ok(Days { days })
    }

    async fn looked_at(&self, date: Date, left: &mut usize) -> Result<Day, CatalogueError> {
        let mut day = Day {
            day: date.to_string(),
            recordings: 0,
            minutes: 0.0,
            incomplete: 0,
            is_capped: false,
        };
        let Ok(start) = date.to_zoned(TimeZone::UTC) else {
            return Ok(day);
        };
        let names = self
            .register
            .of_day(Timestamp::from(start), None, COUNTED + 1)
            .await?;
        day.recordings = names.len().min(COUNTED);
        let looked_at = names.len().min(*left);
        day.is_capped = looked_at < names.len();
        *left -= looked_at;
        let names = names
            .into_iter()
            .take(looked_at)
            .filter_map(|name| Sha256Digest::try_from(name).ok());
        let mut found = futures::stream::iter(names)
            .map(|name| async move { self.recorded(&name).await })
            .buffered(AT_ONCE);
        while let Some(recorded) = found.try_next().await? {
            let Some(recorded) = recorded else { continue };
            day.minutes += minutes(&recorded);
            let has_ended = recorded.account.status != RecordingStatus::Running;
            day.incomplete += usize::from(has_ended && !recorded.problems().is_empty());
        }
        Ok(day)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a recording lasts no 2^53 milliseconds"
)]
fn minutes(recorded: &KnownRecording) -> f64 {
    entry::recording_duration_ms(recorded.entries())
        .map_or(0.0, |duration_ms| duration_ms as f64 / MS_PER_MINUTE)
}
