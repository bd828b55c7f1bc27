//! NCRONTAB (six fields, or five without seconds) and time spans.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// When a timer fires, in UTC.
#[derive(Debug, Clone)]
pub enum Schedule {
    Cron(Box<Cron>),
    Every(Duration),
}

impl Schedule {
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return parse_time_span(text)
                .filter(|span| !span.is_zero())
                .map(Self::Every);
        }
        // NCrontab: day of month AND day of week must match; no years.
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .dom_and_dow(true)
            .build();
        parser
            .parse(text)
            .ok()
            .map(|cron| Self::Cron(Box::new(cron)))
    }

    /// The next occurrence after `now`; `None` if there never is one.
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

    /// The host keeps no status for schedules that fire more than once a minute.
    pub fn is_below_a_minute(&self, now: Timestamp) -> bool {
        let next = self.next(now);
        let after = next.and_then(|next| self.next(next));
        next.zip(after)
            .is_some_and(|(next, after)| after.duration_since(next).as_secs() < 60)
    }
}

/// `hh:mm:ss`, `d.hh:mm:ss`.
pub fn parse_time_span(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if clock.contains(':') => (days.parse::<u64>().ok()?, clock),
        Some(_) | None => (0, text),
    };
    let parts: Vec<u64> = clock
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else {
        return None;
    };
    let total = days
        .checked_mul(86_400)?
        .checked_add(hours.checked_mul(3600)?)?;
    if minutes >= 60 || seconds >= 60 {
        return None;
    }
    total
        .checked_add(minutes * 60 + seconds)
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        Schedule::parse(schedule)
            .unwrap()
            .next(now.parse().unwrap())
            .unwrap()
            .to_string()
    }

    #[rstest::rstest]
    #[case("0 * * * * *", "2026-03-02T10:00:30Z", "2026-03-02T10:01:00Z")]
    #[case("0 */5 * * * *", "2026-03-02T10:01:00Z", "2026-03-02T10:05:00Z")]
    #[case("*/10 * * * *", "2026-03-02T10:01:00Z", "2026-03-02T10:10:00Z")]
    #[case("0 30 9 * Jan Mon", "2026-03-02T10:00:00Z", "2027-01-04T09:30:00Z")]
    #[case("0 0 0 13 * 5", "2026-03-02T00:00:00Z", "2026-03-13T00:00:00Z")]
    #[case("00:05:00", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z")]
    fn schedules_fire_when_the_host_would(
        #[case] schedule: &str,
        #[case] now: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(next(schedule, now), expected);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("every minute")]
    #[case("61 * * * * *")]
    #[case("00:00:00")]
    fn a_bad_schedule_is_refused(#[case] schedule: &str) {
        assert!(Schedule::parse(schedule).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_what_it_reads_lies_ahead(text in "[-0-9*/,? :.A-Za-z]{0,40}|(\\*|[0-9]{1,2}|\\*/[0-9]{1,3})( (\\*|[0-9]{1,2}|[0-9]-[0-9]|MON|JAN)){4,5}") {
            let now: Timestamp = "2026-03-02T10:00:30Z".parse().unwrap();
            if let Some(next) = Schedule::parse(&text).and_then(|schedule| schedule.next(now)) {
                proptest::prop_assert!(next > now, "`{text}` gives {next}");
            }
        }
    }

    #[test]
    fn a_schedule_of_seconds_keeps_no_status() {
        let now = "2026-03-02T10:00:00Z".parse().unwrap();
        assert!(
            Schedule::parse("*/5 * * * * *")
                .unwrap()
                .is_below_a_minute(now)
        );
        assert!(
            !Schedule::parse("0 * * * * *")
                .unwrap()
                .is_below_a_minute(now)
        );
    }
}
