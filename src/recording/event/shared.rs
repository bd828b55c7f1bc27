//! What all chunks of one event share: read once, whatever the number of chunks.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::InvalidEvent;
use crate::recording::chunk::{ChunkLocations, RecordingChunk, is_plausible};
use crate::recording::file_number::FileNumber;
use crate::recording::id::RecordingId;
use crate::recording::json_memory;
use crate::recording::lenient::Fields;
use crate::recording::media::{ContentKind, FormatKind};
use crate::recording::subject::SubjectIds;

/// Shared members up to this size are stored with every chunk, larger ones with the first only: 2,000 chunks do not
/// multiply half a megabyte.
const KEPT_WITH_EACH_BYTES: usize = 1024;
/// Memory that all chunks of an event may take for what they share.
const SHARED_BYTES: usize = 8 << 20;
/// Length of a shared text that every chunk repeats.
const REPEATED_BYTES: usize = 128;

/// Members that have their own fields.
const CHUNK_MEMBERS: [&str; 7] = [
    "documentId",
    "index",
    "endReason",
    "contentLocation",
    "metadataLocation",
    "deleteLocation",
    "storageType",
];
const DATA_MEMBERS: [&str; 6] = [
    "recordingStorageInfo",
    "recordingStartTime",
    "recordingDurationMs",
    "recordingContentType",
    "recordingFormatType",
    "recordingId",
];
const EVENT_MEMBERS: [&str; 6] = ["id", "subject", "data", "data_base64", "eventTime", "time"];
/// Names the chunk that stores what an event's chunks share.
const SHARED_WITH: &str = "event.sharedWith";

/// The fields of an event around its chunks.
pub(super) struct SharedFields {
    pub event_id: Option<String>,
    pub event_time: Option<Timestamp>,
    pub ids: SubjectIds,
    pub recording_id: Option<RecordingId>,
    /// Only if it is plausible; otherwise it is stored with the other members.
    pub started_at: Option<Timestamp>,
    duration_ms: Option<u64>,
    content: Option<ContentKind>,
    format: Option<FormatKind>,
    storage_type: Option<String>,
    other: Map<String, Value>,
}

impl SharedFields {
    pub fn read(event: Fields<'_>, data: Fields<'_>) -> Self {
        let event_time = event.time("eventTime").or_else(|| event.time("time"));
        let ids = SubjectIds::parse(event.text("subject").unwrap_or_default());
        let mut other: Map<String, Value> = data
            .others(&DATA_MEMBERS, "data.")
            .chain(event.others(&EVENT_MEMBERS, "event."))
            .collect();
        // Year 1, or a time after the event: it must not decide where and when the recording is searched for.
        let started_at = data
            .time("recordingStartTime")
            .filter(|at| is_plausible(*at, event_time));
        if let (None, Some(claimed)) = (started_at, data.value("recordingStartTime")) {
            other.insert("data.recordingStartTime".to_owned(), claimed.clone());
        }
        // With bring-your-own storage the id is in `data`, otherwise only in the subject.
        let in_data = || data.text("recordingId").and_then(|text| text.parse().ok());
        Self {
            event_id: event.text("id").map(repeated),
            event_time,
            recording_id: ids.recording_id.clone().or_else(in_data),
            ids,
            started_at,
            duration_ms: duration_ms(data),
            content: parsed(data, "recordingContentType"),
            format: parsed(data, "recordingFormatType"),
            storage_type: data.text("storageType").map(repeated),
            other,
        }
    }

    /// Returns a chunk with its own members; [`SharedFields::distribute`] adds the shared ones.
    pub fn chunk(&self, entry: &Value, position: usize) -> Result<RecordingChunk, InvalidEvent> {
        let fields = Fields::of(entry).ok_or(InvalidEvent::NotAnObject)?;
        let document_id = fields
            .text("documentId")
            .ok_or(InvalidEvent::NoDocumentId)?
            .parse()?;
        Ok(RecordingChunk {
            document_id,
            file_number: FileNumber::FIRST,
            index: fields
                .count("index")
                .or_else(|| u32::try_from(position).ok())
                .unwrap_or(u32::MAX),
            call_id: self.ids.call_id.clone(),
            server_call_id: self.ids.server_call_id.clone(),
            recording_id: self.recording_id.clone(),
            named_otherwise: Vec::new(),
            started_at: self.started_at,
            duration_ms: self.duration_ms,
            content: self.content,
            format: self.format,
            end_reason: fields.text("endReason").map(str::to_owned),
            locations: locations(fields),
            storage_type: fields
                .text("storageType")
                .map(str::to_owned)
                .or_else(|| self.storage_type.clone()),
            event_id: self.event_id.clone(),
            event_time: self.event_time,
            other: fields.others(&CHUNK_MEMBERS, "").collect(),
        })
    }

    /// Gives the members around the chunks to all of them or, if they are large, only to the first; the others name it.
    pub fn distribute(self, chunks: &mut [RecordingChunk]) {
        let Some((first, rest)) = chunks.split_first_mut() else {
            return;
        };
        let text = serde_json::to_vec(&self.other).unwrap_or_default();
        let of_each = json_memory::of_values(&text).saturating_add(text.len());
        let is_small = text.len() <= KEPT_WITH_EACH_BYTES
            && of_each.saturating_mul(rest.len()) <= SHARED_BYTES;
        for chunk in rest {
            if is_small {
                chunk.other.extend(self.other.clone());
            } else {
                let first = first.document_id.as_str().into();
                chunk.other.insert(SHARED_WITH.to_owned(), first);
            }
        }
        first.other.extend(self.other);
    }
}

/// What is wrong with the `index` of a chunk that has one. Such a chunk is exported nevertheless.
pub(super) fn index_problem(entry: &Value) -> Option<InvalidEvent> {
    let fields = Fields::of(entry)?;
    let is_unreadable = fields.value("index").is_some() && fields.count("index").is_none();
    is_unreadable.then_some(InvalidEvent::Index)
}

/// Queries may hold secrets, and ACS's locations have none. A delete location that had one stays one that had one: only the
/// exact object is ever deleted.
fn locations(fields: Fields<'_>) -> ChunkLocations {
    let without_query = |location: &str| {
        let end = location.find(['?', '#']).unwrap_or(location.len());
        location[..end].to_owned()
    };
    let delete = fields.text("deleteLocation").map(|location| {
        let mut kept = without_query(location);
        if kept.len() < location.len() {
            kept.push('?');
        }
        kept
    });
    ChunkLocations {
        content: fields.text("contentLocation").map(without_query),
        metadata: fields.text("metadataLocation").map(without_query),
        delete,
    }
}

fn repeated(text: &str) -> String {
    text[..text.floor_char_boundary(REPEATED_BYTES)].to_owned()
}

fn parsed<T: std::str::FromStr>(data: Fields<'_>, name: &str) -> Option<T> {
    data.text(name).and_then(|text| text.parse().ok())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative is filtered, `as` saturates"
)]
fn duration_ms(data: Fields<'_>) -> Option<u64> {
    data.number("recordingDurationMs")
        .filter(|ms| *ms >= 0.0)
        .map(|ms| ms as u64)
}
