//! What an event says of a chunk, and what a later one adds.

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// A chunk of which nothing but its id is known.
pub(crate) fn chunk() -> RecordingChunk {
    RecordingChunk {
        document_id: "0-eus-d12-a".parse().unwrap(),
        file_number: FileNumber::FIRST,
        index: 0,
        call_id: None,
        server_call_id: None,
        recording_id: None,
        named_otherwise: Vec::new(),
        started_at: None,
        duration_ms: None,
        content: None,
        format: None,
        end_reason: None,
        locations: ChunkLocations::default(),
        storage_type: None,
        event_id: None,
        event_time: None,
        other: Map::new(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn expiry_counts_from_the_end_of_the_recording_when_that_is_earlier_than_the_event() {
    let chunk = RecordingChunk {
        started_at: Some(at("2026-03-02T10:00:00Z")),
        duration_ms: Some(60_000),
        event_time: Some(at("2026-03-02T10:05:00Z")),
        ..chunk()
    };
    assert_eq!(
        chunk.expires_at(at("2026-03-02T10:06:00Z"), DAY),
        at("2026-03-03T10:01:00Z")
    );
}

#[test]
fn expiry_counts_from_the_recording_in_the_ledger_when_the_event_tells_no_time() {
    assert_eq!(
        chunk().expires_at(at("2026-03-02T10:00:00Z"), DAY),
        at("2026-03-03T10:00:00Z")
    );
}

#[test]
fn an_absurd_duration_does_not_panic() {
    let chunk = RecordingChunk {
        started_at: Some(Timestamp::MAX),
        duration_ms: Some(u64::MAX),
        ..chunk()
    };
    assert_eq!(
        chunk.expires_at(at("2026-03-02T10:00:00Z"), DAY),
        at("2026-03-03T10:00:00Z")
    );
}

#[test]
fn a_later_event_adds_what_the_first_lacked_and_changes_nothing_else() {
    let mut known = RecordingChunk {
        end_reason: Some("SessionEnded".into()),
        ..chunk()
    };
    let mut newer = RecordingChunk {
        end_reason: Some("Other".into()),
        ..chunk()
    };
    known.locations.content =
        Some("https://us-storage.asm.skype.com/v1/objects/x/content/video".into());
    newer.locations.content.clone_from(&known.locations.content);
    newer.locations.delete = Some("https://us-storage.asm.skype.com/v1/objects/x".into());
    assert_eq!(known.absorb(&newer), Absorbed::Something);
    assert_eq!(known.end_reason.as_deref(), Some("SessionEnded"));
    assert_eq!(known.locations.delete, newer.locations.delete);
    assert_eq!(known.absorb(&newer), Absorbed::Nothing);
}

#[rstest::rstest]
#[case(None, ChunkEnd::Final)]
#[case(Some("SessionEnded"), ChunkEnd::Final)]
#[case(Some("ChunkMaximumTimeExceeded"), ChunkEnd::Final)]
#[case(Some("chunkIsBeingRecorded"), ChunkEnd::BeingRecorded)]
#[case(Some("ChunkUploadFailure"), ChunkEnd::Failed)]
#[case(Some("chunkUploadFailed"), ChunkEnd::Failed)]
#[case(Some(" ChunkIsBeingRecorded\r\n"), ChunkEnd::BeingRecorded)]
#[case(Some("CHUNK_IS_BEING_RECORDED"), ChunkEnd::BeingRecorded)]
#[case(Some("chunk-upload-failure"), ChunkEnd::Failed)]
#[case(Some("ChunkStorageError"), ChunkEnd::Failed)]
#[case(Some("RecordingAborted"), ChunkEnd::Failed)]
#[case(Some("ChunkIncomplete"), ChunkEnd::Failed)]
#[case(Some("PartialUpload"), ChunkEnd::Failed)]
#[case(Some("SessionStillOngoing"), ChunkEnd::BeingRecorded)]
#[case(Some("chunk in progress"), ChunkEnd::BeingRecorded)]
#[case(Some(" sessionEnded "), ChunkEnd::Final)]
fn an_event_says_how_far_the_file_is(#[case] end_reason: Option<&str>, #[case] expected: ChunkEnd) {
    let chunk = RecordingChunk {
        end_reason: end_reason.map(str::to_owned),
        ..chunk()
    };
    assert_eq!(chunk.end(), expected);
}

#[test]
fn the_final_event_of_a_chunk_that_was_being_recorded_counts_in_either_order() {
    let with = |reason: &str| RecordingChunk {
        end_reason: Some(reason.to_owned()),
        ..chunk()
    };
    let (growing, ended) = (with("ChunkIsBeingRecorded"), with("SessionEnded"));
    let mut known = growing.clone();
    assert_eq!(known.absorb(&ended), Absorbed::Something);
    assert_eq!(known.end(), ChunkEnd::Final);
    assert_eq!(known.absorb(&growing), Absorbed::Nothing);
    assert_eq!(known.end(), ChunkEnd::Final);
}

#[test]
fn what_is_deleted_is_what_was_read() {
    let known = RecordingChunk {
        locations: ChunkLocations {
            content: Some("a".into()),
            ..Default::default()
        },
        ..chunk()
    };
    let with = |content: Option<&str>| {
        let locations = ChunkLocations {
            content: content.map(str::to_owned),
            metadata: None,
            delete: Some("d".into()),
        };
        RecordingChunk {
            locations,
            ..chunk()
        }
    };
    assert!(!known.locations.is_same_place(&with(Some("b")).locations));
    assert!(known.locations.is_same_place(&with(None).locations));
    assert_eq!(known.clone().absorb(&with(None)), Absorbed::Nothing);
    assert_eq!(known.clone().absorb(&with(Some("a"))), Absorbed::Something);
}

#[test]
fn metadata_that_lies_elsewhere_is_another_place_and_metadata_that_was_not_known_is_none() {
    let at = |content: Option<&str>, metadata: Option<&str>| ChunkLocations {
        content: content.map(str::to_owned),
        metadata: metadata.map(str::to_owned),
        delete: None,
    };
    let known = at(Some("a"), Some("m"));
    assert!(!known.is_same_place(&at(Some("a"), Some("n"))));
    assert!(at(Some("a"), None).is_same_place(&known));
    assert!(known.is_same_place(&at(Some("a"), None)));
    assert!(
        !at(None, None).is_same_place(&known),
        "where nothing was named, an event must not name where to read"
    );
}

#[rstest::rstest]
#[case::year_1("0001-01-01T00:00:00Z", "2026-03-02T10:05:00Z", "2026-03-03T10:05:00Z")]
#[case::the_future("2027-01-01T00:00:00Z", "2026-03-02T10:05:00Z", "2026-03-03T10:05:00Z")]
#[case::years_before_its_event(
    "2023-01-01T00:00:00Z",
    "2026-03-02T10:05:00Z",
    "2026-03-03T10:05:00Z"
)]
#[case::an_event_of_year_1("2026-03-02T10:00:00Z", "0001-01-01T00:00:00Z", "2026-03-03T10:01:00Z")]
#[case::an_event_of_the_future(
    "2026-03-02T10:00:00Z",
    "2030-01-01T00:00:00Z",
    "2026-03-03T10:01:00Z"
)]
#[case::an_old_event_that_is_replayed(
    "2026-02-01T10:00:00Z",
    "2026-02-01T10:05:00Z",
    "2026-02-02T10:01:00Z"
)]
fn times_that_cannot_be_decide_neither_folder_nor_expiry(
    #[case] start: &str,
    #[case] event: &str,
    #[case] expires_at: &str,
) {
    let recorded_at = at("2026-03-02T10:06:00Z");
    let chunk = RecordingChunk {
        started_at: Some(at(start)),
        duration_ms: Some(60_000),
        event_time: Some(at(event)),
        ..chunk()
    };
    assert_eq!(chunk.expires_at(recorded_at, DAY), at(expires_at));
    let filed_at = chunk.filed_at(recorded_at);
    assert!(
        filed_at <= recorded_at && filed_at > at("2022-12-31T00:00:00Z"),
        "{filed_at}"
    );
}

#[test]
fn members_of_repeated_events_do_not_add_up_without_end() {
    let mut known = chunk();
    for number in 0..1000 {
        let mut newer = chunk();
        let value = "x".repeat(1000);
        newer.other.insert(format!("member{number}"), value.into());
        known.absorb(&newer);
    }
    let size_bytes = serde_json::to_vec(&known.other).unwrap().len();
    assert!(
        (1000..=OTHER_LIMIT_BYTES).contains(&size_bytes),
        "{size_bytes}"
    );
}

#[test]
fn the_host_of_a_location_says_whether_it_is_blob_storage() {
    let is_external = |location: &str| {
        let mut chunk = chunk();
        chunk.locations.content = Some(location.into());
        chunk.is_external()
    };
    assert!(is_external("https://a.blob.core.windows.net/c/0.mp4"));
    assert!(is_external("https://A.BLOB.core.windows.net:443/c?sig=x"));
    // A user in the URL is not its host.
    assert!(is_external("https://user:b@a.blob.core.windows.net/c"));
    assert!(!is_external(
        "https://a.blob.core.windows.net@example.com/c"
    ));
    assert!(!is_external("https://example.com/a.blob.core.windows.net"));
    assert!(!is_external("a.blob.core.windows.net"));
}
