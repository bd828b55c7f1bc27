//! Tests: names that the storage refuses for good.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::clock::ManualClock;
use crate::store::faulty_store::{Faults, FaultyStore, Request};

/// Refuses to store names that contain `refused`, and everything else while it is down.
#[derive(Default)]
struct RefusesNames {
    accepts_all: AtomicBool,
    is_down: AtomicBool,
}

impl Faults for RefusesNames {
    fn fails(&self, request: Request<'_>, _key: &str) -> bool {
        let is_refused = match request {
            Request::Put(content) => String::from_utf8_lossy(content).contains("refused"),
            Request::Find | Request::PutAnswer => false,
        };
        (is_refused && !self.accepts_all.load(Ordering::SeqCst))
            || self.is_down.load(Ordering::SeqCst)
    }
}

struct World {
    store: Arc<FaultyStore<RefusesNames>>,
    clock: Arc<ManualClock>,
    log: Arc<AuditLog>,
}

impl World {
    fn new() -> Self {
        let store = FaultyStore::new(RefusesNames::default());
        let clock = Arc::new(ManualClock::starting_at(
            "2026-03-02T10:00:00Z".parse().unwrap(),
        ));
        let log = Arc::new(AuditLog::new(store.clone(), clock.clone()));
        Self { store, clock, log }
    }

    fn play(&self, subject: &str, name: &str) {
        let detail = json!({"claimedBy": name, "through": "api"});
        self.log.note_access(AuditAction::Played, subject, detail);
    }

    async fn records(&self) -> Vec<AuditRecord> {
        self.log.all_records().await
    }

    async fn played(&self) -> Vec<String> {
        let records = self.records().await.into_iter();
        let played = records.filter(|record| record.action == AuditAction::Played);
        let mut played: Vec<String> = played.map(|record| record.subject).collect();
        played.sort();
        played
    }

    async fn dropped(&self) -> u64 {
        let records = self.records().await.into_iter();
        let gaps = records.filter(|record| record.action == AuditAction::AccessesDropped);
        gaps.filter_map(|gap| gap.detail["count"].as_u64()).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_refused_delays_no_other_record() {
    let world = World::new();
    world.play("a", "refused one");
    world.play("b", "ada");
    world.play("c", "refused two");
    world.play("d", "refused three");
    world.play("e", "bert");
    // The names behind two refused ones are tried in the next turn.
    for _ in 0..2 {
        world.log.write_accesses().await.unwrap_err();
    }
    assert_eq!(world.played().await, ["b", "e"]);
    world.play("f", "ada");
    world.log.write_accesses().await.unwrap_err();
    assert_eq!(world.played().await, ["b", "e", "f"]);
    assert_eq!(world.dropped().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_name_is_refused_for_ten_minutes_becomes_a_gap_with_its_number() {
    let world = World::new();
    world.play("a", "refused");
    world.play("b", "refused");
    world.log.write_accesses().await.unwrap_err();
    world.clock.advance(NAME_PATIENCE + DELAY);
    world.play("c", "refused");
    world.log.write_accesses().await.unwrap_err();
    assert_eq!(world.dropped().await, 2);
    world.log.write_accesses().await.unwrap_err();
    assert_eq!(world.dropped().await, 2, "the last one still waits");
    assert!(world.log.verify().await.unwrap().problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_stored_at_last_is_in_the_log_once_and_leaves_no_gap() {
    let world = World::new();
    world.play("a", "refused");
    world.log.write_accesses().await.unwrap_err();
    world.store.accepts_all.store(true, Ordering::SeqCst);
    world.log.write_accesses().await.unwrap();
    world.clock.advance(NAME_PATIENCE + DELAY);
    world.log.write_accesses().await.unwrap();
    assert_eq!(world.played().await, ["a"]);
    assert_eq!(world.dropped().await, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_while_the_log_cannot_be_written_either() {
    let world = World::new();
    world.store.is_down.store(true, Ordering::SeqCst);
    for number in 0..5 {
        world.play(&format!("chunk-{number}"), &format!("operator {number}"));
        world.log.write_accesses().await.unwrap_err();
    }
    world.clock.advance(NAME_PATIENCE * 6);
    world.log.write_accesses().await.unwrap_err();
    world.store.is_down.store(false, Ordering::SeqCst);
    for _ in 0..5 {
        world.log.write_accesses().await.unwrap();
    }
    assert_eq!(world.played().await.len(), 5);
    assert_eq!(world.dropped().await, 0);
}
