//! A host that proxies sends a request without a body again when the handler dies: the second run answers as the first, and
//! what was done stands in the audit log once.

use serde_json::{Value, json};

use crate::support::audit::LedgerBefore;
use crate::support::eventually;
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

/// A world with an exported chunk and an unreadable event, and the ids of both.
async fn exported_and_poison() -> (World, String, String) {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event).remove(0);
    world.event(&json!({"id": "no event"})).await;
    let poison = world.poison().into_keys().next().expect("it is kept");
    (world, id, poison.trim_end_matches(".json").to_owned())
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
    let retry = format!("/api/vault/chunks/{id}/retry");
    let first = invoke(&world, "POST", &retry, None).await;
    assert_eq!(first, invoke(&world, "POST", &retry, None).await);
}

#[tokio::test]
async fn what_was_done_before_the_handler_died_is_not_done_again() {
    let (world, id, poison) = exported_and_poison().await;
    for (method, path, action) in [
        ("POST", format!("/api/vault/chunks/{id}/verify"), "verified"),
        (
            "POST",
            format!("/api/vault/poison/{poison}/replay"),
            "replayed",
        ),
        (
            "GET",
            format!("/api/vault/chunks/{id}/ticket"),
            "ticketIssued",
        ),
    ] {
        let first = invoke(&world, method, &path, None).await;
        assert_eq!(first.0, 200, "{path}: {}", first.1);
        let is_recorded = async || (audit_records(&world, action) == 1).then_some(());
        // Records of access are written a second late.
        eventually("the audit record", is_recorded).await;
        world.host.kill_handler().await;
        world.host.ready().await.expect("the handler starts again");
        assert_eq!(invoke(&world, method, &path, None).await, first, "{path}");
        assert_eq!(audit_records(&world, action), 1, "{path}");
    }
    // Another invocation of the same request is another action.
    let verify = format!("{}/api/vault/chunks/{id}/verify", world.handler_url().await);
    let request = world
        .client
        .post(verify)
        .header("x-azure-functions-invocationid", "another-invocation");
    let answer = request.send().await.expect("the handler answers");
    assert_eq!(answer.status(), 200);
    assert_eq!(audit_records(&world, "verified"), 2);
}

#[tokio::test]
async fn a_ticket_of_a_repeated_request_plays_its_chunk() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event).remove(0);
    let ticket = format!("/api/vault/chunks/{id}/ticket");
    for _ in 0..2 {
        let (status, ticket) = invoke(&world, "GET", &ticket, None).await;
        assert_eq!(status, 200);
        let url = ticket["url"].as_str().expect("a ticket has a URL");
        let url = format!("{}{url}", world.host.url());
        let played = world.client.get(url).send().await;
        assert_eq!(played.expect("the host answers").status(), 200);
    }
}

#[tokio::test]
async fn another_body_or_caller_with_the_same_invocation_is_another_action() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let url = format!("{}/api/vault/recordings/r/hold", world.handler_url().await);
    let mut cases = Vec::new();
    for (case, caller) in [("A-1", "ada"), ("A-2", "ada"), ("A-2", "bert")] {
        let request = world
            .client
            .post(&url)
            .header("x-azure-functions-invocationid", "one-invocation")
            .header("x-operator-name", caller);
        let answer = request.json(&json!({"case": case})).send().await;
        let answer = answer.expect("the handler answers");
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.expect("it is JSON");
        cases.push(answer["holds"].as_array().map_or(0, Vec::len));
    }
    assert_eq!(cases, [1, 2, 2], "each request was carried out");
    assert_eq!(audit_records(&world, "held"), 2);
    let answers = world.vault.with_file_name("vault-ledger").join("answers");
    assert_eq!(crate::support::world::files_by_path(&answers).len(), 3);
}

#[tokio::test]
async fn a_process_that_dies_after_the_audit_record_leaves_one_record() {
    let (world, id, poison) = exported_and_poison().await;
    let (case, reason) = (json!({"case": "A-1"}), json!({"reason": "a test"}));
    for (path, body, action) in [
        (format!("chunks/{id}/verify"), None, "verified"),
        ("recordings/r/hold".to_owned(), Some(&case), "held"),
        ("recordings/r/release".to_owned(), Some(&case), "released"),
        (format!("poison/{poison}/replay"), None, "replayed"),
        (
            format!("poison/{poison}/dismiss"),
            Some(&reason),
            "dismissed",
        ),
    ] {
        let path = format!("/api/vault/{path}");
        let before = LedgerBefore::of(&world);
        let (status, answer) = invoke(&world, "POST", &path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(audit_records(&world, action), 1, "{path}");
        before.restore();
        world.host.kill_handler().await;
        world.host.ready().await.expect("the handler starts again");
        let (status, answer) = invoke(&world, "POST", &path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(audit_records(&world, action), 1, "{path}");
    }
}

#[tokio::test]
async fn a_process_that_dies_before_the_answer_is_stored_leaves_one_record() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    let id = document_ids(&event).remove(0);
    let verify = format!("/api/vault/chunks/{id}/verify");
    let first = invoke(&world, "POST", &verify, None).await;
    assert_eq!(first.0, 200, "{}", first.1);
    let answers = world.vault.with_file_name("vault-ledger").join("answers");
    std::fs::remove_dir_all(answers).expect("the answer was stored");
    world.host.kill_handler().await;
    world.host.ready().await.expect("the handler starts again");
    assert_eq!(invoke(&world, "POST", &verify, None).await, first);
    assert_eq!(audit_records(&world, "verified"), 1);
}
