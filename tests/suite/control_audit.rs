//! What is done to a recording at ACS is in the audit log: once, with the door through which it was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::audit::{LedgerBefore, revealed};
use crate::support::world::{World, json_answer};

const KEY: &str = "the key of this bot";

/// Records of recordings, oldest first.
fn records(world: &World) -> Vec<Value> {
    let mut records: Vec<Value> = files(&world.vault.with_file_name("vault-ledger").join("audit"))
        .iter()
        .filter_map(|file| serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok())
        .filter_map(|document| document["records"].as_array().cloned())
        .flatten()
        .filter(|record| {
            let subject = record["subject"].as_str().unwrap_or_default();
            subject.starts_with("recording ")
        })
        .map(|record| revealed(world, record))
        .collect();
    records.sort_by_key(|record| record["at"].to_string());
    records
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) = entries
        .map(|entry| entry.path())
        .partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| self::files(folder));
    below.chain(files).collect()
}

fn actions(records: &[Value]) -> Vec<&str> {
    let actions = records
        .iter()
        .filter_map(|record| record["action"].as_str());
    actions.collect()
}

async fn call(world: &World) -> Value {
    world.admin("POST", "calls", json!({})).await["serverCallId"].clone()
}

/// A request to the handler as the host sends it, with this invocation id.
async fn invoked(world: &World, method: &str, path: &str, invocation: &str) -> (u16, Value) {
    let url = format!("{}/api/recordings/{path}", world.handler_url().await);
    let method = method.parse().expect("it is a method");
    let request = world
        .client
        .request(method, url)
        .header("x-azure-functions-invocationid", invocation)
        .header("x-ms-client-principal-name", "ada@example.com");
    json_answer(request.send().await.expect("the handler answers")).await
}

async fn started(world: &World) -> String {
    let body = json!({"serverCallId": call(world).await, "startedBy": "IVR 7"});
    let (status, started) = world.api("POST", "/recordings", Some(body)).await;
    assert_eq!(status, 200, "{started}");
    let id = started["recordingId"].as_str();
    id.expect("a start gives an id").to_owned()
}

#[tokio::test]
async fn each_thing_that_was_done_is_recorded_once_with_its_door() {
    let world = World::new().await;
    let id = started(&world).await;
    for (action, invocation) in [("pause", "1"), ("resume", "2"), ("stop", "3")] {
        let (status, answer) = invoked(&world, "POST", &format!("{id}/{action}"), invocation).await;
        assert!(status < 300, "{answer}");
    }
    let records = records(&world);
    assert_eq!(
        actions(&records),
        ["started", "paused", "resumed", "stopped"]
    );
    let subject = format!("recording {id}");
    assert!(
        records
            .iter()
            .all(|record| record["subject"] == subject.as_str())
    );
    assert!(
        records
            .iter()
            .all(|record| record["detail"]["through"] == "api")
    );
    assert_eq!(records[0]["detail"]["startedBy"], "IVR 7");
    assert_eq!(records[1]["detail"]["claimedBy"], "ada@example.com");
}

#[tokio::test]
async fn a_start_without_a_name_is_recorded_under_the_plain_name_of_its_caller() {
    let world = World::new().await;
    let body = json!({"serverCallId": call(&world).await});
    let url = format!("{}/api/recordings", world.handler_url().await);
    let request = world.client.post(url).header("x-operator-name", "eve");
    let answer = request.json(&body).send().await.expect("it answers");
    let (status, started) = json_answer(answer).await;
    assert_eq!((status, &started["startedBy"]), (200, &json!("eve")));
    let detail = &records(&world)[0]["detail"];
    assert_eq!(
        (&detail["startedBy"], &detail["claimedBy"]),
        (&json!("eve"), &json!("eve")),
        "{detail}"
    );
    assert_eq!(detail["by"], Value::Null, "{detail}");
}

#[tokio::test]
async fn what_the_host_sends_again_has_the_same_answer_and_no_second_record() {
    let world = World::new().await;
    let id = started(&world).await;
    for (number, (method, path)) in [
        ("POST", format!("{id}/pause")),
        ("POST", format!("{id}/resume")),
        ("DELETE", id.clone()),
    ]
    .iter()
    .enumerate()
    {
        let invocation = format!("00000000-0000-0000-0000-00000000000{number}");
        let before = records(&world).len();
        // The host does not get this answer, and sends the invocation again.
        let first = invoked(&world, method, path, &invocation).await;
        for _ in 0..2 {
            let again = invoked(&world, method, path, &invocation).await;
            assert_eq!(again, first, "{method} {path}");
        }
        assert_eq!(records(&world).len(), before + 1, "{method} {path}");
    }
}

#[tokio::test]
async fn what_was_done_before_the_register_knew_of_it_is_recorded_once() {
    let world = World::new().await;
    let id = started(&world).await;
    let (status, answer) = invoked(&world, "POST", &format!("{id}/pause"), "1").await;
    assert_eq!(status, 202, "{answer}");
    for (invocation, method, path) in [
        ("2", "POST", format!("{id}/resume")),
        ("3", "DELETE", id.clone()),
    ] {
        let (before, known) = (LedgerBefore::of(&world), records(&world).len());
        let first = invoked(&world, method, &path, invocation).await;
        assert!(first.0 < 300, "{}", first.1);
        before.restore();
        world.host.kill_handler().await;
        world.host.ready().await.expect("the handler starts again");
        let (status, answer) = invoked(&world, method, &path, invocation).await;
        assert_eq!(status, first.0, "{answer}");
        assert_eq!(records(&world).len(), known + 1, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_refused_is_not_recorded() {
    let world = World::new().await;
    for action in ["pause", "resume", "stop"] {
        let (status, _) = invoked(&world, "POST", &format!("unknown/{action}"), action).await;
        assert_eq!(status, 404, "{action}");
    }
    assert_eq!(records(&world), Vec::<Value>::new());
}

#[tokio::test]
async fn the_timer_is_recorded_where_it_ends_a_pause() {
    let world = World::new().await;
    let id = started(&world).await;
    let body = Some(json!({"resumeAfter": "1s"}));
    let (status, answer) = world
        .api("POST", &format!("/recordings/{id}/pause"), body)
        .await;
    assert_eq!(status, 202, "{answer}");
    assert!(records(&world)[1]["detail"]["resumeAt"].is_string());
    let ended = async {
        while world.sweep_recordings().await["resumed"] != 1 {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_mins(1);
    tokio::time::timeout(patience, ended)
        .await
        .expect("the pause ends");
    let records = records(&world);
    assert_eq!(actions(&records), ["started", "paused", "resumed"]);
    assert_eq!(records[2]["detail"]["through"], "sweep");
}

#[tokio::test]
async fn a_bots_command_is_recorded_without_the_id_of_its_conversation() {
    let world = World::with(&[("TELEPHONY_KEY", KEY)]).await;
    let activity = json!({
        "type": "command", "name": "channel/vnd.microsoft.telephony.recording.start",
        "value": {"commandId": "1", "data": {"serverCallId": call(&world).await}},
        "deliveryMode": "expectReplies",
    });
    let url = format!(
        "{}/api/telephony/v3/conversations/19:ada@example/activities",
        world.host.url()
    );
    let request = world.client.post(url).header("x-functions-key", KEY);
    let sent = request.body(activity.to_string()).send().await;
    let (status, answer) = json_answer(sent.expect("the host answers")).await;
    assert_eq!(status, 200, "{answer}");
    let records = records(&world);
    assert_eq!(actions(&records), ["started"]);
    assert_eq!(records[0]["detail"]["through"], "bot");
    let record = records[0].to_string();
    assert!(!record.contains("ada@example"), "{record}");
}
