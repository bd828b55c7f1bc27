//! The report of a day: made again when something of that day comes later, and whole after a kill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::RecordingControl;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{Budget, ChunkLedger, Vaults};
use recording_vault::recording::RecordingId;
use recording_vault::standing::Standing;
use recording_vault::store::document_store::{DocumentStore as _, StoreError};
use recording_vault::vault::memory::MemoryVault;
use serde_json::{Value, json};

use super::{API, World, plain_start, update};
use crate::support::guarded_store::{Guard, GuardedStore, Kind};

async fn reported(world: &World) -> (usize, String, usize) {
    let json = world.document("reports/2026-03-02.json").await;
    let json: Value = serde_json::from_str(&json.expect("it is made")).expect("a report is JSON");
    let text = world.document("reports/2026-03-02.txt").await;
    let summary = world.document("reports/2026-03-02-summary.json").await;
    let summary: Value =
        serde_json::from_str(&summary.expect("it is made")).expect("a summary is JSON");
    let count = |value: &Value| {
        usize::try_from(value.as_u64().expect("it is a number")).expect("it is small")
    };
    let recordings = json["recordings"].as_array().expect("it is a list").len();
    (
        recordings,
        text.expect("it is made"),
        count(&summary["recordings"]),
    )
}

#[tokio::test]
async fn a_report_is_made_again_when_something_of_its_day_comes_later() {
    let world = World::new().await;
    let id = world.recording().await;
    world.control.stop(&id, &API).await.expect("ACS stops");
    world.pass(15 * 60 * 60);
    world.report().await;
    assert_eq!(reported(&world).await.0, 1);
    let late: RecordingId = "late".parse().expect("it is an id");
    let mut event = update(
        &late,
        world.clock.now(),
        &json!([{"documentId": "d", "index": 0}]),
    );
    event.started_at = Some("2026-03-02T13:00:00Z".parse().expect("it is a time"));
    world
        .control
        .announced(&event)
        .await
        .expect("the store works");
    world.pass(60);
    world.report().await;
    let (recordings, text, summarised) = reported(&world).await;
    assert_eq!((recordings, summarised), (2, 2));
    assert!(text.starts_with("Recordings of 2026-03-02: 2,"), "{text}");
    world.pass(420);
    world.report().await;
    let due = world.store.list("reports-due/", None, 10).await;
    assert_eq!(due.expect("memory works"), Vec::<String>::new());
}

#[tokio::test]
async fn a_recording_that_was_opened_by_a_stop_comes_under_its_day() {
    let world = World::new().await;
    world.pass(12 * 60 * 60 + 60);
    let id = world.start(&plain_start()).await.expect("ACS starts it");
    // As if it had been started past us.
    for key in world.store.list("", None, 100).await.expect("memory works") {
        world.store.remove(&key).await.expect("memory works");
    }
    world.control.stop(&id, &API).await.expect("ACS stops");
    let mut event = update(
        &id,
        world.clock.now(),
        &json!([{"documentId": "d", "index": 0}]),
    );
    let began = world.clock.now() - SignedDuration::from_mins(30);
    event.started_at = Some(began);
    world
        .control
        .announced(&event)
        .await
        .expect("the store works");
    let register = world.control.register();
    for (day, recordings) in [("2026-03-01", 0), ("2026-03-02", 1), ("2026-03-03", 0)] {
        let day = day.parse().expect("it is a day");
        let found = register.of_day(day, None, 10).await;
        assert_eq!(found.expect("memory works").len(), recordings, "{day}");
    }
}

#[tokio::test]
async fn what_a_kill_left_of_a_report_the_next_sweep_makes() {
    let world = World::new().await;
    let id = world.recording().await;
    world.control.stop(&id, &API).await.expect("ACS stops");
    world.pass(15 * 60 * 60);
    world.report().await;
    for form in ["reports/2026-03-02.txt", "reports/2026-03-02-summary.json"] {
        world.store.remove(form).await.expect("memory works");
        world.pass(60);
        world.report().await;
        assert_eq!(reported(&world).await.2, 1, "{form}");
    }
}

/// The sweep of another process, right before a survey lists the recordings whose files are awaited.
struct SweepBetween {
    control: Arc<RecordingControl>,
    is_done: AtomicBool,
}

#[async_trait]
impl Guard for SweepBetween {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        let is_it = kind == Kind::List && key.starts_with("awaiting/");
        if is_it && !self.is_done.swap(true, Ordering::SeqCst) {
            let budget = Budget::of(Duration::from_secs(30));
            let reported = self.control.report_missing(budget).await;
            assert_eq!(reported.expect("the store works"), 1);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_survey_sees_what_another_process_finds_missing_meanwhile() {
    let world = World::new().await;
    let id = world.recording().await;
    world.control.stop(&id, &API).await.expect("ACS stops");
    world.pass(60 * 60);
    let sweep = SweepBetween {
        control: Arc::clone(&world.control),
        is_done: AtomicBool::new(false),
    };
    let store = GuardedStore::new(&world.store, sweep);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&world.clock);
    let (day, claim) = (Duration::from_hours(24), Duration::from_mins(5));
    let ledger = ChunkLedger::new(store.clone(), Arc::clone(&clock), day, claim);
    let register = RecordingRegister::new(store.clone(), Duration::from_mins(30));
    let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
    let catalogue = Catalogue::new(ledger, register, vaults, clock);
    let survey = catalogue.survey(None).await.expect("the store works");
    assert!(store.is_done.load(Ordering::SeqCst));
    assert_eq!(survey.counts().get(&Standing::Missing), Some(&1));
}
