//! Notifications: events about recordings for other systems, such as transcription, sent at least once. Off unless
//! `NOTIFY_URL` or `NOTIFY_QUEUE_URL` is set.
//!
//! ```text
//! ledger, register ─▶ outbox ─▶ here: is it true? ─▶ CloudEvent ─▶ webhook or queue ─▶ removed from the outbox
//! ```
//! Events name recordings and never persons.

mod event;
pub mod queue;
pub mod webhook;

use std::sync::Arc;
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

/// Notices that are read at a time.
const PAGE: usize = 100;
/// An event that the receiver does not accept within this time is given up. Standard Webhooks advises to try for days.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(72);
/// A notice whose fact is not true after this time belongs to a failed write.
const COMES_TRUE_WITHIN: SignedDuration = SignedDuration::from_hours(24);
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
    /// Other events would not be accepted either.
    #[error("the receiver cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the receiver answered {0}")]
    Answered(u16),
}

impl NotTaken {
    /// Whether the receiver refused this event, as opposed to being down.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Unavailable(_) => false,
            Self::Answered(status) => *status < 500 && !matches!(status, 408 | 429),
        }
    }
}

/// Sends the notices in the outbox.
pub struct Notifier {
    ledger: ChunkLedger,
    register: RecordingRegister,
    outbox: Outbox,
    receiver: Receiver,
    source: String,
    clock: Arc<dyn Clock>,
    /// One pass at a time in a process.
    sending: Mutex<()>,
}

/// Result of one pass.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SentReport {
    pub sent: usize,
    pub waiting: usize,
}

/// How a pass continues after a notice.
enum Next {
    Sent,
    Waits,
    /// The receiver is down: the others wait too.
    Stop,
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
            sending: Mutex::default(),
        }
    }

    /// Sends waiting notices in the background, for a short while. The sweep sends the others.
    pub fn send_soon(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = this.send(Budget::of(SOON)).await {
                warn!(error = %ErrorChain(&error), "Could not send notifications; the sweep sends them");
            }
        });
    }

    /// Sends waiting notices until the budget is spent or the receiver is down.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn send(&self, budget: Budget) -> Result<SentReport, StoreError> {
        let _one_at_a_time = self.sending.lock().await;
        let mut report = SentReport::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.outbox.waiting(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(report);
            };
            after = Some(last.id.clone());
            for outgoing in &page {
                if budget.is_spent() {
                    return Ok(report);
                }
                match self.send_one(outgoing).await? {
                    Next::Sent => report.sent += 1,
                    Next::Waits => report.waiting += 1,
                    Next::Stop => return Ok(report),
                }
            }
        }
    }

    async fn send_one(&self, outgoing: &Outgoing) -> Result<Next, StoreError> {
        let age = self.clock.now().duration_since(outgoing.kept.noted_at);
        let check = match event::check(&self.ledger, &self.register, &outgoing.kept.notice).await {
            Ok(check) => check,
            Err(error) => {
                warn!(error = %ErrorChain(&*error), "Could not read the data of a notification; the next sweep tries again");
                return Ok(Next::Waits);
            }
        };
        let (kind, subject, data) = match check {
            NoticeCheck::Current {
                kind,
                subject,
                data,
            } => (kind, subject, data),
            NoticeCheck::Pending if age < COMES_TRUE_WITHIN => return Ok(Next::Waits),
            NoticeCheck::Pending | NoticeCheck::Obsolete => {
                self.outbox.remove(outgoing).await?;
                return Ok(Next::Waits);
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
                Ok(Next::Sent)
            }
            Err(not_taken) if age >= TRIED_FOR => {
                error!(event.id = %event.id, event.kind = event.kind, error = %ErrorChain(&not_taken), "The receiver did not accept a notification for three days; it is given up");
                self.outbox.remove(outgoing).await?;
                Ok(Next::Waits)
            }
            Err(not_taken) => {
                warn!(event.id = %event.id, event.kind = event.kind, error = %ErrorChain(&not_taken), "The receiver did not accept a notification; the next sweep sends it again");
                Ok(if not_taken.is_refusal() {
                    Next::Waits
                } else {
                    Next::Stop
                })
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
