//! How long one invocation may work.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the process is about to end. If so, every budget is spent.
static ENDED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// A deadline that is checked at every block boundary.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    deadline: Instant,
}

impl Budget {
    /// Starts a budget now.
    pub fn of(duration: Duration) -> Self {
        Self {
            deadline: Instant::now() + duration,
        }
    }

    /// Ends every budget of this process, including those of later invocations: exports stop where they are and release
    /// their claims.
    pub fn end_all() {
        ENDED.send_replace(true);
    }

    pub fn is_spent(self) -> bool {
        *ENDED.borrow() || Instant::now() >= self.deadline
    }

    /// Waits until it is spent.
    pub async fn spent(self) {
        let mut ended = ENDED.subscribe();
        tokio::select! {
            () = tokio::time::sleep_until(self.deadline) => {}
            // Fails only when the sender is dropped, and it is static.
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    pub fn deadline(self) -> Instant {
        self.deadline
    }

    /// Time left; zero once spent.
    pub fn remaining(self) -> Duration {
        if *ENDED.borrow() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }
}
