//! Settings of time: how long work may take, and how long claims and sources last.

use std::time::Duration;

use super::reader::Reader;

/// A request to the vault starts only while half of a claim is left, and is cut off when the claim expires: with a
/// shorter claim, slow storage would hardly make progress.
const SHORTEST_CLAIM: Duration = Duration::from_secs(3);

/// The chunks of a process that ended wait so long. A claim that lasts an hour counts as written by a clock that was ahead.
const LONGEST_CLAIM: Duration = Duration::from_mins(30);

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
        let event_budget = self.duration("EVENT_BUDGET", Duration::from_secs(1));
        let sweep_budget = self.duration("SWEEP_BUDGET", Duration::from_secs(1));
        let claim_ttl = self.duration_within("CLAIM_TTL", SHORTEST_CLAIM..=LONGEST_CLAIM);
        let source_retention = self.duration("SOURCE_RETENTION", SHORTEST_SOURCE_RETENTION);
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
