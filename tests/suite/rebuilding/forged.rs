//! `ledger rebuild` believes the audit log before a receipt: what somebody changed in the vault does not become an entry.

use std::fs;
use std::path::Path;

use recording_vault::store::digest::Sha256Digest;
use serde_json::{Value, json};

use crate::support::audit::audit_records;
use crate::support::audited_vault::{AuditedVault, edit};
use crate::support::command::report;
use crate::support::world::files_by_path;

const UNREADABLE: &str = "{\"chunk\": ";

/// Runs the rebuild of the first chunk. Returns its exit code and its report.
async fn rebuild(vault: &AuditedVault) -> (Option<i32>, Value) {
    let output = vault.run(&["ledger", "rebuild", &vault.id, "--json"]).await;
    (output.status.code(), report(&output))
}

fn spoil(path: &Path) {
    fs::write(path, UNREADABLE).expect("the folder is ours");
}

/// Replaces the media of the first chunk, and its proof in the receipt.
fn forge(vault: &AuditedVault) {
    let receipt = vault.receipt(&vault.id);
    let whole = fs::read(&receipt).expect("it is there");
    let whole: Value = serde_json::from_slice(&whole).expect("it is JSON");
    let name = whole["receipt"]["media"]["name"].as_str();
    let media = vault.world.vault.join(name.expect("it has a name"));
    let mut content = fs::read(&media).expect("it is there");
    *content.last_mut().expect("it is not empty") ^= 1;
    let sha256 = Sha256Digest::of(&content).to_string();
    fs::remove_file(&media).expect("the folder is ours");
    fs::write(&media, content).expect("the folder is ours");
    edit(&receipt, |receipt| {
        receipt["receipt"]["media"]["sha256"] = sha256.into();
    });
}

#[tokio::test]
async fn a_receipt_that_the_log_contradicts_is_reported_and_not_rebuilt_from() {
    let vault = AuditedVault::new().await;
    forge(&vault);
    spoil(&vault.entry(&vault.id));
    vault
        .assert_found("forged", "no record has the proof of its receipt")
        .await;
    let (code, report) = rebuild(&vault).await;
    assert_eq!(
        (code, &report["contradicted"]),
        (Some(2), &json!([vault.id])),
        "{report}"
    );
    let entry = fs::read_to_string(vault.entry(&vault.id)).expect("it is there");
    assert_eq!(entry, UNREADABLE);
}

#[tokio::test]
async fn a_receipt_of_another_chunk_is_not_rebuilt_from() {
    let vault = AuditedVault::new().await;
    fs::copy(vault.receipt(&vault.other), vault.receipt(&vault.id)).expect("the folder is ours");
    spoil(&vault.entry(&vault.id));
    let (code, report) = rebuild(&vault).await;
    assert_eq!(
        (code, &report["ofAnother"]),
        (Some(2), &json!([vault.id])),
        "{report}"
    );
    let entry = fs::read_to_string(vault.entry(&vault.id)).expect("it is there");
    assert_eq!(entry, UNREADABLE);
}

#[tokio::test]
async fn of_several_receipts_none_is_rebuilt_from_and_each_is_named() {
    let vault = AuditedVault::new().await;
    let receipt = vault.receipt(&vault.id);
    let folder = vault.world.vault.join("zzz");
    fs::create_dir(&folder).expect("the folder is ours");
    let name = receipt.file_name().expect("it is a file");
    fs::copy(&receipt, folder.join(name)).expect("the folder is ours");
    spoil(&vault.entry(&vault.id));
    let (code, report) = rebuild(&vault).await;
    let receipts = report["ambiguous"][0]["receipts"].as_array();
    assert_eq!(
        (code, receipts.map(Vec::len)),
        (Some(2), Some(2)),
        "{report}"
    );
    assert_eq!(report["ambiguous"][0]["documentId"], vault.id, "{report}");
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_does_not_stop_the_others() {
    let vault = AuditedVault::new().await;
    let receipt = vault.receipt(&vault.id);
    fs::remove_file(&receipt).expect("the folder is ours");
    fs::create_dir_all(receipt.join("folder")).expect("the folder is ours");
    spoil(&vault.entry(&vault.id));
    spoil(&vault.entry(&vault.other));
    let output = vault.run(&["ledger", "rebuild", "--json"]).await;
    let report = report(&output);
    assert_eq!(report["rebuilt"], json!([vault.other]), "{report}");
    assert_eq!(output.status.code(), Some(2), "{report}");
}

#[tokio::test]
async fn the_record_of_a_rebuild_names_what_was_before_and_who_did_it() {
    let vault = AuditedVault::new().await;
    let last = vault.world.ledger_entry(&vault.id)["audited"].clone();
    let last = last.as_array().and_then(|audited| audited.last()).cloned();
    spoil(&vault.entry(&vault.id));
    vault.succeed(&["ledger", "rebuild", &vault.id]).await;
    let records = audit_records(&vault.world, "rebuilt", &vault.id);
    let [record] = &records[..] else {
        panic!("one record: {records:?}")
    };
    let detail = &record["detail"];
    assert_eq!(Some(&detail["previous"]), last.as_ref(), "{detail}");
    let unreadable = Sha256Digest::of(UNREADABLE.as_bytes()).to_string();
    assert_eq!(detail["unreadableSha256"], unreadable);
    assert_eq!(detail["through"], "shell");
    assert!(
        detail["by"].as_str().is_some_and(|by| by.contains('@')),
        "{detail}"
    );
    vault.assert_whole("`ledger rebuild`").await;
}

#[tokio::test]
async fn a_rebuild_without_any_other_record_of_its_copy_is_not_checked() {
    let vault = AuditedVault::new().await;
    spoil(&vault.entry(&vault.id));
    for (path, _) in files_by_path(&vault.ledger().join("audit")) {
        fs::remove_file(vault.ledger().join("audit").join(path)).expect("the folder is ours");
    }
    vault.succeed(&["ledger", "rebuild", &vault.id]).await;
    let (_, report) = vault.verify().await;
    let not_checked = report["notChecked"].to_string();
    assert!(
        not_checked.contains("was rebuilt from its receipt, and no other record has its proof"),
        "{report}"
    );
}
