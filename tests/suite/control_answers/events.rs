//! What events tell of a recording is a reason to ask ACS, and brings nothing of people back.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::control::entry::Erased;
use recording_vault::control::state::RecordingState;
use recording_vault::export::Budget;
use recording_vault::recording::RecordingId;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use serde_json::json;
use uuid::Uuid;

use super::{API, ATTEMPTS, World, in_progress, plain_start, start_with_consent};
use crate::support::fake_acs::{Op, Trouble};

#[tokio::test]
async fn a_file_event_ends_a_recording_only_when_acs_says_so() {
    let world = World::new().await;
    let id = world.recording().await;
    let chunks = json!([{"documentId": "0-eus-d1-a", "index": 0}]);
    world.announced(&id, &chunks).await;
    assert_eq!(world.state(&id).await, RecordingState::Active, "it runs");
    world.acs.end(id.as_str());
    world
        .acs
        .trouble(Op::State, &Trouble::Refused(503, "9999"), ATTEMPTS);
    world.announced(&id, &chunks).await;
    assert_eq!(world.state(&id).await, RecordingState::Active, "unknown");
    world.acs.calm();
    world.pass(301);
    world.sweep().await;
    assert_eq!(world.state(&id).await, RecordingState::Stopped);
}

#[tokio::test]
async fn a_call_ended_event_does_not_lift_the_guard_of_a_pause() {
    let world = World::new().await;
    let id = world.recording().await;
    let after = Some(Duration::from_mins(5));
    world
        .control
        .pause(&id, after, &API)
        .await
        .expect("ACS pauses");
    let call = "abc".parse().expect("it is an id");
    let ended = world.control.call_ended(&call, world.clock.now()).await;
    assert_eq!(ended.expect("the store works"), Some(id.clone()));
    assert_eq!(
        in_progress(world.start(&plain_start()).await),
        Some(id.clone())
    );
    world.pass(301);
    world.sweep().await;
    assert_eq!(world.is_paused(&id), Some(false));
}

#[tokio::test]
async fn an_event_without_chunks_does_not_keep_missing_files_from_being_reported() {
    let world = World::new().await;
    let id = world.recording().await;
    world.control.stop(&id, &API).await.expect("ACS stops");
    world.announced(&id, &json!([])).await;
    world.pass(31 * 60);
    let missing = world
        .control
        .report_missing(Budget::of(Duration::from_secs(30)))
        .await;
    assert_eq!(missing.expect("the store works"), 1);
    assert!(world.account(&id).await.is_missing());
}

#[tokio::test]
async fn a_recording_whose_account_is_not_readable_is_looked_at_again_and_holds_up_no_other() {
    let world = World::new().await;
    let first = world.recording().await;
    world.control.stop(&first, &API).await.expect("ACS stops");
    let keys = world.store.list("recordings/", None, 10).await;
    let account = keys.expect("memory works").swap_remove(0);
    let readable = world.document(&account).await.expect("it is there");
    let put = async |content: String| {
        let store = &world.store;
        store.remove(&account).await.expect("memory works");
        let put = store.put(&account, content.into(), Precondition::Absent);
        put.await.expect("memory works");
    };
    let report = async || {
        let budget = Budget::of(Duration::from_secs(30));
        let reported = world.control.report_missing(budget).await;
        reported.expect("the store works")
    };
    world.pass(60);
    let second = world.recording().await;
    world.control.stop(&second, &API).await.expect("ACS stops");
    put("{".to_owned()).await;
    world.pass(31 * 60);
    assert_eq!(report().await, 1);
    assert!(world.account(&second).await.is_missing());
    put(readable).await;
    assert_eq!(report().await, 1);
    assert!(world.account(&first).await.is_missing());
    assert_eq!(report().await, 0);
}

#[tokio::test]
async fn a_late_registration_puts_nothing_of_people_back_into_an_erased_account() {
    let world = World::new().await;
    let hold = world.acs.hold_answer(Op::Start);
    let starting = {
        let control = Arc::clone(&world.control);
        tokio::spawn(async move {
            control
                .start(&start_with_consent(), Uuid::new_v4(), &API)
                .await
        })
    };
    hold.arrived().await;
    world.pass(41);
    world.sweep().await;
    let id: RecordingId = "r1".parse().expect("it is an id");
    world.control.stop(&id, &API).await.expect("ACS stops");
    let erased = Erased {
        at: world.clock.now(),
        reason: "on request".to_owned(),
    };
    let register = world.control.register();
    register.erase(&id, &erased).await.expect("the store works");
    hold.release();
    starting.await.expect("no panic").expect("ACS started it");
    let account = world.account(&id).await;
    assert_eq!((account.consent, account.started_by), (None, None));
    for prefix in ["calls/", "recordings/"] {
        for key in world
            .store
            .list(prefix, None, 10)
            .await
            .expect("memory works")
        {
            let document = world.document(&key).await.expect("it is there");
            assert!(!document.contains("caller"), "{key}: {document}");
        }
    }
}
