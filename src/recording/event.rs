//! `Microsoft.Communication.RecordingFileStatusUpdated`: the event that says recording files are ready.
//!
//! Read leniently: Event Grid schema or CloudEvents 1.0, any key casing, nulls, numbers as text, `data` double-encoded.
//! Schema: <https://learn.microsoft.com/azure/event-grid/communication-services-voice-video-events>.

mod shared;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use super::call_event::{CALL_ENDED, CALL_LEG_STATE_CHANGED, CALL_STARTED, CallEnded, CallStarted};
use super::chunk::{RecordingChunk, one_form};
use super::id::{InvalidId, RecordingId, ServerCallId};
use super::lenient::Fields;
use super::lenient_json::{self, Bound};
use shared::SharedFields;

/// The event type, compared without regard to case.
pub const EVENT_TYPE: &str = "Microsoft.Communication.RecordingFileStatusUpdated";

/// What the types of ACS's events about recordings begin with, in lower case.
const OF_RECORDINGS: &str = "microsoft.communication.recording";
const STATE_CHANGED: &str = "microsoft.communication.recordingstatechanged";

/// An event of any type, as far as this product uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingEvent {
    RecordingFileStatusUpdated(RecordingFileStatusUpdated),
    CallStarted(CallStarted),
    CallEnded(CallEnded),
    /// An event for another product: acknowledged and ignored.
    Other {
        event_type: String,
    },
}

/// The chunks that one event announces. An invalid chunk does not affect the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFileStatusUpdated {
    pub event_id: Option<String>,
    pub event_time: Option<Timestamp>,
    /// Absent in events of 2021.
    pub recording_id: Option<RecordingId>,
    pub server_call_id: Option<ServerCallId>,
    pub started_at: Option<Timestamp>,
    /// Whether it says that the recording has ended, so that no more chunks follow.
    pub is_last: bool,
    pub chunks: Vec<RecordingChunk>,
    /// The first of the refused chunks, and of those whose place in the recording cannot be read.
    pub refused: Vec<RefusedChunk>,
    pub refused_count: usize,
}

/// An entry of `recordingChunks` that cannot be a chunk, or cannot be read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedChunk {
    pub position: usize,
    pub reason: InvalidEvent,
}

/// Why an event, or one of its chunks, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("it has more values than events have in its length, and is not read, to save memory")]
    TooManyValues,
    #[error(
        "it has more than {MOST_CHUNKS} chunks, which no recording has, and is not read, to save memory"
    )]
    TooManyChunks,
    #[error("it has no `eventType` (Event Grid schema) and no `type` (CloudEvents)")]
    NoType,
    #[error("it seems to be about a recording, and its type is unknown")]
    UnknownType,
    #[error("`data` is missing or not an object")]
    NoData,
    #[error("`data.recordingStorageInfo.recordingChunks` is missing or not an array")]
    NoChunks,
    #[error("the chunk has no `documentId`")]
    NoDocumentId,
    #[error(
        "its `index` is not a whole number; it is filed by its position in the event, and its place in the recording is unknown"
    )]
    Index,
    #[error("`data.serverCallId` is missing")]
    NoServerCallId,
    #[error(transparent)]
    Id(#[from] InvalidId),
}

impl IncomingEvent {
    /// Reads one event.
    ///
    /// # Errors
    /// When it is not an event at all, a `RecordingFileStatusUpdated` without a list of chunks, or of an unknown type and
    /// seems to be about a recording.
    pub fn parse(event: &Value) -> Result<Self, InvalidEvent> {
        let fields = object(event)?;
        let event_type = type_of(fields)?;
        let is = |name: &str| event_type.eq_ignore_ascii_case(name);
        let other = || Self::Other {
            event_type: event_type.to_owned(),
        };
        let decoded = decoded_data(fields)?;
        let data_value = fields.value("data").or(decoded.as_ref());
        // Some forwarders encode `data` once more, as a string.
        let unwrapped = match data_value.and_then(Value::as_str) {
            Some(text) => read_data(text.as_bytes())?,
            None => None,
        };
        let data = unwrapped.as_ref().or(data_value).and_then(Fields::of);
        if ![EVENT_TYPE, CALL_STARTED, CALL_ENDED, CALL_LEG_STATE_CHANGED]
            .into_iter()
            .any(is)
        {
            let has_chunks = data.and_then(chunks_of).is_some_and(|all| !all.is_empty());
            return if has_chunks || is_about_recordings(event_type) {
                Err(InvalidEvent::UnknownType)
            } else {
                Ok(other())
            };
        }
        let data = data.ok_or(InvalidEvent::NoData)?;
        if is(EVENT_TYPE) {
            return RecordingFileStatusUpdated::from_fields(fields, data)
                .map(Self::RecordingFileStatusUpdated);
        }
        if is(CALL_LEG_STATE_CHANGED) {
            return Ok(CallStarted::from_leg(fields, data).map_or_else(other, Self::CallStarted));
        }
        let call = if is(CALL_STARTED) {
            CallStarted::from_fields(fields, data).map(Self::CallStarted)
        } else {
            CallEnded::from_fields(fields, data).map(Self::CallEnded)
        };
        call.ok_or(InvalidEvent::NoServerCallId)
    }
}

/// Checks whether a document is an event, of whatever type.
///
/// # Errors
/// When it is not.
pub fn check_is_event(document: &Value) -> Result<(), InvalidEvent> {
    type_of(object(document)?).map(drop)
}

fn object(event: &Value) -> Result<Fields<'_>, InvalidEvent> {
    let is_dense = |text: &str| lenient_json::has_too_many_values(text.as_bytes());
    match Fields::of(event) {
        Some(fields) => Ok(fields),
        None if event.as_str().is_some_and(is_dense) => Err(InvalidEvent::TooManyValues),
        None => Err(InvalidEvent::NotAnObject),
    }
}

fn type_of(event: Fields<'_>) -> Result<&str, InvalidEvent> {
    let type_named = |name| {
        event
            .text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let event_type = type_named("eventType").or_else(|| type_named("type"));
    event_type.ok_or(InvalidEvent::NoType)
}

/// Whether a type that we do not know may announce files. ACS's callback about a recording's state does not.
fn is_about_recordings(event_type: &str) -> bool {
    let event_type = event_type.to_ascii_lowercase();
    event_type.starts_with(OF_RECORDINGS) && event_type != STATE_CHANGED
}

fn chunks_of(data: Fields<'_>) -> Option<&[Value]> {
    data.object("recordingStorageInfo")?
        .array("recordingChunks")
}

/// Chunks of an event that is read: one with more would take more memory than one event may take. With the locations of
/// files, Event Grid's megabyte has room for fewer.
const MOST_CHUNKS: usize = 5_000;
/// Refused chunks whose reasons are kept.
const REFUSALS_NAMED: usize = 20;

impl RecordingFileStatusUpdated {
    fn from_fields(event: Fields<'_>, data: Fields<'_>) -> Result<Self, InvalidEvent> {
        let entries = chunks_of(data).ok_or(InvalidEvent::NoChunks)?;
        let shared = SharedFields::read(event, data);
        let mut chunks = Vec::new();
        let mut refused = Vec::new();
        let mut refused_count = 0;
        for (position, entry) in entries.iter().enumerate() {
            let problem = match shared.chunk(entry, position) {
                Ok(_) if chunks.len() == MOST_CHUNKS => return Err(InvalidEvent::TooManyChunks),
                Ok(chunk) => {
                    chunks.push(chunk);
                    shared::index_problem(entry)
                }
                Err(reason) => Some(reason),
            };
            let Some(reason) = problem else { continue };
            refused_count += 1;
            if refused.len() < REFUSALS_NAMED {
                refused.push(RefusedChunk { position, reason });
            }
        }
        let update = Self {
            recording_id: shared.recording_id.clone(),
            event_time: shared.event_time,
            server_call_id: shared.ids.server_call_id.clone(),
            started_at: shared.started_at,
            event_id: shared.event_id.clone(),
            is_last: is_last(data, &chunks),
            chunks: Vec::new(),
            refused,
            refused_count,
        };
        shared.distribute(&mut chunks);
        Ok(Self { chunks, ..update })
    }
}

/// Whether the recording has ended, by the reasons of its session and of its chunks.
fn is_last(data: Fields<'_>, chunks: &[RecordingChunk]) -> bool {
    let is_end = |reason: &str| reason == "sessionended";
    // A chunk of a recording that continues may have its own reason.
    let continues =
        |reason: &str| reason.starts_with("chunkmaximum") || reason.contains("beingrecorded");
    let has_reason = |is: &dyn Fn(&str) -> bool| {
        chunks
            .iter()
            .filter_map(|chunk| chunk.end_reason.as_deref())
            .any(|reason| is(&one_form(reason)))
    };
    let session_ended = data
        .text("sessionEndReason")
        .is_some_and(|reason| one_form(reason) != "sessionstillongoing");
    has_reason(&is_end) || session_ended && !has_reason(&continues)
}

/// Reads `data_base64` of CloudEvents: JSON whose sender did not declare it as JSON. Reads both alphabets, with and
/// without padding and line breaks.
fn decoded_data(event: Fields<'_>) -> Result<Option<Value>, InvalidEvent> {
    let Some(text) = event.text("data_base64") else {
        return Ok(None);
    };
    let mut text = text.replace('-', "+").replace('_', "/");
    text.retain(|character| !character.is_ascii_whitespace() && character != '=');
    match BASE64_STANDARD_NO_PAD.decode(text) {
        Ok(decoded) => read_data(&decoded),
        Err(_) => Ok(None),
    }
}

/// Reads data that is a text.
///
/// # Errors
/// When it has too many values: whether it announces files is unknown.
fn read_data(text: &[u8]) -> Result<Option<Value>, InvalidEvent> {
    if lenient_json::has_too_many_values(text) {
        return Err(InvalidEvent::TooManyValues);
    }
    Ok(lenient_json::read(text, Bound::ByLength))
}

#[cfg(test)]
mod tests;
