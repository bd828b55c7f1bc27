//! The export engine on in-memory seams: ranges, resuming, turns, what a slow or capricious source costs.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::export::block::{Block, BlockChain};
use recording_vault::export::destination::{ExportDestination as _, StageOutcome};
use recording_vault::export::entry::Risk;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::slots::SLICE;
use recording_vault::export::{Budget, ChunkState, DriveOutcome, ExportSweep, LedgerEntry};
use recording_vault::recording::RecordingChunk;
use tokio::time::Instant;

use crate::support::fake_source::{Fault, Versions};
use crate::support::pipeline::{BLOCK, Pipeline, RETENTION};
use crate::support::{chunk, content};

/// Stages some blocks of a chunk's media, as a process that was killed left them behind.
async fn stage(
    pipeline: &Pipeline,
    chunk: &RecordingChunk,
    media: &[u8],
    wanted: impl Fn(usize) -> bool,
) {
    let found = pipeline
        .driver
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the ledger works")
        .expect("it is recorded");
    // A claim was taken, and ran out.
    pipeline
        .driver
        .ledger()
        .claim(&found)
        .await
        .expect("the ledger works")
        .expect("nobody has it");
    pipeline.clock.advance(Duration::from_mins(2));
    stage_blocks(pipeline, chunk, media, wanted).await;
}

/// The name of a chunk's media in the vault.
pub(crate) async fn media_name(pipeline: &Pipeline, chunk: &RecordingChunk) -> BlobName {
    let found = pipeline.driver.ledger().find(&chunk.document_id).await;
    let found = found.expect("the ledger works").expect("it is recorded");
    let kind = chunk.media_kind().expect("a test's chunk has a kind");
    layout::media(&found.entry.folder, chunk, kind)
}

/// Stages some blocks of this media, as requests that arrive late do.
pub(crate) async fn stage_blocks(
    pipeline: &Pipeline,
    chunk: &RecordingChunk,
    media: &[u8],
    wanted: impl Fn(usize) -> bool,
) {
    let name = media_name(pipeline, chunk).await;
    let mut chain = BlockChain::start(media.len() as u64);
    for (number, piece) in media.chunks(BLOCK).enumerate() {
        let (next, block) = chain.hash_next(Bytes::copy_from_slice(piece));
        chain = next;
        if wanted(number) {
            let Block { id, content } = block;
            let staged = pipeline.vault.stage(&name, Block { id, content }).await;
            assert_eq!(staged.expect("the vault works"), StageOutcome::Staged);
        }
    }
}

async fn recorded(media: &[u8]) -> (Pipeline, RecordingChunk) {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, media.to_vec());
    pipeline.record(&chunk).await;
    (pipeline, chunk)
}

#[tokio::test]
async fn a_small_file_takes_one_request_and_a_large_one_a_range_for_each_block() {
    let (pipeline, chunk) = recorded(&content(BLOCK, 1)).await;
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(
        pipeline.source.model().opened,
        vec![Range {
            start: 0,
            end: BLOCK as u64
        }]
    );

    let (pipeline, chunk) = recorded(&content(2 * BLOCK + 1, 1)).await;
    pipeline.drive(&chunk.document_id).await;
    let block = BLOCK as u64;
    assert_eq!(
        pipeline.source.model().opened,
        [0..block, block..2 * block, 2 * block..2 * block + 1]
    );
}

#[tokio::test]
async fn only_what_is_missing_between_staged_blocks_is_read_again() {
    let media = content(6 * BLOCK + 9, 2);
    let (pipeline, chunk) = recorded(&media).await;
    stage(&pipeline, &chunk, &media, |number| {
        number != 1 && number != 4
    })
    .await;
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    let block = BLOCK as u64;
    assert_eq!(
        pipeline.source.model().opened,
        [block..2 * block, 4 * block..5 * block]
    );
}

#[tokio::test]
async fn when_everything_is_staged_nothing_is_read() {
    let media = content(3 * BLOCK, 2);
    let (pipeline, chunk) = recorded(&media).await;
    stage(&pipeline, &chunk, &media, |_| true).await;
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    assert!(pipeline.source.model().opened.is_empty());
}

#[tokio::test]
async fn blocks_behind_a_gap_that_belong_to_another_content_are_not_used() {
    let media = content(6 * BLOCK, 3);
    let (pipeline, chunk) = recorded(&media).await;
    stage(&pipeline, &chunk, &content(6 * BLOCK, 4), |number| {
        number > 1
    })
    .await;
    pipeline.clock.advance(Duration::from_mins(2));
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
}

#[tokio::test]
async fn blocks_of_another_length_of_the_file_give_way_to_those_of_the_right_one() {
    let media = content(4 * BLOCK, 5);
    let (pipeline, chunk) = recorded(&media).await;
    // More of the wrong length is staged than of the right one.
    stage(&pipeline, &chunk, &content(5 * BLOCK, 6), |number| {
        number < 4
    })
    .await;
    stage(&pipeline, &chunk, &media, |number| number < 2).await;
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    let block = BLOCK as u64;
    assert_eq!(
        pipeline.source.model().opened,
        [
            4 * block..5 * block,
            2 * block..3 * block,
            3 * block..4 * block
        ]
    );
}

#[tokio::test]
async fn a_source_that_knows_no_ranges_is_read_in_one_go() {
    let media = content(5 * BLOCK + 3, 7);
    let (pipeline, chunk) = recorded(&media).await;
    pipeline.source.model().ignores_ranges = true;
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    assert_eq!(pipeline.source.model().opened.len(), 1, "it is read once");
}

#[tokio::test(start_paused = true)]
async fn a_length_that_keeps_changing_is_left_alone_for_a_while() {
    let media = content(2 * BLOCK, 8);
    let (pipeline, chunk) = recorded(&media).await;
    let totals = (0..40).map(|number| Fault::Total(3 * BLOCK as u64 + number));
    pipeline.source.with_faults(totals);
    let outcome = pipeline.drive(&chunk.document_id).await;
    let DriveOutcome::Failed { reason, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.contains("length"), "{reason}");
    pipeline.source.with_faults([]);
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.sweep().await;
    assert!(pipeline.has(&chunk, &media));
}

#[tokio::test(start_paused = true)]
async fn a_trickle_counts_as_a_stall_and_another_connection_is_tried() {
    let media = content(3 * BLOCK, 9);
    let (pipeline, chunk) = recorded(&media).await;
    pipeline
        .source
        .with_faults([Fault::Trickle(Duration::from_secs(20))]);
    let began = Instant::now();
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    assert!(
        began.elapsed() < Duration::from_mins(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_source_sent_before_the_budget_was_spent_is_kept() {
    let media = content(2 * BLOCK, 10);
    let (pipeline, chunk) = recorded(&media).await;
    // 4 KiB within 400 s, a tenth of it within the budget.
    pipeline
        .source
        .with_faults([Fault::Trickle(Duration::from_millis(97))]);
    let outcome = pipeline
        .driver
        .drive(&chunk.document_id, Budget::of(Duration::from_secs(20)))
        .await
        .expect("the ledger works");
    assert_eq!(outcome, DriveOutcome::OutOfBudget);
    pipeline.source.model().opened.clear();
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.has(&chunk, &media));
    let kept = pipeline.source.model().opened[0].start;
    assert!(
        kept > 128 && kept.is_multiple_of(64),
        "{kept} bytes were kept"
    );
}

/// Two recorded chunks with this media, of which one at a time may be transferred.
async fn two_for_one_slot(ids: [&str; 2], media: &[u8]) -> (Pipeline, [RecordingChunk; 2]) {
    let pipeline = Pipeline::with_chunks_in_flight(1);
    let chunks = [chunk(ids[0], 0), chunk(ids[1], 1)];
    for chunk in &chunks {
        pipeline.source.put(&chunk.document_id, media.to_vec());
        pipeline.record(chunk).await;
    }
    (pipeline, chunks)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_takes_long_makes_room_for_others_and_continues() {
    let media = content(BLOCK, 11);
    let (pipeline, [slow, quick]) = two_for_one_slot(["slow", "quick"], &media).await;
    pipeline
        .source
        .with_faults([Fault::Trickle(Duration::from_millis(5))]);
    let began = Instant::now();
    let others = async {
        // The slow one has its slot by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        pipeline.drive(&quick.document_id).await;
        assert!(
            began.elapsed() <= SLICE + Duration::from_secs(1),
            "it waited {:?}",
            began.elapsed()
        );
    };
    let (outcome, ()) = tokio::join!(pipeline.drive(&slow.document_id), others);
    assert!(
        matches!(
            outcome,
            DriveOutcome::Settled {
                state: ChunkState::SourceDeleted { .. },
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(pipeline.has(&slow, &media));
    let again = pipeline
        .source
        .model()
        .opened
        .iter()
        .filter(|range| range.start > 0)
        .count();
    assert_eq!(again, 1, "it went on where it was when its turn was over");
}

/// What is read to find a length is lost with the turn: with turns of a slice it would be read again and again.
#[tokio::test(start_paused = true)]
async fn a_file_whose_length_takes_longer_than_a_slice_to_find_is_copied_in_one_turn() {
    let media = content(BLOCK, 11);
    let (pipeline, [slow, other]) = two_for_one_slot(["slow", "other"], &media).await;
    {
        let mut model = pipeline.source.model();
        model.finds_length_in = Some(2 * SLICE);
        model.ignores_ranges = true;
    }
    let began = Instant::now();
    tokio::join!(
        pipeline.drive(&slow.document_id),
        pipeline.drive(&other.document_id)
    );
    assert!(pipeline.has(&slow, &media) && pipeline.has(&other, &media));
    let took = began.elapsed();
    assert!(took < 5 * SLICE, "it took {took:?}");
}

/// Blocks of different versions are not joined, so nothing of a turn would be left for the next one.
#[tokio::test(start_paused = true)]
async fn slow_files_whose_every_answer_names_another_version_are_copied_one_after_the_other() {
    let media = content(2 * BLOCK, 11);
    let (pipeline, chunks) = two_for_one_slot(["first", "other"], &media).await;
    pipeline.source.model().versions = Versions::NewEachTime;
    for chunk in &chunks {
        // The whole file takes 24 s.
        let (id, pause) = (chunk.document_id.clone(), Duration::from_millis(3));
        pipeline.source.model().slow.insert(id, pause);
    }
    let began = Instant::now();
    let [first, other] = &chunks;
    tokio::join!(
        pipeline.drive(&first.document_id),
        pipeline.drive(&other.document_id)
    );
    let took = began.elapsed();
    assert!(pipeline.has(first, &media) && pipeline.has(other, &media));
    assert!(took < 30 * SLICE, "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_the_exports_of_others_but_not_for_long() {
    // A byte every 1 and 5 ms: the copy of the other file takes less and longer than a slice.
    for (pause_ms, is_copied_first) in [(1, true), (5, false)] {
        let media = content(BLOCK, 11);
        let (pipeline, [first, other]) = two_for_one_slot(["first", "other"], &media).await;
        let pause = Duration::from_millis(pause_ms);
        let id = other.document_id.clone();
        pipeline.source.model().slow.insert(id, pause);
        // The first has the slot until the other waits for it.
        let (id, short) = (&first.document_id, media[..100].to_vec());
        pipeline.source.put(id, short);
        let pause = Duration::from_millis(1);
        pipeline.source.model().slow.insert(id.clone(), pause);
        let began = Instant::now();
        let driven = async |chunk: &RecordingChunk| {
            pipeline.drive(&chunk.document_id).await;
            (pipeline.has(&other, &media), began.elapsed())
        };
        let later = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            driven(&other).await
        };
        let ((is_copied, took), _) = tokio::join!(driven(&first), later);
        assert_eq!(is_copied, is_copied_first, "after {took:?}");
        assert!(took <= SLICE + Duration::from_secs(1), "it took {took:?}");
        assert_eq!(pipeline.source.model().deleted.len(), 2);
        assert!(pipeline.has(&other, &media));
    }
}

#[tokio::test]
async fn each_step_towards_the_deadline_and_the_loss_are_reported_once() {
    let (pipeline, chunk) = recorded(&content(100, 1)).await;
    pipeline.source.fail_from_offset(0);
    let risk = async || {
        pipeline.drive(&chunk.document_id).await;
        let found = pipeline
            .driver
            .ledger()
            .find(&chunk.document_id)
            .await
            .expect("the ledger works");
        found.expect("it is recorded").entry
    };
    assert_eq!(risk().await.reported_risk, None);
    for (hours, expected) in [
        (12, Risk::Half),
        (6, Risk::ThreeQuarters),
        (4, Risk::NinetyPercent),
    ] {
        pipeline.clock.advance(Duration::from_hours(hours));
        assert_eq!(risk().await.reported_risk, Some(expected));
    }
    pipeline.source.fail_from_offset(u64::MAX);
    pipeline.source.forget(&chunk.document_id);
    pipeline.clock.advance(Duration::from_hours(4));
    let entry = risk().await;
    assert!(
        matches!(entry.state, ChunkState::Expired { .. }) && entry.reported_end,
        "{:?}",
        entry.state
    );
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_reported_although_the_exports_take_the_whole_budget_of_the_sweep() {
    let (pipeline, given_up) = recorded(&content(100, 1)).await;
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.drive(&given_up.document_id).await;
    let state = pipeline.state(&given_up.document_id).await;
    assert!(
        matches!(state, ChunkState::DeadLettered { .. }),
        "{state:?}"
    );
    pipeline.clock.advance(RETENTION);
    let slow = chunk("slow", 1);
    let media = content(2 * BLOCK, 10);
    pipeline.source.put(&slow.document_id, media);
    pipeline.record(&slow).await;
    // It takes much longer than the budget.
    pipeline
        .source
        .with_faults([Fault::Trickle(Duration::from_millis(97))]);
    let sweep = ExportSweep::new(Arc::clone(&pipeline.driver));
    let swept = sweep.run(Budget::of(Duration::from_secs(20))).await;
    assert!(swept.expect("the ledger works").out_of_budget);
    let ledger = pipeline.driver.ledger();
    let found = ledger.find(&given_up.document_id).await;
    let lost = found.expect("the ledger works").expect("it is there").entry;
    assert!(
        matches!(lost.state, ChunkState::Expired { .. }) && lost.reported_end,
        "{:?}",
        lost.state
    );
}

#[tokio::test]
async fn what_an_earlier_build_reported_is_not_reported_again() {
    let (pipeline, chunk) = recorded(&content(100, 1)).await;
    let found = pipeline.driver.ledger().find(&chunk.document_id).await;
    let mut entry = found
        .expect("the ledger works")
        .expect("it is recorded")
        .entry;
    (entry.reported_risk, entry.reported_end) = (Some(Risk::Half), true);
    let mut stored = serde_json::to_value(&entry).expect("it is JSON");
    let members = stored.as_object_mut().expect("it is an object");
    for (name, earlier) in [("reportedRisk", "toldRisk"), ("reportedEnd", "toldEnd")] {
        let value = members.remove(name).expect("it is written");
        members.insert(earlier.to_owned(), value);
    }
    let read: LedgerEntry = serde_json::from_value(stored).expect("it is an entry");
    assert_eq!(read, entry);
}
