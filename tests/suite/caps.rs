//! Files that are larger than any that ACS makes: nothing is lost, and nothing is deleted at ACS.

use std::fmt::Write as _;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::ledger::Retried;
use recording_vault::export::{ChunkState, DriveOutcome};
use recording_vault::recording::DocumentId;
use recording_vault::standing::{Concern, of_chunk};
use recording_vault::store::audit::Operator;

use crate::support::fake_source::Fault;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::{chunk, content};

#[tokio::test(start_paused = true)]
async fn media_beyond_its_limit_is_not_proved_and_its_source_is_spared() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    let too_large = Fault::Total((64 << 30) + 1);
    let always = std::iter::repeat_n(too_large, 10_000);
    pipeline.source.with_faults(always);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let state = pipeline.state(&chunk.document_id).await;
    assert_eq!(state, ChunkState::Pending, "ACS may have it");
    for _ in 0..10 {
        pipeline.clock.advance(RETENTION);
        pipeline.sweep().await;
    }
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::Expired { reason, .. } if reason.contains("more than")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_answer_with_a_size_that_no_file_has_costs_no_file() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(100, 1);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.source.with_faults([Fault::Total((64 << 30) + 1)]);
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.clock.advance(Duration::from_hours(1));
    pipeline.sweep().await;
    assert!(pipeline.has(&chunk, &media));
    assert_eq!(pipeline.source.model().deleted, [chunk.document_id]);
}

#[tokio::test(start_paused = true)]
async fn one_answer_with_a_size_that_no_metadata_has_costs_no_metadata() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(100, 1);
    pipeline.source.put(&chunk.document_id, media.clone());
    pipeline.source.model().metadata_faults = [Fault::Total(5_000_000)].into();
    pipeline.record(&chunk).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Failed { .. }),
        "{outcome:?}"
    );
    assert!(pipeline.has(&chunk, &media), "the media does not wait");
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.clock.advance(Duration::from_mins(1));
    assert_eq!(pipeline.sweep().await.deleted, 1);
    let state = pipeline.state(&chunk.document_id).await;
    let receipt = state.receipt().expect("it is in the vault");
    assert!(receipt.metadata().is_some(), "{receipt:?}");
    let opened = pipeline.source.model().opened.len();
    assert_eq!(opened, 1, "the media is not read again");
}

#[tokio::test(start_paused = true)]
async fn metadata_beyond_its_limit_keeps_its_source_and_its_copy_is_never_called_safe() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let media = content(100, 1);
    let metadata = vec![b' '; (4 << 20) + 1];
    pipeline
        .source
        .put_with_metadata(&chunk.document_id, media.clone(), metadata);
    let id = &chunk.document_id;
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    assert!(pipeline.has(&chunk, &media));
    assert_ne!(concern(&pipeline, id).await, Concern::Safe);
    pipeline.clock.advance(Duration::from_hours(1));
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert_eq!(state, ChunkState::Pending, "ACS may have it");

    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    let anomaly = state.receipt().and_then(|receipt| receipt.anomaly());
    assert!(
        anomaly.is_some_and(|it| it.contains("it is larger than any that ACS writes")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
    assert_eq!(concern(&pipeline, id).await, Concern::Attention);
    let ledger = pipeline.driver.ledger();
    let retried = ledger.retry(id, &Operator::Shell).await;
    assert_eq!(retried.expect("the ledger works"), Retried::Doubtful);
}

async fn concern(pipeline: &Pipeline, id: &DocumentId) -> Concern {
    let found = pipeline.driver.ledger().find(id).await;
    let found = found.expect("the ledger works").expect("it is there");
    let assessment = of_chunk(&found.entry, pipeline.clock.now());
    assessment.standing.concern()
}

#[tokio::test(start_paused = true)]
async fn sixty_thousand_participants_are_kept_as_metadata_and_indexed_up_to_a_cap() {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = &chunk.document_id;
    let mut people = String::new();
    for number in 0..60_000 {
        let comma = if number == 0 { "" } else { "," };
        write!(people, "{comma}{{\"participantId\":\"8:acs:{number}\"}}").expect("it is a text");
    }
    let metadata = format!("{{\"participants\":[{people}]}}");
    pipeline
        .source
        .put_with_metadata(id, content(100, 1), metadata.clone());
    pipeline.record(&chunk).await;
    pipeline.drive(id).await;
    let files = pipeline.vault.files();
    let archived = files
        .iter()
        .find(|(name, _)| name.as_str().contains("-acsmetadata."));
    assert_eq!(
        archived.map(|(_, file)| file.to_vec()),
        Some(metadata.into_bytes())
    );
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let summary = entry.metadata.expect("it was read");
    assert_eq!(
        (summary.participants.len(), summary.participants_omitted),
        (1000, 59_000)
    );
}
