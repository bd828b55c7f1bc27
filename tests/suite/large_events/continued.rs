//! Kept events with which the sweep continues while parts of the ledger fail, and whose chunks conflict.

use std::time::Duration;

use recording_vault::export::ledger::WhyKept;
use recording_vault::intake::Intake;
use serde_json::json;

use super::{World, budget, event_of, take};
use crate::support::failing_store::FailingStore;

async fn sweep(intake: &Intake) {
    let swept = intake.continue_events(budget()).await;
    swept.expect("the ledger works");
}

#[tokio::test(start_paused = true)]
async fn a_set_aside_event_stays_set_aside_while_the_register_cannot_be_read() {
    let world = World::new();
    let event = event_of("killer", 2, 70 << 10);
    for _ in 0..3 {
        world.ends_over(&event).await;
    }
    take(&world.intake(), &event).await;
    let register = FailingStore::of(&world.store, "recordings/");
    sweep(&world.intake_with(world.store.clone(), register)).await;
    assert_eq!(world.chunk_count().await, 0, "it may be erased");
    for prefix in ["poison/", "events/", "begun/"] {
        assert_eq!(world.kept(prefix).await, 1, "{prefix}");
    }

    world.clock.advance(Duration::from_mins(16));
    sweep(&world.intake()).await;
    assert_eq!(world.chunk_count().await, 2);
    for prefix in ["poison/", "events/", "begun/"] {
        assert_eq!(world.kept(prefix).await, 0, "{prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_beyond_a_thousand_that_fails_does_not_keep_the_others_from_being_recorded() {
    let world = World::new();
    take(&world.intake(), &event_of("many", 1004, 0)).await;
    let store = FailingStore::of(&world.store, "chunks/many-1001.");
    sweep(&world.intake_through(store)).await;
    assert_eq!(world.chunk_count().await, 1003);
    assert_eq!(world.kept("events/").await, 1, "one is not recorded yet");
    world.clock.advance(Duration::from_mins(16));
    sweep(&world.intake()).await;
    assert_eq!(world.chunk_count().await, 1004);
    assert_eq!(world.kept("events/").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_of_a_chunk_beyond_a_thousand_is_kept_as_poison() {
    let world = World::new();
    let mut known = event_of("many", 1003, 0);
    let chunks = &mut known["data"]["recordingStorageInfo"]["recordingChunks"];
    *chunks = json!([chunks[1002]]);
    take(&world.intake(), &known).await;
    let mut event = event_of("many", 1004, 0);
    event["data"]["recordingStorageInfo"]["recordingChunks"][1002]["contentLocation"] =
        "https://evil.example/v1/objects/many-1002/content/video".into();
    let (_, unreadable) = take(&world.intake(), &event).await;
    assert_eq!(unreadable, Vec::<String>::new());
    sweep(&world.intake()).await;
    assert_eq!(world.chunk_count().await, 1004);
    assert_eq!(world.kept("events/").await, 0);
    assert_eq!(world.kept("poison/").await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_an_event_that_cannot_be_read_any_more_is_kept_as_poison() {
    let world = World::new();
    let mut event = event_of("many", 1, 0);
    event["data"] = json!("something else");
    let ledger = world.ledger();
    let kept = ledger.keep_event(&event, WhyKept::Continued, 1000);
    kept.await.expect("the ledger works");
    sweep(&world.intake()).await;
    assert_eq!(world.kept("events/").await, 0);
    assert_eq!(world.kept("poison/").await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_notes_of_an_event_that_is_no_longer_delivered_are_removed() {
    let world = World::new();
    world.ends_over(&event_of("killer", 2, 70 << 10)).await;
    let housekeep = async || {
        let intake = world.intake();
        let kept = intake.housekeep(Duration::from_hours(1000)).await;
        kept.expect("the ledger works");
        world.kept("begun/").await
    };
    assert_eq!(housekeep().await, 1, "it may come again");
    world.clock.advance(Duration::from_hours(49));
    assert_eq!(housekeep().await, 0);
}
