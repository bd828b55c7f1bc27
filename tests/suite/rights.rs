//! What a key and app roles open, and under whose name an action is recorded: the built binary behind the stand-in host.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use functions_host::Keys;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::support::audit::audit_records;
use crate::support::world::{World, document_ids};

const SIGNED_IN: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "True");
const ACTIONS: (&str, &str) = ("OPERATOR_ACTIONS", "on");

/// The headers that App Service Authentication adds for a signed-in caller.
pub(crate) fn principal(name: &str, roles: &[&str]) -> HeaderMap {
    let claims: Vec<Value> = roles
        .iter()
        .map(|role| json!({"typ": "roles", "val": role}))
        .collect();
    let claims = json!({"auth_typ": "aad", "claims": claims, "role_typ": "roles"});
    headers(&[
        ("x-ms-client-principal-name", name),
        (
            "x-ms-client-principal",
            &BASE64_STANDARD.encode(claims.to_string()),
        ),
    ])
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).expect("it is a header's value");
        (HeaderName::from_static(name), value)
    });
    pairs.collect()
}

async fn send(world: &World, method: &str, path: &str, headers: HeaderMap) -> (u16, Value) {
    let url = format!("{}/api{path}", world.host.url());
    let method = method.parse().expect("it is a method");
    let request = world.client.request(method, url).headers(headers);
    let answer = request
        .body(if path.ends_with("/hold") {
            json!({"case": "A-1"}).to_string()
        } else {
            String::new()
        })
        .send()
        .await
        .expect("the host answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

/// The answers of a route that reads and of routes that act.
async fn answers(world: &World, headers: &HeaderMap) -> [u16; 4] {
    let mut answers = [0; 4];
    let requests = [
        ("GET", "/vault/summary"),
        ("GET", "/recordings"),
        ("POST", "/vault/recordings/r/hold"),
        ("POST", "/recordings/none/stop"),
    ];
    for (answer, (method, path)) in answers.iter_mut().zip(requests) {
        let (status, body) = send(world, method, path, headers.clone()).await;
        if status == 403 {
            assert_eq!(body["error"]["code"], "RoleMissing", "{path}: {body}");
        }
        *answer = status;
    }
    answers
}

#[tokio::test]
async fn app_roles_narrow_what_the_key_opens_where_the_platform_signs_callers_in() {
    let world = World::with(&[SIGNED_IN, ACTIONS]).await;
    let reader = principal("ada@contoso.com", &["Recordings.Read"]);
    assert_eq!(answers(&world, &reader).await, [200, 200, 403, 403]);
    let operator = principal("ada@contoso.com", &["Recordings.Operate"]);
    assert_eq!(answers(&world, &operator).await, [200, 200, 200, 404]);
    let neither = principal("ada@contoso.com", &["Recordings.Other"]);
    assert_eq!(answers(&world, &neither).await, [403, 403, 403, 403]);
    let (_, refused) = send(&world, "GET", "/vault/summary", neither).await;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("ada@contoso.com") && message.contains("Recordings.Read"),
        "{message}"
    );
}

#[tokio::test]
async fn headers_of_a_principal_mean_nothing_where_the_platform_signs_nobody_in() {
    let world = World::with(&[ACTIONS]).await;
    let claimed = principal("ada@contoso.com", &[]);
    assert_eq!(answers(&world, &claimed).await, [200, 200, 200, 404]);
    let held = audit_records(&world, "held", "recording r");
    let detail = &held.first().expect("the hold is recorded")["detail"];
    assert_eq!(detail["claimedBy"], "ada@contoso.com", "{detail}");
    assert_ne!(detail["by"], "ada@contoso.com", "{detail}");
}

#[tokio::test]
async fn an_action_is_recorded_under_the_verified_name_or_else_under_the_claimed_one() {
    let world = World::with(&[SIGNED_IN, ACTIONS]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let id = &document_ids(&event)[0];
    let path = format!("/vault/chunks/{id}/verify");
    let operator = principal("ada@contoso.com", &["Recordings.Operate"]);
    let mut both = operator.clone();
    both.extend(headers(&[("x-operator-name", "Eve")]));
    let claimed = headers(&[("x-operator-name", "Zo%C3%AB%20K")]);
    for sent in [both, claimed, HeaderMap::new()] {
        assert_eq!(send(&world, "POST", &path, sent).await.0, 200);
    }
    let verified = audit_records(&world, "verified", id);
    let details: Vec<Value> = verified.iter().map(without_invocation).collect();
    assert_eq!(
        details,
        [
            json!({"result": "same", "through": "api", "by": "ada@contoso.com"}),
            json!({"result": "same", "through": "api", "claimedBy": "Zoë K"}),
            json!({"result": "same", "through": "api"}),
        ]
    );
}

#[tokio::test]
async fn a_caller_learns_what_the_key_opens_without_changing_anything() {
    let world = World::with(&[ACTIONS]).await;
    let keys = Keys {
        functions: [("Vault", "reader"), ("VaultActions", "operator")]
            .map(|(function, key)| (function.to_owned(), key.to_owned()))
            .into(),
        ..Keys::default()
    };
    let host = world.host_with(|options| options.keys = keys).await;
    let ask = async |key: &str, name: Option<&str>| {
        let url = format!("{}/api/vault/rights", host.url());
        let mut request = world.client.post(url).header("x-functions-key", key);
        if let Some(name) = name {
            request = request.header("x-operator-name", name);
        }
        let answer = request.send().await.expect("the host answers");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap_or_default())
    };
    assert_eq!(ask("reader", None).await.0, 401);
    assert_eq!(
        ask("operator", None).await,
        (200, json!({"actions": true, "principal": null}))
    );
    assert_eq!(
        ask("operator", Some("Ada")).await,
        (
            200,
            json!({"actions": true, "principal": {"name": "Ada", "isVerified": false}})
        )
    );
}

#[tokio::test]
async fn an_event_that_could_not_be_read_is_returned_in_the_bytes_of_its_digest() {
    let world = World::new().await;
    let event = json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": "nothing"});
    world.event(&event).await;
    let (_, list) = send(&world, "GET", "/vault/poison", HeaderMap::new()).await;
    let sha256 = list["poison"][0]["sha256"].as_str();
    let sha256 = sha256.expect("the event is listed").to_owned();
    let url = format!("{}/api/vault/poison/{sha256}", world.host.url());
    let answer = world
        .client
        .get(url)
        .send()
        .await
        .expect("the host answers");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let bytes = answer.bytes().await.expect("it is whole");
    let found = recording_vault::store::digest::Sha256Digest::of(&bytes);
    assert_eq!(found.to_string(), sha256);
    let kept: Value = serde_json::from_slice(&bytes).expect("it is JSON");
    assert_eq!(kept["data"], "nothing", "{kept}");
    for unknown in ["0".repeat(64), "nothing".to_owned()] {
        let path = format!("/vault/poison/{unknown}");
        let (status, answer) = send(&world, "GET", &path, HeaderMap::new()).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (404, &json!("PoisonNotFound"))
        );
    }
}

#[tokio::test]
async fn a_name_in_a_body_is_never_recorded_as_the_callers() {
    for (settings, sent, caller) in [
        (vec![ACTIONS], HeaderMap::new(), json!({})),
        (
            vec![ACTIONS],
            headers(&[("x-operator-name", "eve")]),
            json!({"claimedBy": "eve"}),
        ),
        (
            vec![SIGNED_IN, ACTIONS],
            principal("eve@contoso.com", &["Recordings.Operate"]),
            json!({"by": "eve@contoso.com"}),
        ),
    ] {
        let world = World::with(&settings).await;
        let url = format!("{}/api/vault/recordings/r/hold", world.host.url());
        let request = world.client.post(url).headers(sent);
        let body = json!({"case": "A-1", "by": "ada@contoso.com"});
        let answer = request.json(&body).send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
        let held = audit_records(&world, "held", "recording r");
        let mut expected = json!({"case": "A-1", "wantedBy": "ada@contoso.com", "through": "api"});
        let members = caller.as_object().expect("it is an object").clone();
        expected.as_object_mut().expect("it is one").extend(members);
        assert_eq!(without_invocation(&held[0]), expected);
    }
}

/// The detail of a record, without the member that tells requests apart.
fn without_invocation(record: &Value) -> Value {
    let mut detail = record["detail"].clone();
    let invocation = detail
        .as_object_mut()
        .and_then(|members| members.remove("invocation"));
    assert!(invocation.is_some(), "{record}");
    detail
}
