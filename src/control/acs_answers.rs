//! Whether ACS answers at the moment, as far as events noticed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After an answer that did not come, events do not ask for so long.
const NOT_ASKED_FOR: Duration = Duration::from_secs(30);

/// Whether ACS answered lately. Events must not wait for an ACS that does not: Event Grid waits 30 s for all of them.
#[derive(Debug, Default)]
pub struct AcsAnswers(Mutex<Option<Instant>>);

impl AcsAnswers {
    /// Whether the last answer that did not come is long enough ago.
    pub fn may_ask(&self) -> bool {
        let failed_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_none_or(|failed_at| failed_at.elapsed() >= NOT_ASKED_FOR)
    }

    /// An answer did not come.
    pub fn failed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
