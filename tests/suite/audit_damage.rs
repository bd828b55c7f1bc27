//! `audit verify` and the verdict where parts of the ledger cannot be read, or were removed: what is left is still checked, and
//! nothing is called well.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::audit_verbs::{Shell, report};
use crate::support::world::files_by_path;

fn read_json(path: &Path) -> Value {
    let content = std::fs::read(path).expect("it is there");
    serde_json::from_slice(&content).expect("it is JSON")
}

/// The documents of the app's log, by name.
fn documents(shell: &Shell) -> BTreeMap<String, Vec<u8>> {
    let mut files = files_by_path(&shell.ledger().join("audit"));
    files.retain(|name, _| name.starts_with('2'));
    files
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_not_checked_and_no_sweep_hides_it() {
    let shell = Shell::new().await;
    let newest = documents(&shell).into_keys().next_back();
    let newest = newest.expect("there is a log");
    let (log, number) = newest.split_once('/').expect("it is in a folder");
    let number: u64 = number.trim_end_matches(".json").parse().expect("a number");
    // A folder where the writer's next document would be.
    let next = format!("{log}/{:012}.json", number + 1);
    let next = shell.ledger().join("audit").join(next);
    std::fs::create_dir(&next).expect("the folder is ours");
    shell.world.sweep().await;
    let sweep = read_json(&shell.ledger().join("last-sweep.json"));
    let uncovered = sweep["auditUncovered"].as_str().unwrap_or_default();
    assert!(uncovered.contains(log), "{sweep}");
    let status = shell.run(&["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.status.code() == Some(2)
            && said.contains("no checkpoint covers the newest records of the audit log"),
        "{said}"
    );
    let output = shell.run(&["audit", "verify", "--json"]);
    let found = report(&output);
    assert_eq!(
        (output.status.code(), &found["problems"]),
        (Some(1), &json!([])),
        "{found}"
    );

    std::fs::remove_dir(&next).expect("the folder is ours");
    shell.world.sweep().await;
    let sweep = read_json(&shell.ledger().join("last-sweep.json"));
    assert_eq!(sweep["auditUncovered"], Value::Null, "{sweep}");
    let output = shell.run(&["audit", "verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[tokio::test]
async fn a_damaged_key_leaves_names_unchecked_and_the_chains_checked() {
    let shell = Shell::new().await;
    let hold = ["hold", "add", "--recording", "r-1", "--case", "A-1"];
    let adding = shell.run(&[&hold[..], &["--by", "ada@example.com"]].concat());
    assert!(adding.status.success(), "{adding:?}");
    let key = shell.ledger().join("keys/person.json");
    let whole = std::fs::read(&key).expect("there is a key");
    std::fs::write(&key, "{}").expect("the folder is ours");
    let output = shell.run(&["audit", "verify", "--json"]);
    let found = report(&output);
    let not_checked = found["notChecked"].to_string();
    assert!(
        output.status.code() == Some(1) && not_checked.contains("names and texts of"),
        "{found}"
    );
    assert!(found["records"].as_u64() > Some(2), "{found}");
    let text = shell.run(&["audit", "verify"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("Not checked: 1 part"), "{text}");

    std::fs::write(&key, whole).expect("the folder is ours");
    let output = shell.run(&["audit", "verify"]);
    assert_eq!(output.status.code(), Some(0), "as it was");
}

#[tokio::test]
async fn a_wiped_ledger_is_tampering_whatever_is_left_of_it() {
    let shell = Shell::new().await;
    let ledger = shell.ledger();
    let hold = ["hold", "add", "--recording", "r-1", "--case", "A-1"];
    assert!(shell.run(&hold).status.success());
    let whole = files_by_path(&ledger);
    let vault = files_by_path(&shell.world.vault);
    let left = |keeps: &[&str], has_vault: bool| {
        std::fs::remove_dir_all(&ledger).expect("the folder is ours");
        let kept = whole
            .iter()
            .filter(|(name, _)| keeps.iter().any(|kept| name.starts_with(kept)));
        for (name, content) in kept {
            let path = ledger.join(name);
            let folder = path.parent().expect("it has one");
            std::fs::create_dir_all(folder).expect("the folder is ours");
            std::fs::write(path, content).expect("the folder is ours");
        }
        std::fs::create_dir_all(&ledger).expect("the folder is ours");
        if !has_vault && shell.world.vault.exists() {
            std::fs::remove_dir_all(&shell.world.vault).expect("the folder is ours");
        }
        let output = shell.run(&["audit", "verify"]);
        (output.status.code(), stderr(&output))
    };
    assert!(!vault.is_empty());
    let (code, said) = left(&[], true);
    assert_eq!(code, Some(2), "receipts in the vault: {said}");
    for kept in [
        "audit/checkpoints/",
        "audit/newest-checkpoint.json",
        "audit/live/",
        "audit-subjects/",
        "recordings/",
        "holds/",
    ] {
        let is_kept = |name: &String| name.starts_with(kept);
        assert!(whole.keys().any(is_kept), "{kept} in {:?}", whole.keys());
        let (code, said) = left(&[kept], false);
        assert_eq!(code, Some(2), "{kept}: {said}");
    }
    let (code, said) = left(&["last-sweep.json"], false);
    assert_eq!(code, Some(1), "{said}");
}
