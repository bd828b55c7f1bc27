//! Times that are valid, and do harm together: the timer's schedule, how long ACS keeps a recording, when it is deleted there.

use std::time::Duration;

use jiff::SignedDuration;
use recording_vault::config::Config;
use recording_vault::sweep_rhythm::{FUNCTION_TIMEOUT, LONGEST_PAUSE};
use recording_vault::timer;
use timer_schedule::Schedule;

use super::Check;

const SCHEDULE: &str = "timer schedule";
const TIMES: &str = "times";
pub(super) const SETTING: &str = "EXPORT_SWEEP_SCHEDULE";
/// What ACS documents is 24 h; a resource of an earlier time may keep files for twice as long.
const PLAUSIBLE_RETENTION: Duration = Duration::from_hours(48);

/// Event Grid waits this long for an answer, and then delivers the event again.
/// <https://learn.microsoft.com/azure/event-grid/delivery-and-retry>
const EVENT_GRID_WAITS: Duration = Duration::from_secs(30);

/// With more, the host may kill the process before a sweep has ended: before its reports, the checkpoint and the verdict.
const LONGEST_SWEEP_BUDGET: Duration = FUNCTION_TIMEOUT.saturating_sub(timer::AFTER_BUDGET);

/// The times that are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    event_budget: Duration,
    sweep_budget: Duration,
    source_retention: Duration,
    delete_delay: Duration,
}

impl Times {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            event_budget: config.limits.event_budget,
            sweep_budget: config.limits.sweep_budget,
            source_retention: config.limits.source_retention,
            delete_delay: config.export.deletion.delay,
        }
    }
}

/// The host reads the schedule from the app setting, and disables the timer where there is none.
pub(super) fn schedule(variables: &[(String, String)]) -> Check {
    let given = variables.iter().find(|(name, _)| name == SETTING);
    let Some(value) = given
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
    else {
        return Check::failed(
            SCHEDULE,
            format!("{SETTING} is not set: the Functions host disables ExportSweep then"),
            set_it(),
        );
    };
    let is_too_rare = value
        .parse::<Schedule>()
        .is_ok_and(|schedule| schedule.has_gap_over(LONGEST_PAUSE));
    if is_too_rare {
        let says = format!(
            "`{value}` pauses for more than 15 min: interrupted exports wait, and the alert rules fire between two sweeps"
        );
        return Check::failed(SCHEDULE, says, set_it());
    }
    Check::fine(SCHEDULE, format!("`{value}`"))
}

fn set_it() -> String {
    format!(
        "set it: `az functionapp config appsettings set --name <app> --resource-group <group> --settings \"{SETTING}=0 * * * * *\"`; locally in local.settings.json"
    )
}

/// Reports times that contradict ACS, or each other.
pub(super) fn times(times: &Times) -> Vec<Check> {
    let mut checks = Vec::new();
    if times.event_budget >= EVENT_GRID_WAITS {
        let says = "EVENT_BUDGET is 30 s or more, and Event Grid waits 30 s: it delivers events again whose exports take longer";
        let remedy = "set EVENT_BUDGET to less than 30s, such as 20s";
        checks.push(Check::failed(TIMES, says, remedy));
    }
    if times.sweep_budget > LONGEST_SWEEP_BUDGET {
        let (longest, after) = (
            as_written(LONGEST_SWEEP_BUDGET),
            as_written(timer::AFTER_BUDGET),
        );
        let says = format!(
            "SWEEP_BUDGET is more than {longest}: a sweep may take {after} more for what follows the exports, and the host kills the process after 10 min, the functionTimeout of host.json"
        );
        let remedy = format!("set SWEEP_BUDGET to {longest} or less, such as 4m");
        checks.push(Check::failed(TIMES, says, remedy));
    }
    if times.source_retention > PLAUSIBLE_RETENTION {
        let says = "SOURCE_RETENTION is longer than ACS keeps a recording (24 h): alarms come when the file may be gone, and a lost chunk is reported as one that can still be copied";
        let remedy =
            "unset SOURCE_RETENTION, unless Microsoft confirmed a longer time for the resource";
        checks.push(Check::failed(TIMES, says, remedy));
    }
    if times.delete_delay >= times.source_retention {
        let says = "DELETE_DELAY is not shorter than SOURCE_RETENTION: no source is deleted before ACS deletes it anyway";
        let remedy = "set DELETE_DELAY to less than SOURCE_RETENTION";
        checks.push(Check::failed(TIMES, says, remedy));
    }
    checks
}

/// A duration as a setting writes it, such as `4m`.
fn as_written(duration: Duration) -> String {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    format!("{duration:#}").replace(' ', "")
}

#[cfg(test)]
mod tests {
    use recording_vault::config::SETTINGS;

    use super::super::Outcome;
    use super::*;

    #[rstest::rstest]
    #[case::not_set(None, Outcome::Failed)]
    #[case::blank(Some(" "), Outcome::Failed)]
    #[case::default(Some("0 * * * * *"), Outcome::Fine)]
    #[case::as_rare_as_the_alerts_allow(Some("0 */15 * * * *"), Outcome::Fine)]
    #[case::hourly(Some("0 0 * * * *"), Outcome::Failed)]
    #[case::a_span(Some("01:00:00"), Outcome::Failed)]
    fn a_schedule_is_set_and_fires_as_often_as_alerts_expect(
        #[case] value: Option<&str>,
        #[case] expected: Outcome,
    ) {
        let variables = value.map(|value| (SETTING.to_owned(), value.to_owned()));
        let variables: Vec<_> = variables.into_iter().collect();
        assert_eq!(schedule(&variables).result, expected);
    }

    fn hours(source_retention: u64, delete_delay: u64) -> Times {
        Times {
            event_budget: Duration::from_secs(29),
            sweep_budget: LONGEST_SWEEP_BUDGET,
            source_retention: Duration::from_hours(source_retention),
            delete_delay: Duration::from_hours(delete_delay),
        }
    }

    #[rstest::rstest]
    #[case::defaults(hours(24, 0), &[])]
    #[case::just_shorter(hours(24, 23), &[])]
    #[case::never_deleted(hours(24, 24), &["DELETE_DELAY"])]
    #[case::twice_as_long(hours(48, 0), &[])]
    #[case::too_long(hours(49, 49), &["SOURCE_RETENTION", "DELETE_DELAY"])]
    #[case::budgets(
        Times { event_budget: EVENT_GRID_WAITS, sweep_budget: FUNCTION_TIMEOUT, ..hours(24, 0) },
        &["EVENT_BUDGET", "SWEEP_BUDGET"]
    )]
    #[case::no_time_for_what_follows(
        Times { sweep_budget: LONGEST_SWEEP_BUDGET + Duration::from_secs(1), ..hours(24, 0) },
        &["SWEEP_BUDGET"]
    )]
    fn times_that_contradict_each_other_are_named(#[case] given: Times, #[case] expected: &[&str]) {
        let found = times(&given);
        let named: Vec<&str> = found
            .iter()
            .filter_map(|check| check.says.split(' ').next())
            .collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn the_longest_budget_of_a_sweep_is_documented_and_above_the_default() {
        let longest = format!("`{}`", as_written(LONGEST_SWEEP_BUDGET));
        let after = format!("may take {}:", as_written(timer::AFTER_BUDGET));
        for (document, said) in [
            ("docs/SETTINGS.md", &longest),
            ("docs/SETTINGS.md", &after),
            ("docs/VERBS.md", &longest),
        ] {
            let path = format!("{}/{document}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).expect("it is there");
            let is_there = text
                .lines()
                .any(|line| line.contains("`SWEEP_BUDGET`") && line.contains(said));
            assert!(is_there, "{document} does not say {said}");
        }
        let default = SETTINGS
            .iter()
            .find(|setting| setting.name == "SWEEP_BUDGET");
        let default = default.and_then(|setting| setting.default);
        let default: SignedDuration = default.expect("there is one").parse().expect("it is one");
        assert!(default.unsigned_abs() < LONGEST_SWEEP_BUDGET);
    }

    #[test]
    fn the_limit_of_a_sweep_is_that_of_the_host() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/host.json");
        let host = std::fs::read(path).expect("it is there");
        let host: serde_json::Value = serde_json::from_slice(&host).expect("it is JSON");
        let timeout = host["functionTimeout"].as_str().expect("it is a text");
        let timeout = timer_schedule::parse_time_span(timeout);
        assert_eq!(timeout, Some(FUNCTION_TIMEOUT));
    }
}
