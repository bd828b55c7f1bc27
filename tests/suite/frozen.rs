//! A process that stands still, or is killed, at any call, while time goes on and others act: what it does when it wakes up.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::fence::Fence;
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::recheck::Depth;
use recording_vault::export::removal::Removal;
use recording_vault::export::{ChunkLedger, ChunkState, DriveOutcome, ExportSweep, Vaults};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::DocumentStore as _;
use recording_vault::store::holds::{Case, Held};

use crate::support::fake_source::Fault as SourceFault;
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver, planned};
use crate::support::{chunk, content};

const YEAR: Duration = Duration::from_hours(8760);
const FREEZES: [Fault; 2] = [Fault::FreezeBefore, Fault::FreezeAfter];

async fn hold(ledger: &ChunkLedger, chunk: &RecordingChunk) {
    let held = Held::RecordingId(chunk.filed_under());
    let case = Case {
        tag: "A-1".parse().expect("it is a tag"),
        by: None,
        requested_by: None,
        note: None,
        since: jiff::Timestamp::UNIX_EPOCH,
    };
    let added = ledger.holds().add(&held, &case).await;
    added.expect("the ledger works");
}

async fn state(durable: &Durable, chunk: &RecordingChunk) -> ChunkState {
    let found = durable.ledger().find(&chunk.document_id).await;
    let found = found.expect("the ledger works");
    found.expect("the chunk is in the ledger").entry.state
}

async fn is_proved(durable: &Durable, state: &ChunkState) -> bool {
    let receipt = state.receipt().expect("it has a copy");
    let vaults = Vaults::new(durable.vault.clone(), None);
    vaults.recheck(receipt, Depth::Described).await.is_same()
}

/// Both clocks go on, as in a process that was stopped.
async fn time_passes(durable: &Durable, by: Duration) {
    durable.clock.advance(by);
    tokio::time::advance(by).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_has_expired_when_either_clock_says_so() {
    for is_suspended in [true, false] {
        let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
        pipeline.record(&chunk).await;
        let ledger = pipeline.driver.ledger();
        let found = ledger.find(&chunk.document_id).await;
        let found = found.expect("the ledger works").expect("it is there");
        let claim = ledger.claim(&found).await.expect("the ledger works");
        let claim = claim.expect("nobody has it");
        assert!(ledger.has_time(&claim));
        if is_suspended {
            pipeline.clock.advance(CLAIM_TTL);
        } else {
            tokio::time::advance(CLAIM_TTL).await;
        }
        assert_eq!(claim.remaining(), Duration::ZERO, "{is_suspended}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_answered_too_late_lets_nothing_pass() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.record(&chunk).await;
    let ledger = pipeline.driver.ledger();
    let found = ledger.find(&chunk.document_id).await;
    let found = found.expect("the ledger works").expect("it is there");
    let claim = ledger.claim(&found).await.expect("the ledger works");
    let claim = claim.expect("nobody has it");
    tokio::time::advance(CLAIM_TTL * 3 / 4).await;
    let plan = Plan::at(0, Fault::FreezeAfter);
    let slow = ChunkLedger::new(
        planned(&pipeline.store, &plan),
        pipeline.clock.clone(),
        RETENTION,
        CLAIM_TTL,
    );
    let fence = Fence::new(&slow, &claim);
    let mut checking = pin!(fence.check());
    tokio::select! {
        checked = &mut checking => panic!("its answer is held: {checked:?}"),
        () = plan.frozen() => {}
    }
    tokio::time::advance(CLAIM_TTL).await;
    plan.thaw();
    let checked = checking.await;
    assert!(
        matches!(checked, Err(LedgerError::ClaimLost { .. })),
        "{checked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_passes_a_fence_after_the_claim_was_given_back() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.record(&chunk).await;
    let ledger = pipeline.driver.ledger();
    let found = ledger.find(&chunk.document_id).await;
    let found = found.expect("the ledger works").expect("it is there");
    let claim = ledger.claim(&found).await.expect("the ledger works");
    let claim = claim.expect("nobody has it");
    let release = recording_vault::export::ledger::AfterUpdate::Release;
    let released = ledger.update(&claim, release, |_| {}).await;
    released.expect("the ledger works");
    let fence = Fence::new(ledger, &claim);
    assert!(!fence.has_time());
    assert!(matches!(
        fence.check().await,
        Err(LedgerError::ClaimLost { .. })
    ));
}

/// A drive stands still at a call for longer than its request may act, and a hold is added. Whether it got as far.
async fn held_while_frozen(number: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let chunk = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    let calm = durable.ledger();
    calm.record(chunk.clone()).await.expect("the ledger works");
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let mut driving = pin!(driver.drive(&chunk.document_id, budget()));
    let is_frozen = tokio::select! {
        _ = &mut driving => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    time_passes(&durable, Duration::from_mins(20)).await;
    hold(&calm, &chunk).await;
    let deleted = durable.source.model().deleted.clone();
    plan.thaw();
    let _ = driving.await;
    assert_eq!(durable.source.model().deleted, deleted, "{what}");
    true
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_added_while_a_drive_is_frozen_keeps_the_source() {
    for fault in FREEZES {
        let mut number = 0;
        while Box::pin(held_while_frozen(number, fault)).await {
            number += 1;
        }
        assert!(number > 20, "{number} calls: is it the whole drive?");
    }
}

/// One chunk in the vault for a year, and the first request of its removal killed.
async fn removal_cut_off() -> (Durable, RecordingChunk) {
    let mut number = 0;
    loop {
        let chunk = chunk("old", 0);
        let durable = Durable::new(std::slice::from_ref(&chunk));
        let driver = durable.instance(&Plan::calm());
        deliver(&driver, std::slice::from_ref(&chunk)).await;
        durable.clock.advance(YEAR);
        let plan = Plan::at(number, Fault::KillBefore);
        let retention = durable.retention(&plan, YEAR);
        tokio::select! {
            _ = retention.apply(&Operator::Shell) => panic!("it was not killed"),
            () = plan.killed() => {}
        }
        durable.clock.advance(2 * CLAIM_TTL);
        if matches!(state(&durable, &chunk).await, ChunkState::Removing { .. }) {
            return (durable, chunk);
        }
        number += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_removes_a_copy_that_todays_policy_keeps_longer_than_the_one_of_its_removal() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        let mut number = 0;
        loop {
            let (durable, chunk) = removal_cut_off().await;
            let plan = Plan::at(number, fault);
            let retention = durable.retention(&plan, 3 * YEAR);
            let removal = retention.remove(&chunk.document_id).await;
            let what = format!("{removal:?}, {fault:?} at call {number}");
            assert_ne!(removal, Removal::Removed, "{what}");
            assert!(durable.is_whole(&chunk.document_id), "{what}");
            assert_eq!(durable.vault.files().len(), 3, "{what}");
            durable.clock.advance(2 * CLAIM_TTL);
            let calm = durable.retention(&Plan::calm(), 3 * YEAR);
            let again = calm.remove(&chunk.document_id).await;
            assert_eq!(again, Removal::NotDue, "{what}");
            assert!(is_proved(&durable, &state(&durable, &chunk).await).await);
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole removal?");
    }
}

/// A removal that took over from one that was cut off stands still; a third one gives the chunk back, held. Whether it got as far.
async fn taken_over_twice(number: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let (durable, chunk) = removal_cut_off().await;
    let plan = Plan::at(number, fault);
    let retention = durable.retention(&plan, YEAR);
    hold(&durable.ledger(), &chunk).await;
    let mut removing = pin!(retention.remove(&chunk.document_id));
    let is_frozen = tokio::select! {
        _ = &mut removing => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    time_passes(&durable, 2 * CLAIM_TTL).await;
    let third = durable.retention(&Plan::calm(), YEAR);
    let removal = third.remove(&chunk.document_id).await;
    assert!(
        matches!(removal, Removal::Held { is_whole: true, .. }),
        "{removal:?}; {what}"
    );
    plan.thaw();
    removing.await;
    let last = state(&durable, &chunk).await;
    assert!(is_proved(&durable, &last).await, "{last:?}; {what}");
    true
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_lost_its_claim_touches_nothing_that_another_gave_back() {
    for fault in FREEZES {
        let mut number = 0;
        while taken_over_twice(number, fault).await {
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole removal?");
    }
}

/// A chunk is given up, and its process killed at a call. Whether it got as far.
async fn killed_while_it_is_given_up(number: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let chunk = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    durable
        .source
        .with_faults([SourceFault::Refused, SourceFault::Refused]);
    let recorded = durable.ledger().record(chunk.clone()).await;
    recorded.expect("the ledger works");
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    tokio::select! {
        _ = driver.drive(&chunk.document_id, budget()) => {}
        () = plan.killed() => {}
    }
    durable
        .source
        .with_faults([SourceFault::Refused, SourceFault::Refused]);
    durable.clock.advance(2 * CLAIM_TTL);
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    sweep.run(budget()).await.expect("the ledger works");
    let found = durable.ledger().find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(
        entry.state.is_loss() && entry.reported_end,
        "{:?}; {what}",
        entry.state
    );
    let markers = durable.store().list("open/", None, 10).await;
    assert!(markers.expect("the store works").is_empty(), "{what}");
    plan.calls() > number
}

#[tokio::test(start_paused = true)]
async fn no_kill_hides_that_a_chunk_was_given_up() {
    for fault in [
        Fault::KillBefore,
        Fault::KillAfter,
        Fault::FailBefore,
        Fault::FailAfter,
    ] {
        let mut number = 0;
        while killed_while_it_is_given_up(number, fault).await {
            number += 1;
        }
        assert!(number > 8, "{number} calls: is it the whole drive?");
    }
}

/// The metadata is known after a first export without it, and the second export meets a fault. Whether it got as far.
async fn receipt_with_a_fault(number: usize, fault: Fault) -> bool {
    let chunk = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    let mut bare = chunk.clone();
    bare.locations.metadata = None;
    bare.locations.delete = None;
    deliver(&durable.instance(&Plan::calm()), &[bare]).await;
    let recorded = durable.ledger().record(chunk.clone()).await;
    recorded.expect("the ledger works");
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let _ = driver.drive(&chunk.document_id, budget()).await;
    if !durable.source.model().deleted.is_empty() {
        let files = durable.vault.files();
        let receipt = files.iter().find(|(name, content)| {
            name.as_str().ends_with(".json")
                && content.windows(11).any(|window| window == b"\"recordedAt")
        });
        let (_, receipt) = receipt.expect("there is a receipt");
        let receipt: serde_json::Value = serde_json::from_slice(receipt).expect("it is JSON");
        assert!(
            receipt["receipt"]["metadata"].is_object(),
            "{receipt}; {fault:?} at call {number}"
        );
    }
    plan.calls() > number
}

#[tokio::test(start_paused = true)]
async fn no_source_is_deleted_while_the_receipt_beside_its_copy_says_less() {
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::AnswerLost] {
        let mut number = 0;
        while receipt_with_a_fault(number, fault).await {
            number += 1;
        }
        assert!(number > 15, "{number} calls: is it the whole drive?");
    }
}

/// A deletion was sent, and its answer did not come.
async fn deletion_in_doubt(faults: &[SourceFault]) -> (Pipeline, RecordingChunk) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.source.model().delete_faults = faults.iter().cloned().collect();
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.clock.advance(Duration::from_mins(1));
    (pipeline, chunk)
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_deletion_without_an_answer_is_unknown_when_a_hold_ends_the_chunk() {
    let (pipeline, chunk) = deletion_in_doubt(&[SourceFault::Transient]).await;
    let ledger = pipeline.driver.ledger();
    hold(ledger, &chunk).await;
    for _ in 0..3 {
        pipeline.drive(&chunk.document_id).await;
        pipeline.clock.advance(Duration::from_hours(1));
    }
    pipeline.clock.advance(RETENTION);
    pipeline.drive(&chunk.document_id).await;
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("unknown")),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_left_keeps_the_intent_of_another_holder_that_may_still_act() {
    let faults = [SourceFault::Transient, SourceFault::Refused];
    let (pipeline, chunk) = deletion_in_doubt(&faults).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(
            outcome,
            DriveOutcome::Settled {
                state: ChunkState::SourceLeft { .. },
                ..
            }
        ),
        "{outcome:?}"
    );
    let found = pipeline.driver.ledger().find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let intent = entry.intent.expect("the first request may still arrive");
    assert!(intent.may_still_act(pipeline.clock.now()));
}

#[tokio::test(start_paused = true)]
async fn what_an_event_adds_while_a_chunk_is_removed_is_done_when_it_is_given_back() {
    let whole = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&whole));
    let mut bare = whole.clone();
    bare.locations.metadata = None;
    bare.locations.delete = None;
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, &[bare]).await;
    let hour = Duration::from_hours(1);
    durable.clock.advance(2 * hour);
    let mut number = 0;
    while !matches!(state(&durable, &whole).await, ChunkState::Removing { .. }) {
        let plan = Plan::at(number, Fault::KillBefore);
        let retention = durable.retention(&plan, hour);
        tokio::select! {
            _ = retention.apply(&Operator::Shell) => panic!("it was not killed"),
            () = plan.killed() => {}
        }
        durable.clock.advance(2 * CLAIM_TTL);
        number += 1;
    }
    let recorded = durable.ledger().record(whole.clone()).await;
    recorded.expect("the ledger works");
    hold(&durable.ledger(), &whole).await;
    let retention = durable.retention(&Plan::calm(), hour);
    let removal = retention.remove(&whole.document_id).await;
    assert!(
        matches!(removal, Removal::Held { is_whole: true, .. }),
        "{removal:?}"
    );
    ExportSweep::new(Arc::clone(&driver))
        .run(budget())
        .await
        .expect("the ledger works");
    let state = state(&durable, &whole).await;
    let receipt = state.receipt().expect("it is in the vault");
    assert!(
        receipt.metadata().is_some(),
        "its metadata is in the vault: {state:?}"
    );
}
