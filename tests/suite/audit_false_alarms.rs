//! What is no tampering is not reported as such: `audit verify` after everything that a record is written for.

use serde_json::{Value, json};

use crate::support::audited_vault::AuditedVault;
use crate::support::two_places::two_places;
use crate::support::world::{World, document_ids};

const ANNA: &str = "8:acs:29bd5ea9_00000001";

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one list of verbs, in the order in which they run"
)]
async fn every_verb_that_writes_a_record_leaves_the_audit_log_whole() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("bare-name"), "[]").expect("there is room");
    let (package, archive, event) = (path("a.zip"), path("a.tar"), path("bare-name"));
    let verbs: &[&[&str]] = &[
        &["verify"],
        &["verify", &vault.id],
        &["verify", "mistyped-id"],
        &["ledger", "index"],
        &["retry", &vault.id],
        &["accept", &vault.id],
        &["evidence", &recording, "--to", &package],
        &["replay", &event],
        &["hold", "add", "--recording", &recording, "--case", "A-1"],
        &["hold", "add", "--person", ANNA, "--case", "A-1"],
        &[
            "hold",
            "add",
            "--from",
            "2020-01",
            "--to",
            "2020-12-31",
            "--case",
            "A-1",
        ],
        &["hold", "add", "--call", "of-no-recording", "--case", "A-1"],
        &["audit", "verify"],
        &[
            "hold",
            "release",
            "--recording",
            &recording,
            "--case",
            "A-1",
        ],
        &["hold", "release", "--person", ANNA, "--case", "A-1"],
        &[
            "hold",
            "release",
            "--from",
            "2020-01",
            "--to",
            "2020-12-31",
            "--case",
            "A-1",
        ],
        &["gdpr", "find", ANNA],
        &["gdpr", "export", ANNA, "--to", &archive],
        &["delete-source", "--yes"],
        &["gdpr", "erase", ANNA, "--reason", "request 17", "--yes"],
    ];
    for verb in verbs {
        let output = vault.run(verb).await;
        let code = output.status.code();
        assert!(matches!(code, Some(0..=2)), "{verb:?}: {output:?}");
        let (code, report) = vault.verify().await;
        assert_eq!(
            (code, &report["problems"], &report["notChecked"]),
            (Some(0), &json!([]), &json!([])),
            "after {verb:?}: {report}"
        );
    }
    // Of documents that were created and ended: everything is past this policy.
    let applied = vault.run_with(
        &[("VAULT_RETENTION", "1s")],
        &["retention", "apply", "--yes"],
    );
    let applied = applied.await;
    assert!(applied.status.code().is_some(), "{applied:?}");
    vault.assert_whole("a retention").await;
}

#[tokio::test]
async fn a_source_that_was_deleted_by_hand_leaves_the_log_whole() {
    let vault = AuditedVault::with(&[("DELETE_DELAY", "1h")]).await;
    vault.assert_whole("two exports").await;
    let now = [("DELETE_DELAY", "0s")];
    let deleted = vault.run_with(&now, &["delete-source", "--yes"]).await;
    assert!(deleted.status.success(), "{deleted:?}");
    vault.assert_whole("`delete-source`").await;
}

#[tokio::test]
async fn a_loss_that_was_acknowledged_leaves_the_log_whole() {
    let vault = AuditedVault::with(&[("MISSING_AFTER", "1s")]).await;
    let plan = json!({"call": {}, "serverCallId": "x"});
    let call = vault.world.admin("POST", "calls", plan).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    let (status, started) = vault.world.api("POST", "/recordings", Some(start)).await;
    assert_eq!(status, 200, "{started}");
    let id = started["recordingId"].as_str().expect("it has an id");
    vault.assert_whole("a start").await;
    let (status, stopped) = vault
        .world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    assert!(status < 300, "{stopped}");
    vault.assert_whole("a stop").await;
    let acknowledging = async || {
        let arguments = ["acknowledge", id, "--reason", "a test call"];
        let output = vault.run(&arguments).await;
        output.status.success().then_some(())
    };
    crate::support::eventually("the recording is missing, and acknowledged", async || {
        vault.world.sweep_recordings().await;
        acknowledging().await
    })
    .await;
    vault.assert_whole("an acknowledgement").await;
}

#[tokio::test]
async fn a_document_of_two_places_of_which_one_is_accepted_leaves_the_log_whole() {
    let world = World::with(&[("DELETE_DELAY", "1h")]).await;
    let (_, id) = two_places(&world).await;
    let vault = AuditedVault::of(world, &id);
    vault.assert_whole("a second place").await;
    vault.succeed(&["accept", &id, "--place", "2"]).await;
    vault.assert_whole("an accepted place").await;
    vault.world.sweep().await;
    vault.assert_whole("the sweep after it").await;
}

#[tokio::test]
async fn what_later_events_add_to_an_exported_chunk_leaves_the_log_whole() {
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
    assert_eq!(vault.text_of(&id, "/state/name"), "sourceLeft");
    vault.assert_whole("an export without metadata").await;
    vault.world.event(&event).await;
    vault.world.sweep().await;
    assert_eq!(vault.text_of(&id, "/state/name"), "sourceDeleted");
    vault.assert_whole("an event with metadata").await;
}

#[tokio::test]
async fn a_chunk_that_was_given_up_and_opened_again_leaves_the_log_whole() {
    let vault = AuditedVault::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = vault.world.recording(plan).await;
    let mut forged = event.clone();
    let at = "/data/recordingStorageInfo/recordingChunks/0/contentLocation";
    *forged.pointer_mut(at).expect("an event has a place") = "https://example.com/a".into();
    forged["id"] = "7d0c3f3e-3c4b-4f7a-9f0e-000000000003".into();
    vault.world.event(&forged).await;
    vault.world.sweep().await;
    vault.assert_whole("a refused place").await;
    let id = document_ids(&event).remove(0);
    vault.run(&["retry", &id]).await;
    vault.assert_whole("`retry`").await;
    vault.world.event(&event).await;
    vault.world.sweep().await;
    vault.assert_whole("the right place").await;
}

#[tokio::test]
async fn an_entry_that_was_rebuilt_from_its_receipt_leaves_the_log_whole() {
    let vault = AuditedVault::new().await;
    std::fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    vault.succeed(&["ledger", "rebuild", &vault.id]).await;
    vault.assert_whole("`ledger rebuild`").await;
    vault.world.sweep().await;
    vault.assert_whole("the sweep after it").await;
}
