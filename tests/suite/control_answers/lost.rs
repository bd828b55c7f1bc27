//! What ACS did for a request whose answer was lost, or whose record could not be written, is in the audit log in the end:
//! once, with its caller.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use recording_vault::clock::Clock;
use recording_vault::control::requester::Requester;
use recording_vault::control::state::RecordingState;
use recording_vault::control::steering::StopOutcome;
use recording_vault::export::Budget;
use recording_vault::recording::RecordingId;
use recording_vault::store::audit::{AuditLog, AuditRecord, Principal};
use recording_vault::store::document_store::DocumentStore as _;
use serde_json::{Value, json};

use super::{ATTEMPTS, LOST, World, plain_start};
use crate::support::fake_acs::Op;

fn ada() -> Requester {
    Requester::Api {
        principal: Some(Principal::Claimed("ada".to_owned())),
        invocation: None,
    }
}

/// Action and detail of the records of a recording, after its start.
async fn records(world: &World, id: &RecordingId) -> Vec<(String, Value)> {
    let clock: Arc<dyn Clock> = world.clock.clone();
    let log = AuditLog::new(world.store.clone(), clock);
    let subject = format!("recording {id}");
    let mut found: Vec<AuditRecord> = Vec::new();
    let report = log.verify_each(|_, record| {
        if record.subject == subject {
            found.push(record);
        }
    });
    let report = report.await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    let mut records = Vec::new();
    for record in found {
        let record = log.reveal(record).await.expect("the store works");
        records.push((record.action.to_string(), record.detail));
    }
    records.retain(|(action, _)| action != "started");
    let mut requests = Vec::new();
    for (action, detail) in &mut records {
        let detail = detail.as_object_mut().expect("it is an object");
        let request = detail.remove("requestId");
        requests.push(request.unwrap_or_else(|| panic!("{action} names no request")));
    }
    requests.sort_by_key(Value::to_string);
    requests.dedup();
    assert_eq!(requests.len(), records.len(), "each request once");
    records
}

/// Time passes until no process can be about to record a request, and the sweep records it.
async fn sweeps_later(world: &World) {
    for seconds in [61, 300] {
        world.pass(seconds);
        world.sweep().await;
    }
}

fn lost(action: &str) -> Vec<(String, Value)> {
    let detail = json!({"claimedBy": "ada", "through": "api", "answer": "lost"});
    vec![(action.to_owned(), detail)]
}

fn answered(action: &str) -> Vec<(String, Value)> {
    let detail = json!({"claimedBy": "ada", "through": "api"});
    vec![(action.to_owned(), detail)]
}

#[tokio::test]
async fn a_pause_whose_answer_was_lost_is_recorded_when_the_sweep_settles_it() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::Pause, LOST, ATTEMPTS);
    let paused = world.control.pause(&id, None, &ada()).await;
    assert!(paused.is_err(), "{paused:?}");
    world.acs.calm();
    assert_eq!(records(&world, &id).await, []);
    sweeps_later(&world).await;
    assert_eq!(world.state(&id).await, RecordingState::Paused);
    assert_eq!(records(&world, &id).await, lost("paused"));
    let again = world.control.pause(&id, None, &ada()).await;
    again.expect("it is paused");
    assert_eq!(records(&world, &id).await, lost("paused"));
}

#[tokio::test]
async fn a_pause_whose_answer_was_lost_and_that_is_repeated_is_recorded_once() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::Pause, LOST, ATTEMPTS);
    let paused = world.control.pause(&id, None, &ada()).await;
    assert!(paused.is_err(), "{paused:?}");
    world.acs.calm();
    world.pass(2);
    let again = world.control.pause(&id, None, &ada()).await;
    again.expect("it is paused");
    assert_eq!(records(&world, &id).await, answered("paused"));
    sweeps_later(&world).await;
    assert_eq!(records(&world, &id).await, answered("paused"));
}

#[tokio::test]
async fn a_stop_whose_answer_was_lost_and_that_an_event_settles_is_recorded_by_the_sweep() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::Stop, LOST, ATTEMPTS);
    let stopped = world.control.stop(&id, &ada()).await;
    assert!(stopped.is_err(), "{stopped:?}");
    world.acs.calm();
    world.acs.end(id.as_str());
    world.announced(&id, &json!([])).await;
    assert_eq!(world.state(&id).await, RecordingState::Stopped);
    world.sweep().await;
    let early = records(&world, &id).await;
    assert_eq!(early, [], "the process that stopped it may record it yet");
    sweeps_later(&world).await;
    assert_eq!(records(&world, &id).await, lost("stopped"));
    let listed = world.store.list("running/", None, 10).await;
    assert_eq!(listed.expect("memory works"), Vec::<String>::new());
    let again = world.control.stop(&id, &ada()).await;
    assert!(matches!(again, Ok(StopOutcome::WasStopped(_))), "{again:?}");
    assert_eq!(records(&world, &id).await, lost("stopped"));
}

#[tokio::test]
async fn what_the_log_could_not_take_is_recorded_by_the_sweep() {
    let world = World::new().await;
    let id = world.recording().await;
    for (action, state) in [
        ("paused", RecordingState::Paused),
        ("resumed", RecordingState::Active),
        ("stopped", RecordingState::Stopped),
    ] {
        let before = records(&world, &id).await;
        world.is_log_broken.store(true, Ordering::SeqCst);
        match action {
            "paused" => {
                let paused = world.control.pause(&id, None, &ada()).await;
                paused.expect("ACS pauses");
            }
            "resumed" => {
                let resumed = world.control.resume(&id, &ada()).await;
                resumed.expect("ACS resumes");
            }
            _ => {
                let stopped = world.control.stop(&id, &ada()).await;
                stopped.expect("ACS stops");
            }
        }
        world.sweep().await;
        assert_eq!(records(&world, &id).await, before);
        world.is_log_broken.store(false, Ordering::SeqCst);
        sweeps_later(&world).await;
        assert_eq!(world.state(&id).await, state);
        let expected = [before, lost(action)].concat();
        assert_eq!(records(&world, &id).await, expected);
    }
}

#[tokio::test]
async fn a_recording_that_was_started_while_the_ledger_failed_is_registered_once_it_works() {
    for is_log_elsewhere in [true, false] {
        let world = World::new().await;
        let broken = if is_log_elsewhere {
            &world.is_ledger_broken
        } else {
            &world.is_broken
        };
        broken.store(true, Ordering::SeqCst);
        let id = world.start(&plain_start()).await.expect("ACS starts it");
        let began = world.clock.now();
        world.pass(90);

        // The ledger still fails: it is not given up.
        let budget = || Budget::of(Duration::from_secs(30));
        assert!(world.control.sweep(budget()).await.is_err());
        broken.store(false, Ordering::SeqCst);
        let found = world.control.register().find(&id).await;
        assert_eq!(found.expect("the store works"), None);

        for _ in 0..2 {
            world.sweep().await;
        }
        let log = world.audit_log().await;
        assert_eq!(log.matches("\"started\"").count(), 1, "{log}");
        let account = world.account(&id).await;
        assert_eq!(account.registered_at, Some(began));
        assert_eq!(account.call, Some(plain_start().request.call));
        let running = world.control.running(None, 10).await;
        let running = running.expect("the store works").recordings;
        assert!(running.iter().any(|one| one.recording_id == id));
    }
}

#[tokio::test]
async fn a_stop_whose_event_comes_before_its_answer_is_recorded_once() {
    // The sweep records it after six minutes, because it seems to be lost.
    let cases = [
        (1, answered("stopped")),
        (359, answered("stopped")),
        (360, lost("stopped")),
    ];
    for (waits, expected) in cases {
        let world = World::new().await;
        let id = world.recording().await;
        let (hold, stopping) = world.asks_and_waits(Op::Stop, &id, ada()).await;
        world.announced(&id, &json!([])).await;
        assert_eq!(world.state(&id).await, RecordingState::Stopped);
        world.pass(waits);
        world.sweep().await;
        hold.release();
        stopping.await.expect("no panic").expect("ACS stops");
        sweeps_later(&world).await;
        assert_eq!(records(&world, &id).await, expected, "after {waits} s");
        let listed = world.store.list("running/", None, 10).await;
        assert_eq!(listed.expect("memory works"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_stop_whose_process_is_killed_after_its_event_is_recorded_by_the_sweep() {
    let world = World::new().await;
    let id = world.recording().await;
    let (_hold, stopping) = world.asks_and_waits(Op::Stop, &id, ada()).await;
    world.announced(&id, &json!([])).await;
    stopping.abort();
    assert!(stopping.await.is_err_and(|end| end.is_cancelled()));
    for _ in 0..2 {
        sweeps_later(&world).await;
        assert_eq!(records(&world, &id).await, lost("stopped"));
    }
}

#[tokio::test]
async fn a_pause_that_another_request_settles_before_its_answer_is_recorded_once() {
    let ben = Requester::Api {
        principal: Some(Principal::Claimed("ben".to_owned())),
        invocation: None,
    };
    for other in ["paused", "resumed"] {
        let world = World::new().await;
        let id = world.recording().await;
        let (hold, pausing) = world.asks_and_waits(Op::Pause, &id, ada()).await;
        world.pass(1);
        let done = if other == "paused" {
            world.control.pause(&id, None, &ben).await
        } else {
            world.control.resume(&id, &ben).await
        };
        done.expect("ACS does it");
        hold.release();
        pausing.await.expect("no panic").expect("ACS paused it");
        sweeps_later(&world).await;
        let mut records = records(&world, &id).await;
        records.sort_by_key(|(action, detail)| (action.clone(), detail.to_string()));
        let by_ben = json!({"claimedBy": "ben", "through": "api"});
        let mut expected = [answered("paused"), vec![(other.to_owned(), by_ben)]].concat();
        expected.sort_by_key(|(action, detail)| (action.clone(), detail.to_string()));
        assert_eq!(records, expected, "{other}");
    }
}

#[tokio::test]
async fn a_lost_pause_is_recorded_beside_a_later_one_of_the_same_caller() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::Pause, LOST, ATTEMPTS);
    let paused = world.control.pause(&id, None, &ada()).await;
    assert!(paused.is_err(), "{paused:?}");
    world.acs.calm();
    for action in ["resumed", "paused"] {
        world.pass(10);
        let done = if action == "paused" {
            world.control.pause(&id, None, &ada()).await
        } else {
            world.control.resume(&id, &ada()).await
        };
        done.expect("ACS does it");
    }
    sweeps_later(&world).await;
    let expected = [answered("resumed"), answered("paused"), lost("paused")].concat();
    assert_eq!(records(&world, &id).await, expected);
}
