//! Kept events that name an erased person are gone, whatever another process does with them during the erasure.

use std::pin::pin;
use std::sync::Arc;

use recording_vault::export::ChunkLedger;
use recording_vault::export::ledger::{LedgerError, WhyKept, digest_of};
use recording_vault::recording::Acknowledgement;
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use serde_json::{Value, json};

use crate::support::fake_source::PARTICIPANT;
use crate::support::pipeline::RETENTION;
use crate::support::simulation::{Durable, Fault, Plan};

const WHY: &str = "it is only a test";
const FREEZES: [Fault; 2] = [Fault::FreezeBefore, Fault::FreezeAfter];

fn event() -> Value {
    json!({"data": {"rawId": PARTICIPANT}})
}

fn sha256() -> String {
    digest_of(&event()).to_string()
}

/// An unreadable event that names the person, as is the reason that it was kept for.
async fn with_poison() -> Durable {
    let durable = Durable::new(&[]);
    let reason = format!("unknown member {PARTICIPANT}");
    let kept = durable.ledger().keep_poison(&event(), &reason).await;
    kept.expect("there is room");
    durable.clock.advance(2 * RETENTION);
    durable
}

fn ledger(durable: &Durable, plan: &Arc<Plan>) -> ChunkLedger {
    durable.instance(plan).ledger().clone()
}

async fn erase(ledger: &ChunkLedger) {
    let names = [PARTICIPANT.to_owned()];
    let erasing = ledger.erase_kept_events(&names, &[]);
    erasing.await.expect("the ledger works");
}

/// Keys of documents that name the person.
async fn naming(durable: &Durable) -> Vec<String> {
    let documents = durable.documents().await.into_iter();
    let naming = documents.filter(|(_, content)| content.contains(PARTICIPANT));
    naming.map(|(key, _)| key).collect()
}

async fn texts(durable: &Durable) -> usize {
    let listing = durable.store().list("audit-texts/", None, 100).await;
    let keys = listing.expect("the store works");
    let is_text = |key: &&String| !key.starts_with("audit-texts/erased/");
    keys.iter().filter(is_text).count()
}

async fn dismiss(ledger: &ChunkLedger) -> Result<(), LedgerError> {
    let why = Acknowledgement {
        at: "2026-03-02T10:03:00Z".parse().expect("it is a time"),
        by: None,
        reason: WHY.to_owned(),
    };
    let sha256 = sha256();
    let dismissing = ledger.dismiss_poison(&sha256, &why, &Operator::Shell);
    dismissing.await.map(drop)
}

/// A move stands still at a call while the person is erased, and continues. Returns whether it got as far as that call.
async fn meets_an_erasure<F>(durable: &Durable, number: usize, fault: Fault, work: F) -> bool
where
    F: AsyncFnOnce(&ChunkLedger) -> Result<(), LedgerError>,
{
    let plan = Plan::at(number, fault);
    let moving = ledger(durable, &plan);
    let mut working = pin!(work(&moving));
    let is_frozen = tokio::select! {
        _ = &mut working => false,
        () = plan.frozen() => true,
    };
    if is_frozen {
        erase(&durable.ledger()).await;
        plan.thaw();
        working.await.expect("the ledger works");
    }
    is_frozen
}

#[tokio::test(start_paused = true)]
async fn a_dismissal_during_an_erasure_keeps_nothing_of_the_event_and_no_text() {
    for fault in FREEZES {
        let mut number = 0;
        loop {
            let durable = with_poison().await;
            if !Box::pin(meets_an_erasure(&durable, number, fault, dismiss)).await {
                break;
            }
            let what = format!("{fault:?} at call {number}");
            let naming = naming(&durable).await;
            assert!(naming.is_empty(), "{what}: {naming:?}");
            // Who dismisses an event that was erased before says why for that one.
            if (number, fault) != (0, Fault::FreezeBefore) {
                assert_eq!(texts(&durable).await, 0, "{what}");
            }
            number += 1;
        }
        assert!(number > 5, "{number} calls: is it the whole dismissal?");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dismissal_that_ended_during_an_erasure_is_finished_by_its_repeat() {
    let mut number = 0;
    loop {
        let durable = with_poison().await;
        let plan = Plan::at(number, Fault::KillAfter);
        let killed = ledger(&durable, &plan);
        let is_killed = tokio::select! {
            _ = dismiss(&killed) => false,
            () = plan.killed() => true,
        };
        if !is_killed {
            break;
        }
        // As an erasure leaves it that searched the dismissed events before that process stored its event there.
        let dismissed = format!("dismissed/{}.json", sha256());
        let store = durable.store();
        let stored = store.find(&dismissed).await.expect("the store works");
        erase(&durable.ledger()).await;
        if let Some(stored) = stored {
            let put = store.put(&dismissed, stored.content, Precondition::Absent);
            put.await.expect("the store works");
        }
        dismiss(&durable.ledger()).await.expect("the ledger works");
        let naming = naming(&durable).await;
        assert!(naming.is_empty(), "call {number}: {naming:?}");
        number += 1;
    }
    assert!(number > 5, "{number} calls: is it the whole dismissal?");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_content_is_dropped_during_an_erasure_leaves_no_note() {
    let drop_old = async |ledger: &ChunkLedger| {
        let dropping = ledger.drop_old_poison(RETENTION, None, 10);
        dropping.await.map(drop)
    };
    for fault in FREEZES {
        let mut number = 0;
        loop {
            let durable = with_poison().await;
            if !Box::pin(meets_an_erasure(&durable, number, fault, drop_old)).await {
                break;
            }
            let naming = naming(&durable).await;
            assert!(naming.is_empty(), "{fault:?} at call {number}: {naming:?}");
            number += 1;
        }
        assert!(number > 4, "{number} calls: is it the whole way?");
    }
}

/// An erasure stands still at a call while an event is moved, and continues. Returns whether it got as far as that call.
async fn erasure_meets<F>(durable: &Durable, number: usize, fault: Fault, work: F) -> bool
where
    F: AsyncFnOnce(&ChunkLedger) -> Result<(), LedgerError>,
{
    let plan = Plan::at(number, fault);
    let erasing = ledger(durable, &plan);
    let mut erasing = pin!(erase(&erasing));
    let is_frozen = tokio::select! {
        () = &mut erasing => false,
        () = plan.frozen() => true,
    };
    if is_frozen {
        work(&durable.ledger()).await.expect("the ledger works");
        plan.thaw();
        erasing.await;
    }
    is_frozen
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_moved_during_an_erasure_is_found_at_its_new_place() {
    let set_aside = async |ledger: &ChunkLedger| {
        if ledger.poison(&sha256()).await?.is_none() {
            return Ok(());
        }
        ledger.keep_event(&event(), WhyKept::SetAside, 0).await?;
        ledger.remove_poison(&sha256()).await
    };
    let give_up = async |ledger: &ChunkLedger| {
        let Some(kept) = ledger.begin_kept_event(digest_of(&event())).await? else {
            return Ok(());
        };
        ledger.keep_poison(&kept.event, "it is odd").await?;
        ledger.finish_kept_event(digest_of(&event())).await
    };
    for fault in FREEZES {
        let mut number = 0;
        loop {
            let poison = with_poison().await;
            let is_first = Box::pin(erasure_meets(&poison, number, fault, set_aside)).await;
            let kept = Durable::new(&[]);
            let keeping = kept.ledger();
            let keeping = keeping.keep_event(&event(), WhyKept::SetAside, 0).await;
            keeping.expect("the ledger works");
            let is_second = Box::pin(erasure_meets(&kept, number, fault, give_up)).await;
            for durable in [&poison, &kept] {
                let naming = naming(durable).await;
                assert!(naming.is_empty(), "{fault:?} at call {number}: {naming:?}");
            }
            if !is_first && !is_second {
                break;
            }
            number += 1;
        }
        assert!(number > 4, "{number} calls: is it the whole erasure?");
    }
}
