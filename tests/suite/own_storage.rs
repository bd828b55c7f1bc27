//! Bring-your-own storage: files that ACS wrote into the customer's own container, on Azurite.

use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::ledger::{AcknowledgedChunk, PlaceAccepted, Recorded, Retried};
use recording_vault::export::{ChunkState, DriveOutcome, LedgerEntry};
use recording_vault::operator_actions::Operator;
use recording_vault::recording::{Acknowledgement, ChunkLocations, FileNumber, RecordingChunk};
use recording_vault::standing::{OperatorStep, Standing, of_chunk};
use recording_vault::store::digest::Sha256Digest;
use serde_json::{Value, json};

use crate::support::azurite;
use crate::support::command::{self, text};
use crate::support::fake_source::Fault;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::world::World;
use crate::support::{chunk, content};

const FOLDER: &str = "20260302/7c62cca0/eyJQbGF0-1";

fn event(media: &str, metadata: Option<&str>) -> Value {
    let chunk = json!({"documentId": "0-eus-d1-own", "index": 0, "contentLocation": media, "metadataLocation": metadata});
    json!({"id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": "/recording/call/c/serverCallId/s", "eventTime": jiff::Timestamp::now().to_string(),
        "data": {"storageType": "AzureBlob", "recordingId": "own", "recordingStorageInfo": {"recordingChunks": [chunk]},
            "sessionEndReason": "CallEnded"}})
}

async fn upload(container: &str, name: &str, content: Vec<u8>) -> String {
    let client = azurite::client(container);
    client
        .blob_client(name)
        .block_blob_client()
        .upload(bytes::Bytes::from(content).into(), None)
        .await
        .expect("Azurite takes the blob");
    format!("{}/{name}", container.split('?').next().unwrap_or_default())
}

#[tokio::test]
async fn files_in_the_customers_own_storage_are_catalogued_in_place() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let media = content(300_000, 5);
    let sha256 = Sha256Digest::of(&media).to_string();
    let media_url = upload(
        &container,
        &format!("{FOLDER}/0000-audiowav.own 1.wav"),
        media,
    )
    .await
    .replace(' ', "%20");
    let metadata_url = upload(
        &container,
        &format!("{FOLDER}/0000-acsmetadata.own.json"),
        b"{}".to_vec(),
    )
    .await;
    let (status, answer) = world.event(&event(&media_url, Some(&metadata_url))).await;
    assert_eq!(status, 200, "{answer}");
    let state = world.ledger_entry("0-eus-d1-own")["state"].clone();
    assert_eq!(
        (&state["name"], &state["files"]["media"]["sha256"]),
        (&json!("inPlace"), &json!(sha256)),
        "{state} {answer}"
    );
    assert_eq!(state["files"]["media"]["sizeBytes"], 300_000, "{state}");
    // It is where it was, and nothing of it went through ACS or into the vault.
    let still_there = azurite::client(&container)
        .blob_client(&format!("{FOLDER}/0000-audiowav.own 1.wav"))
        .exists()
        .await;
    assert!(still_there.expect("Azurite answers"));
    assert!(world.content_log().await.is_empty() && world.vault_files().is_empty());
    assert_eq!(world.sweep().await["seen"], 0);
}

#[tokio::test]
async fn the_complete_check_finds_a_file_that_left_the_customers_storage() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let name = format!("{FOLDER}/0000-audiowav.own.wav");
    let media_url = upload(&container, &name, content(300_000, 5)).await;
    world.event(&event(&media_url, None)).await;
    let checked = async || {
        let status = command::run(world.settings(), &["status", "--check"]).await;
        text(&status)
    };
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let reconciled = async || {
        let days = ["reconcile", "--from", &today, "--to", &today];
        text(&command::run(world.settings(), &days).await)
    };
    let before = checked().await;
    assert!(!before.contains("your own storage"), "{before}");
    let before = reconciled().await;
    assert!(!before.contains("your own storage"), "{before}");
    upload(&container, &name, content(1000, 5)).await;
    let shorter = checked().await;
    assert!(
        shorter.contains("your own storage has 1000 bytes of this file")
            && shorter.contains("it had 300000 before"),
        "{shorter}"
    );
    let blob = azurite::client(&container).blob_client(&name);
    blob.delete(None).await.expect("Azurite removes it");
    for gone in [checked().await, reconciled().await] {
        assert!(
            gone.contains("your own storage no longer has this file"),
            "{gone}"
        );
    }
}

#[tokio::test]
async fn a_file_that_does_not_exist_yet_is_looked_for_again() {
    let container = azurite::container_url().await;
    let world = World::with(&[("EXTERNAL_STORAGE", &container)]).await;
    let base = container.split('?').next().unwrap_or_default();
    world
        .event(&event(&format!("{base}/{FOLDER}/late.wav"), None))
        .await;
    let entry = world.ledger_entry("0-eus-d1-own");
    assert_eq!(
        (&entry["state"]["name"], &entry["attempts"]),
        (&json!("pending"), &json!(1)),
        "{entry}"
    );
}

#[tokio::test]
async fn a_file_in_somebody_elses_storage_is_refused_without_a_request() {
    let world = World::new().await;
    for location in [
        "https://evil.blob.core.windows.net/calls/x.wav",
        "http://127.0.0.1:1/devstoreaccount1/calls/x.wav",
    ] {
        world.forget_ledger();
        world.event(&event(location, None)).await;
        let state = world.ledger_entry("0-eus-d1-own")["state"].clone();
        assert_eq!(state["name"], "deadLettered", "{state}");
        assert!(
            state["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("EXTERNAL_STORAGE")),
            "{state}"
        );
    }
}

/// A chunk that ACS writes into the customer's own storage, as an event with this end describes it.
fn own(end_reason: &str, duration_ms: u64) -> RecordingChunk {
    RecordingChunk {
        end_reason: Some(end_reason.to_owned()),
        duration_ms: Some(duration_ms),
        storage_type: Some("AzureBlob".to_owned()),
        locations: ChunkLocations {
            content: Some("https://customer.blob.core.windows.net/calls/a.wav".to_owned()),
            ..ChunkLocations::default()
        },
        ..chunk("a", 0)
    }
}

async fn entry(pipeline: &Pipeline) -> LedgerEntry {
    let id = chunk("a", 0).document_id;
    let found = pipeline.driver.ledger().find(&id).await;
    found.expect("the ledger works").expect("it is there").entry
}

async fn standing(pipeline: &Pipeline) -> Standing {
    of_chunk(&entry(pipeline).await, pipeline.clock.now()).standing
}

async fn drive(pipeline: &Pipeline) -> DriveOutcome {
    pipeline.drive(&chunk("a", 0).document_id).await
}

/// The file that was looked at last, by its digest.
async fn seen(pipeline: &Pipeline) -> Sha256Digest {
    let state = entry(pipeline).await.state;
    let ChunkState::InPlace { files, .. } = state else {
        panic!("{state:?}")
    };
    files.media.sha256
}

#[tokio::test(start_paused = true)]
async fn a_file_that_acs_could_not_store_whole_is_incomplete_in_the_customers_storage_too() {
    let pipeline = Pipeline::new();
    let chunk = own("ChunkUploadFailure", 1000);
    pipeline.external.put_at(&chunk, content(900, 1));
    pipeline.record(&chunk).await;
    drive(&pipeline).await;
    seen(&pipeline).await;
    assert_eq!(standing(&pipeline).await, Standing::Incomplete);
    let attention = entry(&pipeline).await.markers();
    let is_listed = attention
        .iter()
        .any(|marker| marker.contains("attention/incomplete"));
    assert!(is_listed, "{attention:?}");

    let ledger = pipeline.driver.ledger();
    let retried = ledger.retry(&chunk.document_id, &Operator::Shell).await;
    assert_eq!(retried.expect("the ledger works"), Retried::Opened);
    drive(&pipeline).await;
    let why = Acknowledgement {
        at: pipeline.clock.now(),
        by: None,
        reason: "a test call".to_owned(),
    };
    let acknowledged = ledger
        .acknowledge(&chunk.document_id, &why, &Operator::Shell)
        .await;
    assert_eq!(
        acknowledged.expect("the ledger works"),
        AcknowledgedChunk::Acknowledged
    );
    assert_eq!(standing(&pipeline).await, Standing::Acknowledged);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_grows_in_the_customers_storage_is_looked_at_when_it_has_ended() {
    let pipeline = Pipeline::new();
    let growing = own("ChunkIsBeingRecorded", 1000);
    pipeline.external.put_at(&growing, content(900, 1));
    pipeline.record(&growing).await;
    let outcome = drive(&pipeline).await;
    assert!(
        matches!(outcome, DriveOutcome::Waiting { .. }),
        "{outcome:?}"
    );

    // Its final event is late: a part is better than nothing, and is reported as a part.
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    assert_eq!(seen(&pipeline).await, Sha256Digest::of(&content(900, 1)));
    assert_eq!(standing(&pipeline).await, Standing::Incomplete);
    let found = pipeline.driver.ledger().find(&growing.document_id).await;
    let part = found
        .expect("the ledger works")
        .expect("it is recorded")
        .entry;
    let now = pipeline.clock.now();
    assert!(part.is_worth_a_retry(now));
    assert_eq!(of_chunk(&part, now).next_step, OperatorStep::Retry);

    let ended = own("SessionEnded", 2000);
    pipeline.external.put_at(&ended, content(1900, 2));
    pipeline.record(&ended).await;
    pipeline.sweep().await;
    assert_eq!(seen(&pipeline).await, Sha256Digest::of(&content(1900, 2)));
    assert_eq!(standing(&pipeline).await, Standing::InPlace);
}

#[rstest::rstest]
#[case::longer("SessionEnded", 2000, Standing::InPlace)]
#[case::failed("ChunkUploadFailure", 1000, Standing::Incomplete)]
#[tokio::test(start_paused = true)]
async fn a_file_in_the_customers_storage_is_looked_at_again_when_an_event_says_more_of_it(
    #[case] end_reason: &str,
    #[case] duration_ms: u64,
    #[case] expected: Standing,
) {
    let pipeline = Pipeline::new();
    let first = own("SessionEnded", 1000);
    pipeline.external.put_at(&first, content(900, 1));
    pipeline.record(&first).await;
    drive(&pipeline).await;
    // The same event again, or an older one that comes late, says nothing new.
    for known in [first, own("ChunkIsBeingRecorded", 500)] {
        pipeline.record(&known).await;
        assert_eq!(standing(&pipeline).await, Standing::InPlace);
    }
    let newer = own(end_reason, duration_ms);
    pipeline.external.put_at(&newer, content(1900, 2));
    pipeline.record(&newer).await;
    assert_eq!(standing(&pipeline).await, Standing::Waiting);
    pipeline.sweep().await;
    assert_eq!(seen(&pipeline).await, Sha256Digest::of(&content(1900, 2)));
    assert_eq!(standing(&pipeline).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_an_event_says_while_a_file_is_looked_at_in_place_is_not_missed() {
    let pipeline = Pipeline::new();
    let first = own("SessionEnded", 1000);
    pipeline.external.put_at(&first, content(900, 1));
    let slowly = Fault::Trickle(Duration::from_millis(10));
    pipeline.external.with_faults([slowly]);
    pipeline.record(&first).await;
    let newer = own("SessionEnded", 2000);
    let announced = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        pipeline.external.put_at(&newer, content(1900, 2));
        pipeline.record(&newer).await;
    };
    tokio::join!(drive(&pipeline), announced);
    pipeline.sweep().await;
    assert_eq!(seen(&pipeline).await, Sha256Digest::of(&content(1900, 2)));
}

#[tokio::test(start_paused = true)]
async fn another_place_of_a_file_in_the_customers_storage_is_disputed_until_one_is_chosen() {
    let pipeline = Pipeline::new();
    let first = own("SessionEnded", 1000);
    pipeline.external.put_at(&first, content(900, 1));
    pipeline.record(&first).await;
    drive(&pipeline).await;
    let elsewhere = chunk("a", 0);
    let ledger = pipeline.driver.ledger();
    let recorded = ledger.record(elsewhere).await.expect("the ledger works");
    assert!(matches!(recorded, Recorded::OtherFile(_)), "{recorded:?}");
    pipeline.sweep().await;
    pipeline.clock.advance(RETENTION + Duration::from_mins(1));
    pipeline.sweep().await;
    assert_eq!(standing(&pipeline).await, Standing::Doubtful);
    let own_place = FileNumber::FIRST;
    let accepting = ledger.accept_place(&first.document_id, own_place, &Operator::Shell);
    assert_eq!(
        accepting.await.expect("the ledger works"),
        PlaceAccepted::Accepted
    );
    assert_eq!(standing(&pipeline).await, Standing::InPlace);
}
