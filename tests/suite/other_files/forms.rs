//! Longer forms of a file: announced while an attempt at a shorter one is under way, or not to be copied.

use acs_simulator::media::Media;
use recording_vault::export::DriveOutcome;
use recording_vault::export::destination::{BlobProperties, CommitOutcome, ExportDestination as _};
use recording_vault::export::entry::Risk;
use recording_vault::export::layout;
use recording_vault::export::ledger::{AcknowledgedChunk, Retried};
use recording_vault::recording::Acknowledgement;
use recording_vault::standing::{OperatorStep, Standing, of_chunk};
use recording_vault::store::document_store::DocumentStore as _;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

async fn standing(pipeline: &Pipeline, id: &DocumentId) -> Standing {
    let entry = entry(pipeline, id).await;
    of_chunk(&entry, pipeline.clock.now()).standing
}

fn fail_metadata(pipeline: &Pipeline, times: usize) {
    let faults = std::iter::repeat_n(Fault::Transient, times);
    pipeline.source.model().metadata_faults = faults.collect();
}

/// Sweeps until nothing is open.
async fn settle(pipeline: &Pipeline) {
    fail_metadata(pipeline, 0);
    for _ in 0..20 {
        pipeline.clock.advance(Duration::from_mins(10));
        if pipeline.sweep().await.seen == 0 {
            return;
        }
    }
    panic!("something stays open");
}

/// A copied file, whose source is not deleted yet.
async fn copied() -> (Pipeline, DocumentId) {
    let pipeline = Pipeline::with_delete_delay(HOUR);
    let id = lasting(1000).document_id;
    pipeline.source.put(&id, content(900, 1));
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(&id).await;
    (pipeline, id)
}

/// The same with media that agrees with its event.
async fn copied_whole() -> (Pipeline, DocumentId) {
    let pipeline = Pipeline::with_delete_delay(HOUR);
    let id = lasting(1000).document_id;
    let wav = Media::wav(1, 1000, 1);
    let file = wav.read(0, usize::try_from(wav.len()).expect("it fits"));
    let metadata = format!("{{\"chunkDocumentId\": \"{id}\"}}");
    pipeline.source.put_with_metadata(&id, file, metadata);
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(&id).await;
    (pipeline, id)
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_is_the_same_file_until_an_attempt_begins() {
    let pipeline = Pipeline::new();
    pipeline.record(&lasting(1000)).await;
    let recorded = record(&pipeline, &lasting(2000)).await;
    assert_eq!(recorded, Recorded::AlreadyKnown);
    let entry = entry(&pipeline, &lasting(1000).document_id).await;
    assert_eq!(entry.chunk.duration_ms, Some(2000));
    assert!(entry.further.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_is_copied_though_the_shorter_one_is_only_half_done() {
    let pipeline = Pipeline::new();
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    fail_metadata(&pipeline, 5);
    pipeline.record(&lasting(1000)).await;
    pipeline.drive(id).await;
    assert_eq!(media(&pipeline, 1), Some(content(900, 1)));
    assert_eq!(pipeline.state(id).await, ChunkState::Pending);

    pipeline.source.put(id, content(1900, 2));
    let recorded = record(&pipeline, &lasting(2000)).await;
    assert_eq!(recorded, Recorded::OtherFile(OtherFile::Longer));
    settle(&pipeline).await;
    assert_eq!(media(&pipeline, 1), Some(content(900, 1)));
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_is_copied_though_another_further_file_is_only_half_done() {
    let (pipeline, id) = copied().await;
    pipeline.source.put(&id, content(1900, 2));
    fail_metadata(&pipeline, 5);
    record(&pipeline, &lasting(2000)).await;
    assert_eq!(
        record(&pipeline, &lasting(3000)).await,
        Recorded::AlreadyKnown
    );
    pipeline.drive(&id).await;
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert!(entry(&pipeline, &id).await.further[0].is_pending());

    pipeline.source.put(&id, content(2900, 3));
    let recorded = record(&pipeline, &lasting(4000)).await;
    assert_eq!(recorded, Recorded::OtherFile(OtherFile::Longer));
    settle(&pipeline).await;
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(media(&pipeline, 3), Some(content(2900, 3)));
    assert_eq!(pipeline.source.model().deleted, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_that_is_announced_during_the_first_transfer_is_copied() {
    let pipeline = Pipeline::new();
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(900, 1));
    let slowly = Fault::Trickle(Duration::from_millis(10));
    pipeline.source.with_faults([slowly]);
    pipeline.record(&lasting(1000)).await;
    let announced = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        pipeline.source.put(id, content(1900, 2));
        record(&pipeline, &lasting(2000)).await
    };
    let (_, recorded) = tokio::join!(pipeline.drive(id), announced);
    assert_eq!(recorded, Recorded::OtherFile(OtherFile::Longer));
    settle(&pipeline).await;
    assert_eq!(media(&pipeline, 1), Some(content(900, 1)));
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_whose_name_is_taken_is_copied_under_another() {
    let (pipeline, id) = copied().await;
    let before = entry(&pipeline, &id).await;
    let second = RecordingChunk {
        file_number: place(2),
        ..lasting(2000)
    };
    let kind = second.media_kind().expect("a test's chunk has a kind");
    let taken = layout::media(&before.folder, &second, kind);
    let properties = BlobProperties {
        content_type: "audio/wav",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let foreign = content(1500, 9).into();
    let put = pipeline.vault.put(&taken, foreign, &properties).await;
    assert_eq!(put.expect("memory works"), CommitOutcome::Committed);
    pipeline.source.put(&id, content(1900, 2));
    record(&pipeline, &second).await;
    settle(&pipeline).await;

    let after = entry(&pipeline, &id).await;
    let receipt = after.further[0].receipt().expect("it is in the vault");
    assert_ne!(after.folder_of(place(2)), before.folder);
    let files = pipeline.vault.files();
    assert_eq!(files[receipt.media().name()], content(1900, 2));
    assert_eq!(files[&taken], content(1500, 9), "it is not ours");
    assert_eq!(pipeline.source.model().deleted, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_that_is_not_copied_keeps_the_source_and_is_reported_until_it_is_acknowledged()
 {
    let (pipeline, id) = copied_whole().await;
    pipeline.source.with_faults([Fault::Refused]);
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    assert!(matches!(
        entry(&pipeline, &id).await.further[0].state,
        FurtherState::Refused { .. }
    ));
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
    let state = pipeline.state(&id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("longer form")),
        "{state:?}"
    );
    assert_eq!(standing(&pipeline, &id).await, Standing::Incomplete);

    let why = Acknowledgement {
        at: pipeline.clock.now(),
        by: None,
        reason: "a test call".to_owned(),
    };
    let ledger = pipeline.driver.ledger();
    let acknowledged = ledger.acknowledge(&id, &why, &Operator::Shell).await;
    assert_eq!(
        acknowledged.expect("the ledger works"),
        AcknowledgedChunk::Acknowledged
    );
    assert_eq!(standing(&pipeline, &id).await, Standing::Acknowledged);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_loss_covers_no_form_that_is_announced_later() {
    let (pipeline, id) = copied_whole().await;
    pipeline.source.with_faults([Fault::Refused]);
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    let why = Acknowledgement {
        at: pipeline.clock.now(),
        by: None,
        reason: "a test call".to_owned(),
    };
    let ledger = pipeline.driver.ledger();
    let acknowledging = ledger.acknowledge(&id, &why, &Operator::Shell);
    acknowledging.await.expect("the ledger works");
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    assert_eq!(standing(&pipeline, &id).await, Standing::Acknowledged);

    pipeline.source.with_faults([Fault::Refused]);
    record(&pipeline, &lasting(3000)).await;
    assert_eq!(standing(&pipeline, &id).await, Standing::Incomplete);
    pipeline.drive(&id).await;
    assert_eq!(standing(&pipeline, &id).await, Standing::Incomplete);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_opens_an_acknowledged_form_while_acs_may_have_it_and_not_later() {
    for (later, is_opened) in [(HOUR, true), (60 * HOUR, false)] {
        let (pipeline, id) = copied_whole().await;
        pipeline.source.with_faults([Fault::Refused]);
        record(&pipeline, &lasting(2000)).await;
        pipeline.drive(&id).await;
        let why = Acknowledgement {
            at: pipeline.clock.now(),
            by: None,
            reason: "a test call".to_owned(),
        };
        let ledger = pipeline.driver.ledger();
        let acknowledging = ledger.acknowledge(&id, &why, &Operator::Shell);
        acknowledging.await.expect("the ledger works");
        pipeline.clock.advance(later);
        record(&pipeline, &lasting(2000)).await;
        let entry = entry(&pipeline, &id).await;
        assert_eq!(entry.further[0].is_pending(), is_opened, "{entry:?}");
        assert_eq!(entry.acknowledged.is_none(), is_opened);
    }
}

/// Whether the lists of the index have each marker of the chunk.
async fn assert_listed(pipeline: &Pipeline, id: &DocumentId) {
    for marker in entry(pipeline, id).await.markers() {
        let found = pipeline.store.find(&marker).await;
        assert!(found.expect("the store works").is_some(), "{marker}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_without_room_is_listed_as_doubtful_at_once() {
    let (pipeline, id) = copied_whole().await;
    for duration_ms in [2000, 3000, 4000] {
        record(&pipeline, &lasting(duration_ms)).await;
        pipeline.drive(&id).await;
    }
    let recorded = record(&pipeline, &forged("other")).await;
    assert_eq!(recorded, Recorded::TooManyFiles);
    assert_eq!(standing(&pipeline, &id).await, Standing::Doubtful);
    assert_listed(&pipeline, &id).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_refused_stays_disputed() {
    let (pipeline, id) = copied_whole().await;
    record(&pipeline, &forged("other")).await;
    pipeline.source.with_faults([Fault::Refused]);
    pipeline.drive(&id).await;
    let known = entry(&pipeline, &id).await;
    assert!(matches!(
        known.further[0].state,
        FurtherState::Refused { .. }
    ));
    assert_eq!(known.disputed_places(), Some(2));
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    assert!(pipeline.source.model().deleted.is_empty());
    assert_eq!(standing(&pipeline, &id).await, Standing::Doubtful);
}

async fn retry(pipeline: &Pipeline, id: &DocumentId) -> Retried {
    let retrying = pipeline.driver.ledger().retry(id, &Operator::Shell);
    retrying.await.expect("the ledger works")
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_that_was_given_up_is_copied_when_an_operator_retries_it() {
    let (pipeline, id) = copied_whole().await;
    pipeline.source.with_faults([Fault::Refused]);
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    pipeline.clock.advance(2 * HOUR);
    pipeline.sweep().await;
    let left = entry(&pipeline, &id).await;
    assert!(
        matches!(left.state, ChunkState::SourceLeft { .. }),
        "{:?}",
        left.state
    );
    let assessment = of_chunk(&left, pipeline.clock.now());
    assert_eq!(assessment.next_step, OperatorStep::Retry);
    assert!(left.is_worth_a_retry(pipeline.clock.now()));

    pipeline.source.put(&id, content(1900, 2));
    assert_eq!(retry(&pipeline, &id).await, Retried::Opened);
    assert_eq!(retry(&pipeline, &id).await, Retried::AlreadyOpen);
    settle(&pipeline).await;
    assert_eq!(media(&pipeline, 2), Some(content(1900, 2)));
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(&id));
    assert_eq!(retry(&pipeline, &id).await, Retried::Safe);
}

#[tokio::test(start_paused = true)]
async fn a_longer_form_that_is_lost_is_not_called_safe_when_an_operator_retries_it() {
    let (pipeline, id) = copied_whole().await;
    pipeline.source.with_faults([Fault::Refused]);
    record(&pipeline, &lasting(2000)).await;
    pipeline.drive(&id).await;
    pipeline.clock.advance(RETENTION + HOUR);
    pipeline.sweep().await;
    assert_eq!(retry(&pipeline, &id).await, Retried::NotWhole);
    let lost = entry(&pipeline, &id).await;
    assert!(!lost.is_worth_a_retry(pipeline.clock.now()));
    let assessment = of_chunk(&lost, pipeline.clock.now());
    assert_eq!(assessment.next_step, OperatorStep::Acknowledge);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_longer_form_is_not_in_the_vault_is_at_risk_and_not_verified() {
    let (pipeline, id) = copied_whole().await;
    assert_eq!(standing(&pipeline, &id).await, Standing::Verified);
    record(&pipeline, &lasting(2000)).await;
    let announced = entry(&pipeline, &id).await;
    let assessment = of_chunk(&announced, pipeline.clock.now());
    assert_eq!(assessment.standing, Standing::Waiting);
    assert_eq!(assessment.deadline, announced.deadline());

    pipeline.clock.advance(RETENTION / 2 + HOUR);
    let faults = std::iter::repeat_n(Fault::Transient, 5);
    pipeline.source.with_faults(faults);
    pipeline.sweep().await;
    let late = entry(&pipeline, &id).await;
    assert_eq!(standing(&pipeline, &id).await, Standing::AtRisk);
    assert_eq!(late.reported_risk, Some(Risk::Half));
    pipeline.source.with_faults([]);
    settle(&pipeline).await;
    assert_eq!(standing(&pipeline, &id).await, Standing::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_source_of_two_chunks_waits_for_the_longer_form_of_the_other_and_is_deleted_then() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let (mut other, mut one) = (chunk("other", 1), chunk("one", 0));
    one.locations.delete = other.locations.delete.take();
    for chunk in [&other, &one] {
        pipeline.source.put(&chunk.document_id, content(900, 1));
    }
    pipeline.record(&other).await;
    pipeline.drive(&other.document_id).await;
    let longer = RecordingChunk {
        duration_ms: Some(120_000),
        ..other.clone()
    };
    pipeline.source.put(&other.document_id, content(1900, 2));
    record(&pipeline, &longer).await;
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    assert!(pipeline.source.model().deleted.is_empty());
    let state = pipeline.state(&one.document_id).await;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");

    settle(&pipeline).await;
    assert_eq!(pipeline.source.model().deleted, [other.document_id.clone()]);
    let entry = entry(&pipeline, &other.document_id).await;
    assert!(entry.further[0].receipt().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_form_that_cannot_be_proved_is_not_read_again_every_few_seconds() {
    let (pipeline, id) = copied_whole().await;
    pipeline.source.put(&id, content(1900, 2));
    record(&pipeline, &lasting(2000)).await;
    pipeline.vault.confirm_nothing();
    pipeline.vault.damage_writes(true);
    let mut delay = Duration::ZERO;
    for _ in 0..12 {
        let DriveOutcome::Failed { until, .. } = pipeline.drive(&id).await else {
            panic!("it cannot be proved");
        };
        delay = Duration::try_from(until.duration_since(pipeline.clock.now()))
            .expect("it is later than now");
        pipeline.clock.advance(delay);
    }
    assert!(delay > Duration::from_mins(1), "{delay:?}");
    let entry = entry(&pipeline, &id).await;
    assert!(entry.further[0].is_pending());
    assert_eq!(
        of_chunk(&entry, pipeline.clock.now()).standing,
        Standing::AtRisk
    );
}
