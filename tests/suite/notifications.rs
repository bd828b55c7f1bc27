//! Notifications: what others are told of recordings, signed, at least once, and without persons.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use azure_storage_queue::QueueClient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::export_queue::received;
use crate::standings::edit;
use crate::support::azurite;
use crate::support::world::{World, document_ids, files_by_path};

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
    came: Arc<Notify>,
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
        let taken = self.shared.taken.lock().expect("no holder panics");
        taken.iter().filter(|told| told["type"] == DAY).count()
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
    let answer = if is_down {
        StatusCode::SERVICE_UNAVAILABLE
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
    let ledger = files_by_path(&world.vault.with_file_name("vault-ledger"));
    ledger
        .keys()
        .filter(|key| key.starts_with("outbox/"))
        .count()
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
        (&data["documentId"], &data["percentOver"]),
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
