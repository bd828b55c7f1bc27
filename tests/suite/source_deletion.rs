//! Which sources are deleted at ACS, whatever an event says, and which version of a file is copied.

use std::time::Duration;

use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::recording::RecordingChunk;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore as _;

use crate::support::fake_source::Fault;
use crate::support::pipeline::{BLOCK, Pipeline};
use crate::support::{chunk, content};

/// Everything the audit log says, as text.
async fn audit_log(pipeline: &Pipeline) -> String {
    let mut log = String::new();
    for key in pipeline
        .store
        .list("audit/", None, 1000)
        .await
        .expect("the store works")
    {
        let found = pipeline.store.find(&key).await.expect("the store works");
        let content = found.expect("it is there").content;
        log.push_str(&String::from_utf8_lossy(&content));
    }
    log
}

/// A forged event: reads what is its own, and deletes somebody else's.
fn naming_the_object_of(other: &RecordingChunk) -> RecordingChunk {
    let mut one = chunk("one", 0);
    one.locations.delete.clone_from(&other.locations.delete);
    one
}

#[tokio::test]
async fn another_objects_source_is_left_and_the_reason_reported() {
    let pipeline = Pipeline::new();
    let other = chunk("other", 1);
    let one = naming_the_object_of(&other);
    for chunk in [&one, &other] {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("`other`")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.drive(&other.document_id).await;
    assert_eq!(
        pipeline.source.model().deleted,
        ["other".parse().expect("an id")]
    );
}

#[tokio::test]
async fn with_the_setting_another_object_is_deleted_once_it_is_safe_itself() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let other = chunk("other", 1);
    let one = naming_the_object_of(&other);
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&other).await;
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("`other`")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());

    // The documentation of 2022 has such an event; nothing is known of its other object.
    let pipeline = Pipeline::that_deletes_other_objects();
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    assert!(matches!(
        pipeline.state(&one.document_id).await,
        ChunkState::SourceDeleted { .. }
    ));
    assert_eq!(
        pipeline.source.model().deleted,
        ["other".parse().expect("an id")]
    );
}

#[tokio::test]
async fn another_object_of_which_a_longer_form_is_not_exported_yet_is_not_deleted() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let lasting = |duration_ms| RecordingChunk {
        duration_ms: Some(duration_ms),
        ..chunk("other", 1)
    };
    let (other, longer) = (lasting(1000), lasting(2000));
    let one = naming_the_object_of(&other);
    for chunk in [&one, &other] {
        pipeline.source.put(&chunk.document_id, content(100, 1));
    }
    pipeline.record(&other).await;
    pipeline.source.model().delete_faults = [Fault::Transient].into();
    pipeline.drive(&other.document_id).await;
    pipeline.record(&longer).await;
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(state, ChunkState::Exported { .. }),
        "it waits: {state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn an_object_that_was_filed_under_another_id_is_not_deleted() {
    for pipeline in [Pipeline::new(), Pipeline::that_deletes_other_objects()] {
        let mut forged = chunk("forged", 0);
        forged.locations = chunk("victim", 0).locations;
        pipeline.source.put(&forged.document_id, content(100, 1));
        pipeline.record(&forged).await;
        pipeline.drive(&forged.document_id).await;
        assert!(matches!(
            pipeline.state(&forged.document_id).await,
            ChunkState::SourceLeft { .. }
        ));
        assert!(pipeline.source.model().deleted.is_empty());
    }
}

#[tokio::test]
async fn a_source_that_was_gone_already_is_audited_as_such() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_mins(1));
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.source.forget(&chunk.document_id);
    pipeline.clock.advance(Duration::from_mins(1));
    assert_eq!(pipeline.sweep().await.deleted, 1);
    let log = audit_log(&pipeline).await;
    assert!(log.contains("sourceWasGone"), "{log}");
}

#[tokio::test]
async fn a_file_that_changes_between_two_ranges_is_read_again_from_its_beginning() {
    for changes in 1..=4 {
        let pipeline = Pipeline::new();
        let chunk = chunk("a", 0);
        let version = |seed: u64| content(5 * BLOCK, seed);
        pipeline.source.put(&chunk.document_id, version(0));
        pipeline.source.model().has_validators = true;
        // Each version is replaced when its second range is asked for.
        let plan =
            (1..=changes).flat_map(|seed| [Fault::None, Fault::NewVersion(version(seed).into())]);
        pipeline.source.with_faults(plan);
        pipeline.record(&chunk).await;
        pipeline.drive(&chunk.document_id).await;
        let state = pipeline.state(&chunk.document_id).await;
        let receipt = state
            .receipt()
            .unwrap_or_else(|| panic!("{changes}: {state:?}"));
        let digest = receipt.media().sha256();
        let versions: Vec<_> = (0..=changes)
            .map(|seed| Sha256Digest::of(&version(seed)))
            .collect();
        assert!(
            versions.contains(&digest),
            "{changes}: a mixture of versions"
        );
    }
}

#[tokio::test]
async fn deletion_waits_for_its_delay_and_for_the_sweep() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Exported { .. }
    ));
    assert_eq!(pipeline.sweep().await.waiting, 1);
    assert!(pipeline.source.model().deleted.is_empty());

    pipeline.clock.advance(Duration::from_hours(1));
    assert_eq!(pipeline.sweep().await.deleted, 1);
    assert_eq!(
        pipeline.sweep().await.seen,
        0,
        "what is settled is not swept again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_tried_again() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline
        .source
        .model()
        .delete_faults
        .push_back(Fault::Transient);
    pipeline.record(&chunk).await;
    assert!(matches!(
        pipeline.drive(&chunk.document_id).await,
        DriveOutcome::Failed { .. }
    ));
    assert!(matches!(
        pipeline.state(&chunk.document_id).await,
        ChunkState::Exported { .. }
    ));
    pipeline.clock.advance(Duration::from_mins(1));
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[tokio::test]
async fn without_a_delete_location_the_source_is_left_and_a_later_event_may_bring_one() {
    let pipeline = Pipeline::new();
    let mut without = chunk("a", 0);
    without.locations.delete = None;
    pipeline.source.put(&without.document_id, content(100, 1));
    pipeline.record(&without).await;
    pipeline.drive(&without.document_id).await;
    assert!(matches!(
        pipeline.state(&without.document_id).await,
        ChunkState::SourceLeft { .. }
    ));

    pipeline.record(&chunk("a", 0)).await;
    assert_eq!(pipeline.sweep().await.deleted, 1);
}
