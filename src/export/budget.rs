//! How long one invocation may work.

use std::time::Duration;

use tokio::time::Instant;

/// A deadline that work checks at every block boundary.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Instant,
}

impl Budget {
    /// A budget that starts now.
    pub fn of(duration: Duration) -> Self {
        Self {
            deadline: Instant::now() + duration,
        }
    }

    pub fn is_spent(self) -> bool {
        Instant::now() >= self.deadline
    }

    pub fn deadline(self) -> Instant {
        self.deadline
    }

    /// What is left, zero once spent.
    pub fn remaining(self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}
