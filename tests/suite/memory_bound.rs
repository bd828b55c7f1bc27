//! No request ends the process: a host that proxies would send it again, and three ends take every function down. The smallest
//! plan of Azure Functions has 512 MB, of which the host takes its part.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::world::World;

const PLAN_BYTES: u64 = 512 << 20;
/// What the real host was seen to take beside a handler.
const HOST_BYTES: u64 = 210 << 20;
const AT_ONCE: usize = 4;

const ENVELOPES: [&str; 13] = [
    "RecordingFileStatusUpdated",
    "ExportSweep",
    "ExportChunk",
    "EventGridWebhook",
    "RecordingControl",
    "RecordingReads",
    "RecordingCallbacks",
    "TelephonyActivities",
    "Vault",
    "VaultActions",
    "VaultPlay",
    "Metrics",
    "ApiDescription",
];

const ROUTES: [&str; 9] = [
    "/api/recordings",
    "/api/recordings/callbacks",
    "/api/recordings/x/pause",
    "/api/recordings/x/stop",
    "/api/vault/recordings/x/hold",
    "/api/vault/chunks/x/verify",
    "/api/vault/poison/x/replay",
    "/api/telephony/v3/conversations/x/activities",
    "/api/eventgrid/webhook",
];

/// Bodies that take the most: what is refused for its size, what is refused for its content, and what is just admitted.
fn bodies() -> Vec<String> {
    let objects = |count: usize| format!("[{}{{}}]", r#"{"":0},"#.repeat(count));
    let envelope = |events: String| format!(r#"{{"Data":{{"event":{events}}},"Metadata":{{}}}}"#);
    let text = "x".repeat(9 << 20);
    let encoded = BASE64_STANDARD.encode(objects(600_000));
    vec![
        json!({"type": "T", "specversion": "1.0", "data_base64": encoded}).to_string(),
        json!({"keptAt": 0, "event": encoded}).to_string(),
        encoded,
        escaped(&objects(100_000)),
        format!(r#"{{"type":"T","data":[{}0]}}"#, "[0],".repeat(1_200_000)),
        "[".repeat(60_000),
        objects(9_000),
        envelope(objects(2_000_000)),
        envelope(objects(180_000)),
        json!({"Data": {"event": text.clone(), "req": {"Url": "http://h/api/recordings", "Method": "POST", "Body": text}}}).to_string(),
    ]
}

/// JSON as a string of JSON in which no character of its structure can be seen.
fn escaped(text: &str) -> String {
    let escapes = text.bytes().map(|byte| format!("\\u{byte:04x}"));
    format!("\"{}\"", escapes.collect::<String>())
}

fn peak_bytes(process_id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"));
    let status = status.expect("the handler runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("Linux tells the peak") * 1024
}

#[tokio::test]
async fn the_worst_request_of_each_route_leaves_the_process_alive_in_512_megabytes() {
    let world = World::with(&[
        ("OPERATOR_ACTIONS", "on"),
        ("TELEPHONY_KEY", "a-key-of-telephony"),
        ("LOG", "error"),
    ])
    .await;
    let process_id = world.host.handler_process_id().expect("it runs");
    let url = world.handler_url().await;
    let paths = ENVELOPES.map(|name| format!("/{name}"));
    let paths = paths.into_iter().chain(ROUTES.map(str::to_owned));
    let bodies = bodies();
    let requests: Vec<_> = paths
        .flat_map(|path| bodies.iter().map(move |body| (path.clone(), body.clone())))
        .collect();
    let sending = futures::stream::iter(requests).map(|(path, body)| {
        let request = world
            .client
            .post(format!("{url}{path}"))
            .header("content-type", "application/json")
            .header("x-functions-key", "a-key-of-telephony")
            .body(body);
        async move {
            let answer = request.send().await;
            answer.unwrap_or_else(|error| panic!("{path} is answered: {error:?}"))
        }
    });
    let answers: Vec<_> = sending.buffer_unordered(AT_ONCE).collect().await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status() != 200 || answer.content_length() != Some(0))
    );
    assert_eq!(
        world.host.handler_process_id(),
        Some(process_id),
        "{}",
        world.console()
    );
    let peak = peak_bytes(process_id);
    assert!(
        peak < PLAN_BYTES - HOST_BYTES,
        "the handler took {} MiB",
        peak >> 20
    );
}

/// What one event below a megabyte may take beside what the process takes when it is idle.
const EVENT_BYTES: u64 = 64 << 20;

#[rstest]
#[case::objects(&|| format!(r#"{{"type":"T","data":[{}0]}}"#, r#"{"":0},"#.repeat(20_000)))]
#[case::more_objects(&|| format!(r#"{{"type":"T","data":[{}0]}}"#, r#"{"":0},"#.repeat(140_000)))]
#[case::numbers(&|| format!("{{\"eventType\": \"T\", \"data\": [{}0]}}", "0,".repeat(490_000)))]
#[case::base64(&|| BASE64_STANDARD.encode(format!("[{}{{}}]", r#"{"":0},"#.repeat(100_000))))]
#[case::data_in_base64(&|| {
    let data = BASE64_STANDARD.encode(format!("[{}{{}}]", r#"{"":0},"#.repeat(100_000)));
    json!({"type": "T", "specversion": "1.0", "data_base64": data}).to_string()
})]
#[case::escaped(&|| escaped(&format!("[{}{{}}]", r#"{"":0},"#.repeat(23_000))))]
#[case::repaired(&|| format!("{{\"eventType\": \"T{}\"}}", "\u{1}".repeat(900_000)))]
#[case::poison(&|| {
    let event = BASE64_STANDARD.encode(format!("[{}{{}}]", r#"{"":0},"#.repeat(100_000)));
    json!({"keptAt": 0, "event": event}).to_string()
})]
#[case::escaped_twice(&|| {
    let escaped = escaped(&format!("[{}{{}}]", r#"{"":0},"#.repeat(11_000)));
    let twice = escaped[1..escaped.len() - 1].replace("\\u", "\\\\\\u0075");
    format!("\"\\\"{twice}\\\"\"")
})]
#[case::arrays(&|| format!(r#"{{"type":"T","data":[{}0]}}"#, "[0],".repeat(60_000)))]
#[tokio::test]
async fn one_event_below_a_megabyte_takes_64_mebibytes_at_most_whatever_it_says(
    #[case] event: &dyn Fn() -> String,
) {
    let event = event();
    assert!(event.len() < 1 << 20, "{}", event.len());
    let world = World::with(&[("LOG", "error")]).await;
    let process_id = world.host.handler_process_id().expect("it runs");
    let url = world.handler_url().await;
    let post = async |path: &str, body: String| {
        let request = world.client.post(format!("{url}{path}")).body(body);
        let answer = request.send().await.expect("it is answered");
        (answer.status().as_u16(), answer.text().await)
    };
    let genuine = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let (status, answer) = post("/api/eventgrid/webhook", genuine.to_string()).await;
    assert_eq!(status, 200, "{answer:?}");
    let idle = peak_bytes(process_id);
    let enveloped = json!({"Data": {"event": Value::from(&*event)}, "Metadata": {}});
    for (path, body) in [
        ("/api/eventgrid/webhook", event),
        ("/RecordingFileStatusUpdated", enveloped.to_string()),
    ] {
        let (status, answer) = post(path, body).await;
        assert_eq!(status, 200, "{path}: {answer:?}");
    }
    assert_eq!(world.host.handler_process_id(), Some(process_id));
    let taken = peak_bytes(process_id) - idle;
    assert!(taken < EVENT_BYTES, "it took {} MiB", taken >> 20);
}

/// An event with very many chunks, whose ids are as long as ids can be, and whose shared members take much memory.
#[tokio::test]
async fn what_chunks_of_one_event_share_is_not_multiplied() {
    let chunk = |number: usize| json!({"documentId": format!("d{number}")});
    let chunks: Vec<Value> = (0..5_000).map(chunk).collect();
    let id = |letter: &str| letter.repeat(1000);
    let dense: Vec<Value> = vec![json!({"": 0}); 120];
    let event = json!({
        "id": id("i"),
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": format!("/recording/call/{}/serverCallId/{}/recordingId/{}", id("c"), id("s"), id("r")),
        "data": {"recordingStorageInfo": {"recordingChunks": chunks}, "x": dense, "storageType": "\u{1f4be}".repeat(200)},
    });
    let world = World::with(&[("LOG", "error")]).await;
    let process_id = world.host.handler_process_id().expect("it runs");
    let url = world.handler_url().await;
    let post = async |event: &Value| -> Value {
        let request = world.client.post(format!("{url}/api/eventgrid/webhook"));
        let answer = request.body(event.to_string()).send().await;
        let answer = answer.expect("it is answered").json().await;
        answer.expect("it is JSON")
    };
    let genuine = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    assert_eq!(post(&genuine).await, json!({"chunks": 1}));
    let idle = peak_bytes(process_id);
    let answer = post(&event).await;
    assert!(answer["chunks"].as_u64() > Some(0), "{answer}");
    assert_eq!(world.host.handler_process_id(), Some(process_id));
    let taken = peak_bytes(process_id) - idle;
    assert!(taken < EVENT_BYTES, "it took {} MiB", taken >> 20);
}

/// More bodies than fit into the memory of anonymous callers.
const UNFINISHED: usize = 1000;
/// More bodies than fit into the memory of callers with a key.
const MORE_THAN_KEYED: usize = 200;

/// A body that its sender does not end: the handler waits for it for 30 s.
async fn unfinished(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n");
    let begun = format!("{head}{}", " ".repeat(60_000));
    stream.write_all(begun.as_bytes()).await.expect("it reads");
    stream
}

#[tokio::test]
async fn bodies_of_anonymous_callers_take_no_memory_of_events_and_timer() {
    let key = "a-key-of-telephony";
    let world = World::with(&[("OPERATOR_ACTIONS", "on"), ("TELEPHONY_KEY", key)]).await;
    let url = world.handler_url().await;
    let address = url.strip_prefix("http://").expect("it is HTTP");
    let post = async |path: &str, body: String| {
        let request = world.client.post(format!("{url}{path}")).body(body);
        let answer = request.send().await.expect("it is answered");
        answer.text().await.expect("it is text")
    };
    let large = " ".repeat(60_000);
    let mut begun = Vec::new();
    while !post("/api/recordings/callbacks", large.clone())
        .await
        .contains("\"Busy\"")
    {
        assert!(begun.len() < UNFINISHED, "their memory has a limit");
        begun.push(unfinished(address, "/api/recordings/callbacks").await);
    }
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let taken = post("/api/eventgrid/webhook", json!([event]).to_string()).await;
    assert_eq!(taken, r#"{"chunks":1}"#);
    let (status, answer) = world.event(&event).await;
    assert_eq!(status, 200, "{answer}");
    world.sweep().await;
    let conversation = "/api/telephony/v3/conversations/x/activities";
    // Requests of bots without a key take no memory of callers with a key.
    for _ in 0..MORE_THAN_KEYED {
        begun.push(unfinished(address, conversation).await);
    }
    for path in [
        "/api/vault/chunks/x/verify",
        &format!("{conversation}?code={key}"),
    ] {
        let answer = post(
            path,
            json!({"type": "typing", "text": &large[..50_000]}).to_string(),
        )
        .await;
        assert!(!answer.contains("Busy"), "{path}: {answer}");
    }
    drop(begun);
}
