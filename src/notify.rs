//! Notifications: events about recordings for other systems, such as transcription, sent at least once. Off unless
//! `NOTIFY_URL` or `NOTIFY_QUEUE_URL` is set.
//!
//! ```text
//! ledger, register ─▶ outbox ─▶ here: is it true? ─▶ CloudEvent ─▶ webhook or queue ─▶ removed from the outbox
//! ```
//! Events name recordings and never persons.

mod event;
mod pass;
pub mod queue;
pub mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::control::register::RecordingRegister;
use crate::error_chain::ErrorChain;
use crate::export::{Budget, ChunkLedger};
use crate::store::document_store::StoreError;
use crate::store::outbox::{Outbox, Outgoing};
pub use event::CloudEvent;
use event::NoticeCheck;
use pass::{Pass, PassEnd, Tried};

/// An event that the receiver does not accept within this time is given up. Standard Webhooks advises to try for days.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(72);
/// A notice whose fact is not true after this time belongs to a failed write.
const COMES_TRUE_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// A younger notice that contradicts the entry may be of a write that has not ended: a notice is kept before its fact is
/// written. No request and no claim lasts that long.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// How long events are sent right after a delivery; the sweep sends the rest.
const SOON: Duration = Duration::from_secs(10);

/// Where events go.
pub enum Receiver {
    Webhook(webhook::Webhook),
    Queue(queue::NotifyQueue),
}

/// Receiver and sender of notifications.
pub struct Sending {
    pub outbox: Outbox,
    pub receiver: Receiver,
    /// The `source` of every event.
    pub source: String,
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// There is no answer.
    #[error("the receiver cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the receiver answered {0}")]
    Answered(u16),
}

/// Sends the notices in the outbox.
pub struct Notifier {
    ledger: ChunkLedger,
    register: RecordingRegister,
    outbox: Outbox,
    receiver: Receiver,
    source: String,
    clock: Arc<dyn Clock>,
    /// The notice that was tried last. One pass at a time in a process.
    tried_last: Arc<Mutex<Option<String>>>,
    /// Whether a notice was kept that the pass in progress may have missed.
    has_new: AtomicBool,
}

/// Result of sending.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SentReport {
    pub sent: usize,
    pub waiting: usize,
}

impl Notifier {
    pub fn new(
        ledger: ChunkLedger,
        register: RecordingRegister,
        sending: Sending,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Sending {
            outbox,
            receiver,
            source,
        } = sending;
        Self {
            ledger,
            register,
            outbox,
            receiver,
            source,
            clock,
            tried_last: Arc::default(),
            has_new: AtomicBool::default(),
        }
    }

    /// Sends waiting notices in the background, for a short while. A pass that is in progress looks again instead; the
    /// sweep sends what is left.
    pub fn send_soon(self: &Arc<Self>) {
        self.has_new.store(true, Ordering::Release);
        let Ok(mut tried_last) = Arc::clone(&self.tried_last).try_lock_owned() else {
            return;
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.passes(&mut tried_last, Budget::of(SOON)).await {
                warn!(error = %ErrorChain(&error), "Could not send notifications; the sweep sends them");
            }
        });
    }

    /// Sends waiting notices until the budget is spent or the receiver is down.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn send(&self, budget: Budget) -> Result<SentReport, StoreError> {
        let mut tried_last = self.tried_last.lock().await;
        self.passes(&mut tried_last, budget).await
    }

    /// Passes over the outbox, again while notices arrive.
    async fn passes(
        &self,
        tried_last: &mut Option<String>,
        budget: Budget,
    ) -> Result<SentReport, StoreError> {
        let mut all = SentReport::default();
        loop {
            self.has_new.store(false, Ordering::Release);
            let (report, end) = Pass::new(self, tried_last, budget).run().await?;
            all.sent += report.sent;
            all.waiting = report.waiting;
            let is_again = match end {
                PassEnd::Complete => self.has_new.load(Ordering::Acquire),
                PassEnd::Stopped => false,
            };
            if !is_again {
                return Ok(all);
            }
        }
    }

    async fn send_one(&self, outgoing: &Outgoing) -> Result<Tried, StoreError> {
        let age = self.clock.now().duration_since(outgoing.kept.noted_at);
        let check = match event::check(&self.ledger, &self.register, &outgoing.kept.notice).await {
            Ok(check) => check,
            Err(error) => {
                warn!(error = %ErrorChain(&*error), "Could not read the data of a notification; the next sweep tries again");
                return Ok(Tried::NotSent);
            }
        };
        let (kind, subject, data) = match check {
            NoticeCheck::Current {
                kind,
                subject,
                data,
            } => (kind, subject, data),
            NoticeCheck::Pending if age < COMES_TRUE_WITHIN => return Ok(Tried::NotSent),
            NoticeCheck::Obsolete if age < WRITTEN_WITHIN => return Ok(Tried::NotSent),
            NoticeCheck::Pending | NoticeCheck::Obsolete => {
                self.outbox.remove(outgoing).await?;
                return Ok(Tried::Dropped);
            }
        };
        let event = CloudEvent::new(
            &outgoing.id,
            &self.source,
            (kind, subject),
            outgoing.kept.noted_at,
            data,
        );
        match self.deliver(&event).await {
            Ok(()) => {
                self.outbox.remove(outgoing).await?;
                Ok(Tried::Sent)
            }
            Err(not_taken) if age >= TRIED_FOR => {
                error!(event.id = %event.id, event.kind = event.kind, error = %ErrorChain(&not_taken), "The receiver did not accept a notification for three days; it is given up");
                self.outbox.remove(outgoing).await?;
                Ok(not_taken.into())
            }
            Err(not_taken) => {
                warn!(event.id = %event.id, event.kind = event.kind, error = %ErrorChain(&not_taken), "The receiver did not accept a notification; the next sweep sends it again");
                Ok(not_taken.into())
            }
        }
    }

    async fn deliver(&self, event: &CloudEvent) -> Result<(), NotTaken> {
        let now: Timestamp = self.clock.now();
        match &self.receiver {
            Receiver::Webhook(webhook) => webhook.send(event, now).await,
            Receiver::Queue(queue) => queue.send(event).await,
        }
    }
}
