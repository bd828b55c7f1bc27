//! Schedules of timer triggers, as the Azure Functions host reads them. Knows no setting and no function.
//!
//! The handler checks its setting with it, the stand-in host runs timers with it. Nothing is accepted that the host
//! would refuse, since the host leaves out a timer whose schedule it cannot read. The few expressions that the host
//! accepts and this crate does not (day ranges that run backwards, names of one or two letters) are listed in `ncrontab`.
//!
//! - NCRONTAB: <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions>
//! - Time spans: <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#timespan>

mod error;
mod ncrontab;
mod time_span;

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use self::error::{Field, InvalidSchedule};
pub use self::time_span::parse_time_span;

/// When a timer fires, in UTC.
#[derive(Debug, Clone)]
pub enum Schedule {
    Cron(Box<Cron>),
    Every(Duration),
}

/// Days in which every day of the month, of the week and of the year occurs.
const A_LEAP_YEAR: i16 = 366;

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(InvalidSchedule::Empty);
        }
        if text.contains('%') {
            return Err(InvalidSchedule::AppSettingReference);
        }
        if text.contains(':') {
            return match parse_time_span(text.trim()) {
                Some(span) if !span.is_zero() => Ok(Self::Every(span)),
                Some(_) | None => Err(InvalidSchedule::TimeSpan),
            };
        }
        ncrontab::parse(text).map(|cron| Self::Cron(Box::new(cron)))
    }
}

impl Schedule {
    /// The next occurrence after `now`; `None` beyond the end of the calendar.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(span) => now.checked_add(*span).ok(),
            Self::Cron(cron) => {
                let now = now.to_zoned(TimeZone::UTC).datetime();
                let next = cron.find_next_occurrence(&now, false).ok()?;
                next.to_zoned(TimeZone::UTC)
                    .ok()
                    .map(|next| next.timestamp())
            }
        }
    }

    /// Whether more time than `limit`, which is less than a day, passes between some two occurrences.
    pub fn has_gap_over(&self, limit: Duration) -> bool {
        match self {
            Self::Every(span) => *span > limit,
            Self::Cron(cron) => !fires_every_day(cron) || is_idle_for_more(cron, limit),
        }
    }

    /// The host keeps no status for schedules that fire more than once a minute.
    pub fn is_below_a_minute(&self, now: Timestamp) -> bool {
        let next = self.next(now);
        let after = next.and_then(|next| self.next(next));
        next.zip(after)
            .is_some_and(|(next, after)| after.duration_since(next).as_secs() < 60)
    }
}

fn midnight(day: i16) -> DateTime {
    date(2024, 1, 1).at(0, 0, 0, 0) + SignedDuration::from_hours(24 * i64::from(day))
}

fn fires_every_day(cron: &Cron) -> bool {
    (0..A_LEAP_YEAR).all(|day| {
        let next = cron.find_next_occurrence(&midnight(day), true);
        next.is_ok_and(|next| next < midnight(day + 1))
    })
}

/// Of a schedule that fires every day: then all days are the same.
fn is_idle_for_more(cron: &Cron, limit: Duration) -> bool {
    let Ok(mut at) = cron.find_next_occurrence(&midnight(0), true) else {
        return true;
    };
    while at < midnight(2) {
        let latest = at
            .checked_add(limit)
            .ok()
            .and_then(|end| cron.find_previous_occurrence(&end, true).ok());
        match latest {
            Some(latest) if latest > at => at = latest,
            Some(_) | None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests;
