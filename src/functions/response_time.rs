//! When the response of a connection has to be complete: before the host's `functionTimeout`.
//!
//! The host counts an invocation until the last byte of its response has reached the caller. When one takes longer than
//! `functionTimeout`, the host kills the process, with every export in it. A slow download must not do that.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures::StreamExt as _;
use tokio::time::{Instant, sleep_until};

use crate::sweep_rhythm::FUNCTION_TIMEOUT;

/// Time that the host may still need to pass on what it has buffered of a response that we broke off: some megabytes, and a
/// reader may take a few ten kilobytes a second.
const HOST_PASSES_ON: Duration = Duration::from_mins(3);
/// A response that is still being sent after this time is aborted.
pub(super) const RESPONSE_WITHIN: Duration = FUNCTION_TIMEOUT.saturating_sub(HOST_PASSES_ON);

/// Until when the response that a connection is sending has to be complete.
#[derive(Debug, Clone, Default)]
pub(super) struct ResponseDeadline(Arc<Mutex<Option<Instant>>>);

impl ResponseDeadline {
    /// Sets the deadline until `body` is handed over to the connection. A body that is whole in memory has none.
    pub fn set_for(&self, body: Body, ends_at: Instant) -> Body {
        if body.size_hint().exact().is_some() {
            return body;
        }
        self.set(Some(ends_at));
        let unset = UnsetWhenSent(self.clone());
        let pieces = body.into_data_stream();
        Body::from_stream(pieces.inspect(move |_| _ = &unset))
    }

    /// Waits until the deadline has passed. To be polled after the connection, in the same task: then it sees what the
    /// connection has just set.
    pub async fn passed(&self) {
        let mut sleep = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            let Some(ends_at) = self.get() else {
                return Poll::Pending;
            };
            if sleep.deadline() != ends_at {
                sleep.as_mut().reset(ends_at);
            }
            sleep.as_mut().poll(context)
        })
        .await;
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, ends_at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends_at;
    }
}

/// Unsets the deadline when it is dropped with its body.
struct UnsetWhenSent(ResponseDeadline);

impl Drop for UnsetWhenSent {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
