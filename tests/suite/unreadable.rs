//! What cannot be read, or is gone, is never reported as absent: lists, searches, holds and the complete check name it.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::command::{self, text};
use crate::support::world::{World, document_ids};

async fn run(world: &World, arguments: &[&str]) -> Output {
    command::run(world.settings(), arguments).await
}

async fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.api("GET", path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// A recording of one chunk that has ended and is exported; its event.
async fn recorded(world: &World) -> Value {
    let recording = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(recording).await;
    world.event(&event).await;
    event
}

fn ledger(world: &World) -> PathBuf {
    world.vault.with_file_name("vault-ledger")
}

/// The only account.
fn account(world: &World) -> PathBuf {
    let accounts = files_below(&ledger(world).join("recordings"));
    let [account] = &accounts[..] else {
        panic!("there is one account: {accounts:?}")
    };
    account.clone()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Markers that were written long ago.
fn age_markers(world: &World) {
    for marker in files_below(&ledger(world).join("catalogue")) {
        std::fs::write(marker, "m").expect("the folder is ours");
    }
}

#[tokio::test]
async fn a_call_whose_account_cannot_be_read_is_listed_and_never_called_absent() {
    let world = World::new().await;
    recorded(&world).await;
    let listed = get(&world, "/vault/recordings").await;
    let call = listed["recordings"][0]["callId"].as_str();
    let call = call.expect("the recording has a call").to_owned();
    let query = |more: &str| format!("/vault/recordings?call={}{more}", encoded(&call));
    let account = account(&world);
    std::fs::write(&account, "no JSON").expect("the folder is ours");
    let answer = get(&world, &query("")).await;
    assert_eq!(answer["recordings"][0]["status"], "unknown", "{answer}");
    let answer = get(&world, &query("&state=verified")).await;
    assert_eq!(answer["recordings"], json!([]), "{answer}");
    assert_eq!(answer["notSearched"]["unreadable"], 1, "{answer}");
    let found = run(&world, &["find", &call]).await;
    assert!(text(&found).contains("unknown"), "{}", text(&found));
    // Another id may be that of the recording that cannot be read.
    let found = run(&world, &["find", "another-call"]).await;
    assert_eq!(found.status.code(), Some(2), "{}", text(&found));
    assert!(text(&found).contains("Not searched: 1 entry that is not readable"));

    std::fs::remove_file(&account).expect("it is there");
    age_markers(&world);
    let answer = get(&world, &query("")).await;
    let names = answer["notSearched"]["unreadableNames"].to_string();
    assert!(names.contains("has no account in the register"), "{answer}");
    let found = run(&world, &["find", &call]).await;
    assert_eq!(found.status.code(), Some(2), "{}", text(&found));
    assert!(text(&found).contains("has no account in the register"));
}

#[tokio::test]
async fn a_chunk_whose_entry_cannot_be_read_is_named_when_it_is_looked_for() {
    let world = World::new().await;
    let id = document_ids(&recorded(&world).await)[0].clone();
    let entry = ledger(&world).join(format!("chunks/{id}.json"));
    std::fs::write(entry, "no JSON").expect("the folder is ours");
    let found = run(&world, &["find", &id]).await;
    assert_eq!(found.status.code(), Some(2), "{}", text(&found));
    let entry = format!("the entry of chunk {id}");
    assert!(text(&found).contains(&entry), "{}", text(&found));
}

#[tokio::test]
async fn a_recording_of_which_only_markers_are_left_is_unknown_and_not_safe() {
    let world = World::new().await;
    let id = document_ids(&recorded(&world).await)[0].clone();
    let account = account(&world);
    std::fs::remove_file(&account).expect("it is there");
    std::fs::remove_file(ledger(&world).join(format!("chunks/{id}.json"))).expect("it is there");
    age_markers(&world);
    let status = run(&world, &["status", "--check"]).await;
    assert_eq!(status.status.code(), Some(2), "{}", text(&status));
    let printed = text(&status);
    assert!(printed.contains("1 recording unknown"), "{printed}");
    assert!(
        printed.contains("the ledger has this marker, and not the account that it names"),
        "{printed}"
    );
    let answer = get(&world, "/vault/recordings").await;
    assert_eq!(answer["notSearched"]["unreadable"], 1, "{answer}");
}

#[tokio::test]
async fn a_hold_whose_recording_cannot_be_read_is_not_said_to_match_nothing() {
    let world = World::new().await;
    recorded(&world).await;
    let listed = get(&world, "/vault/recordings").await;
    let id = listed["recordings"][0]["recordingId"].as_str();
    let id = id.expect("it has an id").to_owned();
    std::fs::write(account(&world), "no JSON").expect("the folder is ours");
    let added = run(
        &world,
        &["hold", "add", "--case", "A-1", "--recording", &id],
    )
    .await;
    assert_eq!(added.status.code(), Some(2), "{}", text(&added));
    let listed = run(&world, &["hold", "list"]).await;
    assert_eq!(listed.status.code(), Some(2), "{}", text(&listed));
    let printed = text(&listed);
    assert!(
        printed.contains("whether it matches a recording is not known"),
        "{printed}"
    );
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
