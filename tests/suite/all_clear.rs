//! The verdict while something cannot be seen: a ledger and a vault that were emptied, a vault that is down behind a backup
//! vault, a copy that cannot come home. No look at them says that all is well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::check::{CheckStart, SliceOutcome};
use recording_vault::catalogue::summary::Summary;
use recording_vault::catalogue::{Catalogue, CatalogueError};
use recording_vault::clock::Clock as _;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{Budget, Vaults};
use recording_vault::recording::{RecordingChunk, RecordingId};
use recording_vault::standing::Standing;
use recording_vault::standing::verdict::{Remains, StorageUse, VerdictCode, VerdictKind};
use recording_vault::store::audit::{Actor, AuditAction, Operator};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::index::{Attention, Index, Listed, recording_name};

use serde_json::{Value, json};

use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::world::{World, document_ids};
use crate::support::{chunk, command, content};

fn catalogue(pipeline: &Pipeline, vaults: Vaults) -> Catalogue {
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let ledger = pipeline.driver.ledger().clone();
    Catalogue::new(ledger, register, vaults, pipeline.clock.clone())
}

async fn summary(pipeline: &Pipeline) -> Summary {
    let vaults = Vaults::new(pipeline.vault.clone(), Some(pipeline.backup.clone()));
    let summary = catalogue(pipeline, vaults).summary().await;
    summary.expect("the ledger works")
}

/// Exports a chunk, with its account.
async fn exported(pipeline: &Pipeline, id: &str) -> RecordingChunk {
    let chunk = chunk(id, 0);
    pipeline.source.put(&chunk.document_id, content(900, 1));
    let announce = |account: &mut RegisteredRecording| {
        let documents = account.files.chunks.entry(chunk.index).or_default();
        documents.insert(chunk.document_id.clone());
    };
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let now = pipeline.clock.now();
    let account = register.change(&chunk.filed_under(), now, announce).await;
    account.expect("the store works");
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    while pipeline.state(&chunk.document_id).await.receipt().is_none() {
        pipeline.clock.advance(Duration::from_mins(1));
        pipeline.drive(&chunk.document_id).await;
    }
    // Its media is no media.
    let ledger = pipeline.driver.ledger();
    let accepted = ledger.accept(&chunk.document_id, &Operator::Shell);
    accepted.await.expect("the ledger works");
    chunk
}

/// Removes all documents of the ledger but those of the audit log.
async fn empty_the_ledger(pipeline: &Pipeline) {
    let keys = pipeline.store.list("", None, 10_000).await;
    for key in keys.expect("the store works") {
        if !key.starts_with("audit") {
            pipeline.store.remove(&key).await.expect("the store works");
        }
    }
}

#[tokio::test]
async fn a_ledger_and_a_vault_that_were_emptied_are_no_vault_that_was_never_used() {
    let pipeline = Pipeline::new();
    let empty = summary(&pipeline).await;
    assert_eq!(empty.verdict.kind, VerdictKind::NoData);
    assert_eq!(empty.storage, StorageUse::Unused);

    exported(&pipeline, "a").await;
    pipeline.clock.advance(Duration::from_mins(6));
    empty_the_ledger(&pipeline).await;
    let with_vault = summary(&pipeline).await.storage;
    assert_eq!(with_vault, StorageUse::LedgerEmpty(Remains::Vault));
    pipeline.vault.lose_everything();
    let emptied = summary(&pipeline).await;
    assert_eq!(emptied.storage, StorageUse::LedgerEmpty(Remains::AuditLog));
    assert_eq!(emptied.verdict.kind, VerdictKind::Attention);
    assert!(emptied.verdict.codes.contains(&VerdictCode::LedgerEmpty));
}

#[tokio::test]
async fn a_log_of_which_not_every_record_was_read_is_not_said_to_know_recordings() {
    let pipeline = Pipeline::new();
    let audit = pipeline.driver.ledger().audit();
    for number in 0..70 {
        let subject = format!("call c-{number}");
        let held = audit.append(Actor::Operator, AuditAction::Held, &subject, Value::Null);
        held.await.expect("the store works");
    }
    let long = summary(&pipeline).await;
    assert_eq!(long.storage, StorageUse::LogNotRead);
    assert_eq!(long.verdict.kind, VerdictKind::Unknown);
    assert!(long.verdict.codes.contains(&VerdictCode::NotDetermined));
    assert!(!long.verdict.codes.contains(&VerdictCode::LedgerEmpty));
}

#[tokio::test]
async fn a_backup_vault_with_files_is_no_sign_of_a_vault_that_was_never_used() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    pipeline.vault.set_unavailable(true);
    exported(&pipeline, "a").await;
    let keys = pipeline.store.list("", None, 10_000).await;
    for key in keys.expect("the store works") {
        pipeline.store.remove(&key).await.expect("the store works");
    }
    pipeline.vault.set_unavailable(false);
    let storage = summary(&pipeline).await.storage;
    assert_eq!(storage, StorageUse::LedgerEmpty(Remains::BackupVault));
}

#[tokio::test]
async fn a_vault_that_is_down_is_named_however_many_copies_are_in_the_backup_vault() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    pipeline.vault.set_unavailable(true);
    for number in 0..17 {
        exported(&pipeline, &format!("a-{number}")).await;
    }
    let down = summary(&pipeline).await;
    assert!(
        matches!(
            &down.storage,
            StorageUse::VaultUnreadable {
                is_ledger_empty: false,
                ..
            }
        ),
        "{:?}",
        down.storage
    );
    assert!(down.verdict.codes.contains(&VerdictCode::VaultUnreadable));
    pipeline.vault.set_unavailable(false);
    assert_eq!(summary(&pipeline).await.storage, StorageUse::Used);
}

#[tokio::test]
async fn a_copy_that_cannot_come_home_after_acs_dropped_its_source_needs_a_person() {
    let pipeline = Pipeline::with_delete_delay(RETENTION * 4);
    pipeline.vault.set_unavailable(true);
    exported(&pipeline, "a").await;
    let standings = |summary: &Summary| summary.verdict.recordings.clone();
    assert!(standings(&summary(&pipeline).await).contains_key(&Standing::BackupOnly));
    pipeline.clock.advance(RETENTION * 3);
    for _ in 0..4 {
        pipeline.sweep().await;
        pipeline.clock.advance(Duration::from_hours(2));
    }
    let late = standings(&summary(&pipeline).await);
    assert_eq!(late.get(&Standing::AtRisk), Some(&1), "{late:?}");
    assert!(!late.contains_key(&Standing::BackupOnly), "{late:?}");
}

#[tokio::test]
async fn the_complete_check_looks_for_copies_in_the_backup_vault() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    pipeline.vault.set_unavailable(true);
    exported(&pipeline, "a").await;
    pipeline.vault.set_unavailable(false);
    let findings = async |vaults: Vaults| {
        pipeline.clock.advance(Duration::from_mins(1));
        let catalogue = catalogue(&pipeline, vaults);
        let asked_at = pipeline.clock.now();
        let budget = Budget::of(Duration::from_hours(1));
        let checked = catalogue.check(CheckStart::Now { asked_at }, budget).await;
        assert_eq!(checked.expect("the store works"), SliceOutcome::Finished);
        let check = catalogue.last_check().await.expect("the store works");
        let findings = check.expect("it has ended").seen.findings.into_iter();
        findings.map(|found| found.problem).collect::<Vec<_>>()
    };
    let both = || Vaults::new(pipeline.vault.clone(), Some(pipeline.backup.clone()));
    assert_eq!(findings(both()).await, Vec::<String>::new());
    let without = findings(Vaults::new(pipeline.vault.clone(), None)).await;
    assert!(
        without[0].contains("BACKUP_VAULT_URL is not set"),
        "{without:?}"
    );
    pipeline.backup.lose_everything();
    let lost = findings(both()).await;
    assert_eq!(lost, ["the copy of chunk a is not in the backup vault"]);
}

#[tokio::test]
async fn a_recording_that_the_audit_log_knows_or_that_may_not_have_been_read_is_not_called_absent()
{
    let pipeline = Pipeline::new();
    let catalogue = catalogue(&pipeline, Vaults::new(pipeline.vault.clone(), None));
    let id: RecordingId = "r-1".parse().expect("it is an id");
    let audit = pipeline.driver.ledger().audit();
    let record = async |action: AuditAction| {
        let appended = audit.append(Actor::Operator, action, "recording r-1", Value::Null);
        appended.await.expect("the store works");
        pipeline.clock.advance(Duration::from_mins(6));
    };
    // A hold may be older than its recording.
    record(AuditAction::Held).await;
    let held = catalogue.find(&id).await;
    assert!(matches!(held, Ok(None)), "{held:?}");
    record(AuditAction::Stopped).await;
    let lost = catalogue.find(&id).await;
    assert!(
        matches!(lost, Err(CatalogueError::AccountMissing { .. })),
        "{lost:?}"
    );

    let now = pipeline.clock.now();
    let failed = Listed::Attention(Attention::Failed);
    let name = |number: u32| {
        let id: RecordingId = format!("other-{number}").parse().expect("it is an id");
        recording_name(&id)
    };
    let markers = (0..500).map(|number| failed.marker(now, &name(number), None));
    let index = Index::new(pipeline.store.clone());
    index.put(markers, now).await.expect("the store works");
    let capped = catalogue.find(&"r-2".parse().expect("it is an id")).await;
    assert!(
        matches!(capped, Err(CatalogueError::NotAllRead)),
        "{capped:?}"
    );
}

async fn in_shell(
    settings: &BTreeMap<String, String>,
    arguments: &[&str],
) -> (Option<i32>, String) {
    let output = command::run(settings, arguments).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), complaint)
}

#[tokio::test]
async fn a_verb_that_writes_refuses_a_ledger_that_is_probably_the_wrong_one() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let file = folder.path().join("event.json");
    std::fs::write(&file, event.to_string()).expect("the folder is ours");
    let file = file.display().to_string();
    world.event(&event).await;
    let nowhere = folder.path().join("nowhere");
    let url = format!("file://{}", nowhere.display());
    let mut settings = world.settings().clone();
    settings.insert("LEDGER_URL".to_owned(), url);
    let verbs = [
        &["hold", "add", "--case", "A-1", "--call", "c"][..],
        &["replay", &file],
        &["import", &file, "--document", "0-eus-d1-a"],
    ];
    for verb in verbs {
        let (code, complaint) = in_shell(&settings, verb).await;
        assert_eq!(code, Some(1), "{verb:?}");
        assert!(complaint.contains("there is no ledger here"), "{complaint}");
        assert!(complaint.contains("add --yes"), "{complaint}");
    }
    assert!(!nowhere.exists(), "nothing was written");

    // What was never used may be begun.
    for (number, verb) in verbs.into_iter().enumerate() {
        let unused = format!("file://{}", folder.path().display());
        settings.insert("LEDGER_URL".to_owned(), format!("{unused}/ledger-{number}"));
        settings.insert("VAULT_URL".to_owned(), format!("{unused}/vault-{number}"));
        let (code, complaint) = in_shell(&settings, verb).await;
        let says_so = complaint.contains("This ledger had no recording before");
        assert!(says_so, "{verb:?}: {complaint}");
        // The chunk of the import is not known.
        assert_eq!(
            code == Some(0),
            verb[0] != "import",
            "{verb:?}: {complaint}"
        );
    }
}

/// Copies the documents of an audit log into another folder, as if they were old.
fn copy_audit_log(from: &Path, to: &Path) {
    let audit = "audit";
    std::fs::create_dir_all(to.join(audit)).expect("the folder is ours");
    for (name, content) in crate::support::world::files_by_path(&from.join(audit)) {
        let content = String::from_utf8_lossy(&content).into_owned();
        let now = jiff::Timestamp::now().to_string();
        let content = content.replace(&now[..10], "2020-01-01");
        let to = to.join(audit).join(name);
        std::fs::create_dir_all(to.parent().expect("it has one")).expect("the folder is ours");
        std::fs::write(to, content).expect("the folder is ours");
    }
}

#[tokio::test]
async fn every_ledger_that_is_empty_beside_remains_can_be_written_with_yes() {
    let world = World::new().await;
    let event = world
        .recording(json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let place = |name: &str| format!("file://{}", folder.path().join(name).display());
    let file = folder.path().join("event.json");
    std::fs::write(&file, event.to_string()).expect("the folder is ours");
    let file = file.display().to_string();
    let ledger = world.vault.with_file_name("vault-ledger");
    let vault = format!("file://{}", world.vault.display());
    let no_folder = format!("file://{file}");
    let states: [(&str, String, Option<String>); 4] = [
        ("vault", vault.clone(), None),
        ("backup", place("no-vault"), Some(vault)),
        ("log", place("no-vault"), None),
        ("unreadable", no_folder, None),
    ];
    for (state, vault, backup) in states {
        let verbs = [
            &["hold", "add", "--case", "A-1", "--call", "c"][..],
            &["replay", &file],
            &["ledger", "rebuild"],
        ];
        for verb in verbs {
            let name = format!("{state}-{}", verb[0]);
            let mut settings = world.settings().clone();
            settings.insert("LEDGER_URL".to_owned(), place(&name));
            settings.insert("VAULT_URL".to_owned(), vault.clone());
            if let Some(backup) = &backup {
                settings.insert("BACKUP_VAULT_URL".to_owned(), backup.clone());
            }
            if state == "log" {
                copy_audit_log(&ledger, &folder.path().join(&name));
            }
            let is_free = (state, verb[0]) == ("vault", "ledger");
            if !is_free {
                let (code, complaint) = in_shell(&settings, verb).await;
                assert_eq!(code, Some(1), "{name}: {complaint}");
                assert!(complaint.contains("add --yes"), "{name}: {complaint}");
            }
            let (code, complaint) = in_shell(&settings, &[verb, &["--yes"]].concat()).await;
            let expected = match name.as_str() {
                // Receipts of the vault at home were moved into the other: they do not name copies there.
                "backup-ledger" => 2,
                // What cannot be listed may have receipts.
                "unreadable-ledger" => 1,
                _ => 0,
            };
            assert_eq!(code, Some(expected), "{name}: {complaint}");
            assert!(!complaint.contains("add --yes"), "{name}: {complaint}");
            if name == "vault-ledger" {
                for id in document_ids(&event) {
                    let entry = folder.path().join(&name).join(format!("chunks/{id}.json"));
                    assert!(entry.exists(), "{id} is rebuilt");
                }
            }
        }
    }
}

/// The only account, and the id of its recording.
async fn account(world: &World) -> (PathBuf, String) {
    let (_, listed) = world.api("GET", "/vault/recordings", None).await;
    let id = listed["recordings"][0]["recordingId"].as_str();
    let id = id.expect("there is one").to_owned();
    let folder = world.vault.with_file_name("vault-ledger/recordings");
    let accounts = std::fs::read_dir(folder).expect("there are accounts");
    let mut accounts = accounts.flatten().map(|account| account.path());
    (accounts.next().expect("there is one"), id)
}

#[tokio::test]
async fn a_recording_whose_account_is_lost_is_not_called_unknown_to_all() {
    let world = World::new().await;
    let started = world.admin("POST", "calls", json!({})).await;
    let call = json!({"serverCallId": started["serverCallId"]});
    let (status, started) = world.api("POST", "/recordings", Some(call)).await;
    assert_eq!(status, 200, "{started}");
    let (account, id) = account(&world).await;
    let path = format!("/vault/recordings/{id}");
    let (status, _) = world
        .api("POST", &format!("/recordings/{id}/stop"), None)
        .await;
    assert_eq!(status, 200);
    let content = std::fs::read(&account).expect("it is there");

    // A register that cannot be read does not know that there was no such recording.
    std::fs::write(&account, "no JSON").expect("the folder is ours");
    let (status, answer) = world.api("GET", &format!("/recordings/{id}"), None).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (409, &json!("Unreadable"))
    );
    let (status, _) = world.api("GET", "/recordings/of-no-call", None).await;
    assert_eq!(status, 404);
    std::fs::write(&account, content).expect("the folder is ours");
    assert_eq!(world.api("GET", &path, None).await.0, 200);
}

#[tokio::test]
async fn a_start_whose_outcome_stayed_unknown_is_in_the_verdict_for_two_days() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    exported(&pipeline, "a").await;
    let seconds = pipeline.clock.now().as_second();
    let call = recording_name(&"c".parse().expect("it is an id"));
    let marker = format!("starts-given-up/{seconds:011}-{call}");
    let put = pipeline
        .store
        .put(&marker, Bytes::new(), Precondition::Absent);
    put.await.expect("the store works");
    let is_unknown = async || {
        let codes = summary(&pipeline).await.verdict.codes;
        codes.contains(&VerdictCode::StartUnknown)
    };
    assert!(is_unknown().await);
    let catalogue = catalogue(&pipeline, Vaults::new(pipeline.vault.clone(), None));
    let context = catalogue.day_context().await.expect("the store works");
    // Only of the day of the start and the next is anything unknown.
    let sent = pipeline
        .clock
        .now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    for (after, is_named) in [(-1, false), (0, true), (1, true), (2, false)] {
        let day = sent.saturating_add(jiff::Span::new().days(after));
        assert_eq!(
            context.unknown_starts_of(day).is_some(),
            is_named,
            "{after}"
        );
    }
    let any_day = context
        .not_read()
        .any(|text| text.contains("ACS did not answer"));
    assert!(!any_day);
    pipeline.clock.advance(Duration::from_hours(47));
    assert!(is_unknown().await);
    pipeline.clock.advance(Duration::from_hours(2));
    assert!(!is_unknown().await);
}
