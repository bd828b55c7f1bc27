//! How long one invocation may work.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether the process is about to end: no budget has anything left then.
static ENDED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

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

    /// Ends every budget of this process, those of later invocations included: exports stop where they are, and give their
    /// claims back.
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
            // Fails only when the sender is gone, and it is static.
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }

    pub fn deadline(self) -> Instant {
        self.deadline
    }

    /// What is left, zero once spent.
    pub fn remaining(self) -> Duration {
        if *ENDED.borrow() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }
}
