//! Settings of time: how long work may take, and how long claims and sources last.

use std::time::Duration;

use super::reader::Reader;

/// A request to the vault starts only while half of a claim is left, and is cut off when the claim expires: with a
/// shorter claim, slow storage would hardly make progress.
const SHORTEST_CLAIM: Duration = Duration::from_secs(3);

/// Event Grid waits this long for an answer; it delivers an event again that was not answered in time.
/// <https://learn.microsoft.com/azure/event-grid/delivery-and-retry>
const EVENT_GRID_WAITS: (Duration, &str) = (
    Duration::from_secs(30),
    "Event Grid waits 30 s for an answer, and then delivers the event again",
);

/// `functionTimeout` of host.json.
const FUNCTION_TIMEOUT: (Duration, &str) = (
    Duration::from_mins(10),
    "it is functionTimeout in host.json, after which the host ends the process in the middle of its work",
);

/// No other process exports a chunk whose process was killed before the claim ends.
const LONGEST_CLAIM: (Duration, &str) = (
    Duration::from_hours(1),
    "no process exports the chunks of one that was killed before its claims end",
);

/// Later than this, no alarm and no expiry would be true.
const LONGEST_SOURCE_RETENTION: (Duration, &str) = (
    Duration::from_hours(7 * 24),
    "ACS keeps a recording for 24 h, and alarms come by this time",
);

/// ACS keeps a file for a day. With less, a file that is only late would count as lost, and a shorter value has a wrong unit.
const SHORTEST_SOURCE_RETENTION: Duration = Duration::from_hours(24);

/// How long work may take, and how long a claim and a source last.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    pub claim_ttl: Duration,
    pub source_retention: Duration,
    /// How long events that could not be read are kept.
    pub poison_retention: Duration,
}

impl Reader {
    pub(super) fn limits(&mut self) -> Option<TimeLimits> {
        let second = Duration::from_secs(1);
        let event_budget = self.duration_below("EVENT_BUDGET", second, EVENT_GRID_WAITS);
        let sweep_budget = self.duration_below("SWEEP_BUDGET", second, FUNCTION_TIMEOUT);
        let claim_ttl = self.duration_below("CLAIM_TTL", SHORTEST_CLAIM, LONGEST_CLAIM);
        let source_retention = self.duration_below(
            "SOURCE_RETENTION",
            SHORTEST_SOURCE_RETENTION,
            LONGEST_SOURCE_RETENTION,
        );
        let poison_retention = self.duration("POISON_RETENTION", Duration::from_hours(1));
        Some(TimeLimits {
            event_budget: event_budget?,
            sweep_budget: sweep_budget?,
            claim_ttl: claim_ttl?,
            source_retention: source_retention?,
            poison_retention: poison_retention?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, value: &str) -> Vec<String> {
        let mut reader = Reader::new([(name.to_owned(), value.to_owned())]);
        reader.limits();
        reader.problems
    }

    #[rstest::rstest]
    #[case("EVENT_BUDGET", "29s", "30s", "expected less than 30s: Event Grid")]
    #[case("EVENT_BUDGET", "1s", "10m", "expected less than 30s")]
    #[case(
        "SWEEP_BUDGET",
        "9m 59s",
        "10m",
        "expected less than 10m: it is functionTimeout"
    )]
    #[case("CLAIM_TTL", "59m", "24h", "expected less than 1h")]
    #[case("CLAIM_TTL", "3s", "2s", "expected at least 3s")]
    #[case("SOURCE_RETENTION", "24h", "1h", "expected at least 24h")]
    #[case("SOURCE_RETENTION", "48h", "240000h", "expected less than 168h")]
    #[case(
        "POISON_RETENTION",
        "2160h",
        "90d",
        "expected hours, minutes or seconds"
    )]
    fn a_time_that_can_lose_recordings_is_refused_with_its_limit(
        #[case] name: &str,
        #[case] usable: &str,
        #[case] refused: &str,
        #[case] why: &str,
    ) {
        assert_eq!(problems(name, usable), [""; 0]);
        let found = problems(name, refused);
        let expected = format!("{name} is `{refused}`; {why}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{found:?}"
        );
    }

    #[test]
    fn the_limit_of_a_sweep_is_that_of_the_host() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/host.json");
        let host: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let timeout = host["functionTimeout"].as_str().unwrap();
        assert_eq!(
            timer_schedule::parse_time_span(timeout),
            Some(FUNCTION_TIMEOUT.0)
        );
    }
}
