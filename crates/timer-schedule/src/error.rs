//! Why a schedule is invalid, described for the person who set it.

use std::fmt;

/// Why a schedule is invalid. The text does not repeat the schedule itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("it is empty; expected {EXPECTED}")]
    Empty,
    #[error(
        "the host does not resolve `%` references in the value of a setting; expected {EXPECTED}"
    )]
    AppSettingReference,
    #[error("it has {} instead of six; expected {EXPECTED}", fields(*.0))]
    FieldCount(usize),
    #[error("its {field} field is `{text}`; expected {}", .field.expected())]
    Field { field: Field, text: String },
    #[error("its months have no such day, so it never fires; expected {EXPECTED}")]
    Never,
    #[error(
        "it is not a time span; expected hh:mm:ss up to 23:59:59, or d.hh:mm:ss, and more than zero"
    )]
    TimeSpan,
}

const EXPECTED: &str = "six fields such as 0 * * * * *, or a time span such as 00:01:00";

fn fields(count: usize) -> String {
    match count {
        1 => "1 field".to_owned(),
        count => format!("{count} fields"),
    }
}

/// A field of an NCRONTAB expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl Field {
    fn expected(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => {
                "numbers from 0 to 59, such as 5, 0,30, 10-20, */15 or *"
            }
            Self::Hour => "numbers from 0 to 23, such as 5, 0,12, 8-17, */6 or *",
            Self::DayOfMonth => "numbers from 1 to 31, such as 1, 1,15, 1-7, */2 or *",
            Self::Month => "numbers from 1 to 12 or names, such as 1, Jan,Jul, 4-9, */3 or *",
            Self::DayOfWeek => {
                "numbers from 0 (Sunday) to 6 or names, such as 1, Sat,Sun, 1-5, */2 or *"
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "seconds",
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        })
    }
}
