//! The built binary's HTTP API, in both forms, against the ACS simulator, which checks every signature.

use serde_json::{Value, json};

use crate::support::identity::{self, FakeIdentity};
use crate::support::world::World;

async fn established_call(world: &World) -> Value {
    world.admin("POST", "calls", json!({})).await["serverCallId"].clone()
}

async fn started(world: &World) -> String {
    let call = established_call(world).await;
    let (status, started) = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await;
    assert_eq!(status, 200, "{started}");
    started["recordingId"]
        .as_str()
        .expect("a start gives an id")
        .to_owned()
}

#[tokio::test]
async fn a_recording_is_started_paused_resumed_and_stopped_through_the_host() {
    let world = World::new().await;
    let id = started(&world).await;
    let state = async || {
        world.api("GET", &format!("/recordings/{id}"), None).await.1["recordingState"].clone()
    };
    assert_eq!(state().await, "active");
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/pause"), None)
            .await
            .0,
        202
    );
    assert_eq!(state().await, "paused");
    assert_eq!(
        world
            .api("POST", &format!("/recordings/{id}/resume"), None)
            .await
            .0,
        202
    );
    assert_eq!(state().await, "active");
    let (status, stopped) = world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    assert_eq!(
        (status, &stopped["recordingState"]),
        (200, &json!("stopped"))
    );
}

#[tokio::test]
async fn a_recording_that_has_ended_is_not_called_one_that_has_not_started() {
    let world = World::new().await;
    let id = started(&world).await;
    world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    for action in ["pause", "resume"] {
        let path = format!("/recordings/{id}/{action}");
        let (status, answer) = world.api("POST", &path, None).await;
        assert_eq!(
            (status, &answer["error"]["message"]),
            (409, &json!("The recording has ended")),
            "{action}: {answer}"
        );
    }
}

#[tokio::test]
async fn delete_stops_a_recording_as_well() {
    let world = World::new().await;
    let id = started(&world).await;
    assert_eq!(
        world
            .api("DELETE", &format!("/recordings/{id}"), None)
            .await
            .0,
        200
    );
    assert_eq!(world.objects().await.len(), 1);
}

#[tokio::test]
async fn an_unknown_recording_gives_acs_own_404() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/stop"),
        ("DELETE", ""),
    ] {
        let (status, answer) = world
            .api(method, &format!("/recordings/nobody{path}"), None)
            .await;
        let error = &answer["error"];
        assert_eq!(
            (status, &error["code"], &error["message"]),
            (404, &json!("8522"), &json!("Recording not found.")),
            "{method} {path}"
        );
        assert!(error["chainId"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn acs_errors_pass_through_with_their_codes() {
    let world = World::new().await;
    let (status, answer) = world
        .api(
            "POST",
            "/recordings",
            Some(json!({"serverCallId": "unknown"})),
        )
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (400, &json!("8501")),
        "{answer}"
    );
    // The same call by another of its names: only ACS knows that.
    let call = world
        .admin("POST", "calls", json!({"roomId": "99123"}))
        .await["serverCallId"]
        .clone();
    assert_eq!(
        world
            .api("POST", "/recordings", Some(json!({"serverCallId": call})))
            .await
            .0,
        200
    );
    let (status, answer) = world
        .api("POST", "/recordings", Some(json!({"roomId": "99123"})))
        .await;
    let error = &answer["error"];
    let expected = (
        409,
        &json!("8553"),
        &json!("Recording is already in progress"),
    );
    assert_eq!(
        (status, &error["code"], &error["message"]),
        expected,
        "{answer}"
    );
    assert_eq!(
        error["details"][0]["message"], "Duplicate Recording",
        "{answer}"
    );
}

#[tokio::test]
async fn an_id_with_odd_characters_reaches_acs_encoded_as_the_sdks_do() {
    let world = World::new().await;
    let (status, answer) = world
        .api("GET", "/recordings/a%20b%2Fc%2Bd%3D%3F%26%C3%A9", None)
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &json!("8522")),
        "the signature fits: {answer}"
    );
}

#[tokio::test]
async fn a_bad_start_says_what_is_wrong_before_acs_is_asked() {
    let world = World::new().await;
    let bodies = [
        json!({}),
        json!({"serverCallId": "a", "roomId": "b"}),
        json!({"serverCallId": "a", "typo": 1}),
        json!([]),
        json!({"serverCallId": "a", "recordingContentType": "audioVideo", "recordingFormatType": "wav"}),
    ];
    for body in bodies {
        let (status, answer) = world.api("POST", "/recordings", Some(body)).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("InvalidArgument")),
            "{answer}"
        );
    }
    let huge = json!({"serverCallId": "a".repeat(100_000)});
    assert_eq!(world.api("POST", "/recordings", Some(huge)).await.0, 413);
    let (status, answer) = world.api("DELETE", "/recordings", None).await;
    assert_eq!((status, answer["error"]["code"].is_string()), (405, true));
}

#[tokio::test]
async fn the_envelope_form_gives_the_same_answers() {
    let world = World::new().await;
    let call = established_call(&world).await;
    let request = |method: &str, path: &str, body: &Value| {
        let url = format!("http://localhost:7071/api/recordings{path}?code=key");
        json!({"Data": {"req": {"Url": url, "Method": method, "Query": {}, "Headers": {}, "Params": {}, "Body": body}}})
            .to_string()
    };
    let (status, answer) = world
        .envelope(
            "RecordingControl",
            request(
                "POST",
                "",
                &json!({"serverCallId": call}).to_string().into(),
            ),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    let res = &answer["Outputs"]["res"];
    assert_eq!(
        (&res["statusCode"], &res["body"]["recordingState"]),
        (&json!(200), &json!("active")),
        "{answer}"
    );
    let id = res["body"]["recordingId"]
        .as_str()
        .expect("a start gives an id");
    let (_, answer) = world
        .envelope(
            "RecordingControl",
            request("POST", &format!("/{id}/pause"), &Value::Null),
        )
        .await;
    assert_eq!(answer["Outputs"]["res"]["statusCode"], 202, "{answer}");
    let (_, answer) = world
        .envelope("RecordingReads", request("GET", "/nobody", &Value::Null))
        .await;
    assert_eq!(
        answer["Outputs"]["res"]["body"]["error"]["code"], "8522",
        "{answer}"
    );
}

#[tokio::test]
async fn throttling_is_waited_out_and_a_repeated_start_makes_one_recording() {
    let world = World::new().await;
    world
        .admin(
            "PUT",
            "faults",
            json!([{"plane": "control", "kind": "status", "status": 503, "times": 2}]),
        )
        .await;
    let id = started(&world).await;
    assert_eq!(
        world.api("GET", &format!("/recordings/{id}"), None).await.0,
        200
    );
}

#[tokio::test]
async fn a_start_repeated_with_its_idempotency_key_gives_the_same_recording() {
    let world = World::new().await;
    let body = json!({"serverCallId": established_call(&world).await}).to_string();
    let start = async || {
        let request = world
            .client
            .post(format!("{}/api/recordings", world.host.url()))
            .header("idempotency-key", "call 4711");
        request
            .body(body.clone())
            .send()
            .await
            .expect("the host answers")
            .json::<Value>()
            .await
            .expect("it is JSON")
    };
    let (first, second) = (start().await, start().await);
    assert!(first["recordingId"].is_string(), "{first}");
    assert_eq!(
        (&first["recordingId"], &first["recordingState"]),
        (&second["recordingId"], &second["recordingState"])
    );
}

#[tokio::test]
async fn an_idempotency_key_of_another_call_starts_nothing_and_says_so() {
    let world = World::new().await;
    let start = async |call: &Value, key: &str| {
        let request = world
            .client
            .post(format!("{}/api/recordings", world.host.url()))
            .header("idempotency-key", key);
        let response = request
            .body(json!({"serverCallId": call}).to_string())
            .send()
            .await
            .expect("the host answers");
        crate::support::world::json_answer(response).await
    };
    let (one, other) = (
        established_call(&world).await,
        established_call(&world).await,
    );
    // A text stands for one start, as a UUID does.
    let (first, second) = (start(&one, "agent 7").await, start(&other, "agent 7").await);
    assert_eq!((first.0, second.0), (200, 422));
    assert_eq!(
        second.1["error"]["code"], "IdempotencyKeyReused",
        "{}",
        second.1
    );
    let (one, other) = (
        established_call(&world).await,
        established_call(&world).await,
    );
    let uuid = "11111111-2222-4333-8444-555555555555";
    let first = start(&one, uuid).await.1;
    let (status, refused) = start(&other, uuid).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (422, &json!("IdempotencyKeyReused")),
        "{refused}"
    );
    let id = first["recordingId"].as_str().expect("a start gives an id");
    assert_eq!(
        world.api("GET", &format!("/recordings/{id}"), None).await.1["call"]["callLocator"]["serverCallId"],
        one
    );
    assert_eq!(
        start(&other, "another").await.0,
        200,
        "its call can still be recorded"
    );
}

#[tokio::test]
async fn a_wrong_key_is_told_with_acs_code_and_what_was_signed() {
    let world = World::with(&[("ACS_ACCESS_KEY", "c29tZWJvZHkgZWxzZQ==")]).await;
    let (status, answer) = world.api("GET", "/recordings/x", None).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (401, &json!("7509")),
        "{answer}"
    );
    let message = answer["error"]["message"]
        .as_str()
        .expect("an error has a message");
    for part in [
        "the request `state` (GET)",
        "for host `127.0.0.1:",
        "our clock is",
    ] {
        assert!(message.contains(part), "{message}");
    }
    for secret in ["c29tZWJv", "/calling/recordings"] {
        assert!(!message.contains(secret), "{message}");
    }
}

#[tokio::test]
async fn a_managed_identity_signs_in_for_control_and_content() {
    let identity = FakeIdentity::start().await;
    let settings = [
        ("ACS_ACCESS_KEY", ""),
        ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
        ("IDENTITY_ENDPOINT", &identity.url),
        ("IDENTITY_HEADER", identity::HEADER),
    ];
    let world = World::with(&settings).await;
    let id = started(&world).await;
    assert_eq!(
        world.api("GET", &format!("/recordings/{id}"), None).await.0,
        200
    );
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let (_, answer) = world.event(&event).await;
    assert!(
        answer["ReturnValue"]["report"][0]
            .as_str()
            .is_some_and(|log| log.contains("deleted at ACS")),
        "{answer}"
    );

    let asked = identity
        .asked
        .lock()
        .expect("no holder of this lock panics");
    assert!(
        asked
            .iter()
            .all(|query| query["resource"] == "https://communication.azure.com/"),
        "{asked:?}"
    );
    assert!(
        asked
            .iter()
            .all(|query| query["client_id"] == settings[1].1),
        "{asked:?}"
    );
    assert_eq!(asked.len(), 1, "a token is kept while it is good");
}

#[tokio::test]
async fn acs_that_cannot_be_reached_is_a_502() {
    let world = World::with(&[("ACS_ENDPOINT", "http://127.0.0.1:1")]).await;
    let (status, answer) = world.api("GET", "/recordings/x", None).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (502, &json!("AcsUnavailable")),
        "{answer}"
    );
}
