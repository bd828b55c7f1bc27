//! Notifications: what others are told of recordings, signed, at least once, and without persons.

mod early;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use azure_storage_queue::QueueClient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use recording_vault::export::Budget;
use recording_vault::notify::webhook::{Webhook, WebhookConfig};
use recording_vault::notify::{Notifier, Receiver as To, Sending};
use recording_vault::store::document_store::MOST_DOCUMENT_BYTES;
use recording_vault::store::outbox::{Notice, Outbox};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::export_queue::received;
use crate::standings::edit;
use crate::support::simulation::{Durable, Plan, deliver, planned};
use crate::support::world::{World, document_ids, files_by_path};
use crate::support::{azurite, chunk};

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DAY: &str = "com.recording-vault.day.completed";
const ANNA: &str = "8:acs:29bd5ea9_00000001";

/// A receiver of events, which takes them or does not.
struct Receiver {
    url: String,
    shared: Shared,
}

#[derive(Clone, Default)]
struct Shared {
    taken: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
    is_down: Arc<Mutex<bool>>,
    /// Events that it never takes.
    failing: Arc<Mutex<BTreeMap<String, Failure>>>,
    came: Arc<Notify>,
    /// While a test has it, events are not answered.
    held: Arc<tokio::sync::Mutex<()>>,
}

/// How a receiver fails for an event.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Answer(StatusCode),
    /// The connection ends without an answer.
    NoAnswer,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Shared::default();
        let router = Router::new().fallback(take).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{address}/hook?code=SECRETOFTHEHOOK"),
            shared,
        }
    }

    fn set_down(&self, is_down: bool) {
        *self.shared.is_down.lock().expect("no holder panics") = is_down;
    }

    /// The events of recordings; the sweep tells of yesterday as well.
    fn taken(&self) -> Vec<Value> {
        let mut taken = self.shared.taken.lock().expect("no holder panics").clone();
        taken.retain(|told| told["type"] != DAY);
        taken
    }

    fn days(&self) -> usize {
        self.day_events().len()
    }

    fn day_events(&self) -> Vec<Value> {
        let mut taken = self.shared.taken.lock().expect("no holder panics").clone();
        taken.retain(|told| told["type"] == DAY);
        taken
    }

    fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("no holder panics").clone()
    }

    async fn is_asked(&self) {
        while self.asked().is_empty() {
            self.shared.came.notified().await;
        }
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (id, seconds) = (header("webhook-id"), header("webhook-timestamp"));
    let key = BASE64_STANDARD.decode(KEY).expect("it is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    let is_signed = header("webhook-signature") == expected
        && header("content-type").starts_with("application/cloudevents+json");
    let is_down = *shared.is_down.lock().expect("no holder panics");
    shared
        .asked
        .lock()
        .expect("no holder panics")
        .push(id.clone());
    shared.came.notify_one();
    drop(shared.held.lock().await);
    let failure = shared
        .failing
        .lock()
        .expect("no holder panics")
        .get(&id)
        .copied();
    let answer = if is_down {
        StatusCode::SERVICE_UNAVAILABLE
    } else if let Some(failure) = failure {
        match failure {
            Failure::Answer(status) => status,
            // The hook of panics is not for a receiver's own failure.
            Failure::NoAnswer => std::panic::resume_unwind(Box::new("no answer")),
        }
    } else if is_signed {
        let event: Value = serde_json::from_str(&body).expect("an event is JSON");
        assert_eq!(event["id"], id.as_str());
        shared.taken.lock().expect("no holder panics").push(event);
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    };
    shared.came.notify_waiters();
    shared.came.notify_one();
    answer
}

async fn world(receiver: &Receiver) -> World {
    let secret = format!("whsec_{KEY}");
    World::with(&[("NOTIFY_URL", &receiver.url), ("NOTIFY_SECRET", &secret)]).await
}

async fn recorded(world: &World, call: Value) -> Value {
    let event = world.recording(json!({ "call": call })).await;
    world.event(&event).await;
    world.sweep().await;
    event
}

fn outbox(world: &World) -> usize {
    waiting(world).len()
}

/// The ids of the notices that wait, in their order.
fn waiting(world: &World) -> Vec<String> {
    let ledger = files_by_path(&world.vault.with_file_name("vault-ledger"));
    let ids = ledger.keys().filter_map(|key| {
        let id = key.strip_prefix("outbox/")?.strip_suffix(".json")?;
        Some(id.to_owned())
    });
    ids.collect()
}

#[tokio::test]
async fn an_export_is_told_once_it_is_proved_and_names_no_person() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    let event = recorded(
        &world,
        json!({"participants": [ANNA], "chunks": [{"durationMs": 1000}]}),
    )
    .await;
    let taken = receiver.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let told = &taken[0];
    let id = &document_ids(&event)[0];
    assert_eq!(
        (
            &told["specversion"],
            &told["type"],
            &told["data"]["documentId"]
        ),
        (
            &json!("1.0"),
            &json!("com.recording-vault.recording.exported"),
            &json!(id)
        ),
        "{told}"
    );
    let receipt = &world.ledger_entry(id)["state"]["receipt"]["media"];
    assert_eq!(told["data"]["sha256"], receipt["sha256"], "{told}");
    assert_eq!(told["data"]["file"], receipt["name"], "{told}");
    assert!(!told.to_string().contains(ANNA), "{told}");
    world.sweep().await;
    assert_eq!((receiver.taken().len(), outbox(&world)), (1, 0));
    assert_eq!(receiver.days(), 1, "yesterday is told once");
    assert!(!world.console().contains("SECRETOFTHEHOOK"));
}

#[tokio::test]
async fn what_a_receiver_did_not_take_is_sent_again_with_the_same_id() {
    let receiver = Receiver::start().await;
    receiver.set_down(true);
    let world = world(&receiver).await;
    recorded(&world, json!({"chunks": [{"durationMs": 1000}]})).await;
    receiver.is_asked().await;
    // The export, and the report of yesterday.
    assert_eq!((receiver.taken().len(), outbox(&world)), (0, 2));
    receiver.set_down(false);
    world.sweep().await;
    let taken = receiver.taken();
    assert_eq!((taken.len(), outbox(&world)), (1, 0), "{taken:?}");
    let asked = receiver.asked();
    assert!(
        asked
            .iter()
            .filter(|id| taken[0]["id"] == id.as_str())
            .count()
            > 0
            && receiver.days() == 1,
        "{asked:?}"
    );
}

#[tokio::test]
async fn doubtful_media_is_told_beside_the_export() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    let short = json!({"chunks": [{"durationMs": 5000, "metadataDurationMs": 60_000}]});
    recorded(&world, short).await;
    let taken = receiver.taken();
    let kinds: Vec<&str> = taken
        .iter()
        .map(|told| told["type"].as_str().expect("it has a type"))
        .collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    for kind in ["exported", "doubtful"] {
        let kind = format!("com.recording-vault.recording.{kind}");
        assert!(kinds.contains(&kind.as_str()), "{kinds:?}");
    }
    let doubtful = taken.iter().find(|told| told["data"]["reason"].is_string());
    assert!(doubtful.is_some(), "{taken:?}");
}

#[tokio::test]
async fn without_a_receiver_no_notice_is_kept() {
    let world = World::new().await;
    recorded(&world, json!({"chunks": [{"durationMs": 1000}]})).await;
    assert_eq!(outbox(&world), 0);
}

/// The types of the events that were taken, without their prefix.
fn kinds(taken: &[Value]) -> Vec<&str> {
    let kinds = taken.iter().map(|told| told["type"].as_str());
    let kinds = kinds.map(|kind| kind.expect("it has a type").rsplit('.').next());
    kinds.map(Option::unwrap_or_default).collect()
}

/// A chunk that ACS does not give; its entry, changed.
async fn not_exported(world: &World, status: u16, change: impl FnOnce(&mut Value)) -> String {
    let fault = json!([{"plane": "media", "kind": "status", "status": status, "times": 1000}]);
    world.admin("PUT", "faults", fault).await;
    let call = json!({"participants": [ANNA], "chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({ "call": call })).await;
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "pending");
    edit(world, &id, |entry| {
        entry["notBefore"] = Value::Null;
        change(entry);
    });
    id
}

fn hours_from_now(hours: i64) -> Value {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    at.to_string().into()
}

async fn patient_world(receiver: &Receiver) -> World {
    let secret = format!("whsec_{KEY}");
    World::with(&[
        ("NOTIFY_URL", &receiver.url),
        ("NOTIFY_SECRET", &secret),
        ("EVENT_BUDGET", "1s"),
        ("MISSING_AFTER", "0s"),
    ])
    .await
}

#[tokio::test]
async fn a_chunk_at_risk_is_told_once_for_each_step() {
    let receiver = Receiver::start().await;
    let world = patient_world(&receiver).await;
    let id = not_exported(&world, 503, |entry| {
        entry["recordedAt"] = hours_from_now(-20);
        entry["expiresAt"] = hours_from_now(4);
    })
    .await;
    world.sweep().await;
    world.sweep().await;
    let taken = receiver.taken();
    assert_eq!(kinds(&taken), ["atRisk"], "{taken:?}");
    let data = &taken[0]["data"];
    assert_eq!(
        (&data["documentId"], &data["percentElapsed"]),
        (&json!(id), &json!(75)),
        "{data}"
    );
    assert!(data["expiresAt"].is_string(), "{data}");
    assert!(!taken[0].to_string().contains(ANNA), "{taken:?}");
}

#[tokio::test]
async fn a_chunk_that_acs_has_dropped_is_told_as_lost_once() {
    let receiver = Receiver::start().await;
    let world = patient_world(&receiver).await;
    let id = not_exported(&world, 404, |entry| {
        entry["surelyGoneAt"] = "2026-01-01T00:00:00Z".into();
    })
    .await;
    world.sweep().await;
    assert_eq!(world.ledger_entry(&id)["state"]["name"], "expired");
    world.sweep().await;
    let taken = receiver.taken();
    let lost: Vec<&Value> = taken
        .iter()
        .filter(|told| told["type"] == "com.recording-vault.recording.lost")
        .collect();
    assert_eq!(lost.len(), 1, "{taken:?}");
    assert_eq!(lost[0]["data"]["documentId"], json!(id));
    assert!(lost[0]["data"]["reason"].is_string(), "{lost:?}");
    assert!(!kinds(&taken).contains(&"exported"), "{taken:?}");
}

#[tokio::test]
async fn a_recording_whose_files_never_come_is_told_as_missing_once() {
    let receiver = Receiver::start().await;
    let world = patient_world(&receiver).await;
    let chunks = json!({"chunks": [{"durationMs": 1000}]});
    let call = world.admin("POST", "calls", chunks).await["serverCallId"].clone();
    let start = json!({ "serverCallId": call });
    let (_, started) = world.api("POST", "/recordings", Some(start)).await;
    let id = started["recordingId"].as_str().expect("it is started");
    let stop = format!("/recordings/{id}/stop");
    world.api("POST", &stop, None).await;
    for _ in 0..3 {
        world.sweep().await;
    }
    let taken = receiver.taken();
    assert_eq!(kinds(&taken), ["missing"], "{taken:?}");
    assert_eq!(taken[0]["data"]["recordingId"], json!(id));
    assert!(taken[0]["data"]["missingSince"].is_string(), "{taken:?}");
}

#[tokio::test]
async fn a_queue_gets_the_same_events_and_is_made_for_the_first() {
    let now = jiff::Timestamp::now().as_nanosecond();
    let url = azurite::queue_url(&format!("notify-{now}"));
    let world = World::with(&[("NOTIFY_QUEUE_URL", &url)]).await;
    let event = recorded(&world, json!({"chunks": [{"durationMs": 1000}]})).await;
    let id = &document_ids(&event)[0];
    world.sweep().await;
    assert_eq!(outbox(&world), 0);
    let url = url.parse().expect("it is a URL");
    let queue = QueueClient::new(url, None, None).expect("the URL has a SAS");
    let events = received(&queue).await;
    let exported: Vec<&Value> = events.iter().filter(|told| told["type"] != DAY).collect();
    assert_eq!(exported.len(), 1, "{events:?}");
    assert_eq!(
        (
            &exported[0]["specversion"],
            &exported[0]["data"]["documentId"]
        ),
        (&json!("1.0"), &json!(id))
    );
    let sas = azurite::queue_url("x");
    let signature = sas.rsplit("sig=").next().expect("it is signed");
    assert!(!world.console().contains(signature));
}

#[tokio::test]
async fn events_that_the_receiver_never_takes_hold_no_others_back() {
    for failure in [
        Failure::Answer(StatusCode::INTERNAL_SERVER_ERROR),
        Failure::Answer(StatusCode::UNPROCESSABLE_ENTITY),
        Failure::NoAnswer,
    ] {
        let receiver = Receiver::start().await;
        receiver.set_down(true);
        let world = world(&receiver).await;
        recorded(
            &world,
            json!({"chunks": vec![json!({"durationMs": 1000}); 8]}),
        )
        .await;
        let ids = waiting(&world);
        assert!(ids.len() >= 9, "8 chunks and a day: {ids:?}");
        // More in a row than one pass tries.
        let (bad, good) = ids.split_at(4);
        let failing = bad.iter().map(|id| (id.clone(), failure));
        *receiver.shared.failing.lock().expect("no holder panics") = failing.collect();
        receiver.set_down(false);
        for _ in 0..6 {
            world.sweep().await;
        }
        assert_eq!(waiting(&world), bad, "{failure:?}");
        let taken = receiver
            .shared
            .taken
            .lock()
            .expect("no holder panics")
            .clone();
        let taken: BTreeSet<&str> = taken
            .iter()
            .filter_map(|told| told["id"].as_str())
            .collect();
        let good: BTreeSet<&str> = good.iter().map(String::as_str).collect();
        assert_eq!(taken, good, "{failure:?}");
        // A receiver that is mended gets them as well.
        receiver
            .shared
            .failing
            .lock()
            .expect("no holder panics")
            .clear();
        world.sweep().await;
        assert_eq!(outbox(&world), 0, "{failure:?}");
    }
}

#[tokio::test]
async fn a_notice_that_the_storage_cannot_return_holds_no_others_back() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    let outbox = world.vault.with_file_name("vault-ledger").join("outbox");
    std::fs::create_dir_all(&outbox).expect("it is ours");
    let large = std::fs::File::create(outbox.join(format!("{}.json", "0".repeat(40))));
    let length = u64::try_from(MOST_DOCUMENT_BYTES).expect("it is small");
    let enlarged = large.expect("it is ours").set_len(length + 1);
    enlarged.expect("the disk has room for a hole");
    recorded(&world, json!({"chunks": [{"durationMs": 1000}]})).await;
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(receiver.days(), 1);
}

#[tokio::test]
async fn a_day_that_changes_after_its_report_is_told_again_with_another_id() {
    let receiver = Receiver::start().await;
    let world = world(&receiver).await;
    world.sweep().await;
    assert_eq!(receiver.days(), 1);
    world.event(&json!({"id": "not readable"})).await;
    // As if its report had been made two hours ago.
    let reports = world.vault.with_file_name("vault-ledger").join("reports");
    for report in std::fs::read_dir(&reports).expect("it is made") {
        let path = report.expect("it is there").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = std::fs::read(&path).expect("it is ours");
            let mut report: Value = serde_json::from_slice(&text).expect("it is JSON");
            report["madeAt"] = hours_from_now(-2);
            std::fs::write(&path, report.to_string()).expect("it is ours");
        }
    }
    world.sweep().await;
    world.sweep().await;
    let days = receiver.day_events();
    assert_eq!(days.len(), 2, "{days:?}");
    let of = |number: usize, name: &str| days[number][name].clone();
    assert_eq!(of(0, "subject"), of(1, "subject"));
    assert_ne!(of(0, "id"), of(1, "id"));
    assert_ne!(
        days[0]["data"]["findings"], days[1]["data"]["findings"],
        "{days:?}"
    );
    assert!(days[0]["data"]["madeAt"].as_str() < days[1]["data"]["madeAt"].as_str());
}

/// A process that sends to this receiver, on the state of others.
fn notifier(durable: &Durable, plan: &Arc<Plan>, receiver: &Receiver) -> Arc<Notifier> {
    let config = WebhookConfig {
        url: receiver.url.parse().expect("it is a URL"),
        secret: format!("whsec_{KEY}").parse().expect("it is a secret"),
    };
    let sending = Sending {
        outbox: Outbox::new(planned(&durable.store(), plan)),
        receiver: To::Webhook(Webhook::new(config).expect("there is TLS")),
        source: "https://acs.example/".to_owned(),
    };
    let register = durable.register(&Plan::calm());
    let clock = durable.clock.clone();
    Arc::new(Notifier::new(durable.ledger(), register, sending, clock))
}

#[tokio::test]
async fn deliveries_during_a_pass_add_one_pass_that_sends_their_notices() {
    let chunks = [chunk("a", 0), chunk("b", 0)];
    let durable = Durable::new(&chunks);
    assert!(deliver(&durable.instance(&Plan::calm()), &chunks).await);
    let outbox = Outbox::new(durable.store());
    let notices = chunks.each_ref().map(|chunk| Notice::Exported {
        document_id: chunk.document_id.clone(),
        opening: 1,
    });
    let keep = async |notice: &Notice| {
        let kept = outbox
            .keep(notice.clone(), jiff::Timestamp::UNIX_EPOCH)
            .await;
        kept.expect("the store works");
    };
    // The second in the order of the outbox is kept first: the pass is behind the other one.
    keep(&notices[0]).await;
    keep(&notices[1]).await;
    let waiting = outbox.waiting(None, 2).await.expect("the store works");
    outbox.remove(&waiting[0]).await.expect("the store works");
    let receiver = Receiver::start().await;
    let plan = Plan::calm();
    let notifier = notifier(&durable, &plan, &receiver);
    let held = receiver.shared.held.clone().lock_owned().await;
    notifier.send_soon();
    receiver.is_asked().await;
    keep(&waiting[0].kept.notice).await;
    for _ in 0..50 {
        notifier.send_soon();
    }
    drop(held);
    // It waits for its turn, and does nothing then.
    let nothing = notifier.send(Budget::of(Duration::ZERO)).await;
    assert_eq!(nothing.expect("the store works").sent, 0);
    assert_eq!(receiver.taken().len(), 2);
    assert!(plan.calls() < 12, "{} calls of the storage", plan.calls());
}
