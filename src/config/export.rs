//! Settings of the export: blocks, attempts, deletion at ACS, the timer's schedule.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use timer_schedule::Schedule;

use super::platform::Platform;
use super::reader::Reader;
use crate::export::block::BlockPolicy;
use crate::export::driver::ExportPolicy;
use crate::export::{DeletionPolicy, OnAnomaly, OnUnknownMedia, OnUnsolicited};
use crate::recording::OnOtherObject;
use crate::retry::RetryPolicy;
use crate::sweep_rhythm::LONGEST_PAUSE;

/// Blob Storage accepts blocks up to 4,000 MiB, but a block is kept in memory and its upload has a minute. It accepts
/// 50,000 blocks, so 64 KiB is enough for twice ACS's largest file.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;

/// The timer's schedule. The binding of `ExportSweep` names the setting, so the host disables the timer without it.
const SCHEDULE: &str = "EXPORT_SWEEP_SCHEDULE";
/// The default of the timer's schedule.
const EVERY_MINUTE: &str = "0 * * * * *";

impl Reader {
    pub(super) fn export(&mut self) -> Option<ExportPolicy> {
        let block_size_bytes = self.parsed("BLOCK_SIZE", |text| {
            let size = text
                .parse::<ByteSize>()
                .map(|size| size.as_u64())
                .unwrap_or_default();
            let usable = BLOCK_SIZES.contains(&size) && size.is_multiple_of(1024);
            let size = usize::try_from(size)
                .ok()
                .and_then(NonZeroUsize::new)
                .filter(|_| usable);
            size.ok_or_else(|| {
                format!(
                    "is `{text}`; expected a multiple of 1KiB from 64KiB to 64MiB, such as 8MiB"
                )
            })
        });
        let blocks_in_flight = self.count("BLOCKS_IN_FLIGHT", 64);
        let chunks_in_flight = self.count("CHUNKS_IN_FLIGHT", 256);
        let attempts = self.count("EXPORT_ATTEMPTS", 10_000);
        let deletion = self.deletion();
        Some(ExportPolicy {
            blocks: BlockPolicy {
                block_size_bytes: block_size_bytes?,
                blocks_in_flight: blocks_in_flight?,
            },
            chunks_in_flight: chunks_in_flight?.get(),
            deletion: deletion?,
            attempts: RetryPolicy {
                first_delay: Duration::from_secs(10),
                longest_delay: Duration::from_mins(15),
                max_failures: u32::try_from(attempts?.get()).unwrap_or(u32::MAX),
            },
        })
    }

    fn deletion(&mut self) -> Option<DeletionPolicy> {
        let delay = self.duration("DELETE_DELAY", Duration::ZERO);
        let other_objects = self.boolean("DELETE_OTHER_OBJECT").map(|deletes| {
            if deletes {
                OnOtherObject::Delete
            } else {
                OnOtherObject::Keep
            }
        });
        let unsolicited = self.boolean("DELETE_UNSOLICITED").map(|deletes| {
            if deletes {
                OnUnsolicited::Delete
            } else {
                OnUnsolicited::Keep
            }
        });
        let anomalies = self.parsed("ON_ANOMALY", |text| match text {
            "keep" => Ok(OnAnomaly::Keep),
            "delete" => Ok(OnAnomaly::Delete),
            other => Err(format!("is `{other}`; expected keep or delete")),
        });
        let unknown_media = self.parsed("ON_UNKNOWN_MEDIA", |text| match text {
            "delete" => Ok(OnUnknownMedia::Delete),
            "keep" => Ok(OnUnknownMedia::Keep),
            other => Err(format!("is `{other}`; expected delete or keep")),
        });
        Some(DeletionPolicy {
            delay: delay?,
            anomalies: anomalies?,
            unknown_media: unknown_media?,
            other_objects: other_objects?,
            unsolicited: unsolicited?,
        })
    }

    /// The host reads the schedule, and disables the timer if it is invalid: then no sweep resumes interrupted work.
    /// Returns the longest pause of the schedule, as far as it matters; without a schedule that of the usual one.
    pub(super) fn schedule(&mut self) -> Option<Duration> {
        let check = |text: &str| match text.parse::<Schedule>() {
            Ok(schedule) => Ok(longest_pause(&schedule, text)),
            Err(problem) => Err(format!("is `{text}`; {problem}")),
        };
        if self.text(SCHEDULE).is_none() {
            return Some(Duration::from_mins(1));
        }
        self.parsed(SCHEDULE, check)
    }

    /// Whether this is a Function App in Azure whose timer the host disables. On another machine there may be no host.
    pub(super) fn lacks_schedule(&self) -> bool {
        self.platform() == Some(Platform::Azure) && self.text(SCHEDULE).is_none()
    }
}

/// The usual schedule is not examined: that takes some milliseconds of each start.
fn longest_pause(schedule: &Schedule, text: &str) -> Duration {
    if text == EVERY_MINUTE {
        return Duration::from_mins(1);
    }
    let mut pauses = [1, 2, 5, 10].map(Duration::from_mins).into_iter();
    let longest = pauses.find(|pause| !schedule.has_gap_over(*pause));
    longest.unwrap_or(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingsFrom;

    fn problems(schedule: &str) -> Vec<String> {
        let mut reader = Reader::new(
            SettingsFrom::Environment,
            [("EXPORT_SWEEP_SCHEDULE".to_owned(), schedule.to_owned())],
        );
        reader.schedule();
        reader.problems
    }

    #[rstest::rstest]
    #[case("0 */5 * * * *")]
    #[case("*/5 * * * *")]
    #[case("0 0 6-22/2 * Jan-Jun MON,Wed")]
    #[case("00:01:00")]
    fn a_schedule_that_the_host_reads_is_valid(#[case] schedule: &str) {
        assert_eq!(problems(schedule), [""; 0]);
    }

    #[rstest::rstest]
    #[case(
        "a b c d e f",
        "is `a b c d e f`; its seconds field is `a`; expected numbers from 0 to 59"
    )]
    #[case(
        "0 0 0 * * Noday",
        "is `0 0 0 * * Noday`; its day-of-week field is `Noday`; expected"
    )]
    #[case(
        "* * *",
        "is `* * *`; it has 3 fields instead of six; expected six fields such as"
    )]
    #[case(
        "%SWEEP%",
        "is `%SWEEP%`; the host does not resolve `%` references in the value of a"
    )]
    #[case(
        "0 0 0 31 2 *",
        "is `0 0 0 31 2 *`; its months have no such day, so it never fires"
    )]
    fn a_schedule_that_the_host_cannot_read_is_a_problem(
        #[case] schedule: &str,
        #[case] problem: &str,
    ) {
        let found = problems(schedule);
        let expected = format!("EXPORT_SWEEP_SCHEDULE {problem}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{found:?}"
        );
        assert!(found[0].contains("expected "), "{found:?}");
    }

    #[rstest::rstest]
    #[case("0 * * * * *", 1)]
    #[case("*/30 * * * * *", 1)]
    #[case("0 */5 * * * *", 5)]
    #[case("0 */15 * * * *", 15)]
    #[case("0 0-40 * * * *", 15)]
    #[case("00:07:00", 10)]
    #[case("0 0 0 * * Mon", 15)]
    fn the_longest_pause_of_a_schedule_is_known(#[case] schedule: &str, #[case] minutes: u64) {
        let mut reader = Reader::new(
            SettingsFrom::Environment,
            [("EXPORT_SWEEP_SCHEDULE".to_owned(), schedule.to_owned())],
        );
        assert_eq!(reader.schedule(), Some(Duration::from_mins(minutes)));
    }

    #[rstest::rstest]
    #[case::not_set(None)]
    #[case::empty(Some(""))]
    #[case::blank(Some("  "))]
    fn the_handler_starts_without_a_schedule(#[case] schedule: Option<&str>) {
        let given = schedule.map(|text| (SCHEDULE.to_owned(), text.to_owned()));
        let mut reader = Reader::new(SettingsFrom::Environment, given);
        assert_eq!(reader.schedule(), Some(Duration::from_mins(1)));
        assert_eq!(reader.problems, [""; 0]);
    }

    const IN_AZURE: (&str, &str) = ("WEBSITE_SITE_NAME", "contoso");

    #[rstest::rstest]
    #[case::not_set(&[IN_AZURE], true)]
    #[case::blank(&[IN_AZURE, (SCHEDULE, "  ")], true)]
    #[case::set(&[IN_AZURE, (SCHEDULE, EVERY_MINUTE)], false)]
    #[case::on_another_machine(&[], false)]
    fn a_function_app_without_a_schedule_is_known(
        #[case] variables: &[(&str, &str)],
        #[case] expected: bool,
    ) {
        let variables = variables.iter();
        let owned = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let reader = Reader::new(SettingsFrom::Environment, owned);
        assert_eq!(reader.lacks_schedule(), expected);
    }
}
