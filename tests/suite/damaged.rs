//! A document that the storage cannot return, such as one that is too large, stops only itself.

use std::fs::{self, File};
use std::path::Path;

use serde_json::json;

use crate::support::audited_vault::AuditedVault;
use crate::support::command::{report, text};
use crate::support::world::files_by_path;

/// Replaces a document by one that no reader takes.
fn make_too_large(path: &Path) {
    let _ = fs::remove_file(path);
    let file = File::create(path).expect("the folder is ours");
    file.set_len(65 * 1024 * 1024).expect("it is sparse");
}

#[tokio::test]
async fn a_damaged_entry_is_unknown_and_its_neighbours_are_not() {
    let vault = AuditedVault::new().await;
    make_too_large(&vault.entry(&vault.id));
    let status = vault.run(&["status", "--check"]).await;
    let printed = text(&status);
    assert_eq!(status.status.code(), Some(2), "{printed}");
    assert!(printed.contains("unknown"), "{printed}");
    let listed = vault.run(&["list", "--json"]).await;
    assert!(text(&listed).contains(&vault.other), "{}", text(&listed));
    fs::write(vault.entry(&vault.other), "{").expect("the folder is ours");
    let rebuilt = vault.run(&["ledger", "rebuild", "--json"]).await;
    let rebuilt = report(&rebuilt);
    assert_eq!(rebuilt["rebuilt"], json!([vault.other]), "{rebuilt}");
    assert_eq!(
        rebuilt["notChecked"][0]["documentId"], vault.id,
        "{rebuilt}"
    );
}

#[tokio::test]
async fn a_damaged_account_is_unknown_and_the_check_ends() {
    let vault = AuditedVault::new().await;
    let folder = vault.ledger().join("recordings");
    let name = files_by_path(&folder).into_keys().next();
    make_too_large(&folder.join(name.expect("there are accounts")));
    let status = vault.run(&["status", "--check"]).await;
    let printed = text(&status);
    assert_eq!(status.status.code(), Some(2), "{status:?}");
    assert!(printed.contains("1 recording unknown"), "{printed}");
}

#[tokio::test]
async fn damaged_notes_of_sweeps_and_checks_are_replaced() {
    let vault = AuditedVault::new().await;
    let ledger = vault.ledger();
    vault.run(&["status", "--check"]).await;
    for name in [
        "audit/newest-checkpoint.json",
        "last-sweep.json",
        "complete-check.json",
    ] {
        make_too_large(&ledger.join(name));
    }
    vault.world.host.kill_handler().await;
    vault
        .world
        .host
        .ready()
        .await
        .expect("the handler starts again");
    vault.succeed(&["verify"]).await;
    vault.world.sweep().await;
    let status = vault.run(&["status", "--check"]).await;
    assert_eq!(status.status.code(), Some(0), "{}", text(&status));
    let is_small = |name: &str| {
        let found = fs::metadata(ledger.join(name)).expect("it is there");
        found.len() < 1024 * 1024
    };
    assert!(is_small("audit/newest-checkpoint.json") && is_small("last-sweep.json"));
}

#[tokio::test]
async fn a_damaged_checkpoint_is_a_problem_and_the_next_one_is_written() {
    let vault = AuditedVault::new().await;
    let folder = vault.ledger().join("audit/checkpoints");
    let newest = files_by_path(&folder).into_keys().next_back();
    make_too_large(&folder.join(newest.expect("there are checkpoints")));
    vault.world.host.kill_handler().await;
    vault
        .world
        .host
        .ready()
        .await
        .expect("the handler starts again");
    let before = files_by_path(&folder).len();
    vault.succeed(&["verify"]).await;
    vault.world.sweep().await;
    assert!(files_by_path(&folder).len() > before);
    vault.assert_found("too large", "could not be read").await;
}

#[tokio::test]
async fn a_copy_that_a_verification_found_damaged_needs_attention_until_one_finds_it_good() {
    let vault = AuditedVault::new().await;
    let media = vault.vault_file(&vault.id, ".wav");
    let good = fs::read(&media).expect("the copy is there");
    let mut bad = good.clone();
    bad[0] ^= 1;
    let verdict = async || {
        let (_, summary) = vault.world.api("GET", "/vault/summary", None).await;
        summary["verdict"].to_string()
    };
    for arguments in [&["verify", &vault.id][..], &["verify"]] {
        fs::write(&media, &bad).expect("the folder is ours");
        let found = vault.run(arguments).await;
        assert_eq!(found.status.code(), Some(2), "{}", text(&found));
        let damaged = verdict().await;
        assert!(damaged.contains("doubtful"), "{damaged}");
        fs::write(&media, &good).expect("the folder is ours");
        vault.succeed(arguments).await;
        let good_again = verdict().await;
        assert!(!good_again.contains("doubtful"), "{good_again}");
    }
}
