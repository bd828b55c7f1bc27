//! Counts things in progress, and waits until there are none. Leaf: it must not know what is counted.

use tokio::sync::watch;

/// Counter of things in progress. Clones share the count.
#[derive(Debug, Clone)]
pub struct InFlight {
    count: watch::Sender<usize>,
}

/// One thing in progress, until it is dropped.
#[derive(Debug)]
pub struct Counted(watch::Sender<usize>);

impl Default for InFlight {
    fn default() -> Self {
        let count = watch::Sender::new(0);
        Self { count }
    }
}

impl InFlight {
    /// Counts one more.
    pub fn begin(&self) -> Counted {
        self.count.send_modify(|count| *count += 1);
        Counted(self.count.clone())
    }

    /// Waits until nothing is in progress.
    pub async fn none(&self) {
        let mut count = self.count.subscribe();
        // Fails only when the sender is gone, and `self` is one.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn none_is_under_way_when_the_last_has_ended() {
        let in_flight = InFlight::default();
        let (one, other) = (in_flight.begin(), in_flight.clone().begin());
        drop(one);
        assert!(in_flight.none().now_or_never().is_none());
        drop(other);
        in_flight.none().await;
    }
}
