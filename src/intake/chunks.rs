//! Records the chunks that an event announces.

use tracing::{error, info, warn};

use super::ahead::{self, ChunksAhead};
use super::event_problems::EventProblems;
use super::{CHUNKS_AT_ONCE, CHUNKS_LOGGED_EACH, Delivery, Intake, Logging, Origin};
use crate::control::{Announced, Announcement, BeforeEvent, EventOrder};
use crate::error_chain::ErrorChain;
use crate::export::ledger::{
    Admission, AnnouncedChunk, Circumstances, Expected, LedgerError, OtherFile, Recorded,
    Solicitation, WhyKept,
};
use crate::export::slots::ClaimAhead;
use crate::metrics;
use crate::recording::{IncomingEvent, RecordingChunk, RecordingFileStatusUpdated};
use crate::store::documents::DocumentError;
use crate::store::seen_calls::SeenCall;
use serde_json::Value;

/// The owner of the files that an event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkOrigin {
    Recording {
        solicitation: Solicitation,
        expected: Expected,
    },
    /// Of a recording that was erased on request.
    Erased,
}

impl ChunkOrigin {
    /// Adds what the account knows about earlier events.
    fn after(self, order: EventOrder) -> Self {
        match (self, order) {
            (Self::Recording { solicitation, .. }, EventOrder::First) => Self::Recording {
                solicitation,
                expected: Expected::New,
            },
            (origin @ (Self::Recording { .. } | Self::Erased), _) => origin,
        }
    }
}

impl From<Solicitation> for ChunkOrigin {
    fn from(solicitation: Solicitation) -> Self {
        Self::Recording {
            solicitation,
            expected: Expected::Unknown,
        }
    }
}

impl Intake {
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

    /// A chunk is claimed when it is recorded if a slot is free for its export: one write fewer. Not one of many, which
    /// would wait for the others.
    fn claim_ahead(&self, origin: Origin, logging: Logging) -> Option<ClaimAhead> {
        match (origin, logging) {
            (Origin::EventGrid, Logging::Each) => self.slots.as_ref()?.claim_ahead(),
            // The sweep exports what is replayed.
            (Origin::Replay, _) | (_, Logging::Together) => None,
        }
    }

    async fn record_in_ledger(
        &self,
        announced: AnnouncedChunk,
        origin: ChunkOrigin,
        ahead: Option<ClaimAhead>,
    ) -> Result<Recorded, LedgerError> {
        match origin {
            ChunkOrigin::Erased => self.ledger.record_erased(announced.chunk).await,
            ChunkOrigin::Recording {
                solicitation,
                expected,
            } => {
                let circumstances = Circumstances {
                    admission: self.admission_of(&announced.chunk),
                    solicitation,
                    expected,
                };
                let ledger = &self.ledger;
                ledger
                    .record_announced(announced, circumstances, ahead)
                    .await
            }
        }
    }
}

impl Delivery<'_> {
    /// Records what an event announces: the account of its recording, then the entries of its chunks.
    ///
    /// # Errors
    /// As [`Delivery::take_unreadable`].
    pub async fn record(
        &mut self,
        event: &Value,
        mut update: RecordingFileStatusUpdated,
    ) -> Result<(), LedgerError> {
        let Some((announced, ahead)) = self.register_and_announce(&update).await else {
            return Ok(());
        };
        if update.chunks.is_empty() && update.refused.is_empty() {
            warn!(event_id = update.event_id, "An event announced no chunk");
            self.report("The event announced no chunk".to_owned());
        }
        let mut problems = EventProblems::of(&update);
        let chunk_count = update.chunks.len();
        let logging = if chunk_count <= CHUNKS_LOGGED_EACH {
            Logging::Each
        } else {
            Logging::Together
        };
        let mut failed = None;
        if chunk_count > CHUNKS_AT_ONCE {
            let ledger = &self.intake.ledger;
            let kept = ledger.keep_event(event, WhyKept::Continued, CHUNKS_AT_ONCE);
            kept.await?;
            self.report(format!(
                "The sweep continues with {} more chunks",
                chunk_count - CHUNKS_AT_ONCE
            ));
        }
        let origin = self.origin_of(announced.announcement, &update).await;
        let (origin, mut ahead) = (origin.after(announced.order), ahead);
        for chunk in update.chunks.drain(..).take(CHUNKS_AT_ONCE) {
            let id = chunk.document_id.clone();
            let recording = self.record_chunk(ahead.with(chunk), origin, logging);
            match recording.await {
                Ok(recorded) => problems.add_conflict(&id, recorded),
                Err(error) => failed = Some(error),
            }
        }
        if logging == Logging::Together {
            info!(chunks = chunk_count, "Recorded the chunks of one event");
        }
        // Once for the event, however many of its chunks are invalid.
        if let Some(reason) = problems.reason() {
            failed = self.keep_poison(event, &reason).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn record_chunk(
        &mut self,
        announced: AnnouncedChunk,
        origin: ChunkOrigin,
        logging: Logging,
    ) -> Result<Recorded, LedgerError> {
        let chunk = &announced.chunk;
        let (id, index) = (chunk.document_id.clone(), chunk.index);
        let recording_id = chunk.recording_id.clone();
        let recording_id = recording_id.as_ref().map_or("", |id| id.as_str());
        let ahead = self.intake.claim_ahead(self.origin, logging);
        let recording = self.intake.record_in_ledger(announced, origin, ahead);
        let recorded = recording.await?;
        metrics::CHUNKS_ANNOUNCED.increment(&[match recorded {
            Recorded::Erased | Recorded::LeftToErasure => "erased",
            Recorded::New => "new",
            Recorded::AlreadyKnown => "duplicate",
            Recorded::OtherFile(_) => "other",
            Recorded::NotAdmitted | Recorded::TooManyFiles | Recorded::OfAnotherRecording => {
                "conflicting"
            }
        }]);
        match (recorded, logging) {
            (Recorded::Erased, Logging::Each) => {
                info!(document.id = %id, chunk.index = index, "Chunk `{id}` is not exported: its recording was erased");
                self.report(format!(
                    "Chunk {id} is not exported: its recording was erased"
                ));
            }
            (Recorded::LeftToErasure, _) => {
                error!(document.id = %id, chunk.index = index, recording.id = recording_id, "Chunk `{id}` belongs to an erased recording, and its export was begun before that was known. Run `recording-vault gdpr erase` again when it is exported.");
                self.report(format!(
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
                warn!(document.id = %id, chunk.index = index, recording.id = recording_id, "A later event reports that chunk `{id}` is longer or ends otherwise; its file is exported once more, beside the first");
            }
            // The event's poison contains it.
            (Recorded::NotAdmitted | Recorded::TooManyFiles | Recorded::OfAnotherRecording, _)
            | (_, Logging::Together) => {}
        }
        if matches!(recorded, Recorded::Erased | Recorded::LeftToErasure) {
            return Ok(recorded);
        }
        if self.known.insert(id.clone()) {
            self.recorded.push(id);
        }
        Ok(recorded)
    }

    /// Records ids and places of the chunks of an event, and nothing else of it.
    pub(super) async fn record_bare(&mut self, event: &Value) -> Result<(), LedgerError> {
        let Ok(IncomingEvent::RecordingFileStatusUpdated(mut update)) = IncomingEvent::parse(event)
        else {
            return Ok(());
        };
        let Some(announcement) = self.look_up(&update).await else {
            return Ok(());
        };
        let origin = self.origin_of(announcement, &update).await;
        let mut failed = None;
        for mut chunk in update.chunks.drain(..).take(CHUNKS_AT_ONCE) {
            chunk.other.clear();
            // On the heap: it holds an entry and its change.
            let recording = Box::pin(self.record_chunk(chunk.into(), origin, Logging::Together));
            failed = recording.await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Records what an event announces in the register, and beside it writes ahead what its new chunks need: once their
    /// account names them, their markers lead to them. `None`: whether its recording was erased is unknown, and Event Grid
    /// delivers again.
    async fn register_and_announce(
        &mut self,
        update: &RecordingFileStatusUpdated,
    ) -> Option<(Announced, ChunksAhead)> {
        let intake = self.intake;
        let before = intake.control.before_event(update).await;
        let new = before
            .as_ref()
            .map(|before| ahead::new_chunks(update, before));
        let new = new.unwrap_or_default();
        let (announced, ahead) =
            futures::join!(self.register(update, before), intake.announce_ahead(new));
        Some((announced?, ahead))
    }

    /// Records what an event announces in the register. `None`: whether its recording was erased is unknown, and Event
    /// Grid delivers again.
    async fn register(
        &mut self,
        update: &RecordingFileStatusUpdated,
        before: Result<BeforeEvent, DocumentError>,
    ) -> Option<Announced> {
        let announced = match before {
            Ok(before) => self.intake.control.announced_after(update, before).await,
            Err(error) => Err(error),
        };
        match announced {
            Ok(announced) => Some(announced),
            Err(error) => {
                // The chunks are recorded nevertheless. Event Grid delivers the event again, and that updates the register.
                warn!(error = %ErrorChain(&error), "Could not register the files of a recording");
                self.again
                    .get_or_insert(format!("the register failed: {}", ErrorChain(&error)));
                let announcement = self.look_up(update).await?;
                Some(Announced {
                    announcement,
                    order: EventOrder::Later,
                })
            }
        }
    }

    /// What the register knows of the recording of an event. `None`: it cannot be read.
    pub(super) async fn look_up(
        &mut self,
        update: &RecordingFileStatusUpdated,
    ) -> Option<Announcement> {
        match self.intake.control.look_up_announced(update).await {
            Ok(announcement) => Some(announcement),
            // Nothing is exported before it is known whether the recording was erased.
            Err(error) => {
                let error = ErrorChain(&error);
                self.again
                    .get_or_insert(format!("the register failed: {error}"));
                warn!(%error, "Did not record the chunks of an event: it is unknown whether their recording was erased");
                None
            }
        }
    }

    /// Whether the recording was requested: through this app, or by a call whose start was announced.
    pub(super) async fn origin_of(
        &self,
        announcement: Announcement,
        update: &RecordingFileStatusUpdated,
    ) -> ChunkOrigin {
        match announcement {
            Announcement::OfErasedRecording => return ChunkOrigin::Erased,
            Announcement::Registered => {
                return Solicitation::Solicited.into();
            }
            Announcement::StartedPastUs => {}
        }
        // Events of 2021 name no server call; their calls have one id.
        let chunk_call = || {
            update
                .chunks
                .iter()
                .find_map(|chunk| chunk.call_id.as_ref())
        };
        let server_call = update.server_call_id.as_ref().map(|id| id.key());
        let call = server_call.or_else(|| chunk_call().map(|id| id.key()));
        let at = update
            .started_at
            .or(update.event_time)
            .unwrap_or_else(|| self.intake.clock.now());
        let seen_calls = self.intake.ledger.seen_calls();
        let seen = seen_calls.find(call.iter().map(AsRef::as_ref), at).await;
        match seen {
            Ok(Some(seen)) => {
                self.note_people_of(update, &seen).await;
                Solicitation::Solicited
            }
            Ok(None) => Solicitation::Unsolicited,
            Err(error) => {
                warn!(error = %ErrorChain(&error), "Could not check whether the start of a call was announced");
                Solicitation::Unknown
            }
        }
        .into()
    }

    /// Notes who started the call of a recording, so that a search finds it before anything of it is exported.
    async fn note_people_of(&self, update: &RecordingFileStatusUpdated, seen: &SeenCall) {
        let control = &self.intake.control;
        if let Err(error) = control.announced_people(update, &seen.people).await {
            warn!(error = %ErrorChain(&error), "Could not note who started the call of a recording");
        }
    }
}
