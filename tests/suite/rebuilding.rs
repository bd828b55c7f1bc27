//! `ledger rebuild`: an entry that is lost or not readable is written again from the receipt beside its copy.

mod forged;
mod remains;

use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::ledger::{
    Accepted, AcceptedSource, BeforeSetAside, RebuildSource, Rebuilt, Retried, SetAside,
};
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::{ChunkLedger, ChunkState};
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::standing::{OperatorStep, Standing, of_chunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::{DocumentStore, Precondition};
use serde_json::Value;

use crate::support::fake_source::Fault;
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::{chunk, content};

/// A chunk that was exported three days ago, and whose entry is lost; its receipt in the vault.
async fn without_entry() -> (Pipeline, RecordingChunk, Value) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let files = pipeline.vault.files();
    let receipt = files
        .iter()
        .find(|(name, _)| name.as_str().contains("receipt"));
    let (_, receipt) = receipt.expect("there is a receipt");
    let receipt = serde_json::from_slice(receipt).expect("it is JSON");
    let removed = pipeline.store.remove("chunks/a.json").await;
    removed.expect("the store works");
    pipeline.clock.advance(Duration::from_hours(72));
    (pipeline, chunk, receipt)
}

fn source(receipt: &Value) -> RebuildSource {
    let kept: KeptReceipt = serde_json::from_value(receipt.clone()).expect("it is a receipt");
    RebuildSource {
        kept,
        further: Vec::new(),
        previous: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_before_a_rebuilt_entry_is_written_leaves_a_marker_that_leads_to_it() {
    let (pipeline, chunk, receipt) = without_entry().await;
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let ledger = ChunkLedger::new(held.clone(), pipeline.clock.clone(), RETENTION, CLAIM_TTL);
    let rebuilding = async {
        let rebuilt = ledger
            .rebuild(&chunk.document_id, source(&receipt), &Operator::Shell)
            .await;
        assert_eq!(rebuilt.expect("the ledger works"), Rebuilt::Rebuilt);
    };
    let sweeping = async {
        held.reached().await;
        pipeline.sweep().await;
        let markers = pipeline.store.list("open/", None, 10).await;
        assert_eq!(markers.expect("the store works").len(), 1);
        held.release();
    };
    tokio::join!(rebuilding, sweeping);
    for _ in 0..2 {
        pipeline.sweep().await;
    }
    let state = pipeline.state(&chunk.document_id).await;
    assert!(state.is_settled(), "{state:?}");
    let markers = pipeline.store.list("open/", None, 10).await;
    assert!(markers.expect("the store works").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_entry_knows_that_its_copy_is_in_the_backup_vault() {
    let (pipeline, chunk, mut receipt) = without_entry().await;
    receipt["receipt"]["vault"] = "backup".into();
    let ledger = pipeline.driver.ledger();
    let rebuilt = ledger
        .rebuild(&chunk.document_id, source(&receipt), &Operator::Shell)
        .await;
    assert_eq!(rebuilt.expect("the ledger works"), Rebuilt::Rebuilt);
    let found = ledger.find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(entry.uses_backup);
    assert!(matches!(entry.state, ChunkState::Exported { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_another_process_writes_meanwhile_is_not_replaced_and_not_called_readable() {
    let (pipeline, chunk, receipt) = without_entry().await;
    let unreadable = pipeline
        .store
        .put("chunks/a.json", "{".into(), Precondition::Absent);
    unreadable.await.expect("the store works");
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let ledger = ChunkLedger::new(held.clone(), pipeline.clock.clone(), RETENTION, CLAIM_TTL);
    let rebuilding = async {
        let rebuilt = ledger
            .rebuild(&chunk.document_id, source(&receipt), &Operator::Shell)
            .await;
        assert_eq!(rebuilt.expect("the ledger works"), Rebuilt::Changed);
    };
    let another = async {
        held.reached().await;
        let removed = pipeline.store.remove("chunks/a.json").await;
        removed.expect("the store works");
        pipeline.record(&chunk).await;
        held.release();
    };
    tokio::join!(rebuilding, another);
    let state = pipeline.state(&chunk.document_id).await;
    assert!(matches!(state, ChunkState::Pending), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_at_every_entry_names_those_that_are_not_readable() {
    let (pipeline, chunk, _) = without_entry().await;
    let unreadable = pipeline
        .store
        .put("chunks/a.json", "{".into(), Precondition::Absent);
    unreadable.await.expect("the store works");
    let entries = pipeline.driver.ledger().entries(|_| false).await;
    let unreadable = entries.expect("the store works").unreadable;
    assert_eq!(unreadable, std::slice::from_ref(&chunk.document_id));
    let retention = pipeline.retention(Duration::from_hours(1));
    let plan = retention.plan().await.expect("the store works");
    assert!(plan.copies.is_empty());
    assert_eq!(plan.unreadable, std::slice::from_ref(&chunk.document_id));
    let applied = retention
        .apply(&Operator::Shell)
        .await
        .expect("the store works");
    assert!(applied.removals.is_empty());
    assert_eq!(applied.unreadable, [chunk.document_id]);
}

const HOUR: Duration = Duration::from_hours(1);

fn receipt_of(pipeline: &Pipeline, id: &DocumentId) -> Value {
    let files = pipeline.vault.files();
    let is_it = |name: &str| name.contains("receipt") && name.contains(id.as_str());
    let receipt = files.iter().find(|(name, _)| is_it(name.as_str()));
    let (_, receipt) = receipt.unwrap_or_else(|| panic!("{:?}", files.keys()));
    serde_json::from_slice(receipt).expect("it is JSON")
}

/// Damages the entry of a chunk, and rebuilds it from its receipt.
async fn damage_and_rebuild(pipeline: &Pipeline, id: &DocumentId) {
    let key = format!("chunks/{id}.json");
    let found = pipeline.store.find(&key).await.expect("the store works");
    let version = found.expect("there is an entry").version;
    let unchanged = Precondition::Unchanged(version);
    let damaged = pipeline.store.put(&key, "{".into(), unchanged).await;
    assert!(damaged.expect("the store works").is_written());
    let receipt = receipt_of(pipeline, id);
    let rebuilt = pipeline
        .driver
        .ledger()
        .rebuild(id, source(&receipt), &Operator::Shell)
        .await;
    assert_eq!(rebuilt.expect("the ledger works"), Rebuilt::Rebuilt);
}

/// Later events of a chunk: a longer form of its file, and another place of it.
fn further_events() -> [RecordingChunk; 2] {
    let first = chunk("a", 0);
    [
        RecordingChunk {
            duration_ms: Some(2000),
            ..first.clone()
        },
        RecordingChunk {
            locations: chunk("elsewhere", 0).locations,
            ..first
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn a_source_of_which_events_announced_more_is_not_deleted_after_a_rebuild() {
    for more in further_events() {
        let pipeline = Pipeline::with_delete_delay(HOUR);
        let first = RecordingChunk {
            duration_ms: Some(1000),
            ..chunk("a", 0)
        };
        let id = &first.document_id;
        pipeline.source.put(id, content(900, 1));
        pipeline.record(&first).await;
        pipeline.drive(id).await;
        pipeline.record(&more).await;
        damage_and_rebuild(&pipeline, id).await;
        for _ in 0..2 {
            pipeline.clock.advance(2 * HOUR);
            pipeline.sweep().await;
        }
        assert!(pipeline.source.model().deleted.is_empty(), "{more:?}");
        let state = pipeline.state(id).await;
        assert!(
            matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("its entry was rebuilt")),
            "{state:?}"
        );

        // The event comes again: what it announces is exported, and nothing is deleted.
        pipeline.source.put_at(&more, content(1900, 2));
        pipeline.record(&more).await;
        pipeline.sweep().await;
        let entry = entry(&pipeline, id).await;
        assert_eq!(entry.copies().count(), 2, "{entry:?}");
        assert!(pipeline.source.model().deleted.is_empty(), "{more:?}");
    }
}

async fn entry(pipeline: &Pipeline, id: &DocumentId) -> recording_vault::export::LedgerEntry {
    let found = pipeline.driver.ledger().find(id).await;
    let found = found.expect("the ledger works");
    found.expect("the chunk is in the ledger").entry
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_entry_is_doubtful_until_it_is_accepted_and_its_source_stays() {
    let pipeline = Pipeline::with_delete_delay(HOUR);
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    pipeline.source.put(id, content(900, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    damage_and_rebuild(&pipeline, id).await;
    let assessment = of_chunk(&entry(&pipeline, id).await, pipeline.clock.now());
    assert_eq!(assessment.standing, Standing::Doubtful, "{assessment:?}");
    assert_eq!(assessment.next_step, OperatorStep::Accept);
    let ledger = pipeline.driver.ledger();
    let accepted = ledger.accept(id, &Operator::Shell).await;
    let accepted = accepted.expect("the ledger works");
    assert!(
        matches!(accepted, Accepted::Accepted(AcceptedSource::Left)),
        "{accepted:?}"
    );
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
    let entry = entry(&pipeline, id).await;
    assert_eq!(
        of_chunk(&entry, entry.surely_gone_at).standing,
        Standing::Verified
    );
}

#[tokio::test(start_paused = true)]
async fn another_chunks_location_does_not_delete_the_source_of_a_rebuilt_entry() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let other = chunk("other", 1);
    let mut one = chunk("one", 0);
    one.locations.delete.clone_from(&other.locations.delete);
    pipeline.source.put(&other.document_id, content(100, 1));
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&other).await;
    pipeline.source.model().delete_faults = [Fault::Transient].into();
    pipeline.drive(&other.document_id).await;
    damage_and_rebuild(&pipeline, &other.document_id).await;
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    assert!(pipeline.source.model().deleted.is_empty());
}

/// A chunk whose event was recorded two hours ago, and whose entry is not readable. It was never exported.
async fn unreadable_and_pending() -> (Pipeline, RecordingChunk) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    spoil_entry(&pipeline, &chunk.document_id).await;
    pipeline.clock.advance(2 * HOUR);
    (pipeline, chunk)
}

async fn spoil_entry(pipeline: &Pipeline, id: &DocumentId) {
    let key = format!("chunks/{id}.json");
    let found = pipeline.store.find(&key).await.expect("the store works");
    let version = found.expect("there is an entry").version;
    let unchanged = Precondition::Unchanged(version);
    let spoiled = pipeline.store.put(&key, "{".into(), unchanged).await;
    assert!(spoiled.expect("the store works").is_written());
}

async fn set_aside(ledger: &ChunkLedger, id: &DocumentId) -> SetAside {
    let before = BeforeSetAside::default();
    let set_aside = ledger.set_aside(id, before, &Operator::Shell).await;
    set_aside.expect("the ledger works")
}

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_unreadable_entry_was_set_aside_is_recorded_again_and_keeps_its_source() {
    let (pipeline, chunk) = unreadable_and_pending().await;
    let (ledger, id) = (pipeline.driver.ledger(), &chunk.document_id);
    for _ in 0..2 {
        assert_eq!(set_aside(ledger, id).await, SetAside::Done);
    }
    let kept = pipeline.store.list("corrupt/", None, 10).await;
    assert_eq!(kept.expect("the store works").len(), 1);

    // Until its event comes again, it is not readable, and its marker stays.
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let unreadable = ledger.unreadable().await.expect("the store works");
    assert_eq!(unreadable, std::slice::from_ref(id));
    let markers = pipeline.store.list("open/", None, 10).await;
    assert_eq!(markers.expect("the store works").len(), 1);

    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    assert!(pipeline.has(&chunk, &content(100, 1)));
    assert!(pipeline.source.model().deleted.is_empty());
    let assessment = of_chunk(&entry(&pipeline, id).await, pipeline.clock.now());
    assert_eq!(assessment.standing, Standing::Doubtful, "{assessment:?}");
    assert_eq!(set_aside(ledger, id).await, SetAside::Readable);
}

#[tokio::test(start_paused = true)]
async fn an_import_records_a_chunk_again_whose_unreadable_entry_was_set_aside() {
    let (pipeline, chunk) = unreadable_and_pending().await;
    let (ledger, id) = (pipeline.driver.ledger(), &chunk.document_id);
    assert!(
        ledger
            .record_for_import(chunk.clone(), &Operator::Shell)
            .await
            .is_err()
    );
    assert_eq!(set_aside(ledger, id).await, SetAside::Done);
    let recorded = ledger
        .record_for_import(chunk.clone(), &Operator::Shell)
        .await;
    recorded.expect("the ledger works");
    assert!(entry(&pipeline, id).await.recorded_for_import);
}

#[tokio::test(start_paused = true)]
async fn an_event_leaves_an_unreadable_entry_that_was_not_set_aside() {
    let (pipeline, chunk) = unreadable_and_pending().await;
    let recorded = pipeline.driver.ledger().record(chunk).await;
    assert!(recorded.is_err(), "{recorded:?}");
    let found = pipeline.store.find("chunks/a.json").await;
    let found = found.expect("the store works").expect("it is there");
    assert_eq!(&found.content[..], b"{");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_another_process_writes_meanwhile_is_not_set_aside() {
    let (pipeline, chunk) = unreadable_and_pending().await;
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let ledger = ChunkLedger::new(held.clone(), pipeline.clock.clone(), RETENTION, CLAIM_TTL);
    let setting_aside = async {
        let outcome = set_aside(&ledger, &chunk.document_id).await;
        assert_eq!(outcome, SetAside::Changed);
    };
    let another = async {
        held.reached().await;
        let removed = pipeline.store.remove("chunks/a.json").await;
        removed.expect("the store works");
        let ledger = pipeline.driver.ledger();
        let outcome = set_aside(ledger, &chunk.document_id).await;
        assert_eq!(outcome, SetAside::NoEntry);
        pipeline.record(&chunk).await;
        held.release();
    };
    tokio::join!(setting_aside, another);
    let state = pipeline.state(&chunk.document_id).await;
    assert!(matches!(state, ChunkState::Pending), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_a_copy_in_doubt_says_that_nothing_is_exported_again() {
    let (pipeline, chunk, receipt) = without_entry().await;
    let (ledger, id) = (pipeline.driver.ledger(), &chunk.document_id);
    let rebuilt = ledger.rebuild(id, source(&receipt), &Operator::Shell).await;
    assert_eq!(rebuilt.expect("the ledger works"), Rebuilt::Rebuilt);
    let retried = ledger.retry(id, &Operator::Shell).await;
    assert_eq!(retried.expect("the ledger works"), Retried::Doubtful);
}
