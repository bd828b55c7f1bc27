//! Whether ACS answers at the moment, as far as events have noticed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After a missing answer, events do not ask ACS for this long.
const NOT_ASKED_FOR: Duration = Duration::from_secs(30);

/// Whether ACS answered recently. Events must not wait for an ACS that does not: Event Grid waits 30 s for all of them.
#[derive(Debug, Default)]
pub struct AcsAnswers(Mutex<Option<Instant>>);

impl AcsAnswers {
    /// Whether the last missing answer is long enough ago.
    pub fn may_ask(&self) -> bool {
        let failed_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|failed_at| failed_at.elapsed() >= NOT_ASKED_FOR)
    }

    /// Notes a missing answer.
    pub fn failed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
