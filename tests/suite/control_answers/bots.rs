//! Commands of bots while ACS or the register fails: none is dropped, and none is answered with what is not known.

use std::pin::pin;

use recording_vault::control::telephony::{AfterResponse, Telephony};

use super::*;
use crate::support::held_store::HeldStore;

/// The call of [`plain_start`].
const CALL: &str = "abc";
const CONVERSATION: &str = "conversation";
/// More than a bot waits for.
const MANY: usize = 1000;
/// Longer than any delay between two attempts.
const LONG_SECONDS: u64 = 20 * 60;

fn telephony(world: &World) -> Arc<Telephony> {
    let control = Arc::clone(&world.control);
    Arc::new(Telephony::new(control, world.store.clone(), None))
}

/// Time passes while something is done: attempts are due some seconds later.
async fn while_time_passes<T>(world: &World, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => world.pass(1),
        }
    }
}

fn activity(action: &str, id: &str) -> Value {
    let name = format!("channel/vnd.microsoft.telephony.recording.{action}");
    json!({"type": "command", "name": name, "value": {"commandId": id, "data": {"serverCallId": CALL}}})
}

/// The value of a command's result.
async fn command(world: &World, telephony: &Arc<Telephony>, action: &str, id: &str) -> Value {
    let mut activity = activity(action, id);
    activity["deliveryMode"] = "expectReplies".into();
    let body = activity.to_string();
    let taken = telephony.take(CONVERSATION, body.as_bytes(), AfterResponse::Continues);
    let taken = while_time_passes(world, taken).await;
    let result = taken.expect("the store works").result;
    result.expect("it is wanted")["value"].clone()
}

/// Sends an activity whose work is done when it is answered.
async fn send(world: &World, telephony: &Arc<Telephony>, activity: &Value) {
    let body = activity.to_string();
    let taken = telephony.take(CONVERSATION, body.as_bytes(), AfterResponse::IsFrozen);
    let taken = while_time_passes(world, taken).await;
    taken.expect("the store works");
}

/// The next sweep, when everything is due.
async fn sweep_later(world: &World, telephony: &Telephony) {
    world.pass(LONG_SECONDS);
    let swept = telephony.sweep(Budget::of(Duration::from_secs(30))).await;
    swept.expect("the store works");
}

async fn has_open_commands(world: &World) -> bool {
    let open = world.store.list("telephony-open/", None, 1).await;
    !open.expect("the store works").is_empty()
}

fn id_of(result: &Value) -> &str {
    let id = result["data"]["recordingId"].as_str();
    id.unwrap_or_else(|| panic!("it names its recording: {result}"))
}

#[tokio::test]
async fn a_command_whose_outcome_is_not_known_is_carried_out_when_it_is_sent_again() {
    for (action, op, trouble, state) in [
        ("start", Op::Start, LOST, "active"),
        ("pause", Op::Pause, &Trouble::Refused(503, "down"), "paused"),
        ("stop", Op::Stop, LOST, "stopped"),
    ] {
        let world = World::new().await;
        let telephony = telephony(&world);
        if op != Op::Start {
            command(&world, &telephony, "start", "first").await;
            world.pass(90);
        }
        world.acs.trouble(op, trouble, MANY);
        let unknown = command(&world, &telephony, action, "1").await;
        assert!(unknown["error"]["code"].is_string(), "{action}: {unknown}");
        world.acs.calm();
        world.pass(120);
        let known = command(&world, &telephony, action, "1").await;
        assert_eq!(known["data"]["recordingState"], state, "{action}: {known}");
        assert_eq!(id_of(&known), "r1", "{action}: there is one recording");
        let asked = world.acs.asked(op);
        assert_eq!(command(&world, &telephony, action, "1").await, known);
        assert_eq!(world.acs.asked(op), asked, "{action}: it is known");
    }
}

#[tokio::test]
async fn a_register_that_fails_is_no_answer_and_a_command_that_was_refused_is_not_repeated() {
    let world = World::new().await;
    let telephony = telephony(&world);
    let refused = command(&world, &telephony, "pause", "early").await;
    assert_eq!(refused["error"]["code"], "RecordingNotStarted");
    let id = world.recording().await;
    world.is_broken.store(true, Ordering::SeqCst);
    let unknown = command(&world, &telephony, "pause", "1").await;
    assert_eq!(unknown["error"]["code"], "ServiceError", "{unknown}");
    world.is_broken.store(false, Ordering::SeqCst);
    let paused = command(&world, &telephony, "pause", "1").await;
    assert_eq!(id_of(&paused), id.to_string());
    assert_eq!(command(&world, &telephony, "pause", "early").await, refused);
}

#[tokio::test]
async fn the_recording_of_a_bot_that_left_is_stopped_as_soon_as_acs_stops_it() {
    let leave = json!({"type": "event", "name": "handoff.initiate", "value": {}});
    for (status, code) in [(503, "down"), (409, "8571"), (400, "odd")] {
        let world = World::new().await;
        let telephony = telephony(&world);
        let started = command(&world, &telephony, "start", "1").await;
        let id = id_of(&started);
        world.pass(90);
        let refused = Trouble::Refused(status, code);
        world.acs.trouble(Op::Stop, &refused, MANY);
        send(&world, &telephony, &leave).await;
        for _ in 0..11 {
            sweep_later(&world, &telephony).await;
        }
        assert_eq!(world.acs.is_paused(id), Some(false), "{code}");
        let paused = command(&world, &telephony, "pause", "2").await;
        assert_eq!(
            paused["data"]["recordingState"], "paused",
            "{code}: it is not held back"
        );
        world.acs.calm();
        sweep_later(&world, &telephony).await;
        assert_eq!(world.acs.is_paused(id), None, "{code}: it is stopped");
        assert!(!has_open_commands(&world).await, "{code}");
    }
}

#[tokio::test]
async fn a_leave_ends_no_recording_that_was_started_after_it() {
    let world = World::new().await;
    let telephony = telephony(&world);
    command(&world, &telephony, "start", "1").await;
    world.pass(90);
    let refused = Trouble::Refused(503, "down");
    world.acs.trouble(Op::Stop, &refused, MANY);
    let leave = json!({"type": "endOfConversation", "id": "e"});
    send(&world, &telephony, &leave).await;
    world.acs.end("r1");
    world.acs.calm();
    let second = command(&world, &telephony, "start", "2").await;
    sweep_later(&world, &telephony).await;
    assert_eq!(world.acs.is_paused(id_of(&second)), Some(false));
    assert!(!has_open_commands(&world).await, "the first one has ended");
}

#[tokio::test]
async fn a_leave_while_the_register_fails_ends_the_recording_of_the_call_later() {
    let world = World::new().await;
    let telephony = telephony(&world);
    let id = world.recording().await.to_string();
    world.is_broken.store(true, Ordering::SeqCst);
    let leave =
        json!({"type": "endOfConversation", "id": "e", "channelData": {"serverCallId": CALL}});
    let body = leave.to_string();
    let taken = telephony.take(CONVERSATION, body.as_bytes(), AfterResponse::IsFrozen);
    // The register fails for as long as the request may take.
    let _ = tokio::time::timeout(Duration::from_secs(1), taken).await;
    assert_eq!(world.acs.is_paused(&id), Some(false));
    world.is_broken.store(false, Ordering::SeqCst);
    sweep_later(&world, &telephony).await;
    assert_eq!(world.acs.is_paused(&id), None);
    assert!(!has_open_commands(&world).await);
}

#[tokio::test]
async fn where_the_process_is_frozen_after_a_response_a_command_is_carried_out_before_it() {
    let world = World::new().await;
    let telephony = telephony(&world);
    send(&world, &telephony, &activity("start", "1")).await;
    assert_eq!(world.acs.recordings(), ["r1"]);
    world.pass(90);
    // The first attempt fails, and another one follows in time.
    let refused = Trouble::Refused(503, "down");
    world.acs.trouble(Op::Pause, &refused, ATTEMPTS);
    send(&world, &telephony, &activity("pause", "2")).await;
    assert_eq!(world.acs.is_paused("r1"), Some(true));
}

#[tokio::test]
async fn a_command_that_is_stored_while_a_sweep_removes_the_marker_is_continued_by_the_next() {
    let world = World::new().await;
    let telephony = telephony(&world);
    let started = command(&world, &telephony, "start", "1").await;
    world.pass(90);
    world
        .acs
        .trouble(Op::Stop, &Trouble::Refused(503, "down"), MANY);
    let held = HeldStore::holding(&world.store, Kind::Put, "telephony/", 0);
    let control = Arc::clone(&world.control);
    let slow = Arc::new(Telephony::new(control, held.clone(), None));
    let leave = json!({"type": "endOfConversation", "id": "e"});
    let sweeping = async {
        held.reached().await;
        sweep_later(&world, &telephony).await;
        assert!(!has_open_commands(&world).await, "nothing is open yet");
        held.release();
    };
    tokio::join!(send(&world, &slow, &leave), sweeping);
    assert!(has_open_commands(&world).await, "no sweep would find it");
    world.acs.calm();
    sweep_later(&world, &telephony).await;
    assert_eq!(world.acs.is_paused(id_of(&started)), None, "it is stopped");
    assert!(!has_open_commands(&world).await);
}

/// A start of which the answers are lost, and which ACS carried out.
async fn unknown_start(world: &World, telephony: &Arc<Telephony>) {
    world.acs.trouble(Op::Start, LOST, MANY);
    let unknown = command(world, telephony, "start", "1").await;
    assert_eq!(unknown["error"]["code"], "ServiceError", "{unknown}");
    assert_eq!(world.acs.recordings(), ["r1"]);
}

/// The sweep asks ACS what became of the start.
async fn resolve(world: &World) {
    world.acs.calm();
    world.pass(60);
    let swept = world.control.sweep(Budget::of(Duration::from_secs(30)));
    swept.await.expect("the store works");
}

#[tokio::test]
async fn a_leave_while_a_start_is_unknown_stops_the_recording_that_it_began() {
    let world = World::new().await;
    let telephony = telephony(&world);
    unknown_start(&world, &telephony).await;
    let leave = json!({"type": "endOfConversation", "id": "e"}).to_string();
    let taken = telephony.take(CONVERSATION, leave.as_bytes(), AfterResponse::IsFrozen);
    // It is unknown for longer than the request may take.
    let _ = tokio::time::timeout(Duration::from_secs(1), taken).await;
    assert!(has_open_commands(&world).await);
    resolve(&world).await;
    assert_eq!(world.acs.is_paused("r1"), Some(false), "it runs");
    sweep_later(&world, &telephony).await;
    assert_eq!(world.acs.is_paused("r1"), None);
    assert!(!has_open_commands(&world).await);
}

#[tokio::test]
async fn a_change_while_a_start_is_unknown_is_not_answered_that_nothing_runs() {
    for (action, state) in [("stop", "stopped"), ("pause", "paused")] {
        let world = World::new().await;
        let telephony = telephony(&world);
        unknown_start(&world, &telephony).await;
        let unknown = command(&world, &telephony, action, "2").await;
        assert_eq!(unknown["error"]["code"], "ServiceError", "{unknown}");
        resolve(&world).await;
        let known = command(&world, &telephony, action, "2").await;
        assert_eq!(known["data"]["recordingState"], state, "{known}");
    }
}

#[tokio::test]
async fn a_leave_that_waits_for_an_unknown_start_ends_no_recording_that_others_began_later() {
    let world = World::new().await;
    let telephony = telephony(&world);
    let nothing = Trouble::Refused(503, "9999");
    world.acs.trouble(Op::Start, &nothing, MANY);
    let unknown = command(&world, &telephony, "start", "1").await;
    assert_eq!(unknown["error"]["code"], "ServiceError", "{unknown}");
    let leave = json!({"type": "endOfConversation", "id": "e"}).to_string();
    let taken = telephony.take(CONVERSATION, leave.as_bytes(), AfterResponse::IsFrozen);
    let _ = tokio::time::timeout(Duration::from_secs(1), taken).await;
    assert!(has_open_commands(&world).await);
    // The start is given up, and a caller records the call.
    world.acs.calm();
    world.pass(10 * 60);
    let id = world.recording().await;
    sweep_later(&world, &telephony).await;
    assert_eq!(world.is_paused(&id), Some(false), "it runs");
    assert!(!has_open_commands(&world).await);
}

#[tokio::test]
async fn where_a_start_was_given_up_nobody_hears_that_nothing_runs() {
    let world = World::new().await;
    let telephony = telephony(&world);
    unknown_start(&world, &telephony).await;
    world.pass(10 * 60);
    let swept = world.control.sweep(Budget::of(Duration::from_secs(30)));
    swept.await.expect("the store works");
    let unknown = command(&world, &telephony, "stop", "2").await;
    assert_eq!(unknown["error"]["code"], "ServiceError", "{unknown}");
}
