//! Tampering that adds what would explain it: records that acknowledge it, names that belong together, times of the check.

use std::fs;
use std::sync::Arc;

use recording_vault::clock::SystemClock;
use recording_vault::store::audit::{Actor, AuditAction, AuditLog, CheckpointRef};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::vault::directory::DirectoryDocumentStore;
use serde_json::{Value, json};

use crate::support::audited_vault::{AuditedVault, edit};
use crate::support::eventually;
use crate::support::world::files_by_path;

/// Writes all checkpoints again, and what names the newest of them. Returns the first one as it was.
fn rewrite_checkpoints(vault: &AuditedVault) -> CheckpointRef {
    let folder = vault.ledger().join("audit/checkpoints");
    let (mut lost, mut previous) = (None, Sha256Digest::ZERO);
    for (number, (name, content)) in (1..).zip(files_by_path(&folder)) {
        lost.get_or_insert(CheckpointRef {
            number,
            sha256: Sha256Digest::of(&content),
        });
        let path = folder.join(name);
        edit(&path, |checkpoint| {
            checkpoint["previous"] = previous.to_string().into();
            if number == 1 {
                checkpoint["at"] = jiff::Timestamp::now().to_string().into();
            }
        });
        previous = Sha256Digest::of(&fs::read(&path).expect("it is there"));
        let newest = json!({"number": number, "sha256": previous});
        edit(&vault.ledger().join("last-sweep.json"), |sweep| {
            sweep["auditCheckpoint"] = newest.clone();
        });
        edit(
            &vault.ledger().join("audit/newest-checkpoint.json"),
            |hint| *hint = newest,
        );
    }
    lost.expect("there are checkpoints")
}

async fn forge_record(vault: &AuditedVault, action: AuditAction, subject: &str) {
    let store = Arc::new(DirectoryDocumentStore::new(vault.ledger()));
    let log = AuditLog::new(store, Arc::new(SystemClock));
    let detail = json!({"through": "shell"});
    let appending = log.append(Actor::Operator, action, subject, detail);
    appending.await.expect("the folder is ours");
}

#[tokio::test]
async fn no_record_in_the_ledger_overrules_what_a_receipt_names() {
    let vault = AuditedVault::new().await;
    let lost = rewrite_checkpoints(&vault);
    let differs = "checkpoint 1 is not the one that the receipt of chunk";
    vault.assert_found("a rewritten log", differs).await;
    let acknowledged = AuditAction::CheckpointLossAcknowledged;
    forge_record(&vault, acknowledged.clone(), &lost.subject()).await;
    vault.assert_found("acknowledged", differs).await;
    let unfounded = "no record says that a sweep had found it before";
    vault.assert_found("acknowledged", unfounded).await;
    forge_record(&vault, AuditAction::CheckpointMissing, &lost.subject()).await;
    vault.assert_found("found afterwards", differs).await;
    forge_record(&vault, acknowledged, &lost.subject()).await;
    let proves_nothing = "which was acknowledged as lost: what was logged before";
    vault
        .assert_not_checked("found and acknowledged", proves_nothing)
        .await;
    let (_, report) = vault.verify().await;
    assert!(
        report["known"].to_string().contains(&lost.to_string()),
        "{report}"
    );
    assert!(report["lostUntil"].is_string(), "{report}");
}

#[tokio::test]
async fn a_persons_hold_that_became_another_one_or_lost_a_name_is_found() {
    let vault = AuditedVault::new().await;
    vault
        .run_with(
            &[("DEFAULT_COUNTRY", "DE")],
            &["hold", "add", "--case", "A-1", "--person", "030 123456"],
        )
        .await;
    vault.assert_whole("`hold add`").await;
    let standing = vault.ledger().join("holds/standing");
    let path = standing.join(
        files_by_path(&standing)
            .into_keys()
            .next()
            .expect("there is a hold"),
    );
    let whole = fs::read(&path).expect("it is there");
    let hold: Value = serde_json::from_slice(&whole).expect("it is JSON");
    let also = &hold["held"]["matching"]["person"]["also"];
    assert!(
        also.as_array().is_some_and(|also| !also.is_empty()),
        "{hold}"
    );

    let lacks = "lacks a name of the person that the log has";
    let shortened = |hold: &mut Value| hold["held"]["matching"]["person"]["also"] = json!([]);
    vault
        .assert_found_in(&path, "a name less", shortened, lacks)
        .await;
    let name = hold["held"]["matching"]["person"]["name"].as_str();
    let nobody = format!("{}{}", &name.expect("it has a name")[..8], "0".repeat(56));
    let widened = |hold: &mut Value| {
        let also = hold["held"]["matching"]["person"]["also"].as_array_mut();
        also.expect("it is a list").push(nobody.clone().into());
    };
    let unknown = "is held by a name of the person that no record has";
    vault
        .assert_found_in(&path, "a name more", widened, unknown)
        .await;

    edit(&path, |hold| {
        hold["held"]["matching"]["person"]["name"] = nobody.clone().into();
    });
    let digest = Sha256Digest::of(format!("rule:{nobody}||").as_bytes());
    let redirected = standing.join(format!("{digest}.json"));
    fs::rename(&path, &redirected).expect("the folder is ours");
    vault.assert_found("redirected and renamed", lacks).await;
    fs::write(&path, &whole).expect("the folder is ours");
    vault.assert_found("beside the genuine one", lacks).await;
    edit(&path, |hold| hold["cases"] = json!([]));
    let removed = "was held for the case `A-1`, and no hold says so";
    vault
        .assert_found("a copy, and the genuine one emptied", removed)
        .await;
    fs::remove_file(&redirected).expect("the folder is ours");
    fs::write(&path, &whole).expect("the folder is ours");
    vault.assert_whole("as it was").await;
}

#[tokio::test]
async fn a_recording_that_an_erasure_left_does_not_pass_as_erased() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let person = vault.text_of(&vault.id, "/metadata/participants/0/id");
    let hold = ["hold", "add", "--case", "A-1", "--recording", &recording];
    vault.succeed(&hold).await;
    let erase = ["gdpr", "erase", &person, "--reason", "asked for", "--yes"];
    let erasing = vault.run(&erase).await;
    let said = String::from_utf8_lossy(&erasing.stdout).into_owned();
    assert!(said.contains("it is held for `A-1`"), "{said}");
    vault.assert_whole("an erasure that left a recording").await;
    let path = vault.account(&recording);
    let erased = json!({"at": "2026-03-02T10:00:00Z", "reason": "r"});
    let forge = |account: &mut Value| account["erased"] = erased;
    let found = "and the log that an erasure left it";
    vault.assert_found_in(&path, "erased", forge, found).await;

    let release = [
        "hold",
        "release",
        "--case",
        "A-1",
        "--recording",
        &recording,
    ];
    vault.succeed(&release).await;
    vault.succeed(&erase).await;
    vault.assert_whole("an erasure").await;
}

#[tokio::test]
async fn a_changed_acknowledgement_of_an_account_is_found_whatever_its_time_says() {
    let vault = AuditedVault::with(&[("MISSING_AFTER", "1s")]).await;
    let plan = json!({"call": {}, "serverCallId": "x"});
    let call = vault.world.admin("POST", "calls", plan).await["serverCallId"].clone();
    let start = json!({"serverCallId": call});
    let (_, started) = vault.world.api("POST", "/recordings", Some(start)).await;
    let id = started["recordingId"].as_str().expect("it has an id");
    vault
        .world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    eventually("the recording is missing, and acknowledged", async || {
        vault.world.sweep_recordings().await;
        let acknowledge = ["acknowledge", id, "--reason", "a test call"];
        vault.run(&acknowledge).await.status.success().then_some(())
    })
    .await;
    let path = vault.account(id);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(9);
    for at in [None, Some(soon.to_string())] {
        let change = |account: &mut Value| {
            let acknowledged = &mut account["acknowledged"];
            acknowledged["reason"] = "the supervisor wanted it".into();
            if let Some(at) = &at {
                acknowledged["at"] = at.as_str().into();
            }
        };
        let found = "has another reason of its acknowledgement than the log";
        vault
            .assert_found_in(&path, "the reason", change, found)
            .await;
    }
    vault.assert_whole("an acknowledgement").await;
}
