//! Limits how many deliveries wait for their exports.
//!
//! Event Grid expects a response within 30 s, and the faster we respond, the faster it delivers a burst.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::export::slots::YIELDING;

/// Deliveries whose exports run in this process, with those that only wait for a deletion; the sweep exports the chunks of
/// any more.
const AT_WORK: usize = 256 + YIELDING;

/// The deliveries that are in flight in this process.
pub struct DeliveryBackpressure {
    /// Allows this many deliveries to wait at once.
    comfortable: usize,
    waiting: AtomicUsize,
    exceeded: Notify,
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
    /// Allows as many waiting deliveries as can export at once.
    pub fn new(comfortable: usize) -> Self {
        let at_work = Arc::new(Semaphore::new(AT_WORK));
        Self {
            comfortable,
            waiting: AtomicUsize::new(0),
            exceeded: Notify::new(),
            at_work,
        }
    }

    /// Counts one more waiting delivery until the returned value is dropped.
    pub fn enter(&self) -> Presence<'_> {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= self.comfortable {
            self.exceeded.notify_waiters();
        }
        Presence(self)
    }

    /// Reserves a slot for one more delivery's exports until the returned value is dropped.
    pub fn begin_work(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.at_work).try_acquire_owned().ok()
    }

    /// Resolves as soon as more deliveries wait than allowed.
    pub async fn exceeded(&self) {
        let mut notified = std::pin::pin!(self.exceeded.notified());
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
    fn deliveries_wait_up_to_the_limit() {
        let backpressure = DeliveryBackpressure::new(2);
        let first = backpressure.enter();
        let mut first_is_released = std::pin::pin!(backpressure.exceeded());
        let second = backpressure.enter();
        assert!(first_is_released.as_mut().now_or_never().is_none());
        let third = backpressure.enter();
        assert!(
            backpressure.exceeded().now_or_never().is_some(),
            "the third does not wait"
        );
        drop((second, third));
        assert!(
            backpressure.exceeded().now_or_never().is_none(),
            "there is room again"
        );
        drop(first);
    }

    #[test]
    fn a_waiting_delivery_is_released_when_the_limit_is_exceeded() {
        let backpressure = DeliveryBackpressure::new(1);
        let _first = backpressure.enter();
        let mut waiting = Box::pin(backpressure.exceeded());
        assert!((&mut waiting).now_or_never().is_none());
        let _second = backpressure.enter();
        assert!(waiting.now_or_never().is_some());
    }
}
