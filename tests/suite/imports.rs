//! Imports by hand: proved like an export, and never a reason to delete anything at ACS.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use acs_simulator::media::Media;
use futures::StreamExt as _;
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::Clock;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkState, ExportDriver, ExportSweep, Vaults};
use recording_vault::operator_actions::import::{
    ImportOutcome, ImportRequest, ImportSubject, Importing, NewRecording,
};
use recording_vault::operator_actions::{Operator, OperatorActions};
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::standing::{Standing, of_chunk};
use recording_vault::store::audit::FoundDocument;
use serde_json::Value;

use crate::holds::FAULTS;
use crate::support::chunk;
use crate::support::fake_source::Fault as SourceFault;
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::simulation::{Durable, Plan, budget, deliver, media_of};
use crate::support::world::{World, document_ids, files};

/// A file that somebody downloaded.
pub(crate) struct Downloaded {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
}

pub(crate) fn downloaded(seed: u64) -> Downloaded {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("portal.wav");
    let bytes = crate::support::content(10_000, seed);
    std::fs::write(&path, &bytes).expect("there is room");
    Downloaded {
        _folder: folder,
        path,
        bytes,
    }
}

pub(crate) fn of_document(id: &DocumentId, file: &Downloaded) -> ImportRequest {
    ImportRequest {
        subject: ImportSubject::Document(id.clone()),
        media: file.path.clone().into(),
        metadata: None,
        from: "portal.wav".to_owned(),
    }
}

pub(crate) fn actions(
    driver: &ExportDriver,
    register: RecordingRegister,
    clock: &Arc<dyn Clock>,
) -> OperatorActions {
    let (ledger, vaults) = (driver.ledger().clone(), driver.vaults().clone());
    let catalogue = Catalogue::new(ledger.clone(), register, vaults.clone(), Arc::clone(clock));
    OperatorActions::new(&ledger, &catalogue, &vaults, clock)
}

pub(crate) async fn import(pipeline: &Pipeline, request: ImportRequest) -> Importing {
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let clock: Arc<dyn Clock> = pipeline.clock.clone();
    let actions = actions(&pipeline.driver, register, &clock);
    let importing = actions.import(request, &pipeline.driver, &Operator::Shell, budget());
    importing.await.expect("the ledger works")
}

/// A chunk that ACS has dropped before there was a copy.
pub(crate) async fn lost() -> (Pipeline, RecordingChunk) {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.record(&chunk).await;
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(&chunk.document_id).await;
    assert!(state.is_loss(), "{state:?}");
    (pipeline, chunk)
}

async fn assert_imported(pipeline: &Pipeline, id: &DocumentId, file: &Downloaded) {
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let ChunkState::SourceLeft { receipt, reason } = &entry.state else {
        panic!("{:?}", entry.state)
    };
    assert!(reason.contains("imported by hand"), "{reason}");
    let vault: &dyn recording_vault::export::destination::ExportDestination =
        pipeline.driver.vaults().home();
    let media = vault.read(receipt.media().name(), 0..1 << 20).await;
    assert_eq!(media.expect("the vault works"), file.bytes);
    let assessment = of_chunk(&entry, pipeline.clock.now());
    let reasons = assessment.reasons.join("; ");
    assert!(reasons.contains("imported by hand"), "{assessment:?}");
    assert!(
        matches!(assessment.standing, Standing::Verified | Standing::Doubtful),
        "{assessment:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_lost_chunk_gets_a_proved_copy_by_hand() {
    let (pipeline, chunk) = lost().await;
    let file = downloaded(1);
    let importing = import(&pipeline, of_document(&chunk.document_id, &file)).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::Imported(_)),
        "{importing:?}"
    );
    assert_imported(&pipeline, &chunk.document_id, &file).await;
}

#[tokio::test]
async fn what_events_add_after_an_import_deletes_nothing_at_acs() {
    let pipeline = Pipeline::new();
    let whole = chunk("a", 0);
    let mut poor = whole.clone();
    poor.locations.delete = None;
    poor.locations.metadata = None;
    pipeline.source.put(&whole.document_id, &b"at ACS"[..]);
    pipeline.source.with_faults([SourceFault::Refused]);
    pipeline.record(&poor).await;
    pipeline.drive(&whole.document_id).await;
    let state = pipeline.state(&whole.document_id).await;
    assert!(
        matches!(state, ChunkState::DeadLettered { .. }),
        "{state:?}"
    );
    let file = downloaded(2);
    import(&pipeline, of_document(&whole.document_id, &file)).await;
    for _ in 0..3 {
        pipeline.record(&whole).await;
        pipeline.drive(&whole.document_id).await;
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    let ledger = pipeline.driver.ledger();
    let accepted = ledger.accept(&whole.document_id, &Operator::Shell).await;
    accepted.expect("the ledger works");
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    assert_imported(&pipeline, &whole.document_id, &file).await;
    assert!(pipeline.source.has(&whole.document_id));
}

#[tokio::test]
async fn a_chunk_with_a_copy_or_with_an_export_under_way_is_not_replaced_by_an_import() {
    let (pipeline, chunk) = (Pipeline::new(), chunk("a", 0));
    pipeline.source.put(&chunk.document_id, &b"at ACS"[..]);
    pipeline.record(&chunk).await;
    let file = downloaded(3);
    let importing = import(&pipeline, of_document(&chunk.document_id, &file)).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::StillExported),
        "{importing:?}"
    );
    pipeline.drive(&chunk.document_id).await;
    let before = pipeline.state(&chunk.document_id).await;
    let importing = import(&pipeline, of_document(&chunk.document_id, &file)).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::AlreadyProved),
        "{importing:?}"
    );
    assert_eq!(pipeline.state(&chunk.document_id).await, before);
    let unknown = "nobody".parse().expect("it is an id");
    let importing = import(&pipeline, of_document(&unknown, &file)).await;
    assert!(matches!(importing.outcome, ImportOutcome::Unknown));
}

#[tokio::test]
async fn a_recording_that_no_event_announced_is_imported_once() {
    let pipeline = Pipeline::new();
    let file = downloaded(4);
    let request = || ImportRequest {
        subject: ImportSubject::New(NewRecording {
            recording_id: "forgotten".parse().expect("it is an id"),
            call_id: "call".parse().ok(),
            started_at: "2026-03-02T09:00:00Z".parse().ok(),
            index: 0,
            is_last: true,
        }),
        ..of_document(&"unused".parse().expect("it is an id"), &file)
    };
    let importing = import(&pipeline, request()).await;
    let id = importing.document_id.expect("it is not erased");
    assert!(
        matches!(importing.outcome, ImportOutcome::Imported(_)),
        "{:?}",
        importing.outcome
    );
    assert_imported(&pipeline, &id, &file).await;
    let again = import(&pipeline, request()).await;
    assert_eq!(again.document_id, Some(id));
    assert!(matches!(again.outcome, ImportOutcome::AlreadyProved));
}

/// ACS's metadata of a chunk, as far as it names it.
fn metadata_of(id: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("acsmetadata.json");
    let metadata = serde_json::json!({"chunkDocumentId": id, "chunkIndex": 0});
    std::fs::write(&path, metadata.to_string()).expect("there is room");
    (folder, path)
}

#[tokio::test]
async fn an_import_with_metadata_is_repeated_although_an_event_announced_that_chunk_since() {
    let (pipeline, announced) = (Pipeline::new(), chunk("a", 0));
    let file = downloaded(7);
    let (_folder, metadata) = metadata_of(announced.document_id.as_str());
    let request = || ImportRequest {
        subject: ImportSubject::New(NewRecording {
            recording_id: "forgotten".parse().expect("it is an id"),
            call_id: None,
            started_at: None,
            index: 0,
            is_last: true,
        }),
        metadata: Some(metadata.clone().into()),
        ..of_document(&announced.document_id, &file)
    };
    let importing = import(&pipeline, request()).await;
    let id = importing.document_id.expect("it is not erased");
    assert!(id.is_of_import() && matches!(importing.outcome, ImportOutcome::Imported(_)));
    // Its file at ACS may be another one: it is exported too.
    pipeline.record(&announced).await;
    let state = pipeline.state(&announced.document_id).await;
    assert_eq!(state, ChunkState::Pending);
    let again = import(&pipeline, request()).await;
    assert_eq!(again.document_id, Some(id));
    assert!(matches!(again.outcome, ImportOutcome::AlreadyProved));
}

/// Whatever receipt is in the vault, a record has its proof.
async fn assert_receipts_are_explained(durable: &Durable, what: &str) {
    let ledger = durable.ledger();
    let documents: Vec<_> = ledger.audit().read_all().collect().await;
    let mut records = Vec::new();
    for document in documents {
        let (position, document) = document.expect("the log is readable");
        match document {
            FoundDocument::Records(found) => records.extend(found),
            FoundDocument::Missing | FoundDocument::Unreadable => panic!("{position}; {what}"),
        }
    }
    for (name, content) in durable.vault.files() {
        if !name.as_str().contains("-receipt.") {
            continue;
        }
        let kept: Value = serde_json::from_slice(&content).expect("it is JSON");
        let media = &kept["receipt"]["media"]["name"];
        let mut records = records.iter();
        assert!(
            records.any(|record| record.detail["proof"]["media"] == *media),
            "no record has the proof of {name}; {what}"
        );
    }
}

/// An import with a fault at a call, and again without. Whether it got as far.
async fn imported_despite(number: usize, fault: crate::support::simulation::Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let chunk = chunk("a", 0);
    let durable = Durable::new(&[]);
    let calm = durable.instance(&Plan::calm());
    deliver(&calm, std::slice::from_ref(&chunk)).await;
    durable.clock.advance(RETENTION);
    let sweep = ExportSweep::new(Arc::clone(&calm)).run(budget()).await;
    sweep.expect("the ledger works");
    let file = downloaded(5);
    let clock: Arc<dyn Clock> = durable.clock.clone();
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let faulty = actions(&driver, durable.register(&plan), &clock);
    let request = || of_document(&chunk.document_id, &file);
    tokio::select! {
        _ = faulty.import(request(), &driver, &Operator::Shell, budget()) => {}
        () = plan.killed() => {}
    }
    assert_receipts_are_explained(&durable, &what).await;
    durable.clock.advance(2 * CLAIM_TTL);
    let again = actions(&calm, durable.register(&Plan::calm()), &clock);
    let importing = again.import(request(), &calm, &Operator::Shell, budget());
    let importing = importing.await.expect("the ledger works");
    assert!(
        matches!(
            importing.outcome,
            ImportOutcome::Imported(_) | ImportOutcome::AlreadyProved
        ),
        "{importing:?}; {what}"
    );
    let found = durable.ledger().find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let receipt = entry.state.receipt().expect("it has a copy");
    let vaults = Vaults::new(durable.vault.clone(), None);
    let media = vaults.home().read(receipt.media().name(), 0..1 << 20).await;
    assert_eq!(media.expect("the vault works"), file.bytes, "{what}");
    assert!(durable.source.model().deleted.is_empty(), "{what}");
    plan.calls() > number
}

#[tokio::test]
async fn no_fault_at_any_call_of_an_import_leaves_a_wrong_copy_or_deletes_anything() {
    for fault in FAULTS {
        let mut number = 0;
        while Box::pin(imported_despite(number, fault)).await {
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole import?");
    }
}

/// What follows an import that did not end.
#[derive(Debug, Clone, Copy)]
enum Then {
    Retry,
    EventAgain,
}

/// An import with a fault at a call, of a chunk that ACS still has; then it is exported from ACS. Whether it got as far.
async fn exported_after(
    number: usize,
    fault: crate::support::simulation::Fault,
    then: Then,
) -> bool {
    let what = format!("{fault:?} at call {number}, {then:?}");
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    let durable = Durable::new(std::slice::from_ref(&chunk));
    durable.source.with_faults([SourceFault::Refused]);
    let calm = durable.instance(&Plan::calm());
    deliver(&calm, std::slice::from_ref(&chunk)).await;
    let file = downloaded(5);
    let clock: Arc<dyn Clock> = durable.clock.clone();
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let faulty = actions(&driver, durable.register(&plan), &clock);
    tokio::select! {
        _ = faulty.import(of_document(id, &file), &driver, &Operator::Shell, budget()) => {}
        () = plan.killed() => {}
    }
    durable.clock.advance(2 * CLAIM_TTL);
    match then {
        Then::Retry => {
            let retried = calm.ledger().retry(id, &Operator::Shell).await;
            retried.expect("the ledger works");
        }
        Then::EventAgain => assert!(deliver(&calm, std::slice::from_ref(&chunk)).await, "{what}"),
    }
    for _ in 0..5 {
        durable.clock.advance(Duration::from_mins(20));
        let sweep = ExportSweep::new(Arc::clone(&calm)).run(budget()).await;
        sweep.expect("the ledger works");
    }
    let found = durable.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let receipt = entry.state.receipt().expect("it has a copy");
    let files = durable.vault.files();
    let copy = &files[receipt.media().name()];
    if receipt.imported().is_some() {
        assert_eq!(copy, &file.bytes, "{what}");
        assert!(durable.source.has(id), "{what}");
    } else {
        assert_eq!(copy, &media_of(id), "it is not the file of ACS; {what}");
        let is_deleted = matches!(entry.state, ChunkState::SourceDeleted { .. });
        assert!(is_deleted, "{:?}; {what}", entry.state);
    }
    plan.calls() > number
}

#[tokio::test]
async fn no_fault_at_any_call_of_an_import_makes_its_file_the_proof_of_an_export_from_acs() {
    for then in [Then::Retry, Then::EventAgain] {
        for fault in FAULTS {
            let mut number = 0;
            while Box::pin(exported_after(number, fault, then)).await {
                number += 1;
            }
            assert!(number > 10, "{number} calls: is it the whole import?");
        }
    }
}

fn run(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .args(arguments)
        .envs(world.settings())
        .output()
        .expect("the binary runs")
}

#[tokio::test]
async fn an_operator_imports_a_file_at_the_shell() {
    let world = World::new().await;
    let event = world
        .recording(serde_json::json!({"call": {"chunks": [{"durationMs": 1000}]}}))
        .await;
    world.event(&event).await;
    world.sweep().await;
    let file = downloaded(6);
    let path = file.path.to_str().expect("it is text");
    let known = &document_ids(&event)[0];
    let refused = run(&world, &["import", path, "--document", known]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("proved copy already"), "{said}");

    let arguments = [
        "import",
        path,
        "--recording",
        "forgotten",
        "--call",
        "c",
        "--json",
    ];
    let output = run(&world, &arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(report["outcome"], "imported", "{report}");
    assert_eq!(report["sizeBytes"], 10_000);
    // Bytes that are no media are kept, and flagged.
    assert_eq!(output.status.code(), Some(2), "{report}");
    let id = report["documentId"].as_str().expect("it has an id");
    assert_eq!(world.ledger_entry(id)["state"]["name"], "sourceLeft");
    let history = run(&world, &["audit", "verify"]);
    assert!(history.status.success(), "{history:?}");
}

#[tokio::test]
async fn an_import_with_acss_own_metadata_is_verified() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("call.mp4");
    let media = Media::mp4(200_000, 15_000);
    let size = usize::try_from(media.len()).expect("it fits");
    std::fs::write(&path, media.read(0, size)).expect("there is room");
    let metadata = format!(
        "{}/tests/fixtures/metadata/m01_seed_botframework_2021.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let arguments = [
        "import",
        path.to_str().expect("it is text"),
        "--metadata",
        &metadata,
        "--recording",
        "forgotten",
        "--call",
        "43563209-4ec6-4119-be5b-88398cda2caf",
        "--json",
    ];
    let output = run(&world, &arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["doubtful"], Value::Null, "{report}");
    let (_, listed) = world.api("GET", "/vault/recordings", None).await;
    assert_eq!(listed["recordings"][0]["status"], "verified", "{listed}");
}

#[tokio::test]
async fn a_file_with_the_metadata_of_a_known_chunk_does_not_become_a_second_chunk() {
    let world = World::new().await;
    let call = serde_json::json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(call).await;
    world.event(&event).await;
    let id = &document_ids(&event)[0];
    let file = downloaded(9);
    let (_folder, metadata) = metadata_of(id);
    let [media, metadata] = [&file.path, &metadata].map(|path| path.display().to_string());
    let arguments = ["import", &media, "--metadata", &metadata];
    let refused = run(&world, &[&arguments[..], &["--recording", "r-1"]].concat());
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{complaint}");
    let instead = format!("give --document {id} instead of --recording");
    assert!(complaint.contains(&instead), "{complaint}");
    let listed = run(&world, &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("it is JSON");
    let chunks = listed["chunks"].as_array().expect("there is a list");
    assert_eq!(chunks.len(), 1, "{listed}");
}

/// Imports a file whose name and metadata name Anna. Returns its chunk.
fn import_of_anna(world: &World) -> String {
    let folder = tempfile::tempdir().expect("there is room");
    let media = folder.path().join("Interview Anna Schmidt +4930123456.wav");
    std::fs::write(&media, crate::support::content(10_000, 8)).expect("there is room");
    let metadata = folder.path().join("acsmetadata.json");
    let participants = serde_json::json!({"participants": [{"participantId": "8:acs:anna_1"}]});
    std::fs::write(&metadata, participants.to_string()).expect("there is room");
    let path = |path: &PathBuf| path.display().to_string();
    let (media, metadata) = (path(&media), path(&metadata));
    let arguments = [
        "import",
        &media,
        "--metadata",
        &metadata,
        "--recording",
        "r-1",
        "--json",
    ];
    let output = run(world, &arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    report["documentId"]
        .as_str()
        .expect("it has an id")
        .to_owned()
}

#[tokio::test]
async fn the_records_of_an_import_have_its_operator_and_a_repeated_acceptance_says_so() {
    let world = World::new().await;
    let id = &import_of_anna(&world);
    let history = run(&world, &["audit", "show", id]);
    let history = String::from_utf8_lossy(&history.stdout).into_owned();
    assert!(!history.contains("a person at the shell"), "{history}");
    assert!(!history.contains("announced"), "no event did: {history}");
    for said in ["was recorded for an import by hand", "was imported by hand"] {
        let line = history.lines().find(|line| line.contains(said));
        let line = line.unwrap_or_else(|| panic!("{said}: {history}"));
        assert!(line.contains('@'), "{line}");
    }
    for said in [
        "is accepted; whether ACS has",
        "was accepted already; whether ACS has",
    ] {
        let accepted = run(&world, &["accept", id]);
        let accepted = String::from_utf8_lossy(&accepted.stdout).into_owned();
        assert!(accepted.contains(said), "{accepted}");
    }
}

#[tokio::test]
async fn an_erasure_removes_the_name_of_an_imported_file() {
    let world = World::new().await;
    let id = import_of_anna(&world);
    let erase = [
        "gdpr",
        "erase",
        "8:acs:anna_1",
        "--reason",
        "request 17",
        "--yes",
    ];
    let erased = run(&world, &erase);
    let said = String::from_utf8_lossy(&erased.stdout).into_owned();
    assert_eq!(erased.status.code(), Some(0), "{said}");
    let not_known = format!("Whether ACS has a file of chunk {id} is not known");
    assert!(said.contains(&not_known), "{said}");
    assert!(!said.contains("ACS still has"), "{said}");
    for (name, content) in files(world.vault.parent().expect("it has a folder")) {
        let content = String::from_utf8_lossy(&content);
        assert!(
            !content.contains("Anna Schmidt"),
            "{name} names her: {content}"
        );
        assert!(
            !content.contains("4930123456"),
            "{name} names her: {content}"
        );
    }
    let verified = run(&world, &["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn an_import_without_a_file_or_from_a_private_place_is_refused_with_the_reason() {
    let world = World::new().await;
    let file = downloaded(7);
    let media = file.path.to_str().expect("it is text");
    for (arguments, reason) in [
        (
            &["import", "no-such-file.wav", "--document", "a"][..],
            "does not exist",
        ),
        (
            &["import", "http://example.com/a.wav", "--document", "a"],
            "must be https",
        ),
        (
            &["import", "https://127.0.0.1:1/a.wav", "--document", "a"],
            "not public",
        ),
        (&["import", media], "--document"),
        (
            &["import", media, "--document", "a", "--call", "c"],
            "cannot be used",
        ),
    ] {
        let output = run(&world, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}
