//! `ledger rebuild`: an entry that is lost or not readable is written again from the receipt beside its copy.

use std::time::Duration;

use recording_vault::export::ledger::Rebuilt;
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::{ChunkLedger, ChunkState};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::{DocumentStore, Precondition};
use serde_json::Value;

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

fn kept(receipt: &Value) -> KeptReceipt {
    serde_json::from_value(receipt.clone()).expect("it is a receipt")
}

#[tokio::test(start_paused = true)]
async fn a_sweep_before_a_rebuilt_entry_is_written_leaves_a_marker_that_leads_to_it() {
    let (pipeline, chunk, receipt) = without_entry().await;
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 0);
    let ledger = ChunkLedger::new(held.clone(), pipeline.clock.clone(), RETENTION, CLAIM_TTL);
    let rebuilding = async {
        let rebuilt = ledger.rebuild(&chunk.document_id, kept(&receipt)).await;
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
    let rebuilt = ledger.rebuild(&chunk.document_id, kept(&receipt)).await;
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
        let rebuilt = ledger.rebuild(&chunk.document_id, kept(&receipt)).await;
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
