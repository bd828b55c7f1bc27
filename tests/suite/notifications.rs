//! Notifications: what others are told of recordings, signed, at least once, and without persons.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Notify;

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
