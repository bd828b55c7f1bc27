//! Handles events: records chunks in the ledger, starts recordings of calls by the policy, and keeps unreadable events
//! as poison.
//!
//! It knows no HTTP and no envelope: `functions` parses those and passes events.

mod ahead;
mod arrivals;
pub mod backpressure;
mod calls;
mod chunks;
pub mod dispatch;
mod event_problems;
mod events_in;
mod housekeeping;
mod kept;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;
use tracing::{error, info, warn};
use uuid::Uuid;

use self::arrivals::{NotedArrival, Turns};
use self::housekeeping::Housekeeping;
use crate::clock::Clock;
use crate::control::RecordingControl;
use crate::control::auto_record::AutoRecord;
use crate::export::ChunkLedger;
use crate::export::ledger::{Arrival, LedgerError, WhyKept};
use crate::export::slots::Slots;
use crate::export::source::RecordingSource;
use crate::metrics;
use crate::recording::{DocumentId, IncomingEvent, lenient_json};

pub use events_in::events_in;

/// Chunks of one event that a delivery records; the sweep records the others.
const CHUNKS_AT_ONCE: usize = 1000;
/// An event with more chunks gets one log line for all of them.
const CHUNKS_LOGGED_EACH: usize = 50;
/// Characters of an unknown event type that the log repeats.
const REPEATED_CHARS: usize = 200;
/// The event of a call that began longer ago starts no recording.
const LATEST_START: SignedDuration = SignedDuration::from_hours(1);
/// Event Grid's last event of a subscription
/// (<https://learn.microsoft.com/javascript/api/@azure/eventgrid/subscriptiondeletedeventdata>).
const SUBSCRIPTION_DELETED: &str = "Microsoft.EventGrid.SubscriptionDeletedEvent";
/// Lines in the log of an invocation.
const MOST_LINES: usize = 100;

/// Takes events from any source: Event Grid's trigger, its webhook, and an operator who replays them.
pub struct Intake {
    ledger: ChunkLedger,
    control: Arc<RecordingControl>,
    source: Arc<dyn RecordingSource>,
    auto_record: Option<AutoRecord>,
    clock: Arc<dyn Clock>,
    turns: Turns,
    housekeeping: Housekeeping,
    /// Identifies this process among those that take events.
    process: Uuid,
    /// Slots of this process for exports; `None` where it does not export what it records.
    slots: Option<Arc<Slots>>,
}

/// How many lines the log has for the chunks of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logging {
    Each,
    Together,
}

/// The source of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    EventGrid,
    /// An operator, from a dead letter or from poison.
    Replay,
}

/// The events of one delivery, taken one after the other, and their outcomes.
pub struct Delivery<'a> {
    intake: &'a Intake,
    origin: Origin,
    known: HashSet<DocumentId>,
    /// Chunks that are in the ledger now and can be exported.
    pub recorded: Vec<DocumentId>,
    /// Lines for the host's log of this invocation.
    pub logs: Vec<String>,
    /// The reason of each event or chunk that could not be read.
    pub unreadable: Vec<String>,
    /// Why Event Grid must deliver again, although everything announced is durable.
    pub again: Option<String>,
}

impl Intake {
    /// `source`: where chunks are read from; `auto_record`: which calls are recorded without a request; `None` where none is.
    pub fn new(
        ledger: &ChunkLedger,
        control: &Arc<RecordingControl>,
        source: &Arc<dyn RecordingSource>,
        auto_record: Option<AutoRecord>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger: ledger.clone(),
            control: Arc::clone(control),
            source: Arc::clone(source),
            auto_record,
            clock: Arc::clone(clock),
            turns: Turns::new(),
            housekeeping: Housekeeping::default(),
            process: Uuid::new_v4(),
            slots: None,
        }
    }

    /// Claims new chunks when it records them, while slots are free: this process exports them, or gives them back by
    /// [`ExportDriver::give_back`](crate::export::ExportDriver::give_back). `None` where it does not export them.
    #[must_use]
    pub fn claiming_for(self, slots: Option<&Arc<Slots>>) -> Self {
        Self {
            slots: slots.cloned(),
            ..self
        }
    }

    /// Begins a delivery that has taken no event yet.
    pub fn begin(&self, origin: Origin) -> Delivery<'_> {
        Delivery {
            intake: self,
            origin,
            known: HashSet::new(),
            recorded: Vec::new(),
            logs: Vec::new(),
            unreadable: Vec::new(),
            again: None,
        }
    }
}

/// Whether an event is Event Grid's last one of a subscription.
pub fn is_end_of_subscription(event: &Value) -> bool {
    matches!(
        IncomingEvent::parse(event),
        Ok(IncomingEvent::Other { event_type }) if is_subscription_deleted(&event_type)
    )
}

fn is_subscription_deleted(event_type: &str) -> bool {
    event_type.eq_ignore_ascii_case(SUBSCRIPTION_DELETED)
}

/// Reports that a subscription of Event Grid was deleted: its recordings are not announced any more.
pub fn report_end_of_subscription() {
    error!(
        "An Event Grid subscription was removed: no event of it arrives any more, and files that no other subscription announces are not exported"
    );
}

impl Delivery<'_> {
    /// Keeps a delivery that holds no events as poison, whole.
    ///
    /// # Errors
    /// When the ledger fails: the delivery must then be retried.
    pub async fn take_unreadable(&mut self, body: &[u8], reason: &str) -> Result<(), LedgerError> {
        self.keep_poison(&lenient_json::kept(body), reason).await
    }

    /// Takes events as Event Grid delivers them. A failed event does not prevent the recording of the others.
    ///
    /// # Errors
    /// As [`Delivery::take_unreadable`].
    pub async fn take_all(&mut self, events: &[Value]) -> Result<(), LedgerError> {
        let mut failed = None;
        for event in events {
            // On the heap: it holds entries and accounts.
            failed = Box::pin(self.take(event)).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Adds a line to the host's log of this invocation, which has a limit: a delivery may have very many events.
    fn report(&mut self, line: String) {
        match self.logs.len() {
            0..MOST_LINES => self.logs.push(line),
            MOST_LINES => self
                .logs
                .push("The app's own log has more lines".to_owned()),
            _ => {}
        }
    }

    /// Takes one event. Notes a large one first, because it may crash the process each time.
    async fn take(&mut self, event: &Value) -> Result<(), LedgerError> {
        let intake = self.intake;
        let Some(digest) = arrivals::digest_of_large(event) else {
            let _turn = intake.turns.beside_others().await;
            return self.process(event).await.map(drop);
        };
        let token = Uuid::new_v4();
        let arriving = intake.ledger.note_arrival(digest, intake.process, token);
        let arrival = match (arriving.await?, self.origin) {
            // An operator may know that it can be taken now.
            (Arrival::SetAside, Origin::Replay) => Arrival::Alone,
            (arrival, _) => arrival,
        };
        let noted = NotedArrival::new(&intake.ledger, digest, token);
        let taking = async {
            match arrival {
                Arrival::Ordinary => {
                    let _turn = intake.turns.beside_others().await;
                    self.process(event).await.map(drop)
                }
                Arrival::Alone => {
                    warn!(event = %digest, "Two processes ended while processing this event; it is processed alone now");
                    let _turn = intake.turns.alone().await;
                    // Only now: a process that ends while it waits does not end over this event.
                    intake.ledger.mark_alone(digest, token).await?;
                    self.record_bare(event).await?;
                    self.process(event).await.map(drop)
                }
                Arrival::SetAside => self.set_aside(event).await,
            }
        };
        Box::pin(noted.during(taking)).await?;
        match arrival {
            Arrival::Ordinary | Arrival::Alone => noted.end().await,
            // It stays set aside, however often it is delivered, until a sweep has taken it.
            Arrival::SetAside => Ok(()),
        }
    }

    /// Takes one event, and returns how many chunks it announces.
    async fn process(&mut self, event: &Value) -> Result<usize, LedgerError> {
        match IncomingEvent::parse(event) {
            Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => {
                metrics::EVENTS.increment(&["taken"]);
                let chunk_count = update.chunks.len();
                // On the heap: it holds entries and accounts.
                Box::pin(self.record(event, update)).await?;
                Ok(chunk_count)
            }
            Ok(IncomingEvent::CallStarted(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.note_call(&call).await;
                self.auto_record(&call).await;
                self.note_people(&call.server_call_id, &call.people).await;
                Ok(0)
            }
            Ok(IncomingEvent::CallEnded(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.close(&call).await;
                self.note_people(&call.server_call_id, &call.people).await;
                Ok(0)
            }
            Ok(IncomingEvent::Other { event_type }) => {
                metrics::EVENTS.increment(&["ignored"]);
                if is_subscription_deleted(&event_type) {
                    report_end_of_subscription();
                }
                let event_type: String = event_type.chars().take(REPEATED_CHARS).collect();
                info!(event_type, "Ignored an event of another type");
                self.report(format!("Ignored an event of type {event_type}"));
                Ok(0)
            }
            Err(error) => self
                .keep_poison(event, &error.to_string())
                .await
                .map(|()| 0),
        }
    }

    /// Keeps an event that crashed the process each time as poison, and lets the sweep try it.
    async fn set_aside(&mut self, event: &Value) -> Result<(), LedgerError> {
        let ledger = &self.intake.ledger;
        ledger.keep_event(event, WhyKept::SetAside, 0).await?;
        let reason = "the process ended each time it was taken; the sweep tries it again while ACS may have its files";
        self.keep_poison(event, reason).await
    }

    /// Keeps an unreadable event whole and acknowledges it: another delivery would not make it readable.
    async fn keep_poison(&mut self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        self.intake.ledger.keep_poison(event, reason).await?;
        metrics::EVENTS.increment(&["poison"]);
        error!(error = reason, "Kept an unreadable event as poison");
        self.report(format!("Kept an unreadable event as poison: {reason}"));
        self.unreadable.push(reason.to_owned());
        Ok(())
    }
}
