//! Chunks whose file still grows, or that ACS could not store whole, are never deleted at ACS.

use std::time::Duration;

use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::recording::RecordingChunk;

use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::{chunk, content};

fn ended(reason: &str) -> RecordingChunk {
    RecordingChunk {
        end_reason: Some(reason.to_owned()),
        ..chunk("a", 0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_still_recorded_is_exported_and_deleted_after_its_final_event() {
    let pipeline = Pipeline::new();
    let growing = ended("ChunkIsBeingRecorded");
    let id = &growing.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&growing).await;
    let outcome = pipeline.drive(id).await;
    assert!(
        matches!(outcome, DriveOutcome::Waiting { .. }),
        "{outcome:?}"
    );
    let whole = content(5000, 1);
    pipeline.source.put(id, whole.clone());
    pipeline.record(&ended("SessionEnded")).await;
    pipeline.drive(id).await;
    assert!(pipeline.has(&growing, &whole));
    assert_eq!(pipeline.source.model().deleted.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_was_made_while_the_file_grew_is_no_reason_to_delete_the_file() {
    let pipeline = Pipeline::new();
    let growing = ended("ChunkIsBeingRecorded");
    let id = &growing.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&growing).await;
    pipeline.clock.advance(RETENTION / 2);
    pipeline.sweep().await;
    assert!(pipeline.has(&growing, &content(100, 1)));
    pipeline.clock.advance(RETENTION + Duration::from_mins(1));
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_was_copied_while_it_grew_is_exported_again_with_its_final_event() {
    let pipeline = Pipeline::new();
    let growing = ended("ChunkIsBeingRecorded");
    let id = &growing.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&growing).await;
    pipeline.clock.advance(RETENTION / 2);
    pipeline.sweep().await;
    let whole = content(5000, 1);
    pipeline.source.put(id, whole.clone());
    pipeline.record(&ended("SessionEnded")).await;
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.sweep().await;
    let files = pipeline.vault.files();
    let final_form = files
        .iter()
        .find(|(name, _)| name.as_str().ends_with(".a.2.wav"));
    assert_eq!(final_form.map(|(_, content)| content.to_vec()), Some(whole));
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
    assert_eq!(pipeline.source.model().deleted.len(), 1);
    pipeline.record(&growing).await;
    assert_eq!(
        pipeline.sweep().await.seen,
        0,
        "its first event again is not news"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_acs_could_not_store_whole_is_exported_and_not_deleted() {
    let pipeline = Pipeline::new();
    let failed = ended("ChunkUploadFailure");
    let id = &failed.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&failed).await;
    pipeline.sweep().await;
    assert!(pipeline.has(&failed, &content(100, 1)));
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_two_ends_before_the_export_the_one_of_a_failure_counts() {
    for order in [
        ["SessionEnded", "ChunkUploadFailure"],
        ["ChunkUploadFailure", "SessionEnded"],
    ] {
        let pipeline = Pipeline::new();
        let id = &ended(order[0]).document_id;
        pipeline.source.put(id, content(100, 1));
        for reason in order {
            pipeline.record(&ended(reason)).await;
        }
        pipeline.sweep().await;
        let state = pipeline.state(id).await;
        assert!(
            matches!(state, ChunkState::SourceLeft { .. }),
            "{order:?}: {state:?}"
        );
        assert!(pipeline.source.model().deleted.is_empty(), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_ends_of_a_longer_form_the_one_of_a_failure_counts() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let id = &chunk("a", 0).document_id;
    let longer = |reason: &str, duration_ms| RecordingChunk {
        duration_ms: Some(duration_ms),
        ..ended(reason)
    };
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&longer("SessionEnded", 1000)).await;
    pipeline.drive(id).await;
    pipeline.source.put(id, content(200, 2));
    pipeline.record(&longer("ChunkUploadFailure", 2000)).await;
    pipeline.record(&longer("SessionEnded", 3000)).await;
    pipeline.sweep().await;
    pipeline.clock.advance(2 * RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}
