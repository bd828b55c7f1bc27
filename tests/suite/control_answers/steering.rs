//! Pauses, resumes and stops whose answers come late or never.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::control::ControlError;
use recording_vault::control::entry::PauseEnd;
use recording_vault::control::state::RecordingState;
use recording_vault::control::steering::StopOutcome;
use recording_vault::export::Budget;
use serde_json::json;

use super::{API, World, plain_start};
use crate::support::fake_acs::Op;

#[tokio::test]
async fn a_late_answer_to_a_resume_leaves_a_newer_pause_open_and_its_guard_in_place() {
    let world = World::new().await;
    let id = world.recording().await;
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    world.pass(1);
    let (hold, resuming) = world.asks_and_waits(Op::Resume, &id, API).await;
    world.pass(1);
    let after = Some(Duration::from_mins(10));
    world
        .control
        .pause(&id, after, &API)
        .await
        .expect("ACS pauses");
    hold.release();
    resuming
        .await
        .expect("no panic")
        .expect("ACS resumed before");
    assert_eq!(world.state(&id).await, RecordingState::Paused);
    assert_eq!(world.is_paused(&id), Some(true));
    world.pass(601);
    world.sweep().await;
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Active, Some(false))
    );
    let ends: Vec<_> = world.account(&id).await.pauses;
    let ends: Vec<_> = ends.iter().map(|pause| pause.ended_by).collect();
    assert_eq!(ends, [Some(PauseEnd::Caller), Some(PauseEnd::Guard)]);
}

#[tokio::test]
async fn a_late_answer_to_a_pause_does_not_reopen_it() {
    let world = World::new().await;
    let id = world.recording().await;
    let (hold, pausing) = world.asks_and_waits(Op::Pause, &id, API).await;
    world.pass(1);
    world.control.resume(&id, &API).await.expect("ACS resumes");
    hold.release();
    pausing.await.expect("no panic").expect("ACS paused before");
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Active, Some(false))
    );
    assert_eq!(world.account(&id).await.pauses.len(), 1);
}

#[tokio::test]
async fn a_guard_that_comes_late_does_not_end_a_newer_pause() {
    let world = World::new().await;
    let id = world.recording().await;
    let after = Some(Duration::from_secs(5));
    world
        .control
        .pause(&id, after, &API)
        .await
        .expect("ACS pauses");
    world.pass(6);
    let hold = world.acs.hold(Op::Resume);
    let sweeping = {
        let control = Arc::clone(&world.control);
        tokio::spawn(async move { control.sweep(Budget::of(Duration::from_secs(30))).await })
    };
    hold.arrived().await;
    world.control.resume(&id, &API).await.expect("ACS resumes");
    world.pass(1);
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    hold.release();
    sweeping.await.expect("no panic").expect("the store works");
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Paused, Some(true))
    );
}

#[tokio::test]
async fn no_late_answer_brings_an_ended_recording_back() {
    for op in [Op::Pause, Op::Resume] {
        let world = World::new().await;
        let id = world.recording().await;
        if op == Op::Resume {
            world
                .control
                .pause(&id, None, &API)
                .await
                .expect("ACS pauses");
        }
        let (hold, late) = world.asks_and_waits(op, &id, API).await;
        world.control.stop(&id, &API).await.expect("ACS stops");
        // Longer than ACS takes to report a change.
        world.pass(300);
        hold.release();
        late.await.expect("no panic").expect("ACS did it before");
        let account = world.account(&id).await;
        assert_eq!(account.state(), RecordingState::Stopped, "{op:?}");
        assert!(account.pauses.iter().all(|pause| pause.ended_at.is_some()));
        let listed = world.control.running(None, 10).await;
        assert!(
            listed.expect("the store works").recordings.is_empty(),
            "{op:?}"
        );
    }
}

#[tokio::test]
async fn a_pause_in_the_first_minute_survives_a_killed_handler() {
    for resume_after in [None, Some(Duration::from_mins(20))] {
        let world = World::new().await;
        let id = world.start(&plain_start()).await.expect("ACS starts it");
        let hold = world.acs.hold_answer(Op::Pause);
        let paused_at = world.clock.now();
        let killed = {
            let (control, id) = (Arc::clone(&world.control), id.clone());
            tokio::spawn(async move { control.pause(&id, resume_after, &API).await })
        };
        hold.arrived().await;
        killed.abort();
        world.pass(61);
        world.sweep().await;
        let account = world.account(&id).await;
        let pause = account.open_pause().expect("it is paused");
        assert_eq!(pause.started_at, paused_at);
        world.pass(1200);
        world.sweep().await;
        assert_eq!(world.is_paused(&id), Some(resume_after.is_none()));
    }
}

#[tokio::test]
async fn a_resume_of_a_killed_handler_is_found_out() {
    let world = World::new().await;
    let id = world.recording().await;
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    let (_hold, killed) = world.asks_and_waits(Op::Resume, &id, API).await;
    killed.abort();
    world.pass(61);
    world.sweep().await;
    let account = world.account(&id).await;
    assert_eq!(account.state(), RecordingState::Active);
    assert_eq!(account.pauses[0].ended_by, Some(PauseEnd::Caller));
    assert!(account.intentions.is_empty());
}

#[tokio::test]
async fn a_stop_asks_acs_unless_more_than_one_answer_says_that_the_recording_ended() {
    let world = World::new().await;
    let id = world.recording().await;
    world.acs.end(id.as_str());
    let ended = world.control.stop(&id, &API).await.expect("it worked");
    assert!(matches!(ended, StopOutcome::EndedBefore(_)), "{ended:?}");
    let ended_at = world.account(&id).await.status;
    world.pass(100);
    let again = world.control.stop(&id, &API).await.expect("it is stopped");
    assert!(matches!(again, StopOutcome::WasStopped(_)), "{again:?}");
    assert_eq!(world.account(&id).await.status, ended_at);
    assert_eq!(world.acs.asked(Op::Stop), 2, "only ACS said that it ended");
    let id = world.recording().await;
    for _ in 0..2 {
        world.control.stop(&id, &API).await.expect("it is stopped");
    }
    assert_eq!(world.acs.asked(Op::Stop), 3, "ACS stopped it for us");
    let id = world.recording().await;
    world.acs.end(id.as_str());
    world.announced(&id, &json!([])).await;
    let ended = world.control.stop(&id, &API).await.expect("it is stopped");
    assert!(matches!(ended, StopOutcome::WasStopped(_)), "{ended:?}");
    assert_eq!(world.acs.asked(Op::Stop), 3, "an event reported its end");
}

#[tokio::test]
async fn without_its_register_everything_is_sent_but_a_pause_that_the_guard_must_end() {
    let world = World::new().await;
    let id = world.recording().await;
    world.is_broken.store(true, Ordering::SeqCst);
    let guarded = world.control.pause(&id, Some(Duration::from_mins(1)), &API);
    assert!(matches!(guarded.await, Err(ControlError::Register(_))));
    assert_eq!(world.acs.asked(Op::Pause), 0);
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    world.control.resume(&id, &API).await.expect("ACS resumes");
    world.control.stop(&id, &API).await.expect("ACS stops");
    assert_eq!(world.is_paused(&id), None);
}

#[tokio::test]
async fn a_pause_that_reaches_acs_after_a_resume_ends_as_promised() {
    let world = World::new().await;
    let id = world.recording().await;
    let hold = world.acs.hold(Op::Pause);
    let pausing = {
        let (control, id) = (Arc::clone(&world.control), id.clone());
        let after = Some(Duration::from_mins(10));
        tokio::spawn(async move { control.pause(&id, after, &API).await })
    };
    hold.arrived().await;
    world.pass(1);
    world.control.resume(&id, &API).await.expect("it records");
    hold.release();
    let paused = pausing.await.expect("no panic").expect("ACS pauses");
    assert_eq!(paused.state, RecordingState::Paused);
    assert_eq!(world.is_paused(&id), Some(true));
    world.pass(600);
    world.sweep().await;
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Active, Some(false))
    );
}

#[tokio::test]
async fn a_pause_that_a_resume_ended_when_it_arrived_a_second_time_is_paused_again() {
    let world = World::new().await;
    let id = world.recording().await;
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    world.pass(5);
    world.control.resume(&id, &API).await.expect("ACS resumes");
    world.pass(5);
    world
        .control
        .pause(&id, None, &API)
        .await
        .expect("ACS pauses");
    world.acs.resume(id.as_str());
    world.pass(61);
    world.sweep().await;
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Paused, Some(true))
    );
    // Long after our own resume it is another one that ended the pause.
    world.acs.resume(id.as_str());
    world.pass(900);
    world.sweep().await;
    assert_eq!(
        (world.state(&id).await, world.is_paused(&id)),
        (RecordingState::Active, Some(false))
    );
}

#[tokio::test]
async fn a_pause_that_acs_contradicts_is_unknown_until_no_clock_explains_it() {
    let world = World::new().await;
    let id = world.recording().await;
    let paused = world.control.pause(&id, None, &API).await;
    paused.expect("ACS pauses it");
    // Somebody else resumes it.
    world.acs.resume(id.as_str());
    for (seconds, expected) in [
        (59, RecordingState::Paused),
        (1, RecordingState::Unknown),
        (299, RecordingState::Unknown),
        (1, RecordingState::Active),
    ] {
        world.pass(seconds);
        let view = world.control.state(&id).await.expect("ACS answers");
        assert_eq!(view.state, expected, "after {seconds} s more");
    }
}
