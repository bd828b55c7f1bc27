//! Parses the bounds of a period: days, months, times. Pure.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::store::index::Period;

/// A day, a month (both UTC), or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodEdge {
    begins_at: Timestamp,
    ends_at: Timestamp,
}

/// A text that is not a bound of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a day such as 2026-03-02, a month such as 2026-03, or a time such as 2026-03-02T10:00:00Z"
)]
pub struct InvalidEdge;

impl PeriodEdge {
    /// Returns the period between two bounds; days and months are inclusive at both ends.
    pub fn period(from: Option<Self>, to: Option<Self>) -> Period {
        Period {
            from: from.map(|edge| edge.begins_at),
            to: to.map(|edge| edge.ends_at),
        }
    }
}

impl FromStr for PeriodEdge {
    type Err = InvalidEdge;
    fn from_str(text: &str) -> Result<Self, InvalidEdge> {
        let text = text.trim();
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self {
                begins_at: time,
                ends_at: time,
            });
        }
        let (first, next) = days(text).ok_or(InvalidEdge)?;
        let beginning = |day: Date| day.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        Ok(Self {
            begins_at: beginning(first).map_err(|_| InvalidEdge)?,
            ends_at: beginning(next).map_err(|_| InvalidEdge)?,
        })
    }
}

/// Returns the first day of a day or month, and the day after its last.
fn days(text: &str) -> Option<(Date, Date)> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    match (text.len(), text.bytes().all(is_plain)) {
        (10, true) => {
            let day: Date = text.parse().ok()?;
            Some((day, day.checked_add(1.day()).ok()?))
        }
        (7, true) => {
            let day: Date = format!("{text}-01").parse().ok()?;
            Some((day, day.checked_add(1.month()).ok()?))
        }
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2026-03-02", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")]
    #[case("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")]
    #[case(
        "2026-03-02T10:00:00+01:00",
        "2026-03-02T09:00:00Z",
        "2026-03-02T09:00:00Z"
    )]
    fn a_period_has_the_whole_day_or_month_at_both_ends(
        #[case] text: &str,
        #[case] from: &str,
        #[case] to: &str,
    ) {
        let edge: PeriodEdge = text.parse().unwrap();
        let period = Period {
            from: from.parse().ok(),
            to: to.parse().ok(),
        };
        assert_eq!(PeriodEdge::period(Some(edge), Some(edge)), period);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("yesterday")]
    #[case("2026-02-30")]
    #[case("20260302")]
    #[case("2026")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert_eq!(text.parse::<PeriodEdge>(), Err(InvalidEdge));
    }
}
