//! What is done to a document is done to each of its files: verified, exported for a person, moved out of the way, removed.

use std::sync::Arc;

use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::archive::Manifest;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::destination::{ExportDestination as _, RemoveOutcome};
use recording_vault::export::layout::{self, BlobName};
use recording_vault::operator_actions::OperatorActions;
use recording_vault::operator_actions::verify::{CopyCheck, Verified};
use recording_vault::store::audit::Operator;
use serde_json::json;

use super::*;
use crate::support::fake_source::PARTICIPANT;
use crate::support::pipeline::BLOCK;

const HOUR: Duration = Duration::from_hours(1);
/// Of a file that is staged in blocks.
const SEVERAL_BLOCKS: usize = 3 * BLOCK;

/// A document with a first file, and a longer form of it beside that one.
async fn with_two_files() -> (Pipeline, DocumentId) {
    let (pipeline, id) = with_one_file().await;
    pipeline.source.put(&id, content(1900, 2));
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    (pipeline, id)
}

async fn with_one_file() -> (Pipeline, DocumentId) {
    let pipeline = Pipeline::with_delete_delay(HOUR);
    let first = lasting(1000);
    let id = first.document_id.clone();
    let announce = |account: &mut RegisteredRecording| {
        account.started_at = first.started_at;
        let documents = account.files.chunks.entry(first.index).or_default();
        documents.insert(id.clone());
    };
    let register = RecordingRegister::new(pipeline.store.clone(), HOUR);
    let now = pipeline.clock.now();
    let account = register.change(&first.filed_under(), now, announce).await;
    account.expect("the store works");
    pipeline.source.put(&id, content(900, 1));
    pipeline.record(&first).await;
    pipeline.drive(&id).await;
    (pipeline, id)
}

fn catalogue(pipeline: &Pipeline) -> Catalogue {
    let register = RecordingRegister::new(pipeline.store.clone(), HOUR);
    let ledger = pipeline.driver.ledger().clone();
    Catalogue::new(ledger, register, vaults(pipeline), pipeline.clock.clone())
}

fn vaults(pipeline: &Pipeline) -> Vaults {
    Vaults::new(pipeline.vault.clone(), Some(pipeline.backup.clone()))
}

async fn verified(pipeline: &Pipeline, id: &DocumentId) -> CopyCheck {
    let ledger = pipeline.driver.ledger();
    let clock: Arc<dyn Clock> = pipeline.clock.clone();
    let actions = OperatorActions::new(ledger, &catalogue(pipeline), &vaults(pipeline), &clock);
    let verified = actions.verify(id, &Operator::Shell).await;
    match verified.expect("the ledger works") {
        Verified::Checked { check, .. } => check,
        other @ (Verified::Unknown | Verified::NoCopy { .. }) => panic!("{other:?}"),
    }
}

fn name(pipeline: &Pipeline, ends_with: &str) -> BlobName {
    let files = pipeline.vault.files();
    let mut names = files.keys();
    let found = names.find(|name| name.as_str().ends_with(ends_with));
    found.expect("it is in the vault").clone()
}

async fn remove(pipeline: &Pipeline, ends_with: &str) {
    let name = name(pipeline, ends_with);
    let version = pipeline.vault.version(&name).await;
    let version = version.expect("memory works").expect("it is there");
    let removed = pipeline.vault.remove(&name, &version).await;
    assert_eq!(removed.expect("memory works"), RemoveOutcome::Removed);
}

async fn archived(pipeline: &Pipeline) -> Manifest {
    let person = PARTICIPANT.parse().expect("it is a participant's id");
    let archived = catalogue(pipeline)
        .archive(&person, &Operator::Shell, Vec::new())
        .await;
    archived.expect("the vault works").0
}

fn names(manifest: &Manifest) -> Vec<&str> {
    let files = manifest.files.iter();
    files.map(|file| file.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_file_of_a_document_is_verified_with_its_receipt() {
    for damaged in [".a.2.wav", "receipt.a.2.json", "acsmetadata.a.2.json"] {
        let (pipeline, id) = with_two_files().await;
        assert!(verified(&pipeline, &id).await.is_same());
        remove(&pipeline, damaged).await;
        let check = verified(&pipeline, &id).await;
        assert_eq!(check.wrong.len(), 1, "{check:?}");
        assert!(check.wrong[0].contains(damaged), "{check:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_persons_archive_has_every_file_of_a_document_and_names_one_that_is_still_to_come() {
    let (pipeline, id) = with_two_files().await;
    let manifest = archived(&pipeline).await;
    for file in [
        "0001/0000-audiowav.a.wav",
        "0001/0000-acsmetadata.a.json",
        "0001/0000-receipt.a.json",
        "0001/0000-audiowav.a.2.wav",
        "0001/0000-acsmetadata.a.2.json",
        "0001/0000-receipt.a.2.json",
    ] {
        assert!(names(&manifest).contains(&file), "{manifest:?}");
    }
    assert!(manifest.missing.is_empty(), "{manifest:?}");

    record(&pipeline, &lasting(3000)).await;
    let manifest = archived(&pipeline).await;
    let missing = manifest.missing.iter();
    let missing: Vec<_> = missing
        .map(|file| (&file.document_id, &*file.reason))
        .collect();
    assert_eq!(missing, [(&id, "file 3 is not in the vault yet")]);
}

#[tokio::test(start_paused = true)]
async fn blocks_of_another_program_move_only_the_file_whose_name_they_have() {
    let (pipeline, id) = with_one_file().await;
    let before = entry(&pipeline, &id).await;
    let longer = RecordingChunk {
        file_number: place(2),
        ..lasting(2000)
    };
    let kind = longer.media_kind().expect("a test's chunk has a kind");
    let taken = layout::media(&before.folder, &longer, kind);
    pipeline.vault.stage_foreign_blocks(&taken);
    pipeline.source.put(&id, content(SEVERAL_BLOCKS, 2));
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;

    assert_eq!(media(&pipeline, 2), Some(content(SEVERAL_BLOCKS, 2)));
    let after = entry(&pipeline, &id).await;
    assert_eq!(after.folder, before.folder, "the first file stays");
    assert_ne!(after.folder_of(place(2)), before.folder);
    assert!(verified(&pipeline, &id).await.is_same());

    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    let retention = pipeline.retention(Duration::ZERO);
    let applied = retention.apply(&Operator::Shell).await;
    applied.expect("the ledger works");
    assert!(pipeline.vault.files().is_empty());
    let removed = entry(&pipeline, &id).await;
    assert!(matches!(removed.state, ChunkState::Removed { .. }));
    assert_eq!(
        removed.copies().count(),
        0,
        "nothing is expected in the vault"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_becomes_the_documents_own_brings_its_folder_along() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let id = &genuine.document_id;
    pipeline.source.put_at(&forged("other"), content(900, 1));
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.record(&forged("other")).await;
    pipeline.drive(id).await;
    let before = entry(&pipeline, id).await;
    let second = RecordingChunk {
        file_number: place(2),
        ..genuine.clone()
    };
    let kind = second.media_kind().expect("a test's chunk has a kind");
    let taken = layout::media(&before.folder, &second, kind);
    pipeline.vault.stage_foreign_blocks(&taken);
    record(&pipeline, &genuine).await;
    pipeline.sweep().await;

    let after = entry(&pipeline, id).await;
    assert_eq!(after.chunk.locations, genuine.locations, "its own object");
    assert_ne!(after.folder, before.folder);
    assert_eq!(after.folder_of(place(1)), before.folder);
    assert!(verified(&pipeline, id).await.is_same());
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_without_room_spares_the_source() {
    let (pipeline, id) = with_two_files().await;
    for duration_ms in [3000, 4000] {
        record(&pipeline, &lasting(duration_ms)).await;
        pipeline.drive(&id).await;
    }
    let recorded = record(&pipeline, &lasting(5000)).await;
    assert_eq!(recorded, Recorded::TooManyFiles);
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
    let state = pipeline.state(&id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("longer form")),
        "{state:?}"
    );
    assert_eq!(pipeline.sweep().await.seen, 0, "nothing is open");
}

#[tokio::test(start_paused = true)]
async fn a_later_copy_of_its_own_file_leaves_the_people_whom_another_file_names() {
    let (pipeline, id) = with_one_file().await;
    let named = |person: &str| {
        let person = json!({"participantId": person});
        json!({"participants": [person]}).to_string()
    };
    let source = &pipeline.source;
    source.put_with_metadata(&id, content(1900, 2), named("8:acs:petra"));
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    let people = async || {
        let metadata = entry(&pipeline, &id).await.metadata;
        let participants = metadata.expect("it is read").participants;
        serde_json::to_string(&participants).expect("it is JSON")
    };
    assert!(people().await.contains("petra"));
    remove(&pipeline, "audiowav.a.wav").await;
    remove(&pipeline, "acsmetadata.a.json").await;
    source.put_with_metadata(&id, content(900, 1), named("8:acs:quentin"));
    for _ in 0..3 {
        pipeline.clock.advance(HOUR);
        pipeline.sweep().await;
    }
    assert_eq!(
        media(&pipeline, 1),
        Some(content(900, 1)),
        "it is copied again"
    );
    let people = people().await;
    assert!(
        people.contains("quentin") && people.contains("petra"),
        "{people}"
    );
}
