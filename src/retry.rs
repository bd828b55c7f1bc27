//! How often, and with which delays, an operation is retried. Pure arithmetic: the caller waits.

use std::time::Duration;

/// Exponential backoff with equal jitter, a cap, and a limit of consecutive failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Delay after the first failure, before jitter.
    pub first_delay: Duration,
    pub longest_delay: Duration,
    /// Failures in a row after which the caller gives up.
    pub max_failures: u32,
}

impl RetryPolicy {
    /// Within one HTTP exchange: seconds.
    pub const REQUEST: Self = Self {
        first_delay: Duration::from_millis(200),
        longest_delay: Duration::from_secs(5),
        max_failures: 4,
    };

    /// How long to wait after the `failures`-th failure in a row (counted from 1), or `None` to give up.
    ///
    /// The server's `retry_after` is honoured when it is longer than our own delay. `jitter` is a random number in `0.0..1.0`;
    /// the delay is between half and all of the exponential step, so that clients spread and never retry too fast.
    pub fn delay(
        &self,
        failures: u32,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if failures >= self.max_failures {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(20);
        let step = self
            .first_delay
            .saturating_mul(1 << doublings)
            .min(self.longest_delay);
        let own = step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        Some(retry_after.map_or(own, |asked| own.max(asked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        first_delay: Duration::from_secs(1),
        longest_delay: Duration::from_secs(10),
        max_failures: 6,
    };

    #[test]
    fn delays_double_up_to_the_cap() {
        let delays: Vec<_> = (1..6)
            .map(|n| POLICY.delay(n, None, 1.0).unwrap().as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 8, 10]);
    }

    #[test]
    fn it_gives_up_after_the_last_failure() {
        assert_eq!(POLICY.delay(6, None, 0.5), None);
    }

    #[test]
    fn the_server_may_ask_for_more_patience_but_not_for_less() {
        assert_eq!(
            POLICY.delay(1, Some(Duration::from_secs(7)), 0.0),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            POLICY.delay(1, Some(Duration::ZERO), 0.0),
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn an_absurd_count_does_not_overflow() {
        let patient = RetryPolicy {
            max_failures: u32::MAX,
            ..POLICY
        };
        assert_eq!(
            patient.delay(u32::MAX - 1, None, 1.0),
            Some(Duration::from_secs(10))
        );
    }
}
