//! How many deliveries wait for their exports: a few may, a crowd may not.
//!
//! Event Grid wants its answer within 30 s, and delivers a burst faster the faster it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Deliveries whose exports go on in this process; those of any more are left to the sweep.
const AT_WORK: usize = 256;

/// The deliveries that are in this process at this moment.
pub struct DeliveryBackpressure {
    /// More than this many are a crowd.
    comfortable: usize,
    waiting: AtomicUsize,
    crowd: Notify,
    at_work: Arc<Semaphore>,
}

/// One delivery that waits for its exports.
pub struct Presence<'a>(&'a DeliveryBackpressure);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DeliveryBackpressure {
    /// As many as can export at once may wait.
    pub fn new(comfortable: usize) -> Self {
        let at_work = Arc::new(Semaphore::new(AT_WORK));
        Self {
            comfortable,
            waiting: AtomicUsize::new(0),
            crowd: Notify::new(),
            at_work,
        }
    }

    /// One more waits, until what is returned is dropped.
    pub fn enter(&self) -> Presence<'_> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= self.comfortable {
            self.crowd.notify_waiters();
        }
        Presence(self)
    }

    /// Room for one more delivery's exports, until what is returned is dropped.
    pub fn begin_work(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.at_work).try_acquire_owned().ok()
    }

    /// Resolves as soon as there are too many to wait.
    pub async fn crowded(&self) {
        let mut notified = std::pin::pin!(self.crowd.notified());
        notified.as_mut().enable();
        if self.waiting.load(Ordering::SeqCst) <= self.comfortable {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn a_few_wait_and_a_crowd_does_not() {
        let crowd = DeliveryBackpressure::new(2);
        let first = crowd.enter();
        let mut first_is_crowded = std::pin::pin!(crowd.crowded());
        let second = crowd.enter();
        assert!(first_is_crowded.as_mut().now_or_never().is_none());
        let third = crowd.enter();
        assert!(
            crowd.crowded().now_or_never().is_some(),
            "the third does not wait"
        );
        drop((second, third));
        assert!(
            crowd.crowded().now_or_never().is_none(),
            "there is room again"
        );
        drop(first);
    }

    #[test]
    fn whoever_waits_is_told_when_the_crowd_comes() {
        let crowd = DeliveryBackpressure::new(1);
        let _first = crowd.enter();
        let mut waiting = Box::pin(crowd.crowded());
        assert!((&mut waiting).now_or_never().is_none());
        let _second = crowd.enter();
        assert!(waiting.now_or_never().is_some());
    }
}
