//! Only ACS's own answer about a start or a recording settles it: an answer about our credential, of a front end, or of a
//! later attempt does not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::acs::AcsError;
use recording_vault::control::ControlError;
use recording_vault::control::start::Start;
use recording_vault::control::state::RecordingState;
use recording_vault::control::steering::StopOutcome;
use recording_vault::export::Budget;
use recording_vault::recording::{IncomingEvent, RecordingId};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    API, ATTEMPTS, LOST, World, assert_first_callers, in_progress, lost_start, parsed, plain_start,
    start_with_consent,
};
use crate::support::fake_acs::{Op, Trouble};

/// Answers that say nothing about an earlier attempt, and how often ACS is asked until one of them is final.
const SAY_NOTHING: [(Trouble, usize); 6] = [
    (Trouble::Refused(401, "7509"), 1),
    (Trouble::Refused(403, "7504"), 1),
    (Trouble::Refused(409, "8519"), 1),
    (Trouble::Page(307), 1),
    (Trouble::Page(400), ATTEMPTS),
    (Trouble::Page(404), ATTEMPTS),
];

async fn open_starts(world: &World) -> usize {
    let starting = world.store.list("starting/", None, 10).await;
    starting.expect("memory works").len()
}

fn is_unknown(result: &Result<RecordingId, ControlError>) -> bool {
    matches!(result, Err(ControlError::StartUnknown { .. }))
}

#[tokio::test]
async fn an_answer_that_says_nothing_about_the_start_does_not_hide_an_earlier_lost_one() {
    for (trouble, times) in &SAY_NOTHING {
        let world = World::new().await;
        world.acs.trouble(Op::Start, LOST, 1);
        world
            .acs
            .trouble(Op::Start, trouble, (*times).min(ATTEMPTS - 1));
        let started = world.start(&start_with_consent()).await;
        assert!(is_unknown(&started), "{trouble:?}: {started:?}");
        assert_eq!(open_starts(&world).await, 1, "{trouble:?}");
        world.acs.calm();
        world.pass(41);
        world.sweep().await;
        assert_first_callers(&world, &"r1".parse().expect("it is an id")).await;
    }
}

#[tokio::test]
async fn a_lost_start_stays_unknown_for_every_caller_until_acs_answers_about_it() {
    for (trouble, times) in &SAY_NOTHING {
        let world = World::new().await;
        let (start, request_id) = (start_with_consent(), Uuid::new_v4());
        world.acs.trouble(Op::Start, LOST, ATTEMPTS);
        let again = async || {
            let view = world.control.start(&start, request_id, &API).await;
            view.map(|view| view.recording_id)
        };
        assert!(is_unknown(&again().await), "{trouble:?}");
        // Its caller again, the sweep, another caller.
        world.acs.trouble(Op::Start, trouble, *times);
        assert!(is_unknown(&again().await), "{trouble:?}");
        world.pass(41);
        world.acs.trouble(Op::Start, trouble, *times);
        world.sweep().await;
        world.acs.trouble(Op::Start, trouble, *times);
        let other = world.start(&plain_start()).await;
        assert!(is_unknown(&other), "{trouble:?}: {other:?}");
        assert_eq!(open_starts(&world).await, 1, "{trouble:?}");
        let id = in_progress(world.start(&plain_start()).await).expect("ACS says so");
        assert_first_callers(&world, &id).await;
    }
}

#[tokio::test]
async fn a_start_that_was_not_carried_out_leaves_nothing_open() {
    for (trouble, times) in [
        (Trouble::Refused(429, "8589"), ATTEMPTS),
        (Trouble::Refused(401, "7509"), 1),
        (Trouble::Refused(400, "8501"), 1),
    ] {
        let world = World::new().await;
        world.acs.trouble(Op::Start, &trouble, times);
        let refused = world.start(&start_with_consent()).await;
        assert!(matches!(refused, Err(ControlError::Acs(_))), "{refused:?}");
        assert_eq!(open_starts(&world).await, 0, "{trouble:?}");
        world.start(&plain_start()).await.expect("the call is free");
    }
}

#[tokio::test]
async fn a_start_that_a_front_end_answered_is_unknown() {
    let world = World::new().await;
    world.acs.trouble(Op::Start, &Trouble::Page(400), ATTEMPTS);
    assert!(is_unknown(&world.start(&start_with_consent()).await));
    assert_eq!(open_starts(&world).await, 1);
}

#[tokio::test]
async fn a_web_page_ends_no_recording_and_a_stop_is_sent() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::State, &Trouble::Page(404), ATTEMPTS);
    let asked = world.control.state(&id).await;
    assert!(
        matches!(&asked, Err(ControlError::Acs(AcsError::AfterLostAnswer(last))) if last.is_transient()),
        "{asked:?}"
    );
    assert_eq!(world.state(&id).await, RecordingState::Active);
    let view = world.control.state(&id).await.expect("ACS answers");
    assert_eq!(view.state, RecordingState::Active);
    // One page is not the last word of a request.
    world.acs.trouble(Op::Stop, &Trouble::Page(404), 1);
    let stopped = world.control.stop(&id, &API).await.expect("ACS stops it");
    assert!(matches!(stopped, StopOutcome::Stopped(_)), "{stopped:?}");
    assert_eq!(world.acs.recordings(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_that_only_web_pages_answered_is_not_called_done() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.trouble(Op::Stop, &Trouble::Page(404), ATTEMPTS);
    let stopped = world.control.stop(&id, &API).await;
    assert!(matches!(stopped, Err(ControlError::Acs(_))), "{stopped:?}");
    assert_eq!(world.state(&id).await, RecordingState::Active);
}

#[tokio::test]
async fn the_guard_ends_a_pause_although_web_pages_answered_it_before() {
    let world = World::new().await;
    let id = world.recording().await;
    let after = Some(Duration::from_secs(1));
    let paused = world.control.pause(&id, after, &API).await;
    paused.expect("ACS pauses");
    world.pass(2);
    world.acs.trouble(Op::Resume, &Trouble::Page(404), ATTEMPTS);
    world.sweep().await;
    assert_eq!(world.is_paused(&id), Some(true));
    assert_eq!(world.state(&id).await, RecordingState::Paused);
    world.pass(61);
    world.sweep().await;
    assert_eq!(world.is_paused(&id), Some(false));
    assert_eq!(world.state(&id).await, RecordingState::Active);
}

#[tokio::test]
async fn a_recording_that_one_answer_called_unknown_is_stopped_when_it_runs() {
    let world = World::new().await;
    let id = world.recording().await;
    world
        .acs
        .trouble(Op::State, &Trouble::Refused(404, "8522"), 1);
    let view = world.control.state(&id).await.expect("ACS answers");
    assert_eq!(view.state, RecordingState::Stopped);
    let stopped = world.control.stop(&id, &API).await.expect("ACS stops it");
    assert!(matches!(stopped, StopOutcome::Stopped(_)), "{stopped:?}");
    assert_eq!(world.acs.recordings(), Vec::<String>::new());
}

#[tokio::test]
async fn a_caller_gets_the_recording_of_its_start_that_somebody_else_resolved() {
    for is_found_by_the_sweep in [true, false] {
        let world = World::new().await;
        let (start, request_id) = (start_with_consent(), Uuid::new_v4());
        world.acs.trouble(Op::Start, LOST, ATTEMPTS);
        let lost = world.control.start(&start, request_id, &API).await;
        assert!(matches!(lost, Err(ControlError::StartUnknown { .. })));
        world.pass(41);
        if is_found_by_the_sweep {
            world.sweep().await;
        } else {
            in_progress(world.start(&plain_start()).await).expect("it is recovered");
        }
        let view = world.control.start(&start, request_id, &API).await;
        let id = view.expect("it is its own start").recording_id;
        let options = world.account(&id).await.options;
        assert_eq!(
            options.recording_state_callback_uri.as_deref(),
            Some("https://app.example/api/recordings/callbacks")
        );
        // Another callback is another start.
        let other = parsed(&json!({
            "serverCallId": "abc", "recordingFormatType": "mp3",
            "recordingStateCallbackUri": "https://other.example/callbacks"}));
        let reused = world.control.start(&other, request_id, &API).await;
        assert!(matches!(reused, Err(ControlError::KeyReused { .. })));
    }
}

#[tokio::test]
async fn a_lost_start_that_acs_answers_with_the_recording_of_another_call_registers_nothing() {
    let world = World::new().await;
    let request_id = Uuid::new_v4();
    let of_one = world
        .control
        .start(&start_of("one"), request_id, &API)
        .await;
    let id = of_one.expect("it starts").recording_id;
    world.acs.trouble(Op::Start, LOST, ATTEMPTS);
    let other = start_of("other");
    let lost = world.control.start(&other, request_id, &API).await;
    assert!(matches!(lost, Err(ControlError::StartUnknown { .. })));
    let before = world.account(&id).await;
    world.pass(41);
    world.sweep().await;
    assert_eq!(open_starts(&world).await, 0);
    assert_eq!(world.account(&id).await.call, before.call);
    // Its call is free.
    let started = world.start(&other).await;
    assert_ne!(started.expect("it starts"), id);
}

fn start_of(call: &str) -> Start {
    parsed(&json!({"serverCallId": call}))
}

async fn lost(world: &World, start: &Start) {
    world.acs.trouble(Op::Start, LOST, ATTEMPTS);
    assert!(is_unknown(&world.start(start).await));
}

#[tokio::test]
async fn an_unreadable_call_keeps_no_other_start_waiting() {
    let world = World::new().await;
    lost(&world, &start_of("first")).await;
    let key = world.store.list("calls/", None, 10).await;
    let key = key.expect("memory works").remove(0);
    let found = world.store.find(&key).await.expect("memory works");
    let version = found.expect("it is there").version;
    let damaged = Bytes::from_static(b"{");
    let put = world
        .store
        .put(&key, damaged, Precondition::Unchanged(version));
    put.await.expect("memory works");
    world.pass(1);
    lost(&world, &start_of("second")).await;
    world.pass(41);
    let budget = Budget::of(Duration::from_secs(30));
    let report = world.control.sweep(budget).await.expect("it can list them");
    assert_eq!(report.failed, 1, "the damaged one");
    let id = "r2".parse().expect("it is an id");
    assert_eq!(world.state(&id).await, RecordingState::Active);
    assert_eq!(open_starts(&world).await, 1, "the damaged one is kept");
}

#[tokio::test]
async fn a_start_does_not_ask_again_and_again_where_a_refusal_cannot_be_stored() {
    let world = World::new().await;
    lost_start(&world, &Trouble::Refused(503, "9999")).await;
    world.are_calls_read_only.store(true, Ordering::SeqCst);
    let refused = Trouble::Refused(400, "8501");
    world.acs.trouble(Op::Start, &refused, 1000);
    let next = world.start(&plain_start()).await;
    assert!(matches!(next, Err(ControlError::Register(_))), "{next:?}");
    assert_eq!(world.acs.starts().len(), ATTEMPTS + 1);
}

#[tokio::test]
async fn a_start_with_consent_whose_reservation_is_unknown_is_not_refused() {
    let world = World::new().await;
    world.are_calls_read_only.store(true, Ordering::SeqCst);
    let unknown = world.start(&start_with_consent()).await;
    assert!(
        is_unknown(&unknown),
        "a late write may start it: {unknown:?}"
    );
    world.is_broken.store(true, Ordering::SeqCst);
    let failed = world.start(&start_with_consent()).await;
    assert!(
        matches!(failed, Err(ControlError::Register(_))),
        "nothing was written: {failed:?}"
    );
    assert!(world.acs.recordings().is_empty());
}

#[tokio::test]
async fn a_repeated_start_finds_its_recording_whose_event_writes_the_call_otherwise() {
    let world = World::new().await;
    let (start, request_id) = (start_of("aHR0cHM6Ly9jL2E/aT02"), Uuid::new_v4());
    world.acs.trouble(Op::Start, LOST, ATTEMPTS);
    let lost = world.control.start(&start, request_id, &API).await;
    assert!(matches!(lost, Err(ControlError::StartUnknown { .. })));
    let event = announced("r1", "aHR0cHM6Ly9jL2E_aT02");
    let Ok(IncomingEvent::RecordingFileStatusUpdated(update)) = IncomingEvent::parse(&event) else {
        panic!("{event}");
    };
    let announced = world.control.announced(&update).await;
    announced.expect("the store works");
    let view = world.control.start(&start, request_id, &API).await;
    assert_eq!(view.expect("it is its start").recording_id.as_str(), "r1");
}

fn announced(recording: &str, call: &str) -> Value {
    json!({"id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": "2026-03-02T12:00:00Z",
        "subject": format!("/recording/call/c/serverCallId/{call}/recordingId/{recording}"),
        "data": {"recordingStorageInfo": {"recordingChunks": [{"documentId": "d0", "index": 0}]}}})
}
