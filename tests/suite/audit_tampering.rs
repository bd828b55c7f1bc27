//! Tampering with entries, receipts, holds, accounts and markers that `audit verify` and `audit show` find.

mod disguised;
mod doubtful;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::audited_vault::{AuditedVault, edit};
use crate::support::two_places::two_places;
use crate::support::world::{World, document_ids, files_by_path};

#[tokio::test]
async fn an_entry_that_was_reset_is_found_whatever_its_list_of_records_says() {
    let vault = AuditedVault::new().await;
    let path = vault.entry(&vault.id);
    let whole = fs::read(&path).expect("it is there");
    let before: Value = serde_json::from_slice(&whole).expect("it is JSON");
    let person = vault.text_of(&vault.id, "/metadata/participants/0/id");
    let erase = ["gdpr", "erase", &person, "--reason", "asked for", "--yes"];
    vault.succeed(&erase).await;
    vault.assert_whole("an erasure").await;
    let erased: Value =
        serde_json::from_slice(&fs::read(&path).expect("it is there")).expect("it is JSON");
    for list in [erased["audited"].clone(), json!([])] {
        let reset = |entry: &mut Value| {
            *entry = before.clone();
            entry["audited"] = list.clone();
        };
        let found = "the log has later states of it";
        vault.assert_found_in(&path, "a reset", reset, found).await;
    }
    let emptied = |entry: &mut Value| entry["audited"] = json!([]);
    let found = "lists no record of the audit log";
    vault
        .assert_found_in(&path, "an emptied list", emptied, found)
        .await;
    let foreign = |entry: &mut Value| {
        let position = format!("20260302100000-{}/7", "a".repeat(32));
        entry["audited"] = json!([position]);
    };
    let found = "which is missing or has no record of it";
    vault
        .assert_found_in(&path, "a foreign position", foreign, found)
        .await;
    edit(&path, |entry| {
        let list = entry["audited"].as_array_mut().expect("it is a list");
        list.remove(1);
    });
    vault
        .assert_not_checked(
            "a position that was removed",
            "that its entry does not list",
        )
        .await;
}

#[tokio::test]
async fn an_entry_that_lost_one_later_state_is_found_by_its_list() {
    let vault = AuditedVault::with(&[("DELETE_DELAY", "1h")]).await;
    let path = vault.entry(&vault.id);
    let exported = vault.world.ledger_entry(&vault.id);
    let now = [("DELETE_DELAY", "0s")];
    vault.run_with(&now, &["delete-source", "--yes"]).await;
    assert_eq!(vault.text_of(&vault.id, "/state/name"), "sourceDeleted");
    // As it was, with the marker of an open entry.
    let openings = exported["openings"].as_u64().expect("it was opened");
    let marker = format!("open/09999999999-{}-{openings}", vault.id);
    fs::create_dir_all(vault.ledger().join("open")).expect("the folder is ours");
    fs::write(vault.ledger().join(marker), "").expect("the folder is ours");
    let listed = vault.world.ledger_entry(&vault.id)["audited"].clone();
    let reset = |entry: &mut Value| {
        *entry = exported.clone();
        entry["audited"] = listed;
    };
    let found = "the log has later states of it";
    vault.assert_found_in(&path, "a reset", reset, found).await;
}

#[tokio::test]
async fn what_an_operator_decided_needs_its_record() {
    let vault = AuditedVault::new().await;
    let path = vault.entry(&vault.id);
    let said = json!({"at": "2026-03-02T10:00:00Z", "by": null, "reason": "r"});
    for (member, value) in [
        ("anomalyAcceptedAt", json!("2026-03-02T10:00:00Z")),
        ("acceptedPlace", json!(1)),
        ("acknowledged", said),
    ] {
        let forge = |entry: &mut Value| entry[member] = value;
        let found = "and no record says so";
        vault.assert_found_in(&path, member, forge, found).await;
    }
    vault.assert_whole("the edits").await;
}

#[tokio::test]
async fn ids_that_were_changed_or_exchanged_between_entries_are_found() {
    let vault = AuditedVault::new().await;
    let (one, other) = (vault.entry(&vault.id), vault.entry(&vault.other));
    for member in ["recordingId", "callId", "serverCallId"] {
        let of = |id: &str| vault.world.ledger_entry(id)["chunk"][member].clone();
        let (mine, theirs) = (of(&vault.id), of(&vault.other));
        if mine == theirs {
            continue;
        }
        let exchange = [
            (&one, &vault.id, &mine, &theirs),
            (&other, &vault.other, &theirs, &mine),
        ];
        for (entry, id, old, new) in exchange {
            edit(entry, |entry| entry["chunk"][member] = new.clone());
            edit(&vault.receipt(id), |receipt| {
                receipt["chunk"][member] = new.clone();
            });
            let found = format!("has another {member} than the record of its announcement");
            vault.assert_found("entry and receipt", &found).await;
            edit(&vault.receipt(id), |receipt| {
                receipt["chunk"][member] = old.clone();
            });
            let found = format!("has another `chunk.{member}` than its entry");
            vault.assert_found("the entry alone", &found).await;
        }
        for (entry, _, old, _) in exchange {
            edit(entry, |entry| entry["chunk"][member] = old.clone());
        }
    }
    vault.assert_whole("all was put back").await;
    for (member, value) in [("index", json!(7)), ("recordingId", Value::Null)] {
        let change = |entry: &mut Value| entry["chunk"][member] = value;
        let found = format!("has another {member} than the record of its announcement");
        vault.assert_found_in(&one, member, change, &found).await;
    }
}

#[tokio::test]
async fn each_member_of_a_receipt_that_was_changed_alone_is_found() {
    let vault = AuditedVault::new().await;
    let path = vault.receipt(&vault.id);
    let import = json!({"at": "2026-03-02T10:00:00Z", "from": "a.wav"});
    for (pointer, value) in [
        ("/chunk/index", json!(7)),
        ("/chunk/startedAt", json!("2020-01-01T00:00:00Z")),
        ("/chunk/eventId", json!("another")),
        ("/chunk/durationMs", json!(1)),
        ("/chunk/locations/delete", json!("https://example.com")),
        ("/chunk/other", json!({"data.added": 1})),
        ("/receipt/anomaly", json!("it is a web page")),
        ("/receipt/imported", import),
        ("/receipt/examination", Value::Null),
        ("/receipt/media/sizeBytes", json!(1)),
        ("/recordedAt", json!("2020-01-01T00:00:00Z")),
    ] {
        let change = |receipt: &mut Value| {
            let (parent, member) = pointer.rsplit_once('/').expect("it is a pointer");
            let parent = receipt.pointer_mut(parent).expect("it has it");
            parent[member] = value;
        };
        let found = "than its entry";
        vault.assert_found_in(&path, pointer, change, found).await;
    }
    let forge = |receipt: &mut Value| {
        receipt["auditCheckpoint"] = json!({"number": 1, "sha256": "0".repeat(64)});
    };
    let found = "checkpoint 1 is not the one";
    vault
        .assert_found_in(&path, "the checkpoint", forge, found)
        .await;
    vault.assert_whole("all was put back").await;
}

#[tokio::test]
async fn a_further_file_that_was_removed_with_its_receipt_is_found() {
    let world = World::new().await;
    let (_, id) = two_places(&world).await;
    let vault = AuditedVault::of(world, &id);
    vault.assert_whole("a second place").await;
    for file in files_by_path(&vault.world.vault).into_keys() {
        if file.contains(&format!("{id}.2.")) {
            fs::remove_file(vault.world.vault.join(file)).expect("the folder is ours");
        }
    }
    vault
        .assert_found("the files", "is missing or not readable")
        .await;
    edit(&vault.entry(&id), |entry| entry["further"] = json!([]));
    vault
        .assert_found("the files and what the entry says", "another file of chunk")
        .await;
}

#[tokio::test]
async fn a_hold_that_was_removed_emptied_or_redirected_is_found() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let person = vault.text_of(&vault.id, "/metadata/participants/0/id");
    let holds: &[&[&str]] = &[
        &["--recording", &recording],
        &["--person", &person],
        &["--from", "2020-01", "--to", "2030-12-31"],
    ];
    for hold in holds {
        let add = [&["hold", "add", "--case", "A-1"], *hold].concat();
        vault.succeed(&add).await;
        vault.assert_whole("`hold add`").await;
        let folder = vault.ledger().join("holds");
        let documents = files_by_path(&folder);
        let name = documents.iter().find(|(_, content)| {
            let text = String::from_utf8_lossy(content);
            !text.contains("\"cases\":[]")
        });
        let path = folder.join(name.expect("there is a hold in force").0);
        let empty = |hold: &mut Value| hold["cases"] = json!([]);
        let found = "was held for the case `A-1`, and no hold says so";
        vault.assert_found_in(&path, "emptied", empty, found).await;
        let released = |hold: &mut Value| {
            hold["cases"] = json!([]);
            hold["released"] = json!(["A-1"]);
        };
        vault
            .assert_found_in(&path, "released", released, found)
            .await;
        let rename = |hold: &mut Value| hold["cases"][0]["tag"] = "A-2".into();
        vault.assert_found_in(&path, "renamed", rename, found).await;
        let before = fs::read(&path).expect("it is there");
        fs::write(&path, "{").expect("the folder is ours");
        vault.assert_found("garbage", "is not readable").await;
        fs::remove_file(&path).expect("the folder is ours");
        vault.assert_found("removed", found).await;
        fs::write(&path, before).expect("the folder is ours");
        let release = [&["hold", "release", "--case", "A-1"], *hold].concat();
        vault.succeed(&release).await;
        vault.assert_whole("`hold release`").await;
        fs::remove_file(&path).expect("the folder is ours");
        vault.assert_whole("the removal of a released hold").await;
    }
    // A person's hold that no longer matches the person.
    vault
        .succeed(&["hold", "add", "--case", "A-2", "--person", &person])
        .await;
    let standing = vault.ledger().join("holds/standing");
    let name = files_by_path(&standing).into_keys().next();
    let path = standing.join(name.expect("there is a hold"));
    let redirect = |hold: &mut Value| {
        hold["held"]["matching"]["person"]["name"] = "0".repeat(64).into();
    };
    vault
        .assert_found_in(
            &path,
            "redirected",
            redirect,
            "is not readable: it is the document of `holds/standing/",
        )
        .await;
}

#[tokio::test]
async fn an_account_that_was_removed_or_changed_is_found() {
    let vault = AuditedVault::new().await;
    let start = async || {
        let call = vault.world.admin("POST", "calls", json!({})).await["serverCallId"].clone();
        let body = json!({"serverCallId": call});
        let (status, started) = vault.world.api("POST", "/recordings", Some(body)).await;
        assert_eq!(status, 200, "{started}");
        started["recordingId"]
            .as_str()
            .expect("it has an id")
            .to_owned()
    };
    let id = start().await;
    vault.assert_whole("a start").await;
    let folder = vault.ledger().join("recordings");
    let documents = files_by_path(&folder);
    let of_id = documents.iter().find(|(_, content)| {
        let account: Value = serde_json::from_slice(content).expect("an account is JSON");
        account["recordingId"] == id.as_str()
    });
    let path = folder.join(of_id.expect("it has an account").0);
    let before = fs::read(&path).expect("it is there");
    fs::remove_file(&path).expect("the folder is ours");
    vault
        .assert_found(
            "removed",
            "was started, and the register has no account of it",
        )
        .await;
    fs::write(&path, &before).expect("the folder is ours");
    let erased = json!({"at": "2026-03-02T10:00:00Z", "reason": "r"});
    let erase = |account: &mut Value| account["erased"] = erased;
    vault
        .assert_found_in(
            &path,
            "erased",
            erase,
            "says that it was erased, and no record says so",
        )
        .await;
    let redirect = |account: &mut Value| account["recordingId"] = "another".into();
    vault
        .assert_found_in(
            &path,
            "another's",
            redirect,
            "is not readable: it is the document of",
        )
        .await;
    let stop = format!("/recordings/{id}/stop");
    let (status, stopped) = vault.world.api("POST", &stop, None).await;
    assert!(status < 300, "{stopped}");
    vault.assert_whole("a stop").await;
    fs::write(&path, &before).expect("the folder is ours");
    vault
        .assert_not_checked("running again", "says that it runs")
        .await;
}

#[tokio::test]
async fn a_receipt_that_no_entry_claims_is_found_in_both_vaults() {
    let folder = tempfile::tempdir().expect("there is room");
    let backup = folder.path().join("backup");
    let mut vault = AuditedVault::new().await;
    let url = |path: &Path| format!("file://{}", path.display());
    let settings = [
        ("BACKUP_VAULT_URL", url(&backup)),
        ("LEDGER_URL", url(&vault.ledger())),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    vault.more_settings.extend(settings);
    vault.assert_whole("two exports").await;
    // A copy of which only its receipt is left, and an entry that says nothing about it.
    let receipt = vault.receipt(&vault.id);
    let content = fs::read_to_string(&receipt).expect("it is there");
    let name = receipt
        .strip_prefix(&vault.world.vault)
        .expect("it is below");
    let forged = content.replace(&vault.id, "0-eus-d1-ffffffffffffffffffffffffffffffff");
    let at = backup.join(
        name.display()
            .to_string()
            .replace(&vault.id, "0-eus-d1-ffffffffffffffffffffffffffffffff"),
    );
    fs::create_dir_all(at.parent().expect("it has one")).expect("the folder is ours");
    fs::write(&at, forged).expect("the folder is ours");
    vault
        .assert_found(
            "a stray in the backup vault",
            "the backup vault has a receipt of chunk",
        )
        .await;
    fs::remove_file(&at).expect("the folder is ours");
    // Of a known chunk, with a proof that was never recorded, and a checkpoint that never was.
    let second = receipt.with_file_name(
        receipt
            .file_name()
            .and_then(|name| name.to_str())
            .expect("it has a name")
            .replace(
                &format!("{}.json", vault.id),
                &format!("{}.3.json", vault.id),
            ),
    );
    fs::write(&second, &content).expect("the folder is ours");
    edit(&second, |receipt| {
        receipt["receipt"]["media"]["sha256"] = "0".repeat(64).into();
        receipt["auditCheckpoint"] = json!({"number": 99, "sha256": "0".repeat(64)});
    });
    vault
        .assert_found("a receipt more", "which its entry does not claim")
        .await;
    vault
        .assert_found("its checkpoint", "checkpoint 99 is missing, and")
        .await;
}

#[tokio::test]
async fn a_marker_of_a_record_that_was_removed_is_found_and_written_again() {
    let vault = AuditedVault::new().await;
    vault.succeed(&["verify", &vault.id]).await;
    vault.assert_whole("`verify`").await;
    let folder = vault.ledger().join("audit-subjects");
    let names: Vec<String> = files_by_path(&folder).into_keys().collect();
    assert!(!names.is_empty(), "its record has a marker");
    for name in &names {
        fs::remove_file(folder.join(name)).expect("the folder is ours");
    }
    vault
        .assert_found("the markers", "under `audit-subjects/`")
        .await;
    vault.succeed(&["ledger", "index"]).await;
    vault.assert_whole("`ledger index`").await;
}

#[tokio::test]
async fn a_document_of_the_log_that_is_not_readable_is_counted_by_show_and_on_the_page() {
    let vault = AuditedVault::new().await;
    vault.succeed(&["verify", &vault.id]).await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let shown = async || {
        let output = vault.run(&["audit", "show", &vault.id]).await;
        let texts = [&output.stdout, &output.stderr];
        let texts: Vec<_> = texts
            .iter()
            .map(|text| String::from_utf8_lossy(text))
            .collect();
        (output.status.code(), texts.concat())
    };
    assert_eq!(shown().await.0, Some(0));
    let first = vault.text_of(&vault.id, "/audited/0");
    let (writer, number) = first.split_once('/').expect("it is a position");
    let number: u64 = number.parse().expect("it is a number");
    let path = vault
        .ledger()
        .join(format!("audit/{writer}/{number:012}.json"));
    let whole = fs::read(&path).expect("it is there");
    let happenings = async || {
        let url = format!("/vault/recordings/{recording}");
        vault.world.api("GET", &url, None).await.1.to_string()
    };
    let part = "1 document of the audit log about this recording is missing or not readable";
    assert!(!happenings().await.contains("not readable"));
    for content in [None, Some("{")] {
        match content {
            None => fs::remove_file(&path).expect("the folder is ours"),
            Some(content) => fs::write(&path, content).expect("the folder is ours"),
        }
        let (code, text) = shown().await;
        assert!(
            code == Some(1) && text.contains("1 document that the history needs could not be read"),
            "{content:?}: {code:?} {text}"
        );
        let page = happenings().await;
        assert!(page.contains(part), "{content:?}: {page}");
    }
    fs::write(&path, whole).expect("the folder is ours");
    assert_eq!(shown().await.0, Some(0));
}

/// The names of all logs.
fn logs(vault: &AuditedVault) -> BTreeSet<String> {
    let documents = files_by_path(&vault.ledger().join("audit")).into_keys();
    let of_logs = documents.filter(|path| path.starts_with('2'));
    of_logs
        .filter_map(|path| Some(path.split_once('/')?.0.to_owned()))
        .collect()
}

/// Removes the logs that are not among these. `audit show` misses them, by the id of the chunk and by that of its recording.
async fn assert_shown_as_gone(vault: &AuditedVault, before: &BTreeSet<String>) {
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    let shown = async |what: &str| vault.run(&["audit", "show", what]).await.status.code();
    let added: Vec<String> = logs(vault).difference(before).cloned().collect();
    assert!(!added.is_empty(), "the verb has a log");
    for what in [vault.id.as_str(), &recording] {
        assert_eq!(shown(what).await, Some(0), "{what}");
    }
    for log in added {
        fs::remove_dir_all(vault.ledger().join("audit").join(log)).expect("the folder is ours");
    }
    for what in [vault.id.as_str(), &recording] {
        assert_eq!(shown(what).await, Some(1), "{what}");
    }
}

#[tokio::test]
async fn a_log_that_is_gone_and_a_cut_end_are_counted_by_show() {
    let vault = AuditedVault::new().await;
    let before = logs(&vault);
    vault.succeed(&["verify", &vault.id]).await;
    vault.world.sweep().await;
    assert_shown_as_gone(&vault, &before).await;
}

#[tokio::test]
async fn a_log_that_only_an_entry_names_is_missed_by_the_id_of_the_recording_too() {
    let vault = AuditedVault::with(&[("DELETE_DELAY", "1h")]).await;
    let before = logs(&vault);
    let now = [("DELETE_DELAY", "0s")];
    vault.run_with(&now, &["delete-source", "--yes"]).await;
    assert_eq!(vault.text_of(&vault.id, "/state/name"), "sourceDeleted");
    assert_shown_as_gone(&vault, &before).await;
}

#[tokio::test]
async fn a_recording_of_which_no_record_is_left_is_missed_by_its_id() {
    let vault = AuditedVault::new().await;
    let recording = vault.text_of(&vault.id, "/chunk/recordingId");
    fs::remove_dir_all(vault.ledger().join("audit")).expect("the folder is ours");
    for what in [vault.id.as_str(), &recording] {
        let shown = vault.run(&["audit", "show", what]).await;
        let said = String::from_utf8_lossy(&shown.stderr).into_owned();
        assert!(said.contains("could not be read"), "{what}: {said}");
        assert_eq!(shown.status.code(), Some(1), "{what}: {said}");
    }
}

#[tokio::test]
async fn a_log_that_is_gone_as_a_whole_is_not_safe_after_any_sweep() {
    let vault = AuditedVault::new().await;
    let status = vault.run(&["status", "--check"]).await;
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    fs::remove_dir_all(vault.ledger().join("audit")).expect("the folder is ours");
    for is_restarted in [false, true, true] {
        if is_restarted {
            vault.world.host.kill_handler().await;
            vault
                .world
                .host
                .ready()
                .await
                .expect("the handler starts again");
        }
        vault.world.sweep().await;
        let status = vault.run(&["status", "--check"]).await;
        let printed = String::from_utf8_lossy(&status.stdout).into_owned();
        assert_eq!(status.status.code(), Some(2), "{printed}");
        assert!(
            printed.contains("is missing: checkpoints were removed"),
            "{printed}"
        );
        let problem = "was missing when a sweep looked for it";
        vault.assert_found("the whole log", problem).await;
    }
}

#[tokio::test]
async fn the_reason_and_the_operator_of_an_acknowledgement_are_compared_with_the_log() {
    let world = World::new().await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let mut event = world.recording(plan).await;
    let chunk = &mut event["data"]["recordingStorageInfo"]["recordingChunks"][0];
    chunk["contentLocation"] = "https://evil.example/v1/objects/x".into();
    world.event(&event).await;
    let id = document_ids(&event)[0].clone();
    let vault = AuditedVault::of(world, &id);
    let reason = "a test call";
    vault
        .succeed(&["acknowledge", &id, "--reason", reason])
        .await;
    vault.assert_whole("`acknowledge`").await;
    let shown = vault.run(&["audit", "show", &id]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(reason), "{shown}");
    let entry = vault.entry(&id);
    let change = |entry: &mut Value| entry["acknowledged"]["reason"] = "another".into();
    let found = "has another reason of its acknowledgement than the log";
    vault.assert_found_in(&entry, "reason", change, found).await;
    let change = |entry: &mut Value| entry["acknowledged"]["by"] = "eve".into();
    let found = "has another operator of its acknowledgement than the log";
    vault
        .assert_found_in(&entry, "operator", change, found)
        .await;
}

#[tokio::test]
async fn every_spelling_of_an_id_shows_the_same_history() {
    let vault = AuditedVault::new().await;
    for kind in ["--recording", "--call"] {
        let hold = ["--case", "A-1", kind];
        let add = ["hold", "add"];
        vault
            .succeed(&[&add[..], &hold, &["a+b/cd=="]].concat())
            .await;
        let release = ["hold", "release"];
        vault
            .succeed(&[&release[..], &hold, &["a-b_cd"]].concat())
            .await;
    }
    for spelling in ["a+b/cd==", "a-b_cd==", "a+b/cd", "a-b_cd"] {
        let output = vault.run(&["audit", "show", spelling]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.lines().count(), 4, "{spelling}: {text}");
    }
    vault.assert_whole("holds in several spellings").await;
}

#[tokio::test]
async fn an_announced_chunk_that_waits_for_its_entry_is_not_checked_while_it_has_a_marker() {
    let vault = AuditedVault::with(&[("EVENT_BUDGET", "1s")]).await;
    let faults = json!([{"plane": "media", "kind": "status", "status": 503, "times": 1000}]);
    vault.world.admin("PUT", "faults", faults).await;
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = vault.world.recording(plan).await;
    vault.world.event(&event).await;
    let id = document_ids(&event).remove(0);
    assert_eq!(vault.text_of(&id, "/state/name"), "pending");
    // As after a kill between the marker and the entry.
    fs::remove_file(vault.entry(&id)).expect("the folder is ours");
    let part = format!("chunk {id}: it was announced and has a marker, but no entry");
    vault
        .assert_not_checked("a kill before the entry", &part)
        .await;

    for name in files_by_path(&vault.ledger().join("open")).into_keys() {
        if name.contains(&id) {
            fs::remove_file(vault.ledger().join("open").join(name)).expect("the folder is ours");
        }
    }
    let part = format!("the log has chunk {id}, and the ledger has no entry of it");
    vault.assert_found("an entry that was removed", &part).await;
}

#[tokio::test]
async fn an_event_that_could_not_be_read_and_is_gone_or_moved_is_found() {
    let vault = AuditedVault::new().await;
    let event =
        json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": {}});
    vault.world.event(&event).await;
    vault.assert_whole("an event that could not be read").await;
    let folder = vault.ledger().join("poison");
    let name = files_by_path(&folder).into_keys().next();
    let path = folder.join(name.expect("it is kept"));
    let kept = fs::read(&path).expect("it is there");
    fs::remove_file(&path).expect("the folder is ours");
    vault.assert_not_checked("removed", "and it is gone").await;
    let dismissed = vault.ledger().join("dismissed");
    fs::create_dir_all(&dismissed).expect("the folder is ours");
    let moved = dismissed.join(path.file_name().expect("it is a file"));
    fs::write(&moved, &kept).expect("the folder is ours");
    vault
        .assert_found("moved", "no record says that it was dismissed")
        .await;
    fs::remove_file(moved).expect("the folder is ours");
    fs::write(&path, kept).expect("the folder is ours");
    let name = path.file_stem().expect("it is a file").to_string_lossy();
    let event = format!("poison:{name}");
    vault
        .succeed(&["dismiss", &event, "--reason", "a test event"])
        .await;
    vault.assert_whole("`dismiss`").await;
    // One of which only the log is left.
    let other = json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": {"other": 1}});
    vault.world.event(&other).await;
    let name = files_by_path(&folder).into_keys().next();
    let path = folder.join(name.expect("it is kept"));
    fs::remove_file(&path).expect("the folder is ours");
    let name = path.file_stem().expect("it is a file").to_string_lossy();
    let event = format!("poison:{name}");
    vault
        .succeed(&["dismiss", &event, "--reason", "it was removed by mistake"])
        .await;
    vault.assert_whole("`dismiss` of what the log has").await;
}
