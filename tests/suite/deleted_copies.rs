//! Copies that were deleted on request or by policy, and whose files are in the vault again, such as after a restore of the
//! container: nothing brings back the recording, and no search says that there is none.

use std::collections::BTreeMap;
use std::fs;

use recording_vault::export::ledger::{RebuildSource, Rebuilt};
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::store::audit::Operator;
use serde_json::json;

use crate::erasures::{chunk_of, erase, register};
use crate::hold_verbs::age;
use crate::support::audited_vault::AuditedVault;
use crate::support::command::{report, text};
use crate::support::fake_source::PARTICIPANT;
use crate::support::simulation::{Durable, Plan, deliver};
use crate::support::world::{World, document_ids, files_by_path};

/// Puts files into the vault again.
fn restore(vault: &AuditedVault, files: &BTreeMap<String, Vec<u8>>) {
    for (name, content) in files {
        let path = vault.world.vault.join(name);
        let folder = path.parent().expect("it has a folder");
        fs::create_dir_all(folder).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
    }
}

/// `ledger rebuild` refuses to write an entry with a copy, whether the entry is missing or not readable.
async fn assert_not_rebuilt(vault: &AuditedVault) {
    let entry = vault.entry(&vault.id);
    for content in [None, Some("{")] {
        fs::remove_file(&entry).expect("it is there");
        if let Some(content) = content {
            fs::write(&entry, content).expect("the folder is ours");
        }
        for verb in [
            &["ledger", "rebuild", "--json"][..],
            &["ledger", "rebuild", &vault.id, "--json"],
        ] {
            let output = vault.run(verb).await;
            let report = report(&output);
            assert_eq!(report["removed"], json!([vault.id]), "{report}");
            assert_eq!(output.status.code(), Some(2), "{report}");
        }
        assert_eq!(entry.exists(), content.is_some());
        fs::write(&entry, "{").expect("the folder is ours");
    }
}

#[tokio::test]
async fn an_erased_recording_is_not_rebuilt_from_files_that_came_back() {
    let anna = "8:acs:29bd5ea9_00000001";
    let world = World::new().await;
    let plan = json!({"call": {"participants": [anna], "chunks": [{"durationMs": 1000}]}});
    let event = world.recording(plan).await;
    world.event(&event).await;
    world.sweep().await;
    let vault = AuditedVault::of(world, &document_ids(&event)[0]);
    let files = files_by_path(&vault.world.vault);
    let erase = ["gdpr", "erase", anna, "--reason", "request 17", "--yes"];
    vault.succeed(&erase).await;
    restore(&vault, &files);
    assert_not_rebuilt(&vault).await;
}

#[tokio::test]
async fn a_copy_that_a_policy_deleted_is_not_rebuilt_from_files_that_came_back() {
    let vault = AuditedVault::new().await;
    let files = files_by_path(&vault.world.vault);
    age(&vault.world, &vault.id);
    let policy = [("VAULT_RETENTION", "24h")];
    let apply = ["retention", "apply", "--yes"];
    let applied = vault.run_with(&policy, &apply).await;
    assert!(applied.status.success(), "{applied:?}");
    restore(&vault, &files);
    assert_not_rebuilt(&vault).await;
}

/// Makes the ledger say what it said before the removal of a chunk unlinked its first file.
fn forget_end_of_removal(vault: &AuditedVault) {
    let audit = vault.ledger().join("audit");
    let documents = files_by_path(&audit);
    let is_end = |content: &[u8]| String::from_utf8_lossy(content).contains(r#""removed""#);
    let (end, _) = documents
        .iter()
        .find(|(name, content)| name.starts_with('2') && is_end(content))
        .expect("the removal is in the log");
    let (log, _) = end.split_once('/').expect("each log has a folder");
    // The process did not live to write it and what followed.
    let later = documents
        .keys()
        .filter(|name| name.starts_with(log) && *name >= end);
    for name in later {
        fs::remove_file(audit.join(name)).expect("the folder is ours");
    }
}

#[tokio::test]
async fn a_whole_copy_whose_removal_only_began_is_never_said_to_be_deleted() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let files = files_by_path(&vault.world.vault);
    age(&vault.world, &vault.id);
    let policy = [("VAULT_RETENTION", "24h")];
    let apply = ["retention", "apply", "--yes"];
    let applied = vault.run_with(&policy, &apply).await;
    assert!(applied.status.success(), "{applied:?}");
    // Killed at its first unlink: all files are there, and the end is in no log.
    restore(&vault, &files);
    forget_end_of_removal(&vault);
    let hold = [
        "hold",
        "add",
        "--case",
        "A-1",
        "--recording",
        &recording,
        "--yes",
    ];
    vault.run(&hold).await;
    let entry = vault.entry(&vault.id);
    for content in [Some("{"), None] {
        fs::remove_file(&entry).expect("it is there");
        if let Some(content) = content {
            fs::write(&entry, content).expect("the folder is ours");
        }
        for verb in [
            &["ledger", "rebuild"][..],
            &["ledger", "rebuild", &vault.id],
        ] {
            let output = vault.run(&[verb, &["--json"]].concat()).await;
            let report = report(&output);
            assert_eq!(report["removalBegun"], json!([vault.id]), "{report}");
            assert_eq!(report["removed"], json!([]), "{report}");
            assert_eq!(output.status.code(), Some(2), "{report}");
            let output = vault.run(verb).await;
            let said = text(&output);
            assert!(!said.contains("delete"), "{said}");
            assert!(said.contains("begun"), "{said}");
        }
        assert_eq!(entry.exists(), content.is_some());
        fs::write(&entry, "{").expect("the folder is ours");
    }
    assert_eq!(files_by_path(&vault.world.vault), files);
}

#[tokio::test]
async fn files_that_came_back_are_kept_while_a_hold_covers_them() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let files = files_by_path(&vault.world.vault);
    age(&vault.world, &vault.id);
    let policy = [("VAULT_RETENTION", "24h")];
    let applied = vault
        .run_with(&policy, &["retention", "apply", "--yes"])
        .await;
    assert!(applied.status.success(), "{applied:?}");
    restore(&vault, &files);
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    let subjects: [&[&str]; 2] = [&["--recording", &recording], &["--from", "2020-01-01"]];
    for subject in subjects {
        let hold = [&["hold", "add", "--case", "A-1", "--yes"][..], subject].concat();
        vault.run(&hold).await;
        let rebuild = ["ledger", "rebuild"];
        let said = text(&vault.run(&rebuild).await);
        assert!(!said.contains("delete what"), "{subject:?}: {said}");
        let output = vault.run(&[&rebuild[..], &["--json"]].concat()).await;
        let report = report(&output);
        let in_doubt = &report["removedInDoubt"][0];
        assert_eq!(
            in_doubt["documentId"],
            json!(vault.id),
            "{subject:?}: {report}"
        );
        assert_eq!(report["removed"], json!([]), "{report}");
        let release = [&["hold", "release", "--case", "A-1"][..], subject].concat();
        vault.succeed(&release).await;
    }
    assert_not_rebuilt(&vault).await;
}

/// An erased recording of a person whose chunk has an entry with a copy again.
async fn copied_again() -> Durable {
    let chunk = chunk_of("a", 0);
    let mut durable = Durable::new(std::slice::from_ref(&chunk));
    register(&durable, std::slice::from_ref(&chunk)).await;
    let instance = durable.instance(&Plan::calm());
    deliver(&instance, std::slice::from_ref(&chunk)).await;
    let vault = durable.fork().vault;
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");

    durable.vault = vault;
    durable.remove_entry(&chunk.document_id).await;
    let mut files = durable.vault.files().into_iter();
    let receipt = files.find(|(name, _)| name.as_str().contains("-receipt."));
    let (_, receipt) = receipt.expect("there is a receipt");
    let kept: KeptReceipt = serde_json::from_slice(&receipt).expect("it is a receipt");
    let source = RebuildSource {
        kept,
        further: Vec::new(),
        previous: None,
    };
    let ledger = durable.ledger();
    let rebuilding = ledger.rebuild(&chunk.document_id, source, &Operator::Shell);
    assert_eq!(
        rebuilding.await.expect("the ledger works"),
        Rebuilt::Rebuilt
    );
    durable
}

#[tokio::test(start_paused = true)]
async fn an_erased_recording_that_has_a_copy_again_is_found_by_its_files_and_erased_again() {
    let durable = copied_again().await;
    let catalogue = durable.catalogue(&Plan::calm());
    let person = PARTICIPANT.parse().expect("it names a person");
    let found = catalogue.find_person(&person, &Operator::Shell).await;
    let found = found.expect("the ledger works");
    assert_eq!(found.recordings.len(), 1, "{found:?}");

    let another = "8:acs:nobody".parse().expect("it names a person");
    let none = catalogue.find_person(&another, &Operator::Shell).await;
    let none = none.expect("the ledger works");
    assert!(none.recordings.is_empty(), "{none:?}");
    assert!(
        none.not_searched.is_nothing(),
        "its files were read: {none:?}"
    );

    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
    assert!(durable.vault.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_erased_recording_whose_files_cannot_be_read_is_not_searched() {
    let durable = copied_again().await;
    durable.vault.lose_everything();
    let catalogue = durable.catalogue(&Plan::calm());
    let person = PARTICIPANT.parse().expect("it names a person");
    let found = catalogue.find_person(&person, &Operator::Shell).await;
    let found = found.expect("the ledger works");
    assert!(found.recordings.is_empty(), "{found:?}");
    let names = &found.not_searched.unreadable_names;
    assert!(
        names.iter().any(|name| name.contains("recording mine")),
        "{found:?}"
    );
}
