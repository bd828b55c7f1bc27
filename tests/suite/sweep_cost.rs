//! A sweep costs what is due, not what was ever stored: operations on the ledger's storage, counted.
//!
//! `cargo xtask bench` measures the time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::clock::ManualClock;
use recording_vault::export::{
    Budget, ChunkLedger, ExportDriver, ExportSweep, Sources, SweepReport, Vaults,
};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::vault::memory::MemoryVault;

use crate::support::counting::{CountingStore, Counts};
use crate::support::fake_source::FakeSource;
use crate::support::pipeline::{BLOCK, CLAIM_TTL, RETENTION, policy};
use crate::support::{chunk, content};

const DUE: u32 = 10;

/// One sweep of ten due chunks among so many settled ones.
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn sweep_among(settled: usize) -> (SweepReport, Counts) {
    let (store, source) = (
        Arc::new(CountingStore::default()),
        Arc::new(FakeSource::default()),
    );
    let clock = Arc::new(ManualClock::starting_at(
        "2026-03-02T10:03:00Z".parse().expect("it is a time"),
    ));
    let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
    let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
    let driver = Arc::new(ExportDriver::new(
        ledger,
        Sources {
            acs: source.clone(),
            external: source.clone(),
        },
        vaults,
        clock,
        policy(),
    ));
    let budget = Budget::of(Duration::from_hours(1));

    // One that went the whole way; the others are written as the ledger wrote it.
    let first = chunk("settled", 0);
    source.put(&first.document_id, content(BLOCK, 1));
    driver
        .ledger()
        .record(first.clone())
        .await
        .expect("the ledger works");
    driver
        .drive(&first.document_id, budget)
        .await
        .expect("the ledger works");
    let written = store
        .find("chunks/settled.json")
        .await
        .expect("the store works")
        .expect("the entry is there")
        .content;
    let written = String::from_utf8(written.to_vec()).expect("an entry is JSON");
    assert!(written.contains("sourceDeleted"), "{written}");
    for number in 1..settled {
        let (key, entry) = (
            format!("chunks/settled-{number}.json"),
            written.replace("settled", &format!("settled-{number}")),
        );
        store
            .put(&key, Bytes::from(entry), Precondition::Absent)
            .await
            .expect("the store works");
    }
    for index in 0..DUE {
        let due = chunk(&format!("due-{index}"), index);
        source.put(&due.document_id, content(3 * BLOCK, index.into()));
        driver.ledger().record(due).await.expect("the ledger works");
    }
    store.take_counts();
    let report = ExportSweep::new(driver)
        .run(budget)
        .await
        .expect("the ledger works");
    (report, store.take_counts())
}

#[tokio::test]
async fn a_sweep_asks_the_ledger_as_often_among_a_hundred_thousand_settled_entries_as_among_a_thousand()
 {
    let (few, many) = (sweep_among(1000).await, sweep_among(100_000).await);
    assert_eq!(few.0.deleted, u64::from(DUE), "{few:?}");
    assert_eq!(many, few);
}
