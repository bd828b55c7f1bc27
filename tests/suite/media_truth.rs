//! A copy that is exact, of a file that may not be what was recorded: kept, flagged, and its source spared.

use std::time::Duration;

use acs_simulator::media::Media;
use recording_vault::export::destination::Protection;
use recording_vault::export::ledger::{Accepted, AcceptedSource, Retried};
use recording_vault::export::receipt::VaultName;
use recording_vault::export::{ChunkState, DriveOutcome, ExportReceipt};
use recording_vault::media::MediaVerdict;
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;
use serde_json::{Value, json};

use crate::support::chunk;
use crate::support::fake_source::Fault;
use crate::support::pipeline::{BLOCK, Pipeline, RETENTION};
use crate::support::world::{World, document_ids};

/// The fixtures of media, by their manifest.
fn fixtures() -> Vec<(Value, Vec<u8>)> {
    let folder = format!("{}/tests/fixtures/media", env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read(format!("{folder}/{name}")).expect("it is readable");
    let manifest: Vec<Value> =
        serde_json::from_slice(&read("manifest.json")).expect("the manifest is a list");
    manifest
        .into_iter()
        .map(|entry| {
            let file = read(entry["file"].as_str().expect("a fixture has a name"));
            (entry, file)
        })
        .collect()
}

/// What ACS's metadata would say of a fixture.
fn metadata_of(fixture: &Value) -> String {
    let reported = &fixture["told"];
    let is_unmixed = reported["channelType"] == "unmixed";
    let participants: Vec<Value> = (0..reported["channels"].as_u64().unwrap_or_default())
        .filter(|_| is_unmixed)
        .map(|channel| json!({"participantId": format!("8:acs:{channel}"), "channel": channel}))
        .collect();
    json!({
        "chunkDuration": reported["chunkDurationMs"], "participants": participants,
        "recordingInfo": {"format": reported["format"], "contentType": reported["contentType"],
            "channelType": reported["channelType"], "audioConfiguration": {"channels": reported["channels"]}},
    })
    .to_string()
}

#[tokio::test]
async fn every_media_file_is_kept_and_only_the_sources_of_broken_ones_stay() {
    let pipeline = Pipeline::that_keeps_anomalies();
    for (number, (fixture, file)) in (0..).zip(fixtures()) {
        let chunk = RecordingChunk {
            content: None,
            format: None,
            ..chunk(&format!("fixture-{number}"), number)
        };
        let id = chunk.document_id.clone();
        pipeline
            .source
            .put_with_metadata(&id, file.clone(), metadata_of(&fixture));
        pipeline.record(&chunk).await;
        pipeline.drive(&id).await;
        pipeline.sweep().await;
        let state = pipeline.state(&id).await;
        let receipt = state.receipt().expect("it is in the vault");
        let is_broken = fixture["expected"] == "disagrees";
        assert_eq!(
            receipt.anomaly().is_some(),
            is_broken,
            "{fixture}: {state:?}"
        );
        let is_deleted = matches!(state, ChunkState::SourceDeleted { .. });
        assert_eq!(is_deleted, !is_broken, "{fixture}: {state:?}");
        assert!(pipeline.has(&chunk, &file), "{fixture}");
    }
}

#[tokio::test]
async fn what_a_look_has_shown_is_in_the_receipt_of_a_good_file_too() {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = chunk("a", 0);
    let wav = Media::wav(2, 3000, 1);
    let file = wav.read(0, usize::try_from(wav.len()).expect("it fits"));
    let metadata = json!({"chunkDuration": 3000.0, "recordingInfo": {"format": "wav", "channelType": "unmixed",
            "audioConfiguration": {"channels": 2}},
        "participants": [{"participantId": "8:acs:1", "channel": 0}]});
    pipeline
        .source
        .put_with_metadata(&chunk.document_id, file, metadata.to_string());
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let files = pipeline.vault.files();
    let (_, receipt) = files
        .iter()
        .find(|(name, _)| name.as_str().contains("-receipt."))
        .expect("it is there");
    let document: Value = serde_json::from_slice(receipt).expect("a receipt is JSON");
    let found = &document["receipt"]["examination"];
    assert_eq!(
        (
            &found["verdict"],
            &found["container"],
            &found["durationMs"],
            &found["channels"]
        ),
        (&json!("agrees"), &json!("wav"), &json!(3000), &json!(2)),
        "{document:#}"
    );
    assert_eq!(
        found["notices"],
        json!([{"kind": "channelWithoutParticipant", "channel": 1}])
    );
    let levels = found["sound"]["channels"].as_array().expect("it was heard");
    assert_eq!(
        (levels.len(), &found["sound"]["seenPerMille"]),
        (2, &json!(1000))
    );
    assert!(
        levels
            .iter()
            .all(|level| level["peak"].as_u64() > Some(1000)),
        "{found:#}"
    );
}

#[tokio::test]
async fn a_source_of_unknown_media_stays_where_the_policy_says_so_until_it_is_accepted() {
    let pipeline = Pipeline::that_keeps_unknown_media();
    let chunk = RecordingChunk {
        content: None,
        format: None,
        ..chunk("a", 0)
    };
    let wav = Media::wav(1, 3000, 1);
    let file = wav.read(0, usize::try_from(wav.len()).expect("it fits"));
    let id = &chunk.document_id;
    pipeline.source.put_with_metadata(id, file, "{}");
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    let verdict = state.receipt().map(ExportReceipt::media_verdict);
    assert_eq!(verdict, Some(MediaVerdict::Unknown), "{state:?}");
    assert_eq!(pipeline.sweep().await.deleted, 0);
    let accepted = pipeline.driver.ledger().accept(id, &Operator::Shell).await;
    assert_eq!(
        accepted.expect("the ledger works"),
        Accepted::Accepted(AcceptedSource::MayBeDeleted)
    );
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

/// An mp3 of 5 MB with 20 kB of zeros between two of its frames, where no sample of the file lies.
fn mp3_with_a_hole() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x04];
    frame.resize(417, 0);
    [frame.repeat(3333), vec![0; 20_000], frame.repeat(9000)].concat()
}

fn is_of_format(chunk: RecordingChunk, format: &str) -> RecordingChunk {
    RecordingChunk {
        format: format.parse().ok(),
        ..chunk
    }
}

#[tokio::test]
async fn a_broken_file_stays_doubtful_when_a_later_event_names_its_metadata() {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = is_of_format(chunk("a", 0), "mp3");
    let mut first = chunk.clone();
    first.locations.metadata = None;
    let id = &chunk.document_id;
    let file = mp3_with_a_hole();
    pipeline.source.put_with_metadata(id, file, "{}");
    pipeline.record(&first).await;
    pipeline.drive(id).await;
    let doubt = |state: &ChunkState| {
        let anomaly = state.receipt().and_then(ExportReceipt::anomaly);
        anomaly.map(str::to_owned)
    };
    let before = doubt(&pipeline.state(id).await);
    assert!(before.is_some());

    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    let has_metadata = state.receipt().and_then(ExportReceipt::metadata).is_some();
    assert!(has_metadata, "{state:?}");
    assert_eq!(doubt(&state), before);
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn the_sound_of_a_file_is_kept_when_a_later_event_names_its_metadata() {
    let pipeline = Pipeline::that_keeps_anomalies();
    let mut first = chunk("a", 0);
    (first.locations.metadata, first.locations.delete) = (None, None);
    let wav = Media::wav(2, 120_000, 1);
    let file = wav.read(0, usize::try_from(wav.len()).expect("it fits"));
    let id = &first.document_id;
    pipeline.source.put_with_metadata(id, file, "{}");
    let sound = |state: &ChunkState| {
        let examination = state.receipt().and_then(ExportReceipt::examination);
        examination.and_then(|examination| examination.sound.clone())
    };
    pipeline.record(&first).await;
    pipeline.drive(id).await;
    let before = sound(&pipeline.state(id).await);
    assert!(before.is_some());
    pipeline.record(&chunk("a", 0)).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    assert!(state.receipt().and_then(ExportReceipt::metadata).is_some());
    assert_eq!(sound(&state), before);
}

#[rstest::rstest]
#[case::wav({ let wav = Media::wav(2, 120_000, 1); wav.read(0, usize::try_from(wav.len()).expect("it fits")).to_vec() }, "wav")]
#[case::mp3(mp3_with_a_hole(), "mp3")]
#[tokio::test(start_paused = true)]
async fn a_file_that_was_committed_before_the_attempt_failed_is_examined_as_a_whole(
    #[case] file: Vec<u8>,
    #[case] format: &str,
) {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = is_of_format(chunk("a", 0), format);
    let id = &chunk.document_id;
    pipeline.source.put_with_metadata(id, file.clone(), "{}");
    pipeline.source.model().metadata_faults = std::iter::repeat_n(Fault::Transient, 4).collect();
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    assert_eq!(pipeline.media(id), Some(file), "the media is in the vault");
    assert!(pipeline.state(id).await.receipt().is_none());
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    let receipt = state.receipt().expect("it is exported");
    let examination = receipt.examination().expect("it was examined");
    assert_eq!(receipt.anomaly().is_some(), format == "mp3", "{state:?}");
    let heard = examination.sound.as_ref();
    let heard = heard.map(|sound| sound.seen_per_mille);
    assert_eq!(heard, (format == "wav").then_some(1000));
}

/// An mp3 of 4 MB whose first frame counts 11,900 frames, of which 1,900 are silence where no sample of the file lies.
fn mp3_with_silence() -> Vec<u8> {
    let frames = |header: u8, length: usize, count: usize| {
        let mut frame = vec![0xff, 0xfb, header, 0x04];
        frame.resize(length, 0);
        frame.repeat(count)
    };
    let mut file = [
        frames(0x90, 417, 4001),
        frames(0x10, 104, 1900),
        frames(0x90, 417, 6000),
    ]
    .concat();
    file[36..48].copy_from_slice(b"Xing\0\0\0\x01\0\0\x2e\x7c");
    file
}

#[rstest::rstest]
#[case::hole(mp3_with_a_hole(), MediaVerdict::Disagrees)]
#[case::silence(mp3_with_silence(), MediaVerdict::Agrees)]
#[tokio::test(start_paused = true)]
async fn a_file_that_was_copied_in_two_turns_is_examined_as_a_whole(
    #[case] file: Vec<u8>,
    #[case] verdict: MediaVerdict,
) {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = is_of_format(chunk("a", 0), "mp3");
    let id = &chunk.document_id;
    pipeline.source.put_with_metadata(id, file, "{}");
    pipeline.record(&chunk).await;
    let first_turn = 500 * BLOCK as u64;
    pipeline.source.fail_from_offset(first_turn);
    let outcome = pipeline.drive(id).await;
    assert!(
        matches!(outcome, DriveOutcome::Failed { .. }),
        "{outcome:?}"
    );
    pipeline.source.fail_from_offset(u64::MAX);
    pipeline.source.model().opened.clear();
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.drive(id).await;
    let resumed = pipeline.source.model().opened.clone();
    assert!(
        resumed.iter().all(|range| range.start >= first_turn),
        "{resumed:?}"
    );
    let state = pipeline.state(id).await;
    let found = state.receipt().map(ExportReceipt::media_verdict);
    assert_eq!(found, Some(verdict), "{state:?}");
}

/// A page where a WAV should be.
const PAGE: &[u8] = b"<html><body>Service unavailable</body></html>";

async fn doubtful() -> Pipeline {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, PAGE);
    pipeline.record(&chunk).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    pipeline
}

#[tokio::test]
async fn doubtful_media_is_kept_and_flagged_and_its_source_is_spared() {
    let pipeline = doubtful().await;
    let id = chunk("a", 0).document_id;
    assert_eq!(pipeline.media(&id).as_deref(), Some(PAGE));
    let state = pipeline.state(&id).await;
    let anomaly = state
        .receipt()
        .and_then(|receipt| receipt.anomaly())
        .unwrap_or_default();
    assert!(anomaly.contains("web page"), "{state:?}");
    let receipt = pipeline
        .vault
        .files()
        .into_iter()
        .find(|(name, _)| name.as_str().contains("-receipt."))
        .expect("it is there");
    assert!(
        String::from_utf8_lossy(&receipt.1).contains("web page"),
        "the receipt beside the file says so too"
    );
    pipeline.clock.advance(Duration::from_hours(12));
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_retry_of_doubtful_media_says_that_it_has_to_be_accepted() {
    let pipeline = doubtful().await;
    let ledger = pipeline.driver.ledger();
    let id = chunk("a", 0).document_id;
    let retried = ledger.retry(&id, &Operator::Shell);
    assert_eq!(retried.await.expect("the ledger works"), Retried::Doubtful);
}

#[tokio::test]
async fn an_operator_who_accepts_it_lets_its_source_be_deleted() {
    let pipeline = doubtful().await;
    let id = chunk("a", 0).document_id;
    let ledger = pipeline.driver.ledger();
    assert_eq!(
        ledger
            .accept(&id, &Operator::Shell)
            .await
            .expect("the ledger works"),
        Accepted::Accepted(AcceptedSource::MayBeDeleted)
    );
    assert_eq!(
        ledger
            .accept(&id, &Operator::Shell)
            .await
            .expect("the ledger works"),
        Accepted::AlreadyAccepted(AcceptedSource::MayBeDeleted)
    );
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[tokio::test]
async fn an_acceptance_does_not_count_for_a_copy_with_another_doubt() {
    let pipeline = Pipeline::that_keeps_anomalies();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.source.put(id, PAGE);
    pipeline.record(&chunk).await;
    pipeline.vault.set_unavailable(true);
    for _ in 0..3 {
        pipeline.drive(id).await;
        pipeline.clock.advance(Duration::from_mins(10));
    }
    let state = pipeline.state(id).await;
    let receipt = state.receipt().expect("it is in the backup vault");
    assert_eq!(receipt.vault(), VaultName::Backup);
    let ledger = pipeline.driver.ledger();
    let accepted = ledger.accept(id, &Operator::Shell).await;
    assert_eq!(
        accepted.expect("the ledger works"),
        Accepted::Accepted(AcceptedSource::MayBeDeleted)
    );

    pipeline.vault.set_unavailable(false);
    pipeline.vault.refuse_protection(&[Protection::Retention]);
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    let state = pipeline.state(id).await;
    let receipt = state.receipt().expect("it was moved home");
    assert_eq!(receipt.vault(), VaultName::Home);
    assert!(receipt.missing_protection().is_some(), "{receipt:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn what_nobody_accepts_is_left_to_acs() {
    let pipeline = doubtful().await;
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(&chunk("a", 0).document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("doubtful")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_recording_that_is_shorter_than_its_metadata_says_is_reported_and_accepted_from_the_outside()
 {
    let world = World::new().await;
    let event = world
        .recording(
            json!({"call": {"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]}}),
        )
        .await;
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "exported");
    assert!(
        world.objects().await[0]["deletedAt"].is_null(),
        "{:?}",
        world.objects().await
    );

    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_recording-vault"));
        let output = command
            .args(arguments)
            .envs(world.settings())
            .output()
            .expect("the binary runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = run(&["list", "--doubtful"]);
    assert!(
        listed.contains(&id) && listed.contains("doubtful"),
        "{listed}"
    );
    let accepted = run(&["accept", &id]);
    assert!(accepted.contains("is accepted"), "{accepted}");
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "sourceDeleted");
}

#[tokio::test]
async fn a_policy_may_say_that_doubtful_sources_are_deleted() {
    let world = World::with(&[("ON_ANOMALY", "delete")]).await;
    let event = world
        .recording(
            json!({"call": {"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]}}),
        )
        .await;
    world.event(&event).await;
    let entry = world.ledger_entry(&document_ids(&event)[0]);
    assert_eq!(entry["state"]["name"], "sourceDeleted");
    assert!(
        entry["state"]["receipt"]["anomaly"].is_string(),
        "it is flagged all the same: {entry}"
    );
}
