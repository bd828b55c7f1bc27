//! Events that are too large for one delivery, that end the process, that cannot be read, or that nobody asked for.

mod continued;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::export::ledger::{Dismissed, LedgerError, WhyKept};
use recording_vault::export::source::RecordingSource;
use recording_vault::export::{Budget, ChunkLedger, LedgerEntry};
use recording_vault::intake::{Intake, Origin};
use recording_vault::recording::{Acknowledgement, DocumentId};
use recording_vault::store::audit::{AuditRecord, FollowedDocument, Operator};
use recording_vault::store::document_store::{DocumentStore, Precondition};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::{Value, json};

use crate::support::fake_source::FakeSource;
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

/// What processes share.
struct World {
    store: Arc<MemoryDocumentStore>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let now = "2026-03-02T10:03:00Z".parse().expect("it is a time");
        Self {
            store: Arc::default(),
            clock: Arc::new(ManualClock::starting_at(now)),
        }
    }

    fn ledger(&self) -> ChunkLedger {
        ChunkLedger::new(self.store.clone(), self.clock.clone(), RETENTION, CLAIM_TTL)
    }

    /// A process whose ledger requests go through this store.
    fn intake_through(&self, store: Arc<dyn DocumentStore>) -> Intake {
        self.intake_with(store, self.store.clone())
    }

    /// A process whose requests go through these stores.
    fn intake_with(
        &self,
        store: Arc<dyn DocumentStore>,
        register: Arc<dyn DocumentStore>,
    ) -> Intake {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let key = "a2V5".parse().expect("it is base64");
        let endpoint = "http://127.0.0.1:9".parse().expect("it is a URL");
        let credential = AcsCredential::AccessKey(key);
        let http = AcsHttp::new(endpoint, credential, Arc::clone(&clock)).expect("there is TLS");
        let client = CallRecordingClient::new(http, "2026-03-12".parse().expect("it is known"));
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: Duration::from_mins(30),
        };
        let control = RecordingControl::new(client, register, Arc::clone(&clock), policy);
        let source: Arc<dyn RecordingSource> = Arc::new(FakeSource::default());
        let ledger = ChunkLedger::new(store, self.clock.clone(), RETENTION, CLAIM_TTL);
        Intake::new(&ledger, &Arc::new(control), &source, None, &clock)
    }

    fn intake(&self) -> Intake {
        self.intake_through(self.store.clone())
    }

    /// A process that ends while it takes this event.
    async fn ends_over(&self, event: &Value) {
        let held = HeldStore::holding(&self.store, Kind::Put, "chunks/", 0);
        let intake = Box::new(self.intake_through(held.clone()));
        // It is never polled again, nor dropped: so does a process that ends.
        let intake: &'static Intake = Box::leak(intake);
        let event: &'static Value = Box::leak(Box::new(event.clone()));
        let mut taking = Box::pin(async move {
            let mut delivery = intake.begin(Origin::EventGrid);
            delivery.take_all(std::slice::from_ref(event)).await
        });
        tokio::select! {
            biased;
            () = held.reached() => {}
            _ = &mut taking => panic!("its write is held"),
        }
        std::mem::forget(taking);
        self.clock.advance(Duration::from_secs(10));
    }

    async fn entry(&self, id: &str) -> Option<LedgerEntry> {
        let id: DocumentId = id.parse().expect("a test's document id is valid");
        let found = self.ledger().find(&id).await.expect("the ledger works");
        found.map(|found| found.entry)
    }

    async fn chunk_count(&self) -> usize {
        let keys = self.store.list("chunks/", None, 10_000).await;
        keys.expect("the store works").len()
    }

    /// What the log says of events, in its order.
    async fn actions_on_events(&self) -> Vec<String> {
        let mut actions = Vec::new();
        let add = |_: &FollowedDocument, record: AuditRecord| {
            if record.subject.starts_with("poison:") {
                actions.push((record.at, record.action.to_string()));
            }
        };
        let ledger = self.ledger();
        let reading = ledger.audit().verify_each(add).await;
        reading.expect("the store works");
        actions.sort_by_key(|(at, _)| *at);
        actions.into_iter().map(|(_, action)| action).collect()
    }

    async fn kept(&self, prefix: &str) -> usize {
        let keys = self.store.list(prefix, None, 10_000).await;
        keys.expect("the store works").len()
    }
}

fn event_of(name: &str, chunks: usize, padding_bytes: usize) -> Value {
    let chunk = |index: usize| {
        let object = format!("https://us-storage.asm.skype.com/v1/objects/{name}-{index}");
        json!({
            "documentId": format!("{name}-{index}"), "index": index, "endReason": "SessionEnded",
            "contentLocation": format!("{object}/content/video"), "deleteLocation": object,
        })
    };
    let chunks: Vec<Value> = (0..chunks).map(chunk).collect();
    json!({
        "id": name, "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": format!("/recording/call/call-of-{name}/serverCallId/server-call-of-{name}/recordingId/{name}"),
        "eventTime": "2026-03-02T10:02:00Z", "data": {
            "recordingStartTime": "2026-03-02T09:00:00Z",
            "recordingStorageInfo": {"recordingChunks": chunks}, "padding": "x".repeat(padding_bytes),
        },
    })
}

async fn take(intake: &Intake, event: &Value) -> (Vec<DocumentId>, Vec<String>) {
    let mut delivery = intake.begin(Origin::EventGrid);
    let taken = delivery.take_all(std::slice::from_ref(event)).await;
    taken.expect("the ledger works");
    (delivery.recorded, delivery.unreadable)
}

fn budget() -> Budget {
    Budget::of(Duration::from_hours(1))
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_each_process_is_set_aside_and_the_sweep_takes_it_when_it_can() {
    let world = World::new();
    let event = event_of("killer", 2, 70 << 10);
    for _ in 0..3 {
        world.ends_over(&event).await;
    }
    let (recorded, unreadable) = take(&world.intake(), &event).await;
    assert!(recorded.is_empty());
    assert_eq!(unreadable.len(), 1, "it is poison");
    let again = take(&world.intake(), &event).await;
    assert_eq!(
        again.1.len(),
        1,
        "it is not taken until the sweep has tried it"
    );
    assert_eq!(world.kept("poison/").await, 1);

    world.clock.advance(Duration::from_secs(1));
    let sweep = world.intake();
    sweep
        .continue_events(budget())
        .await
        .expect("the ledger works");
    assert_eq!(world.chunk_count().await, 2);
    assert_eq!(world.kept("poison/").await + world.kept("events/").await, 0);
    assert_eq!(
        world.actions_on_events().await,
        ["eventKept", "eventProcessed"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_only_the_log_has_can_be_dismissed_once() {
    let world = World::new();
    let ledger = world.ledger();
    let kept = ledger.keep_poison(&json!({"odd": true}), "it is odd").await;
    kept.expect("there is room");
    let names = ledger.poisoned().await.expect("the ledger works");
    let sha256 = names.first().expect("it is kept");
    let key = format!("poison/{sha256}.json");
    world.store.remove(&key).await.expect("the store works");
    let why = Acknowledgement {
        at: world.clock.now(),
        by: None,
        reason: "it was removed by mistake".to_owned(),
    };
    let dismiss = async |event: &str| {
        let dismissed = ledger.dismiss_poison(event, &why, &Operator::Shell).await;
        dismissed.expect("the ledger works")
    };
    assert_eq!(dismiss(&"0".repeat(64)).await, Dismissed::Unknown);
    assert_eq!(dismiss(sha256).await, Dismissed::Dismissed);
    assert_eq!(dismiss(sha256).await, Dismissed::AlreadyDismissed);
    assert_eq!(world.actions_on_events().await, ["eventKept", "dismissed"]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_while_an_event_waits_to_be_taken_alone_does_not_count_against_it() {
    let world = World::new();
    let event = event_of("innocent", 1, 70 << 10);
    for _ in 0..2 {
        world.ends_over(&event).await;
    }
    let held = HeldStore::holding(&world.store, Kind::Put, "chunks/", 0);
    let intake: &'static Intake = Box::leak(Box::new(world.intake_through(held.clone())));
    let (killer, waiting): (&'static Value, &'static Value) = (
        Box::leak(Box::new(event_of("killer", 1, 0))),
        Box::leak(Box::new(event.clone())),
    );
    let deliver = |event: &'static Value| {
        Box::pin(async move {
            let mut delivery = intake.begin(Origin::EventGrid);
            delivery.take_all(std::slice::from_ref(event)).await
        })
    };
    let (mut killing, mut waiting) = (deliver(killer), deliver(waiting));
    tokio::select! {
        biased;
        () = held.reached() => {}
        _ = &mut killing => panic!("its write is held"),
    }
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("another event is taken"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    std::mem::forget((killing, waiting));
    world.clock.advance(Duration::from_secs(10));

    let (recorded, unreadable) = take(&world.intake(), &event).await;
    assert_eq!((recorded.len(), unreadable.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_set_aside_event_that_ends_sweeps_too_is_tried_ever_less_often_until_its_source_expires()
{
    let world = World::new();
    let event = event_of("killer", 1, 70 << 10);
    for _ in 0..3 {
        world.ends_over(&event).await;
    }
    take(&world.intake(), &event).await;
    let digest = world.ledger().kept_events().await.expect("it works")[0];
    let begin = async || {
        let begun = world.ledger().begin_kept_event(digest).await;
        begun.expect("the ledger works").is_some()
    };
    assert!(begin().await, "a sweep that ends over it has begun");
    assert!(!begin().await, "the next sweep lets it be");
    world.clock.advance(Duration::from_mins(16));
    assert!(begin().await);
    world.clock.advance(Duration::from_mins(16));
    assert!(!begin().await, "the pauses grow");
    world.clock.advance(RETENTION);
    let sweep = world.intake();
    sweep
        .continue_events(budget())
        .await
        .expect("the ledger works");
    assert_eq!(world.kept("events/").await, 0, "ACS has dropped its files");
    assert_eq!(world.kept("poison/").await, 1, "it stays for an operator");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_in_flight_beside_one_that_ends_the_process_is_taken() {
    let world = World::new();
    let innocent = event_of("innocent", 1, 70 << 10);
    for _ in 0..2 {
        world.ends_over(&innocent).await;
    }
    let (recorded, unreadable) = take(&world.intake(), &innocent).await;
    assert_eq!((recorded.len(), unreadable.len()), (1, 0));
    assert_eq!(world.kept("begun/").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_small_event_is_taken_however_often_the_process_ended_over_it() {
    let world = World::new();
    let small = event_of("small", 1, 1 << 10);
    for _ in 0..5 {
        world.ends_over(&small).await;
    }
    let (recorded, unreadable) = take(&world.intake(), &small).await;
    assert_eq!((recorded.len(), unreadable.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_given_up_does_not_count_against_its_event() {
    let world = World::new();
    let event = event_of("slow", 1, 70 << 10);
    for _ in 0..5 {
        let held = HeldStore::holding(&world.store, Kind::Put, "chunks/", 0);
        let intake = world.intake_through(held.clone());
        let mut delivery = intake.begin(Origin::EventGrid);
        tokio::select! {
            biased;
            () = held.reached() => {}
            _ = delivery.take_all(std::slice::from_ref(&event)) => panic!("its write is held"),
        }
        // The note is taken back behind it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.clock.advance(Duration::from_secs(10));
    }
    let (recorded, unreadable) = take(&world.intake(), &event).await;
    assert_eq!((recorded.len(), unreadable.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_sweep_continues_with_chunks_beyond_a_thousand() {
    let world = World::new();
    let event = event_of("many", 1004, 0);
    let (recorded, _) = take(&world.intake(), &event).await;
    assert_eq!((recorded.len(), world.chunk_count().await), (1000, 1000));
    assert_eq!(world.kept("events/").await, 1, "the rest is durable");
    let sweep = world.intake();
    sweep
        .continue_events(budget())
        .await
        .expect("the ledger works");
    assert_eq!(world.chunk_count().await, 1004);
    assert_eq!(world.kept("events/").await, 0);
}

#[tokio::test(start_paused = true)]
async fn poison_without_room_fails_its_delivery_and_only_old_poison_makes_room() {
    let world = World::new();
    let (ledger, store) = (world.ledger(), &world.store);
    let at = world.clock.now().to_string();
    for number in 0..10_000 {
        let key = format!("poison/{number:064x}.json");
        let content = json!({"reason": "r", "keptAt": at, "event": number}).to_string();
        let put = store.put(&key, Bytes::from(content), Precondition::Absent);
        put.await.expect("the store works");
    }
    let full = ledger.keep_poison(&json!("news"), "r").await;
    assert!(
        matches!(full, Err(LedgerError::PoisonFull { .. })),
        "{full:?}"
    );
    let no_time = Duration::from_hours(1);
    let dropped = ledger.drop_old_poison(no_time, None, 500).await;
    assert_eq!(
        dropped.expect("it works").count,
        0,
        "ACS has their files still"
    );
    world.clock.advance(RETENTION + Duration::from_mins(1));
    let dropped = ledger.drop_old_poison(no_time, None, 500).await;
    let dropped = dropped.expect("it works");
    assert!(
        dropped.count == 500 && dropped.next.is_some(),
        "{dropped:?}"
    );
    let kept = ledger.keep_poison(&json!("news"), "r").await;
    kept.expect("there is room");
    let again = ledger.keep_poison(&json!("news"), "r").await;
    again.expect("it is kept already");
}

#[tokio::test(start_paused = true)]
async fn poison_that_nobody_handled_loses_its_content_and_needs_attention_until_it_is_dismissed() {
    let world = World::new();
    let ledger = world.ledger();
    let event = json!({"rawId": "8:acs:anna"});
    let kept = ledger.keep_poison(&event, "it is odd").await;
    kept.expect("there is room");
    let poisoned = async || ledger.poisoned().await.expect("the ledger works");
    let sha256 = poisoned().await.remove(0);
    world.clock.advance(RETENTION + Duration::from_mins(1));
    let dropping = ledger.drop_old_poison(Duration::from_hours(1), None, 500);
    assert_eq!(dropping.await.expect("the ledger works").count, 1);
    let content = ledger.poison(&sha256).await;
    assert_eq!(content.expect("the ledger works"), None);
    let note = ledger.poison_or_note(&sha256).await;
    let note = note.expect("the ledger works").expect("it is there");
    let note = String::from_utf8_lossy(&note);
    assert!(
        note.contains("it is odd") && !note.contains("anna"),
        "{note}"
    );
    assert_eq!(poisoned().await, std::slice::from_ref(&sha256));
    let count = ledger.count_poison(10).await.expect("the ledger works");
    assert_eq!(count.count, 1, "it still needs attention");
    let why = Acknowledgement {
        at: world.clock.now(),
        by: None,
        reason: "a test event".to_owned(),
    };
    let dismissed = ledger.dismiss_poison(&sha256, &why, &Operator::Shell);
    let dismissed = dismissed.await.expect("the ledger works");
    assert_eq!(dismissed, Dismissed::Dismissed);
    assert!(poisoned().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_unsolicited_unless_it_was_started_here_or_its_call_was_announced() {
    let world = World::new();
    take(&world.intake(), &event_of("stray", 1, 0)).await;
    let entry = world.entry("stray-0").await.expect("it is recorded");
    assert!(entry.unsolicited);

    let call_started = |name: &str, time: &str| {
        json!({
            "id": "c", "eventType": "Microsoft.Communication.CallStarted", "eventTime": time,
            "data": {"serverCallId": format!("server-call-of-{name}")},
        })
    };
    // It began on the day before.
    take(
        &world.intake(),
        &call_started("known", "2026-03-01T23:59:00Z"),
    )
    .await;
    take(&world.intake(), &event_of("known", 1, 0)).await;
    assert!(
        !world
            .entry("known-0")
            .await
            .expect("it is recorded")
            .unsolicited
    );

    // Its call is announced late.
    take(
        &world.intake(),
        &call_started("stray", "2026-03-02T08:59:00Z"),
    )
    .await;
    take(&world.intake(), &event_of("stray", 1, 0)).await;
    assert!(
        !world
            .entry("stray-0")
            .await
            .expect("it is recorded")
            .unsolicited
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_names_a_foreign_place_for_a_known_chunk_is_kept_and_changes_nothing() {
    let world = World::new();
    take(&world.intake(), &event_of("own", 1, 0)).await;
    let before = world.entry("own-0").await;
    let mut forged = event_of("own", 1, 0);
    forged["data"]["recordingStorageInfo"]["recordingChunks"][0]["contentLocation"] =
        "https://evil.example/v1/objects/own-0/content/video".into();
    let (_, unreadable) = take(&world.intake(), &forged).await;
    assert!(unreadable[0].contains("own-0"), "{unreadable:?}");
    assert_eq!(world.entry("own-0").await, before);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_leaves_a_kept_event_that_alone_knows_of_a_chunk() {
    let world = World::new();
    let ledger = world.ledger();
    let person = "8:acs:anna_1".to_owned();
    let mut event = event_of("own", 1, 0);
    event["data"]["note"] = person.as_str().into();
    let keeping = ledger.keep_event(&event, WhyKept::SetAside, 0);
    keeping.await.expect("the ledger works");
    let erase = async |names: &[String]| {
        let erasing = ledger.erase_kept_events(names, &[]).await;
        erasing.expect("the ledger works")
    };
    let left = erase(std::slice::from_ref(&person)).await;
    assert_eq!((left.erased, left.left), (0, 1));

    // Its chunk is to be erased too, or is in the ledger.
    let erased = erase(&[person.clone(), "own-0".to_owned()]).await;
    assert_eq!((erased.erased, erased.left), (1, 0));
    take(&world.intake(), &event_of("own", 1, 0)).await;
    let keeping = ledger.keep_event(&event, WhyKept::SetAside, 0);
    keeping.await.expect("the ledger works");
    let erased = erase(&[person]).await;
    assert_eq!((erased.erased, erased.left), (1, 0));
}
