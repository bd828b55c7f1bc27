//! `Microsoft.Communication.RecordingFileStatusUpdated`: the event that says recording files are ready.
//!
//! Read leniently: Event Grid schema or CloudEvents 1.0, any key casing, nulls, numbers as text, `data` double-encoded.
//! Schema: <https://learn.microsoft.com/azure/event-grid/communication-services-voice-video-events>.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::call_event::{CALL_ENDED, CALL_LEG_STATE_CHANGED, CALL_STARTED, CallEnded, CallStarted};
use super::chunk::{ChunkLocations, RecordingChunk};
use super::id::{CallId, InvalidId, RecordingId, ServerCallId};
use super::lenient::Fields;

/// The event type, compared without regard to case.
pub const EVENT_TYPE: &str = "Microsoft.Communication.RecordingFileStatusUpdated";

/// An event of any type, as far as this product cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingEvent {
    RecordingFileStatusUpdated(RecordingFileStatusUpdated),
    CallStarted(CallStarted),
    CallEnded(CallEnded),
    /// Somebody else's: acknowledged and ignored.
    Other {
        event_type: String,
    },
}

/// The chunks that one event announces. A bad chunk does not spoil its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFileStatusUpdated {
    pub event_id: Option<String>,
    pub event_time: Option<Timestamp>,
    /// Absent in events of 2021.
    pub recording_id: Option<RecordingId>,
    pub server_call_id: Option<ServerCallId>,
    pub started_at: Option<Timestamp>,
    /// Whether it says that the recording is over, so that no more chunks are to come.
    pub is_last: bool,
    pub chunks: Vec<RecordingChunk>,
    pub refused: Vec<RefusedChunk>,
}

/// An entry of `recordingChunks` that cannot be a chunk.
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
    #[error("it has no `eventType` (Event Grid schema) and no `type` (CloudEvents)")]
    NoType,
    #[error("`data` is missing or not an object")]
    NoData,
    #[error("`data.recordingStorageInfo.recordingChunks` is missing or not an array")]
    NoChunks,
    #[error("the chunk has no `documentId`")]
    NoDocumentId,
    #[error("`data.serverCallId` is missing")]
    NoServerCallId,
    #[error(transparent)]
    Id(#[from] InvalidId),
}

impl IncomingEvent {
    /// Reads one event.
    ///
    /// # Errors
    /// When it is not an event at all, or a `RecordingFileStatusUpdated` without a list of chunks.
    pub fn parse(event: &Value) -> Result<Self, InvalidEvent> {
        let fields = Fields::of(event).ok_or(InvalidEvent::NotAnObject)?;
        let event_type = fields
            .text("eventType")
            .or_else(|| fields.text("type"))
            .ok_or(InvalidEvent::NoType)?;
        let is = |name: &str| event_type.eq_ignore_ascii_case(name);
        let other = || Self::Other {
            event_type: event_type.to_owned(),
        };
        if ![EVENT_TYPE, CALL_STARTED, CALL_ENDED, CALL_LEG_STATE_CHANGED]
            .into_iter()
            .any(is)
        {
            return Ok(other());
        }
        let data_value = fields.value("data").ok_or(InvalidEvent::NoData)?;
        // Some forwarders encode `data` once more, as a string.
        let unwrapped: Option<Value> = data_value
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let data =
            Fields::of(unwrapped.as_ref().unwrap_or(data_value)).ok_or(InvalidEvent::NoData)?;
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

impl RecordingFileStatusUpdated {
    fn from_fields(event: Fields<'_>, data: Fields<'_>) -> Result<Self, InvalidEvent> {
        let entries = data
            .object("recordingStorageInfo")
            .and_then(|info| info.array("recordingChunks"))
            .ok_or(InvalidEvent::NoChunks)?;
        let context = EventContext::from_fields(event, data);
        let mut chunks = Vec::with_capacity(entries.len());
        let mut refused = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            match context.chunk(entry, position) {
                Ok(chunk) => chunks.push(chunk),
                Err(reason) => refused.push(RefusedChunk { position, reason }),
            }
        }
        let is_end = |reason: &str| reason.eq_ignore_ascii_case("SessionEnded");
        // A chunk of a recording that goes on may come with a reason of its own.
        let goes_on = |reason: &str| {
            reason.starts_with("ChunkMaximum")
                || reason.eq_ignore_ascii_case("ChunkIsBeingRecorded")
        };
        let has_reason = |is: &dyn Fn(&str) -> bool| {
            chunks
                .iter()
                .any(|chunk| chunk.end_reason.as_deref().is_some_and(is))
        };
        let session_ended = data
            .text("sessionEndReason")
            .is_some_and(|reason| !reason.eq_ignore_ascii_case("SessionStillOngoing"));
        let is_last = has_reason(&is_end) || session_ended && !has_reason(&goes_on);
        Ok(Self {
            recording_id: context.recording_id(),
            event_time: context.event_time,
            server_call_id: context.subject.server_call_id,
            started_at: data.time("recordingStartTime"),
            event_id: context.event_id,
            is_last,
            chunks,
            refused,
        })
    }
}

/// Members that have a place of their own.
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
const EVENT_MEMBERS: [&str; 5] = ["id", "subject", "data", "eventTime", "time"];

/// What all chunks of an event share.
struct EventContext<'a> {
    event_id: Option<String>,
    event_time: Option<Timestamp>,
    subject: SubjectIds,
    data: Fields<'a>,
    other: Map<String, Value>,
}

impl<'a> EventContext<'a> {
    fn from_fields(event: Fields<'a>, data: Fields<'a>) -> Self {
        Self {
            event_id: event.text("id").map(str::to_owned),
            event_time: event.time("eventTime").or_else(|| event.time("time")),
            subject: SubjectIds::parse(event.text("subject").unwrap_or_default()),
            other: data
                .others(&DATA_MEMBERS, "data.")
                .chain(event.others(&EVENT_MEMBERS, "event."))
                .collect(),
            data,
        }
    }

    /// With bring-your-own storage the id stands in `data`, otherwise only in the subject.
    fn recording_id(&self) -> Option<RecordingId> {
        let in_data = || {
            self.data
                .text("recordingId")
                .and_then(|text| text.parse().ok())
        };
        self.subject.recording_id.clone().or_else(in_data)
    }

    fn chunk(&self, entry: &Value, position: usize) -> Result<RecordingChunk, InvalidEvent> {
        let fields = Fields::of(entry).ok_or(InvalidEvent::NotAnObject)?;
        let document_id = fields
            .text("documentId")
            .ok_or(InvalidEvent::NoDocumentId)?
            .parse()?;
        let owned = |name| fields.text(name).map(str::to_owned);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative is filtered, `as` saturates"
        )]
        let duration_ms = self
            .data
            .number("recordingDurationMs")
            .filter(|ms| *ms >= 0.0)
            .map(|ms| ms as u64);
        Ok(RecordingChunk {
            document_id,
            index: fields
                .count("index")
                .or_else(|| u32::try_from(position).ok())
                .unwrap_or(u32::MAX),
            call_id: self.subject.call_id.clone(),
            server_call_id: self.subject.server_call_id.clone(),
            recording_id: self.recording_id(),
            started_at: self.data.time("recordingStartTime"),
            duration_ms,
            content: self
                .data
                .text("recordingContentType")
                .and_then(|text| text.parse().ok()),
            format: self
                .data
                .text("recordingFormatType")
                .and_then(|text| text.parse().ok()),
            end_reason: owned("endReason"),
            locations: ChunkLocations {
                content: owned("contentLocation"),
                metadata: owned("metadataLocation"),
                delete: owned("deleteLocation"),
            },
            storage_type: owned("storageType")
                .or_else(|| self.data.text("storageType").map(str::to_owned)),
            event_id: self.event_id.clone(),
            event_time: self.event_time,
            other: fields
                .others(&CHUNK_MEMBERS, "")
                .chain(self.other.clone())
                .collect(),
        })
    }
}

/// The ids in `/recording/call/{callId}/serverCallId/{serverCallId}/recordingId/{recordingId}`.
///
/// Found by their markers, because every generation has another number of segments.
#[derive(Debug, Default, PartialEq, Eq)]
struct SubjectIds {
    call_id: Option<CallId>,
    server_call_id: Option<ServerCallId>,
    recording_id: Option<RecordingId>,
}

impl SubjectIds {
    fn parse(subject: &str) -> Self {
        let segments: Vec<&str> = subject.split('/').collect();
        let after = |marker: &str| {
            segments
                .windows(2)
                .find(|pair| pair[0].eq_ignore_ascii_case(marker))
                .map(|pair| pair[1])
        };
        Self {
            call_id: after("call").and_then(|text| text.parse().ok()),
            server_call_id: after("serverCallId").and_then(|text| text.parse().ok()),
            recording_id: after("recordingId").and_then(|text| text.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::media::{ContentKind, FormatKind};
    use serde_json::json;

    fn fixture(name: &str) -> Vec<RecordingFileStatusUpdated> {
        let path = format!(
            "{}/tests/fixtures/events/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let events: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let events = if let Value::Array(events) = events {
            events
        } else {
            vec![events]
        };
        events
            .iter()
            .map(|event| {
                let IncomingEvent::RecordingFileStatusUpdated(event) =
                    IncomingEvent::parse(event).unwrap()
                else {
                    panic!()
                };
                event
            })
            .collect()
    }

    #[rstest::rstest]
    #[case("e01_docs_2021-10_no_delete_no_servercallid.json", 1, false, false)]
    #[case(
        "e02_docs_2022-12_delete_on_other_host_and_other_id.json",
        1,
        true,
        true
    )]
    #[case("e03_sdk_go_minimal_pascal_enums.json", 1, false, false)]
    #[case("e04_sdk_go_cloudevent_array.json", 1, false, false)]
    #[case("e05_cloudevent_single_object.json", 1, true, true)]
    #[case("e06_issue_js26154_shape.json", 1, true, true)]
    #[case("e10_multi_chunk_out_of_order.json", 3, true, true)]
    #[case("e15_nulls.json", 1, false, true)]
    #[case("e20_numbers_as_float_or_string.json", 1, true, true)]
    fn every_public_event_sample_is_read(
        #[case] file: &str,
        #[case] chunk_count: usize,
        #[case] has_delete: bool,
        #[case] has_server_call_id: bool,
    ) {
        for event in fixture(file) {
            assert_eq!((event.chunks.len(), event.refused.len()), (chunk_count, 0));
            for chunk in event.chunks {
                assert!(chunk.recording_id.is_some() && chunk.call_id.is_some());
                assert_eq!(chunk.locations.delete.is_some(), has_delete);
                assert_eq!(chunk.server_call_id.is_some(), has_server_call_id);
            }
        }
    }

    #[test]
    fn the_delete_location_is_kept_verbatim_even_on_another_host_with_another_id() {
        let event = &fixture("e02_docs_2022-12_delete_on_other_host_and_other_id.json")[0];
        assert_eq!(
            event.chunks[0].locations.delete.as_deref(),
            Some(
                "https://us-storage.asm.skype.com/v1/objects/0-eus-d1-83e9599991e21ad21220427d78fbf558"
            )
        );
    }

    #[test]
    fn an_event_of_2021_has_a_document_id_only() {
        let chunk = &fixture("e08_seed_2021_document_id_only.json")[0].chunks[0];
        assert_eq!(chunk.locations, ChunkLocations::default());
        assert_eq!(chunk.recording_id, None);
    }

    #[test]
    fn pascal_case_kinds_are_read() {
        let chunk = &fixture("e03_sdk_go_minimal_pascal_enums.json")[0].chunks[0];
        assert_eq!(
            (chunk.content, chunk.format),
            (Some(ContentKind::Audio), Some(FormatKind::Mp3))
        );
    }

    #[test]
    fn numbers_may_be_floats_or_strings() {
        let events = fixture("e20_numbers_as_float_or_string.json");
        assert!(events.iter().all(|event| event.chunks[0].index == 0));
        assert!(
            events
                .iter()
                .all(|event| event.chunks[0].duration_ms == Some(6620))
        );
    }

    fn handshake(name: &str) -> Value {
        let path = format!(
            "{}/tests/fixtures/handshake/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn another_event_type_is_not_an_error() {
        let event = json!({"eventType": "Microsoft.Communication.SMSReceived", "data": {}});
        let expected = IncomingEvent::Other {
            event_type: "Microsoft.Communication.SMSReceived".into(),
        };
        assert_eq!(IncomingEvent::parse(&event), Ok(expected));
    }

    #[test]
    fn the_first_leg_of_2021_gives_its_conversation() {
        let event = handshake("h05_call_leg_state_nulls.json");
        let IncomingEvent::CallStarted(call) = IncomingEvent::parse(&event).unwrap() else {
            panic!()
        };
        assert_eq!(call.server_call_id.as_str(), "conv");
        let mut ended = event;
        ended["data"]["CallState"] = "Disconnected".into();
        assert!(matches!(
            IncomingEvent::parse(&ended),
            Ok(IncomingEvent::Other { .. })
        ));
    }

    #[test]
    fn a_started_call_has_its_ids_whether_group_room_or_neither() {
        let call = |data: Value| {
            let event = json!({"id": "e", "subject": "call/fromSubject/startedBy/8:acs:x", "type": CALL_STARTED, "data": data});
            let IncomingEvent::CallStarted(call) = IncomingEvent::parse(&event).unwrap() else {
                panic!()
            };
            call
        };
        assert_eq!(
            call(json!({"serverCallId": "abc", "group": {"id": "g"}}))
                .group_id
                .as_deref(),
            Some("g")
        );
        assert_eq!(
            call(json!({"serverCallId": "abc", "room": {"id": "99"}, "isRoomsCall": true}))
                .room_id
                .as_deref(),
            Some("99")
        );
        assert_eq!(call(json!({})).server_call_id.as_str(), "fromSubject");
    }

    #[test]
    fn an_ended_call_has_its_time() {
        let event = json!({"eventType": CALL_ENDED, "eventTime": "2026-03-02T10:00:00Z", "data": {"serverCallId": "abc"}});
        let IncomingEvent::CallEnded(call) = IncomingEvent::parse(&event).unwrap() else {
            panic!()
        };
        assert_eq!(
            (call.server_call_id.as_str(), call.ended_at),
            ("abc", "2026-03-02T10:00:00Z".parse().ok())
        );
        let without = json!({"eventType": CALL_ENDED, "data": {}});
        assert_eq!(
            IncomingEvent::parse(&without),
            Err(InvalidEvent::NoServerCallId)
        );
    }

    #[test]
    fn a_bad_chunk_does_not_spoil_its_neighbours() {
        let event = json!({"eventType": EVENT_TYPE, "data": {"recordingStorageInfo": {"recordingChunks": [
            {"documentId": "../../etc/passwd"}, {"documentId": "0-eus-d1-a", "index": 1}, 7
        ]}}});
        let IncomingEvent::RecordingFileStatusUpdated(event) =
            IncomingEvent::parse(&event).unwrap()
        else {
            panic!()
        };
        assert_eq!(event.chunks.len(), 1);
        assert_eq!(
            event
                .refused
                .iter()
                .map(|refused| refused.position)
                .collect::<Vec<_>>(),
            [0, 2]
        );
    }

    #[rstest::rstest]
    #[case(json!([]), InvalidEvent::NotAnObject)]
    #[case(json!({"data": {}}), InvalidEvent::NoType)]
    #[case(json!({"type": EVENT_TYPE}), InvalidEvent::NoData)]
    #[case(json!({"type": EVENT_TYPE, "data": {}}), InvalidEvent::NoChunks)]
    fn an_unreadable_event_says_what_is_missing(
        #[case] event: Value,
        #[case] expected: InvalidEvent,
    ) {
        assert_eq!(IncomingEvent::parse(&event), Err(expected));
    }

    #[rstest::rstest]
    #[case(json!({"endReason": "SessionEnded"}), None, true)]
    #[case(json!({"endReason": "ChunkMaximumSizeExceeded"}), Some("SessionStillOngoing"), false)]
    #[case(json!({"endReason": "ChunkMaximumTimeExceeded"}), Some("CallEnded"), false)]
    #[case(json!({}), Some("InitiatorLeft"), true)]
    #[case(json!({}), None, false)]
    fn a_recording_is_over_when_its_event_says_so(
        #[case] mut chunk: Value,
        #[case] session: Option<&str>,
        #[case] expected: bool,
    ) {
        chunk["documentId"] = "a".into();
        let data = json!({"recordingStorageInfo": {"recordingChunks": [chunk]}, "sessionEndReason": session});
        let IncomingEvent::RecordingFileStatusUpdated(event) =
            IncomingEvent::parse(&json!({"type": EVENT_TYPE, "data": data})).unwrap()
        else {
            panic!()
        };
        assert_eq!(event.is_last, expected);
    }

    #[test]
    fn what_has_no_place_of_its_own_is_kept_as_it_came() {
        let event = json!({"type": EVENT_TYPE, "source": "/sub", "extension": [1], "data": {"sessionEndReason": "CallEnded", "new": {"a": 1},
            "recordingStorageInfo": {"recordingChunks": [{"documentId": "a", "quality": "high", "nothing": null}]}}});
        let IncomingEvent::RecordingFileStatusUpdated(event) =
            IncomingEvent::parse(&event).unwrap()
        else {
            panic!()
        };
        let expected = json!({"quality": "high", "data.sessionEndReason": "CallEnded", "data.new": {"a": 1}, "event.type": EVENT_TYPE,
            "event.source": "/sub", "event.extension": [1]});
        assert_eq!(Value::Object(event.chunks[0].other.clone()), expected);
    }

    #[test]
    fn data_may_be_encoded_twice() {
        let data =
            json!({"recordingStorageInfo": {"recordingChunks": [{"documentId": "a"}]}}).to_string();
        let event = json!({"type": EVENT_TYPE, "data": data});
        let IncomingEvent::RecordingFileStatusUpdated(event) =
            IncomingEvent::parse(&event).unwrap()
        else {
            panic!()
        };
        assert_eq!(event.chunks.len(), 1);
    }
}
