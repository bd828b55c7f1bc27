//! Erased is final: whatever is announced, or written late, nothing of the person comes back.

mod conversations;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use recording_vault::acs::client::StartAttempt;
use recording_vault::acs::wire::{StartRecordingOptions, StartRecordingRequest};
use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::erasing::{Eraser, Erasure, ErasurePreview};
use recording_vault::catalogue::person::Person;
use recording_vault::control::calls::CallRegister;
use recording_vault::control::consent::Consent;
use recording_vault::control::entry::{Erased, RegisteredRecording};
use recording_vault::control::start::Start;
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::export::ledger::{AcknowledgedChunk, Recorded};
use recording_vault::export::source::RecordingSource;
use recording_vault::export::{ChunkState, ExportSweep};
use recording_vault::intake::{Intake, Origin};
use recording_vault::recording::{
    Acknowledgement, CallLocator, ChunkLocations, DocumentId, PersonKey, RecordedCall,
    RecordingChunk,
};
use recording_vault::store::audit::{Actor, AuditAction, Operator};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::store::holds::{Case, CaseTag, Held, HeldPerson, HoldRule};
use recording_vault::store::index::Period;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::chunk;
use crate::support::fake_source::{FakeSource, PARTICIPANT};
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver, media_of, planned};

fn now() -> jiff::Timestamp {
    "2026-03-02T10:03:00Z".parse().expect("it is a time")
}

pub(crate) fn chunk_of(id: &str, index: u32) -> RecordingChunk {
    RecordingChunk {
        recording_id: "mine".parse().ok(),
        ..chunk(id, index)
    }
}

/// The register hears of chunks, as an event announces them.
pub(crate) async fn register(durable: &Durable, chunks: &[RecordingChunk]) -> RegisteredRecording {
    let add = |account: &mut RegisteredRecording| {
        account.started_at = chunks[0].started_at;
        account.files.announced_at = Some(now());
        account.files.has_last = true;
        for chunk in chunks {
            let documents = account.files.chunks.entry(chunk.index).or_default();
            documents.insert(chunk.document_id.clone());
        }
        account.stop(now());
    };
    let register = durable.register(&Plan::calm());
    let account = register.change(&chunks[0].filed_under(), now(), add).await;
    account.expect("the register works")
}

pub(crate) async fn erase(durable: &Durable) -> Erasure {
    erase_person(durable, PARTICIPANT).await
}

async fn erase_person(durable: &Durable, person: &str) -> Erasure {
    let plan = Plan::calm();
    let (catalogue, driver) = (durable.catalogue(&plan), durable.instance(&plan));
    let eraser = Eraser::new(catalogue, driver, Duration::from_hours(1));
    let person: Person = person.parse().expect("it names a person");
    let erasing = eraser.erase(&person, "her request", &Operator::Shell).await;
    erasing.expect("the ledger works")
}

async fn preview(durable: &Durable) -> ErasurePreview {
    let plan = Plan::calm();
    let (catalogue, driver) = (durable.catalogue(&plan), durable.instance(&plan));
    let eraser = Eraser::new(catalogue, driver, Duration::from_hours(1));
    let person: Person = PARTICIPANT.parse().expect("it names a person");
    let previewed = eraser.preview(&person, &Operator::Shell).await;
    previewed.expect("the ledger works")
}

async fn sweep(durable: &Durable) {
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    sweep.run(budget()).await.expect("the ledger works");
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_announced_after_the_erasure_is_noted_and_not_exported() {
    let (first, late) = (chunk_of("a", 0), chunk_of("bb", 1));
    let durable = Durable::new(&[first.clone(), late.clone()]);
    register(&durable, std::slice::from_ref(&first)).await;
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&first),
    )
    .await;
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
    // As the intake does: the account tells that the recording is erased.
    let account = register(&durable, std::slice::from_ref(&late)).await;
    assert!(account.erased.is_some());
    let recorded = durable.ledger().record_erased(late.clone()).await;
    assert_eq!(recorded.expect("the ledger works"), Recorded::Erased);
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&late),
    )
    .await;
    sweep(&durable).await;
    assert!(durable.vault.files().is_empty());
    assert!(durable.markers_of(PARTICIPANT).await.is_empty());
    let found = durable.ledger().find(&late.document_id).await;
    let entry = found.expect("the ledger works").expect("it is noted").entry;
    assert!(
        matches!(entry.state, ChunkState::Removed { receipt: None, .. }),
        "{:?}",
        entry.state
    );
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_which_chunks_are_missing_is_named_and_left() {
    let chunks = [chunk_of("a", 0), chunk_of("ccc", 2)];
    let durable = Durable::new(&chunks);
    register(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    let files = durable.vault.files();
    let erasure = erase(&durable).await;
    assert!(
        erasure.erased.is_empty()
            && erasure.left[0]
                .reason
                .contains("no event announced chunk 1"),
        "{erasure:?}"
    );
    assert_eq!(durable.vault.files().len(), files.len());
    durable.clock.advance(Duration::from_hours(48));
    let erasure = erase(&durable).await;
    assert_eq!(
        erasure.erased,
        ["mine"],
        "nothing more can come: {erasure:?}"
    );
}

#[tokio::test]
async fn consent_goes_where_the_answer_to_the_start_was_lost_and_does_not_come_back() {
    let chunks = [chunk_of("a", 0)];
    let durable = Durable::new(&chunks);
    let call = RecordedCall::Locator(CallLocator::ServerCall {
        server_call_id: "call".parse().expect("it is an id"),
    });
    let consent = Consent {
        basis: "consent".to_owned(),
        given_by: "Anna".to_owned(),
        given_at: now(),
        reference: None,
    };
    let calls = CallRegister::new(planned(&durable.store(), &Plan::calm()));
    let attempt = StartAttempt {
        request_id: Uuid::from_u128(1),
        first_sent: now(),
    };
    let request = StartRecordingRequest {
        call: call.clone(),
        options: StartRecordingOptions::default(),
    };
    let start = Start {
        request,
        consent: Some(consent.clone()),
        started_by: Some("Anna".to_owned()),
    };
    let reserved = calls.reserve(&start, attempt, None).await;
    reserved.expect("the register works");
    register(&durable, &chunks).await;
    let register_ = durable.register(&Plan::calm());
    let id = chunks[0].filed_under();
    let with_call = |account: &mut RegisteredRecording| account.call = Some(call.clone());
    register_
        .change(&id, now(), with_call)
        .await
        .expect("the register works");
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    assert_eq!(erase(&durable).await.erased, ["mine"]);
    let late = |account: &mut RegisteredRecording| {
        account.consent = Some(consent.clone());
        account.started_by = Some("Anna".to_owned());
    };
    let account = register_.change(&id, now(), late).await;
    let account = account.expect("the register works");
    assert!(account.consent.is_none() && account.started_by.is_none());
    for (key, content) in durable.documents().await {
        assert!(!content.contains("Anna"), "{key} names her: {content}");
    }
}

/// The intake of a process whose register fails as planned.
fn intake(durable: &Durable, plan: &Arc<Plan>) -> Intake {
    let clock: Arc<dyn recording_vault::clock::Clock> = durable.clock.clone();
    let key = "a2V5".parse().expect("it is base64");
    let endpoint = "http://127.0.0.1:9".parse().expect("it is a URL");
    let http = AcsHttp::new(endpoint, AcsCredential::AccessKey(key), Arc::clone(&clock))
        .expect("there is TLS");
    let client = CallRecordingClient::new(http, "2026-03-12".parse().expect("it is known"));
    let policy = ControlPolicy {
        requires_consent: false,
        missing_after: Duration::from_mins(30),
    };
    let store = planned(&durable.store(), plan);
    let control = RecordingControl::new(client, store, Arc::clone(&clock), policy);
    let source: Arc<dyn RecordingSource> = Arc::new(FakeSource::default());
    Intake::new(&durable.ledger(), &Arc::new(control), &source, None, &clock)
}

fn event_of(chunk: &RecordingChunk) -> Value {
    json!({
        "id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": "2026-03-02T10:02:00Z", "data": {
            "recordingId": "mine", "recordingStorageInfo": {"recordingChunks": [{
                "documentId": chunk.document_id, "index": chunk.index, "endReason": "SessionEnded",
                "contentLocation": chunk.locations.content, "metadataLocation": chunk.locations.metadata,
                "deleteLocation": chunk.locations.delete,
            }]},
        },
    })
}

/// A recording of one chunk that was erased, and its next chunk.
async fn erased_with_late_chunk() -> (Durable, RecordingChunk) {
    let (first, late) = (chunk_of("a", 0), chunk_of("bb", 1));
    let durable = Durable::new(&[first.clone(), late.clone()]);
    register(&durable, std::slice::from_ref(&first)).await;
    let erased = Erased {
        at: now(),
        reason: "her request".to_owned(),
    };
    let register = durable.register(&Plan::calm());
    let erasing = register.erase(&first.filed_under(), &erased).await;
    erasing.expect("the register works");
    (durable, late)
}

async fn state(durable: &Durable, id: &DocumentId) -> Option<ChunkState> {
    let found = durable.ledger().find(id).await.expect("the ledger works");
    found.map(|found| found.entry.state)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_of_an_erased_recording_is_not_exported_where_the_register_fails_once() {
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        for call in 0..2 {
            let (durable, late) = erased_with_late_chunk().await;
            let plan = Plan::at(call, fault);
            let intake = intake(&durable, &plan);
            let mut delivery = intake.begin(Origin::EventGrid);
            let taken = delivery.take_all(&[event_of(&late)]).await;
            taken.expect("the ledger works");
            assert!(delivery.recorded.is_empty(), "{fault:?} at call {call}");
            let state = state(&durable, &late.document_id).await;
            assert!(
                matches!(state, Some(ChunkState::Removed { receipt: None, .. })),
                "{fault:?} at call {call}: {state:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_register_fails_no_chunk_is_recorded_and_its_event_is_asked_for_again() {
    // By chance, all that fails of some registers is an answer, which the client asks for again.
    let mut unknown = None;
    for seed in 0..20 {
        let (durable, late) = erased_with_late_chunk().await;
        let failing = intake(&durable, &Plan::noisy(seed, 100, None));
        let mut delivery = failing.begin(Origin::EventGrid);
        let taken = delivery.take_all(&[event_of(&late)]).await;
        taken.expect("the ledger works");
        assert!(delivery.recorded.is_empty(), "seed {seed}");
        match state(&durable, &late.document_id).await {
            Some(state) => assert!(
                matches!(state, ChunkState::Removed { receipt: None, .. }),
                "seed {seed}: {state:?}"
            ),
            None => {
                assert!(delivery.again.is_some(), "seed {seed}");
                unknown = Some((durable, late));
            }
        }
    }
    let (durable, late) = unknown.expect("a fault at one call leaves an unknown erasure");
    let working = intake(&durable, &Plan::calm());
    let mut delivery = working.begin(Origin::EventGrid);
    let taken = delivery.take_all(&[event_of(&late)]).await;
    taken.expect("the ledger works");
    let state = state(&durable, &late.document_id).await;
    assert!(
        matches!(state, Some(ChunkState::Removed { .. })),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_was_recorded_before_its_erasure_was_known_is_closed_unless_its_export_began()
{
    let (durable, late) = erased_with_late_chunk().await;
    let ledger = durable.ledger();
    ledger.record(late.clone()).await.expect("the ledger works");
    let recorded = ledger.record_erased(late.clone()).await;
    assert_eq!(recorded.expect("the ledger works"), Recorded::Erased);
    sweep(&durable).await;
    assert!(durable.vault.files().is_empty());
    assert!(matches!(
        state(&durable, &late.document_id).await,
        Some(ChunkState::Removed { .. })
    ));

    let (durable, late) = erased_with_late_chunk().await;
    deliver(
        &durable.instance(&Plan::calm()),
        std::slice::from_ref(&late),
    )
    .await;
    let recorded = durable.ledger().record_erased(late.clone()).await;
    let recorded = recorded.expect("the ledger works");
    assert_eq!(recorded, Recorded::LeftToErasure, "it is in the vault");
}
/// An export stands still at a call while the person is erased, and goes on. Whether it got as far as that call.
async fn export_meets_an_erasure(number: usize, fault: Fault) -> bool {
    let chunk = chunk_of("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    let plan = Plan::at(number, fault);
    let driver = durable.instance(&plan);
    let mut delivering = pin!(deliver(&driver, std::slice::from_ref(&chunk)));
    let is_frozen = tokio::select! {
        _ = &mut delivering => false,
        () = plan.frozen() => true,
    };
    if !is_frozen {
        return false;
    }
    erase(&durable).await;
    plan.thaw();
    delivering.await;
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(20));
        sweep(&durable).await;
    }
    let found = durable.ledger().find(&chunk.document_id).await;
    let entry = found.expect("the ledger works").expect("it is there").entry;
    let what = format!("{fault:?} at call {number}: {:?}", entry.state);
    assert!(entry.metadata.is_some(), "it is exported; {what}");
    assert!(
        !durable.markers_of(PARTICIPANT).await.is_empty(),
        "she is not found any more; {what}"
    );
    assert!(durable.has_markers(entry.markers()).await, "{what}");
    true
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_meets_an_export_takes_no_marker_from_it() {
    for fault in [Fault::FreezeBefore, Fault::FreezeAfter] {
        let mut number = 0;
        while Box::pin(export_meets_an_erasure(number, fault)).await {
            number += 1;
        }
        assert!(number > 20, "{number} calls: is it the whole export?");
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_could_not_be_read_and_name_the_person_or_an_erased_recording_are_erased() {
    let chunks = [chunk_of("0-eus-d12-0001", 0)];
    let durable = Durable::new(&chunks);
    register(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    let ledger = durable.ledger();
    let events = [
        json!({"data": {"rawId": PARTICIPANT.to_uppercase()}}),
        json!(format!("no JSON, but {PARTICIPANT}")),
        json!({"subject": "/recording/call/c/recordingId/mine"}),
        json!({"data": {"documentId": "0-eus-d12-00012"}, "subject": "determined"}),
        json!({"data": {"rawId": "8:acs:somebody-else"}}),
    ];
    for event in &events {
        let kept = ledger.keep_poison(event, "it is odd").await;
        kept.expect("there is room");
    }
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"]);
    assert_eq!((erasure.events, erasure.events_left), (3, 0));
    let left = ledger.poisoned().await.expect("the ledger works");
    assert_eq!(left.len(), 2, "those of others stay");
}

#[tokio::test(start_paused = true)]
async fn a_plain_word_erases_no_event_that_happens_to_contain_it() {
    let durable = Durable::new(&[]);
    let ledger = durable.ledger();
    let event = json!({"data": {"sessionEndReason": "CallEnded", "contentType": "audio"}});
    let kept = ledger.keep_poison(&event, "it is odd").await;
    kept.expect("there is room");
    for word in ["callended", "audio", "CallEnded"] {
        let erasure = erase_person(&durable, word).await;
        assert_eq!((erasure.events, erasure.events_left), (0, 0), "{word}");
    }
    let left = ledger.poisoned().await.expect("the ledger works");
    assert_eq!(left.len(), 1, "it may be the only record of a recording");
}

#[tokio::test(start_paused = true)]
async fn a_person_beyond_the_index_is_found_by_the_metadata_files() {
    let chunks = [chunk_of("a", 0)];
    let durable = Durable::new(&chunks);
    register(&durable, &chunks).await;
    let others = (0..1500).map(|number| json!({"participantId": format!("8:acs:{number}")}));
    let people: Vec<Value> = others
        .chain([json!({"participantId": PARTICIPANT})])
        .collect();
    let metadata = json!({"participants": people}).to_string();
    let id = &chunks[0].document_id;
    durable.source.put_with_metadata(id, media_of(id), metadata);
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    let catalogue = durable.catalogue(&Plan::calm());
    let find = async |person: &str| {
        let person: Person = person.parse().expect("it is a participant");
        let found = catalogue.find_person(&person, &Operator::Shell).await;
        found.expect("the ledger works").recordings.len()
    };
    assert_eq!(find(PARTICIPANT).await, 1);
    assert_eq!(find("8:acs:7").await, 1);
    assert_eq!(find("8:acs:nobody").await, 0);
}

/// A recording of one chunk that is erased, and a chunk of another recording that an event names under the erased one.
async fn erased_and_another() -> (Durable, RecordingChunk, RecordingChunk) {
    let (durable, named) = erased_with_late_chunk().await;
    let genuine = RecordingChunk {
        recording_id: "hers".parse().ok(),
        ..named.clone()
    };
    (durable, named, genuine)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_an_event_named_under_an_erased_recording_is_exported_for_its_own() {
    let (durable, named, genuine) = erased_and_another().await;
    let ledger = durable.ledger();
    let recorded = ledger.record_erased(named.clone()).await;
    assert_eq!(recorded.expect("the ledger works"), Recorded::Erased);
    let recorded = ledger
        .record(named.clone())
        .await
        .expect("the ledger works");
    assert_eq!(recorded, Recorded::AlreadyKnown, "its recording is erased");
    let recorded = ledger
        .record(genuine.clone())
        .await
        .expect("the ledger works");
    assert_eq!(recorded, Recorded::New);
    sweep(&durable).await;
    let state = state(&durable, &genuine.document_id).await;
    assert!(
        matches!(state, Some(ChunkState::SourceDeleted { .. })),
        "{state:?}"
    );
    assert!(durable.is_whole(&genuine.document_id));
}

#[tokio::test(start_paused = true)]
async fn an_event_under_an_erased_recording_closes_no_chunk_of_another() {
    let (durable, named, genuine) = erased_and_another().await;
    let ledger = durable.ledger();
    ledger
        .record(genuine.clone())
        .await
        .expect("the ledger works");
    let intake = intake(&durable, &Plan::calm());
    let mut delivery = intake.begin(Origin::EventGrid);
    let taken = delivery.take_all(&[event_of(&named)]).await;
    taken.expect("the ledger works");
    let poisoned = ledger.poisoned().await.expect("the ledger works");
    assert_eq!(poisoned.len(), 1, "somebody has to look at the event");
    sweep(&durable).await;
    let state = state(&durable, &genuine.document_id).await;
    assert!(
        matches!(state, Some(ChunkState::SourceDeleted { .. })),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_erasure_leaves_the_chunk_of_another_recording_that_its_account_lists() {
    let (first, hers) = (chunk_of("a", 0), chunk_of("bb", 1));
    let durable = Durable::new(&[first.clone(), hers.clone()]);
    register(&durable, &[first.clone(), hers.clone()]).await;
    let genuine = RecordingChunk {
        recording_id: "hers".parse().ok(),
        ..hers
    };
    // Its people are others: nothing but the account of the erased recording leads to it.
    let metadata = json!({"participants": [{"participantId": "8:acs:another"}]}).to_string();
    let id = &genuine.document_id;
    durable.source.put_with_metadata(id, media_of(id), metadata);
    let driver = durable.instance(&Plan::calm());
    deliver(&driver, &[first.clone(), genuine.clone()]).await;
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
    assert_eq!(erasure.of_others, std::slice::from_ref(id));
    assert!(durable.is_whole(id), "it is not hers");
    let found = durable.ledger().find(id).await.expect("the ledger works");
    let entry = found.expect("it is there").entry;
    assert!(entry.metadata.is_some(), "its people stay");
    let state = state(&durable, &first.document_id).await;
    assert!(matches!(state, Some(ChunkState::Removed { .. })));
}

/// The account of a recording that has ended and of which no event announced a file. The person started its call.
async fn ended_without_files(durable: &Durable) {
    let person = PersonKey::of(PARTICIPANT);
    let ledger = durable.ledger();
    let hash = ledger.people().hash(&person).await;
    let hash = hash.expect("the ledger works");
    let change = |account: &mut RegisteredRecording| {
        account.add_people(&[hash]);
        account.stop(now());
    };
    let register = durable.register(&Plan::calm());
    let id = "mine".parse().expect("it is an id");
    let account = register.change(&id, now(), change).await;
    account.expect("the register works");
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_which_no_file_is_announced_yet_is_named_and_left() {
    let durable = Durable::new(&[]);
    ended_without_files(&durable).await;
    let erasure = erase(&durable).await;
    assert!(erasure.erased.is_empty(), "{erasure:?}");
    let reason = &erasure.left[0].reason;
    assert!(reason.contains("no event announced a file"), "{reason}");
    durable.clock.advance(Duration::from_hours(25));
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_left_at_acs_is_named_after_the_erasure_too() {
    let chunk = RecordingChunk {
        locations: ChunkLocations {
            delete: None,
            ..chunk_of("a", 0).locations
        },
        ..chunk_of("a", 0)
    };
    let chunks = [chunk];
    let durable = Durable::new(&chunks);
    register(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    let erasure = erase(&durable).await;
    let id = &chunks[0].document_id;
    assert_eq!(erasure.at_acs, std::slice::from_ref(id), "{erasure:?}");
    let state = state(&durable, id).await;
    let Some(ChunkState::Removed { source, .. }) = state else {
        panic!("{state:?}")
    };
    assert!(source.is_some_and(|source| source.may_be_at_acs()));
}

#[tokio::test(start_paused = true)]
async fn who_acknowledged_a_loss_and_why_is_erased_from_its_entry() {
    let chunks = [chunk_of("a", 0)];
    let durable = Durable::new(&[]);
    ended_without_files(&durable).await;
    register(&durable, &chunks).await;
    let ledger = durable.ledger();
    let recording = ledger.record(chunks[0].clone());
    recording.await.expect("the ledger works");
    durable.clock.advance(Duration::from_hours(25));
    sweep(&durable).await;
    let why = Acknowledgement {
        at: now(),
        by: Some("Anna".to_owned()),
        reason: "Anna says that it was a test".to_owned(),
    };
    let id = &chunks[0].document_id;
    let acknowledged = ledger.acknowledge(id, &why, &Operator::Shell).await;
    let acknowledged = acknowledged.expect("the ledger works");
    assert_eq!(acknowledged, AcknowledgedChunk::Acknowledged);
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
    let found = ledger.find(id).await.expect("the ledger works");
    let entry = found.expect("it is there").entry;
    let rest = entry.acknowledged.expect("that it is known stays");
    assert_eq!((rest.by, rest.reason.as_str()), (None, "erased"));
}

/// Whether the audit log has the note of the person's hold.
async fn has_note(durable: &Durable, note: &str) -> bool {
    let store = durable.store();
    let keys = store.list("audit-texts/", None, 100).await;
    for key in keys.expect("the store works") {
        let found = store.find(&key).await.expect("the store works");
        let content = found.expect("it is there").content;
        if String::from_utf8_lossy(&content).contains(note) {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn the_notes_of_a_persons_hold_are_erased_when_no_case_has_it_any_more() {
    let durable = Durable::new(&[]);
    let (ledger, holds) = (durable.ledger(), durable.holds(&Plan::calm()));
    let notes = ["Anna's lawyer asked", "Bert's lawyer asked"];
    let tag: CaseTag = "A-1".parse().expect("it is a tag");
    let case = Case {
        tag: tag.clone(),
        by: None,
        requested_by: None,
        note: None,
        since: now(),
    };
    let mut held = Vec::new();
    for (id, note) in [PARTICIPANT, "8:acs:bert"].into_iter().zip(notes) {
        let hash = ledger.people().hash(&PersonKey::of(id)).await;
        let person = HeldPerson::new(hash.expect("the ledger works"), id.to_owned());
        let person = person.recorded_as(format!("participant:{}", held.len()));
        let rule = HoldRule::new(Some(person), Period::default()).expect("it has a person");
        let subject = rule.audit_subjects().remove(0);
        let (by, detail) = (Actor::Operator, json!({"case": "A-1", "note": note}));
        let writing = ledger
            .audit()
            .append(by, AuditAction::Held, &subject, detail);
        writing.await.expect("the ledger works");
        let rule = Held::Matching(rule);
        holds.add(&rule, &case).await.expect("the ledger works");
        held.push(rule);
    }
    erase(&durable).await;
    assert!(has_note(&durable, notes[0]).await, "it is in force");
    for rule in &held {
        let releasing = holds.release(rule, &tag, || Box::pin(std::future::ready(Ok(()))));
        releasing.await.expect("the ledger works");
    }
    let erasure = erase(&durable).await;
    assert!(erasure.not_searched.is_nothing(), "{erasure:?}");
    assert!(!has_note(&durable, notes[0]).await);
    assert!(has_note(&durable, notes[1]).await, "it is another person's");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_of_an_earlier_erasure_is_named() {
    let durable = Durable::new(&[]);
    assert!(erase(&durable).await.not_searched.is_nothing());
    let store = durable.store();
    let keys = store.list("audit/", None, 1000).await;
    for key in keys.expect("the store works") {
        let found = store.find(&key).await.expect("the store works");
        let found = found.expect("it is there");
        if String::from_utf8_lossy(&found.content).contains("personErasing") {
            let unchanged = Precondition::Unchanged(found.version);
            let damaged = store.put(&key, "{".into(), unchanged).await;
            damaged.expect("the store works");
        }
    }
    let erasure = erase(&durable).await;
    assert!(!erasure.is_of_someone());
    let names = &erasure.not_searched.unreadable_names;
    assert_eq!(erasure.not_searched.unreadable, 1, "{names:?}");
    let name = names.first().expect("it has one");
    assert!(name.contains("of the audit log"), "{name}");
}
