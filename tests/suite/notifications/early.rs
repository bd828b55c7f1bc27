//! Notices that are kept before their fact is written, and notices of a later time of the same chunk.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use recording_vault::clock::Clock as _;
use recording_vault::export::driver::import::{ErasureLookup, ErasureStatus, FilesToImport};
use recording_vault::export::{
    ChunkLedger, ChunkState, DeletionPolicy, ExportDriver, ExportPolicy, Sources, Vaults,
};
use recording_vault::notify::Notifier;
use recording_vault::recording::{DocumentId, RecordingChunk, RecordingId};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::DocumentStore;
use recording_vault::store::outbox::{Notice, Outbox};

use super::{Receiver, kinds, notifier};
use crate::support::chunk;
use crate::support::fake_source::Fault;
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::{CLAIM_TTL, RETENTION, policy};
use crate::support::simulation::{Durable, Plan, budget};

/// A process that keeps notices and deletes no source, whose requests to the ledger go through this store.
fn process(durable: &Durable, store: Arc<dyn DocumentStore>) -> ExportDriver {
    let ledger = ChunkLedger::new(store, durable.clock.clone(), RETENTION, CLAIM_TTL);
    let policy = ExportPolicy {
        deletion: DeletionPolicy {
            delay: 10 * RETENTION,
            ..policy().deletion
        },
        ..policy()
    };
    ExportDriver::new(
        ledger.with_outbox(Some(Outbox::new(durable.store()))),
        Sources {
            acs: durable.source.clone(),
            external: durable.source.clone(),
        },
        Vaults::new(durable.vault.clone(), None),
        durable.clock.clone(),
        policy,
    )
}

/// A chunk that was given up.
async fn given_up() -> (Durable, DocumentId) {
    let chunk = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    durable.source.with_faults([Fault::Refused]);
    let driver = process(&durable, durable.store());
    let recorded = driver.ledger().record(chunk.clone()).await;
    recorded.expect("the ledger works");
    let done = driver.drive(&chunk.document_id, budget()).await;
    done.expect("the ledger works");
    (durable, chunk.document_id)
}

/// A pass over the outbox: how many notices were sent, and how many wait.
async fn passed(notifier: &Notifier) -> (usize, usize) {
    let report = notifier.send(budget()).await.expect("the store works");
    (report.sent, report.waiting)
}

#[tokio::test]
async fn a_loss_whose_entry_is_not_written_yet_is_told_when_it_is() {
    let (durable, _) = given_up().await;
    durable.clock.advance(RETENTION);
    let held = HeldStore::holding(&durable.store(), Kind::Put, "chunks/", 0);
    let driver = process(&durable, held.clone());
    let doomed = driver.ledger().doomed(None, 1).await;
    let doomed = doomed.expect("the ledger works").0.pop();
    let mut losing = pin!(driver.ledger().lose(doomed.expect("it is given up")));
    tokio::select! {
        lost = &mut losing => panic!("it is not held: {lost:?}"),
        () = held.reached() => {}
    }
    let receiver = Receiver::start().await;
    let notifier = notifier(&durable, &Plan::calm(), &receiver);
    assert_eq!(passed(&notifier).await, (0, 1));
    held.release();
    losing.await.expect("the ledger works");
    assert_eq!(passed(&notifier).await, (1, 0));
    assert_eq!(passed(&notifier).await, (0, 0));
    let taken = receiver.taken();
    assert_eq!(kinds(&taken), ["lost"], "{taken:?}");
}

/// Says of no recording that it was erased.
struct NothingErased;

#[async_trait]
impl ErasureLookup for NothingErased {
    async fn erasure_of(&self, _recording: &RecordingId) -> ErasureStatus {
        ErasureStatus::NotErased
    }
}

#[tokio::test]
async fn an_import_whose_entry_is_not_written_yet_is_told_when_it_is() {
    let (durable, id) = given_up().await;
    // The claim, the name of the media, and the copy.
    let held = HeldStore::holding(&durable.store(), Kind::Put, "chunks/", 2);
    let driver = process(&durable, held.clone());
    let files = FilesToImport {
        source: durable.source.clone(),
        erasures: Arc::new(NothingErased),
        has_metadata: false,
        kind: None,
        from: "portal.wav".to_owned(),
    };
    let mut importing = pin!(driver.import(&id, files, &Operator::Shell, budget()));
    tokio::select! {
        imported = &mut importing => panic!("it is not held: {imported:?}"),
        () = held.reached() => {}
    }
    let receiver = Receiver::start().await;
    let notifier = notifier(&durable, &Plan::calm(), &receiver);
    let (told, waiting) = passed(&notifier).await;
    assert!(told == 0 && waiting > 0, "{told} told, {waiting} wait");
    held.release();
    importing.await.expect("the ledger works");
    assert_eq!(passed(&notifier).await, (waiting, 0));
    let taken = receiver.taken();
    let kinds = kinds(&taken);
    let exported = kinds.iter().filter(|kind| **kind == "exported");
    assert_eq!(exported.count(), 1, "{kinds:?}");
}

#[tokio::test]
async fn a_notice_that_does_not_come_true_waits_for_an_hour_and_is_not_told() {
    let (durable, id) = given_up().await;
    let outbox = Outbox::new(durable.store());
    let lost = Notice::Lost {
        document_id: id,
        opening: 1,
    };
    let kept = outbox.keep(lost, durable.clock.now()).await;
    kept.expect("the store works");
    let receiver = Receiver::start().await;
    let notifier = notifier(&durable, &Plan::calm(), &receiver);
    assert_eq!(passed(&notifier).await, (0, 1));
    durable.clock.advance(Duration::from_hours(1));
    assert_eq!(passed(&notifier).await, (0, 0));
    let waiting = outbox.waiting(None, 1).await.expect("the store works");
    assert!(waiting.is_empty(), "{waiting:?}");
    assert!(receiver.taken().is_empty());
}

/// Lets more than half of its time pass while ACS gives nothing of it. Returns the ids of the alerts that wait then.
async fn alerts_after_half(
    durable: &Durable,
    driver: &ExportDriver,
    id: &DocumentId,
) -> BTreeSet<String> {
    let found = driver.ledger().find(id).await.expect("the ledger works");
    let deadline = found.expect("it is recorded").entry.deadline();
    let deadline = deadline.expect("a file of it is not copied");
    let left = deadline.duration_since(durable.clock.now());
    let left = Duration::try_from(left).expect("it has time");
    durable.clock.advance(left * 6 / 10);
    let failing = std::iter::repeat_n(Fault::Transient, 10_000);
    durable.source.with_faults(failing);
    for _ in 0..2 {
        let done = driver.drive(id, budget()).await;
        done.expect("the ledger works");
    }
    durable.source.with_faults([]);
    let waiting = Outbox::new(durable.store()).waiting(None, 100).await;
    let waiting = waiting.expect("the store works");
    let alerts = waiting.into_iter().filter(|waiting| {
        matches!(
            waiting.kept.notice,
            Notice::AtRisk {
                percent_elapsed: 50,
                ..
            }
        )
    });
    alerts.map(|alert| alert.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_later_file_at_risk_is_told_with_another_id() {
    let first = chunk("a", 0);
    let id = &first.document_id;
    let durable = Durable::new(std::slice::from_ref(&first));
    let driver = process(&durable, durable.store());
    let recorded = driver.ledger().record(first.clone()).await;
    recorded.expect("the ledger works");
    let earlier = alerts_after_half(&durable, &driver, id).await;
    assert_eq!(earlier.len(), 1, "{earlier:?}");

    durable.clock.advance(Duration::from_mins(15));
    let done = driver.drive(id, budget()).await;
    done.expect("the ledger works");
    let found = driver.ledger().find(id).await.expect("the ledger works");
    let state = found.expect("it is recorded").entry.state;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");
    let longer = RecordingChunk {
        duration_ms: Some(120_000),
        event_time: Some(durable.clock.now()),
        ..first.clone()
    };
    let recorded = driver.ledger().record(longer).await;
    recorded.expect("the ledger works");
    let later = alerts_after_half(&durable, &driver, id).await;
    assert_eq!(later.len(), 2, "{later:?}");
    assert!(later.is_superset(&earlier), "{earlier:?}, {later:?}");
}
