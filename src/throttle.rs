//! Limits how often something that repeats is reported. It does not know what.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Admits one report, and the next one after an interval.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::new(None),
        }
    }

    /// Whether a report is due. If so, the interval begins.
    pub fn admits(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < self.every) {
            return false;
        }
        *last = Some(Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_report_is_admitted_in_each_interval() {
        let minute = Duration::from_mins(1);
        let throttle = Throttle::new(minute);
        assert!(throttle.admits());
        assert!(!throttle.admits());
        tokio::time::advance(minute).await;
        assert!(throttle.admits());
        assert!(!throttle.admits());
    }
}
