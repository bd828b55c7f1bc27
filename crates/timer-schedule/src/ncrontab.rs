//! NCRONTAB: six fields, or five without seconds, as the .NET library `NCrontab` reads them.
//!
//! An item of a field is `*`, a value or a range, each with an optional step; a field is a list of items. Stricter than
//! the library in two ways that are mistakes more often than wishes: a range must not run backwards (the library swaps
//! its ends), and a name needs three letters (the library takes `J` for January). No `L`, `W`, `#`, `?` and no `@daily`:
//! the library knows none of them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Field, InvalidSchedule};

const FIELDS: [Field; 6] = [
    Field::Second,
    Field::Minute,
    Field::Hour,
    Field::DayOfMonth,
    Field::Month,
    Field::DayOfWeek,
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Longest length of each month.
const DAYS_IN_MONTH: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

pub fn parse(text: &str) -> Result<Cron, InvalidSchedule> {
    let mut texts: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
    match texts.len() {
        6 => {}
        5 => texts.insert(0, "0"),
        count => return Err(InvalidSchedule::FieldCount(count)),
    }
    let mut values = Vec::new();
    for (field, text) in FIELDS.into_iter().zip(texts) {
        let invalid = || InvalidSchedule::Field {
            field,
            text: text.to_owned(),
        };
        values.push(field.values(text).ok_or_else(invalid)?);
    }
    if never_fires(&values[3], &values[4]) {
        return Err(InvalidSchedule::Never);
    }
    let plain: Vec<String> = values.iter().map(list).collect();
    // NCRONTAB fires when the day of the month AND the day of the week match; and it knows no years.
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Disallowed)
        .dom_and_dow(true)
        .build();
    Ok(parser
        .parse(&plain.join(" "))
        .expect("lists of numbers within their bounds are a cron expression"))
}

fn list(values: &BTreeSet<u16>) -> String {
    let texts: Vec<String> = values.iter().map(u16::to_string).collect();
    texts.join(",")
}

/// Whether no month has any of the days. A date that exists falls on every day of the week in some year.
fn never_fires(days: &BTreeSet<u16>, months: &BTreeSet<u16>) -> bool {
    let Some(first) = days.first() else {
        return true;
    };
    !months
        .iter()
        .any(|month| *first <= DAYS_IN_MONTH[usize::from(*month) - 1])
}

impl Field {
    fn bounds(self) -> RangeInclusive<u16> {
        match self {
            Self::Second | Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::DayOfMonth => 1..=31,
            Self::Month => 1..=12,
            Self::DayOfWeek => 0..=6,
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &DAYS,
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }

    fn values(self, text: &str) -> Option<BTreeSet<u16>> {
        let items: Option<Vec<Vec<u16>>> = text.split(',').map(|item| self.item(item)).collect();
        Some(items?.into_iter().flatten().collect())
    }

    fn item(self, text: &str) -> Option<Vec<u16>> {
        let (text, step) = match text.split_once('/') {
            Some((text, step)) => (text, number(step).filter(|step| *step > 0)?),
            None => (text, 1),
        };
        let range = if text == "*" {
            self.bounds()
        } else if let Some((first, last)) = text.split_once('-') {
            self.value(first)?..=self.value(last)?
        } else {
            let first = self.value(text)?;
            // `5/15` runs to the end of the field, `5` and `5/1` do not.
            first..=if step == 1 {
                first
            } else {
                *self.bounds().end()
            }
        };
        let values: Vec<u16> = range.step_by(usize::from(step)).collect();
        Some(values).filter(|values| !values.is_empty())
    }

    fn value(self, text: &str) -> Option<u16> {
        let value = number(text).or_else(|| {
            let text = text.to_ascii_lowercase();
            let is_named = |name: &&'static str| text.len() >= 3 && name.starts_with(&text);
            let index = self.names().iter().position(is_named)?;
            Some(self.bounds().start() + u16::try_from(index).ok()?)
        })?;
        self.bounds().contains(&value).then_some(value)
    }
}

/// Accepts digits only: the parser would accept `+5`.
fn number(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
