//! What ACS reports to `recordings/callbacks`: let in by its token only, and only a reason to ask ACS itself.

use serde_json::{Value, json};

use crate::support::issuer::{self, Issuer};
use crate::support::world::{World, json_answer};

async fn world_and_issuer() -> (World, Issuer) {
    let issuer = Issuer::start().await;
    let settings = [
        ("ACS_RESOURCE_ID", issuer::AUDIENCE),
        ("ACS_OPENID_URL", &issuer.openid_url()),
    ];
    (World::with(&settings).await, issuer)
}

fn changed(id: &str, state: &str) -> Value {
    json!([{"specversion": "1.0", "id": "e", "source": "calling/recordings/x", "type": "Microsoft.Communication.RecordingStateChanged",
        "data": {"recordingId": id, "state": state, "startDateTime": "2026-03-02T10:00:00Z", "serverCallId": "abc"}}])
}

/// Past the host, whose function key is not what this is about.
async fn reported(world: &World, token: Option<&str>, events: &Value) -> (u16, Value) {
    let mut request = world.client.post(format!(
        "{}/api/recordings/callbacks",
        world.handler_url().await
    ));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    json_answer(
        request
            .body(events.to_string())
            .send()
            .await
            .expect("the handler answers"),
    )
    .await
}

async fn state(world: &World, id: &str) -> Value {
    world.api("GET", &format!("/recordings/{id}"), None).await.1
}

#[tokio::test]
async fn a_report_with_acs_own_token_updates_the_register() {
    let (world, issuer) = world_and_issuer().await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let started = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await
        .1;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    world
        .admin("POST", "calls/end", json!({"serverCallId": call}))
        .await;
    let token = issuer.token(&issuer.claims());
    assert_eq!(
        reported(&world, Some(&token), &changed(id, "inactive")).await,
        (200, json!({"taken": 1}))
    );
    assert_eq!(
        world.api("GET", "/recordings", None).await.1["recordings"],
        json!([])
    );
}

#[tokio::test]
async fn a_start_that_failed_later_is_failed() {
    let (world, issuer) = world_and_issuer().await;
    let result = json!({"code": 400, "subCode": 8501, "message": "Call is not established"});
    let event = json!({"type": "Microsoft.Communication.StartRecordingFailed", "data": {"recordingId": "r1", "resultInformation": result}});
    let token = issuer.token(&issuer.claims());
    assert_eq!(reported(&world, Some(&token), &event).await.0, 200);
    let state = state(&world, "r1").await;
    let expected = (
        &json!("failed"),
        &json!("400.8501: Call is not established"),
    );
    assert_eq!(
        (&state["recordingState"], &state["failure"]),
        expected,
        "{state}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_right_lets_nobody_in() {
    let (world, issuer) = world_and_issuer().await;
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        claims
    };
    let now = jiff::Timestamp::now().as_second();
    let tokens = [
        ("none", None),
        ("text", Some("nonsense".to_owned())),
        (
            "another audience",
            Some(issuer.token(&with("aud", "somebody else".into()))),
        ),
        (
            "another issuer",
            Some(issuer.token(&with("iss", "https://evil.example/".into()))),
        ),
        (
            "expired",
            Some(issuer.token(&with("exp", (now - 600).into()))),
        ),
        (
            "not yet",
            Some(issuer.token(&with("nbf", (now + 600).into()))),
        ),
        (
            "no audience",
            Some(issuer.token(&json!({"iss": issuer.claims()["iss"], "exp": now + 300}))),
        ),
        ("forged", Some(issuer::forged(&issuer.claims()))),
        ("symmetric", Some(issuer::symmetric(&issuer.claims()))),
    ];
    for (what, token) in tokens {
        let (status, answer) = reported(&world, token.as_deref(), &changed("r1", "active")).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (401, &json!("Unauthorized")),
            "{what}: {answer}"
        );
        assert!(
            !answer
                .to_string()
                .contains(token.as_deref().unwrap_or("no token at all")),
            "{what}: {answer}"
        );
    }
    assert_eq!(
        world.api("GET", "/recordings", None).await.1["recordings"],
        json!([])
    );
}

#[tokio::test]
async fn without_keys_or_without_an_audience_every_callback_is_refused() {
    let issuer = Issuer::start().await;
    let token = issuer.token(&issuer.claims());
    let unreachable = [
        ("ACS_RESOURCE_ID", issuer::AUDIENCE),
        ("ACS_OPENID_URL", "http://127.0.0.1:1/openid"),
    ];
    let world = World::with(&unreachable).await;
    let (status, answer) = reported(&world, Some(&token), &changed("r1", "active")).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (503, &json!("KeysUnavailable"))
    );
    let world = World::new().await;
    let (status, answer) = reported(&world, Some(&token), &changed("r1", "active")).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (503, &json!("CallbacksOff"))
    );
}

#[tokio::test]
async fn the_envelope_form_checks_the_token_as_well() {
    let (world, issuer) = world_and_issuer().await;
    let request = |token: &str| {
        let headers = json!({"Authorization": [format!("Bearer {token}")]});
        let url = "http://localhost:7071/api/recordings/callbacks";
        let body = json!([]).to_string();
        json!({"Data": {"req": {"Url": url, "Method": "POST", "Headers": headers, "Body": body}}})
            .to_string()
    };
    let (_, answer) = world
        .envelope(
            "RecordingCallbacks",
            request(&issuer.token(&issuer.claims())),
        )
        .await;
    assert_eq!(answer["Outputs"]["res"]["statusCode"], 200, "{answer}");
    let (_, answer) = world
        .envelope("RecordingCallbacks", request("nonsense"))
        .await;
    assert_eq!(answer["Outputs"]["res"]["statusCode"], 401, "{answer}");
}
