//! The account of a recording names a chunk before the ledger has an entry of it, whatever is written ahead of both, and
//! however old the account is that a process carries.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::erasing::{Eraser, Erasure};
use recording_vault::clock::{Clock, SystemClock};
use recording_vault::control::entry::{Erased, RegisteredRecording};
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::export::source::RecordingSource;
use recording_vault::export::{ChunkState, ExportDriver, ExportSweep};
use recording_vault::intake::{Intake, Origin};
use recording_vault::recording::{DocumentId, RecordingChunk};
use recording_vault::store::audit::Operator;
use recording_vault::store::document_store::DocumentStore;
use serde_json::{Value, json};

use crate::support::chunk;
use crate::support::fake_source::{FakeSource, PARTICIPANT};
use crate::support::held_store::{HeldStore, Kind};
use crate::support::pipeline::RETENTION;
use crate::support::simulation::{Durable, Plan, budget};

fn now() -> jiff::Timestamp {
    "2026-03-02T10:03:00Z".parse().expect("it is a time")
}

/// A process that takes events. Its register works on a store of its own; all it writes to the ledger is durable.
struct Taker {
    control: Arc<RecordingControl>,
    intake: Intake,
    driver: Arc<ExportDriver>,
}

impl Taker {
    fn new(durable: &Durable, register: Arc<dyn DocumentStore>) -> Self {
        let clock: Arc<dyn Clock> = durable.clock.clone();
        let endpoint = "http://127.0.0.1:1".parse().expect("it is an endpoint");
        let key = AcsCredential::AccessKey("c2VjcmV0".parse().expect("it is base64"));
        let http = AcsHttp::new(endpoint, key, Arc::new(SystemClock)).expect("TLS is there");
        let version = "2024-09-15".parse().expect("it is a version");
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: Duration::from_mins(30),
        };
        let client = CallRecordingClient::new(http, version);
        let control = RecordingControl::new(client, register, Arc::clone(&clock), policy);
        let control = Arc::new(control);
        let driver = durable.instance(&Plan::calm());
        let source: Arc<dyn RecordingSource> = Arc::new(FakeSource::default());
        let intake = Intake::new(driver.ledger(), &control, &source, None, &clock)
            .claiming_for(Some(driver.slots()));
        Self {
            control,
            intake,
            driver,
        }
    }

    /// Takes an event. Returns the chunks that it would export now.
    async fn take(&self, event: Value) -> Vec<DocumentId> {
        let mut delivery = self.intake.begin(Origin::EventGrid);
        let taken = delivery.take_all(&[event]).await;
        taken.expect("the ledger works");
        assert_eq!(delivery.again, None);
        delivery.recorded
    }

    /// Somebody started the recording, and stops it now.
    async fn stop(&self, chunk: &RecordingChunk) {
        let stop = |account: &mut RegisteredRecording| {
            account.started_by = Some(PARTICIPANT.to_owned());
            account.started_at = chunk.started_at;
            account.stop(now());
        };
        let register = self.control.register();
        let stopped = register.change(&chunk.filed_under(), now(), stop).await;
        stopped.expect("the register works");
    }
}

fn chunk_of(id: &str, index: u32) -> RecordingChunk {
    RecordingChunk {
        recording_id: "mine".parse().ok(),
        ..chunk(id, index)
    }
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

/// Erases the recordings of the person, after the time in which events may announce files of them.
async fn erase(durable: &Durable) -> Erasure {
    durable.clock.advance(RETENTION + Duration::from_hours(1));
    let plan = Plan::calm();
    let (catalogue, driver) = (durable.catalogue(&plan), durable.instance(&plan));
    let eraser = Eraser::new(catalogue, driver, Duration::from_hours(1));
    let person = PARTICIPANT.parse().expect("it is a participant");
    let erasing = eraser.erase(&person, "her request", &Operator::Shell).await;
    erasing.expect("the ledger works")
}

async fn sweep(durable: &Durable) {
    let sweep = ExportSweep::new(durable.instance(&Plan::calm()));
    sweep.run(budget()).await.expect("the ledger works");
}

async fn state(durable: &Durable, id: &DocumentId) -> Option<ChunkState> {
    let found = durable.ledger().find(id).await.expect("the ledger works");
    found.map(|found| found.entry.state)
}

async fn is_closed(durable: &Durable, id: &DocumentId) {
    let state = state(durable, id).await;
    assert!(
        matches!(state, Some(ChunkState::Removed { receipt: None, .. })),
        "{state:?}"
    );
    assert!(durable.vault.files().is_empty());
}

async fn markers(durable: &Durable) -> Vec<String> {
    let markers = durable.store().list("open/", None, 10).await;
    markers.expect("the store works")
}

/// A recording that the person started, and a process that stopped it. The write of its account is held when an event of it
/// comes.
async fn stopped_and_held() -> (Durable, RecordingChunk, Arc<HeldStore>, Taker) {
    let chunk = chunk_of("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    Taker::new(&durable, durable.store()).stop(&chunk).await;
    let held = HeldStore::holding(&durable.store(), Kind::Put, "recordings/", 0);
    let taker = Taker::new(&durable, held.clone());
    (durable, chunk, held, taker)
}

#[tokio::test(start_paused = true)]
async fn the_marker_of_a_new_chunk_is_written_beside_the_account_and_its_entry_after_it() {
    let (durable, chunk, held, taker) = stopped_and_held().await;
    let looking = async {
        held.reached().await;
        assert_eq!(markers(&durable).await.len(), 1);
        assert_eq!(state(&durable, &chunk.document_id).await, None);
        held.release();
    };
    let (recorded, ()) = futures::join!(taker.take(event_of(&chunk)), looking);
    assert_eq!(recorded, std::slice::from_ref(&chunk.document_id));
    let state = state(&durable, &chunk.document_id).await;
    assert_eq!(state, Some(ChunkState::Pending));
    assert_eq!(markers(&durable).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_marker_is_written_beside_the_account_of_any_recording_with_a_new_chunk() {
    let (first, second) = (chunk_of("a", 0), chunk_of("bb", 1));
    let durable = Durable::new(&[first.clone(), second.clone()]);
    // Of a recording that nobody started through this app, and of one that has announced a file before.
    for (number, chunk) in [first, second].into_iter().enumerate() {
        let held = HeldStore::holding(&durable.store(), Kind::Put, "recordings/", 0);
        let taker = Taker::new(&durable, held.clone());
        let looking = async {
            held.reached().await;
            assert_eq!(markers(&durable).await.len(), number + 1);
            assert_eq!(state(&durable, &chunk.document_id).await, None);
            held.release();
        };
        futures::join!(taker.take(event_of(&chunk)), looking);
        assert!(state(&durable, &chunk.document_id).await.is_some());
        taker.take(event_of(&chunk)).await;
        assert_eq!(markers(&durable).await.len(), number + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_is_erased_while_its_event_is_taken_is_not_exported() {
    let (durable, chunk, held, taker) = stopped_and_held().await;
    let erasing = async {
        held.reached().await;
        let erasure = erase(&durable).await;
        assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
        held.release();
    };
    let (recorded, ()) = futures::join!(taker.take(event_of(&chunk)), erasing);
    assert!(recorded.is_empty());
    sweep(&durable).await;
    is_closed(&durable, &chunk.document_id).await;
    assert!(markers(&durable).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_before_it_writes_the_account_leaves_nothing_that_is_exported_after_an_erasure()
 {
    let (durable, chunk, held, taker) = stopped_and_held().await;
    tokio::select! {
        _ = taker.take(event_of(&chunk)) => panic!("its write is held"),
        () = held.reached() => {}
    }
    let erasure = erase(&durable).await;
    assert_eq!(erasure.erased, ["mine"], "{erasure:?}");
    for _ in 0..3 {
        durable.clock.advance(Duration::from_mins(20));
        sweep(&durable).await;
    }
    assert!(durable.vault.files().is_empty());
    let another = Taker::new(&durable, durable.store());
    assert!(another.take(event_of(&chunk)).await.is_empty());
    sweep(&durable).await;
    is_closed(&durable, &chunk.document_id).await;
    assert!(markers(&durable).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_follows_its_marker_after_a_long_time_gets_its_marker_again() {
    let (durable, chunk, held, taker) = stopped_and_held().await;
    let store = durable.store();
    let waiting = async {
        held.reached().await;
        tokio::time::sleep(Duration::from_hours(2)).await;
        for marker in markers(&durable).await {
            store.remove(&marker).await.expect("the store works");
        }
        held.release();
    };
    let mut delivery = taker.intake.begin(Origin::EventGrid);
    let events = [event_of(&chunk)];
    let (delivered, ()) = futures::join!(delivery.take_all(&events), waiting);
    delivered.expect("the ledger works");
    assert_eq!(markers(&durable).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_keeps_what_another_process_changed_in_an_account_that_is_carried() {
    let chunk = chunk_of("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    let taker = Taker::new(&durable, durable.store());
    taker.stop(&chunk).await;
    let id = chunk.filed_under();
    let register = durable.register(&Plan::calm());
    let note = |account: &mut RegisteredRecording| account.recording_kind = Some("acs".to_owned());
    let noted = register.change(&id, now(), note).await;
    noted.expect("the register works");
    taker.take(event_of(&chunk)).await;
    let account = register.find(&id).await.expect("the register works");
    let account = account.expect("it has an account");
    assert_eq!(account.recording_kind.as_deref(), Some("acs"));
    assert_eq!(account.files.documents().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_by_another_process_counts_although_the_account_is_carried() {
    let (first, late) = (chunk_of("a", 0), chunk_of("bb", 1));
    let durable = Durable::new(&[first.clone(), late.clone()]);
    let taker = Taker::new(&durable, durable.store());
    taker.stop(&first).await;
    let erased = Erased {
        at: now(),
        reason: "her request".to_owned(),
    };
    let register = durable.register(&Plan::calm());
    let erasing = register.erase(&first.filed_under(), &erased).await;
    erasing.expect("the register works");
    // The second event changes nothing in the account: no conflict says that it was erased.
    for event in [event_of(&first), event_of(&first), event_of(&late)] {
        assert!(taker.take(event).await.is_empty());
    }
    is_closed(&durable, &first.document_id).await;
    is_closed(&durable, &late.document_id).await;
    sweep(&durable).await;
    assert!(markers(&durable).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_event_does_not_rely_on_an_account_that_is_carried() {
    let chunk = chunk_of("a", 0);
    let durable = Durable::new(std::slice::from_ref(&chunk));
    let taker = Taker::new(&durable, durable.store());
    taker.stop(&chunk).await;
    let update = event_of(&chunk);
    let mut delivery = taker.intake.begin(Origin::EventGrid);
    let delivered = delivery.take_all(std::slice::from_ref(&update)).await;
    delivered.expect("the ledger works");
    taker.driver.give_back(&delivery.recorded).await;
    let register = durable.register(&Plan::calm());
    let erased = Erased {
        at: now(),
        reason: "her request".to_owned(),
    };
    let erasing = register.erase(&chunk.filed_under(), &erased).await;
    erasing.expect("the register works");
    assert!(taker.take(update).await.is_empty());
    is_closed(&durable, &chunk.document_id).await;
}
