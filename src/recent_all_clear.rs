//! Remembers when a check last found nothing wrong, so that an idle app need not check continuously. It does not know
//! what is checked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last check that found nothing wrong.
#[derive(Debug, Default)]
pub struct RecentAllClear(Mutex<Option<Since>>);

#[derive(Debug, Clone, Copy)]
struct Since {
    at: Instant,
    /// The process's activity count before the check.
    activity: u64,
}

impl RecentAllClear {
    /// Whether a check found nothing wrong within `at_most`, and the process has had no activity since.
    pub fn holds(&self, activity: u64, at_most: Duration) -> bool {
        self.since()
            .is_some_and(|since| since.activity == activity && since.at.elapsed() < at_most)
    }

    /// Records that nothing is wrong. `activity` is the count before the check.
    pub fn record(&self, activity: u64) {
        *self.since() = Some(Since {
            at: Instant::now(),
            activity,
        });
    }

    /// Forgets the last check: something is or may be wrong.
    pub fn clear(&self) {
        *self.since() = None;
    }

    fn since(&self) -> MutexGuard<'_, Option<Since>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_time_with_something_to_do_and_with_a_problem() {
        let all_clear = RecentAllClear::default();
        assert!(!all_clear.holds(0, MINUTE), "nothing was checked");
        all_clear.record(0);
        assert!(all_clear.holds(0, MINUTE));
        assert!(!all_clear.holds(1, MINUTE));
        tokio::time::advance(MINUTE).await;
        assert!(!all_clear.holds(0, MINUTE));
        all_clear.record(1);
        all_clear.clear();
        assert!(!all_clear.holds(1, MINUTE));
    }
}
