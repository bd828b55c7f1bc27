//! One request of a process is held back, or its answer is lost, while another process or an operator does its work.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use recording_vault::export::destination::{BlobProperties, ExportDestination as _};
use recording_vault::export::fence::Fence;
use recording_vault::export::ledger::{Accepted, AcceptedSource, Recorded, Retried};
use recording_vault::export::{Budget, ChunkLedger, ChunkState, DriveOutcome};
use recording_vault::recording::{ContentKind, FormatKind, PersonKey, RecordingChunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::DocumentStore;
use recording_vault::store::holds::{Added, Case, Held, Holds, ReleaseOutcome};
use rstest::rstest;

use crate::support::fake_source::Fault;
use crate::support::held_store::{ForgetfulStore, HeldStore, Kind, Lost};
use crate::support::pipeline::{BLOCK, CLAIM_TTL, Pipeline, RETENTION};
use crate::support::{chunk, content};

fn ledger(pipeline: &Pipeline, store: Arc<dyn DocumentStore>) -> ChunkLedger {
    ChunkLedger::new(store, pipeline.clock.clone(), RETENTION, CLAIM_TTL)
}

fn budget() -> Budget {
    Budget::of(Duration::from_hours(1))
}

/// Media is in the source, and the chunk is dead-lettered.
async fn dead_lettered(pipeline: &Pipeline, chunk: &RecordingChunk) {
    let id = &chunk.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.record(chunk).await;
    pipeline.drive(id).await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::DeadLettered { .. }),
        "{state:?}"
    );
}

async fn is_exported_by_a_sweep(pipeline: &Pipeline, chunk: &RecordingChunk) {
    pipeline.sweep().await;
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
    assert!(markers(pipeline).await.is_empty());
}

async fn markers(pipeline: &Pipeline) -> Vec<String> {
    let markers = pipeline.store.list("open/", None, 10).await;
    markers.expect("the store works")
}

#[derive(Debug, Clone, Copy)]
enum Door {
    Retry,
    Event,
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_sweep_between_the_marker_and_the_entry_of_an_opener_leaves_no_chunk_that_no_sweep_finds(
    #[values(Door::Retry, Door::Event)] door: Door,
) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    dead_lettered(&pipeline, &chunk).await;
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let opener = ledger(&pipeline, held.clone());
    let opening = async {
        match door {
            Door::Retry => {
                let retried = opener.retry(&chunk.document_id, &Operator::Shell).await;
                assert_eq!(retried.expect("the ledger works"), Retried::Opened);
            }
            Door::Event => {
                let recorded = opener.record(chunk.clone()).await;
                assert_eq!(recorded.expect("the ledger works"), Recorded::AlreadyKnown);
            }
        }
    };
    let sweeping = async {
        held.reached().await;
        pipeline.sweep().await;
        held.release();
    };
    tokio::join!(opening, sweeping);
    is_exported_by_a_sweep(&pipeline, &chunk).await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_before_the_first_entry_is_written_leaves_its_marker() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let opener = ledger(&pipeline, held.clone());
    let sweeping = async {
        held.reached().await;
        pipeline.sweep().await;
        held.release();
    };
    let (recorded, ()) = tokio::join!(opener.record(chunk.clone()), sweeping);
    assert_eq!(recorded.expect("the ledger works"), Recorded::New);
    is_exported_by_a_sweep(&pipeline, &chunk).await;
}

#[tokio::test(start_paused = true)]
async fn a_marker_without_an_entry_is_cleared_when_its_time_has_passed() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let opener = ledger(&pipeline, held.clone());
    tokio::select! {
        _ = opener.record(chunk) => panic!("its write is held"),
        () = held.reached() => {}
    }
    pipeline.sweep().await;
    assert_eq!(markers(&pipeline).await.len(), 1);
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    assert!(markers(&pipeline).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_removal_of_an_older_marker_does_not_hurt_a_later_opening() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.record(&chunk).await;
    let held = HeldStore::holding(&pipeline.store, Kind::Remove, "open/", 0);
    let slow = pipeline.another_through(held.clone());
    let opening = async {
        held.reached().await;
        let ledger = pipeline.driver.ledger();
        let retried = ledger.retry(&chunk.document_id, &Operator::Shell).await;
        assert_eq!(retried.expect("the ledger works"), Retried::Opened);
        held.release();
    };
    let (outcome, ()) = tokio::join!(slow.drive(&chunk.document_id, budget()), opening);
    outcome.expect("the ledger works");
    assert_eq!(markers(&pipeline).await.len(), 1);
    is_exported_by_a_sweep(&pipeline, &chunk).await;
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn retry_and_a_repeated_event_give_an_open_chunk_its_marker_back(
    #[values(Door::Retry, Door::Event)] door: Door,
) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    for marker in markers(&pipeline).await {
        pipeline
            .store
            .remove(&marker)
            .await
            .expect("the store works");
    }
    match door {
        Door::Retry => {
            let ledger = pipeline.driver.ledger();
            let retried = ledger.retry(&chunk.document_id, &Operator::Shell).await;
            assert_eq!(retried.expect("the ledger works"), Retried::AlreadyOpen);
        }
        Door::Event => pipeline.record(&chunk).await,
    }
    is_exported_by_a_sweep(&pipeline, &chunk).await;
}

#[tokio::test(start_paused = true)]
async fn a_renewal_does_not_cut_off_what_follows_the_write_that_gives_the_claim_back() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    let held = HeldStore::holding(&pipeline.store, Kind::Remove, "open/", 0);
    let slow = pipeline.another_through(held.clone());
    let waiting = async {
        held.reached().await;
        tokio::time::sleep(CLAIM_TTL * 3).await;
        held.release();
    };
    let (outcome, ()) = tokio::join!(slow.drive(&chunk.document_id, budget()), waiting);
    let outcome = outcome.expect("the ledger works");
    assert!(
        matches!(outcome, DriveOutcome::Settled { .. }),
        "{outcome:?}"
    );
    assert!(markers(&pipeline).await.is_empty());
}

/// The write of the entry that is held: the claim, the export, the end.
#[rstest]
#[tokio::test(start_paused = true)]
async fn what_an_event_adds_during_an_export_is_still_done(#[values(0, 1, 2)] write: usize) {
    let (pipeline, whole) = (Pipeline::new(), chunk("a", 0));
    let id = &whole.document_id;
    pipeline.source.put(id, content(100, 1));
    let mut bare = whole.clone();
    bare.locations.metadata = None;
    bare.locations.delete = None;
    pipeline.record(&bare).await;
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", write);
    let slow = pipeline.another_through(held.clone());
    let adding = async {
        held.reached().await;
        pipeline.record(&whole).await;
        held.release();
    };
    let (outcome, ()) = tokio::join!(slow.drive(id, budget()), adding);
    outcome.expect("the ledger works");
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    let ChunkState::SourceDeleted { receipt, .. } = &state else {
        panic!("it ended as {state:?}");
    };
    assert!(receipt.metadata().is_some(), "its metadata is in the vault");
    assert!(markers(&pipeline).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_keeps_the_name_under_which_its_first_byte_went_to_the_vault() {
    let (pipeline, known) = (Pipeline::new(), chunk("a", 0));
    let id = &known.document_id;
    pipeline.source.put(id, content(3 * BLOCK, 1));
    let mut unknown = known.clone();
    (unknown.content, unknown.format) = (None, None);
    pipeline.record(&unknown).await;
    // Its metadata says mp3; the connection breaks behind the first block.
    pipeline
        .source
        .with_faults([Fault::CutAfter(BLOCK + 10), Fault::Transient]);
    pipeline.drive(id).await;
    pipeline.clock.advance(Duration::from_mins(5));
    let later = RecordingChunk {
        content: Some(ContentKind::AudioVideo),
        format: Some(FormatKind::Mp4),
        ..known.clone()
    };
    pipeline.record(&later).await;
    is_exported_by_a_sweep(&pipeline, &known).await;
    let files = pipeline.vault.files();
    let media: Vec<&str> = files
        .keys()
        .map(recording_vault::export::layout::BlobName::as_str)
        .filter(|name| !name.ends_with(".json"))
        .collect();
    assert_eq!(media.len(), 1, "{media:?}");
    assert!(media[0].contains("audiomp3"), "{media:?}");
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_recognised_as_our_own(
    #[values(Lost::AndRepeated, Lost::AndFailed)] lost: Lost,
) {
    let pipeline = Pipeline::that_keeps_anomalies();
    let forgetful = |prefix| {
        Arc::new(ForgetfulStore {
            inner: Arc::clone(&pipeline.store),
            lost,
            prefix,
        })
    };
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    let ledger = ledger(&pipeline, forgetful("chunks/"));
    let record = async || {
        ledger
            .record(chunk.clone())
            .await
            .expect("it was written, and the ledger knows")
    };
    assert_eq!(record().await, Recorded::New, "{lost:?}");
    assert_eq!(record().await, Recorded::AlreadyKnown, "{lost:?}");
    // A web page instead of media: doubtful, and waiting to be accepted.
    pipeline.source.put(id, "<html>not found</html>");
    let slow = pipeline.another_through(forgetful("chunks/"));
    let outcome = slow.drive(id, budget()).await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(
            state,
            ChunkState::Exported { .. } | ChunkState::SourceDeleted { .. }
        ),
        "{lost:?}: {outcome:?}"
    );
    if matches!(state, ChunkState::Exported { .. }) {
        let accepted = ledger
            .accept(id, &Operator::Shell)
            .await
            .expect("it was written");
        assert_eq!(
            accepted,
            Accepted::Accepted(AcceptedSource::MayBeDeleted),
            "{lost:?}"
        );
    }
    let holds = Holds::new(forgetful("holds/"));
    let held = Held::RecordingId(chunk.filed_under());
    let case = case();
    let added = holds.add(&held, &case).await.expect("it was written");
    assert_eq!(added, Added::Added, "{lost:?}");
    let unaudited = || futures::future::ready(Ok(())).boxed();
    let released = holds.release(&held, &case.tag, unaudited).await;
    let released = released.expect("it was written");
    assert_eq!(released, ReleaseOutcome::Released, "{lost:?}");
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_retry_whose_answer_is_lost_says_what_it_did(
    #[values(Lost::AndRepeated, Lost::AndFailed)] lost: Lost,
) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    dead_lettered(&pipeline, &chunk).await;
    let forgetful = Arc::new(ForgetfulStore {
        inner: Arc::clone(&pipeline.store),
        lost,
        prefix: "chunks/",
    });
    let ledger = ledger(&pipeline, forgetful);
    let retried = ledger.retry(&chunk.document_id, &Operator::Shell).await;
    assert_eq!(retried.expect("it was written"), Retried::Opened);
    is_exported_by_a_sweep(&pipeline, &chunk).await;
}

fn case() -> Case {
    Case {
        tag: "A-1".parse().expect("it is a tag"),
        by: None,
        requested_by: None,
        note: None,
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_added_after_the_intent_and_before_the_look_keeps_the_source() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    let id = &chunk.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&chunk).await;
    // The first name of a person makes their key, and looks for holds of an earlier one.
    let people = pipeline.driver.ledger().people();
    let named = people.hash(&PersonKey::of("8:acs:1_1")).await;
    named.expect("the ledger works");
    let held = HeldStore::holding(&pipeline.store, Kind::List, "holds/", 0);
    let slow = pipeline.another_through(held.clone());
    let ledger = pipeline.driver.ledger();
    let holding = async {
        held.reached().await;
        let found = ledger.find(id).await.expect("the ledger works");
        let entry = found.expect("the chunk is in the ledger").entry;
        assert!(
            entry.intent.is_some(),
            "the intent is durable before the look"
        );
        let recording = Held::RecordingId(chunk.filed_under());
        let added = ledger.holds().add(&recording, &case()).await;
        added.expect("the ledger works");
        held.release();
    };
    let (outcome, ()) = tokio::join!(slow.drive(id, budget()), holding);
    outcome.expect("the ledger works");
    assert!(pipeline.source.model().deleted.is_empty());
    let found = ledger.find(id).await.expect("the ledger works");
    let entry = found.expect("the chunk is in the ledger").entry;
    assert!(entry.intent.is_none(), "nothing was sent under it");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_may_still_arrive_is_not_called_held() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    let id = &chunk.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.source.model().delete_faults = [Fault::Transient].into();
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let ledger = pipeline.driver.ledger();
    let entry = async || {
        let found = ledger.find(id).await.expect("the ledger works");
        found.expect("the chunk is in the ledger").entry
    };
    let intent = entry().await.intent.expect("the request was sent");
    let hold = Held::RecordingId(chunk.filed_under());
    let added = ledger.holds().add(&hold, &case()).await;
    added.expect("the ledger works");
    pipeline.clock.advance(Duration::from_mins(1));
    let outcome = pipeline.drive(id).await;
    let until = intent.acts_until();
    assert_eq!(outcome, DriveOutcome::Waiting { until });
    assert!(entry().await.intent.is_some());
    pipeline.clock.advance(Duration::from_hours(1));
    let outcome = pipeline.drive(id).await;
    assert!(
        matches!(outcome, DriveOutcome::Waiting { until: later } if later > until),
        "{outcome:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_frozen_past_its_claim_writes_nothing_into_the_vault() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    let id = &chunk.document_id;
    pipeline.record(&chunk).await;
    let ledger = pipeline.driver.ledger();
    let claim = async || {
        let found = ledger.find(id).await.expect("the ledger works");
        let found = found.expect("the chunk is in the ledger");
        let claim = ledger.claim(&found).await.expect("the ledger works");
        claim.expect("nobody has it")
    };
    let frozen = claim().await;
    let properties = BlobProperties {
        content_type: "application/json",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let name = "a/b.json".parse().expect("it is a safe name");
    let vault = Fence::new(ledger, &frozen).around(&*pipeline.vault);
    tokio::time::advance(CLAIM_TTL).await;
    let renewed = vault.put(&name, "{}".into(), &properties).await;
    assert!(renewed.is_ok(), "nobody has taken over: {renewed:?}");
    let before = pipeline.vault.files();
    tokio::time::advance(CLAIM_TTL).await;
    pipeline.clock.advance(CLAIM_TTL);
    let _taken_over = claim().await;
    let other = "a/c.json".parse().expect("it is a safe name");
    assert!(vault.put(&other, "{}".into(), &properties).await.is_err());
    assert_eq!(pipeline.vault.files(), before);
    assert!(pipeline.driver.drive(id, budget()).await.is_ok());
}
