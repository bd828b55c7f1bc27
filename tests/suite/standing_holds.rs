//! Standing holds: what belongs to a held person or began in a held period is deleted nowhere, whatever happens; and
//! what is not known counts as held.

mod another_key;
mod unknown;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::erasing::Eraser;
use recording_vault::export::retention::Removal;
use recording_vault::export::{ChunkState, DriveOutcome, ExportSweep};
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::hold::{Holding, PeriodEdge, RequestedHold};
use recording_vault::recording::PersonKey;
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Held, HeldPerson, HoldRule};
use recording_vault::store::index::Period;

use crate::catalogue::announced;
use crate::holds::{FAULTS, YEAR, chunk_of, hold, release};
use crate::support::fake_source::PARTICIPANT;
use crate::support::pipeline::{CLAIM_TTL, Pipeline, RETENTION};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};
use crate::support::{chunk, content};

const ANNA: &str = "8:acs:anna";
const BERT: &str = "8:acs:bert";
const FREEZES: [Fault; 2] = [Fault::FreezeBefore, Fault::FreezeAfter];

fn metadata(participants: &[&str]) -> String {
    let named = participants.iter();
    let named: Vec<_> = named
        .map(|id| serde_json::json!({"participantId": id}))
        .collect();
    serde_json::json!({ "participants": named }).to_string()
}

async fn person(pipeline: &Pipeline, id: &str) -> Held {
    let name = pipeline
        .driver
        .ledger()
        .people()
        .hash(&PersonKey::of(id))
        .await;
    let person = HeldPerson::new(name.expect("the ledger works"), id.to_owned());
    rule(Some(person), Period::default())
}

fn period(from: Option<&str>, to: Option<&str>) -> Held {
    let edge = |text: &str| text.parse().expect("it is a day or a time");
    rule(None, PeriodEdge::period(from.map(edge), to.map(edge)))
}

fn rule(person: Option<HeldPerson>, period: Period) -> Held {
    Held::Matching(HoldRule::new(person, period).expect("it is a rule"))
}

/// Chunks, each with those who are in it by its metadata.
async fn recorded(chunks: &[(&RecordingChunk, &[&str])]) -> Pipeline {
    recorded_in(Pipeline::new(), chunks).await
}

async fn recorded_in(pipeline: Pipeline, chunks: &[(&RecordingChunk, &[&str])]) -> Pipeline {
    for (chunk, people) in chunks {
        let id = &chunk.document_id;
        let source = &pipeline.source;
        source.put_with_metadata(id, content(100, 1), metadata(people));
        pipeline.record(chunk).await;
    }
    pipeline
}

async fn is_kept_at_acs(pipeline: &Pipeline, chunk: &RecordingChunk) -> bool {
    let outcome = pipeline.drive(&chunk.document_id).await;
    let is_deleted = pipeline.source.model().deleted.contains(&chunk.document_id);
    assert_ne!(
        matches!(
            outcome,
            DriveOutcome::Exported { .. } | DriveOutcome::Waiting { .. }
        ),
        is_deleted,
        "{outcome:?}"
    );
    !is_deleted
}

#[tokio::test]
async fn a_hold_on_a_person_keeps_the_sources_of_their_recordings_and_of_no_others() {
    let (annas, berts) = (chunk_of("r-1", "a"), chunk_of("r-2", "b"));
    let pipeline = recorded(&[(&annas, &[ANNA, BERT]), (&berts, &[BERT])]).await;
    let holds = pipeline.driver.ledger().holds();
    let held = person(&pipeline, "8:ACS:Anna").await;
    hold(&holds, &held).await;
    assert!(is_kept_at_acs(&pipeline, &annas).await);
    assert!(!is_kept_at_acs(&pipeline, &berts).await);

    release(&holds, &person(&pipeline, ANNA).await).await;
    pipeline.clock.advance(Duration::from_mins(15));
    assert!(!is_kept_at_acs(&pipeline, &annas).await);
}

#[tokio::test]
async fn a_source_of_which_the_participants_are_not_known_counts_as_held() {
    for unknown in [metadata(&[]), "no JSON".to_owned(), "{}".to_owned()] {
        let chunk = chunk("a", 0);
        let pipeline = Pipeline::new();
        let id = &chunk.document_id;
        let source = &pipeline.source;
        source.put_with_metadata(id, content(100, 1), unknown.clone());
        pipeline.record(&chunk).await;
        let holds = pipeline.driver.ledger().holds();
        let held = person(&pipeline, ANNA).await;
        hold(&holds, &held).await;
        assert!(is_kept_at_acs(&pipeline, &chunk).await, "{unknown}");
        release(&holds, &held).await;
        pipeline.clock.advance(Duration::from_mins(15));
        assert!(!is_kept_at_acs(&pipeline, &chunk).await, "{unknown}");
    }
}

#[tokio::test]
async fn a_hold_on_a_period_keeps_what_began_in_it_and_what_may_have() {
    let started = |id: &str, at: Option<&str>| RecordingChunk {
        started_at: at.and_then(|at| at.parse().ok()),
        ..chunk_of(&format!("r-{id}"), id)
    };
    let before = started("before", Some("2026-03-01T23:59:59Z"));
    let within = started("within", Some("2026-03-02T00:00:00Z"));
    let unknown = started("unknown", None);
    let all = [&before, &within, &unknown];
    let pipeline = recorded(&all.map(|chunk| (chunk, &[BERT][..]))).await;
    let day = period(Some("2026-03-02"), Some("2026-03-02"));
    hold(&pipeline.driver.ledger().holds(), &day).await;
    assert!(!is_kept_at_acs(&pipeline, &before).await);
    assert!(is_kept_at_acs(&pipeline, &within).await);
    assert!(is_kept_at_acs(&pipeline, &unknown).await);
}

#[tokio::test]
async fn a_hold_on_a_person_in_a_period_keeps_only_what_meets_both() {
    let early = RecordingChunk {
        started_at: "2026-03-01T10:00:00Z".parse().ok(),
        ..chunk_of("r-1", "early")
    };
    let (annas, berts) = (chunk_of("r-2", "annas"), chunk_of("r-3", "berts"));
    let all: [(&RecordingChunk, &[&str]); 3] =
        [(&early, &[ANNA]), (&annas, &[ANNA]), (&berts, &[BERT])];
    let pipeline = recorded(&all).await;
    let Held::Matching(anna) = person(&pipeline, ANNA).await else {
        panic!("it is a rule")
    };
    let Held::Matching(day) = period(Some("2026-03-02"), None) else {
        panic!("it is a rule")
    };
    let both = rule(anna.person().cloned(), day.period());
    hold(&pipeline.driver.ledger().holds(), &both).await;
    assert!(!is_kept_at_acs(&pipeline, &early).await);
    assert!(is_kept_at_acs(&pipeline, &annas).await);
    assert!(!is_kept_at_acs(&pipeline, &berts).await);
}

#[tokio::test]
async fn a_person_who_is_named_by_one_chunk_holds_the_copies_of_the_whole_recording() {
    let (first, second) = (chunk_of("r", "a"), chunk_of("r", "b"));
    let second = RecordingChunk { index: 1, ..second };
    let other = chunk_of("other", "c");
    let all: [(&RecordingChunk, &[&str]); 3] =
        [(&first, &[BERT]), (&second, &[ANNA]), (&other, &[BERT])];
    let pipeline = recorded(&all).await;
    for (chunk, _) in all {
        pipeline.drive(&chunk.document_id).await;
    }
    pipeline.clock.advance(YEAR + RETENTION);
    hold(
        &pipeline.driver.ledger().holds(),
        &person(&pipeline, ANNA).await,
    )
    .await;
    for chunk in [&first, &second] {
        let removal = pipeline.retention(YEAR).remove(&chunk.document_id).await;
        assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
    }
    let removal = pipeline.retention(YEAR).remove(&other.document_id).await;
    assert_eq!(removal, Removal::Removed);
}

#[tokio::test]
async fn a_chunk_of_unknown_people_holds_the_copies_of_the_whole_recording() {
    let (first, second) = (chunk_of("r", "a"), chunk_of("r", "b"));
    let second = RecordingChunk { index: 1, ..second };
    let other = chunk_of("other", "c");
    let all: [(&RecordingChunk, &[&str]); 3] =
        [(&first, &[BERT]), (&second, &[]), (&other, &[BERT])];
    let pipeline = recorded(&all).await;
    for (chunk, _) in all {
        pipeline.drive(&chunk.document_id).await;
    }
    pipeline.clock.advance(YEAR + RETENTION);
    let anna = person(&pipeline, ANNA).await;
    hold(&pipeline.driver.ledger().holds(), &anna).await;
    for chunk in [&first, &second] {
        let removal = pipeline.retention(YEAR).remove(&chunk.document_id).await;
        assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
    }
    let removal = pipeline.retention(YEAR).remove(&other.document_id).await;
    assert_eq!(removal, Removal::Removed);
}

#[tokio::test]
async fn a_standing_hold_that_is_not_readable_keeps_everything() {
    let chunk = chunk("a", 0);
    let pipeline = recorded(&[(&chunk, &[BERT])]).await;
    let key = "holds/standing/0000.json";
    let garbled = Bytes::from_static(b"{");
    let put = pipeline.store.put(key, garbled, Precondition::Absent);
    put.await.expect("the store works");
    assert!(is_kept_at_acs(&pipeline, &chunk).await);
    let plan = pipeline.retention(YEAR);
    pipeline.clock.advance(YEAR + RETENTION);
    pipeline.sweep().await;
    let removal = plan.remove(&chunk.document_id).await;
    assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
}

/// What a test holds in a simulation: by its person, or by its day.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Person,
    Day,
}

impl Kind {
    async fn held(self, durable: &Durable) -> Held {
        match self {
            Self::Person => {
                let name = durable
                    .ledger()
                    .people()
                    .hash(&PersonKey::of(PARTICIPANT))
                    .await;
                let name = name.expect("the ledger works");
                rule(
                    Some(HeldPerson::new(name, PARTICIPANT.to_owned())),
                    Period::default(),
                )
            }
            Self::Day => period(Some("2026-03-02"), Some("2026-03-02")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_call_deletes_a_source_that_a_standing_hold_keeps() {
    for (kind, fault) in [Kind::Person, Kind::Day]
        .into_iter()
        .flat_map(|kind| FAULTS.map(|fault| (kind, fault)))
    {
        let mut number = 0;
        while Box::pin(kept_despite(kind, number, fault)).await {
            number += 1;
        }
        assert!(number > 20, "{number} calls: is it the whole drive?");
    }
}

async fn kept_despite(kind: Kind, number: usize, fault: Fault) -> bool {
    let chunks = [chunk("a", 0)];
    let durable = Durable::new(&chunks);
    let (holds, held) = (durable.holds(&Plan::calm()), kind.held(&durable).await);
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
    let what = format!("{kind:?}, {fault:?} at call {number}");
    let restarted = durable.instance(&Plan::calm());
    deliver(&restarted, &chunks).await;
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(20));
        let sweep = ExportSweep::new(Arc::clone(&restarted)).run(budget()).await;
        sweep.expect("the ledger works");
    }
    assert!(durable.source.model().deleted.is_empty(), "{what}");
    assert!(durable.is_whole(&chunks[0].document_id), "{what}");
    release(&holds, &held).await;
    durable.settle(&chunks, &[], &what).await;
    plan.calls() > number
}

async fn held_now(durable: &Durable, held: Held) -> Holding {
    let request = RequestedHold {
        held,
        tag: "A-1".parse().expect("it is a tag"),
        requested_by: None,
        note: None,
    };
    let holding = durable
        .actions(&Plan::calm())
        .hold(request, &Operator::Shell)
        .await;
    holding.expect("the ledger works")
}

/// A drive stands still at a call; an operator holds the person or the day; then the drive goes on. Whether it got as far.
async fn held_while_driven(kind: Kind, number: usize, fault: Fault) -> bool {
    let what = format!("{kind:?}, {fault:?} at call {number}");
    let chunk = chunk("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    announced(&durable, std::slice::from_ref(&chunk)).await;
    let calm = durable.ledger();
    calm.record(chunk.clone()).await.expect("the ledger works");
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let mut driving = pin!(driver.drive(&chunk.document_id, budget()));
    let is_frozen = tokio::select! {
        _ = &mut driving => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    let held = kind.held(&durable).await;
    let holding = held_now(&durable, held).await;
    let was_deleted = !durable.source.model().deleted.is_empty();
    plan.thaw();
    let _ = driving.await;
    let is_deleted = !durable.source.model().deleted.is_empty();
    assert!(
        was_deleted || !is_deleted || !holding.is_complete(),
        "deleted after a hold that had no doubt: {holding:?}; {what}"
    );
    assert!(durable.is_whole(&chunk.document_id), "{what}");
    true
}

#[tokio::test(start_paused = true)]
async fn a_standing_hold_that_comes_during_a_drive_keeps_the_source_or_says_that_it_may_be_late() {
    for (kind, fault) in [Kind::Person, Kind::Day]
        .into_iter()
        .flat_map(|kind| FREEZES.map(|fault| (kind, fault)))
    {
        let mut number = 0;
        while Box::pin(held_while_driven(kind, number, fault)).await {
            number += 1;
        }
        assert!(number > 20, "{number} calls: is it the whole drive?");
    }
}

/// A removal stands still at a call; an operator holds; then the removal goes on, and is repeated. Whether it got as far.
async fn held_while_removed(kind: Kind, number: usize, fault: Fault) -> bool {
    let what = format!("{kind:?}, {fault:?} at call {number}");
    let chunk = chunk("old", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    announced(&durable, std::slice::from_ref(&chunk)).await;
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, std::slice::from_ref(&chunk)).await;
    durable.clock.advance(YEAR);
    let plan = Plan::at(number, fault);
    let first = durable.retention(&plan, YEAR);
    let mut applying = pin!(first.apply(&Operator::Shell));
    let is_frozen = tokio::select! {
        _ = &mut applying => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    let held = kind.held(&durable).await;
    let holding = held_now(&durable, held).await;
    plan.thaw();
    let _ = applying.await;
    durable.clock.advance(2 * CLAIM_TTL);
    let second = durable.retention(&Plan::calm(), YEAR);
    second
        .apply(&Operator::Shell)
        .await
        .expect("the ledger works");
    if holding.is_complete() {
        assert!(durable.is_whole(&chunk.document_id), "{holding:?}; {what}");
        let state = state_of(&durable, &chunk.document_id).await;
        assert!(state.receipt().is_some(), "{state:?}; {what}");
    }
    true
}

async fn state_of(durable: &Durable, id: &DocumentId) -> ChunkState {
    let found = durable.ledger().find(id).await.expect("the ledger works");
    found.expect("the chunk is in the ledger").entry.state
}

#[tokio::test(start_paused = true)]
async fn a_standing_hold_that_comes_during_a_removal_keeps_the_copy_or_says_that_it_is_too_late() {
    for (kind, fault) in [Kind::Person, Kind::Day]
        .into_iter()
        .flat_map(|kind| FREEZES.map(|fault| (kind, fault)))
    {
        let mut number = 0;
        while Box::pin(held_while_removed(kind, number, fault)).await {
            number += 1;
        }
        assert!(number > 10, "{number} calls: is it the whole removal?");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standing_hold_keeps_recordings_from_erasure() {
    for kind in [Kind::Person, Kind::Day] {
        let chunks = [chunk("a", 0)];
        let durable = Durable::new(&chunks);
        announced(&durable, &chunks).await;
        let calm = Plan::calm();
        deliver(&durable.instance(&calm), &chunks).await;
        let held = kind.held(&durable).await;
        let holding = held_now(&durable, held.clone()).await;
        assert_eq!(holding.chunks, [chunks[0].document_id.clone()], "{kind:?}");
        let eraser = Eraser::new(
            durable.catalogue(&calm),
            durable.instance(&calm),
            Duration::from_hours(1),
        );
        let person = PARTICIPANT.parse().expect("it is a participant");
        let erasing = eraser.erase(&person, "her request", &Operator::Shell);
        let erasure = erasing.await.expect("the ledger works");
        assert!(
            erasure.erased.is_empty() && erasure.left[0].reason.contains("held for `A-1`"),
            "{kind:?}: {erasure:?}"
        );
        assert!(durable.is_whole(&chunks[0].document_id), "{kind:?}");
    }
}

#[tokio::test]
async fn a_hold_that_matches_nothing_is_made_and_says_so_and_the_log_does_not_name_the_person() {
    let durable = Durable::new(&[]);
    let held = Kind::Person.held(&durable).await;
    let holding = held_now(&durable, held.clone()).await;
    assert!(holding.matches_nothing() && holding.is_complete());
    let listed = durable
        .actions(&Plan::calm())
        .holds()
        .await
        .expect("the ledger works");
    assert!(listed.holds[0].holds_now.is_nothing());
    assert_eq!(listed.holds[0].hold.held, held);
    let tag = "A-1".parse().expect("it is a tag");
    let releasing = durable
        .actions(&Plan::calm())
        .release(held, tag, &Operator::Shell)
        .await;
    releasing.expect("the ledger works");
    let store = durable.store();
    let keys = store.list("", None, 1000).await.expect("the store works");
    for key in keys {
        let found = store.find(&key).await.expect("the store works");
        let content = found.expect("it is there").content;
        let text = String::from_utf8_lossy(&content).to_lowercase();
        assert!(!text.contains(PARTICIPANT), "{key}: {text}");
    }
}
