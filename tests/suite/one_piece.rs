//! Files of one block, which are created in one request: what proves them at once, later, and after an interruption.

use std::time::Duration;

use bytes::Bytes;
use recording_vault::export::block::BlockChain;
use recording_vault::export::destination::{BlobProperties, CommitOutcome, ExportDestination as _};
use recording_vault::export::layout::BlobName;
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::export::{ChunkState, DriveOutcome, ExportReceipt};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::digest::Sha256Digest;

use crate::support::fake_source::Fault;
use crate::support::pipeline::{CLAIM_TTL, Pipeline};
use crate::support::{chunk, content};

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

/// What a blob of this content says of itself.
fn properties(sha256: Sha256Digest) -> BlobProperties {
    BlobProperties {
        content_type: "audio/wav",
        metadata: vec![
            ("document_id", "a".to_owned()),
            ("sha256", sha256.to_string()),
        ],
        tags: Vec::new(),
    }
}

/// Another program, or an earlier attempt, created this file in one piece.
async fn create(pipeline: &Pipeline, name: &BlobName, bytes: &[u8], names: Sha256Digest) {
    let chain = BlockChain::start(bytes.len() as u64);
    let (_, block) = chain.hash_next(Bytes::copy_from_slice(bytes));
    let properties = properties(names);
    let creating = pipeline.vault.create(name, block, &properties);
    let _created = creating.await.expect("the vault works");
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
    let rechecked = vaults.recheck(&receipt, Depth::Read).await;
    assert!(
        matches!(rechecked, Rechecked::Different(_)),
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
    let properties = properties(Sha256Digest::of(&other));
    let replacing = pipeline
        .vault
        .replace(name, &version, other.into(), &properties);
    let _replaced = replacing.await.expect("the vault works");
    for _ in 0..5 {
        pipeline.clock.advance(Duration::from_hours(2));
        pipeline.sweep().await;
    }
    assert!(pipeline.source.model().deleted.is_empty());
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        !matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
}

/// The name that the media of a chunk gets.
async fn name_of_media() -> BlobName {
    exported().await.2.media().name().clone()
}

#[tokio::test]
async fn an_attempt_that_was_killed_after_it_created_the_file_is_continued() {
    let name = name_of_media().await;
    let pipeline = Pipeline::new();
    let chunk = small(&pipeline);
    pipeline.record(&chunk).await;
    // A claim that nobody gave back: an earlier attempt may have written.
    let found = pipeline.driver.ledger().find(&chunk.document_id).await;
    let found = found.expect("the ledger works").expect("it is recorded");
    let claim = pipeline.driver.ledger().claim(&found).await;
    assert!(claim.expect("the ledger works").is_some());
    let media = content(SIZE, 1);
    create(&pipeline, &name, &media, Sha256Digest::of(&media)).await;
    pipeline.clock.advance(CLAIM_TTL);
    pipeline.sweep().await;
    assert_eq!(pipeline.media(&chunk.document_id), Some(media));
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
}

#[tokio::test]
async fn a_file_in_its_place_that_is_not_what_the_source_sends_is_no_copy() {
    let name = name_of_media().await;
    let (other, media) = (content(SIZE, 2), content(SIZE, 1));
    // It names its own digest, or that of the true file.
    for names in [Sha256Digest::of(&other), Sha256Digest::of(&media)] {
        let pipeline = Pipeline::new();
        create(&pipeline, &name, &other, names).await;
        let chunk = small(&pipeline);
        // Its event comes again, which gives it another try each time.
        for _ in 0..3 {
            pipeline.record(&chunk).await;
            pipeline.drive(&chunk.document_id).await;
            pipeline.clock.advance(Duration::from_mins(20));
            pipeline.sweep().await;
        }
        assert!(pipeline.source.model().deleted.is_empty(), "{names}");
        let state = pipeline.state(&chunk.document_id).await;
        assert!(state.receipt().is_none(), "{names}: {state:?}");
    }
}

#[tokio::test]
async fn a_file_in_its_place_with_the_bytes_of_the_source_is_a_copy_whatever_it_says_of_itself() {
    let name = name_of_media().await;
    let pipeline = Pipeline::new();
    let nothing = BlobProperties {
        metadata: Vec::new(),
        ..properties(Sha256Digest::of(b""))
    };
    let putting = pipeline.vault.put(&name, content(SIZE, 1).into(), &nothing);
    assert_eq!(
        putting.await.expect("the vault works"),
        CommitOutcome::Committed
    );
    let chunk = small(&pipeline);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
}

#[tokio::test]
async fn what_an_earlier_attempt_created_counts_when_the_source_is_gone() {
    let name = name_of_media().await;
    let media = content(SIZE, 1);
    // Of this document, or of another one.
    for (of, is_saved) in [("a", true), ("b", false)] {
        let pipeline = Pipeline::new();
        let chunk = small(&pipeline);
        pipeline.record(&chunk).await;
        let found = pipeline.driver.ledger().find(&chunk.document_id).await;
        let found = found.expect("the ledger works").expect("it is recorded");
        let claim = pipeline.driver.ledger().claim(&found).await;
        assert!(claim.expect("the ledger works").is_some());
        let named = BlobProperties {
            metadata: vec![
                ("document_id", of.to_owned()),
                ("sha256", Sha256Digest::of(&media).to_string()),
            ],
            ..properties(Sha256Digest::of(&media))
        };
        let chain = BlockChain::start(SIZE as u64);
        let (_, block) = chain.hash_next(Bytes::from(media.clone()));
        let creating = pipeline.vault.create(&name, block, &named);
        let _created = creating.await.expect("the vault works");
        pipeline
            .source
            .with_faults(std::iter::repeat_n(Fault::Gone, 20));
        pipeline.clock.advance(Duration::from_hours(49));
        pipeline.sweep().await;
        let state = pipeline.state(&chunk.document_id).await;
        assert_eq!(state.receipt().is_some(), is_saved, "{of}: {state:?}");
    }
}
