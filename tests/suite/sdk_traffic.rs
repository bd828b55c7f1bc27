//! Our requests are those of the official Python SDK, as captured: method, target, headers, JSON body.
//!
//! The differences, all of them meant, are listed here and nowhere else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::identity::{self, FakeIdentity};
use crate::support::world::World;

/// Headers the SDK sends and we do not: `Connection` is the default of HTTP/1.1, we accept no compression, and need no
/// echo of our request id.
const NOT_SENT: [&str; 3] = [
    "connection",
    "accept-encoding",
    "x-ms-return-client-request-id",
];
const HMAC_TRAFFIC: &str = include_str!("../fixtures/sdk-traffic/python_hmac.jsonl");
/// Requests of 2021-04 (Bot Framework's telephony sample). We keep the connection open, and add what every request of ours
/// has; our operation context and content type are our own.
const LEGACY_TRAFFIC: &str = include_str!("../fixtures/sdk-traffic/legacy_synthetic.jsonl");
const LEGACY_ADDS: [&str; 3] = ["accept", "user-agent", "x-ms-client-request-id"];
const TOKEN_TRAFFIC: &str = include_str!("../fixtures/sdk-traffic/python_token.jsonl");

/// The recording of the captured requests of 2021-04.
const LEGACY_RECORDING: &str =
    "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiI2YTFmNmIwMC0wOWJhLTQ0YTYtOTY3ZC1lY2Y1NGUzZjU4YTMifQ";

#[derive(Debug, Clone)]
struct Sent {
    method: String,
    target: String,
    headers: BTreeSet<String>,
    body: Vec<u8>,
}

type Captured = Arc<Mutex<Vec<Sent>>>;

/// Stands where ACS would, and keeps what comes.
async fn capture() -> (String, Captured) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let captured = Captured::default();
    let router = Router::new()
        .fallback(keep)
        .with_state(Arc::clone(&captured));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, captured)
}

async fn keep(
    State(captured): State<Captured>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers.keys().map(ToString::to_string).collect();
    let sent = Sent {
        method: method.to_string(),
        target: uri.to_string(),
        headers,
        body: body.to_vec(),
    };
    captured
        .lock()
        .expect("no holder of this lock panics")
        .push(sent);
    axum::Json(json!({"recordingId": LEGACY_RECORDING, "recordingState": "active"})).into_response()
}

fn lines(traffic: &str) -> Vec<Value> {
    let lines = traffic
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines
        .filter(|line| {
            line["attempt"] == 0
                && line["target"]
                    .as_str()
                    .is_some_and(|target| target.starts_with("/calling/"))
        })
        .collect()
}

/// The same operation through our API.
async fn repeat(world: &World, line: &Value) {
    let path = line["target"]
        .as_str()
        .and_then(|target| target.split('?').next())
        .expect("a line has a target");
    let path = path
        .trim_start_matches("/calling")
        .replace(":pause", "/pause")
        .replace(":resume", "/resume");
    let body = line["body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok());
    let (status, answer) = world
        .api(
            line["method"].as_str().expect("a line has a method"),
            &path,
            body,
        )
        .await;
    assert!(status < 300, "{}: {status} {answer}", line["case"]);
}

fn header_names(line: &Value) -> BTreeSet<String> {
    let names = line["headers"]
        .as_array()
        .expect("a line has headers")
        .iter();
    let names = names.filter_map(|header| header[0].as_str().map(str::to_ascii_lowercase));
    names
        .filter(|name| !NOT_SENT.contains(&&name[..]))
        .collect()
}

fn assert_same(line: &Value, sent: &Sent) {
    let case = &line["case"];
    assert_eq!(
        (line["method"].as_str(), line["target"].as_str()),
        (Some(&sent.method[..]), Some(&sent.target[..])),
        "{case}"
    );
    assert_eq!(sent.headers, header_names(line), "{case}");
    let mut expected: Value = line["body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default();
    // The SDK always sends an empty list; we send what was asked for.
    if expected["channelAffinity"] == json!([])
        && let Some(body) = expected.as_object_mut()
    {
        body.remove("channelAffinity");
    }
    let mut body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
    if body["channelAffinity"] == json!([])
        && let Some(body) = body.as_object_mut()
    {
        body.remove("channelAffinity");
    }
    assert_eq!(body, expected, "{case}");
}

/// A recording that the register does not know is looked up at ACS before it is changed, once.
fn assert_only_asks_for_the_state(before: &[Sent], line: &Value) {
    let changes = line["target"]
        .as_str()
        .is_some_and(|target| target.contains("/recordings/") && line["method"] != "GET");
    assert!(before.len() <= usize::from(changes), "{}", line["case"]);
    assert!(
        before.iter().all(|sent| sent.method == "GET"),
        "{}",
        line["case"]
    );
}

async fn assert_all_same(traffic: &str, settings: &[(&str, &str)]) {
    let (acs, captured) = capture().await;
    let mut settings = settings.to_vec();
    settings.push(("ACS_ENDPOINT", &acs));
    let world = World::with(&settings).await;
    let mut compared = BTreeSet::new();
    for line in lines(traffic) {
        captured
            .lock()
            .expect("no holder of this lock panics")
            .clear();
        // Every line stands alone: without a register, no recording is in the way of the next.
        world.forget_ledger();
        repeat(&world, &line).await;
        let sent = captured
            .lock()
            .expect("no holder of this lock panics")
            .clone();
        let (operation, before) = sent.split_last().expect("ACS was asked");
        assert_only_asks_for_the_state(before, &line);
        assert_same(&line, operation);
        compared.insert(line["case"].to_string());
    }
    assert!(compared.len() > 20, "only {compared:?}");
}

#[tokio::test]
async fn control_requests_with_the_access_key_are_those_of_the_sdk() {
    assert_all_same(HMAC_TRAFFIC, &[]).await;
}

#[tokio::test]
async fn control_requests_with_a_token_are_those_of_the_sdk() {
    let identity = FakeIdentity::start().await;
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("IDENTITY_ENDPOINT", &*identity.url),
        ("IDENTITY_HEADER", identity::HEADER),
    ];
    assert_all_same(TOKEN_TRAFFIC, &settings).await;
}

/// The SDK asks without a `Range` first; we always ask with one, for the total it makes the service say.
#[tokio::test]
async fn content_requests_are_those_of_the_sdk() {
    let (content, captured) = capture().await;
    let world = World::with(&[("ACS_CONTENT_HOSTS", &content), ("ON_ANOMALY", "delete")]).await;
    let object = format!("{content}/v1/objects/0-wus-d2-47db0323f1df7010231b4292f3526495");
    let chunk = json!({"documentId": "0-wus-d2-47db0323f1df7010231b4292f3526495", "index": 0, "deleteLocation": object,
        "contentLocation": format!("{object}/content/video"), "metadataLocation": format!("{object}/content/acsmetadata")});
    let data = json!({"recordingStorageInfo": {"recordingChunks": [chunk]}});
    world.event(&json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": data})).await;
    let sent = captured
        .lock()
        .expect("no holder of this lock panics")
        .clone();
    let lines: Vec<Value> = HMAC_TRAFFIC
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    for case in ["download.offset_only", "download.metadata", "delete"] {
        let line = lines
            .iter()
            .find(|line| line["case"] == case)
            .expect("the case is captured");
        let same = sent
            .iter()
            .find(|sent| line["method"] == sent.method[..] && line["target"] == sent.target[..]);
        let same = same.unwrap_or_else(|| panic!("{case}: {sent:?}"));
        let mut expected = header_names(line);
        expected.insert("accept-encoding".to_owned());
        if line["method"] == "GET" {
            expected.insert("range".to_owned());
        }
        assert_eq!(same.headers, expected, "{case}");
    }
}

#[tokio::test]
async fn requests_of_the_oldest_generation_are_those_of_its_sample() {
    let (acs, captured) = capture().await;
    let world = World::with(&[
        ("ACS_API_VERSION", "2021-04-15-preview1"),
        ("ACS_ENDPOINT", &acs),
    ])
    .await;
    let lines: Vec<Value> = LEGACY_TRAFFIC
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let target = |line: &Value| {
        line["target"]
            .as_str()
            .expect("a line has a target")
            .to_owned()
    };
    let conversation = target(&lines[0])
        .split('/')
        .nth(2)
        .expect("a start names its conversation")
        .to_owned();
    let callback = "https://contoso.example/cb";
    let start = json!({"serverCallId": conversation, "recordingStateCallbackUri": callback});
    let id = LEGACY_RECORDING;
    world.api("POST", "/recordings", Some(start)).await;
    for (method, path) in [
        ("GET", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("DELETE", ""),
    ] {
        world
            .api(method, &format!("/recordings/{id}{path}"), None)
            .await;
    }
    let chunk = json!({"documentId": "0-eus-d11-05bf22b166dfb2119e3ff85d98906121", "index": 0});
    let data = json!({"recordingStorageInfo": {"recordingChunks": [chunk]}});
    world.event(&json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": data})).await;
    let sent = captured
        .lock()
        .expect("no holder of this lock panics")
        .clone();
    for line in &lines {
        let same = sent
            .iter()
            .find(|sent| line["method"] == sent.method[..] && sent.target == target(line));
        assert_same_request(
            line,
            same.unwrap_or_else(|| panic!("{}: {sent:?}", line["case"])),
        );
    }
}

/// Asserts that a request of ours is the sample's, with the headers that we add.
fn assert_same_request(line: &Value, sent: &Sent) {
    let case = &line["case"];
    let mut expected = header_names(line);
    expected.extend(LEGACY_ADDS.map(str::to_owned));
    if case == "legacy.download" || case == "legacy.metadata" {
        let ours = ["accept-encoding", "range", "x-ms-host"];
        expected.extend(ours.map(str::to_owned));
    }
    assert_eq!(sent.headers, expected, "{case}");
    let body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
    let expected: Value = line["body"]
        .as_str()
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default();
    assert_eq!(
        body["recordingStateCallbackUri"], expected["recordingStateCallbackUri"],
        "{case}"
    );
    assert_eq!(
        body["operationContext"].is_string(),
        expected["operationContext"].is_string(),
        "{case}"
    );
}
