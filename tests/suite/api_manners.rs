//! Mistakes at the HTTP API: each gets a status that fits, our error object, and a sentence that says what is wrong.

use std::collections::BTreeSet;
use std::fs;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use serde_json::{Value, json};

use crate::documents::{repository, rust_files};
use crate::support::world::{World, json_answer};

/// A recording of a vault that nothing is known of.
const NO_RECORDING: &str = "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiJub25lIn0";
const SERVER_CALL: &str = "aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29tL2FwaQ";

/// Method, path, body, status, and a part of the sentence.
type Mistake = (&'static str, String, Option<Value>, u16, &'static str);

fn at(method: &'static str, path: &str, status: u16, part: &'static str) -> Mistake {
    (method, path.to_owned(), None, status, part)
}

fn with(path: &str, body: Value, status: u16, part: &'static str) -> Mistake {
    ("POST", path.to_owned(), Some(body), status, part)
}

#[expect(clippy::too_many_lines, reason = "a table of requests")]
fn of_queries() -> Vec<Mistake> {
    vec![
        at(
            "GET",
            "/recordings?sate=active",
            400,
            "did you mean `state`?",
        ),
        at("GET", "/recordings?limit=5", 400, "did you mean `top`?"),
        at(
            "GET",
            "/recordings?state=running",
            400,
            "expected active or paused",
        ),
        at(
            "GET",
            "/recordings?state=active&state=paused",
            400,
            "given twice",
        ),
        at("GET", "/recordings?conversation=", 400, "is empty"),
        at(
            "GET",
            "/recordings?conversation=c&state=paused",
            400,
            "`state` cannot be combined with `conversation`",
        ),
        at(
            "GET",
            "/recordings?conversation=c&top=7",
            400,
            "`top` cannot be combined with `conversation`",
        ),
        at(
            "GET",
            "/recordings?conversation=c&continuation=x",
            400,
            "`continuation` cannot be combined with `conversation`",
        ),
        at("GET", "/recordings?top=0", 400, "expected 1 to 100"),
        at("GET", "/recordings?top=101", 400, "expected 1 to 100"),
        at("GET", "/recordings?top=many", 400, "not a whole number"),
        at(
            "GET",
            "/recordings?top=",
            400,
            "`top` is not a whole number",
        ),
        at(
            "GET",
            "/recordings?top=5.0",
            400,
            "`top` is not a whole number",
        ),
        at(
            "GET",
            "/recordings?state=",
            400,
            "expected active or paused",
        ),
        at(
            "GET",
            "/vault/deadlines?hours=1.5",
            400,
            "`hours` is not a whole number",
        ),
        at("GET", "/vault/evidence", 400, "missing field `recordings`"),
        at(
            "GET",
            "/vault/recordings?from=31.11.2026",
            400,
            "expected a day such as",
        ),
        at(
            "GET",
            "/vault/recordings?q=2026-03-05..2026-03-01",
            400,
            "must end after it begins",
        ),
        at(
            "GET",
            "/recordings?continuation=x",
            400,
            "not one that was given",
        ),
        at(
            "GET",
            &format!("/recordings/{NO_RECORDING}?verbose=1"),
            400,
            "no query parameter",
        ),
        at(
            "POST",
            &format!("/recordings/{NO_RECORDING}/stop?force=1"),
            400,
            "no query parameter",
        ),
        at(
            "GET",
            "/vault/recordings?form=2026-03-01",
            400,
            "did you mean `from`?",
        ),
        at(
            "GET",
            "/vault/recordings?since=2026-03-01",
            400,
            "did you mean `from`?",
        ),
        at(
            "GET",
            "/vault/recordings?until=2026-03-01",
            400,
            "did you mean `to`?",
        ),
        at(
            "GET",
            "/vault/recordings?callId=x",
            400,
            "did you mean `call`?",
        ),
        at(
            "GET",
            "/vault/recordings?from=yesterday",
            400,
            "expected a day such as",
        ),
        at(
            "GET",
            "/vault/recordings?from=2026-02-30",
            400,
            "expected a day such as",
        ),
        at(
            "GET",
            "/vault/recordings?to=03%2F02%2F2026",
            400,
            "expected a day such as",
        ),
        at(
            "GET",
            "/vault/recordings?from=2026-03-02&to=2026-03-01",
            400,
            "must end after it begins",
        ),
        at(
            "GET",
            "/vault/recordings?state=broken",
            400,
            "expected one of",
        ),
        at(
            "GET",
            "/vault/recordings?format=ogg",
            400,
            "`format` is wrong",
        ),
        at("GET", "/vault/recordings?top=-1", 400, "top"),
        at("GET", "/vault/recordings?top=201", 400, "expected 1 to 200"),
        at(
            "GET",
            "/vault/recordings?continuation=x",
            400,
            "not one that was given",
        ),
        at(
            "GET",
            "/vault/days?form=2026-03-01",
            400,
            "did you mean `from`?",
        ),
        at(
            "GET",
            "/vault/days?from=2026-03-02&to=2026-03-01",
            400,
            "are not 1 to",
        ),
        at(
            "GET",
            "/vault/days?from=2020-01-01&to=2026-01-01",
            400,
            "are not 1 to",
        ),
        at(
            "GET",
            "/vault/days?from=monday",
            400,
            "expected a day such as",
        ),
        at("GET", "/vault/deadlines?hours=0", 400, "expected 1 to 720"),
        at("GET", "/vault/deadlines?hours=soon", 400, "hours"),
        at(
            "GET",
            "/vault/deadlines?hour=3",
            400,
            "did you mean `hours`?",
        ),
        at("GET", "/vault/summary?x=1", 400, "no query parameter"),
        at(
            "GET",
            "/openapi.json?format=yaml",
            400,
            "no query parameter",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table of requests")]
fn of_bodies() -> Vec<Mistake> {
    let pause = format!("/recordings/{NO_RECORDING}/pause");
    let hold = format!("/vault/recordings/{NO_RECORDING}/hold");
    vec![
        with("/recordings", json!({}), 400, "names no call"),
        with(
            "/recordings",
            json!({"callId": "x"}),
            400,
            "did you mean `serverCallId`?",
        ),
        with(
            "/recordings",
            json!({"serverCallID": "x"}),
            400,
            "did you mean `serverCallId`?",
        ),
        with(
            "/recordings",
            json!({"serverCallId": ""}),
            400,
            "`serverCallId` is empty",
        ),
        with(
            "/recordings",
            json!({"serverCallId": 7}),
            400,
            "`serverCallId`: expected a text",
        ),
        with("/recordings", json!([]), 400, "not a JSON object"),
        with(
            "/recordings",
            json!({"serverCallId": "x", "roomId": "y"}),
            400,
            "more than one call",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "7c62cca0-0000-4444-8888-000000000001"}),
            400,
            "plain call id",
        ),
        with(
            "/recordings",
            json!({"groupCallId": SERVER_CALL}),
            400,
            "give it as `serverCallId`",
        ),
        with(
            "/recordings",
            json!({"callLocator": {"groupCallId": SERVER_CALL}}),
            400,
            "give it as `serverCallId`",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "format": "wav"}),
            400,
            "unknown field `format`",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "recordingFormatType": "ogg"}),
            400,
            "is not one of",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "recordingContentType": "audio", "recordingFormatType": "mp4"}),
            400,
            "mp4 is audioVideo",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "recordingStateCallbackUri": "http://x"}),
            400,
            "https",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "startedBy": ""}),
            400,
            "`startedBy` is empty",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x", "consent": {}}),
            400,
            "missing field",
        ),
        with(
            "/recordings",
            json!({"serverCallId": "x".repeat(70_000)}),
            413,
            "larger than any request",
        ),
        with(&pause, json!({"resumeAfter": "soon"}), 400, "resumeAfter"),
        with(
            &pause,
            json!({"resume": "5m"}),
            400,
            "unknown field `resume`",
        ),
        with(&hold, json!({}), 400, "missing field `case`"),
        with(&hold, json!({"case": ""}), 400, "`case` is wrong"),
        with(
            &hold,
            json!({"case": "A", "reason": "x"}),
            400,
            "unknown field `reason`",
        ),
    ]
}

fn of_routes() -> Vec<Mistake> {
    vec![
        at("GET", "/recording", 404, "There is no such route"),
        at("PUT", "/vault/summary", 405, "not offered here"),
        at("GET", &format!("/recordings/{NO_RECORDING}"), 404, ""),
        at(
            "GET",
            &format!("/vault/recordings/{NO_RECORDING}"),
            404,
            "No such recording: neither",
        ),
        at(
            "GET",
            "/vault/chunks/0-eus-d1-none/media",
            404,
            "no such chunk",
        ),
        at("GET", "/vault/play/forged", 403, "it was not issued here"),
        at("POST", "/vault/poison/none/replay", 404, ""),
    ]
}

#[tokio::test]
async fn a_body_that_says_two_things_is_not_carried_out_as_one_of_them() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let api = format!("{}/api", world.host.url());
    for (path, body) in [
        (
            "/recordings",
            r#"{"serverCallId": "YQ", "serverCallId": "Yg"}"#,
        ),
        (
            "/vault/holds",
            r#"{"case": "A", "callId": "a", "callId": "b"}"#,
        ),
        (
            "/recordings/none/pause",
            r#"{"resumeAfter": "1m", "resumeAfter": "9m"}"#,
        ),
    ] {
        let request = world.client.post(format!("{api}{path}")).body(body);
        let answer = json_answer(request.send().await.expect("the host answers")).await;
        assert_eq!(answer.0, 400, "{path}: {answer:?}");
        let said = answer.1["error"]["message"].to_string();
        assert!(said.contains("is given twice"), "{path}: {said}");
    }
    let running = world.api("GET", "/recordings", None).await;
    assert_eq!(running.1["recordings"], json!([]), "nothing was started");
}

#[tokio::test]
async fn an_empty_idempotency_key_starts_nothing() {
    let world = World::new().await;
    let request = world
        .client
        .post(format!("{}/api/recordings", world.host.url()))
        .header("idempotency-key", " ")
        .body(json!({"serverCallId": "YQ"}).to_string());
    let (status, answer) = json_answer(request.send().await.expect("the host answers")).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer.to_string().contains("`Idempotency-Key` is empty"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_offset_whose_plus_sign_was_not_encoded_is_a_time() {
    let world = World::new().await;
    let from = "/vault/recordings?from=2026-03-01T10:00:00+01:00";
    let (status, answer) = world.api("GET", from, None).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn sixty_mistakes_are_answered_with_what_is_wrong() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let mistakes = [of_queries(), of_bodies(), of_routes()].concat();
    assert!(mistakes.len() >= 60, "{}", mistakes.len());
    let (mut wrong, handler) = (Vec::new(), world.handler_url().await);
    for (method, path, body, status, part) in mistakes {
        // The handler itself: the host answers for routes that are none of ours.
        let url = format!("{handler}/api{path}");
        let request = world
            .client
            .request(method.parse().expect("it is a method"), url);
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let response = request.send().await.expect("the handler answers");
        let (given, answer) = json_answer(response).await;
        let error = &answer["error"];
        let message = error["message"].as_str().unwrap_or_default();
        let is_told = message.contains(part) && !message.is_empty() && error["code"].is_string();
        if given != status || !is_told {
            wrong.push(format!(
                "{method} {path}: {given}, expected {status} `{part}`: {answer}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_must_take_anything_refuses_no_parameter() {
    let world = World::with(&[("TELEPHONY_KEY", "a-key-of-the-bot")]).await;
    for path in [
        "/recordings/callbacks?x=1&x=2",
        "/telephony/v3/conversations/c/activities?x=1",
        "/eventgrid/webhook?x=1",
    ] {
        let (_, answer) = world.api("POST", path, Some(json!([]))).await;
        assert!(
            !answer.to_string().contains("query parameter"),
            "{path}: {answer}"
        );
    }
    let (status, answer) = world
        .api("GET", "/vault/recordings?code=a&clientId=b&secret=c", None)
        .await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_start_with_the_key_of_another_body_is_refused_and_the_same_body_is_not() {
    let world = World::new().await;
    let call = world.admin("POST", "calls", json!({})).await;
    let call = call["serverCallId"].clone();
    let start = async |format: &str| {
        let body = json!({
            "serverCallId": call,
            "recordingContentType": "audio",
            "recordingFormatType": format,
        });
        let url = format!("{}/api/recordings", world.host.url());
        let request = world
            .client
            .post(url)
            .header("idempotency-key", "key of this start");
        json_answer(
            request
                .body(body.to_string())
                .send()
                .await
                .expect("the host answers"),
        )
        .await
    };
    let first = start("mp3").await;
    assert_eq!(first.0, 200, "{}", first.1);
    let other = start("wav").await;
    assert_eq!(
        (other.0, &other.1["error"]["code"]),
        (422, &json!("IdempotencyKeyReused")),
        "{}",
        other.1
    );
    let again = start("mp3").await;
    assert_eq!(
        (again.0, &again.1["recordingId"]),
        (200, &first.1["recordingId"]),
        "{}",
        again.1
    );
}

#[tokio::test]
async fn json_and_the_page_are_compressed_for_who_accepts_it() {
    let world = World::new().await;
    for (path, is_compressed) in [
        ("/openapi.json", true),
        ("/vault/", true),
        ("/recordings", false),
    ] {
        let url = format!("{}/api{path}", world.host.url());
        let request = world.client.get(url).header(ACCEPT_ENCODING, "gzip");
        let response = request.send().await.expect("the host answers");
        let encoding = response.headers().get(CONTENT_ENCODING).cloned();
        assert_eq!(
            encoding.is_some_and(|encoding| encoding == "gzip"),
            is_compressed,
            "{path}"
        );
        let plain = world.client.get(response.url().clone()).send().await;
        let plain = plain.expect("the host answers");
        assert!(plain.headers().get(CONTENT_ENCODING).is_none(), "{path}");
    }
}

/// Paths that the sources route, with the names of parameters as the document has them.
fn routed() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for file in rust_files(&repository().join("src/functions")) {
        let text = fs::read_to_string(&file).expect("the sources are readable");
        for call in text.split(".route(").skip(1) {
            let path = call.split('"').nth(1).unwrap_or_default();
            if call.trim_start().starts_with('"') && path.starts_with("/api/") {
                let path = path.replace("recording_id", "recordingId");
                let path = path.replace("document_id", "documentId");
                paths.insert(path.trim_end_matches('/').to_owned());
            }
        }
    }
    paths
}

#[test]
fn the_api_description_has_every_route_with_security_and_error_schemas() {
    let text = recording_vault::functions::api_description::text();
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    let paths = document["paths"].as_object().expect("it has paths");
    let described: BTreeSet<String> = paths.keys().cloned().collect();
    assert_eq!(described, routed());
    assert!(paths["/api/recordings/{recordingId}"]["delete"].is_object());
    let mut names = BTreeSet::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("a path has operations") {
            assert!(operation["security"].is_array(), "{method} {path}");
            let schema =
                &operation["responses"]["default"]["content"]["application/json"]["schema"];
            assert_eq!(
                schema["$ref"], "#/components/schemas/ErrorAnswer",
                "{method} {path}"
            );
            let name = operation["operationId"].as_str().expect("it has a name");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
        }
    }
    let schemes = document["components"]["securitySchemes"].as_object();
    assert!(schemes.is_some_and(|schemes| schemes.len() >= 5));
}
