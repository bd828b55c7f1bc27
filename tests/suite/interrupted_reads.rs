//! Reads of a source that breaks off, or that were interrupted: an export goes on where it was.

use std::time::Duration;

use recording_vault::export::{Budget, DriveOutcome};

use crate::support::fake_source::Fault;
use crate::support::pipeline::{BLOCK, Pipeline};
use crate::support::{chunk, content};

/// Where media was read from.
fn offsets(pipeline: &Pipeline) -> Vec<u64> {
    pipeline
        .source
        .model()
        .opened
        .iter()
        .map(|range| range.start)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_taken_up_where_it_broke() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(5 * BLOCK, 3);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline
        .source
        .with_faults([Fault::CutAfter(3000), Fault::CutAfter(1000)]);
    pipeline.record(&chunk).await;

    pipeline.drive(&chunk.document_id).await;

    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
    let block = BLOCK as u64;
    assert_eq!(
        offsets(&pipeline),
        [0, 3000, 4000, block, 2 * block, 3 * block, 4 * block]
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ignores_the_range_is_read_from_its_beginning() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(4 * BLOCK, 4);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline
        .source
        .with_faults([Fault::CutAfter(2000), Fault::IgnoreRange]);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
}

#[rstest::rstest]
#[case::empty(Fault::Empty)]
#[case::short(Fault::ShortBy(10))]
#[case::transient(Fault::Transient)]
#[case::stall(Fault::Stall)]
#[case::gone_before_its_time(Fault::Gone)]
#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_never_committed_meanwhile(#[case] fault: Fault) {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 5));
    pipeline.source.with_faults(std::iter::repeat_n(fault, 4));
    pipeline.record(&chunk).await;

    let first = pipeline.drive(&chunk.document_id).await;
    assert!(matches!(first, DriveOutcome::Failed { .. }), "{first:?}");
    assert_eq!(pipeline.media(&chunk.document_id), None);
    assert!(pipeline.source.model().deleted.is_empty());
    let too_soon = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(too_soon, DriveOutcome::Waiting { .. }),
        "{too_soon:?}"
    );

    pipeline.source.with_faults([]);
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.sweep().await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(content(100, 5)));
}

#[tokio::test(start_paused = true)]
async fn a_total_that_changes_starts_the_export_over() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(3 * BLOCK, 6);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline
        .source
        .with_faults([Fault::CutAfter(1000), Fault::Total(99)]);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
    assert_eq!(offsets(&pipeline)[..3], [0, 1000, 0]);
}

#[tokio::test]
async fn a_budget_that_is_spent_stops_at_a_block_boundary_and_the_next_drive_continues() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(6 * BLOCK, 7);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.record(&chunk).await;
    let spent = pipeline
        .driver
        .drive(&chunk.document_id, Budget::of(Duration::ZERO))
        .await
        .expect("the ledger works");
    assert_eq!(spent, DriveOutcome::OutOfBudget);
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
}

#[tokio::test(start_paused = true)]
async fn another_instance_continues_from_the_staged_blocks() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(6 * BLOCK + 5, 8);
    pipeline.source.put(&chunk.document_id, media.clone());
    // The connection breaks for good after three blocks: as if the process had been killed there.
    pipeline.source.fail_from_offset(3 * BLOCK as u64);
    pipeline.record(&chunk).await;
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Failed { .. }
    ));

    let other = pipeline.another();
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.source.fail_from_offset(u64::MAX);
    pipeline.source.model().opened.clear();
    other.drive(&chunk.document_id).await;

    assert_eq!(other.media(&chunk.document_id), Some(media));
    let block = BLOCK as u64;
    assert_eq!(
        offsets(&other),
        [3 * block, 4 * block, 5 * block, 6 * block]
    );
}
