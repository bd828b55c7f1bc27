//! Settings of time: how long work may take, and how long claims and sources last.

use std::time::Duration;

use super::reader::Reader;
use crate::export::entry::CLAIMS_LAST_LESS_THAN;
use crate::sweep_rhythm::SweepRhythm;

/// A request to the vault starts only while half of a claim is left, and is cut off when the claim expires: with a
/// shorter claim, slow storage would hardly make progress.
const SHORTEST_CLAIM: Duration = Duration::from_secs(3);

/// No other process exports a chunk whose process was killed before the claim ends.
const LONGEST_CLAIM: (Duration, &str) = (
    CLAIMS_LAST_LESS_THAN,
    "no process exports the chunks of one that was killed before its claims end",
);

/// ACS keeps a file for a day. With less, a file that is only late would count as lost, and a shorter value has a wrong unit.
const SHORTEST_SOURCE_RETENTION: Duration = Duration::from_hours(24);

/// A resource may keep files longer than ACS documents, if Microsoft confirmed it; with a week or more, a chunk that ACS
/// dropped would be reported as one that can still be copied.
const LONGEST_SOURCE_RETENTION: (Duration, &str) = (
    Duration::from_hours(168),
    "what ACS has dropped would be reported as something that can still be copied",
);

/// How long work may take, and how long a claim and a source last.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    pub event_budget: Duration,
    pub sweep_budget: Duration,
    pub sweep_rhythm: SweepRhythm,
    pub claim_ttl: Duration,
    pub source_retention: Duration,
    /// How long events that could not be read are kept.
    pub poison_retention: Duration,
}

impl Reader {
    pub(super) fn limits(&mut self) -> Option<TimeLimits> {
        let second = Duration::from_secs(1);
        let event_budget = self.duration("EVENT_BUDGET", second);
        let sweep_budget = self.duration("SWEEP_BUDGET", second);
        let claim_ttl = self.duration_below("CLAIM_TTL", SHORTEST_CLAIM, LONGEST_CLAIM);
        let source_retention = self.duration_below(
            "SOURCE_RETENTION",
            SHORTEST_SOURCE_RETENTION,
            LONGEST_SOURCE_RETENTION,
        );
        let pause = self.schedule();
        let poison_retention = self.duration("POISON_RETENTION", Duration::from_hours(1));
        Some(TimeLimits {
            event_budget: event_budget?,
            sweep_budget: sweep_budget?,
            sweep_rhythm: SweepRhythm::new(pause?, sweep_budget?),
            claim_ttl: claim_ttl?,
            source_retention: source_retention?,
            poison_retention: poison_retention?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingsFrom;

    fn problems(name: &str, value: &str) -> Vec<String> {
        let mut reader = Reader::new(
            SettingsFrom::Environment,
            [(name.to_owned(), value.to_owned())],
        );
        reader.limits();
        reader.problems
    }

    #[rstest::rstest]
    #[case("EVENT_BUDGET", "1s", "0s", "expected at least 1s")]
    #[case("CLAIM_TTL", "59m", "24h", "expected less than 1h")]
    #[case("CLAIM_TTL", "3s", "2s", "expected at least 3s")]
    #[case("SOURCE_RETENTION", "24h", "1h", "expected at least 24h")]
    #[case("SOURCE_RETENTION", "167h", "168h", "expected less than 168h")]
    #[case(
        "POISON_RETENTION",
        "2160h",
        "90d",
        "expected hours, minutes or seconds"
    )]
    fn a_time_that_cannot_work_is_refused_with_its_limit(
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
}
