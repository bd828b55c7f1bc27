//! Requests that run twice: the record of the first run is found wherever the process died.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::store::audit::{Actor, AuditAction, Operator, Principal};
use crate::vault::memory::MemoryDocumentStore;

struct World {
    store: Arc<MemoryDocumentStore>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let start = "2026-03-02T23:59:59Z".parse().unwrap();
        Self {
            store: Arc::default(),
            clock: Arc::new(ManualClock::starting_at(start)),
        }
    }

    /// The log of another process.
    fn process(&self) -> AuditLog {
        AuditLog::new(self.store.clone(), self.clock.clone())
    }

    async fn records(&self) -> usize {
        let documents = self.store.list("audit/2", None, 100).await.unwrap();
        documents.len()
    }

    async fn remove_all(&self, prefix: &str) {
        for key in self.store.list(prefix, None, 100).await.unwrap() {
            self.store.remove(&key).await.unwrap();
        }
    }
}

/// Verifies in a run of the invocation.
async fn verify(log: &AuditLog, invocation: Option<&str>, detail: Value) -> AuditPosition {
    let operator = Operator::Api {
        principal: Some(Principal::Claimed("ada".to_owned())),
        invocation: invocation.map(|id| Invocation::of(id.as_bytes())),
    };
    let detail = operator.sign(detail);
    let appending = log.append(Actor::Operator, AuditAction::Verified, "chunk c", detail);
    appending.await.unwrap()
}

#[tokio::test]
async fn the_next_process_finds_the_record_of_a_request_that_is_sent_again_after_midnight() {
    let world = World::new();
    let detail = json!({"reason": "a text that is stored apart"});
    let first = verify(&world.process(), Some("1"), detail.clone()).await;
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(
        verify(&world.process(), Some("1"), detail.clone()).await,
        first
    );
    assert_eq!(world.records().await, 1);
    verify(&world.process(), Some("2"), detail).await;
    assert_eq!(world.records().await, 2);
}

#[tokio::test]
async fn a_process_that_died_between_marker_and_record_has_written_no_record() {
    let world = World::new();
    let first = verify(&world.process(), Some("1"), Value::Null).await;
    world.remove_all("audit/2").await;
    let second = verify(&world.process(), Some("1"), Value::Null).await;
    assert_ne!(second, first);
    assert_eq!(
        verify(&world.process(), Some("1"), Value::Null).await,
        second
    );
    assert_eq!(world.records().await, 1);
}

#[tokio::test]
async fn one_request_with_two_different_records_has_both() {
    let world = World::new();
    let log = world.process();
    let one = verify(&log, Some("1"), json!({"case": "A-1"})).await;
    let other = verify(&log, Some("1"), json!({"case": "A-2"})).await;
    assert_ne!(one, other);
}

#[tokio::test]
async fn a_run_after_which_another_acted_is_recorded_again() {
    let world = World::new();
    let first = verify(&world.process(), Some("1"), Value::Null).await;
    world.clock.advance(Duration::from_secs(1));
    verify(&world.process(), Some("2"), Value::Null).await;
    world.clock.advance(Duration::from_secs(1));
    let again = verify(&world.process(), Some("1"), Value::Null).await;
    assert_ne!(again, first);
    assert_eq!(world.records().await, 3);
}

#[tokio::test]
async fn an_action_at_a_shell_is_recorded_each_time() {
    let world = World::new();
    let log = world.process();
    verify(&log, None, Value::Null).await;
    verify(&log, None, Value::Null).await;
    assert_eq!(world.records().await, 2);
    assert!(world.store.list(RUNS, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn markers_are_removed_when_the_next_day_has_passed() {
    let world = World::new();
    let log = world.process();
    verify(&log, Some("1"), Value::Null).await;
    let markers = async || world.store.list(RUNS, None, 10).await.unwrap().len();
    world.clock.advance(Duration::from_hours(24));
    log.forget_old_runs().await.unwrap();
    assert_eq!(markers().await, 1);
    world.clock.advance(Duration::from_hours(1));
    log.forget_old_runs().await.unwrap();
    assert_eq!(markers().await, 0);
}
