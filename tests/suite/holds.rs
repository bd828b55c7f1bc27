//! What is held is deleted nowhere, whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::Timestamp;
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::Clock;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::ledger::{
    Admission, Circumstances, Expected, LedgerError, Recorded, Solicitation,
};
use recording_vault::export::retention::Removal;
use recording_vault::export::{ChunkState, DriveOutcome, ExportSweep, Vaults};
use recording_vault::operator_actions::OperatorActions;
use recording_vault::operator_actions::hold::{Holding, RequestedHold};
use recording_vault::recording::{RecordedCall, RecordingChunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Case, Held, Holds, ReleaseOutcome};

use crate::retention::past;
use crate::support::pipeline::{Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};
use crate::support::{chunk, content};

pub(crate) const YEAR: Duration = Duration::from_hours(8760);
pub(crate) const FAULTS: [Fault; 4] = [
    Fault::FailBefore,
    Fault::FailAfter,
    Fault::KillBefore,
    Fault::KillAfter,
];

pub(crate) fn case(tag: &str) -> Case {
    Case {
        tag: tag.parse().expect("a test's tag is valid"),
        by: None,
        requested_by: None,
        note: None,
        since: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn recording_of(chunk: &RecordingChunk) -> Held {
    Held::RecordingId(
        chunk
            .recording_id
            .clone()
            .expect("a test's chunk is of a recording"),
    )
}

/// A chunk of a recording of its own.
pub(crate) fn chunk_of(recording: &str, id: &str) -> RecordingChunk {
    RecordingChunk {
        recording_id: recording.parse().ok(),
        ..chunk(id, 0)
    }
}

pub(crate) async fn hold(holds: &Holds, held: &Held) {
    holds
        .add(held, &case("A-1"))
        .await
        .expect("the ledger works");
}

pub(crate) async fn release(holds: &Holds, held: &Held) {
    let released = holds
        .release(held, &case("A-1").tag, || {
            futures::future::ready(Ok(())).boxed()
        })
        .await
        .expect("the ledger works");
    assert_eq!(released, ReleaseOutcome::Released);
}

pub(crate) async fn recorded(chunks: &[RecordingChunk]) -> Pipeline {
    let pipeline = Pipeline::new();
    for chunk in chunks {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    pipeline
}

#[tokio::test]
async fn a_held_chunk_is_exported_and_not_deleted_until_it_is_released() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    let (holds, held) = (pipeline.driver.ledger().holds(), recording_of(&chunk));
    hold(&holds, &held).await;
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    for _ in 0..10 {
        pipeline.clock.advance(Duration::from_mins(15));
        let outcome = pipeline.drive(&chunk.document_id).await;
        assert!(
            matches!(outcome, DriveOutcome::Waiting { .. }),
            "{outcome:?}"
        );
    }
    let found = pipeline
        .driver
        .ledger()
        .find(&chunk.document_id)
        .await
        .expect("the ledger works")
        .expect("it is there");
    assert!(
        matches!(found.entry.state, ChunkState::Exported { .. }),
        "{:?}",
        found.entry.state
    );
    assert!(
        found.entry.failures.is_empty() && found.entry.attempts == 0,
        "to be held is no failure"
    );
    assert!(pipeline.source.model().deleted.is_empty());

    release(&holds, &held).await;
    pipeline.clock.advance(Duration::from_mins(15));
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

#[rstest::rstest]
#[case::recording(Held::RecordingId("cmVjQg".parse().unwrap()))]
#[case::call(Held::CallId("call-of-b".parse().unwrap()))]
#[case::first_recording(Held::RecordingId("cmVjQQ".parse().unwrap()))]
#[tokio::test]
async fn a_hold_by_either_name_covers_a_chunk_that_events_name_differently(#[case] held: Held) {
    let first = chunk_of("cmVjQQ", "a");
    let pipeline = recorded(std::slice::from_ref(&first)).await;
    let ledger = pipeline.driver.ledger();
    let other = RecordingChunk {
        call_id: "call-of-b".parse().ok(),
        ..chunk_of("cmVjQg", "a")
    };
    let mut outcomes = Vec::new();
    for event in [&other, &other, &first] {
        let recorded = ledger.record(event.clone()).await;
        outcomes.push(recorded.expect("the ledger works"));
    }
    let known = Recorded::AlreadyKnown;
    assert_eq!(outcomes, [Recorded::OfAnotherRecording, known, known]);

    hold(&ledger.holds(), &held).await;
    pipeline.drive(&first.document_id).await;
    pipeline.clock.advance(Duration::from_mins(15));
    assert_eq!(pipeline.sweep().await.deleted, 0);
    let found = ledger.find(&first.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert!(held.covers(&entry.chunk));
    assert!(entry.chunk.is_of(&"cmVjQQ".parse().unwrap()));
    assert_eq!(entry.chunk.call_id, first.call_id);
    assert!(
        !entry.chunk.is_of(&"cmVjQg".parse().unwrap()),
        "no event moves it"
    );
    assert!(
        entry
            .doubts()
            .any(|doubt| doubt.contains("different recordings"))
    );

    release(&ledger.holds(), &held).await;
    pipeline.clock.advance(Duration::from_mins(15));
    assert_eq!(pipeline.sweep().await.deleted, 1);
}

/// Adds a hold as an operator does. Returns the answer.
async fn held_by_operator(pipeline: &Pipeline, held: Held) -> Holding {
    let register = RecordingRegister::new(pipeline.store.clone(), RETENTION);
    let vaults = Vaults::new(pipeline.vault.clone(), None);
    let clock: Arc<dyn Clock> = pipeline.clock.clone();
    let ledger = pipeline.driver.ledger();
    let catalogue = Catalogue::new(ledger.clone(), register, vaults.clone(), clock.clone());
    let actions = OperatorActions::new(ledger, &catalogue, &vaults, &clock);
    let request = RequestedHold {
        held,
        tag: case("A-1").tag,
        requested_by: None,
        note: None,
    };
    let holding = actions.hold(request, &Operator::Shell).await;
    holding.expect("the ledger works")
}

#[rstest::rstest]
#[case::small(
    "7c62cca0-0000-4444-8888-0000000000ab",
    "7C62CCA0-0000-4444-8888-0000000000AB"
)]
#[case::capitals(
    "7C62CCA0-0000-4444-8888-0000000000AB",
    "7c62cca0-0000-4444-8888-0000000000ab"
)]
#[tokio::test]
async fn a_hold_on_a_call_covers_it_in_capitals_and_in_small_letters(
    #[case] announced: &str,
    #[case] given: &str,
) {
    let chunk = RecordingChunk {
        call_id: announced.parse().ok(),
        ..chunk("a", 0)
    };
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    let held = Held::CallId(given.parse().expect("it is a call's id"));
    let holding = held_by_operator(&pipeline, held.clone()).await;
    assert_eq!(holding.chunks, std::slice::from_ref(&chunk.document_id));
    assert!(holding.is_complete(), "{holding:?}");
    pipeline.drive(&chunk.document_id).await;
    assert!(pipeline.source.model().deleted.is_empty());
    pipeline.clock.advance(YEAR + RETENTION);
    pipeline.sweep().await;
    let removal = pipeline.retention(YEAR).remove(&chunk.document_id).await;
    assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
}

#[tokio::test]
async fn a_hold_by_a_name_that_only_the_start_of_a_recording_has_says_that_it_holds_nothing() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    let register = RecordingRegister::new(pipeline.store.clone(), RETENTION);
    let started = |account: &mut RegisteredRecording| {
        account.call = Some(RecordedCall::Connection("connection-17".to_owned()));
        let documents = account.files.chunks.entry(chunk.index).or_default();
        documents.insert(chunk.document_id.clone());
    };
    let now = pipeline.clock.now();
    let account = register.change(&chunk.filed_under(), now, started).await;
    account.expect("the register works");
    let held = Held::CallId("connection-17".parse().expect("it is an id"));
    let holding = held_by_operator(&pipeline, held).await;
    assert_eq!(holding.named_otherwise, [chunk.filed_under()]);
    assert!(!holding.is_complete() && !holding.matches_nothing());
    assert!(
        holding.problems()[0].contains("it is not held"),
        "{holding:?}"
    );
}

#[tokio::test]
async fn an_event_of_another_call_gives_a_chunk_no_recording() {
    let first = RecordingChunk {
        recording_id: None,
        ..chunk("a", 0)
    };
    let pipeline = recorded(std::slice::from_ref(&first)).await;
    let other = RecordingChunk {
        call_id: "call-of-b".parse().ok(),
        ..chunk_of("cmVjQg", "a")
    };
    let ledger = pipeline.driver.ledger();
    for _ in 0..2 {
        let recorded = ledger.record(other.clone()).await;
        recorded.expect("the ledger works");
        let found = ledger.find(&first.document_id).await;
        let entry = found.expect("the ledger works").expect("it is there").entry;
        assert_eq!(entry.chunk.filed_under(), first.filed_under());
        assert_eq!(entry.chunk.recording_id, None);
    }
}

#[tokio::test]
async fn names_count_in_your_own_storage_and_not_those_of_an_event_with_a_foreign_place() {
    const PLACE: &str = "https://contoso.blob.core.windows.net/recordings/a.wav";
    let circumstances = Circumstances {
        admission: Admission::Refused,
        solicitation: Solicitation::Solicited,
        expected: Expected::Unknown,
    };
    let pipeline = Pipeline::new();
    let ledger = pipeline.driver.ledger();
    let mut first = RecordingChunk {
        recording_id: None,
        ..chunk("a", 0)
    };
    first.locations.content = Some(PLACE.to_owned());
    let named = RecordingChunk {
        recording_id: "cmVjQQ".parse().ok(),
        ..first.clone()
    };
    let other = RecordingChunk {
        recording_id: "cmVjQg".parse().ok(),
        ..first.clone()
    };
    let mut forged = RecordingChunk {
        recording_id: "forged".parse().ok(),
        ..first.clone()
    };
    forged.locations.content = Some("https://evil.example/a.wav".to_owned());
    let mut outcomes = Vec::new();
    for event in [&first, &named, &other, &forged] {
        let recorded = ledger.record_as(event.clone(), circumstances, None).await;
        outcomes.push(recorded.expect("the ledger works"));
    }
    let expected = [
        Recorded::New,
        Recorded::AlreadyKnown,
        Recorded::OfAnotherRecording,
        Recorded::NotAdmitted,
    ];
    assert_eq!(outcomes, expected);
    let found = ledger.find(&first.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    assert_eq!(entry.chunk.recording_id, named.recording_id);
    assert!(recording_of(&other).covers(&entry.chunk));
    assert!(!recording_of(&forged).covers(&entry.chunk));
}

#[tokio::test]
async fn a_hold_that_comes_before_the_deletion_is_due_is_heard() {
    let pipeline = Pipeline::with_delete_delay(Duration::from_hours(1));
    let chunk = chunk("a", 0);
    pipeline.source.put(&chunk.document_id, content(100, 1));
    pipeline.record(&chunk).await;
    pipeline.drive(&chunk.document_id).await;
    let call = Held::CallId(chunk.call_id.clone().expect("it has a call"));
    hold(&pipeline.driver.ledger().holds(), &call).await;
    pipeline.clock.advance(Duration::from_hours(1));
    let outcome = pipeline.drive(&chunk.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Waiting { .. }),
        "{outcome:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn what_is_held_past_acs_own_retention_is_left_with_its_case_named() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    hold(&pipeline.driver.ledger().holds(), &recording_of(&chunk)).await;
    pipeline.drive(&chunk.document_id).await;
    pipeline.clock.advance(RETENTION);
    assert_eq!(pipeline.sweep().await.deleted, 0);
    let state = pipeline.state(&chunk.document_id).await;
    assert!(
        matches!(&state, ChunkState::SourceLeft { reason, .. } if reason.contains("`A-1`")),
        "{state:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

#[tokio::test]
async fn a_deletion_that_would_take_a_held_chunk_with_it_waits() {
    let (held, mut other) = (chunk_of("held", "held"), chunk_of("other", "other"));
    other.call_id = "another-call".parse().ok();
    other.locations.delete.clone_from(&held.locations.delete);
    let pipeline = Pipeline::that_deletes_other_objects();
    for chunk in [&held, &other] {
        pipeline.source.put(&chunk.document_id, content(100, 1));
        pipeline.record(chunk).await;
    }
    hold(&pipeline.driver.ledger().holds(), &recording_of(&held)).await;
    pipeline.drive(&held.document_id).await;
    let outcome = pipeline.drive(&other.document_id).await;
    assert!(
        matches!(outcome, DriveOutcome::Exported { .. }),
        "{outcome:?}"
    );
    assert!(pipeline.source.model().deleted.is_empty());
}

async fn garble_the_hold(pipeline: &Pipeline) {
    let key = pipeline
        .store
        .list("holds/", None, 1)
        .await
        .expect("the store works")
        .remove(0);
    let stored = pipeline
        .store
        .find(&key)
        .await
        .expect("the store works")
        .expect("it is there");
    let garbled = pipeline
        .store
        .put(
            &key,
            Bytes::from_static(b"{"),
            Precondition::Unchanged(stored.version),
        )
        .await;
    garbled.expect("the store works");
}

#[tokio::test]
async fn a_hold_that_cannot_be_read_deletes_nothing() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(std::slice::from_ref(&chunk)).await;
    hold(&pipeline.driver.ledger().holds(), &recording_of(&chunk)).await;
    garble_the_hold(&pipeline).await;
    let outcome = pipeline.driver.drive(&chunk.document_id, budget()).await;
    assert!(matches!(outcome, Err(LedgerError::Store(_))), "{outcome:?}");
    assert!(pipeline.source.model().deleted.is_empty());

    let (pipeline, old, held) = Box::pin(past()).await;
    garble_the_hold(&pipeline).await;
    let removals: BTreeMap<_, _> = pipeline
        .retention(YEAR)
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works")
        .removals
        .into_iter()
        .collect();
    assert_eq!(
        removals.get(&old),
        Some(&Removal::Removed),
        "another recording's hold is none of its concern"
    );
    assert!(
        matches!(removals.get(&held), Some(Removal::Failed { .. })),
        "{removals:?}"
    );
    assert!(pipeline.media(&held).is_some());
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_deletes_a_held_source() {
    let chunks = [chunk("a", 0)];
    for fault in FAULTS {
        let mut number = 0;
        loop {
            let durable = Durable::new(&chunks);
            let (holds, held) = (durable.holds(&Plan::calm()), recording_of(&chunks[0]));
            hold(&holds, &held).await;
            let plan = Plan::at(number, fault);
            let driver = durable.instance(&plan);
            let work = async {
                deliver(&driver, &chunks).await;
                durable.clock.advance(Duration::from_mins(15));
                let _ = ExportSweep::new(Arc::clone(&driver)).run(budget()).await;
            };
            tokio::select! {
                () = work => {}
                () = plan.killed() => {}
            }
            let what = format!("{fault:?} at call {number}");
            let restarted = durable.instance(&Plan::calm());
            deliver(&restarted, &chunks).await;
            for _ in 0..3 {
                durable.clock.advance(Duration::from_mins(20));
                ExportSweep::new(Arc::clone(&restarted))
                    .run(budget())
                    .await
                    .expect("the ledger works");
            }
            assert!(durable.source.model().deleted.is_empty(), "{what}");
            assert!(durable.is_whole(&chunks[0].document_id), "{what}");
            release(&holds, &held).await;
            durable.settle(&chunks, &[], &what).await;
            if plan.calls() <= number {
                break;
            }
            number += 1;
        }
    }
}
