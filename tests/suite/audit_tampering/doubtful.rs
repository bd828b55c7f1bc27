//! Tampering is found, or at least not called well, where something else could not be checked: a wrong clock, a document that
//! cannot be read, a process that ended before it wrote an entry.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::audited_vault::AuditedVault;
use crate::support::world::{document_ids, files_by_path};

/// A log that nothing but its marker announces.
const FORGED: &str = "20250101000000-0123456789abcdef0123456789abcdef";

impl AuditedVault {
    /// The file of a document of the log.
    fn log_document(&self, position: &str) -> PathBuf {
        let (writer, number) = position.split_once('/').expect("it is a position");
        let number: u64 = number.parse().expect("it is a number");
        self.ledger()
            .join(format!("audit/{writer}/{number:012}.json"))
    }

    /// Adds a log with a marker, as that of a process whose clock is a year behind.
    fn forge_log(&self) {
        self.forge_log_of(&[("indexed", "vault")]);
    }

    /// The same, with records of these actions and subjects.
    fn forge_log_of(&self, records: &[(&str, &str)]) {
        let at = "2025-01-01T00:00:00Z";
        let records = records.iter().map(|(action, subject)| {
            json!({"at": at, "actor": "handler", "action": action, "subject": subject})
        });
        let document = json!({
            "writer": FORGED, "sequence": 1, "previous": "0".repeat(64), "at": at,
            "records": records.collect::<Vec<Value>>(),
        });
        let path = self.log_document(&format!("{FORGED}/1"));
        fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
        fs::write(path, document.to_string()).expect("the folder is ours");
        self.forge_marker();
    }

    /// Adds a log whose only document cannot be read.
    fn forge_unreadable_log(&self) {
        let path = self.log_document(&format!("{FORGED}/1"));
        fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
        put_unreadable(&path);
        self.forge_marker();
    }

    fn forge_marker(&self) {
        let marker = self.ledger().join(format!("audit/live/{FORGED}"));
        fs::create_dir_all(marker.parent().expect("it has one")).expect("the folder is ours");
        let began = json!({"began": "2025-01-01T00:00:00Z"}).to_string();
        fs::write(marker, began).expect("the folder is ours");
    }

    /// The document of the only hold.
    fn hold(&self) -> PathBuf {
        let folder = self.ledger().join("holds");
        let name = files_by_path(&folder).into_keys().next();
        folder.join(name.expect("there is a hold"))
    }

    async fn assert_tampering_is_found(&self) {
        let empty = |hold: &mut Value| hold["cases"] = json!([]);
        let found = "was held for the case `A-1`, and no hold says so";
        self.assert_found_in(&self.hold(), "a hold", empty, found)
            .await;
        let rename = |hold: &mut Value| hold["cases"][0]["tag"] = "A-2".into();
        let found = "is held for the case `A-2`, and no record says so";
        self.assert_found_in(&self.hold(), "another case", rename, found)
            .await;
        let entry = self.entry(&self.id);
        let accept = |entry: &mut Value| entry["anomalyAcceptedAt"] = "2026-03-02T10:00:00Z".into();
        let found = "says that its copy was accepted, and no record says so";
        self.assert_found_in(&entry, "a decision", accept, found)
            .await;
        let give_up = |entry: &mut Value| {
            let at = "2026-03-02T10:00:00Z";
            entry["state"] = json!({"name": "deadLettered", "at": at, "reason": "r"});
        };
        let found = "is deadLettered, and no record says so";
        self.assert_found_in(&entry, "a state", give_up, found)
            .await;
    }
}

/// Puts something that is listed like a document, and that no process can read.
fn put_unreadable(path: &Path) {
    // The path of a socket must be short when it is bound.
    let short = tempfile::tempdir().expect("there is room");
    let socket = short.path().join("s");
    UnixListener::bind(&socket).expect("the folder is ours");
    fs::rename(socket, path).expect("it is one file system");
}

async fn held_vault() -> AuditedVault {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let add = [
        "hold",
        "add",
        "--case",
        "A-1",
        "--recording",
        recording.as_str(),
    ];
    vault.succeed(&add).await;
    vault.assert_whole("`hold add`").await;
    vault
}

#[tokio::test]
async fn tampering_is_found_also_where_a_clock_was_wrong() {
    let vault = held_vault().await;
    vault.forge_log();
    vault.assert_not_checked("the clock", FORGED).await;
    vault.assert_tampering_is_found().await;
    // The sweep covers it: its time stays wrong.
    vault.world.sweep().await;
    vault
        .assert_not_checked("the clock", "a clock was wrong")
        .await;
    vault.assert_tampering_is_found().await;
}

#[tokio::test]
async fn tampering_is_found_also_where_a_document_of_another_log_cannot_be_read() {
    let vault = held_vault().await;
    vault.forge_unreadable_log();
    vault.assert_not_checked("the document", FORGED).await;
    vault.assert_tampering_is_found().await;
}

#[tokio::test]
async fn records_in_a_document_that_cannot_be_read_are_not_checked_and_no_problem() {
    let vault = held_vault().await;
    let accepted = vault.run(&["accept", &vault.id]).await;
    assert!(accepted.status.code().is_some(), "{accepted:?}");
    let position = vault.text_of(&vault.id, "/audited/0");
    let of_hold = files_by_path(&vault.ledger().join("audit"))
        .into_iter()
        .find(|(_, content)| String::from_utf8_lossy(content).contains("\"held\""));
    let (of_hold, _) = of_hold.expect("the hold has a record");
    for path in [
        vault.log_document(&position),
        vault.ledger().join("audit").join(of_hold),
    ] {
        let content = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("the folder is ours");
        put_unreadable(&path);
        vault
            .assert_not_checked("a document", "could not be read")
            .await;
        fs::remove_file(&path).expect("the folder is ours");
        fs::write(&path, content).expect("the folder is ours");
    }
    vault.assert_whole("all was put back").await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_stops_neither_show_nor_index() {
    let vault = held_vault().await;
    let shown = async || {
        let output = vault.run(&["audit", "show", &vault.id]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text.lines().count(), complaints)
    };
    let (code, lines, _) = shown().await;
    assert_eq!(code, Some(0));
    vault.forge_unreadable_log();
    let (code, lines_beside, complaints) = shown().await;
    assert_eq!((code, lines_beside), (Some(1), lines), "{complaints}");
    let part = "1 document that the history needs could not be read";
    assert!(complaints.contains(part), "{complaints}");

    let markers = vault.ledger().join("audit-subjects");
    fs::remove_dir_all(&markers).expect("the folder is ours");
    let indexed = vault.run(&["ledger", "index"]).await;
    let said = String::from_utf8_lossy(&indexed.stdout).into_owned();
    assert_eq!(indexed.status.code(), Some(2), "{said}");
    assert!(said.contains("2 recordings and 2 chunks"), "{said}");
    let part = "1 document of the audit log, from ";
    assert!(said.contains(part) && said.contains(FORGED), "{said}");
    assert!(!files_by_path(&markers).is_empty(), "{said}");
}

#[tokio::test]
async fn the_history_of_a_chunk_whose_entry_cannot_be_read_is_not_called_complete() {
    let vault = held_vault().await;
    let id = &vault.id;
    let show = async || vault.run(&["audit", "show", id]).await;
    assert_eq!(show().await.status.code(), Some(0));
    fs::write(vault.entry(id), "{").expect("the folder is ours");
    let shown = show().await;
    let complaints = String::from_utf8_lossy(&shown.stderr);
    assert_eq!(shown.status.code(), Some(1), "{complaints}");
    let part = "could not be read";
    assert!(complaints.contains(part), "{complaints}");
}

#[tokio::test]
async fn an_entry_that_was_put_back_to_before_an_operators_action_is_not_checked() {
    let vault = AuditedVault::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let mut event = vault.world.recording(plan).await;
    let at = "/data/recordingStorageInfo/recordingChunks/0/contentLocation";
    *event.pointer_mut(at).expect("an event has a place") = "https://example.com/a".into();
    vault.world.event(&event).await;
    vault.world.sweep().await;
    let id = document_ids(&event).remove(0);
    assert_eq!(vault.text_of(&id, "/state/name"), "deadLettered");
    let path = vault.entry(&id);
    let before = fs::read(&path).expect("it is there");
    vault
        .succeed(&["acknowledge", &id, "--reason", "a test call"])
        .await;
    vault.assert_whole("`acknowledge`").await;
    fs::write(&path, before).expect("the folder is ours");
    vault
        .assert_not_checked("before `acknowledge`", "that its entry does not list")
        .await;
}

#[tokio::test]
async fn an_entry_that_was_put_back_to_before_another_place_was_announced_is_not_checked() {
    let vault = AuditedVault::with(&[("EVENT_BUDGET", "1s")]).await;
    let call = |length: u32| json!({"call": {"chunks": [{"durationMs": length}]}});
    let event = vault.world.recording(call(1000)).await;
    vault.world.event(&event).await;
    vault.world.sweep().await;
    let id = document_ids(&event).remove(0);
    let path = vault.entry(&id);
    let before = fs::read(&path).expect("it is there");

    let other = vault.world.recording(call(2000)).await;
    let mut moved = event.clone();
    moved["id"] = "7d0c3f3e-3c4b-4f7a-9f0e-000000000004".into();
    for location in ["contentLocation", "metadataLocation"] {
        let at = format!("/data/recordingStorageInfo/recordingChunks/0/{location}");
        let place = moved.pointer_mut(&at).expect("an event has a place");
        *place = other.pointer(&at).expect("an event has a place").clone();
    }
    let faults = json!([{"plane": "media", "kind": "status", "status": 503, "times": 1000}]);
    vault.world.admin("PUT", "faults", faults).await;
    vault.world.event(&moved).await;
    let further = vault.world.ledger_entry(&id)["further"].clone();
    assert_eq!(further.as_array().map(Vec::len), Some(1), "{further}");

    fs::write(&path, before).expect("the folder is ours");
    vault.world.admin("PUT", "faults", json!([])).await;
    vault.world.sweep().await;
    let entry = vault.world.ledger_entry(&id);
    assert!(entry["further"].as_array().is_none_or(Vec::is_empty));
    vault
        .assert_not_checked("before the event", "that its entry does not list")
        .await;
}

#[tokio::test]
async fn a_hold_that_cannot_be_read_hides_no_other_and_is_no_problem() {
    let vault = held_vault().await;
    let person = vault.text_of(&vault.id, "/metadata/participants/0/id");
    let holds: [&[&str]; 3] = [
        &["--call", "a-call"],
        &["--person", &person],
        &["--from", "2020-01", "--to", "2020-12-31"],
    ];
    for hold in holds {
        let add = [&["hold", "add", "--case", "A-1"], hold].concat();
        vault.succeed(&add).await;
    }
    let folder = vault.ledger().join("holds");
    let all = files_by_path(&folder);
    assert_eq!(all.len(), 4);
    for name in all.keys() {
        let path = folder.join(name);
        let before = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("the folder is ours");
        put_unreadable(&path);
        vault
            .assert_not_checked(name, &format!("the hold `holds/{name}` could not be read"))
            .await;
        let other = all.keys().find(|other| *other != name);
        let other = folder.join(other.expect("there are several"));
        let empty = |hold: &mut Value| hold["cases"] = json!([]);
        let found = "was held for the case `A-1`, and no hold says so";
        vault.assert_found_in(&other, name, empty, found).await;
        fs::remove_file(&path).expect("the folder is ours");
        fs::write(&path, before).expect("the folder is ours");
    }
    vault.assert_whole("all was put back").await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_no_other_that_was_removed() {
    let vault = AuditedVault::new().await;
    let [kept, removed, moved, forged] = ["1", "2", "3", "4"].map(|digit| digit.repeat(64));
    let subjects = [&kept, &removed].map(|sha256| format!("poison:{sha256}"));
    vault.forge_log_of(&[("eventKept", &subjects[0]), ("eventKept", &subjects[1])]);
    let path = |folder: &str, sha256: &str| {
        let folder = vault.ledger().join(folder);
        fs::create_dir_all(&folder).expect("the folder is ours");
        folder.join(format!("{sha256}.json"))
    };
    put_unreadable(&path("poison", &kept));
    put_unreadable(&path("dismissed", &moved));
    fs::write(path("dismissed", &forged), "{}").expect("the folder is ours");

    let (_, report) = vault.verify().await;
    let not_checked = report["notChecked"].to_string();
    for sha256 in [&kept, &moved] {
        let part = format!("the event {sha256}, which");
        assert!(not_checked.contains(&part), "{part} in {report}");
    }
    let part = format!("the event {removed} could not be read and was kept");
    vault.assert_found("removed", &part).await;
    let part = format!("the ledger has the event {forged} under `dismissed/`");
    vault.assert_found("dismissed by no record", &part).await;
}

#[tokio::test]
async fn a_marker_that_cannot_be_read_hides_no_problem_of_its_entry() {
    let vault = AuditedVault::with(&[("DELETE_DELAY", "1h")]).await;
    let open = vault.ledger().join("open");
    let markers = files_by_path(&open);
    let marker = markers.keys().find(|marker| marker.contains(&vault.id));
    let marker = open.join(marker.expect("an open entry has a marker"));
    fs::remove_file(&marker).expect("the folder is ours");
    put_unreadable(&marker);
    vault
        .assert_not_checked("the marker", "has its marker")
        .await;
    let accept = |entry: &mut Value| entry["anomalyAcceptedAt"] = "2026-03-02T10:00:00Z".into();
    let found = "says that its copy was accepted, and no record says so";
    vault
        .assert_found_in(&vault.entry(&vault.id), "a decision", accept, found)
        .await;
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_is_not_checked_unless_the_ledger_lacks_its_chunk() {
    let vault = AuditedVault::new().await;
    let receipt = vault.receipt(&vault.id);
    let name = receipt.file_name().and_then(|name| name.to_str());
    let name = name.expect("it has a name");
    let further = name.replace(&vault.id, &format!("{}.3", vault.id));
    put_unreadable(&receipt.with_file_name(further));
    vault
        .assert_not_checked("a further file", "could not be read")
        .await;
    let unknown = name.replace(&vault.id, "0-eus-d1-ffffffffffffffffffffffffffffffff");
    put_unreadable(&receipt.with_file_name(unknown));
    vault
        .assert_found("an unknown chunk", "and the ledger has no entry of it")
        .await;
}

#[tokio::test]
async fn a_document_that_names_the_newest_checkpoint_and_cannot_be_read_is_not_checked() {
    let vault = held_vault().await;
    for name in ["audit/newest-checkpoint.json", "last-sweep.json"] {
        let path = vault.ledger().join(name);
        let before = fs::read(&path).ok();
        fs::write(&path, "{").expect("the folder is ours");
        vault.assert_not_checked("a garbled note", name).await;
        match before {
            Some(before) => fs::write(&path, before).expect("the folder is ours"),
            None => fs::remove_file(&path).expect("the folder is ours"),
        }
    }
    vault.assert_whole("all was put back").await;
}

#[tokio::test]
async fn a_folder_in_the_place_of_a_copy_is_a_missing_copy() {
    let vault = held_vault().await;
    let safe = vault.run(&["status", "--check"]).await;
    for part in [".wav", ".mp4", ".mp3", "-receipt."] {
        let files = files_by_path(&vault.world.vault);
        let Some(name) = files
            .keys()
            .find(|name| name.contains(&vault.id) && name.contains(part))
        else {
            continue;
        };
        let path = vault.world.vault.join(name);
        let content = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("it is there");
        fs::create_dir(&path).expect("the folder is ours");
        let checked = vault.run(&["status", "--check"]).await;
        let said = String::from_utf8_lossy(&checked.stdout);
        assert_ne!(checked.status.code(), Some(0), "{part}: {said}");
        assert!(said.contains("is not in the vault"), "{part}: {said}");
        fs::remove_dir(&path).expect("the folder is ours");
        fs::write(&path, content).expect("the folder is ours");
    }
    let again = vault.run(&["status", "--check"]).await;
    assert_eq!(again.status.code(), safe.status.code());
}
