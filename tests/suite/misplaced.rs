//! A document under the key of another is not believed: an entry that is another chunk's, an account that is another
//! recording's. Every reader treats it as one that is not readable.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::audited_vault::AuditedVault;
use crate::support::command::text;
use crate::support::world::files_by_path;

/// Removes every file of a chunk from the vault.
fn lose_copies(vault: &AuditedVault, id: &str) {
    for name in files_by_path(&vault.world.vault).into_keys() {
        if name.contains(id) {
            fs::remove_file(vault.world.vault.join(name)).expect("the folder is ours");
        }
    }
}

/// The account that lists a chunk.
fn account(vault: &AuditedVault, id: &str) -> PathBuf {
    let folder = vault.ledger().join("recordings");
    let accounts = files_by_path(&folder);
    let mut of_chunk = accounts.iter().filter(|(_, content)| {
        let account: Value = serde_json::from_slice(content).expect("an account is JSON");
        account["files"].to_string().contains(id)
    });
    folder.join(of_chunk.next().expect("it has an account").0)
}

#[tokio::test]
async fn an_entry_that_is_another_chunks_makes_nothing_safe() {
    let vault = AuditedVault::new().await;
    fs::copy(vault.entry(&vault.other), vault.entry(&vault.id)).expect("the folder is ours");
    lose_copies(&vault, &vault.id);

    let status = vault.run(&["status", "--check"]).await;
    let printed = text(&status);
    assert_eq!(status.status.code(), Some(2), "{printed}");
    assert!(!printed.contains("recorded is safe"), "{printed}");
    let verified = vault.run(&["verify"]).await;
    let printed = text(&verified);
    assert_eq!(verified.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&vault.id), "{printed}");
    let verified = vault.run(&["verify", &vault.id]).await;
    assert_ne!(verified.status.code(), Some(0), "{}", text(&verified));
    let listed = text(&vault.run(&["list"]).await);
    assert!(listed.contains("1 entry is not readable"), "{listed}");
    let media = format!("/vault/chunks/{}/media", vault.id);
    let (status, answer) = vault.world.api("GET", &media, None).await;
    assert!(status >= 400, "{status} {answer}");
}

#[tokio::test]
async fn an_entry_that_is_another_chunks_is_rebuilt_from_its_own_receipt() {
    let vault = AuditedVault::new().await;
    let before = vault.text_of(&vault.id, "/state/receipt/media/sha256");
    fs::copy(vault.entry(&vault.other), vault.entry(&vault.id)).expect("the folder is ours");
    vault.succeed(&["ledger", "rebuild", &vault.id]).await;
    let own = vault.text_of(&vault.id, "/chunk/documentId");
    assert_eq!(own, vault.id);
    let after = vault.text_of(&vault.id, "/state/receipt/media/sha256");
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_account_that_is_another_recordings_makes_nothing_safe() {
    let vault = AuditedVault::new().await;
    let (own, other) = (account(&vault, &vault.id), account(&vault, &vault.other));
    fs::copy(other, &own).expect("the folder is ours");
    let status = vault.run(&["status", "--check"]).await;
    let printed = text(&status);
    assert_eq!(status.status.code(), Some(2), "{printed}");
    assert!(!printed.contains("recorded is safe"), "{printed}");
    let listed = text(&vault.run(&["list"]).await);
    assert!(listed.contains("unknown"), "{listed}");
    let name = own.file_name().expect("it is a file").to_string_lossy();
    vault
        .assert_found(
            "copied over",
            &format!("the account `recordings/{name}` is not readable"),
        )
        .await;
}
