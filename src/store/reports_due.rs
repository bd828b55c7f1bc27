//! Markers that the report of a day must be made, or made again: `reports-due/<day>/<seconds>-<name>`. It knows no recordings and
//! no chunks, only the days (UTC) that they belong to.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::clock::CLOCKS_DIFFER;

pub const DUE: &str = "reports-due/";
/// A day is reported on when the files of its last recordings have arrived, or are missing.
pub const REPORTED_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// The day (UTC) of a time.
pub fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// Whether the report of a day may have been made, if only by a process whose clock is ahead.
pub fn may_be_reported(day: Date, now: Timestamp) -> bool {
    let ahead = now.checked_add(CLOCKS_DIFFER).unwrap_or(Timestamp::MAX);
    is_reported(day, ahead)
}

/// Whether it is time for the report of a day.
pub fn is_reported(day: Date, now: Timestamp) -> bool {
    let end = day
        .checked_add(1.day())
        .and_then(|next| next.to_zoned(TimeZone::UTC));
    end.is_ok_and(|end| now.duration_since(end.timestamp()) >= REPORTED_AFTER)
}

/// Returns the marker of a change of that time which the report of a day may lack.
pub fn marker(day: Date, changed_at: Timestamp, name: &str) -> String {
    let seconds = changed_at.as_second().max(0);
    format!("{DUE}{day}/{seconds:011}-{name}")
}
