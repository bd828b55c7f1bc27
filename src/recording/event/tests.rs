//! Events as Event Grid delivers them, and as they are made up.

use super::*;
use crate::recording::chunk::ChunkLocations;
use crate::recording::media::{ContentKind, FormatKind};
use base64::prelude::BASE64_STANDARD;
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

/// The data of an event with one chunk.
fn data_with_a_chunk() -> Value {
    json!({"recordingStorageInfo": {"recordingChunks": [{"documentId": "0-eus-d1-a", "index": 0}]}})
}

#[rstest::rstest]
#[case::with_chunks(json!({"eventType": "Contoso.Forwarded", "data": data_with_a_chunk()}))]
#[case::with_chunks_in_text(json!({"type": "Contoso.Forwarded", "data": data_with_a_chunk().to_string()}))]
#[case::a_later_version(json!({"eventType": format!("{EVENT_TYPE}V2"), "data": {}}))]
#[case::another_of_recordings(json!({"type": "microsoft.communication.recordingReady"}))]
fn an_event_that_may_announce_files_is_not_ignored(#[case] event: Value) {
    assert_eq!(IncomingEvent::parse(&event), Err(InvalidEvent::UnknownType));
}

#[test]
fn an_event_with_more_chunks_than_any_recording_has_is_not_read() {
    let with = |chunks: usize| {
        let chunks: Vec<Value> = (0..chunks)
            .map(|number| json!({"documentId": format!("d{number}")}))
            .collect();
        json!({"eventType": EVENT_TYPE, "data": {"recordingStorageInfo": {"recordingChunks": chunks}}})
    };
    assert!(IncomingEvent::parse(&with(MOST_CHUNKS)).is_ok());
    let too_many = IncomingEvent::parse(&with(MOST_CHUNKS + 1));
    assert_eq!(too_many, Err(InvalidEvent::TooManyChunks));
}

/// Whether it announces files is unknown: it must not be ignored, whatever its type.
#[rstest::rstest]
fn an_event_whose_data_is_not_read_is_not_ignored(
    #[values("Contoso.Forwarded", EVENT_TYPE)] event_type: &str,
) {
    let dense = format!(r#"{{"x": [{}0]}}"#, r#"{"":0},"#.repeat(30_000));
    let encoded = BASE64_STANDARD_NO_PAD.encode(&dense);
    for event in [
        json!({"type": event_type, "data": dense}),
        json!({"type": event_type, "data_base64": encoded}),
    ] {
        let parsed = IncomingEvent::parse(&event);
        assert_eq!(parsed, Err(InvalidEvent::TooManyValues));
    }
}

#[rstest::rstest]
#[case(json!({"eventType": "Contoso.Forwarded", "data": {"recordingStorageInfo": {"recordingChunks": []}}}))]
#[case(json!({"type": "Microsoft.Communication.RecordingStateChanged", "data": {"state": "active"}}))]
#[case(json!({"type": "Microsoft.Communication.ChatMessageReceived", "data": "text"}))]
fn an_event_without_files_is_ignored(#[case] event: Value) {
    let parsed = IncomingEvent::parse(&event);
    assert!(
        matches!(parsed, Ok(IncomingEvent::Other { .. })),
        "{parsed:?}"
    );
}

#[test]
fn blanks_around_the_type_do_not_matter() {
    let event = json!({"eventType": format!(" {EVENT_TYPE} \n"), "data": data_with_a_chunk()});
    assert_eq!(update(&event).chunks.len(), 1);
    let blank = json!({"eventType": " ", "type": EVENT_TYPE, "data": data_with_a_chunk()});
    assert_eq!(update(&blank).chunks.len(), 1);
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
    let IncomingEvent::RecordingFileStatusUpdated(event) = IncomingEvent::parse(&event).unwrap()
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
#[case::text(json!("x"))]
#[case::empty(json!(""))]
#[case::negative(json!(-1))]
#[case::fraction(json!(1.5))]
#[case::list(json!([1]))]
fn a_chunk_whose_index_cannot_be_read_is_a_chunk_and_a_problem(#[case] index: Value) {
    let chunk = json!({"documentId": "0-eus-d1-a", "index": index});
    let event = json!({"eventType": EVENT_TYPE, "data": {"recordingStorageInfo": {"recordingChunks": [chunk]}}});
    let event = update(&event);
    assert_eq!(event.chunks.len(), 1);
    assert_eq!(event.refused_count, 1);
    assert_eq!(event.refused[0].reason, InvalidEvent::Index);
}

#[rstest::rstest]
#[case::absent(json!(null))]
#[case::as_text(json!("2"))]
#[case::as_float(json!(2.0))]
fn a_chunk_without_an_index_or_with_one_in_another_form_is_no_problem(#[case] index: Value) {
    let chunk = json!({"documentId": "0-eus-d1-a", "index": index});
    let event = json!({"eventType": EVENT_TYPE, "data": {"recordingStorageInfo": {"recordingChunks": [chunk]}}});
    assert_eq!(update(&event).refused_count, 0);
}

#[rstest::rstest]
#[case(json!([]), InvalidEvent::NotAnObject)]
#[case(json!({"data": {}}), InvalidEvent::NoType)]
#[case(json!({"type": EVENT_TYPE}), InvalidEvent::NoData)]
#[case(json!({"type": EVENT_TYPE, "data": {}}), InvalidEvent::NoChunks)]
fn an_unreadable_event_says_what_is_missing(#[case] event: Value, #[case] expected: InvalidEvent) {
    assert_eq!(IncomingEvent::parse(&event), Err(expected));
}

#[rstest::rstest]
#[case(json!({"endReason": "SessionEnded"}), None, true)]
#[case(json!({"endReason": "ChunkMaximumSizeExceeded"}), Some("SessionStillOngoing"), false)]
#[case(json!({"endReason": "ChunkMaximumTimeExceeded"}), Some("CallEnded"), false)]
#[case(json!({"endReason": "chunkMaximumTimeExceeded"}), Some("callEnded"), false)]
#[case(json!({"endReason": " chunk_is_being_recorded"}), Some("CallEnded"), false)]
#[case(json!({"endReason": "SESSIONENDED "}), None, true)]
#[case(json!({}), Some(" sessionStillOngoing "), false)]
#[case(json!({}), Some("InitiatorLeft"), true)]
#[case(json!({}), None, false)]
fn a_recording_has_ended_when_its_event_says_so(
    #[case] mut chunk: Value,
    #[case] session: Option<&str>,
    #[case] expected: bool,
) {
    chunk["documentId"] = "a".into();
    let data =
        json!({"recordingStorageInfo": {"recordingChunks": [chunk]}, "sessionEndReason": session});
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
    let IncomingEvent::RecordingFileStatusUpdated(event) = IncomingEvent::parse(&event).unwrap()
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
    let IncomingEvent::RecordingFileStatusUpdated(event) = IncomingEvent::parse(&event).unwrap()
    else {
        panic!()
    };
    assert_eq!(event.chunks.len(), 1);
}

fn update(event: &Value) -> RecordingFileStatusUpdated {
    let IncomingEvent::RecordingFileStatusUpdated(update) = IncomingEvent::parse(event).unwrap()
    else {
        panic!()
    };
    update
}

fn size_bytes(chunks: &[RecordingChunk]) -> usize {
    serde_json::to_vec(chunks).unwrap().len()
}

/// The worst case of an attack: 2,000 chunks and 50,000 members in half a megabyte.
#[test]
fn members_around_the_chunks_are_kept_once() {
    let chunks: Vec<Value> = (0..2000)
        .map(|n| json!({"documentId": format!("d{n}")}))
        .collect();
    let mut data = json!({"recordingStorageInfo": {"recordingChunks": chunks}});
    for n in 0..50_000 {
        data[format!("m{n}")] = 0.into();
    }
    let event = json!({"type": EVENT_TYPE, "id": "e".repeat(100_000), "data": data});
    let began = std::time::Instant::now();
    let update = update(&event);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(update.chunks.len(), 2000);
    assert_eq!(update.chunks[0].other.len(), 50_001);
    assert_eq!(
        update.chunks[1999].other,
        *json!({"event.sharedWith": "d0"}).as_object().unwrap()
    );
    let input = event.to_string().len();
    assert!(
        size_bytes(&update.chunks) < 4 * input,
        "{} of {input}",
        size_bytes(&update.chunks)
    );
}

#[test]
fn a_few_members_around_the_chunks_are_kept_with_each() {
    let chunks = json!([{"documentId": "a"}, {"documentId": "b", "own": 1}]);
    let data = json!({"sessionEndReason": "CallEnded", "recordingStorageInfo": {"recordingChunks": chunks}});
    let update = update(&json!({"type": EVENT_TYPE, "data": data}));
    let expected =
        json!({"own": 1, "data.sessionEndReason": "CallEnded", "event.type": EVENT_TYPE});
    assert_eq!(Value::Object(update.chunks[1].other.clone()), expected);
}

#[test]
fn of_many_refused_chunks_the_first_are_named_and_all_are_counted() {
    let chunks = vec![Value::from(7); 200_000];
    let data = json!({"recordingStorageInfo": {"recordingChunks": chunks}});
    let update = update(&json!({"type": EVENT_TYPE, "data": data}));
    assert_eq!(
        (update.refused.len(), update.refused_count),
        (REFUSALS_NAMED, 200_000)
    );
}

#[rstest::rstest]
#[case::year_1("0001-01-01T00:00:00Z", false)]
#[case::before_there_was_recording("1999-12-31T23:59:59Z", false)]
#[case::after_the_event("2026-03-02T12:00:00Z", false)]
#[case::far_in_the_future("9999-12-31T00:00:00Z", false)]
#[case::genuine("2026-03-02T10:00:00.1234567Z", true)]
#[case::a_clock_that_is_ahead("2026-03-02T10:35:00Z", true)]
fn a_start_that_cannot_be_is_kept_and_not_used(#[case] start: &str, #[case] is_used: bool) {
    let data = json!({"recordingStartTime": start, "recordingStorageInfo": {"recordingChunks": [{"documentId": "a"}]}});
    let update =
        update(&json!({"type": EVENT_TYPE, "eventTime": "2026-03-02T10:30:00Z", "data": data}));
    let chunk = &update.chunks[0];
    assert_eq!(
        (chunk.started_at.is_some(), update.started_at.is_some()),
        (is_used, is_used)
    );
    let kept = chunk
        .other
        .get("data.recordingStartTime")
        .and_then(Value::as_str);
    assert_eq!(kept, (!is_used).then_some(start));
}

#[test]
fn queries_of_locations_are_not_kept() {
    let location = "https://us-storage.asm.skype.com/v1/objects/a";
    let secret = format!("{location}?sig=SECRET#SECRET");
    let chunk = json!({"documentId": "a", "contentLocation": secret, "metadataLocation": secret, "deleteLocation": secret});
    let data = json!({"recordingStorageInfo": {"recordingChunks": [chunk]}});
    let update = update(&json!({"type": EVENT_TYPE, "data": data}));
    let locations = &update.chunks[0].locations;
    assert_eq!(locations.content.as_deref(), Some(location));
    assert!(!format!("{locations:?}").contains("SECRET"));
    assert_ne!(
        locations.delete.as_deref(),
        Some(location),
        "what had a query is not deleted"
    );
}

#[test]
fn data_may_be_base64_as_cloud_events_allow() {
    let data = json!({"recordingStorageInfo": {"recordingChunks": [{"documentId": "a"}]}});
    let encoded = BASE64_STANDARD.encode(data.to_string());
    let event = json!({"type": EVENT_TYPE, "specversion": "1.0", "data_base64": encoded});
    assert_eq!(update(&event).chunks.len(), 1);
    let data = json!({"recordingStorageInfo": {"recordingChunks": [{"documentId": "a", "note": "???>>>~~~\u{ff}"}]}});
    let encoded = BASE64_STANDARD.encode(data.to_string());
    let of_urls = encoded.replace('+', "-").replace('/', "_");
    assert_ne!(of_urls, encoded);
    let in_lines = encoded.replacen('=', "", 2) + "\r\n";
    for encoded in [of_urls, in_lines] {
        let event = json!({"type": EVENT_TYPE, "data_base64": encoded});
        assert_eq!(update(&event).chunks.len(), 1);
    }
    let broken = json!({"type": EVENT_TYPE, "data_base64": "*"});
    assert_eq!(IncomingEvent::parse(&broken), Err(InvalidEvent::NoData));
}
