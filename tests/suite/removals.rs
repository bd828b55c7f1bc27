//! The one way by which files leave a vault: another process, a hold, or a late request may come between any two steps.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::Timestamp;
use recording_vault::clock::Clock as _;
use recording_vault::export::block::BlockChain;
use recording_vault::export::destination::{BlobProperties, ExportDestination as _, StageOutcome};
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::ledger::ChunkLedger;
use recording_vault::export::recheck::Depth;
use recording_vault::export::removal::{Ground, MissingCopies, Removal, Removals};
use recording_vault::export::{ChunkState, ExportSweep, LedgerEntry, Vaults};
use recording_vault::recording::{Acknowledgement, DocumentId, RecordingChunk};
use recording_vault::standing::{Standing, of_chunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Case, Held};
use recording_vault::vault::memory::MemoryVault;

use crate::support::chunk;
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};

const YEAR: Duration = Duration::from_hours(8760);
pub const REQUEST: Ground<'static> = Ground::Request {
    reason: "request 17",
};

fn case() -> Case {
    Case {
        tag: "A-1".parse().expect("it is a tag"),
        by: None,
        requested_by: None,
        note: None,
        since: Timestamp::UNIX_EPOCH,
    }
}

async fn hold(durable: &Durable, chunk: &RecordingChunk) {
    let held = Held::RecordingId(chunk.filed_under());
    let holds = durable.holds(&Plan::calm());
    holds.add(&held, &case()).await.expect("the ledger works");
}

async fn entry(durable: &Durable, id: &DocumentId) -> LedgerEntry {
    let found = durable.ledger().find(id).await.expect("the ledger works");
    found.expect("it is there").entry
}

async fn is_proved(durable: &Durable, state: &ChunkState) -> bool {
    let receipt = state.receipt().expect("it has a copy");
    let vaults = Vaults::new(durable.vault.clone(), None);
    vaults.recheck(receipt, Depth::Described).await.is_same()
}

/// One chunk in the vault, for more than a year.
async fn in_the_vault() -> (Durable, RecordingChunk) {
    let chunk = chunk("old", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&chunk),
    )
    .await;
    durable.clock.advance(YEAR);
    (durable, chunk)
}

/// A first removal stands still at a call, past its claim; a hold is added, and a second one comes; then the first goes on.
/// Whether it got as far as that call.
async fn frozen_at(number: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let (durable, chunk) = in_the_vault().await;
    let id = &chunk.document_id;
    let plan = Plan::at(number, fault);
    let first = durable.retention(&plan, YEAR);
    let mut applying = pin!(first.apply(&Operator::Shell));
    let is_frozen = tokio::select! {
        _ = &mut applying => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    durable.clock.advance(2 * CLAIM_TTL);
    hold(&durable, &chunk).await;
    let seen_by_hold = entry(&durable, id).await.state;
    let second = durable.retention(&Plan::calm(), YEAR);
    second
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    let given_back = entry(&durable, id).await.state;
    plan.thaw();
    let _ = applying.await;

    let last = entry(&durable, id).await.state;
    for state in [&seen_by_hold, &given_back] {
        if state.receipt().is_some() {
            assert!(durable.is_whole(id), "{state:?} was said of it; {what}");
        }
    }
    if last.receipt().is_some() {
        assert!(is_proved(&durable, &last).await, "{last:?}; {what}");
    }
    // And whoever comes next is not misled either.
    durable.clock.advance(2 * CLAIM_TTL);
    second
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    let last = entry(&durable, id).await.state;
    assert_eq!(
        last.receipt().is_some(),
        durable.is_whole(id),
        "{last:?}; {what}"
    );
    true
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_frozen_while_another_gave_the_chunk_back_removes_nothing() {
    for fault in [Fault::FreezeBefore, Fault::FreezeAfter] {
        let mut number = 0;
        while frozen_at(number, fault).await {
            number += 1;
        }
        assert!(number > 15, "{number} calls: is it the whole removal?");
    }
}

/// A removal stands still at a call, past its claim, and no other process comes. Whether it got as far as that call.
async fn alone_and_frozen_at(number: usize, fault: Fault) -> bool {
    let (durable, chunk) = in_the_vault().await;
    let plan = Plan::at(number, fault);
    let retention = durable.retention(&plan, YEAR);
    let mut removing = pin!(retention.remove(&chunk.document_id));
    let is_frozen = tokio::select! {
        _ = &mut removing => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    durable.clock.advance(2 * CLAIM_TTL);
    tokio::time::advance(2 * CLAIM_TTL).await;
    plan.thaw();
    let removal = removing.await;
    assert_eq!(removal, Removal::Removed, "{fault:?} at call {number}");
    let last = entry(&durable, &chunk.document_id).await.state;
    assert!(matches!(last, ChunkState::Removed { .. }), "{last:?}");
    assert!(durable.vault.files().is_empty());
    true
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_was_frozen_past_its_claim_finishes_what_it_began() {
    for fault in [Fault::FreezeBefore, Fault::FreezeAfter] {
        let mut number = 0;
        while alone_and_frozen_at(number, fault).await {
            number += 1;
        }
        assert!(number > 12, "{number} calls: is it the whole removal?");
    }
}

/// A chunk that ACS dropped before it was in the vault, and of which the metadata had arrived there.
async fn lost_with_remnants() -> (Durable, RecordingChunk, BlobName) {
    let chunk = chunk("lost", 0);
    let durable = Durable::new(&[]);
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, std::slice::from_ref(&chunk)).await;
    durable.clock.advance(RETENTION + Duration::from_hours(1));
    let sweep = ExportSweep::new(Arc::clone(&driver));
    for _ in 0..60 {
        sweep.run(budget()).await.expect("the ledger works");
        durable.clock.advance(Duration::from_mins(20));
    }
    let entry = entry(&durable, &chunk.document_id).await;
    let has_ended = matches!(
        entry.state,
        ChunkState::Expired { .. } | ChunkState::DeadLettered { .. }
    );
    assert!(has_ended, "{:?}", entry.state);
    let name = layout::metadata(&entry.folder, &chunk);
    put(&durable, &name).await;
    (durable, chunk, name)
}

async fn put(durable: &Durable, name: &BlobName) {
    put_into(&durable.vault, name).await;
}

async fn put_into(vault: &MemoryVault, name: &BlobName) {
    let properties = BlobProperties {
        content_type: "application/json",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let put = vault.put(name, Bytes::from_static(b"{}"), &properties);
    put.await.expect("the vault works");
}

#[tokio::test(start_paused = true)]
async fn what_a_given_up_chunk_left_is_removed_the_same_way_and_recorded() {
    let (durable, chunk, _) = Box::pin(lost_with_remnants()).await;
    let removals = durable.removals(&Plan::calm());
    let removal = removals.remove(REQUEST, &chunk.document_id).await;
    assert_eq!(removal, Removal::Removed);
    assert!(durable.vault.files().is_empty());
    let state = entry(&durable, &chunk.document_id).await.state;
    assert!(
        matches!(&state, ChunkState::Removed { receipt: None, reason, .. } if reason.contains("request 17")),
        "{state:?}"
    );
    // It is final: the event that comes again does not open it.
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&chunk),
    )
    .await;
    assert_eq!(entry(&durable, &chunk.document_id).await.state, state);
}

/// A removal of a lost chunk whose loss an operator acknowledged, killed at a call. Whether it got as far as that call.
async fn acknowledged_and_killed_at(number: usize) -> bool {
    let what = format!("killed at call {number}");
    let (durable, chunk, _) = Box::pin(lost_with_remnants()).await;
    let id = &chunk.document_id;
    let why = Acknowledgement {
        at: durable.clock.now(),
        by: None,
        reason: "a test call".to_owned(),
    };
    let ledger = durable.ledger();
    let acknowledged = ledger.acknowledge(id, &why, &Operator::Shell);
    acknowledged.await.expect("the ledger works");
    let plan = Plan::at(number, Fault::KillBefore);
    let removals = durable.removals(&plan);
    tokio::select! {
        _ = removals.remove(REQUEST, id) => {}
        () = plan.killed() => {}
    }
    durable.clock.advance(CLAIM_TTL);
    let entry = entry(&durable, id).await;
    let standing = of_chunk(&entry, durable.clock.now()).standing;
    let expected = if matches!(entry.state, ChunkState::Removing { .. }) {
        Standing::Unknown
    } else if matches!(entry.state, ChunkState::Removed { .. }) {
        Standing::Removed
    } else {
        Standing::Acknowledged
    };
    assert_eq!(standing, expected, "{:?}; {what}", entry.state);
    plan.calls() > number
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_loss_covers_no_deletion_that_came_later_and_was_not_finished() {
    let mut number = 0;
    while Box::pin(acknowledged_and_killed_at(number)).await {
        number += 1;
    }
    assert!(number > 10, "{number} calls: is it the whole removal?");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_meets_the_removal_of_a_given_up_chunk_keeps_what_there_is_or_sees_the_intent()
{
    for fault in [Fault::FreezeBefore, Fault::FreezeAfter] {
        let mut number = 0;
        loop {
            let what = format!("{fault:?} at call {number}");
            let (durable, chunk, _) = Box::pin(lost_with_remnants()).await;
            let plan = Plan::at(number, fault);
            let removals = durable.removals(&plan);
            let mut removing = pin!(removals.remove(REQUEST, &chunk.document_id));
            let is_frozen = tokio::select! {
                _ = &mut removing => false,
                () = plan.frozen() => true,
            };
            if !is_frozen {
                break;
            }
            hold(&durable, &chunk).await;
            let seen = entry(&durable, &chunk.document_id).await.state;
            plan.thaw();
            removing.await;
            let says_gone = matches!(
                seen,
                ChunkState::Removing { .. } | ChunkState::Removed { .. }
            );
            assert!(
                says_gone || durable.vault.files().len() == 1,
                "{seen:?}; {what}"
            );
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole removal?");
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_in_the_vault_after_a_removal_is_found_and_removed() {
    let (durable, chunk) = in_the_vault().await;
    let removals = durable.removals(&Plan::calm());
    let removal = removals.remove(REQUEST, &chunk.document_id).await;
    assert_eq!(removal, Removal::Removed);
    let entry = entry(&durable, &chunk.document_id).await;
    let late = layout::metadata(&entry.folder, &chunk);
    put(&durable, &late).await;
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    sweep.run(budget()).await.expect("the ledger works");
    assert!(
        durable.vault.files().contains_key(&late),
        "requests may still be on their way"
    );
    durable.clock.advance(Duration::from_mins(20));
    hold(&durable, &chunk).await;
    sweep.run(budget()).await.expect("the ledger works");
    assert!(durable.vault.files().contains_key(&late), "it is held");
    let held = Held::RecordingId(chunk.filed_under());
    let holds = durable.holds(&Plan::calm());
    holds
        .release(&held, &case().tag, || {
            futures::future::ready(Ok(())).boxed()
        })
        .await
        .expect("the ledger works");
    sweep.run(budget()).await.expect("the ledger works");
    assert!(durable.vault.files().is_empty());
}

/// One chunk that came home from the backup vault, deleted at ACS, and a file of it that came to the backup vault late.
async fn late_in_the_backup_vault() -> (Durable, RecordingChunk) {
    let chunk = chunk("late", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    durable.vault.set_unavailable(true);
    let driver = durable.instance(&Plan::calm());
    for _ in 0..2 {
        deliver(&driver, std::slice::from_ref(&chunk)).await;
        durable.clock.advance(Duration::from_mins(1));
    }
    durable.vault.set_unavailable(false);
    let sweep = ExportSweep::new(driver);
    sweep.run(budget()).await.expect("the ledger works");
    assert!(durable.backup.files().is_empty());
    let entry = entry(&durable, &chunk.document_id).await;
    assert!(
        matches!(entry.state, ChunkState::SourceDeleted { .. }),
        "{:?}",
        entry.state
    );
    let receipt = entry.state.receipt().expect("it is in the vault");
    put_into(&durable.backup, receipt.media().name()).await;
    durable.clock.advance(Duration::from_mins(20));
    (durable, chunk)
}

#[tokio::test(start_paused = true)]
async fn what_came_late_to_the_backup_vault_is_removed_only_while_the_copy_at_home_is_there() {
    for is_at_home in [true, false] {
        let (durable, _chunk) = Box::pin(late_in_the_backup_vault()).await;
        if !is_at_home {
            durable.vault.lose_everything();
        }
        let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
        sweep.run(budget()).await.expect("the ledger works");
        assert_eq!(
            durable.backup.files().is_empty(),
            is_at_home,
            "it may be the only copy"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn blocks_that_are_staged_after_a_removal_are_discarded() {
    let (durable, chunk) = in_the_vault().await;
    let removals = durable.removals(&Plan::calm());
    let removal = removals.remove(REQUEST, &chunk.document_id).await;
    assert_eq!(removal, Removal::Removed);
    let state = entry(&durable, &chunk.document_id).await.state;
    let ChunkState::Removed {
        receipt: Some(receipt),
        ..
    } = state
    else {
        panic!("{state:?}");
    };
    let name = receipt.media().name();
    let content = Bytes::from_static(b"late");
    let (_, block) = BlockChain::start(content.len() as u64).hash_next(content);
    let staged = durable.vault.stage(name, block).await;
    assert_eq!(staged.expect("the vault works"), StageOutcome::Staged);
    durable.clock.advance(Duration::from_mins(20));
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    sweep.run(budget()).await.expect("the ledger works");
    let staged = durable.vault.staged_blocks(name).await;
    assert!(staged.expect("the vault works").is_empty());
}

#[tokio::test(start_paused = true)]
async fn places_that_cannot_be_cleared_yet_do_not_hide_those_behind_them() {
    let (durable, chunk) = in_the_vault().await;
    let removals = durable.removals(&Plan::calm());
    removals.remove(REQUEST, &chunk.document_id).await;
    let entry = entry(&durable, &chunk.document_id).await;
    put(&durable, &layout::metadata(&entry.folder, &chunk)).await;
    durable.clock.advance(Duration::from_mins(20));
    let store = durable.store();
    for number in 0..250 {
        // Not driven, because it has no marker, and not to be cleared, because it is not exported.
        let waiting = crate::support::chunk(&format!("waiting{number}"), 0);
        let recorded = durable.ledger().record(waiting.clone()).await;
        recorded.expect("the ledger works");
        let key = format!("cleared/00000000001-{}", waiting.document_id);
        let marked = store.put(&key, Bytes::new(), Precondition::Absent).await;
        marked.expect("the store works");
    }
    for key in store
        .list("open/", None, 300)
        .await
        .expect("the store works")
    {
        store.remove(&key).await.expect("the store works");
    }
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    for _ in 0..2 {
        sweep.run(budget()).await.expect("the ledger works");
    }
    assert!(durable.vault.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_look_that_fails_does_not_spoil_the_report_of_the_sweep() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let mut number = 0;
        loop {
            let (durable, _chunk) = Box::pin(late_in_the_backup_vault()).await;
            let plan = Plan::at(number, fault);
            let swept = ExportSweep::new(durable.instance(&plan))
                .run(budget())
                .await;
            if let Err(error) = swept {
                let text = error.to_string();
                // These lists are the sweep's own work; the late look is not.
                let is_of_the_sweep = text.contains("open/") || text.contains("doomed/");
                assert!(is_of_the_sweep, "{text}; {fault:?} at call {number}");
            }
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole look?");
    }
}

#[tokio::test]
async fn a_copy_that_was_given_back_is_proved_by_its_receipt() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline
        .source
        .put(&chunk.document_id, crate::support::content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.sweep().await;
    pipeline.clock.advance(YEAR);
    pipeline.vault.refuse_removals(true);
    let removals = pipeline.retention(YEAR).apply(&Operator::Shell).await;
    let removals = removals.expect("the ledger works").removals;
    assert!(
        matches!(removals[0].1, Removal::Failed { is_whole: true, .. }),
        "{removals:?}"
    );
    let state = pipeline.state(&chunk.document_id).await;
    let receipt = state.receipt().expect("it is a copy again");
    assert!(
        pipeline
            .driver
            .vaults()
            .recheck(receipt, Depth::Described)
            .await
            .is_same()
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_vault_does_not_have_is_not_said_to_be_removed() {
    let (durable, chunk) = in_the_vault().await;
    let id = &chunk.document_id;
    durable.vault.lose_everything();
    let removals = durable.removals(&Plan::calm());
    let removal = removals.remove(REQUEST, id).await;
    let Removal::NotBegun { reason } = &removal else {
        panic!("{removal:?}");
    };
    assert!(reason.contains("check VAULT_URL"), "{reason}");
    let state = entry(&durable, id).await.state;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );

    let removals = removals.with_missing(MissingCopies::Removed);
    assert_eq!(removals.remove(REQUEST, id).await, Removal::Removed);
    let state = entry(&durable, id).await.state;
    let ChunkState::Removed { reason, .. } = &state else {
        panic!("{state:?}");
    };
    assert!(reason.contains("the vault did not have"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_an_event_adds_during_a_removal_is_looked_up_among_the_holds() {
    let unnamed = RecordingChunk {
        recording_id: None,
        call_id: None,
        ..chunk("old", 0)
    };
    let pipeline = Pipeline::new();
    let id = &unnamed.document_id;
    pipeline.source.put(id, vec![1; 100]);
    pipeline.record(&unnamed).await;
    pipeline.drive(id).await;
    pipeline.clock.advance(YEAR);
    let named = chunk("old", 0);
    let held = Held::RecordingId(named.filed_under());
    let holds = pipeline.driver.ledger().holds();
    holds.add(&held, &case()).await.expect("the ledger works");
    // Before the intent, and before the removal of the files.
    let store = HeldStore::holding(&pipeline.store, Kind::List, "holds/", 2);
    let ledger = ChunkLedger::new(store.clone(), pipeline.clock.clone(), RETENTION, CLAIM_TTL);
    let vaults = Vaults::new(pipeline.vault.clone(), None);
    let removals = Removals::new(ledger, vaults, pipeline.clock.clone());
    let mut removing = pin!(removals.remove(REQUEST, id));
    tokio::select! {
        removal = &mut removing => panic!("it does not get that far: {removal:?}"),
        () = store.reached() => {}
    }
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::Removing { .. }), "{state:?}");
    pipeline.record(&named).await;
    store.release();
    let removal = removing.await;
    assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
    let state = pipeline.state(id).await;
    assert!(state.receipt().is_some(), "{state:?}");
}
