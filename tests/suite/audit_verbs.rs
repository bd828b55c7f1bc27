//! `audit verify` and `audit show`, run as an operator runs them: what was changed in ledger, log or vault is found, and what
//! was done is told in sentences.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::audit::audit_records;
use crate::support::world::{World, document_ids, files_by_path};

pub(crate) struct Shell {
    pub(crate) world: World,
    /// The chunk's document id.
    pub(crate) id: String,
    other: String,
}

impl Shell {
    /// Two exported chunks, and a checkpoint that has all of it. The second receipt names the first checkpoint.
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
            let event = world.recording(plan).await;
            world.event(&event).await;
            world.sweep().await;
            ids.extend(document_ids(&event));
        }
        let [id, other] = ids.try_into().expect("there are two");
        Self { world, id, other }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recording-vault"));
        command
            .args(arguments)
            .envs(self.world.settings())
            .output()
            .expect("the binary runs")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.world.vault.with_file_name("vault-ledger")
    }

    fn entry(&self, id: &str) -> PathBuf {
        self.ledger().join(format!("chunks/{id}.json"))
    }

    fn receipt(&self, id: &str) -> PathBuf {
        let files = files_by_path(&self.world.vault);
        let is_receipt = |name: &&String| name.contains(id) && name.contains("-receipt.");
        let name = files.keys().find(is_receipt).expect("it has a receipt");
        self.world.vault.join(name)
    }

    /// Exit code and problems of `audit verify`.
    fn verify(&self) -> (Option<i32>, Vec<String>) {
        let output = self.run(&["audit", "verify", "--json"]);
        let report = report(&output);
        let problems = report["problems"].as_array().expect("it is a list");
        let problems = problems.iter().filter_map(Value::as_str).map(str::to_owned);
        (output.status.code(), problems.collect())
    }

    pub(crate) fn assert_found(&self, part: &str) {
        let (code, problems) = self.verify();
        assert!(
            code == Some(2) && problems.iter().any(|problem| problem.contains(part)),
            "{part} in {problems:?}"
        );
    }
}

pub(crate) fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn edit(path: &Path, from: &str, to: &str) {
    let before = std::fs::read_to_string(path).expect("it is there");
    assert!(before.contains(from), "{from} in {before}");
    std::fs::write(path, before.replace(from, to)).expect("the folder is ours");
}

#[tokio::test]
async fn a_ledger_that_nobody_touched_is_whole_up_to_the_newest_anchor() {
    let shell = Shell::new().await;
    let output = shell.run(&["audit", "verify", "--json"]);
    let whole = report(&output);
    assert_eq!(
        (
            output.status.code(),
            &whole["problems"],
            &whole["notChecked"]
        ),
        (Some(0), &json!([]), &json!([])),
        "{whole}"
    );
    assert_eq!(
        (&whole["entries"], &whole["receipts"]),
        (&json!(2), &json!(2))
    );
    let named_by = whole["anchor"]["namedBy"]
        .as_str()
        .expect("it has an anchor");
    assert_eq!(named_by, format!("the receipt of chunk {}", shell.other));
    assert!(whole["anchor"]["at"].is_string(), "{whole}");
    let text = shell.run(&["audit", "verify"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.starts_with("The audit log is whole up to 20"),
        "{text}"
    );
    assert!(
        text.contains("Not checked for a rewrite: what was logged later"),
        "{text}"
    );
}

#[tokio::test]
async fn an_entry_that_was_changed_exchanged_or_removed_is_found() {
    let shell = Shell::new().await;
    let entry = shell.entry(&shell.id);
    let whole = std::fs::read(&entry).expect("it is there");
    let document = shell.world.ledger_entry(&shell.id);
    let sha256 = document["state"]["receipt"]["media"]["sha256"].as_str();
    edit(&entry, sha256.expect("it has one"), &"0".repeat(64));
    shell.assert_found("and no record says so");
    shell.assert_found("has another `receipt.media.sha256` than its entry");

    std::fs::copy(shell.entry(&shell.other), &entry).expect("the folder is ours");
    shell.assert_found(&format!(
        "the entry of chunk {} is not readable: it is the document of `chunks/{}.json`; run",
        shell.id, shell.other
    ));

    std::fs::remove_file(&entry).expect("the folder is ours");
    shell.assert_found("the ledger has no entry of it");
    // Its files may be gone as well: the log still says that it came.
    for (name, _) in files_by_path(&shell.world.vault) {
        if name.contains(&shell.id) {
            std::fs::remove_file(shell.world.vault.join(name)).expect("the folder is ours");
        }
    }
    shell.assert_found(&format!("the log has chunk {}", shell.id));

    std::fs::write(&entry, "{\"chunk\": ").expect("the folder is ours");
    shell.assert_found("is not readable: ");
    std::fs::write(&entry, whole).expect("the folder is ours");
    shell.assert_found("is missing or not readable");
}

#[tokio::test]
async fn a_receipt_that_was_changed_or_exchanged_is_found() {
    let shell = Shell::new().await;
    let (receipt, other) = (shell.receipt(&shell.id), shell.receipt(&shell.other));
    let whole = std::fs::read(&receipt).expect("it is there");
    std::fs::copy(&other, &receipt).expect("the folder is ours");
    shell.assert_found(&format!("is that of {}", shell.other));
    std::fs::write(&receipt, whole).expect("the folder is ours");
    assert_eq!(shell.verify().0, Some(0), "as it was");
    let document = shell.world.ledger_entry(&shell.id);
    let sha256 = document["state"]["receipt"]["media"]["sha256"].as_str();
    edit(&receipt, sha256.expect("it has one"), &"0".repeat(64));
    shell.assert_found("has another `receipt.media.sha256` than its entry");
}

#[tokio::test]
async fn a_log_that_was_rewritten_is_found_by_the_receipts() {
    let shell = Shell::new().await;
    // With as many checkpoints as before, of a world in which other things happened.
    let forger = Shell::new().await;
    for folder in ["audit", "chunks"] {
        std::fs::remove_dir_all(shell.ledger().join(folder)).expect("the folder is ours");
        for (name, content) in files_by_path(&forger.ledger().join(folder)) {
            let path = shell.ledger().join(folder).join(name);
            std::fs::create_dir_all(path.parent().expect("it has one"))
                .expect("the folder is ours");
            std::fs::write(path, content).expect("the folder is ours");
        }
    }
    let sweep = forger.ledger().join("last-sweep.json");
    std::fs::copy(sweep, shell.ledger().join("last-sweep.json")).expect("the folder is ours");
    for (name, content) in files_by_path(&forger.world.vault) {
        let path = shell.world.vault.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
        std::fs::write(path, content).expect("the folder is ours");
    }
    shell.assert_found("name different checkpoints");
}

#[tokio::test]
async fn no_log_beside_entries_is_tampering_and_an_empty_ledger_has_none() {
    let shell = Shell::new().await;
    std::fs::remove_dir_all(shell.ledger().join("audit")).expect("the folder is ours");
    shell.assert_found("there is no audit log beside 2 entries and 2 receipts");

    let empty = World::new().await;
    let output = Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .args(["audit", "verify"])
        .envs(empty.settings())
        .output()
        .expect("the binary runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("nothing was ever stored at"),
        "{complaint}"
    );
}

#[tokio::test]
async fn what_was_done_to_a_recording_is_told_in_sentences_and_by_whom() {
    let shell = Shell::new().await;
    let entry = shell.world.ledger_entry(&shell.id);
    let recording = entry["chunk"]["recordingId"]
        .as_str()
        .expect("it has an id");
    let held = shell.run(&[
        "hold",
        "add",
        "--recording",
        recording,
        "--case",
        "A-1",
        "--by",
        "legal",
    ]);
    assert!(held.status.success(), "{held:?}");
    let shown = |what: &str| {
        let output = shell.run(&["audit", "show", what]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, of_recording) = shown(recording);
    assert_eq!(code, Some(0));
    for part in [
        "the app: ",
        &format!("{} was announced", shell.id),
        &format!("{} was exported and proved", shell.id),
        "was deleted at ACS",
        "was held for the case A-1 (requested by legal)",
        "was held",
        "case A-1",
    ] {
        assert!(of_recording.contains(part), "{part} in {of_recording}");
    }
    assert!(!of_recording.contains(&shell.other), "{of_recording}");
    let (_, of_document) = shown(&shell.id);
    assert_eq!(
        of_document.lines().count(),
        of_recording.lines().count() - 1
    );
    let (_, of_operator) = shown("legal");
    assert_eq!(of_operator.lines().count(), 1, "{of_operator}");
    assert_eq!(shown("nobody").0, Some(2));
}

#[tokio::test]
async fn who_plays_and_downloads_is_in_the_log_once_for_each_of_them() {
    let shell = Shell::new().await;
    let (world, id) = (&shell.world, &shell.id);
    let chunk = format!("{}/api/vault/chunks/{id}", world.host.url());
    let by = ("x-ms-client-principal-name", "ada@contoso.com");
    let get = async |url: &str, range: Option<&str>| {
        let mut request = world.client.get(url).header(by.0, by.1);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = request.send().await.expect("the host answers");
        assert!(response.status().is_success(), "{url}: {response:?}");
    };
    let media = format!("{chunk}/media");
    for range in [Some("bytes=0-99"), Some("bytes=100-199"), None, None] {
        get(&media, range).await;
    }
    get(&format!("{chunk}/metadata"), None).await;
    let ticket = world.client.post(format!("{chunk}/ticket"));
    let ticket = ticket.header(by.0, by.1).send().await;
    let ticket: Value = ticket
        .expect("the host answers")
        .json()
        .await
        .expect("it is JSON");
    let play = ticket["url"].as_str().expect("it has one");
    get(&format!("{}{play}", world.host.url()), None).await;

    let written = async || {
        while audit_records(world, "played", id).len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), written())
        .await
        .expect("records of access are written");
    let by_of = |action: &str| -> Vec<Value> {
        let records = audit_records(world, action, id);
        let details = records.into_iter().map(|record| record["detail"].clone());
        details.collect()
    };
    assert_eq!(
        by_of("played"),
        [
            json!({"through": "api", "claimedBy": by.1}),
            json!({"through": "ticket", "claimedBy": by.1})
        ]
    );
    assert_eq!(
        by_of("downloaded"),
        [
            json!({"through": "api", "claimedBy": by.1}),
            json!({"through": "api", "claimedBy": by.1, "file": "metadata"})
        ]
    );
    let tickets = by_of("ticketIssued");
    assert_eq!(
        (tickets.len(), &tickets[0]["claimedBy"]),
        (1, &json!(by.1)),
        "{tickets:?}"
    );
    assert_eq!(shell.verify().0, Some(0));
}

#[tokio::test]
async fn an_entry_that_was_put_back_to_an_earlier_one_is_found() {
    let shell = Shell::new().await;
    let entry = shell.entry(&shell.id);
    let whole = std::fs::read(&entry).expect("it is there");
    // As it was before the deletion at ACS.
    let mut before: Value = serde_json::from_slice(&whole).expect("it is JSON");
    before["state"]["name"] = "exported".into();
    let audited = before["audited"].as_array_mut().expect("it is a list");
    audited.pop().expect("its deletion was recorded last");
    std::fs::write(&entry, before.to_string()).expect("the folder is ours");
    shell.assert_found("and it has no marker");
    std::fs::write(&entry, &whole).expect("the folder is ours");
    assert_eq!(shell.verify().0, Some(0), "as it was");

    // As it was before an erasure, which leaves the chunk as removed.
    let document = shell.world.ledger_entry(&shell.id);
    let person = document["metadata"]["participants"][0]["id"].as_str();
    let person = person.expect("it has participants").to_owned();
    let erased = shell.run(&["gdpr", "erase", &person, "--reason", "asked for", "--yes"]);
    assert!(erased.status.success(), "{erased:?}");
    assert_eq!(shell.verify().0, Some(0), "an erasure is no tampering");
    std::fs::write(&entry, &whole).expect("the folder is ours");
    shell.assert_found("it was reset to an earlier state");
}

#[tokio::test]
async fn names_and_reasons_are_erased_and_the_log_stays_whole() {
    let shell = Shell::new().await;
    let hold = ["hold", "add", "--recording", "r-1", "--case", "A-1"];
    let adding = shell.run(&[&hold[..], &["--by", "ada@example.com"]].concat());
    assert!(adding.status.success(), "{adding:?}");
    let has = |text: &str, folder: &str| {
        let files = files_by_path(&shell.ledger().join(folder));
        files
            .values()
            .any(|content| String::from_utf8_lossy(content).contains(text))
    };
    assert!(!has("ada@example.com", "audit"), "the chain has no name");
    assert!(has("ada@example.com", "people"));
    let shown = || {
        let output = shell.run(&["audit", "show", "r-1"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(
        shown().contains("requested by ada@example.com"),
        "{}",
        shown()
    );

    let reason = ["--reason", "left the company", "--yes"];
    let erased = shell.run(&[&["gdpr", "erase", "Ada@example.com"][..], &reason].concat());
    assert!(erased.status.success(), "{erased:?}");
    assert!(!has("ada@example.com", "people"));
    assert!(shown().contains("requested by (erased)"), "{}", shown());
    assert_eq!(shell.verify().0, Some(0));
}
