//! A new chunk is claimed by the write that records it, for the process that is about to export it.

use recording_vault::export::ledger::{Admission, Circumstances, Expected, Recorded, Solicitation};
use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::recording::{DocumentId, RecordingChunk};

use crate::support::pipeline::{CLAIM_TTL, Pipeline};
use crate::support::{chunk, content};

async fn record(pipeline: &Pipeline, chunk: &RecordingChunk) -> Recorded {
    let circumstances = Circumstances {
        admission: Admission::Admitted,
        solicitation: Solicitation::Solicited,
        expected: Expected::Unknown,
    };
    pipeline.source.put(&chunk.document_id, content(100, 1));
    let ahead = pipeline.driver.slots().claim_ahead();
    let ledger = pipeline.driver.ledger();
    let recorded = ledger.record_as(chunk.clone(), circumstances, ahead).await;
    recorded.expect("the ledger works")
}

async fn is_claimed(pipeline: &Pipeline, id: &DocumentId) -> bool {
    let left = pipeline.driver.ledger().claim_left(id).await;
    left.expect("the ledger works").is_some()
}

async fn is_deleted(pipeline: &Pipeline, id: &DocumentId) -> bool {
    matches!(pipeline.state(id).await, ChunkState::SourceDeleted { .. })
}

#[tokio::test]
async fn the_process_that_recorded_it_exports_it_and_no_other_does() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    assert_eq!(record(&pipeline, &chunk).await, Recorded::New);
    assert!(is_claimed(&pipeline, id).await);
    assert_eq!(pipeline.another().drive(id).await, DriveOutcome::Busy);
    pipeline.drive(id).await;
    assert!(is_deleted(&pipeline, id).await);
    assert!(!is_claimed(&pipeline, id).await);
}

#[tokio::test]
async fn what_is_not_exported_is_given_back_and_another_process_continues_at_once() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    record(&pipeline, &chunk).await;
    pipeline.driver.give_back(std::slice::from_ref(id)).await;
    assert!(!is_claimed(&pipeline, id).await);
    pipeline.another().drive(id).await;
    assert!(is_deleted(&pipeline, id).await);
}

#[tokio::test]
async fn a_process_that_ends_after_it_recorded_it_delays_it_by_its_claim() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    record(&pipeline, &chunk).await;
    let other = pipeline.another();
    pipeline.clock.advance(CLAIM_TTL);
    other.sweep().await;
    assert!(is_deleted(&pipeline, &chunk.document_id).await);
}

#[tokio::test]
async fn of_many_at_once_no_more_are_claimed_than_may_be_exported() {
    let pipeline = Pipeline::with_chunks_in_flight(2);
    let chunks: Vec<RecordingChunk> = (0..8).map(|n| chunk(&format!("c{n}"), 0)).collect();
    futures::future::join_all(chunks.iter().map(|chunk| record(&pipeline, chunk))).await;
    let mut claimed = 0;
    for chunk in &chunks {
        claimed += usize::from(is_claimed(&pipeline, &chunk.document_id).await);
    }
    assert_eq!(claimed, 2);
    for chunk in &chunks {
        pipeline.drive(&chunk.document_id).await;
        assert!(is_deleted(&pipeline, &chunk.document_id).await);
    }
    let next = chunk("next", 0);
    record(&pipeline, &next).await;
    assert!(
        is_claimed(&pipeline, &next.document_id).await,
        "the right came back"
    );
}

#[tokio::test]
async fn what_was_given_back_counts_as_never_claimed() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    record(&pipeline, &chunk).await;
    let id = &chunk.document_id;
    pipeline.driver.give_back(std::slice::from_ref(id)).await;
    let erased = pipeline.driver.ledger().record_erased(chunk.clone()).await;
    assert_eq!(erased.expect("the ledger works"), Recorded::Erased);
}

#[tokio::test]
async fn a_known_chunk_is_not_claimed_again() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    assert_eq!(record(&pipeline, &chunk).await, Recorded::AlreadyKnown);
    assert!(!is_claimed(&pipeline, &chunk.document_id).await);
}

#[tokio::test]
async fn a_file_that_still_grows_is_not_claimed_and_counts_as_not_copied() {
    let pipeline = Pipeline::new();
    let ended = |reason: &str| RecordingChunk {
        end_reason: Some(reason.to_owned()),
        ..chunk("a", 0)
    };
    let growing = ended("ChunkIsBeingRecorded");
    let id = &growing.document_id;
    record(&pipeline, &growing).await;
    assert!(!is_claimed(&pipeline, id).await);
    pipeline.drive(id).await;
    pipeline.record(&ended("SessionEnded")).await;
    pipeline.drive(id).await;
    assert!(is_deleted(&pipeline, id).await);
    assert_eq!(pipeline.source.model().opened.len(), 1, "it is read once");
}
