//! Remembers since when nothing is wrong, so that an idle app need not look all the time. It knows nothing of what is
//! looked at.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When a look found nothing wrong.
#[derive(Debug, Default)]
pub struct Calm(Mutex<Option<Since>>);

#[derive(Debug, Clone, Copy)]
struct Since {
    at: Instant,
    /// What the process had been given to do by then.
    activity: u64,
}

impl Calm {
    /// Whether nothing was wrong at most this long ago, and the process was given nothing to do since.
    pub fn lasts(&self, activity: u64, at_most: Duration) -> bool {
        self.since()
            .is_some_and(|since| since.activity == activity && since.at.elapsed() < at_most)
    }

    /// Notes that nothing is wrong. `activity` is the count before the look.
    pub fn begin(&self, activity: u64) {
        *self.since() = Some(Since {
            at: Instant::now(),
            activity,
        });
    }

    pub fn end(&self) {
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
    async fn calm_ends_with_its_time_with_something_to_do_and_with_a_problem() {
        let calm = Calm::default();
        assert!(!calm.lasts(0, MINUTE), "nobody has looked");
        calm.begin(0);
        assert!(calm.lasts(0, MINUTE));
        assert!(!calm.lasts(1, MINUTE));
        tokio::time::advance(MINUTE).await;
        assert!(!calm.lasts(0, MINUTE));
        calm.begin(1);
        calm.end();
        assert!(!calm.lasts(1, MINUTE));
    }
}
