//! Watches whether the Functions host that started this process still runs.
//!
//! A host that is killed, or that gives up on a timer's invocation, leaves its handler running, listening without a key.

use std::time::Duration;

/// Set by the host for each handler that it starts.
const WORKER_ID: &str = "FUNCTIONS_CUSTOMHANDLER_WORKER_ID";
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The process that started this one, where it is a host.
#[derive(Debug, Clone, Copy)]
pub struct HostWatch {
    parent: Option<u32>,
}

impl HostWatch {
    /// Records the parent at the start. Its id alone means nothing: in a container the host may be process 1.
    pub fn begin(variables: &[(String, String)]) -> Self {
        let is_started_by_host = variables
            .iter()
            .any(|(name, value)| name == WORKER_ID && !value.is_empty());
        Self {
            parent: is_started_by_host.then(std::os::unix::process::parent_id),
        }
    }

    /// Waits until the host has ended: then another process is the parent. Without a host it never returns.
    pub async fn gone(self) {
        let Some(parent) = self.parent else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        while std::os::unix::process::parent_id() == parent {
            ticks.tick().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_lives_is_watched_and_where_there_is_none_nothing_is() {
        let by_host = [(WORKER_ID.to_owned(), "a-worker".to_owned())];
        for variables in [&by_host[..], &[]] {
            let gone = HostWatch::begin(variables).gone();
            let waited = tokio::time::timeout(Duration::from_mins(1), gone).await;
            assert!(waited.is_err(), "{variables:?}");
        }
    }
}
