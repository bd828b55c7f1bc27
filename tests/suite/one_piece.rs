//! Files of one block, which are created in one request: what proves them at once, later, and after an interruption.

use std::sync::Arc;
use std::time::Duration;

use blob_sink::{ACCOUNT, Options as SinkOptions, Sink};
use bytes::Bytes;
use recording_vault::export::block::{Block, BlockChain};
use recording_vault::export::destination::{BlobProperties, CreateOutcome, ExportDestination as _};
use recording_vault::export::entry::Obstacle;
use recording_vault::export::layout::BlobName;
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::export::{ChunkState, DriveOutcome, ExportReceipt, Vaults};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::vault::azure::{AzureVault, AzureVaultOptions};

use crate::support::pipeline::{BLOCK, CLAIM_TTL, Pipeline};
use crate::support::{azurite, chunk, content};

const SIZE: usize = 1000;

fn small(pipeline: &Pipeline) -> RecordingChunk {
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(SIZE, 1));
    chunk
}

/// A copy whose source is still at ACS.
async fn exported() -> (Pipeline, RecordingChunk, ExportReceipt) {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let chunk = small(&pipeline);
    pipeline.record(&chunk).await;
    let DriveOutcome::Exported { receipt } = pipeline.drive(&chunk.document_id).await else {
        panic!("it is exported");
    };
    (pipeline, chunk, receipt)
}

/// The file as one block.
fn block_of(bytes: &[u8]) -> Block {
    let chain = BlockChain::start(bytes.len() as u64);
    chain.hash_next(Bytes::copy_from_slice(bytes)).1
}

fn properties(metadata: Vec<(&'static str, String)>) -> BlobProperties {
    BlobProperties {
        content_type: "audio/wav",
        metadata,
        tags: Vec::new(),
    }
}

/// Another program, or an earlier attempt, created this file in one piece, with this metadata.
async fn create(
    pipeline: &Pipeline,
    name: &BlobName,
    bytes: &[u8],
    metadata: Vec<(&'static str, String)>,
) {
    let properties = properties(metadata);
    let creating = pipeline.vault.create(name, block_of(bytes), &properties);
    let _created = creating.await.expect("the vault works");
}

/// What an attempt of ours says of a file.
fn ours(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let sha256 = Sha256Digest::of(bytes).to_string();
    vec![
        ("sha256", sha256),
        ("block_id", block_of(bytes).id.to_hex()),
    ]
}

/// An attempt that was killed: its claim ran out.
async fn killed(pipeline: &Pipeline, chunk: &RecordingChunk) {
    pipeline.record(chunk).await;
    let found = pipeline.driver.ledger().find(&chunk.document_id).await;
    let found = found.expect("the ledger works").expect("it is recorded");
    let claim = pipeline.driver.ledger().claim(&found).await;
    assert!(claim.expect("the ledger works").is_some());
    pipeline.clock.advance(CLAIM_TTL);
}

#[tokio::test]
async fn a_vault_whose_answers_have_no_checksum_is_read_back_before_the_source_goes() {
    let pipeline = Pipeline::new();
    pipeline.vault.confirm_nothing();
    let chunk = small(&pipeline);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(content(SIZE, 1)));
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
}

#[tokio::test]
async fn a_copy_whose_version_changed_is_still_the_proved_one_by_its_content() {
    let (pipeline, chunk, receipt) = exported().await;
    let _touched = pipeline.vault.touch(receipt.media().name()).await;
    let vaults = pipeline.driver.vaults();
    let rechecked = vaults.recheck(&receipt, Depth::Described).await;
    assert!(
        matches!(rechecked, Rechecked::Different(_)),
        "{rechecked:?}"
    );
    let rechecked = vaults.recheck(&receipt, Depth::Read).await;
    assert!(
        matches!(rechecked, Rechecked::Same(Depth::Read)),
        "{rechecked:?}"
    );
    // It is proved again, by its content, and then its source goes.
    for _ in 0..3 {
        pipeline.clock.advance(Duration::from_hours(2));
        pipeline.sweep().await;
    }
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
    assert_eq!(pipeline.media(&chunk.document_id), Some(content(SIZE, 1)));
}

#[tokio::test]
async fn a_copy_that_another_program_replaced_does_not_free_the_source() {
    let (pipeline, chunk, receipt) = exported().await;
    let name = receipt.media().name();
    let version = pipeline.vault.version(name).await;
    let version = version.expect("the vault works").expect("it is there");
    let other = content(SIZE, 2);
    let properties = properties(vec![("sha256", Sha256Digest::of(&other).to_string())]);
    let replacing = pipeline
        .vault
        .replace(name, &version, other.into(), &properties);
    let _replaced = replacing.await.expect("the vault works");
    let replaced = pipeline.vault.files()[name].clone();
    for _ in 0..5 {
        pipeline.clock.advance(Duration::from_hours(2));
        pipeline.sweep().await;
    }
    // A copy under another name does.
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
    let again = state.receipt().expect("it is copied again");
    assert_ne!(again.media().name(), name);
    let files = pipeline.vault.files();
    assert_eq!(files[again.media().name()], content(SIZE, 1));
    assert_eq!(files[name], replaced, "it is not ours");
}

/// The name that the media of a chunk gets.
async fn name_of_media() -> BlobName {
    exported().await.2.media().name().clone()
}

#[tokio::test]
async fn an_attempt_that_was_killed_after_it_created_the_file_is_continued_without_the_source() {
    let name = name_of_media().await;
    let pipeline = Pipeline::new();
    let chunk = small(&pipeline);
    let media = content(SIZE, 1);
    create(&pipeline, &name, &media, ours(&media)).await;
    killed(&pipeline, &chunk).await;
    pipeline.sweep().await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
    assert!(pipeline.source.model().opened.is_empty(), "it is not read");
}

#[tokio::test]
async fn a_file_in_its_place_that_is_not_what_the_source_sends_is_no_copy_and_costs_no_file() {
    let name = name_of_media().await;
    let (other, media) = (content(SIZE, 2), content(SIZE, 1));
    let named = |bytes: &[u8]| vec![("sha256", Sha256Digest::of(bytes).to_string())];
    // It says nothing, or names its own digest, or has what we said of the true file.
    for metadata in [Vec::new(), named(&other), named(&media), ours(&media)] {
        let pipeline = Pipeline::new();
        create(&pipeline, &name, &other, metadata.clone()).await;
        let chunk = small(&pipeline);
        killed(&pipeline, &chunk).await;
        pipeline.sweep().await;
        let state = pipeline.state(&chunk.document_id).await;
        let receipt = state.receipt().expect("it is copied under another name");
        assert_ne!(*receipt.media().name(), name, "{metadata:?}");
        let files = pipeline.vault.files();
        assert_eq!(files[receipt.media().name()], media, "{metadata:?}");
        assert_eq!(files[&name], other, "{metadata:?}: it is not ours");
        assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
    }
}

/// Another program's file under the name that the media has in each folder that an export takes.
async fn occupy(pipeline: &Pipeline, name: &BlobName, folders: std::ops::RangeInclusive<u8>) {
    let (folder, file) = name.as_str().rsplit_once('/').expect("it has a folder");
    for number in folders {
        let taken = match number {
            1 => name.to_string(),
            more => format!("{folder}-{more}/{file}"),
        };
        let taken = taken.parse().expect("it is a name");
        create(pipeline, &taken, &content(SIZE, 2), Vec::new()).await;
    }
}

#[tokio::test]
async fn a_chunk_whose_names_are_all_taken_is_not_given_up_while_acs_may_have_it() {
    let name = name_of_media().await;
    let pipeline = Pipeline::new();
    occupy(&pipeline, &name, 1..=20).await;
    let taken = pipeline.vault.files();
    let chunk = small(&pipeline);
    killed(&pipeline, &chunk).await;
    for _ in 0..20 {
        pipeline.sweep().await;
        pipeline.clock.advance(Duration::from_hours(1));
        let state = pipeline.state(&chunk.document_id).await;
        assert_eq!(state, ChunkState::Pending);
    }
    let files = pipeline.vault.files();
    assert!(taken.iter().all(|(name, content)| files[name] == *content));
    for _ in 0..20 {
        pipeline.clock.advance(Duration::from_hours(1));
        pipeline.sweep().await;
    }
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::Expired { reason, .. } if reason.contains("could not be proved")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_name_that_is_taken_in_the_backup_vault_keeps_no_file_out_of_it() {
    let name = name_of_media().await;
    let pipeline = Pipeline::new();
    let properties = properties(Vec::new());
    let creating = pipeline
        .backup
        .create(&name, block_of(&content(SIZE, 2)), &properties);
    let _created = creating.await.expect("the backup vault works");
    let chunk = small(&pipeline);
    killed(&pipeline, &chunk).await;
    pipeline.vault.set_unavailable(true);
    for _ in 0..5 {
        pipeline.sweep().await;
        pipeline.clock.advance(Duration::from_mins(20));
    }
    let state = pipeline.state(&chunk.document_id).await;
    let receipt = state.receipt().expect("it is in the backup vault");
    let files = pipeline.backup.files();
    assert_eq!(files[receipt.media().name()], content(SIZE, 1));
    assert_eq!(files[&name], content(SIZE, 2), "it is not ours");
}

#[tokio::test]
async fn a_file_in_its_place_with_the_bytes_of_the_source_is_a_copy_whatever_it_says_of_itself() {
    let name = name_of_media().await;
    for is_first in [true, false] {
        let pipeline = Pipeline::new();
        create(&pipeline, &name, &content(SIZE, 1), Vec::new()).await;
        let chunk = small(&pipeline);
        if !is_first {
            killed(&pipeline, &chunk).await;
        }
        pipeline.record(&chunk).await;
        pipeline.drive(&chunk.document_id).await;
        assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
    }
}

/// A vault in a storage whose answers have checksums, unlike an emulator's.
async fn vault_on(sink: &Sink, options: AzureVaultOptions) -> AzureVault {
    let url = format!(
        "{}/{ACCOUNT}/vault?sv=2024-08-04&sr=c&sig=x",
        sink.http_url()
    );
    let made = reqwest::Client::new()
        .put(format!("{url}&restype=container"))
        .send()
        .await;
    assert!(made.expect("the sink answers").status().is_success());
    azurite::vault(&url, options)
}

#[tokio::test]
async fn an_answer_with_the_checksum_is_the_proof_and_names_the_version_that_is_found_later() {
    let sink = Sink::start(SinkOptions::default()).await;
    let sink = sink.expect("it binds");
    let vault = vault_on(&sink, AzureVaultOptions::default()).await;
    let name: BlobName = "20260302/call/0000-audiowav.a.wav"
        .parse()
        .expect("it is a name");
    let media = content(SIZE, 1);
    let (block, properties) = (block_of(&media), properties(ours(&media)));
    let creating = vault.create(&name, block.clone(), &properties);
    let CreateOutcome::Confirmed { etag } = creating.await.expect("the sink works") else {
        panic!("the answer has the checksum")
    };
    let found = vault.inspect(&name).await.expect("the sink works");
    let found = found.expect("it is there");
    assert_eq!((found.etag, found.size_bytes), (etag, SIZE as u64));
    assert_eq!((found.blocks, found.named), (Vec::new(), Some(block.id)));
    let again = vault.create(&name, block, &properties).await;
    assert_eq!(again.expect("the sink works"), CreateOutcome::AlreadyThere);
}

#[tokio::test]
async fn a_copy_that_was_only_described_is_not_called_read() {
    let sink = Sink::start(SinkOptions::default()).await;
    let sink = sink.expect("it binds");
    let vault = vault_on(&sink, AzureVaultOptions::default()).await;
    let (_, _, receipt) = exported().await;
    let (name, media) = (receipt.media().name().clone(), content(SIZE, 1));
    let properties = properties(ours(&media));
    let creating = vault.create(&name, block_of(&media), &properties);
    let CreateOutcome::Confirmed { etag } = creating.await.expect("the sink works") else {
        panic!("the answer has the checksum")
    };
    // The same copy, in this vault.
    let mut there = serde_json::to_value(&receipt).expect("it is JSON");
    there["media"]["etag"] = etag.into();
    let receipt: ExportReceipt = serde_json::from_value(there).expect("it is a receipt");
    let vaults = Vaults::new(Arc::new(vault), None);
    for depth in [Depth::Described, Depth::Read] {
        let looked_at = vaults.recheck_file(&receipt, receipt.media(), depth).await;
        assert!(
            matches!(looked_at, Rechecked::Same(seen) if seen == depth),
            "{looked_at:?}"
        );
    }
}

#[tokio::test]
async fn a_content_that_was_damaged_on_its_way_is_refused_and_not_stored_with_less_protection() {
    let sink = Sink::start(SinkOptions::default()).await;
    let sink = sink.expect("it binds");
    let options = AzureVaultOptions {
        legal_hold: true,
        ..AzureVaultOptions::default()
    };
    let vault = vault_on(&sink, options).await;
    let name: BlobName = "20260302/call/0000-audiowav.a.wav"
        .parse()
        .expect("it is a name");
    let damaged = Block {
        content: content(SIZE, 2).into(),
        ..block_of(&content(SIZE, 1))
    };
    let created = vault.create(&name, damaged, &properties(Vec::new())).await;
    assert!(created.is_err(), "{created:?}");
    let found = vault.inspect(&name).await.expect("the sink works");
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_vault_that_changes_what_is_written_does_not_get_a_copy_in_every_folder_at_once() {
    for size in [SIZE, 3 * BLOCK] {
        let pipeline = Pipeline::new();
        pipeline.vault.confirm_nothing();
        pipeline.vault.damage_writes(true);
        let chunk = chunk("a", 0);
        pipeline.source.put(&chunk.document_id, content(size, 1));
        pipeline.record(&chunk).await;
        let driven = pipeline.drive(&chunk.document_id).await;
        assert!(matches!(driven, DriveOutcome::Failed { .. }), "{driven:?}");
        let found = pipeline.driver.ledger().find(&chunk.document_id).await;
        let entry = found.expect("the ledger works").expect("it is recorded");
        let entry = entry.entry;
        assert_eq!(entry.folders().count(), 1, "{entry:?}");
        assert_eq!(entry.obstacle, Some(Obstacle::NotAsWritten));
        pipeline.vault.damage_writes(false);
        for _ in 0..3 {
            pipeline.clock.advance(Duration::from_mins(20));
            pipeline.sweep().await;
        }
        assert_eq!(
            pipeline.source.model().deleted,
            std::slice::from_ref(&chunk.document_id)
        );
        let state = pipeline.state(&chunk.document_id).await;
        let name = state.receipt().expect("it is proved").media().name();
        assert_eq!(pipeline.vault.files()[name], content(size, 1));
    }
}

#[tokio::test]
async fn a_name_of_the_metadata_that_is_taken_costs_no_metadata() {
    let (_, _, receipt) = exported().await;
    let name = receipt.metadata().expect("it has metadata").name();
    let pipeline = Pipeline::new();
    create(&pipeline, name, &content(SIZE, 2), Vec::new()).await;
    let chunk = small(&pipeline);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.clock.advance(Duration::from_hours(1));
    pipeline.sweep().await;
    let state = pipeline.state(&chunk.document_id).await;
    let receipt = state.receipt().expect("it is copied");
    let metadata = receipt
        .metadata()
        .map(recording_vault::export::receipt::VerifiedFile::name);
    assert!(metadata.is_some_and(|copy| copy != name), "{receipt:?}");
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
}
