//! Recording control when ACS's answers come late, are lost, or meet another request: what was decided holds, and nothing
//! that is late undoes it.

mod bots;
mod events;
mod lost;
mod proved;
mod reports;
mod steering;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::requester::Requester;
use recording_vault::control::start::Start;
use recording_vault::control::state::RecordingState;
use recording_vault::control::{ControlError, ControlPolicy, RecordingControl};
use recording_vault::export::{Budget, ChunkLedger, Vaults};
use recording_vault::recording::{IncomingEvent, RecordingFileStatusUpdated, RecordingId};
use recording_vault::store::document_store::{DocumentStore as _, StoreError};
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::support::fake_acs::{FakeAcs, Hold, Op, Trouble};
use crate::support::guarded_store::{Guard, GuardedStore, Kind};

/// Attempts of one exchange with ACS.
const ATTEMPTS: usize = 4;
const API: Requester = Requester::Api {
    principal: None,
    invocation: None,
};
const LOST: &Trouble = &Trouble::AnswerLost;

struct World {
    acs: FakeAcs,
    control: Arc<RecordingControl>,
    store: Arc<MemoryDocumentStore>,
    clock: Arc<ManualClock>,
    is_broken: Arc<AtomicBool>,
    /// Documents of the audit log can be neither read nor written.
    is_log_broken: Arc<AtomicBool>,
    /// All other documents can be neither read nor written.
    is_ledger_broken: Arc<AtomicBool>,
    /// Documents of calls cannot be written.
    are_calls_read_only: Arc<AtomicBool>,
}

/// Fails while it is switched off.
struct Switch {
    is_broken: Arc<AtomicBool>,
    is_log_broken: Arc<AtomicBool>,
    is_ledger_broken: Arc<AtomicBool>,
    are_calls_read_only: Arc<AtomicBool>,
}

#[async_trait]
impl Guard for Switch {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        // What runs at the same time comes between two requests.
        tokio::task::yield_now().await;
        let is_log_broken = self.is_log_broken.load(Ordering::SeqCst);
        let is_ledger_broken = self.is_ledger_broken.load(Ordering::SeqCst);
        let is_log = key.starts_with("audit/2");
        let is_of_log = key.starts_with("audit") || key.starts_with("keys/");
        let is_read_only = self.are_calls_read_only.load(Ordering::SeqCst);
        if self.is_broken.load(Ordering::SeqCst)
            || (is_read_only && kind == Kind::Put && key.starts_with("calls/"))
            || (is_log && is_log_broken)
            || (!is_of_log && is_ledger_broken)
        {
            return Err(StoreError {
                action: "reach",
                key: key.to_owned(),
                source: "it is switched off".into(),
            });
        }
        Ok(())
    }
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryDocumentStore::default());
        let noon: Timestamp = "2026-03-02T12:00:00Z".parse().expect("it is a time");
        let clock = Arc::new(ManualClock::starting_at(noon));
        let (acs, is_broken) = (FakeAcs::start().await, Arc::new(AtomicBool::new(false)));
        let endpoint = acs.url.parse().expect("it is on this machine");
        let key = "c2VjcmV0".parse().expect("it is base64");
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let http = AcsHttp::new(endpoint, AcsCredential::AccessKey(key), Arc::clone(&shared))
            .expect("there is TLS");
        let client = CallRecordingClient::new(http, "2026-03-12".parse().expect("it is known"));
        let policy = ControlPolicy {
            requires_consent: false,
            missing_after: Duration::from_mins(30),
        };
        let is_log_broken = Arc::new(AtomicBool::new(false));
        let is_ledger_broken = Arc::new(AtomicBool::new(false));
        let are_calls_read_only = Arc::new(AtomicBool::new(false));
        let switch = Switch {
            are_calls_read_only: Arc::clone(&are_calls_read_only),
            is_broken: Arc::clone(&is_broken),
            is_log_broken: Arc::clone(&is_log_broken),
            is_ledger_broken: Arc::clone(&is_ledger_broken),
        };
        let switched = GuardedStore::new(&store, switch);
        let control = Arc::new(RecordingControl::new(client, switched, shared, policy));
        Self {
            acs,
            control,
            store,
            clock,
            is_broken,
            is_log_broken,
            is_ledger_broken,
            are_calls_read_only,
        }
    }

    async fn start(&self, start: &Start) -> Result<RecordingId, ControlError> {
        let view = self.control.start(start, Uuid::new_v4(), &API).await?;
        Ok(view.recording_id)
    }

    /// A recording that began long enough ago.
    async fn recording(&self) -> RecordingId {
        let id = self.start(&plain_start()).await.expect("ACS starts it");
        self.pass(90);
        id
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn sweep(&self) {
        let budget = Budget::of(Duration::from_secs(30));
        self.control.sweep(budget).await.expect("the store works");
    }

    async fn account(&self, id: &RecordingId) -> RegisteredRecording {
        let found = self.control.register().find(id).await;
        found.expect("the store works").expect("it is registered")
    }

    async fn state(&self, id: &RecordingId) -> RecordingState {
        self.account(id).await.state()
    }

    /// Asks for something whose answer is held: ACS has done it when this returns.
    async fn asks_and_waits(
        &self,
        op: Op,
        id: &RecordingId,
        by: Requester,
    ) -> (Arc<Hold>, JoinHandle<Result<(), ControlError>>) {
        let hold = self.acs.hold_answer(op);
        let (control, id) = (Arc::clone(&self.control), id.clone());
        let asking = tokio::spawn(async move {
            match op {
                Op::Pause => control.pause(&id, None, &by).await.map(drop),
                Op::Resume => control.resume(&id, &by).await.map(drop),
                Op::Stop => control.stop(&id, &by).await.map(drop),
                Op::Start | Op::State => panic!("{op:?} changes no recording"),
            }
        });
        hold.arrived().await;
        (hold, asking)
    }

    async fn announced(&self, id: &RecordingId, chunks: &Value) {
        let update = update(id, self.clock.now(), chunks);
        self.control
            .announced(&update)
            .await
            .expect("the store works");
    }

    fn is_paused(&self, id: &RecordingId) -> Option<bool> {
        self.acs.is_paused(id.as_str())
    }

    async fn report(&self) {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
        let register = self.control.register().clone();
        Catalogue::new(self.ledger(), register, vaults, clock)
            .report_daily()
            .await
            .expect("the store works");
    }

    fn ledger(&self) -> ChunkLedger {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        ChunkLedger::new(
            Arc::<MemoryDocumentStore>::clone(&self.store),
            clock,
            Duration::from_hours(24),
            Duration::from_mins(5),
        )
    }

    /// Every document of the audit log with records.
    async fn audit_log(&self) -> String {
        let keys = self.store.list("audit/", None, 100).await;
        let mut log = String::new();
        for key in keys.expect("memory works") {
            let document = self.document(&key).await.unwrap_or_default();
            if document.contains("\"records\"") {
                log.push_str(&document);
            }
        }
        log
    }

    async fn document(&self, key: &str) -> Option<String> {
        let found = self.store.find(key).await.expect("memory works");
        found.map(|stored| String::from_utf8_lossy(&stored.content).into_owned())
    }
}

fn parsed(body: &Value) -> Start {
    let version = "2026-03-12".parse().expect("it is known");
    Start::parse(body.to_string().as_bytes(), version).expect("it is a start")
}

fn plain_start() -> Start {
    parsed(&json!({"serverCallId": "abc"}))
}

fn start_with_consent() -> Start {
    parsed(&json!({
        "serverCallId": "abc", "startedBy": "IVR 7", "recordingFormatType": "mp3",
        "recordingStateCallbackUri": "https://app.example/api/recordings/callbacks?code=SECRET",
        "consent": {"basis": "consent", "givenBy": "caller", "givenAt": "2026-03-02T11:00:00Z"},
    }))
}

/// The last event of a recording, with these chunks.
fn update(id: &RecordingId, at: Timestamp, chunks: &Value) -> RecordingFileStatusUpdated {
    let event = json!({"id": "e", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": at.to_string(), "subject": format!("/recording/call/c/serverCallId/abc/recordingId/{id}"),
        "data": {"recordingStorageInfo": {"recordingChunks": chunks}, "sessionEndReason": "CallEnded"}});
    match IncomingEvent::parse(&event) {
        Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => update,
        other => panic!("{other:?}"),
    }
}

fn in_progress(result: Result<RecordingId, ControlError>) -> Option<RecordingId> {
    match result {
        Err(ControlError::AlreadyInProgress { recording_id, .. }) => recording_id,
        other => panic!("{other:?}"),
    }
}

/// A start whose answer was lost, or that never reached ACS.
async fn lost_start(world: &World, trouble: &Trouble) {
    world.acs.trouble(Op::Start, trouble, ATTEMPTS);
    let lost = world.start(&start_with_consent()).await;
    assert!(
        matches!(lost, Err(ControlError::StartUnknown { .. })),
        "{lost:?}"
    );
    world.acs.calm();
    // Whoever asked is gone by then.
    world.pass(41);
}

async fn assert_first_callers(world: &World, id: &RecordingId) {
    let account = world.account(id).await;
    let consent = account.consent.as_ref().map(|consent| &*consent.given_by);
    assert_eq!(
        (consent, account.started_by.as_deref()),
        (Some("caller"), Some("IVR 7"))
    );
    assert_eq!(account.state(), RecordingState::Active);
    let began = account.started_at.expect("it began");
    assert_eq!(began.to_string(), "2026-03-02T12:00:00Z");
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_found_by_the_next_start_of_another_caller() {
    for trouble in [LOST, &Trouble::Refused(503, "9999")] {
        let world = World::new().await;
        lost_start(&world, trouble).await;
        let id = in_progress(world.start(&plain_start()).await).expect("it is recovered");
        assert_eq!(world.acs.recordings(), [id.as_str()]);
        assert_first_callers(&world, &id).await;
        let starts = world.acs.starts();
        let (first, again) = (&starts[0], &starts[ATTEMPTS]);
        assert_eq!(
            (&first.request_id, &first.first_sent),
            (&again.request_id, &again.first_sent)
        );
        let mut expected = first.body.clone();
        let members = expected.as_object_mut().expect("it is an object");
        members.remove("recordingStateCallbackUri");
        assert_eq!(again.body, expected);
    }
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_found_by_the_sweep() {
    let world = World::new().await;
    lost_start(&world, LOST).await;
    world.sweep().await;
    assert_first_callers(&world, &"r1".parse().expect("it is an id")).await;
    let starting = world.store.list("starting/", None, 10).await;
    assert_eq!(starting.expect("memory works"), Vec::<String>::new());
    assert_eq!(world.acs.starts().len(), ATTEMPTS + 1);
    world.sweep().await;
    assert_eq!(world.acs.starts().len(), ATTEMPTS + 1);
}

#[tokio::test]
async fn a_start_that_the_same_caller_repeats_continues_as_the_same_start() {
    let world = World::new().await;
    let request_id = Uuid::new_v4();
    world.acs.trouble(Op::Start, LOST, ATTEMPTS);
    let start = start_with_consent();
    let lost = world.control.start(&start, request_id, &API).await;
    assert!(matches!(lost, Err(ControlError::StartUnknown { .. })));
    let view = world.control.start(&start, request_id, &API).await;
    let view = view.expect("ACS answers as it answered first");
    assert_eq!(world.acs.recordings(), [view.recording_id.as_str()]);
}

#[tokio::test]
async fn a_lost_start_that_acs_refuses_makes_way_for_the_next() {
    let world = World::new().await;
    lost_start(&world, &Trouble::Refused(503, "9999")).await;
    let refused = Trouble::Refused(400, "8501");
    world.acs.trouble(Op::Start, &refused, 1);
    let id = world.start(&plain_start()).await.expect("the call is free");
    assert_eq!(world.account(&id).await.consent, None);
}

#[tokio::test]
async fn while_acs_does_not_say_what_became_of_a_start_the_next_one_is_told_so() {
    let world = World::new().await;
    lost_start(&world, LOST).await;
    world
        .acs
        .trouble(Op::Start, &Trouble::Refused(503, "9999"), ATTEMPTS);
    let next = world.start(&plain_start()).await;
    assert!(
        matches!(next, Err(ControlError::StartUnknown { .. })),
        "{next:?}"
    );
}

#[tokio::test]
async fn after_five_minutes_the_call_is_free_and_the_lost_starts_consent_is_kept() {
    let world = World::new().await;
    lost_start(&world, &Trouble::Refused(503, "9999")).await;
    world.pass(260);
    world.sweep().await;
    assert_eq!(world.acs.starts().len(), ATTEMPTS, "it is not asked again");
    world.start(&plain_start()).await.expect("the call is free");
    let calls = world.store.list("calls/", None, 10).await;
    let key = calls.expect("memory works").remove(0);
    let document = world.document(&key).await.expect("it is there");
    assert!(
        document.contains("\"givenBy\": \"caller\"") && document.contains("IVR 7"),
        "{document}"
    );
}

#[tokio::test]
async fn each_process_that_gives_a_start_up_records_it_in_the_audit_log() {
    for is_found_by_the_sweep in [true, false] {
        let world = World::new().await;
        lost_start(&world, LOST).await;
        world.pass(260);
        if is_found_by_the_sweep {
            world.sweep().await;
        } else {
            assert_eq!(in_progress(world.start(&plain_start()).await), None);
        }
        world.sweep().await;
        let log = world.audit_log().await;
        assert_eq!(log.matches("startUnknown").count(), 1, "{log}");
    }
}

#[tokio::test]
async fn a_start_is_not_given_up_while_the_audit_log_cannot_be_written() {
    let world = World::new().await;
    lost_start(&world, LOST).await;
    world.pass(260);
    world.is_broken.store(true, Ordering::SeqCst);
    let swept = world.control.sweep(Budget::of(Duration::from_secs(30)));
    assert!(swept.await.is_err());
    world.is_broken.store(false, Ordering::SeqCst);
    assert_eq!(world.audit_log().await, "");
    world.sweep().await;
    let log = world.audit_log().await;
    assert_eq!(log.matches("startUnknown").count(), 1, "{log}");
}

#[tokio::test]
async fn a_start_that_two_requests_register_late_is_in_the_log_once() {
    let world = World::new().await;
    world.is_broken.store(true, Ordering::SeqCst);
    let id = world.start(&plain_start()).await.expect("ACS starts it");
    world.is_broken.store(false, Ordering::SeqCst);
    let late = || {
        world
            .control
            .register_late(Budget::of(Duration::from_secs(30)))
    };
    tokio::join!(late(), late());
    assert!(world.account(&id).await.is_running());
    let log = world.audit_log().await;
    assert_eq!(log.matches("\"started\"").count(), 1, "{log}");
}

#[tokio::test]
async fn a_second_start_is_decided_by_acs_where_its_state_cannot_be_asked() {
    let world = World::new().await;
    let id = world.recording().await;
    let failing = Trouble::Refused(500, "9999");
    world.acs.trouble(Op::State, &failing, ATTEMPTS);
    assert_eq!(
        in_progress(world.start(&plain_start()).await),
        Some(id.clone()),
        "ACS says that it is a duplicate"
    );
    world.acs.calm();
    world.acs.end(id.as_str());
    world.acs.trouble(Op::State, &failing, ATTEMPTS);
    let next = world.start(&plain_start()).await;
    assert_ne!(next.expect("the call is recorded"), id);
}
