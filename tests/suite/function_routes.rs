//! Which function the host gives each request to, and which key opens it. The host decides by route, method and name; the
//! stand-in decides as it does.

use std::collections::{BTreeMap, BTreeSet};

use functions_host::{Generation, Keys};
use recording_vault::functions::api_description::ApiDescription;
use serde_json::{Value, json};
use utoipa::OpenApi as _;

use crate::support::world::World;

/// Method, path, function. Paths are written as callers write them.
const ROUTES: [(&str, &str, &str); 46] = [
    ("POST", "/api/recordings/callbacks", "RecordingCallbacks"),
    ("POST", "/api/Recordings/Callbacks/", "RecordingCallbacks"),
    ("POST", "/api/recordings", "RecordingControl"),
    ("POST", "/api/recordings/", "RecordingControl"),
    (
        "DELETE",
        "/api/recordings/{recordingId}",
        "RecordingControl",
    ),
    ("DELETE", "/api/recordings/callbacks", "RecordingControl"),
    (
        "POST",
        "/api/recordings/{recordingId}/pause",
        "RecordingControl",
    ),
    (
        "POST",
        "/api/recordings/{recordingId}/resume",
        "RecordingControl",
    ),
    (
        "POST",
        "/api/recordings/{recordingId}/stop",
        "RecordingControl",
    ),
    ("POST", "/api/recordings/callbacks/stop", "RecordingControl"),
    ("GET", "/api/recordings", "RecordingReads"),
    ("GET", "/api/recordings/{recordingId}", "RecordingReads"),
    ("GET", "/api/recordings/callbacks", "RecordingReads"),
    ("GET", "/api/vault/summary", "Vault"),
    ("HEAD", "/api/vault/chunks/{documentId}/media", "Vault"),
    ("GET", "/api/vault/recordings", "Vault"),
    ("GET", "/api/vault/recordings/{recordingId}", "Vault"),
    ("GET", "/api/vault/chunks/{documentId}/media", "Vault"),
    ("GET", "/api/vault/chunks/{documentId}/metadata", "Vault"),
    ("GET", "/api/vault/chunks/{documentId}/ticket", "Vault"),
    (
        "GET",
        "/api/vault/recordings/{recordingId}/evidence",
        "Vault",
    ),
    ("GET", "/api/vault/days", "Vault"),
    ("GET", "/api/vault/deadlines", "Vault"),
    ("GET", "/api/vault/deadlines/recordings", "Vault"),
    ("GET", "/api/vault/poison", "Vault"),
    ("GET", "/api/vault/poison/{sha256}", "Vault"),
    ("GET", "/api/vault/evidence", "Vault"),
    ("POST", "/api/vault/rights", "VaultActions"),
    (
        "POST",
        "/api/vault/chunks/{documentId}/retry",
        "VaultActions",
    ),
    (
        "POST",
        "/api/vault/chunks/{documentId}/verify",
        "VaultActions",
    ),
    (
        "POST",
        "/api/vault/recordings/{recordingId}/hold",
        "VaultActions",
    ),
    (
        "POST",
        "/api/vault/recordings/{recordingId}/release",
        "VaultActions",
    ),
    (
        "POST",
        "/api/vault/chunks/{documentId}/accept",
        "VaultActions",
    ),
    (
        "POST",
        "/api/vault/chunks/{documentId}/acknowledge",
        "VaultActions",
    ),
    ("GET", "/api/vault/holds", "Vault"),
    ("POST", "/api/vault/holds", "VaultActions"),
    ("POST", "/api/vault/holds/release", "VaultActions"),
    ("POST", "/api/vault/poison/{sha256}/dismiss", "VaultActions"),
    (
        "POST",
        "/api/vault/recordings/{recordingId}/acknowledge",
        "VaultActions",
    ),
    ("POST", "/api/vault/poison/{sha256}/replay", "VaultActions"),
    ("GET", "/api/vault", "VaultPage"),
    ("GET", "/api/vault/play/{ticket}", "VaultPlay"),
    ("GET", "/api/metrics", "Metrics"),
    ("GET", "/api/openapi.json", "ApiDescription"),
    (
        "POST",
        "/api/telephony/v3/conversations/{conversationId}/activities",
        "TelephonyActivities",
    ),
    (
        "POST",
        "/api/telephony/v3/conversations/{conversationId}/activities/{activityId}",
        "TelephonyActivities",
    ),
];

fn example(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        if part.starts_with('{') {
            "a-Z_0="
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_host_gives_each_request_to_the_function_that_serves_it() {
    let world = World::new().await;
    for (method, path, function) in ROUTES {
        let taken_by = world.host.function_of(method, &example(path));
        assert_eq!(taken_by, Some(function), "{method} {path}");
    }
    assert_eq!(
        world.host.function_of("POST", "/api/eventgrid/webhook"),
        Some("EventGridWebhook")
    );
    assert_eq!(
        world.host.function_of("OPTIONS", "/api/eventgrid/webhook"),
        Some("EventGridWebhook")
    );
    for (method, path) in [
        ("PUT", "/api/recordings/x"),
        ("HEAD", "/api/recordings/x"),
        ("GET", "/api/recordings//x"),
        ("POST", "/api/vault/play/x"),
        ("GET", "/api/vault/unknown"),
        ("DELETE", "/api/vault/recordings/x"),
    ] {
        assert_eq!(
            world.host.function_of(method, path),
            None,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn every_route_of_the_api_description_has_a_function() {
    let world = World::new().await;
    let document = serde_json::to_value(ApiDescription::openapi()).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("it has paths");
    let listed: BTreeSet<(String, &str)> = ROUTES
        .iter()
        .map(|(method, path, _)| (method.to_lowercase(), *path))
        .collect();
    for (path, operations) in paths {
        for method in operations
            .as_object()
            .expect("a path has operations")
            .keys()
        {
            if method == "parameters" {
                continue;
            }
            let function = world
                .host
                .function_of(&method.to_uppercase(), &example(path));
            assert!(function.is_some(), "no function serves {method} {path}");
            assert!(
                listed.contains(&(method.clone(), path.as_str()))
                    || path.starts_with("/api/eventgrid"),
                "{method} {path} is described, and this test does not say which function serves it"
            );
        }
    }
}

/// Function keys as an operator would set them: one of its own for each function.
fn keys_of_each() -> (Keys, BTreeSet<&'static str>) {
    let functions: BTreeSet<&str> = ROUTES.iter().map(|(_, _, function)| *function).collect();
    let keys = Keys {
        functions: functions
            .iter()
            .map(|function| ((*function).to_owned(), format!("key-of-{function}")))
            .collect(),
        ..Keys::default()
    };
    (keys, functions)
}

#[tokio::test]
async fn a_key_of_one_function_opens_nothing_of_another() {
    let world = World::new().await;
    let (keys, functions) = keys_of_each();
    let host = world.host_with(|options| options.keys = keys).await;
    let anonymous = [
        "RecordingCallbacks",
        "VaultPage",
        "VaultPlay",
        "ApiDescription",
        "TelephonyActivities",
    ];
    let mut refused: BTreeMap<&str, u32> = BTreeMap::new();
    for (method, path, function) in ROUTES {
        for key_of in &functions {
            let url = format!("{}{}", host.url(), example(path));
            let method = method.parse().expect("it is a method");
            let request = world.client.request(method, url);
            let answer = request
                .header("x-functions-key", format!("key-of-{key_of}"))
                .send()
                .await;
            let answer = answer.expect("the host answers");
            // The host's own 401 has no body; ours has.
            let is_refused =
                answer.status() == 401 && !answer.headers().contains_key("content-type");
            let expected = !anonymous.contains(&function) && *key_of != function;
            assert_eq!(
                is_refused, expected,
                "{path} of {function} with a key of {key_of}"
            );
            *refused.entry(function).or_default() += u32::from(is_refused);
        }
    }
    assert!(
        refused["VaultActions"] > 0 && refused["VaultPage"] == 0,
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_callback_reaches_its_function_without_a_key() {
    let settings = [("ACS_RESOURCE_ID", "00000000-0000-0000-0000-000000000001")];
    let world = World::with_key(Some("the-key"), &settings).await;
    let (status, answer) = world
        .api("POST", "/recordings/callbacks", Some(json!([])))
        .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (401, &json!("Unauthorized")),
        "{answer}"
    );
}

/// An id with everything that a path encodes.
const AWKWARD: &str = "a/b+c=d e&f";

fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[rstest::rstest]
#[case::proxying(Generation::Proxying)]
#[case::forwarding(Generation::Forwarding)]
#[tokio::test]
async fn an_awkward_id_arrives_whole_on_every_route(#[case] generation: Generation) {
    let world = World::with(&[
        ("OPERATOR_ACTIONS", "on"),
        ("TELEPHONY_KEY", "a-key-of-telephony"),
    ])
    .await;
    let host = world
        .host_with(|options| options.generation = generation)
        .await;
    let id = encoded(AWKWARD);
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let method = method.parse().expect("it is a method");
        let request = world
            .client
            .request(method, format!("{}{path}", host.url()));
        let request = request.header("x-functions-key", "a-key-of-telephony");
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.expect("the host answers");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap_or_default(),
        )
    };
    let case = json!({"case": "A-1"});
    let held = ask(
        "POST",
        &format!("/api/vault/recordings/{id}/hold"),
        Some(case),
    )
    .await;
    assert_eq!(held.0, 200, "{}", held.1);
    let holds = recording_vault_holds(&world);
    assert!(holds.contains(AWKWARD), "{holds}");
    for (method, path) in [
        ("GET", format!("/api/recordings/{id}")),
        ("DELETE", format!("/api/recordings/{id}")),
        ("POST", format!("/api/recordings/{id}/stop")),
        ("POST", format!("/API/Recordings/{id}/Pause/")),
        ("GET", format!("/api/Vault/Recordings/{id}")),
    ] {
        let (status, answer) = ask(method, &path, None).await;
        assert_eq!(status, 404, "{method} {path}: {answer}");
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        assert_ne!(code, "NotFound", "no route took {method} {path}");
    }
}

/// The documents of the ledger's holds, as text.
fn recording_vault_holds(world: &World) -> String {
    let holds = world.vault.with_file_name("vault-ledger").join("holds");
    let files = crate::support::world::files(&holds).into_values();
    files
        .map(|file| String::from_utf8_lossy(&file).into_owned())
        .collect()
}

#[rstest::rstest]
#[case::proxying(Generation::Proxying)]
#[case::forwarding(Generation::Forwarding)]
#[tokio::test]
async fn no_id_means_another_and_no_path_leads_past_its_key(#[case] generation: Generation) {
    let world = World::new().await;
    let call = world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
    let (_, started) = world
        .api("POST", "/recordings", Some(json!({"serverCallId": call})))
        .await;
    let id = started["recordingId"]
        .as_str()
        .expect("a start gives an id");
    let host = world
        .host_with(|options| options.generation = generation)
        .await;
    for (method, path) in [
        ("DELETE", format!("/api/recordings/{id}%3Fx")),
        ("DELETE", format!("/api/recordings/{id}%23x")),
        ("DELETE", format!("/api/recordings/{id}%253Fx")),
        ("DELETE", format!("/api/recordings/x%2F..%2F{id}")),
        (
            "POST",
            format!("/api/recordings/callbacks%2F..%2F{id}/stop"),
        ),
        ("GET", "/api/vault/play/x%2F..%2F..%2Fsummary".to_owned()),
        ("GET", "/api/vault/play/%252E%252E%252Fsummary".to_owned()),
    ] {
        let method = method.parse().expect("it is a method");
        let request = world
            .client
            .request(method, format!("{}{path}", host.url()));
        let status = request
            .send()
            .await
            .expect("the host answers")
            .status()
            .as_u16();
        assert!(matches!(status, 400 | 403 | 404), "{path}: {status}");
    }
    let (_, state) = world.api("GET", &format!("/recordings/{id}"), None).await;
    assert_ne!(state["recordingState"], "stopped", "{state}");
}
