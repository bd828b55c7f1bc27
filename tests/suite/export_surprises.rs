//! What services and other programs do to an export that nobody asked them to: files that change across a kill, blocks of
//! others, protection that is refused, metadata of another chunk, an event that calls ACS's files the customer's own.

use std::time::Duration;

use acs_simulator::media::Media;
use recording_vault::export::destination::{ExportDestination as _, Protection};
use recording_vault::export::ledger::{Accepted, AcceptedSource};
use recording_vault::export::{Budget, ChunkState, DriveOutcome, layout};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;

use crate::engine::{media_name, stage_blocks};
use crate::support::fake_source::{Fault, PARTICIPANT, Versions};
use crate::support::pipeline::{BLOCK, Pipeline};
use crate::support::{chunk, content};

async fn recorded(pipeline: &Pipeline, media: &[u8]) -> RecordingChunk {
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, media.to_vec());
    pipeline.record(&chunk).await;
    chunk
}

/// Drives the chunk until its source has sent so many blocks, and no further: as a process that is killed there.
async fn cut_off_after(blocks: usize, pipeline: &Pipeline, chunk: &RecordingChunk) {
    pipeline.source.fail_from_offset((blocks * BLOCK) as u64);
    let budget = Budget::of(Duration::from_hours(1));
    let outcome = pipeline.driver.drive(&chunk.document_id, budget).await;
    assert!(
        matches!(outcome, Ok(DriveOutcome::Failed { .. })),
        "{outcome:?}"
    );
    pipeline.source.fail_from_offset(u64::MAX);
    pipeline.clock.advance(Duration::from_mins(30));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_between_two_processes_is_read_from_its_beginning() {
    let pipeline = Pipeline::new();
    let (before, after) = (content(5 * BLOCK, 1), content(5 * BLOCK, 2));
    let chunk = recorded(&pipeline, &before).await;
    pipeline.source.model().versions = Versions::Named;
    cut_off_after(2, &pipeline, &chunk).await;
    pipeline.source.put(&chunk.document_id, after.clone());
    pipeline.another().drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &after), "no block of the file before");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changed_once_is_not_resumed_from_blocks_of_either_version() {
    let pipeline = Pipeline::new();
    let (before, after) = (content(5 * BLOCK, 1), content(5 * BLOCK, 2));
    let chunk = recorded(&pipeline, &before).await;
    pipeline.source.model().versions = Versions::Named;
    cut_off_after(2, &pipeline, &chunk).await;
    // The second version is begun, and cut off as well: blocks of both are staged now.
    pipeline.source.put(&chunk.document_id, after.clone());
    cut_off_after(4, &pipeline, &chunk).await;
    pipeline.source.model().opened.clear();
    pipeline.another().drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &after));
    assert_eq!(pipeline.source.model().opened[0].start, 0);
}

#[tokio::test(start_paused = true)]
async fn blocks_of_two_versions_stay_unused_whatever_is_staged_after_them() {
    let pipeline = Pipeline::new();
    let (before, after) = (content(5 * BLOCK, 1), content(5 * BLOCK, 2));
    let chunk = recorded(&pipeline, &before).await;
    pipeline.source.model().versions = Versions::Named;
    cut_off_after(2, &pipeline, &chunk).await;
    pipeline.source.put(&chunk.document_id, after.clone());
    cut_off_after(4, &pipeline, &chunk).await;
    // The attempt that finds them mixed must not make the next one believe otherwise.
    cut_off_after(1, &pipeline, &chunk).await;
    pipeline.source.model().opened.clear();
    pipeline.another().drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &after));
    assert_eq!(pipeline.source.model().opened[0].start, 0);
}

#[tokio::test(start_paused = true)]
async fn a_block_of_another_version_that_arrives_late_is_not_used() {
    let pipeline = Pipeline::new();
    let (before, after) = (content(5 * BLOCK, 1), content(5 * BLOCK, 2));
    let chunk = recorded(&pipeline, &before).await;
    pipeline.source.model().versions = Versions::Named;
    cut_off_after(1, &pipeline, &chunk).await;
    // Its first block is still under way when the next process begins with the second version.
    let name = media_name(&pipeline, &chunk).await;
    let discarded = pipeline.vault.discard_staged(&name).await;
    discarded.expect("the vault works");
    pipeline.source.put(&chunk.document_id, after.clone());
    cut_off_after(1, &pipeline, &chunk).await;
    stage_blocks(&pipeline, &chunk, &before, |number| number == 0).await;
    pipeline.source.model().opened.clear();
    pipeline.another().drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &after));
    assert_eq!(pipeline.source.model().opened[0].start, 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_did_not_change_is_resumed() {
    let pipeline = Pipeline::new();
    let media = content(5 * BLOCK, 1);
    let chunk = recorded(&pipeline, &media).await;
    pipeline.source.model().versions = Versions::Named;
    cut_off_after(2, &pipeline, &chunk).await;
    pipeline.source.model().opened.clear();
    pipeline.another().drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    let block = BLOCK as u64;
    assert_eq!(pipeline.source.model().opened[0].start, 2 * block);
}

#[tokio::test]
async fn blocks_of_another_program_under_our_name_give_the_chunk_another_name() {
    let pipeline = Pipeline::new();
    let media = content(3 * BLOCK, 1);
    let chunk = recorded(&pipeline, &media).await;
    let ledger = pipeline.driver.ledger();
    let found = ledger.find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let kind = chunk.media_kind().expect("a test's chunk has a kind");
    let taken = layout::media(&entry.folder, &chunk, kind);
    pipeline.vault.stage_foreign_blocks(&taken);
    let outcome = pipeline.drive(&chunk.document_id).await;
    let DriveOutcome::Settled { state, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let receipt = state.receipt().expect("it is in the vault");
    assert_ne!(receipt.media().name(), &taken);
    assert!(pipeline.has(&chunk, &media));
    // Whatever the first attempt left under its name goes with the copy.
    let retention = pipeline.retention(Duration::ZERO);
    retention
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    assert!(pipeline.vault.files().is_empty());
}

#[tokio::test]
async fn a_copy_without_its_protection_spares_its_source_until_it_is_accepted() {
    // Its policy deletes sources of doubtful media.
    let pipeline = Pipeline::new();
    pipeline.vault.refuse_protection(&[Protection::Retention]);
    let chunk = recorded(&pipeline, &content(BLOCK, 1)).await;
    let id = &chunk.document_id;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    let anomaly = state.receipt().and_then(|receipt| receipt.anomaly());
    assert!(
        anomaly.is_some_and(|anomaly| anomaly.contains("VAULT_IMMUTABLE_FOR")),
        "{state:?}"
    );
    assert_eq!(pipeline.sweep().await.deleted, 0);
    assert!(pipeline.source.has(id));
    let accepted = pipeline.driver.ledger().accept(id, &Operator::Shell).await;
    assert_eq!(
        accepted.expect("the ledger works"),
        Accepted::Accepted(AcceptedSource::MayBeDeleted)
    );
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[rstest::rstest]
#[case::page("<html>busy</html>".to_owned())]
#[case::cut_off("{\"chunkDocumentId\": \"a".to_owned())]
#[case::of_another_chunk(format!("{{\"chunkDocumentId\": \"bb\", \"participants\": [{{\"participantId\": \"{PARTICIPANT}\"}}]}}"))]
#[tokio::test]
async fn a_chunk_with_metadata_that_is_not_its_own_is_kept_flagged_and_spared(
    #[case] metadata: String,
) {
    let pipeline = Pipeline::that_keeps_anomalies();
    let (chunk, sample) = (chunk("a", 0), sample());
    let id = &chunk.document_id;
    pipeline
        .source
        .put_with_metadata(id, sample.clone(), metadata.clone());
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    assert!(pipeline.has(&chunk, &sample));
    let kept = pipeline.vault.files();
    assert!(
        kept.values().any(|file| file == metadata.as_bytes()),
        "byte for byte"
    );
    let state = pipeline.state(id).await;
    let anomaly = state.receipt().and_then(|receipt| receipt.anomaly());
    assert!(
        anomaly.is_some_and(|anomaly| anomaly.contains("its metadata")),
        "{state:?}"
    );
    assert_eq!(pipeline.sweep().await.deleted, 0);
    let accepted = pipeline.driver.ledger().accept(id, &Operator::Shell).await;
    assert_eq!(
        accepted.expect("the ledger works"),
        Accepted::Accepted(AcceptedSource::MayBeDeleted)
    );
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

/// A file that is what a test's chunk says it is.
pub(crate) fn sample() -> Vec<u8> {
    let wav = Media::wav(1, 3000, 1);
    let length = usize::try_from(wav.len()).expect("it fits");
    wav.read(0, length).to_vec()
}

fn own_storage(location: &str) -> RecordingChunk {
    let mut chunk = chunk("a", 0);
    chunk.storage_type = Some("AzureBlob".to_owned());
    chunk.locations.content = Some(location.to_owned());
    chunk
}

#[tokio::test]
async fn a_chunk_that_acs_kept_itself_is_exported_whatever_its_event_calls_it() {
    let pipeline = Pipeline::new();
    let media = content(3 * BLOCK, 1);
    let place = chunk("a", 0).locations.content.expect("it has a place");
    let chunk = own_storage(&place);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.record(&chunk).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media), "{outcome:?}");
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
}

#[tokio::test]
async fn a_chunk_that_acs_kept_itself_is_watched_like_any_other() {
    let pipeline = Pipeline::new();
    let place = chunk("a", 0).locations.content.expect("it has a place");
    let chunk = own_storage(&place);
    let id = &chunk.document_id;
    pipeline.source.put(id, content(BLOCK, 1));
    pipeline.source.with_faults([Fault::Transient]);
    pipeline.record(&chunk).await;
    pipeline.clock.advance(Duration::from_hours(20));
    pipeline.drive(id).await;
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(entry.reported_risk.is_some(), "{entry:?}");
}

#[tokio::test]
async fn a_file_in_the_customers_own_storage_is_not_given_up_by_acs_clock() {
    let pipeline = Pipeline::new();
    let chunk = own_storage("https://mine.blob.core.windows.net/calls/x.wav");
    let id = &chunk.document_id;
    pipeline.record(&chunk).await;
    // Long after ACS would have dropped a file of its own.
    pipeline.clock.advance(Duration::from_hours(100));
    let outcome = pipeline.drive(id).await;
    let DriveOutcome::Failed { reason, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(!reason.contains("ACS"), "{reason}");
    for _ in 0..4 {
        pipeline.clock.advance(Duration::from_hours(1));
        pipeline.drive(id).await;
    }
    let state = pipeline.state(id).await;
    let ChunkState::DeadLettered { reason, .. } = &state else {
        panic!("{state:?}")
    };
    assert!(reason.starts_with("5 attempts failed"), "{reason}");
    assert!(!reason.contains("ACS"), "{reason}");
}
