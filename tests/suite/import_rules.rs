//! What an import never does: delete a source, take over an export, undo an erasure, or report a loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use recording_vault::clock::Clock;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::{AccountOrigin, RecordingRegister};
use recording_vault::export::driver::import::{ErasureLookup, ErasureStatus, FilesToImport};
use recording_vault::export::ledger::Retried;
use recording_vault::export::{ChunkState, ExportSweep, LedgerEntry};
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::acknowledge::Acknowledging;
use recording_vault::operator_actions::import::{
    ImportOutcome, ImportRequest, ImportSubject, NewRecording,
};
use recording_vault::recording::{DocumentId, RecordingChunk, RecordingId};
use recording_vault::standing::{OperatorStep, Standing, of_chunk};

use crate::holds::FAULTS;
use crate::imports::{Downloaded, actions, downloaded, import, lost, of_document};
use crate::support::fake_source::Fault as SourceFault;
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget};
use crate::support::{chunk, content};

async fn entry(pipeline: &Pipeline, id: &DocumentId) -> LedgerEntry {
    let found = pipeline.driver.ledger().find(id).await;
    found.expect("the ledger works").expect("it is there").entry
}

/// A chunk whose event names the source of another as its own.
fn naming_the_source_of(other: &RecordingChunk) -> RecordingChunk {
    let mut one = chunk("one", 0);
    one.locations.delete.clone_from(&other.locations.delete);
    one
}

/// Exports a chunk whose event names the source of `other`, which must survive.
async fn assert_source_survives(pipeline: &Pipeline, other: &RecordingChunk) {
    let one = naming_the_source_of(other);
    pipeline.source.put(&one.document_id, content(100, 1));
    pipeline.record(&one).await;
    pipeline.drive(&one.document_id).await;
    let state = pipeline.state(&one.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("`other`")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
    assert!(pipeline.source.has(&other.document_id));
}

#[tokio::test]
async fn an_imported_copy_permits_no_deletion_through_the_event_of_another_chunk() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let other = chunk("other", 1);
    pipeline.source.put(&other.document_id, &b"at ACS"[..]);
    pipeline.source.with_faults([SourceFault::Refused]);
    pipeline.record(&other).await;
    pipeline.drive(&other.document_id).await;
    let importing = import(&pipeline, of_document(&other.document_id, &downloaded(1))).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::Imported(_)),
        "{importing:?}"
    );
    assert_source_survives(&pipeline, &other).await;
}

#[tokio::test]
async fn a_copy_that_may_be_incomplete_permits_no_deletion_through_the_event_of_another_chunk() {
    let pipeline = Pipeline::that_deletes_other_objects();
    let mut other = chunk("other", 1);
    other.end_reason = Some("ChunkUploadFailure".to_owned());
    pipeline.source.put(&other.document_id, content(100, 2));
    pipeline.record(&other).await;
    pipeline.drive(&other.document_id).await;
    let state = pipeline.state(&other.document_id).await;
    assert!(state.receipt().is_some(), "{state:?}");
    assert_source_survives(&pipeline, &other).await;
}

#[tokio::test]
async fn a_chunk_whose_event_names_no_location_is_not_taken_over_while_it_is_exported() {
    let pipeline = Pipeline::new();
    let mut chunk = chunk("a", 0);
    (chunk.locations.content, chunk.locations.metadata) = (None, None);
    pipeline.record(&chunk).await;
    let importing = import(&pipeline, of_document(&chunk.document_id, &downloaded(2))).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::StillExported),
        "{importing:?}"
    );
    assert_eq!(
        pipeline.state(&chunk.document_id).await,
        ChunkState::Pending
    );
}

#[tokio::test]
async fn an_import_that_was_not_finished_is_no_loss_and_says_what_to_do() {
    let pipeline = Pipeline::new();
    let id: DocumentId = "imported-1".parse().expect("it is an id");
    let recording = "forgotten".parse().expect("it is an id");
    let chunk = RecordingChunk::unannounced(id.clone(), 0, recording);
    let ledger = pipeline.driver.ledger();
    let recorded = ledger
        .record_for_import(chunk.clone(), &Operator::Shell)
        .await;
    recorded.expect("the ledger works");
    pipeline.drive(&id).await;
    pipeline.clock.advance(2 * RETENTION);
    let report = pipeline.sweep().await;
    assert_eq!(
        (report.expired, report.dead_lettered, report.at_risk_90),
        (0, 0, 0),
        "{report:?}"
    );
    let unfinished = entry(&pipeline, &id).await;
    assert_eq!(unfinished.state, ChunkState::Pending);
    let assessment = of_chunk(&unfinished, pipeline.clock.now());
    assert_eq!(assessment.standing, Standing::Failed);
    assert!(assessment.reasons[0].contains("not finished"));
    assert!(
        assessment
            .next_step
            .advice()
            .is_some_and(|advice| advice.contains("import"))
    );

    // ACS has nothing of it, so no sweep can do what a retry promises.
    let retried = ledger.retry(&id, &Operator::Shell).await;
    assert_eq!(
        retried.expect("the ledger works"),
        Retried::UnfinishedImport
    );

    // An event that announces it makes it a chunk like any other.
    pipeline.record(&chunk).await;
    let announced = entry(&pipeline, &id).await;
    assert!(!announced.recorded_for_import && announced.is_open());
}

fn of_new_recording(file: &Downloaded) -> ImportRequest {
    ImportRequest {
        subject: ImportSubject::New(NewRecording {
            recording_id: "forgotten".parse().expect("it is an id"),
            call_id: None,
            started_at: "2026-03-02T09:00:00Z".parse().ok(),
            index: 0,
            is_last: true,
        }),
        ..of_document(&"unused".parse().expect("it is an id"), file)
    }
}

/// Of an import that did not end, the survey says so, whatever was written; and a person can end it without the file.
async fn assert_begun_import_is_named(durable: &Durable, what: &str) {
    let register = durable.register(&Plan::calm());
    let account = register
        .find(&"forgotten".parse().expect("it is an id"))
        .await;
    let listed = account.expect("the register works");
    let listed = listed.iter().flat_map(|account| account.files.documents());
    for (_, id) in listed {
        let found = durable.ledger().find(id).await.expect("the ledger works");
        assert!(found.is_some(), "{id} is listed and has no entry; {what}");
    }
    let entries = durable.ledger().entries(|_| true).await;
    let entries = entries.expect("the ledger works").found;
    let [entry] = &entries[..] else { return };
    if entry.state != ChunkState::Pending {
        return;
    }
    let catalogue = durable.catalogue(&Plan::calm());
    let survey = catalogue.survey(None).await.expect("the ledger works");
    let rules = survey.rules;
    let (recordings, _limits) = survey.into_parts();
    let rows: Vec<_> = recordings.iter().map(|one| one.row(rules)).collect();
    let [row] = &rows[..] else {
        panic!("{rows:?}; {what}")
    };
    assert_eq!(
        (row.status, row.next_step),
        (Standing::Failed, OperatorStep::ImportAgain),
        "{row:?}; {what}"
    );
    let actions = durable.actions(&Plan::calm());
    let id = &entry.chunk.document_id;
    let acknowledging = actions.acknowledge_chunk(id, "not needed", &Operator::Shell);
    let acknowledged = acknowledging.await.expect("the ledger works");
    assert!(
        matches!(acknowledged, Acknowledging::Acknowledged { .. }),
        "{acknowledged:?}; {what}"
    );
    let survey = catalogue.survey(None).await.expect("the ledger works");
    let counts = survey.counts();
    assert!(
        counts.keys().all(|standing| standing.is_settled()),
        "{counts:?}; {what}"
    );
}

/// An import of an unknown recording with a fault at a call, a sweep, and the import again. Whether it got as far.
async fn is_imported_despite(number: usize, fault: Fault) -> bool {
    let what = format!("{fault:?} at call {number}");
    let (durable, file) = (Durable::new(&[]), downloaded(3));
    let calm = durable.instance(&Plan::calm());
    let clock: Arc<dyn Clock> = durable.clock.clone();
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let faulty = actions(&driver, durable.register(&plan), &clock);
    tokio::select! {
        _ = faulty.import(of_new_recording(&file), &driver, &Operator::Shell, budget()) => {}
        () = plan.killed() => {}
    }
    durable.clock.advance(2 * RETENTION + 2 * CLAIM_TTL);
    let sweep = ExportSweep::new(Arc::clone(&calm)).run(budget()).await;
    let report = sweep.expect("the ledger works");
    assert_eq!((report.expired, report.dead_lettered), (0, 0), "{what}");
    assert_begun_import_is_named(&durable, &what).await;
    let again = actions(&calm, durable.register(&Plan::calm()), &clock);
    let importing = again.import(of_new_recording(&file), &calm, &Operator::Shell, budget());
    let importing = importing.await.expect("the ledger works");
    assert!(
        matches!(
            importing.outcome,
            ImportOutcome::Imported(_) | ImportOutcome::AlreadyProved
        ),
        "{importing:?}; {what}"
    );
    assert!(durable.source.model().deleted.is_empty(), "{what}");
    plan.calls() > number
}

#[tokio::test]
async fn no_fault_at_any_call_of_an_import_of_an_unknown_recording_is_reported_as_a_loss() {
    for fault in FAULTS {
        let mut number = 0;
        while Box::pin(is_imported_despite(number, fault)).await {
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole import?");
    }
}

/// Says that a recording is erased from the second lookup on.
#[derive(Default)]
struct ErasedMeanwhile(AtomicUsize);

#[async_trait]
impl ErasureLookup for ErasedMeanwhile {
    async fn erasure_of(&self, _recording: &RecordingId) -> ErasureStatus {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => ErasureStatus::NotErased,
            _ => ErasureStatus::Erased,
        }
    }
}

#[tokio::test]
async fn a_recording_that_is_erased_while_its_file_is_copied_gets_no_copy() {
    let (pipeline, chunk) = lost().await;
    pipeline.source.put(&chunk.document_id, content(100, 4));
    let files = FilesToImport {
        source: pipeline.source.clone(),
        erasures: Arc::new(ErasedMeanwhile::default()),
        has_metadata: false,
        kind: None,
        from: "portal.wav".to_owned(),
    };
    let importing = pipeline
        .driver
        .import(&chunk.document_id, files, &Operator::Shell, budget());
    let outcome = importing.await.expect("the ledger works");
    assert!(matches!(outcome, ImportOutcome::Removed), "{outcome:?}");
    let after = entry(&pipeline, &chunk.document_id).await;
    assert!(after.state.is_loss(), "{:?}", after.state);
    assert!(!after.is_claimed(pipeline.clock.now()));
}

#[tokio::test]
async fn a_recording_that_is_erased_or_runs_stays_so_when_a_file_of_it_is_imported() {
    let pipeline = Pipeline::new();
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let id: RecordingId = "forgotten".parse().expect("it is an id");
    let now = pipeline.clock.now();
    let started = register.change(&id, now, |_| {}).await;
    assert!(started.expect("the register works").is_running());
    let importing = import(&pipeline, of_new_recording(&downloaded(5))).await;
    assert!(
        matches!(importing.outcome, ImportOutcome::Imported(_)),
        "{importing:?}"
    );
    let account = register.find(&id).await.expect("the register works");
    assert!(account.expect("it is registered").is_running());

    let erased = recording_vault::control::entry::Erased {
        at: now,
        reason: "asked for".to_owned(),
    };
    let erasing = register.erase(&id, &erased).await;
    erasing.expect("the register works");
    let before = register.find(&id).await.expect("the register works");
    let importing = import(&pipeline, of_new_recording(&downloaded(6))).await;
    assert!(matches!(importing.outcome, ImportOutcome::Removed));
    let after = register.find(&id).await.expect("the register works");
    assert_eq!(after, before, "nothing was registered");
}

#[tokio::test]
async fn an_import_ends_no_wait_for_the_files_that_an_event_is_to_announce() {
    let pipeline = Pipeline::new();
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let id: RecordingId = "forgotten".parse().expect("it is an id");
    let now = pipeline.clock.now();
    let stopping = register.change(&id, now, |account| account.stop(now)).await;
    assert!(stopping.expect("the register works").is_awaited());
    import(&pipeline, of_new_recording(&downloaded(5))).await;
    let account = register.find(&id).await.expect("the register works");
    assert!(account.expect("it is registered").is_awaited());

    let report = |account: &mut RegisteredRecording| account.files.missing_since = Some(now);
    let reported = register.change(&id, now, report).await;
    assert!(reported.expect("the register works").is_missing());
    import(&pipeline, of_new_recording(&downloaded(6))).await;
    let account = register.find(&id).await.expect("the register works");
    assert!(!account.expect("it is registered").is_missing());
}

#[tokio::test]
async fn a_change_learns_at_the_write_that_the_account_exists_meanwhile() {
    let pipeline = Pipeline::new();
    let register = RecordingRegister::new(pipeline.store.clone(), Duration::from_mins(30));
    let id: RecordingId = "forgotten".parse().expect("it is an id");
    let now = pipeline.clock.now();
    let decided = AtomicUsize::new(0);
    let change = |account: &mut RegisteredRecording, origin: AccountOrigin| {
        if decided.fetch_add(1, Ordering::Relaxed) == 0 {
            // Another process registers the recording between the read and the write.
            let started = register.change(&id, now, |_| {}).now_or_never();
            started
                .expect("the store answers at once")
                .expect("the register works");
        }
        if origin == AccountOrigin::Opened {
            account.stop(now);
        }
    };
    let changed = register.change_knowing(&id, now, change).await;
    assert!(changed.expect("the register works").is_running());
}
