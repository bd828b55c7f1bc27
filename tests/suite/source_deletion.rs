//! Which sources are deleted at ACS, whatever an event says, and which version of a file is copied.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use recording_vault::clock::Clock as _;
use recording_vault::export::entry::CutShort;
use recording_vault::export::ledger::{Accepted, AcceptedSource, Retried};
use recording_vault::export::{Budget, ChunkState, DriveOutcome};
use recording_vault::recording::{ChunkLocations, DocumentId, RecordingChunk};
use recording_vault::standing::{Standing, of_chunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore as _;
use recording_vault::store::holds::{Case, Held};

use crate::export_surprises::sample;
use crate::support::fake_source::{Fault, Versions};
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::{BLOCK, Pipeline, RETENTION};
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

    // The documentation of 2022 has such an event. The event of its other object may be late.
    let pipeline = Pipeline::that_deletes_other_objects();
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(state, ChunkState::Exported { .. }),
        "it waits: {state:?}"
    );
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(&one.document_id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}

/// The other chunk is exported, and not deleted at ACS yet; then the event that names its object comes.
async fn with_an_exported_other() -> (Pipeline, RecordingChunk, RecordingChunk) {
    let pipeline = Pipeline::that_deletes_other_objects();
    let other = chunk("other", 1);
    let one = naming_the_object_of(&other);
    for chunk in [&one, &other] {
        pipeline.source.put(&chunk.document_id, content(100, 1));
    }
    pipeline.record(&other).await;
    pipeline.source.model().delete_faults = [Fault::Transient].into();
    pipeline.drive(&other.document_id).await;
    pipeline.record(&one).await;
    (pipeline, one, other)
}

#[tokio::test]
async fn another_object_is_deleted_only_while_the_vault_has_its_copy() {
    let (pipeline, one, other) = with_an_exported_other().await;
    pipeline.drive(&one.document_id).await;
    assert_eq!(pipeline.source.model().deleted, [other.document_id]);

    let (pipeline, one, _other) = with_an_exported_other().await;
    pipeline.vault.lose_everything();
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(state, ChunkState::Exported { .. }),
        "it waits: {state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_file_in_the_customers_storage_does_not_replace_the_object_of_its_name_at_acs() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let other = chunk("other", 1);
    let one = naming_the_object_of(&other);
    let mut in_place = other.clone();
    in_place.locations = ChunkLocations {
        content: Some("https://customer.blob.core.windows.net/calls/other.wav".to_owned()),
        ..ChunkLocations::default()
    };
    pipeline.external.put_at(&in_place, content(100, 1));
    pipeline.record(&in_place).await;
    pipeline.drive(&other.document_id).await;
    let state = pipeline.state(&other.document_id).await;
    assert!(matches!(state, ChunkState::InPlace { .. }), "{state:?}");
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    assert!(pipeline.source.model().deleted.is_empty());
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
        pipeline.source.model().versions = Versions::Named;
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

/// An event announces a longer file while another process stands still at this request, for longer than an entry counts.
/// Both files are in the vault when the source is deleted.
async fn both_are_copied_when_longer_comes(
    (kind, prefix, skip): (Kind, &'static str, usize),
    holds_another: bool,
) {
    let pipeline = Pipeline::new();
    let lasting = |duration_ms| RecordingChunk {
        duration_ms: Some(duration_ms),
        ..chunk("a", 0)
    };
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&lasting(1000)).await;
    if holds_another {
        hold_another(&pipeline).await;
    }
    let held = HeldStore::holding(&pipeline.store, kind, prefix, skip);
    let driver = pipeline.another_through(held.clone());
    let mut driving = pin!(driver.drive(id, Budget::of(Duration::from_hours(1))));
    tokio::select! {
        outcome = &mut driving => panic!("it does not get that far: {outcome:?}"),
        () = held.reached() => {}
    }
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");
    pipeline.record(&lasting(2000)).await;
    if !holds_another {
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    held.release();
    driving.await.expect("the ledger works");
    pipeline.sweep().await;
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(
        matches!(entry.state, ChunkState::SourceDeleted { .. }),
        "{kind:?} {prefix}: {:?}",
        entry.state
    );
    let copied = entry.further.iter().filter(|one| one.receipt().is_some());
    assert_eq!(copied.count(), 1, "{kind:?} {prefix}: {:?}", entry.further);
}

async fn hold_another(pipeline: &Pipeline) {
    let another = "another".parse().expect("it is a recording");
    hold(pipeline, Held::RecordingId(another)).await;
}

async fn hold(pipeline: &Pipeline, held: Held) {
    let case = Case {
        tag: "A-1".parse().expect("it is a tag"),
        by: None,
        requested_by: None,
        note: None,
        since: jiff::Timestamp::UNIX_EPOCH,
    };
    let holds = pipeline.driver.ledger().holds();
    let added = holds.add(&held, &case).await;
    added.expect("the ledger works");
}

#[tokio::test(start_paused = true)]
async fn a_longer_file_that_is_announced_right_before_the_deletion_is_copied_first() {
    // The first of these lists is read when the key of people is made.
    Box::pin(both_are_copied_when_longer_comes(
        (Kind::List, "holds/", 1),
        false,
    ))
    .await;
    // Anything is held: the look at the holds is more than one request.
    Box::pin(both_are_copied_when_longer_comes(
        (Kind::List, "holds/", 2),
        true,
    ))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_announced_right_before_the_deletion_keeps_the_source() {
    let pipeline = Pipeline::new();
    let (first, mut elsewhere) = (chunk("a", 0), chunk("a", 0));
    let object = "https://eu-storage.asm.skype.com/v1/objects/a";
    elsewhere.locations.content = Some(format!("{object}/content/audio"));
    pipeline.source.put(&first.document_id, content(100, 1));
    pipeline.record(&first).await;
    let held = HeldStore::holding(&pipeline.store, Kind::List, "holds/", 1);
    let driver = pipeline.another_through(held.clone());
    let budget = Budget::of(Duration::from_hours(1));
    let mut driving = pin!(driver.drive(&first.document_id, budget));
    tokio::select! {
        outcome = &mut driving => panic!("it does not get that far: {outcome:?}"),
        () = held.reached() => {}
    }
    let state = pipeline.state(&first.document_id).await;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");
    pipeline.record(&elsewhere).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    held.release();
    driving.await.expect("the ledger works");
    assert!(pipeline.source.model().deleted.is_empty());
    let found = pipeline.driver.ledger().find(&first.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(entry.intent.is_none(), "nothing is about to be deleted");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_an_event_adds_right_before_the_deletion_is_looked_up_among_the_holds() {
    let pipeline = Pipeline::new();
    let named = chunk("a", 0);
    let unnamed = RecordingChunk {
        recording_id: None,
        call_id: None,
        ..named.clone()
    };
    let id = &named.document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&unnamed).await;
    let recording = named.recording_id.clone().expect("the chunk has one");
    hold(&pipeline, Held::RecordingId(recording)).await;
    let held = HeldStore::holding(&pipeline.store, Kind::List, "holds/", 1);
    let driver = pipeline.another_through(held.clone());
    let mut driving = pin!(driver.drive(id, Budget::of(Duration::from_hours(1))));
    tokio::select! {
        outcome = &mut driving => panic!("it does not get that far: {outcome:?}"),
        () = held.reached() => {}
    }
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");
    pipeline.record(&named).await;
    held.release();
    driving.await.expect("the ledger works");
    assert!(pipeline.source.model().deleted.is_empty());
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(entry.intent.is_none(), "nothing is about to be deleted");
}

#[tokio::test(start_paused = true)]
async fn a_longer_file_that_is_announced_before_the_deletion_is_noted_counts_as_lost_with_it() {
    let pipeline = Pipeline::new();
    let lasting = |duration_ms| RecordingChunk {
        duration_ms: Some(duration_ms),
        ..chunk("a", 0)
    };
    let id = &lasting(1000).document_id;
    pipeline.source.put(id, content(100, 1));
    pipeline.record(&lasting(1000)).await;
    // The claim, the copy with the intent, and the end.
    let held = HeldStore::holding(&pipeline.store, Kind::Put, "chunks/", 2);
    let driver = pipeline.another_through(held.clone());
    let mut driving = pin!(driver.drive(id, Budget::of(Duration::from_hours(1))));
    tokio::select! {
        outcome = &mut driving => panic!("it does not get that far: {outcome:?}"),
        () = held.reached() => {}
    }
    assert_eq!(pipeline.source.model().deleted, std::slice::from_ref(id));
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::Exported { .. }), "{state:?}");
    pipeline.record(&lasting(2000)).await;
    held.release();
    driving.await.expect("the ledger works");
    pipeline.sweep().await;
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(
        matches!(entry.state, ChunkState::SourceDeleted { .. }),
        "{:?}",
        entry.state
    );
    assert_eq!(entry.cut_short(), Some(CutShort::FormNotCopied));
}

/// A part that can never be read.
fn never() -> VecDeque<Fault> {
    std::iter::repeat_n(Fault::Transient, 10_000).collect()
}

#[tokio::test(start_paused = true)]
async fn metadata_that_was_never_copied_is_not_deleted_when_its_time_has_passed() {
    let pipeline = Pipeline::with_delete_delay(RETENTION + Duration::from_hours(1));
    let (mut first, whole) = (chunk("a", 0), chunk("a", 0));
    first.locations.metadata = None;
    let id = &whole.document_id;
    pipeline.source.put(id, sample());
    pipeline.record(&first).await;
    pipeline.drive(id).await;
    pipeline.source.model().metadata_faults = never();
    pipeline.record(&whole).await;
    pipeline.drive(id).await;
    assert_eq!(standing_of(&pipeline, id).await, Standing::Waiting);
    pipeline.clock.advance(RETENTION / 2);
    pipeline.sweep().await;
    assert_eq!(standing_of(&pipeline, id).await, Standing::AtRisk);
    pipeline
        .clock
        .advance(RETENTION / 2 + Duration::from_hours(2));
    pipeline.sweep().await;
    assert_eq!(standing_of(&pipeline, id).await, Standing::Doubtful);
    let state = pipeline.state(id).await;
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
}

async fn standing_of(pipeline: &Pipeline, id: &DocumentId) -> Standing {
    let found = pipeline.driver.ledger().find(id).await;
    let found = found.expect("the ledger works").expect("it is there");
    of_chunk(&found.entry, pipeline.clock.now()).standing
}

/// A chunk that was driven once while its metadata had these faults.
async fn driven_with(metadata_faults: VecDeque<Fault>) -> (Pipeline, DocumentId) {
    let pipeline = Pipeline::new();
    let chunk = chunk("a", 0);
    let id = chunk.document_id.clone();
    pipeline.source.put(&id, sample());
    pipeline.source.model().metadata_faults = metadata_faults;
    pipeline.record(&chunk).await;
    pipeline.drive(&id).await;
    (pipeline, id)
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_metadata_acs_itself_does_not_have_is_deleted() {
    let (pipeline, id) = driven_with(never()).await;
    let id = &id;
    pipeline.clock.advance(RETENTION);
    pipeline.source.model().metadata_faults = [Fault::Gone].into();
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(state, ChunkState::SourceDeleted { .. }),
        "{state:?}"
    );
    let anomaly = state.receipt().and_then(|receipt| receipt.anomaly());
    assert_eq!(anomaly, None, "it keeps no source");
    // Who was in the call is not known.
    let found = pipeline.driver.ledger().find(id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let doubts: Vec<&str> = entry.doubts().collect();
    let expected = ["its metadata is missing from the vault: ACS no longer has it"];
    assert_eq!(doubts, expected);
    assert_eq!(standing_of(&pipeline, id).await, Standing::Doubtful);
    let ledger = pipeline.driver.ledger();
    let accepted = ledger.accept(id, &Operator::Shell).await;
    let accepted = accepted.expect("the ledger works");
    assert_eq!(accepted, Accepted::Accepted(AcceptedSource::Gone));
    assert_eq!(standing_of(&pipeline, id).await, Standing::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_copy_counts_although_its_metadata_is_refused_and_its_source_is_kept() {
    let (pipeline, id) = driven_with([Fault::Refused].into()).await;
    let id = &id;
    let state = pipeline.state(id).await;
    let anomaly = state.receipt().and_then(|receipt| receipt.anomaly());
    assert!(
        anomaly.is_some_and(|anomaly| anomaly.contains("its metadata is not in the vault")),
        "{state:?}"
    );
    assert!(matches!(state, ChunkState::SourceLeft { .. }), "{state:?}");
    assert!(pipeline.source.model().deleted.is_empty());
    // The host is one of ACS's since.
    let ledger = pipeline.driver.ledger();
    let retried = ledger.retry(id, &Operator::Shell).await;
    assert_eq!(retried.expect("the ledger works"), Retried::Opened);
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(&state, ChunkState::SourceDeleted { receipt, .. } if receipt.metadata().is_some()),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_copy_counts_although_acs_never_gave_its_metadata() {
    let (pipeline, id) = driven_with(never()).await;
    let id = &id;
    pipeline.clock.advance(RETENTION);
    pipeline.sweep().await;
    let state = pipeline.state(id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { receipt, .. } if receipt.anomaly().is_some()),
        "{state:?}"
    );
}
