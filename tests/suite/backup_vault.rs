//! The vault is not available: a copy is made elsewhere, and comes home.

use std::time::Duration;

use bytes::Bytes;
use recording_vault::export::block::BlockChain;
use recording_vault::export::destination::{BlobProperties, ExportDestination as _};
use recording_vault::export::ledger::AfterUpdate;
use recording_vault::export::receipt::VaultName;
use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::operator_actions::Operator;
use recording_vault::recording::{FileNumber, RecordingChunk};

use crate::support::pipeline::{BLOCK, Pipeline};
use crate::support::simulation::budget;
use crate::support::{chunk, content};

async fn exported_to_the_backup_vault() -> (Pipeline, RecordingChunk, Vec<u8>) {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(3 * BLOCK + 7, 1);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.record(&chunk).await;
    pipeline.vault.set_unavailable(true);
    let first = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(first, DriveOutcome::Failed { .. }),
        "a moment's trouble moves nothing elsewhere: {first:?}"
    );
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.drive(&chunk.document_id).await;
    (pipeline, chunk, media)
}

#[tokio::test]
async fn while_the_vault_is_away_a_chunk_goes_to_the_backup_vault_and_its_source_stays() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    let state = pipeline.state(&chunk.document_id).await;
    let ChunkState::Exported { receipt } = state else {
        panic!("{state:?}")
    };
    assert_eq!(receipt.vault(), VaultName::Backup);
    let files = pipeline.backup.files();
    assert!(
        files
            .iter()
            .any(|(name, content)| name == receipt.media().name() && content[..] == media)
    );
    for _ in 0..5 {
        pipeline.clock.advance(Duration::from_mins(20));
        assert_eq!(
            pipeline.sweep().await.failed,
            1,
            "it is tried again and again"
        );
    }
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_copy_comes_home_when_the_vault_is_back_and_then_its_source_is_deleted() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    pipeline.vault.set_unavailable(false);
    pipeline.source.model().opened.clear();
    pipeline.clock.advance(Duration::from_mins(20));
    assert_eq!(pipeline.sweep().await.deleted, 1);
    assert!(pipeline.has(&chunk, &media));
    assert!(pipeline.backup.files().is_empty(), "nothing is left there");
    assert!(
        pipeline.source.model().opened.is_empty(),
        "ACS is not asked again"
    );
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceDeleted { receipt, .. } if receipt.vault() == VaultName::Home),
        "{state:?}"
    );
}

#[tokio::test]
async fn a_copy_that_is_lost_in_the_backup_vault_is_made_again() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    pipeline.backup.lose_everything();
    pipeline.vault.set_unavailable(false);
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    assert!(pipeline.has(&chunk, &media));
    assert_eq!(pipeline.source.model().deleted.len(), 1);
}

#[tokio::test]
async fn a_copy_in_the_backup_vault_comes_home_before_another_file_takes_its_place() {
    let pipeline = Pipeline::new();
    let genuine = chunk("a", 0);
    let forged = RecordingChunk {
        locations: chunk("other", 0).locations,
        ..genuine.clone()
    };
    let id = &genuine.document_id;
    pipeline.source.put_at(&forged, content(900, 1));
    pipeline.source.put_at(&genuine, content(1900, 2));
    pipeline.record(&forged).await;
    pipeline.vault.set_unavailable(true);
    pipeline.drive(id).await;
    pipeline.clock.advance(Duration::from_mins(1));
    pipeline.drive(id).await;
    let ledger = pipeline.driver.ledger();
    let entry = || async {
        let found = ledger.find(id).await.expect("the ledger works");
        found.expect("it is there").entry
    };
    let receipt = entry().await.state.receipt().cloned();
    assert_eq!(
        receipt.expect("it is proved").vault(),
        VaultName::Backup,
        "the file of the forged event"
    );
    pipeline.record(&genuine).await;
    pipeline.vault.set_unavailable(false);
    // Its own move home waits for its next attempt; the other file is due at once.
    pipeline.drive(id).await;
    let two: FileNumber = 2.try_into().expect("it is a number");
    let accepted = ledger.accept_place(id, two, &Operator::Shell).await;
    let accepted = accepted.expect("the ledger works");
    let is_in_vault = |bytes: &[u8]| {
        let files = [pipeline.vault.files(), pipeline.backup.files()];
        files
            .iter()
            .flatten()
            .any(|(_, content)| content[..] == *bytes)
    };
    for _ in 0..3 {
        assert!(is_in_vault(&content(900, 1)), "{accepted:?}");
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    let home = pipeline.vault.files();
    for bytes in [content(900, 1), content(1900, 2)] {
        assert!(home.iter().any(|(_, content)| content[..] == bytes[..]));
    }
    assert!(pipeline.backup.files().is_empty());
    assert_eq!(entry().await.chunk.locations, genuine.locations);
}

#[tokio::test]
async fn other_chunks_use_the_vault_as_soon_as_it_is_back() {
    let (pipeline, _, _) = exported_to_the_backup_vault().await;
    pipeline.vault.set_unavailable(false);
    let other = chunk("other", 1);
    pipeline.source.put(&other.document_id, content(100, 2));
    pipeline.record(&other).await;
    pipeline.drive(&other.document_id).await;
    assert!(pipeline.has(&other, &content(100, 2)));
}

#[tokio::test]
async fn what_only_the_backup_vault_has_is_not_declared_lost() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    // The state of a process that was killed right after its commit there: no proof in the ledger, and ACS drops it.
    let found = pipeline
        .driver
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the ledger works")
        .expect("it is there");
    pipeline.clock.advance(Duration::from_hours(25));
    let claim = pipeline
        .driver
        .ledger()
        .claim(&found)
        .await
        .expect("the ledger works")
        .expect("nobody has it");
    let forget =
        |entry: &mut recording_vault::export::LedgerEntry| entry.state = ChunkState::Pending;
    pipeline
        .driver
        .ledger()
        .update(&claim, AfterUpdate::Release, forget)
        .await
        .expect("the ledger works");
    pipeline.source.forget(&chunk.document_id);
    pipeline.vault.set_unavailable(false);
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    assert!(
        pipeline.has(&chunk, &media),
        "{:?}",
        pipeline.state(&chunk.document_id).await
    );
}

#[tokio::test]
async fn a_copy_that_home_has_lost_is_not_removed_from_the_backup_vault() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    pipeline.vault.set_unavailable(false);
    pipeline.backup.refuse_removals(true);
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.sweep().await;
    // At home, and not cleared yet; then home is restored from an older state, and ACS has dropped it.
    pipeline.vault.lose_everything();
    pipeline.backup.refuse_removals(false);
    pipeline.source.forget(&chunk.document_id);
    for _ in 0..4 {
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    assert!(
        pipeline.has(&chunk, &media),
        "{:?}",
        pipeline.state(&chunk.document_id).await
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_without_the_backup_vault_does_not_take_it_for_cleared() {
    let (pipeline, chunk, _) = exported_to_the_backup_vault().await;
    pipeline.vault.set_unavailable(false);
    pipeline.backup.refuse_removals(true);
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.sweep().await;
    pipeline.backup.refuse_removals(false);
    let id = &chunk.document_id;
    let uses_backup = async || {
        let found = pipeline.driver.ledger().find(id).await;
        let found = found.expect("the ledger works");
        found.expect("it is there").entry.uses_backup
    };
    assert!(uses_backup().await, "it is at home, and not cleared yet");
    let without = pipeline.another_without_backup();
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_mins(20));
        let driven = without.drive(id, budget()).await;
        let driven = driven.expect("the ledger works");
        assert!(matches!(driven, DriveOutcome::Failed { .. }), "{driven:?}");
    }
    assert!(uses_backup().await && !pipeline.backup.files().is_empty());
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.clock.advance(Duration::from_mins(20));
    pipeline.sweep().await;
    assert!(!uses_backup().await && pipeline.backup.files().is_empty());
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_fails_slowly_does_not_keep_the_backup_vault_from_its_turn() {
    let pipeline = Pipeline::with_chunks_in_flight(1);
    pipeline
        .vault
        .set_slowly_unavailable(Duration::from_secs(20));
    let chunks: Vec<_> = ["a", "bb", "ccc"]
        .into_iter()
        .map(|id| chunk(id, 0))
        .collect();
    for chunk in &chunks {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    for _ in 0..3 {
        pipeline.sweep().await;
        pipeline.clock.advance(Duration::from_mins(5));
    }
    assert_eq!(
        pipeline.backup.files().len(),
        9,
        "each has media, metadata and receipt there"
    );
}

#[tokio::test]
async fn a_copy_whose_name_is_taken_at_home_comes_home_under_another() {
    let (pipeline, chunk, media) = exported_to_the_backup_vault().await;
    let state = pipeline.state(&chunk.document_id).await;
    let receipt = state.receipt().expect("it is in the backup vault");
    let name = receipt.media().name().clone();
    pipeline.vault.set_unavailable(false);
    let other = BlockChain::start(900)
        .hash_next(Bytes::from(content(900, 2)))
        .1;
    let properties = BlobProperties {
        content_type: "audio/wav",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let created = pipeline.vault.create(&name, other, &properties).await;
    let _created = created.expect("the vault works");
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_mins(20));
        pipeline.sweep().await;
    }
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceDeleted { receipt, .. } if receipt.vault() == VaultName::Home),
        "{state:?}"
    );
    let home = state.receipt().expect("it is proved").media().name();
    let files = pipeline.vault.files();
    assert_ne!(*home, name);
    assert_eq!(files[home], media);
    assert_eq!(files[&name], content(900, 2), "it is not ours");
    assert!(pipeline.backup.files().is_empty(), "nothing is left there");
}
