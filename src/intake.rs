//! What becomes of an event: a chunk is recorded in the ledger, a call is recorded by the policy, and an event that cannot
//! be read is kept as poison.
//!
//! It knows no HTTP and no envelope: `functions` parses those and hands over events.

pub mod backpressure;
pub mod dispatch;
mod event_problems;
mod events_in;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::control::auto_record::AutoRecord;
use crate::control::{Announcement, ControlError, RecordingControl};
use crate::error_chain::ErrorChain;
use crate::export::ChunkLedger;
use crate::export::ledger::{Admission, LedgerError, OtherFile, Recorded};
use crate::export::source::RecordingSource;
use crate::metrics;
use crate::recording::call_event::{CallEnded, CallStarted};
use crate::recording::{
    DocumentId, IncomingEvent, MOST_FILES, RecordingChunk, RecordingFileStatusUpdated,
};

use event_problems::EventProblems;

pub use events_in::events_in;

/// Of an event with more chunks the log has one line for all.
const CHUNKS_LOGGED_EACH: usize = 50;
/// Characters of an unknown event type that the log repeats.
const REPEATED_CHARS: usize = 200;
/// A call that began longer ago is not recorded by its event.
const LATEST_START: SignedDuration = SignedDuration::from_hours(1);

/// Takes events from any door: Event Grid's trigger, its webhook, and an operator who replays them.
pub struct Intake {
    ledger: ChunkLedger,
    control: Arc<RecordingControl>,
    source: Arc<dyn RecordingSource>,
    auto_record: Option<AutoRecord>,
    clock: Arc<dyn Clock>,
}

/// How many lines the log has for the chunks of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logging {
    Each,
    Together,
}

/// Who hands events over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    EventGrid,
    /// An operator, from a dead letter or from poison.
    Replay,
}

/// The events of one delivery, taken one after the other, and what became of them.
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
        }
    }

    /// Whether credentials may go to the places of a chunk.
    fn admission_of(&self, chunk: &RecordingChunk) -> Admission {
        let locations = &chunk.locations;
        let mut named = locations.content.iter().chain(&locations.metadata);
        if named.all(|location| self.source.admits(location)) {
            Admission::Admitted
        } else {
            Admission::Refused
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

impl Delivery<'_> {
    /// Keeps a delivery that holds no events as poison, whole.
    ///
    /// # Errors
    /// When the ledger fails: the delivery must then come again.
    pub async fn take_unreadable(&mut self, body: &[u8], reason: &str) -> Result<(), LedgerError> {
        let text = Value::String(String::from_utf8_lossy(body).into_owned());
        self.keep_poison(&text, reason).await
    }

    /// Takes events as Event Grid delivers them. One that fails does not keep the others from being recorded.
    ///
    /// # Errors
    /// As [`Delivery::take_unreadable`].
    pub async fn take_all(&mut self, events: &[Value]) -> Result<(), LedgerError> {
        let mut failed = None;
        for event in events {
            failed = self.take(event).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn take(&mut self, event: &Value) -> Result<(), LedgerError> {
        match IncomingEvent::parse(event) {
            Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => {
                metrics::EVENTS.increment(&["taken"]);
                // On the heap: it holds entries and accounts.
                Box::pin(self.record(event, update)).await
            }
            Ok(IncomingEvent::CallStarted(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.auto_record(&call).await;
                Ok(())
            }
            Ok(IncomingEvent::CallEnded(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.close(&call).await;
                Ok(())
            }
            Ok(IncomingEvent::Other { event_type }) => {
                metrics::EVENTS.increment(&["ignored"]);
                let event_type: String = event_type.chars().take(REPEATED_CHARS).collect();
                info!(event_type, "Ignored an event of another type");
                self.logs
                    .push(format!("Ignored an event of type {event_type}"));
                Ok(())
            }
            Err(error) => self.keep_poison(event, &error.to_string()).await,
        }
    }

    async fn record(
        &mut self,
        event: &Value,
        update: RecordingFileStatusUpdated,
    ) -> Result<(), LedgerError> {
        let announcement = match self.intake.control.announced(&update).await {
            Ok(announcement) => announcement,
            Err(error) => {
                // The chunks come first; a second delivery of this event lets the register catch up.
                warn!(error = %ErrorChain(&error), "Could not register the files of a recording");
                self.again
                    .get_or_insert(format!("the register failed: {}", ErrorChain(&error)));
                match self.intake.control.look_up_announced(&update).await {
                    Ok(announcement) => announcement,
                    // Whether the recording was erased is unknown. Nothing is exported before that is known, and Event Grid
                    // delivers again for longer than such a failure lasts.
                    Err(error) => {
                        let error = ErrorChain(&error);
                        warn!(%error, "Did not record the chunks of an event: it is unknown whether their recording was erased");
                        return Ok(());
                    }
                }
            }
        };
        if update.chunks.is_empty() && update.refused.is_empty() {
            warn!(event_id = update.event_id, "An event announced no chunk");
            self.logs.push("The event announced no chunk".to_owned());
        }
        let mut problems = EventProblems::of(&update);
        let chunk_count = update.chunks.len();
        let logging = if chunk_count <= CHUNKS_LOGGED_EACH {
            Logging::Each
        } else {
            Logging::Together
        };
        let mut failed = None;
        for chunk in update.chunks {
            let id = chunk.document_id.clone();
            match self.record_chunk(chunk, announcement, logging).await {
                Ok(Recorded::NotAdmitted) => problems.add(|| {
                    format!("chunk `{id}` is known already, and this event names another location for it, which is not one of ACS's")
                }),
                Ok(Recorded::TooManyFiles) => problems.add(|| {
                    format!("chunk `{id}` has {MOST_FILES} files already, and this event tells of another")
                }),
                Ok(
                    Recorded::New
                    | Recorded::AlreadyKnown
                    | Recorded::OtherFile(_)
                    | Recorded::Erased
                    | Recorded::LeftToErasure,
                ) => {}
                Err(error) => failed = Some(error),
            }
        }
        if logging == Logging::Together {
            info!(chunks = chunk_count, "Recorded the chunks of one event");
        }
        // Once for the event, however many of its chunks are wrong.
        if let Some(reason) = problems.reason() {
            failed = self.keep_poison(event, &reason).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn record_chunk(
        &mut self,
        chunk: RecordingChunk,
        announcement: Announcement,
        logging: Logging,
    ) -> Result<Recorded, LedgerError> {
        let (id, index) = (chunk.document_id.clone(), chunk.index);
        let recording_id = chunk.recording_id.clone();
        let recording_id = recording_id.as_ref().map_or("", |id| id.as_str());
        let recorded = match announcement {
            Announcement::Registered => {
                let admission = self.intake.admission_of(&chunk);
                self.intake.ledger.record_at(chunk, admission).await?
            }
            Announcement::OfErasedRecording => self.intake.ledger.record_erased(chunk).await?,
        };
        metrics::CHUNKS_ANNOUNCED.increment(&[match recorded {
            Recorded::Erased | Recorded::LeftToErasure => "erased",
            Recorded::New => "new",
            Recorded::AlreadyKnown => "duplicate",
            Recorded::OtherFile(_) => "other",
            Recorded::NotAdmitted | Recorded::TooManyFiles => "conflicting",
        }]);
        match (recorded, logging) {
            (Recorded::Erased, Logging::Each) => {
                info!(document.id = %id, chunk.index = index, "Chunk `{id}` is not exported: its recording was erased");
                self.logs.push(format!(
                    "Chunk {id} is not exported: its recording was erased"
                ));
            }
            (Recorded::LeftToErasure, _) => {
                error!(document.id = %id, chunk.index = index, recording.id = recording_id, "Chunk `{id}` belongs to an erased recording, and its export was begun before that was known. Run `recording-vault gdpr erase` again when it is exported.");
                self.logs.push(format!(
                    "Chunk {id} belongs to an erased recording, and its export was begun before that was known"
                ));
            }
            (Recorded::New, Logging::Each) => {
                info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Recorded chunk `{id}`");
            }
            (Recorded::AlreadyKnown, Logging::Each) => {
                info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Chunk `{id}` is known already");
            }
            (Recorded::OtherFile(OtherFile::Elsewhere), _) => {
                error!(document.id = %id, chunk.index = index, recording.id = recording_id, "An event names another place for chunk `{id}`; its file is exported beside the first, and nothing of it is deleted at ACS until `recording-vault accept {id} --place <n>`");
            }
            (Recorded::OtherFile(OtherFile::Longer), _) => {
                warn!(document.id = %id, chunk.index = index, recording.id = recording_id, "A later event tells of chunk `{id}` that it is longer or ends otherwise; its file is exported once more, beside the first");
            }
            // The event's poison says it.
            (Recorded::NotAdmitted | Recorded::TooManyFiles, _) | (_, Logging::Together) => {}
        }
        if matches!(recorded, Recorded::Erased | Recorded::LeftToErasure) {
            return Ok(recorded);
        }
        if self.known.insert(id.clone()) {
            self.recorded.push(id);
        }
        Ok(recorded)
    }

    /// Starts the recording of a call. A start that may succeed later makes Event Grid deliver again: a call that is not
    /// recorded is a loss too.
    async fn auto_record(&mut self, call: &CallStarted) {
        if let Some(text) = self.is_past(call) {
            self.logs.push(text);
            return;
        }
        let started = match &self.intake.auto_record {
            Some(policy) => self.intake.control.auto_record(policy, call).await,
            None => None,
        };
        let text = match started {
            None => "The policy records nothing of this call".to_owned(),
            Some(Ok(view)) => format!("Recording {} of the call", view.recording_id),
            Some(Err(ControlError::AlreadyInProgress { .. })) => {
                "The call is being recorded already".to_owned()
            }
            Some(Err(error)) => {
                let text = format!("the call could not be recorded: {}", ErrorChain(&error));
                error!(error = %ErrorChain(&error), "Could not start the recording of a call that the policy records");
                if error.may_succeed_later() {
                    self.again.get_or_insert(text.clone());
                }
                text
            }
        };
        self.logs.push(text);
    }

    /// Why a call is not recorded although the policy might: nobody expects a recording to start long after its call did.
    fn is_past(&self, call: &CallStarted) -> Option<String> {
        let policy = self.intake.auto_record.as_ref()?;
        if self.origin == Origin::Replay {
            return Some("A replayed event starts no recording".to_owned());
        }
        let age = self.intake.clock.now().duration_since(call.event_time?);
        if age <= LATEST_START || !policy.records(call) {
            return None;
        }
        error!(
            age_s = age.as_secs(),
            "A call that the policy records was announced more than an hour late; it is not recorded"
        );
        Some("The call was announced more than an hour late, and is not recorded".to_owned())
    }

    async fn close(&mut self, call: &CallEnded) {
        let at = call.ended_at.unwrap_or_else(|| self.intake.clock.now());
        match self
            .intake
            .control
            .call_ended(call.server_call_id.as_str(), at)
            .await
        {
            Ok(Some(id)) => self.logs.push(format!("The call of recording {id} ended")),
            Ok(None) => self
                .logs
                .push("A call ended that this app did not record".to_owned()),
            // The sweep asks ACS about running recordings, and closes it then.
            Err(error) => {
                warn!(error = %ErrorChain(&error), "Could not register the end of a call");
            }
        }
    }

    /// Keeps an unreadable event whole and acknowledges it: another delivery would not make it readable.
    async fn keep_poison(&mut self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        self.intake.ledger.keep_poison(event, reason).await?;
        metrics::EVENTS.increment(&["poison"]);
        error!(
            error = reason,
            "Kept an event that cannot be read as poison"
        );
        self.logs.push(format!(
            "Kept an event that cannot be read as poison: {reason}"
        ));
        self.unreadable.push(reason.to_owned());
        Ok(())
    }
}
