//! The vault over HTTP, through the stand-in host and the built binary.

mod actions;
mod answers;
mod filters;
mod media;
mod timeline;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::audit::audit_records;
use crate::support::world::{World, document_ids};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

async fn send(world: &World, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = world
        .client
        .request(method, format!("{}/api/vault{path}", world.host.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the host answers")
}

async fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.api("GET", &format!("/vault{path}"), None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn error(world: &World, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
    let (status, answer) = world.api(method, &format!("/vault{path}"), body).await;
    (
        status,
        answer["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: {answer}"))
            .to_owned(),
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// A recording of a call of these participants, in the vault.
async fn archived(world: &World, participants: &[&str]) -> Value {
    let call = json!({"participants": participants, "chunks": [{"durationMs": 9000}, {"durationMs": 5000}]});
    let event = world.recording(json!({"call": call})).await;
    world.event(&event).await;
    world.sweep().await;
    event
}

/// The only recording there is.
async fn only_recording(world: &World) -> Value {
    get(world, "/recordings").await["recordings"][0].clone()
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
async fn a_recording_is_found_by_whatever_is_known_of_it_and_shown_whole() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA, "4:+15551230001"]).await;
    archived(&world, &["8:acs:other"]).await;
    let list = get(&world, "/recordings").await;
    assert_eq!(
        list["recordings"].as_array().map(Vec::len),
        Some(2),
        "{list}"
    );
    assert!(list.get("continuation").is_none(), "{list}");
    let found = get(
        &world,
        &format!("/recordings?participant={}", ANNA.to_uppercase()),
    )
    .await;
    let row = &found["recordings"][0];
    assert_eq!(
        found["recordings"].as_array().map(Vec::len),
        Some(1),
        "{found}"
    );
    assert_eq!(
        (&row["status"], &row["chunks"], &row["participants"]),
        (&json!("verified"), &json!(2), &json!(2)),
        "{row}"
    );
    assert_eq!(
        (&row["format"], &row["held"], &row["doubtful"]),
        (&json!("wav"), &json!(false), &json!(false)),
        "{row}"
    );
    assert!(
        row["sizeBytes"].as_u64() > Some(400_000) && row["durationMs"].as_u64() >= Some(14_000),
        "{row}"
    );
    let id = row["recordingId"].as_str().expect("a row has an id");
    let call = row["callId"].as_str().expect("a row has its call");
    let server_call = row["serverCallId"].as_str().expect("a row has its call");
    let day = &row["startedAt"].as_str().expect("it has begun")[..10];
    for (query, expected) in [
        (format!("call={call}"), 1),
        (format!("call={}", server_call.to_lowercase()), 1),
        ("call=other".to_owned(), 0),
        (format!("q={id}"), 1),
        (format!("q={call}"), 1),
        (format!("q={}", &call[..8]), 1),
        ("q=nothing".to_owned(), 0),
        (format!("from={day}&to={day}"), 2),
        ("to=2020-01-01".to_owned(), 0),
        ("state=verified&format=wav".to_owned(), 2),
        ("state=failed".to_owned(), 0),
        ("format=mp4".to_owned(), 0),
        (format!("participant={ANNA}&state=waiting"), 0),
        (format!("participant={ANNA}&call={call}&q={id}"), 1),
    ] {
        let found = get(&world, &format!("/recordings?{query}")).await;
        assert_eq!(
            found["recordings"].as_array().map(Vec::len),
            Some(expected),
            "{query}: {found}"
        );
    }
    let first = get(&world, "/recordings?top=1").await;
    let next = first["continuation"]
        .as_str()
        .expect("there is a next page");
    let second = get(&world, &format!("/recordings?top=1&continuation={next}")).await;
    assert_ne!(
        first["recordings"][0]["recordingId"],
        second["recordings"][0]["recordingId"]
    );

    let shown = get(&world, &format!("/recordings/{id}")).await;
    assert_eq!(
        shown["participantList"][0],
        json!({"id": ANNA, "channel": null}),
        "{shown}"
    );
    assert_eq!(
        (&shown["problems"], &shown["status"]),
        (&json!([]), &json!("verified")),
        "{shown}"
    );
    let chunk = &shown["chunkList"][1];
    assert_eq!(chunk["documentId"], document_ids(&event)[1], "{shown}");
    assert_eq!(
        (&chunk["state"], &chunk["playable"]),
        (&json!("sourceDeleted"), &json!(true)),
        "{chunk}"
    );
    assert_eq!(
        (&chunk["vault"], &chunk["contentType"]),
        (&json!("home"), &json!("audio/wav")),
        "{chunk}"
    );
    assert_eq!(
        chunk["receipt"]["receipt"]["media"]["sha256"], chunk["sha256"],
        "{chunk}"
    );
    let happened: Vec<&str> = shown["timeline"]
        .as_array()
        .expect("there is a timeline")
        .iter()
        .filter_map(|one| one["what"].as_str())
        .collect();
    for what in ["recorded", "exported", "sourceDeleted"] {
        assert_eq!(
            happened
                .iter()
                .filter(|happened| **happened == what)
                .count(),
            2,
            "{what}: {happened:?}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told() {
    let world = World::new().await;
    for (path, target) in [
        ("/recordings?from=yesterday", "from"),
        ("/recordings?to=2026-13-01", "to"),
        ("/recordings?state=fine", "state"),
        ("/recordings?format=ogg", "format"),
        ("/recordings?top=0", "top"),
        ("/recordings?top=1000", "top"),
        ("/recordings?continuation=../../etc/passwd", "continuation"),
        ("/days?from=2026-03-02&to=2026-03-01", "from"),
        ("/days?from=2020-01-01&to=2026-03-01", "from"),
        ("/deadlines?hours=0", "hours"),
        ("/chunks/..%2F..%2Fkeys%2Fplay/media", "documentId"),
        ("/chunks/a%00b/metadata", "documentId"),
    ] {
        let (status, answer) = world.api("GET", &format!("/vault{path}"), None).await;
        assert_eq!(
            (status, &answer["error"]["target"]),
            (400, &json!(target)),
            "{path}: {answer}"
        );
    }
    assert_eq!(
        error(&world, "GET", "/recordings/none", None).await,
        (404, "RecordingNotFound".to_owned())
    );
    assert_eq!(
        error(&world, "GET", "/chunks/none/media", None).await,
        (404, "ChunkNotFound".to_owned())
    );
    assert_eq!(
        error(&world, "GET", "/chunks/none/ticket", None).await,
        (404, "ChunkNotFound".to_owned())
    );
}

#[tokio::test]
async fn a_ticket_plays_its_chunk_without_a_key_and_nothing_else() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let ids = document_ids(&event);
    let host = world.host_with_key("the-key").await;
    let at = async |method: Method, path: &str, key: &str| {
        let request = world
            .client
            .request(method, format!("{}{path}", host.url()));
        request
            .header("x-functions-key", key)
            .header("range", "bytes=0-3")
            .send()
            .await
            .expect("the host answers")
    };
    for (method, path) in [
        (Method::GET, "/api/vault/summary".to_owned()),
        (Method::GET, "/api/vault/recordings".to_owned()),
        (Method::GET, format!("/api/vault/chunks/{}/media", ids[0])),
        (Method::GET, format!("/api/vault/chunks/{}/ticket", ids[0])),
    ] {
        for wrong in ["", "another"] {
            let refused = at(method.clone(), &path, wrong).await;
            assert_eq!(refused.status(), 401, "{path}");
            assert!(
                refused.bytes().await.expect("the body comes").is_empty(),
                "{path}"
            );
        }
    }
    assert_eq!(
        at(Method::GET, "/api/vault", "").await.status(),
        200,
        "the page asks for the key itself"
    );
    let ticket = at(
        Method::GET,
        &format!("/api/vault/chunks/{}/ticket", ids[0]),
        "the-key",
    )
    .await;
    let ticket: Value = ticket.json().await.expect("a ticket is JSON");
    assert_eq!(ticket["contentType"], "audio/wav", "{ticket}");
    let url = ticket["url"].as_str().expect("a ticket has a URL");
    let played = at(Method::GET, url, "").await;
    assert_eq!(played.status(), 206);
    assert_eq!(played.bytes().await.expect("the body comes"), "RIFF");
    let head = at(Method::HEAD, url, "").await;
    assert_eq!(head.status(), 200, "only GET has ranges");
    for forged in [
        url.replace(&ids[0], &ids[1]),
        format!("{url}0"),
        "/api/vault/play/..%2Fsummary".to_owned(),
    ] {
        let refused = at(Method::GET, &forged, "").await;
        assert_eq!(refused.status(), 403, "{forged}");
        let told: Value = refused.json().await.expect("it is told in JSON");
        assert_eq!(told["error"]["code"], "TicketInvalid");
    }
    assert!(!world.console().contains(url), "tickets are not logged");
}

#[tokio::test]
async fn the_numbers_and_days_tell_the_standing_of_everything() {
    let world = World::new().await;
    archived(&world, &[ANNA]).await;
    world.event(&json!("garbled")).await;
    // Announced and never there: it cannot be exported.
    let mut event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let chunk = &mut event["data"]["recordingStorageInfo"]["recordingChunks"][0];
    chunk["contentLocation"] = "https://evil.example/v1/objects/x/content/audio".into();
    world.event(&event).await;
    let summary = get(&world, "/summary").await;
    let tiles = &summary["tiles"];
    assert_eq!(
        tiles["verified"],
        json!({"count": 2, "isCapped": false, "hours": 24}),
        "{summary}"
    );
    assert_eq!(
        (&tiles["failed"], &tiles["poison"], &tiles["lost"]),
        (&json!(1), &json!(1), &json!(0)),
        "{summary}"
    );
    assert_eq!(
        (&tiles["waiting"], &tiles["exporting"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
    assert_eq!(
        (&summary["actions"], &tiles["capped"]),
        (&json!(false), &json!([])),
        "{summary}"
    );
    assert!(tiles["lastSweep"]["at"].is_string(), "{summary}");
    let failed = get(&world, "/recordings?state=failed").await;
    assert_eq!(
        failed["recordings"].as_array().map(Vec::len),
        Some(1),
        "{failed}"
    );
    let days = get(&world, "/days").await;
    let days = days["days"].as_array().expect("there are days");
    assert_eq!(days.len(), 30);
    assert_eq!(
        (&days[29]["recordings"], &days[29]["incomplete"]),
        (&json!(2), &json!(1)),
        "{days:?}"
    );
    assert!(days[29]["minutes"].as_f64() > Some(0.2), "{days:?}");
    assert_eq!(
        get(&world, "/deadlines").await,
        json!({"deadlines": [], "isCapped": false, "unreadable": 0})
    );
    let poison = get(&world, "/poison").await;
    assert!(
        poison["poison"][0]["reason"].is_string() && poison["poison"][0]["keptAt"].is_string(),
        "{poison}"
    );
}

#[tokio::test]
async fn the_page_runs_nothing_but_itself() {
    let world = World::new().await;
    for path in ["", "/"] {
        let page = send(&world, Method::GET, path, &[]).await;
        let headers = page.headers().clone();
        assert_eq!(
            (page.status().as_u16(), text(&headers, "content-type")),
            (200, "text/html; charset=utf-8")
        );
        let policy = text(&headers, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-")
                && policy.contains("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (
                text(&headers, "referrer-policy"),
                text(&headers, "x-content-type-options")
            ),
            ("no-referrer", "nosniff")
        );
        let known = send(
            &world,
            Method::GET,
            path,
            &[("if-none-match", text(&headers, "etag"))],
        )
        .await;
        assert_eq!(known.status(), 304);
    }
    assert_eq!(
        text(
            send(&world, Method::GET, "/summary", &[]).await.headers(),
            "cache-control"
        ),
        "no-store"
    );
}

#[tokio::test]
async fn the_envelope_form_answers_in_json_and_says_that_it_carries_no_media() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let ask = async |path: &str| {
        let req = json!({"Url": format!("http://localhost/api/vault{path}"), "Method": "GET"});
        let (status, answer) = world
            .envelope("Vault", json!({"Data": {"req": req}}).to_string())
            .await;
        assert_eq!(status, 200, "{answer}");
        answer["Outputs"]["res"].clone()
    };
    assert_eq!(
        ask("/recordings").await["body"]["recordings"][0]["status"],
        "verified"
    );
    let media = ask(&format!("/chunks/{}/media", document_ids(&event)[0])).await;
    assert_eq!(
        (&media["statusCode"], &media["body"]["error"]["code"]),
        (&json!(501), &json!("NotInThisForm"))
    );
}
