//! What a kill between two writes leaves is no tampering: `audit verify` cannot know it, and says "not checked".

use std::fs;

use serde_json::{Value, json};

use crate::imports::downloaded;
use crate::support::audited_vault::{AuditedVault, edit};
use crate::support::two_places::two_places;
use crate::support::world::{World, document_ids};

const OTHER_METADATA: &str = "has another `receipt.metadata` than its entry";

/// A claim that ran out: its holder was killed.
fn abandoned() -> Value {
    json!({"token": "7d0c3f3e-3c4b-4f7a-9f0e-000000000009", "until": "2026-03-02T10:00:00Z"})
}

#[tokio::test]
async fn a_receipt_of_another_proof_is_a_problem_unless_a_process_works_on_its_entry() {
    let vault = AuditedVault::with(&[("DELETE_DELAY", "1h")]).await;
    let (id, receipt) = (&vault.id, vault.receipt(&vault.id));
    vault.assert_whole("an export").await;
    edit(&receipt, |kept| kept["receipt"]["metadata"] = Value::Null);
    vault.assert_found("released", OTHER_METADATA).await;
    edit(&vault.entry(id), |entry| entry["claim"] = abandoned());
    vault
        .assert_not_checked("killed", "ended before it wrote the entry")
        .await;
    let sha256 = "0".repeat(64);
    edit(&receipt, |kept| {
        kept["receipt"]["media"]["sha256"] = sha256.into();
    });
    vault
        .assert_found("other media", "has another `receipt.media.sha256`")
        .await;
}

#[tokio::test]
async fn a_receipt_that_a_policy_keeps_is_a_problem_unless_its_entry_says_so() {
    let world = World::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(plan).await;
    let mut poor = event.clone();
    let chunk = "/data/recordingStorageInfo/recordingChunks/0";
    let members = poor.pointer_mut(chunk).and_then(Value::as_object_mut);
    let members = members.expect("an event has a chunk");
    members.remove("metadataLocation");
    members.remove("deleteLocation");
    poor["id"] = "7d0c3f3e-3c4b-4f7a-9f0e-000000000002".into();
    world.event(&poor).await;
    world.sweep().await;
    let id = document_ids(&event).remove(0);
    let vault = AuditedVault::of(world, &id);
    let receipt = vault.receipt(&id);
    let first = fs::read(&receipt).expect("it is there");
    vault.world.event(&event).await;
    vault.world.sweep().await;
    vault.assert_whole("an event with metadata").await;
    fs::write(&receipt, first).expect("the folder is ours");
    vault
        .assert_found("the first receipt", OTHER_METADATA)
        .await;
    edit(&vault.entry(&id), |entry| {
        entry["state"]["receipt"]["hasEarlierFile"] = true.into();
    });
    vault
        .assert_not_checked("a protected receipt", "a policy of the vault protects it")
        .await;
}

#[tokio::test]
async fn another_file_that_was_exported_and_is_still_to_be_exported_in_the_entry_is_not_checked() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    let (_, id) = two_places(&world).await;
    let vault = AuditedVault::of(world, &id);
    vault.assert_whole("a second place").await;
    edit(&vault.entry(&id), |entry| {
        entry["further"][0]["state"] = json!({"name": "pending"});
    });
    vault
        .assert_not_checked("killed", "says that this is still to be done")
        .await;
}

#[tokio::test]
async fn an_import_that_was_killed_before_it_wrote_the_entry_is_not_checked() {
    let world = World::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let mut event = world.recording(plan).await;
    let at = "/data/recordingStorageInfo/recordingChunks/0/contentLocation";
    *event.pointer_mut(at).expect("an event has a place") = "https://example.com/a".into();
    world.event(&event).await;
    world.sweep().await;
    let id = document_ids(&event).remove(0);
    let vault = AuditedVault::of(world, &id);
    assert_eq!(vault.text_of(&id, "/state/name"), "deadLettered");
    let before = fs::read(vault.entry(&id)).expect("it is there");
    let file = downloaded(8);
    let path = file.path.to_str().expect("it is text");
    vault.run(&["import", path, "--document", &id]).await;
    assert_eq!(vault.text_of(&id, "/state/name"), "sourceLeft");
    vault.assert_whole("an import").await;
    fs::write(vault.entry(&id), before).expect("the folder is ours");
    vault.assert_not_checked("killed", "deadLettered").await;
}

#[tokio::test]
async fn an_account_that_events_opened_is_missed_and_one_that_forgets_its_erasure_is_found() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let path = vault.account(&recording);
    let before = fs::read(&path).expect("it is there");
    fs::remove_file(&path).expect("the folder is ours");
    vault
        .assert_not_checked("removed", "the register has no account of it")
        .await;
    fs::write(&path, &before).expect("the folder is ours");
    let now = jiff::Timestamp::now().to_string();
    edit(&path, |account| {
        account["erased"] = json!({"at": now, "reason": "r"});
    });
    vault
        .assert_not_checked("erased meanwhile", "erased during this check")
        .await;
    fs::write(&path, &before).expect("the folder is ours");
    let person = vault.text_of(&vault.id, "/metadata/participants/0/id");
    vault
        .run(&["gdpr", "erase", &person, "--reason", "r", "--yes"])
        .await;
    vault.assert_whole("an erasure").await;
    let erased: Value =
        serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("it is JSON");
    assert!(erased["erased"].is_object(), "{erased}");
    fs::write(&path, &before).expect("the folder is ours");
    vault
        .assert_found("reset", "was erased, and its account does not")
        .await;
}
