//! A world with two exported chunks, and the verbs of `audit` on it: what tampering with its ledger or vault is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::command::{self, report};
use super::world::{World, document_ids, files_by_path};

/// Two exported chunks of two recordings, each deleted at ACS.
pub struct AuditedVault {
    pub world: World,
    /// Document ids.
    pub id: String,
    pub other: String,
    /// Settings of the verbs that the world does not have.
    pub more_settings: BTreeMap<String, String>,
}

impl AuditedVault {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With settings that differ from the usual ones.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let world = World::with(settings).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
            let event = world.recording(plan).await;
            world.event(&event).await;
            world.sweep().await;
            ids.extend(document_ids(&event));
        }
        let [id, other] = ids.try_into().expect("there are two");
        Self {
            other,
            ..Self::of(world, &id)
        }
    }

    /// With one chunk.
    pub fn of(world: World, id: &str) -> Self {
        Self {
            world,
            id: id.to_owned(),
            other: id.to_owned(),
            more_settings: BTreeMap::new(),
        }
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&[], arguments).await
    }

    /// Runs a verb with settings that differ from the world's.
    pub async fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut all: BTreeMap<String, String> = self.world.settings().clone();
        all.extend(self.more_settings.clone());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.extend(settings.iter().map(owned));
        command::run(&all, arguments).await
    }

    /// Runs a verb that must succeed.
    pub async fn succeed(&self, arguments: &[&str]) {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    pub fn ledger(&self) -> PathBuf {
        self.world.vault.with_file_name("vault-ledger")
    }

    pub fn entry(&self, id: &str) -> PathBuf {
        self.ledger().join(format!("chunks/{id}.json"))
    }

    /// The account of a recording.
    pub fn account(&self, recording: &str) -> PathBuf {
        let folder = self.ledger().join("recordings");
        let documents = files_by_path(&folder);
        let of_recording = documents.iter().find(|(_, content)| {
            let account: Value = serde_json::from_slice(content).expect("an account is JSON");
            account["recordingId"] == recording
        });
        folder.join(of_recording.expect("it has an account").0)
    }

    /// A member of a chunk's entry, which is text.
    pub fn text_of(&self, id: &str, pointer: &str) -> String {
        let entry = self.world.ledger_entry(id);
        let text = entry.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{pointer} in {entry}"))
            .to_owned()
    }

    /// The only file of the vault whose name has both parts.
    pub fn vault_file(&self, id: &str, part: &str) -> PathBuf {
        let files = files_by_path(&self.world.vault);
        let mut names = files
            .keys()
            .filter(|name| name.contains(id) && name.contains(part));
        let name = names.next().expect("there is such a file");
        self.world.vault.join(name)
    }

    pub fn receipt(&self, id: &str) -> PathBuf {
        self.vault_file(id, "-receipt.")
    }

    /// The report of `audit verify`, and its exit code.
    pub async fn verify(&self) -> (Option<i32>, Value) {
        let output = self.run(&["audit", "verify", "--json"]).await;
        (output.status.code(), report(&output))
    }

    /// Nothing is wrong, and all was checked.
    pub async fn assert_whole(&self, after: &str) {
        let (code, report) = self.verify().await;
        assert_eq!(
            (code, &report["problems"], &report["notChecked"]),
            (Some(0), &json!([]), &json!([])),
            "after {after}: {report}"
        );
    }

    /// `audit verify` reports a problem with this text.
    pub async fn assert_found(&self, what: &str, part: &str) {
        let (code, report) = self.verify().await;
        let problems = report["problems"].as_array().expect("it is a list");
        let has = |problem: &Value| {
            problem
                .as_str()
                .is_some_and(|problem| problem.contains(part))
        };
        assert!(
            code == Some(2) && problems.iter().any(has),
            "{what}: {part} in {report}"
        );
    }

    /// `audit verify` reports that it could not check something, with this text, and nothing else.
    pub async fn assert_not_checked(&self, what: &str, part: &str) {
        let (code, report) = self.verify().await;
        assert!(
            code == Some(1) && report["notChecked"].to_string().contains(part),
            "{what}: {part} in {report}"
        );
    }

    /// Changes a document, asserts what `audit verify` finds, and puts the document back.
    pub async fn assert_found_in(
        &self,
        path: &Path,
        what: &str,
        change: impl FnOnce(&mut Value),
        part: &str,
    ) {
        let before = std::fs::read(path).expect("it is there");
        edit(path, change);
        self.assert_found(what, part).await;
        std::fs::write(path, before).expect("the folder is ours");
    }
}

/// Changes a document.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let before = std::fs::read(path).expect("it is there");
    let mut document: Value = serde_json::from_slice(&before).expect("it is JSON");
    change(&mut document);
    std::fs::write(path, document.to_string()).expect("the folder is ours");
}
