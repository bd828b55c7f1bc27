//! What one recording costs, from its event to the deletion at ACS: requests to the storage, counted in memory, and how many
//! of them follow one another. `docs/OPERATIONS.md` and `docs/SCALING.md` calculate with these numbers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::RecordingRegister;
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::export::block::BlockPolicy;
use recording_vault::export::source::RecordingSource;
use recording_vault::export::{Budget, ChunkLedger, ExportDriver, ExportPolicy, Sources, Vaults};
use recording_vault::intake::dispatch::Dispatch;
use recording_vault::intake::{Intake, Origin};
use recording_vault::recording::{CallLocator, RecordedCall, RecordingId};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::content;
use crate::support::fake_acs::{FakeAcs, Op};
use crate::support::fake_source::FakeSource;
use crate::support::pipeline::{CLAIM_TTL, RETENTION, policy};
use crate::support::request_log::{LATENCY, LoggedStore, LoggedVault, RequestLog};

const BLOCK: usize = 64 * 1024;
const MISSING_AFTER: Duration = Duration::from_mins(30);
const RECORDING: &str = "eyJQbGF0Zm9ybSI6IjEifQ";
const CALL: &str = "7c62cca0-0000-4444-8888-000000000001";
const SERVER_CALL: &str = "aHR0cHM6Ly9jb252LmV4YW1wbGUvYWJj";

/// A process that took events before, on storage where each request takes its time.
struct Process {
    log: RequestLog,
    clock: Arc<ManualClock>,
    source: Arc<FakeSource>,
    store: Arc<LoggedStore>,
    intake: Intake,
    dispatch: Arc<Dispatch>,
}

/// What a delivery cost.
#[derive(Debug)]
struct Cost {
    requests: Vec<String>,
    /// The time that it took, in requests.
    in_sequence: u128,
}

impl Process {
    async fn new() -> Self {
        // Nothing is asked of ACS.
        Self::at("http://127.0.0.1:1").await
    }

    /// A process of an ACS at this address.
    async fn at(acs_url: &str) -> Self {
        let log = RequestLog::new();
        let clock = ManualClock::starting_at("2026-03-02T10:03:00Z".parse().expect("it is a time"));
        let manual_clock = Arc::new(clock);
        let clock: Arc<dyn Clock> = manual_clock.clone();
        let store = LoggedStore::new(&Arc::default(), log.clone());
        let vault = LoggedVault {
            inner: Arc::default(),
            log: log.clone(),
        };
        let export_policy = ExportPolicy {
            blocks: BlockPolicy {
                block_size_bytes: NonZeroUsize::new(BLOCK).expect("it is not zero"),
                ..policy().blocks
            },
            ..policy()
        };
        let ledger = ChunkLedger::new(store.clone(), Arc::clone(&clock), RETENTION, CLAIM_TTL);
        let source = Arc::new(FakeSource::default());
        let acs: Arc<dyn RecordingSource> = source.clone();
        let driver = Arc::new(ExportDriver::new(
            ledger.clone(),
            Sources {
                acs: Arc::clone(&acs),
                external: Arc::new(FakeSource::external()),
            },
            Vaults::new(Arc::new(vault), None),
            Arc::clone(&clock),
            export_policy,
        ));
        let control_policy = ControlPolicy {
            requires_consent: false,
            missing_after: MISSING_AFTER,
        };
        let control = RecordingControl::new(
            client(acs_url),
            store.clone(),
            Arc::clone(&clock),
            control_policy,
        );
        let control = Arc::new(control);
        for recording in [RECORDING, "warm-up"] {
            start_and_stop(control.register(), recording, &*clock).await;
        }
        let process = Self {
            intake: Intake::new(&ledger, &control, &acs, None, &clock)
                .claiming_for(Some(driver.slots())),
            dispatch: Dispatch::new(driver, None, 4),
            clock: manual_clock,
            source,
            store,
            log,
        };
        // The first event of a process reads keys, and begins its audit log.
        process.deliver("warm-up", &["warm-up"], BLOCK).await;
        process
    }

    /// Takes the event of a recording with these chunks, and exports them.
    async fn deliver(&self, recording: &str, chunks: &[&str], size_bytes: usize) -> Cost {
        for id in chunks {
            let metadata = json!({
                "chunkDocumentId": id, "chunkDuration": 60_000, "callId": CALL,
                "recordingInfo": {"contentType": "audio", "format": "wav", "channelType": "mixed"},
                "participants": [
                    {"participantId": "8:acs:29bd5ea9_00000001"}, {"participantId": "4:+15551230001"}
                ],
            });
            let id = id.parse().expect("it is a document id");
            let media = content(size_bytes, 7);
            self.source
                .put_with_metadata(&id, media, metadata.to_string());
        }
        self.log.take();
        let began = Instant::now();
        let mut delivery = self.intake.begin(Origin::EventGrid);
        let event = event(recording, chunks);
        let taken = delivery.take_all(std::slice::from_ref(&event));
        taken.await.expect("the ledger works");
        assert_eq!(delivery.again, None);
        let recorded = std::mem::take(&mut delivery.recorded);
        assert_eq!(recorded.len(), chunks.len());
        let budget = Budget::of(Duration::from_hours(1));
        let lines = self.dispatch.export(recorded, budget).await;
        for line in lines {
            assert!(line.ends_with("deleted at ACS"), "{line}");
        }
        let in_sequence = began.elapsed().as_millis() / LATENCY.as_millis();
        let mut requests = self.log.take();
        // The media is noise, and listed as doubtful.
        requests.retain(|request| !request.contains("catalogue/attention/doubtful/"));
        self.clock.advance(Duration::from_secs(1));
        Cost {
            requests,
            in_sequence,
        }
    }
}

/// A recording that was started and stopped through this app, by the process with this register.
async fn start_and_stop(register: &RecordingRegister, recording: &str, clock: &dyn Clock) {
    let id: RecordingId = recording.parse().expect("it is an id");
    let now = clock.now();
    let registered = register.change(&id, now, |account| {
        account.started_by = Some("api".to_owned());
        account.started_at = "2026-03-02T10:00:00Z".parse().ok();
        account.call = Some(RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: SERVER_CALL.parse().expect("it is an id"),
        }));
        account.stop(now);
    });
    registered.await.expect("the register works");
}

fn event(recording: &str, chunks: &[&str]) -> Value {
    let chunks = chunks.iter().enumerate().map(|(index, id)| {
        let object = format!("https://us-storage.asm.skype.com/v1/objects/{id}");
        json!({
            "documentId": id, "index": index, "endReason": "SessionEnded",
            "contentLocation": format!("{object}/content/audio"),
            "metadataLocation": format!("{object}/content/acsmetadata"),
            "deleteLocation": object,
        })
    });
    json!({
        "id": "b3c1", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "subject": format!("/recording/call/{CALL}/serverCallId/{SERVER_CALL}/recordingId/{recording}"),
        "eventTime": "2026-03-02T10:02:00Z",
        "data": {
            "recordingStartTime": "2026-03-02T10:00:00Z", "recordingDurationMs": 60_000,
            "recordingContentType": "Audio", "recordingChannelType": "Mixed", "recordingFormatType": "Wav",
            "sessionEndReason": "SessionEnded",
            "recordingStorageInfo": {"recordingChunks": chunks.collect::<Vec<_>>()},
        },
    })
}

fn client(acs_url: &str) -> CallRecordingClient {
    let endpoint = acs_url.parse();
    let key = AcsCredential::AccessKey("c2VjcmV0".parse().expect("it is base64"));
    let clock = Arc::new(recording_vault::clock::SystemClock);
    let http = AcsHttp::new(endpoint.expect("it is an endpoint"), key, clock);
    let version = "2024-09-15".parse().expect("it is a version");
    CallRecordingClient::new(http.expect("TLS is there"), version)
}

fn assert_cost(cost: &Cost, requests: usize, in_sequence: u128) {
    assert!(
        cost.requests.len() <= requests && cost.in_sequence <= in_sequence,
        "{} requests (at most {requests}), {} in sequence (at most {in_sequence}):\n{}",
        cost.requests.len(),
        cost.in_sequence,
        cost.requests.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_one_block_costs_as_many_requests_as_the_guide_says() {
    let process = Process::new().await;
    let cost = process.deliver(RECORDING, &["chunk-a"], BLOCK).await;
    assert_cost(&cost, 18, 10);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_another_process_wrote_costs_one_request_more() {
    let process = Process::new().await;
    let another = RecordingRegister::new(process.store.clone(), MISSING_AFTER);
    start_and_stop(&another, "stopped-there", &*process.clock).await;
    let cost = process.deliver("stopped-there", &["chunk-a"], BLOCK).await;
    assert_cost(&cost, 19, 11);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_another_process_changed_meanwhile_costs_a_conflict() {
    let process = Process::new().await;
    let register = RecordingRegister::new(process.store.clone(), MISSING_AFTER);
    let id = RECORDING.parse().expect("it is an id");
    let change = |account: &mut RegisteredRecording| account.heard_at = process.clock.now();
    let changed = register.change(&id, process.clock.now(), change).await;
    changed.expect("the register works");
    let cost = process.deliver(RECORDING, &["chunk-a"], BLOCK).await;
    assert_cost(&cost, 23, 15);
}

/// ACS is a real server here, so that the time is real, too: only the number of requests counts.
#[tokio::test]
async fn a_recording_that_another_app_started_costs_five_requests_more() {
    let acs = FakeAcs::start().await;
    let process = Process::at(&acs.url).await;
    let cost = process.deliver("unknown-here", &["chunk-a"], BLOCK).await;
    assert_eq!(acs.asked(Op::State), 1, "whether it has ended");
    assert_cost(&cost, 23, u128::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_recording_of_two_blocks_costs_three_requests_more() {
    let process = Process::new().await;
    let cost = process.deliver(RECORDING, &["chunk-a"], 2 * BLOCK).await;
    assert_cost(&cost, 21, 12);
}

#[tokio::test(start_paused = true)]
async fn each_further_chunk_of_an_event_costs_less() {
    let one = Process::new().await;
    let one = one.deliver(RECORDING, &["chunk-a"], BLOCK).await;
    let two = Process::new().await;
    let two = two.deliver(RECORDING, &["chunk-a", "chunk-b"], BLOCK).await;
    let further = two.requests.len() - one.requests.len();
    assert!(further <= 16, "{further}:\n{}", two.requests.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_new_chunk_that_waits_for_a_slot_is_read_only_before_its_deletion() {
    let process = Process::new().await;
    let chunks = ["a", "b", "c", "d", "e", "f", "g", "h"];
    assert!(chunks.len() > policy().chunks_in_flight);
    let cost = process.deliver(RECORDING, &chunks, BLOCK).await;
    let reads = cost.requests.iter();
    let reads: Vec<_> = reads
        .filter(|request| request.contains("find chunks/"))
        .collect();
    assert_eq!(reads.len(), chunks.len(), "{reads:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_delivered_again_costs_three_reads() {
    let process = Process::new().await;
    process.deliver(RECORDING, &["chunk-a"], BLOCK).await;
    let again = process.deliver(RECORDING, &["chunk-a"], BLOCK).await;
    assert_cost(&again, 3, 3);
}
