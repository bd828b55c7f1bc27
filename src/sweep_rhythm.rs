//! How often sweeps end, by the timer's schedule and `SWEEP_BUDGET`: without that, a rare schedule looks like a timer that
//! does not fire. Pure.

use std::time::Duration;

use jiff::SignedDuration;

/// `functionTimeout` of host.json: no sweep lasts longer.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_mins(10);
/// The longest pause between two sweeps that the documentation permits: alert rules expect a verdict that often.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// The timer of the sample and of `infra/` fires each minute, and a sweep takes 4 min at most.
const USUAL_PAUSE: Duration = Duration::from_mins(1);
const USUAL_BUDGET: Duration = Duration::from_mins(4);
/// Time that the host needs at most to start a sweep late.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// How often sweeps end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepRhythm {
    /// The longest pause of the schedule.
    pause: Duration,
    budget: Duration,
}

impl SweepRhythm {
    /// A pause that is longer than permitted counts as the longest that is: a late sweep must be noticed.
    pub fn new(pause: Duration, budget: Duration) -> Self {
        Self {
            pause: pause.clamp(USUAL_PAUSE, LONGEST_PAUSE),
            budget: budget.clamp(USUAL_BUDGET, FUNCTION_TIMEOUT),
        }
    }

    /// A request runs a sweep if none ended for this long.
    pub fn overdue_after(self) -> Duration {
        self.pause.saturating_add(self.budget)
    }

    /// Whether the app works is not known if no sweep ended for longer than this.
    pub fn late_after(self) -> SignedDuration {
        let overdue = SignedDuration::try_from(self.overdue_after());
        overdue
            .unwrap_or(SignedDuration::MAX)
            .saturating_add(TOLERANCE)
    }
}

impl Default for SweepRhythm {
    fn default() -> Self {
        Self::new(USUAL_PAUSE, USUAL_BUDGET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::usual(1, 4, 5, 10)]
    #[case::short(1, 1, 5, 10)]
    #[case::rarest_schedule(15, 4, 19, 24)]
    #[case::longest_budget(1, 9, 10, 15)]
    #[case::more_than_is_permitted(600, 600, 25, 30)]
    fn a_sweep_is_late_by_its_schedule_and_its_budget(
        #[case] pause: u64,
        #[case] budget: u64,
        #[case] overdue: u64,
        #[case] late: i64,
    ) {
        let rhythm = SweepRhythm::new(Duration::from_mins(pause), Duration::from_mins(budget));
        assert_eq!(rhythm.overdue_after(), Duration::from_mins(overdue));
        assert_eq!(rhythm.late_after(), SignedDuration::from_mins(late));
    }
}
