//! A new chunk is claimed by the write that records it, for the process that is about to export it.

use recording_vault::export::ledger::{
    Admission, Circumstances, Claiming, Expected, Recorded, Solicitation,
};
use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::recording::{DocumentId, RecordingChunk};

use crate::support::pipeline::{CLAIM_TTL, Pipeline};
use crate::support::{chunk, content};

async fn record(pipeline: &Pipeline, chunk: &RecordingChunk, at_most: usize) -> Recorded {
    let circumstances = Circumstances {
        admission: Admission::Admitted,
        solicitation: Solicitation::Solicited,
        expected: Expected::Unknown,
        claiming: Claiming::WhenRecorded { at_most },
    };
    pipeline.source.put(&chunk.document_id, content(100, 1));
    let ledger = pipeline.driver.ledger();
    let recorded = ledger.record_as(chunk.clone(), circumstances).await;
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
    assert_eq!(record(&pipeline, &chunk, 1).await, Recorded::New);
    assert!(is_claimed(&pipeline, id).await);
    assert_eq!(pipeline.another().drive(id).await, DriveOutcome::Busy);
    pipeline.drive(id).await;
    assert!(is_deleted(&pipeline, id).await);
    assert!(!is_claimed(&pipeline, id).await);
}

#[tokio::test]
async fn what_is_not_exported_is_given_back_and_another_process_goes_on_at_once() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    record(&pipeline, &chunk, 1).await;
    pipeline.driver.give_back(std::slice::from_ref(id)).await;
    assert!(!is_claimed(&pipeline, id).await);
    pipeline.another().drive(id).await;
    assert!(is_deleted(&pipeline, id).await);
}

#[tokio::test]
async fn a_process_that_ends_after_it_recorded_it_delays_it_by_its_claim() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    record(&pipeline, &chunk, 1).await;
    let other = pipeline.another();
    pipeline.clock.advance(CLAIM_TTL);
    other.sweep().await;
    assert!(is_deleted(&pipeline, &chunk.document_id).await);
}

#[tokio::test]
async fn no_more_are_claimed_ahead_than_may_be_exported() {
    let pipeline = Pipeline::new();
    let chunks = ["a", "b", "c"].map(|id| chunk(id, 0));
    for chunk in &chunks {
        record(&pipeline, chunk, 2).await;
    }
    let ids: Vec<&DocumentId> = chunks.iter().map(|chunk| &chunk.document_id).collect();
    assert!(is_claimed(&pipeline, ids[0]).await && is_claimed(&pipeline, ids[1]).await);
    assert!(!is_claimed(&pipeline, ids[2]).await);
    for id in ids {
        pipeline.drive(id).await;
        assert!(is_deleted(&pipeline, id).await, "{id}");
    }
}

#[tokio::test]
async fn a_known_chunk_is_not_claimed_again() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    assert_eq!(record(&pipeline, &chunk, 4).await, Recorded::AlreadyKnown);
    assert!(!is_claimed(&pipeline, &chunk.document_id).await);
}
