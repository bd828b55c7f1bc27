//! A host that proxies sends a request without a body again when the handler dies: the second run answers as the first, and
//! what was done stands in the audit log once.

use serde_json::{Value, json};

use crate::support::world::{World, document_ids};

/// A request as the host sends it, the second time with the same invocation id.
async fn invoke(world: &World, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let method = method.parse().expect("it is a method");
    let mut request = world
        .client
        .request(method, format!("{}{path}", world.handler_url().await))
        .header("x-azure-functions-invocationid", "one-invocation");
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.expect("the handler answers");
    (
        answer.status().as_u16(),
        answer.json().await.expect("it is JSON"),
    )
}

fn audit_records(world: &World, action: &str) -> usize {
    let audit = world.vault.with_file_name("vault-ledger").join("audit");
    let files = crate::support::world::files_by_path(&audit).into_values();
    files
        .map(|file| {
            String::from_utf8_lossy(&file)
                .matches(&format!("\"{action}\""))
                .count()
        })
        .sum()
}

#[tokio::test]
async fn a_repeated_action_answers_as_the_first_and_is_audited_once() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event).remove(0);
    let entry = world.ledger_entry(&id);
    let recording = entry["chunk"]["recordingId"]
        .as_str()
        .expect("the entry names it");
    let case = json!({"case": "A-1"});
    for (path, body, action) in [
        (
            format!("/api/vault/recordings/{recording}/hold"),
            Some(&case),
            "held",
        ),
        (
            format!("/api/vault/recordings/{recording}/release"),
            Some(&case),
            "released",
        ),
    ] {
        let first = invoke(&world, "POST", &path, body).await;
        // Its answer is lost; the handler that would have given it is gone.
        world.host.kill_handler().await;
        world.host.ready().await.expect("the handler starts again");
        let second = invoke(&world, "POST", &path, body).await;
        assert_eq!(first, second, "{path}");
        assert_eq!(first.0, 200, "{path}: {}", first.1);
        assert_eq!(audit_records(&world, action), 1, "{path}");
    }
    let verify = format!("/api/vault/chunks/{id}/verify");
    let first = invoke(&world, "POST", &verify, None).await;
    assert_eq!(first.1["verified"], true);
    assert_eq!(first, invoke(&world, "POST", &verify, None).await);
    let retry = format!("/api/vault/chunks/{id}/retry");
    let first = invoke(&world, "POST", &retry, None).await;
    assert_eq!(first, invoke(&world, "POST", &retry, None).await);
    let ticket = format!("/api/vault/chunks/{id}/ticket");
    let (status, first) = invoke(&world, "GET", &ticket, None).await;
    assert_eq!(status, 200);
    let (_, second) = invoke(&world, "GET", &ticket, None).await;
    assert_eq!(first["contentType"], second["contentType"]);
    for ticket in [first, second] {
        let url = ticket["url"].as_str().expect("a ticket has a URL");
        let played = world
            .client
            .get(format!("{}{url}", world.host.url()))
            .send()
            .await;
        assert_eq!(played.expect("the host answers").status(), 200);
    }
}
