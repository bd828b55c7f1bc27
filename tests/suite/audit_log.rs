//! The audit log under faults and under attack: no fault breaks a chain or loses a record, and no change goes unseen.

mod anchors;
mod faults;
mod tampering;
mod uncovered;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use recording_vault::clock::{Clock, ManualClock};
use recording_vault::store::audit::{Actor, AuditAction, AuditLog, AuditPosition, Checkpointed};
use recording_vault::store::document_store::{DocumentStore, StoreError};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::Value;

/// Longer than a log may be quiet.
const QUIET: Duration = Duration::from_mins(31);

struct World {
    store: Arc<MemoryDocumentStore>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let now = "2026-03-02T10:00:00Z".parse().expect("it is a time");
        Self {
            store: Arc::default(),
            clock: Arc::new(ManualClock::starting_at(now)),
        }
    }

    /// Another process.
    fn log(&self) -> AuditLog {
        self.log_on(self.store.clone())
    }

    fn log_on(&self, store: Arc<dyn DocumentStore>) -> AuditLog {
        AuditLog::new(store, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    async fn problems(&self) -> Vec<String> {
        self.log().verify().await.expect("the store works").problems
    }

    async fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.store.list(prefix, None, 10_000).await;
        keys.expect("the store works")
    }
}

async fn try_append(log: &AuditLog, subject: &str) -> Result<AuditPosition, StoreError> {
    log.append(Actor::Handler, AuditAction::Recorded, subject, Value::Null)
        .await
}

async fn append(log: &AuditLog, subject: &str) -> AuditPosition {
    try_append(log, subject).await.expect("the store works")
}

async fn checkpoint(log: &AuditLog) -> Checkpointed {
    log.checkpoint().await.expect("the store works")
}

#[tokio::test]
async fn records_of_many_processes_are_whole_chains_and_a_checkpoint_has_all_of_them() {
    let world = World::new();
    let logs: Vec<AuditLog> = (0..4).map(|_| world.log()).collect();
    let subjects: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let appending = subjects.iter().enumerate();
    futures::future::join_all(appending.map(|(at, subject)| append(&logs[at % 4], subject))).await;
    let written = checkpoint(&logs[0]).await;
    let report = logs[1].verify().await.expect("the store works");
    assert_eq!((report.records, report.logs), (100, 4));
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.records_after_newest, 0);
    assert_eq!(report.newest, written.newest());
}

#[tokio::test]
async fn a_sweep_that_finds_nothing_new_writes_no_checkpoint() {
    let world = World::new();
    let log = world.log();
    assert_eq!(checkpoint(&log).await, Checkpointed::NothingNew(None));
    append(&log, "a").await;
    let first = checkpoint(&log).await;
    assert!(matches!(first, Checkpointed::Written(_)), "{first:?}");
    let second = checkpoint(&world.log()).await;
    assert_eq!(second, Checkpointed::NothingNew(first.newest()));
    append(&log, "b").await;
    let third = checkpoint(&world.log()).await;
    assert_eq!(third.newest().map(|newest| newest.number), Some(2));
}

#[tokio::test]
async fn a_quiet_log_is_closed_and_its_writer_begins_another() {
    let world = World::new();
    let log = world.log();
    let before = append(&log, "a").await;
    checkpoint(&world.log()).await;
    world.clock.advance(QUIET);
    checkpoint(&world.log()).await;
    assert_eq!(world.keys("audit/live/").await, Vec::<String>::new());

    let after = append(&log, "b").await;
    assert_ne!(before.writer, after.writer);
    assert_eq!(world.keys("audit/live/").await.len(), 1);
    checkpoint(&world.log()).await;
    let report = log.verify().await.expect("the store works");
    assert_eq!((report.records, report.problems.len()), (2, 0));
    assert_eq!(log.records(&after).await.expect("it is there").len(), 1);
}

#[tokio::test]
async fn a_clock_that_runs_back_or_far_ahead_breaks_no_chain() {
    let world = World::new();
    let ahead = ManualClock::starting_at("2036-01-01T00:00:00Z".parse().expect("it is a time"));
    let ahead = AuditLog::new(world.store.clone(), Arc::new(ahead));
    let behind = ManualClock::starting_at("2016-01-01T00:00:00Z".parse().expect("it is a time"));
    let behind = AuditLog::new(world.store.clone(), Arc::new(behind));
    for round in 0..3 {
        for log in [&ahead, &behind] {
            append(log, &round.to_string()).await;
            checkpoint(&world.log()).await;
            checkpoint(log).await;
        }
    }
    assert_eq!(world.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn each_record_comes_with_the_first_checkpoint_that_covers_it_whatever_its_clock_says() {
    let world = World::new();
    let ahead = ManualClock::starting_at("2036-01-01T00:00:00Z".parse().expect("it is a time"));
    let ahead = AuditLog::new(world.store.clone(), Arc::new(ahead));
    let log = world.log();
    append(&ahead, "a").await;
    checkpoint(&log).await;
    append(&log, "b").await;
    append(&ahead, "c").await;
    checkpoint(&log).await;
    append(&log, "d").await;
    let mut found = Vec::new();
    let report = log
        .verify_each(|document, record| found.push((record.subject, document.checkpoint)))
        .await
        .expect("the store works");
    found.sort();
    let expected = [("a", 1), ("b", 2), ("c", 2), ("d", 3)];
    assert_eq!(
        found,
        expected.map(|(subject, number)| (subject.to_owned(), number))
    );
    assert_eq!(report.ends.len() as u64, report.logs);
}

#[tokio::test]
async fn the_newest_checkpoint_is_looked_up_once_a_minute() {
    let world = World::new();
    let (log, other) = (world.log(), world.log());
    append(&log, "a").await;
    assert_eq!(other.anchor().await, None);
    let newest = checkpoint(&log).await.newest();
    assert_eq!(log.anchor().await, newest, "its own checkpoint is known");
    assert_eq!(other.anchor().await, None, "it looked a moment ago");
    assert_eq!(world.log().anchor().await, newest);
}
