//! What `ledger rebuild` does with what is left: receipts without an entry, a copy in the backup vault, no receipt at all, and a
//! log of which a part cannot be read.

use std::fs;

use serde_json::{Value, json};

use crate::support::audited_vault::{AuditedVault, edit};
use crate::support::command::{report, text};
use crate::support::world::{World, document_ids, files_by_path};

/// Two exported chunks, and the event of the first.
async fn with_event() -> (AuditedVault, Value) {
    let world = World::new().await;
    let mut events = Vec::new();
    for _ in 0..2 {
        let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
        let event = world.recording(plan).await;
        world.event(&event).await;
        world.sweep().await;
        events.push(event);
    }
    let event = events.swap_remove(0);
    let id = document_ids(&event).swap_remove(0);
    (AuditedVault::of(world, &id), event)
}

/// Removes the files of the first chunk from the vault.
fn lose_copy(vault: &AuditedVault) {
    for name in files_by_path(&vault.world.vault).into_keys() {
        if name.contains(&vault.id) {
            fs::remove_file(vault.world.vault.join(name)).expect("the folder is ours");
        }
    }
}

#[tokio::test]
async fn an_unreadable_entry_without_a_receipt_is_recorded_again_by_a_replay_of_its_event() {
    let (vault, event) = with_event().await;
    lose_copy(&vault);
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    let file = vault.ledger().with_file_name("event.json");
    fs::write(&file, event.to_string()).expect("the folder is ours");
    let replay = ["replay", &file.display().to_string()];
    assert!(!vault.run(&replay).await.status.success());

    for _ in 0..2 {
        let output = vault.run(&["ledger", "rebuild", "--json"]).await;
        let report = report(&output);
        assert_eq!(report["awaitingEvent"], json!([vault.id]), "{report}");
        assert_eq!(output.status.code(), Some(2), "{report}");
    }
    let kept = files_by_path(&vault.ledger().join("corrupt"));
    assert_eq!(kept.into_values().collect::<Vec<_>>(), [b"{"]);
    let status = vault.run(&["status", "--check"]).await;
    let printed = text(&status);
    assert_eq!(status.status.code(), Some(2), "{printed}");
    assert!(!printed.contains("recorded is safe"), "{printed}");

    vault.succeed(&replay).await;
    let entry = vault.world.ledger_entry(&vault.id);
    assert_eq!(entry["state"]["name"], "pending", "{entry}");
    assert_eq!(entry["rebuilt"], true, "{entry}");
    let (_, report) = vault.verify().await;
    assert_eq!(
        (&report["problems"], &report["notChecked"]),
        (&json!([]), &json!([])),
        "{report}"
    );
}

#[tokio::test]
async fn an_entry_whose_copy_may_be_in_a_backup_vault_that_cannot_be_listed_stays() {
    let (vault, event) = with_event().await;
    lose_copy(&vault);
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    let file = vault.ledger().with_file_name("event.json");
    fs::write(&file, event.to_string()).expect("the folder is ours");
    let no_folder = format!("file://{}", file.display());
    let ledger = format!("file://{}", vault.ledger().display());
    let settings = [
        ("LEDGER_URL", ledger.as_str()),
        ("BACKUP_VAULT_URL", no_folder.as_str()),
    ];
    let output = vault
        .run_with(&settings, &["ledger", "rebuild", "--json"])
        .await;
    let report = report(&output);
    let reason = report["notChecked"][0]["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("backup vault")),
        "{report}"
    );
    assert!(report["backupNotListed"].is_string(), "{report}");
    assert_eq!(output.status.code(), Some(2), "{report}");
    let entry = fs::read(vault.entry(&vault.id)).expect("it is there");
    assert_eq!(entry, b"{");
}

#[tokio::test]
async fn an_entry_that_is_missing_is_rebuilt_without_being_named() {
    let vault = AuditedVault::new().await;
    fs::remove_file(vault.entry(&vault.id)).expect("the folder is ours");
    let output = vault.run(&["ledger", "rebuild", "--json"]).await;
    let report = report(&output);
    assert_eq!(report["rebuilt"], json!([vault.id]), "{report}");
    assert!(vault.entry(&vault.id).exists());
    vault.assert_whole("`ledger rebuild`").await;
}

#[tokio::test]
async fn an_entry_is_rebuilt_from_a_receipt_in_the_backup_vault() {
    let vault = AuditedVault::new().await;
    let backup = vault.ledger().with_file_name("backup");
    for name in files_by_path(&vault.world.vault).into_keys() {
        if name.contains(&vault.id) {
            let to = backup.join(&name);
            let folder = to.parent().expect("it has a folder");
            fs::create_dir_all(folder).expect("the folder is ours");
            fs::rename(vault.world.vault.join(&name), &to).expect("the folder is ours");
            if name.contains("-receipt.") {
                edit(&to, |receipt| receipt["receipt"]["vault"] = "backup".into());
            }
        }
    }
    // The log has proofs of the vault at home.
    let ledger = vault.ledger().with_file_name("new-ledger");
    let url = |path: &std::path::Path| format!("file://{}", path.display());
    let settings = [
        ("LEDGER_URL", &*url(&ledger)),
        ("BACKUP_VAULT_URL", &*url(&backup)),
    ];
    let output = vault
        .run_with(&settings, &["ledger", "rebuild", "--json"])
        .await;
    let report = report(&output);
    let rebuilt = report["rebuilt"].as_array().map(Vec::len);
    assert_eq!(rebuilt, Some(2), "{report}");
    let entry = fs::read(ledger.join(format!("chunks/{}.json", vault.id)));
    let entry: Value = serde_json::from_slice(&entry.expect("it is there")).expect("it is JSON");
    assert_eq!(entry["usesBackup"], true, "{entry}");
}

#[tokio::test]
async fn a_receipt_is_not_believed_where_the_log_could_not_be_read() {
    let vault = AuditedVault::new().await;
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    let log = vault.ledger().join("audit");
    for name in files_by_path(&log).into_keys() {
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            fs::write(log.join(name), "{").expect("the folder is ours");
        }
    }
    let output = vault.run(&["ledger", "rebuild", "--json"]).await;
    let report = report(&output);
    let reason = report["notChecked"][0]["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("of the audit log, from")),
        "{report}"
    );
    assert_eq!(output.status.code(), Some(2), "{report}");
    let entry = fs::read(vault.entry(&vault.id)).expect("it is there");
    assert_eq!(entry, b"{");
}

#[tokio::test]
async fn a_receipt_is_not_believed_where_documents_of_the_log_are_missing() {
    let vault = AuditedVault::new().await;
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    edit(&vault.receipt(&vault.id), |receipt| {
        receipt["receipt"]["anomaly"] = "forged".into();
    });
    let log = vault.ledger().join("audit");
    // It comes before all logs, and hides none of them.
    let foreign = log.join("(copy) notes.txt");
    fs::write(&foreign, "x").expect("the folder is ours");
    let run_rebuild = async || report(&vault.run(&["ledger", "rebuild", "--json"]).await);
    let rebuilt = run_rebuild().await;
    assert_eq!(rebuilt["contradicted"], json!([vault.id]), "{rebuilt}");
    fs::remove_file(foreign).expect("the folder is ours");

    let logs = files_by_path(&log).into_keys();
    let logs = logs.filter(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    let logs: Vec<_> = logs.map(|name| log.join(name)).collect();
    for document in &logs {
        fs::remove_file(document).expect("the folder is ours");
    }
    let rebuilt = run_rebuild().await;
    let reason = rebuilt["notChecked"][0]["reason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains("of the audit log, from"), "{rebuilt}");
    let entry = fs::read(vault.entry(&vault.id)).expect("it is there");
    assert_eq!(entry, b"{");
    let index = vault.run(&["ledger", "index", "--json"]).await;
    let problems = report(&index)["problems"].to_string();
    assert!(problems.contains("missing or not readable"), "{problems}");
    assert!(!index.status.success(), "{problems}");
}

#[tokio::test]
async fn an_unreadable_receipt_of_another_file_says_what_to_do_and_that_works() {
    let vault = AuditedVault::new().await;
    let receipt = vault.receipt(&vault.id).display().to_string();
    let further = receipt.replace(".json", ".2.json");
    fs::write(&further, "{").expect("the folder is ours");
    fs::write(vault.entry(&vault.id), "{").expect("the folder is ours");
    let verb = ["ledger", "rebuild", "--json"];
    let refused = report(&vault.run(&verb).await);
    let reason = refused["notChecked"][0]["reason"].as_str();
    assert!(
        reason.is_some_and(|reason| reason.contains("move it away, run this again")),
        "{refused}"
    );
    fs::remove_file(&further).expect("the folder is ours");
    let rebuilt = report(&vault.run(&verb).await);
    assert_eq!(rebuilt["rebuilt"], json!([vault.id]), "{rebuilt}");
}
