//! Operators' actions cost what they are about, not what the vault holds; a hold says what it may have come too late for.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock as _, ManualClock};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkLedger, Vaults};
use recording_vault::operator_actions::hold::{Holding, RequestedHold};
use recording_vault::operator_actions::{Operator, OperatorActions};
use recording_vault::recording::{CallId, DocumentId, RecordingChunk};
use recording_vault::store::document_store::{DocumentStore, Precondition};
use recording_vault::store::holds::Held;
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};
use serde_json::{Value, json};

use crate::support::chunk;
use crate::support::counting::{CountingStore, Counts};
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

fn actions(
    ledger: &ChunkLedger,
    register: RecordingRegister,
    clock: &Arc<ManualClock>,
) -> OperatorActions {
    let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
    let clock: Arc<dyn recording_vault::clock::Clock> = clock.clone();
    let catalogue = Catalogue::new(ledger.clone(), register, vaults.clone(), clock.clone());
    OperatorActions::new(ledger, &catalogue, &vaults, &clock)
}

fn request(held: Held) -> RequestedHold {
    RequestedHold {
        held,
        tag: "A-1".parse().expect("it is a tag"),
        requested_by: None,
        note: None,
    }
}

/// Holds one call of two recordings among so many other calls; what it cost and what it found.
async fn hold_a_call_among(others: usize) -> (Counts, Holding) {
    let store = Arc::new(CountingStore::default());
    let now = "2026-03-02T10:03:00Z".parse().expect("it is a time");
    let clock = Arc::new(ManualClock::starting_at(now));
    let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
    let register = RecordingRegister::new(store.clone(), Duration::from_mins(30));
    let calls = ["held", "held"].map(str::to_owned);
    let calls = calls
        .into_iter()
        .chain((0..others).map(|number| format!("other-{number}")));
    for (number, call) in calls.enumerate() {
        let call: CallId = call.parse().expect("it is an id");
        let chunk = RecordingChunk {
            recording_id: format!("recording-{number}").parse().ok(),
            call_id: Some(call.clone()),
            ..chunk(&format!("doc-{number}"), 0)
        };
        let document_id = chunk.document_id.clone();
        let started_at = chunk.started_at;
        let recording_id = chunk.filed_under();
        ledger.record(chunk).await.expect("the ledger works");
        register
            .change(&recording_id, clock.now(), |account| {
                account.started_at = started_at;
                account.call_id = Some(call.clone());
                let documents = account.files.chunks.entry(0).or_default();
                documents.insert(document_id.clone());
            })
            .await
            .expect("the register works");
    }
    let actions = actions(&ledger, register, &clock);
    let request = request(Held::CallId("held".parse().expect("it is an id")));
    store.take_counts();
    let holding = actions.hold(request, &Operator::Shell).await;
    (store.take_counts(), holding.expect("the store works"))
}

#[tokio::test]
async fn a_hold_on_a_call_finds_its_chunks_at_the_same_cost_however_many_others_there_are() {
    let (few, _) = hold_a_call_among(3).await;
    let (many, holding) = hold_a_call_among(300).await;
    assert_eq!(few, many);
    let mut chunks: Vec<&str> = holding.chunks.iter().map(DocumentId::as_str).collect();
    chunks.sort_unstable();
    assert_eq!(chunks, ["doc-0", "doc-1"]);
    assert!(holding.gone.is_empty());
}

/// A ledger with one chunk, and what an operator does there.
struct OneChunk {
    store: Arc<MemoryDocumentStore>,
    clock: Arc<ManualClock>,
    ledger: ChunkLedger,
    register: RecordingRegister,
    chunk: RecordingChunk,
}

impl OneChunk {
    async fn recorded() -> Self {
        let store = Arc::new(MemoryDocumentStore::default());
        let now = "2026-03-02T10:03:00Z".parse().expect("it is a time");
        let clock = Arc::new(ManualClock::starting_at(now));
        let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
        let register = RecordingRegister::new(store.clone(), Duration::from_mins(30));
        let chunk = chunk("doc", 0);
        ledger.record(chunk.clone()).await.expect("it works");
        Self {
            store,
            clock,
            ledger,
            register,
            chunk,
        }
    }

    async fn in_the_register(self) -> Self {
        let (id, document_id) = (self.chunk.filed_under(), self.chunk.document_id.clone());
        let change = self.register.change(&id, self.clock.now(), |account| {
            account.call_id.clone_from(&self.chunk.call_id);
            account.started_at = self.chunk.started_at;
            let documents = account.files.chunks.entry(0).or_default();
            documents.insert(document_id.clone());
        });
        change.await.expect("the register works");
        self
    }

    /// Holds its recording.
    async fn hold(&self) -> Holding {
        self.hold_all_of(Held::RecordingId(self.chunk.filed_under()))
            .await
    }

    async fn hold_all_of(&self, held: Held) -> Holding {
        let actions = actions(&self.ledger, self.register.clone(), &self.clock);
        let holding = actions.hold(request(held), &Operator::Shell).await;
        holding.expect("the store works")
    }

    /// Replaces a document by what `change` makes of it.
    async fn rewrite(&self, prefix: &str, change: impl FnOnce(Value) -> String) {
        let keys = self.store.list(prefix, None, 2).await;
        let keys = keys.expect("the store works");
        assert_eq!(keys.len(), 1, "{keys:?}");
        let found = self.store.find(&keys[0]).await.expect("the store works");
        let found = found.expect("it is there");
        let content = change(serde_json::from_slice(&found.content).expect("it is JSON"));
        let condition = Precondition::Unchanged(found.version);
        let written = self.store.put(&keys[0], content.into(), condition).await;
        assert!(written.expect("the store works").is_written());
    }
}

#[tokio::test]
async fn a_hold_that_comes_while_a_deletion_at_acs_is_on_its_way_says_so() {
    let one = OneChunk::recorded().await.in_the_register().await;
    let intend = |mut entry: Value| {
        entry["intent"] = json!({
            "deletes": {"at": "https://us-storage.asm.skype.com/v1/objects/doc"},
            "beganAt": "2026-03-02T10:02:00Z", "actsUntil": "2026-03-02T10:08:00Z",
            "claim": "00000000-0000-0000-0000-000000000001",
        });
        entry.to_string()
    };
    one.rewrite("chunks/", intend).await;
    let holding = one.hold().await;
    assert_eq!(holding.in_doubt.len(), 1, "{holding:?}");
    assert!(holding.chunks.is_empty() && !holding.is_complete());
    let problems = holding.problems();
    assert!(
        problems[0].contains("10:02:00Z") && problems[0].contains("until 2026-03-02T10:08:00Z"),
        "{problems:?}"
    );
    one.clock.advance(Duration::from_mins(5));
    let holding = one.hold().await;
    let problems = holding.problems();
    assert!(problems[0].contains("is unknown"), "{problems:?}");
}

#[tokio::test]
async fn a_hold_names_an_entry_that_is_not_readable() {
    let one = OneChunk::recorded().await.in_the_register().await;
    one.rewrite("chunks/", |_| "{".to_owned()).await;
    let holding = one.hold().await;
    assert!(!holding.is_complete() && holding.chunks.is_empty());
    assert_eq!(holding.unreadable, ["the entry of chunk doc"]);
}

#[tokio::test]
async fn a_hold_finds_the_chunks_of_an_account_that_is_not_readable_while_they_are_open() {
    let one = OneChunk::recorded().await.in_the_register().await;
    let call = one.chunk.call_id.clone().expect("it has one");
    one.rewrite("recordings/", |_| "{".to_owned()).await;
    for held in [
        Held::RecordingId(one.chunk.filed_under()),
        Held::CallId(call),
    ] {
        let holding = one.hold_all_of(held).await;
        assert_eq!(holding.chunks, std::slice::from_ref(&one.chunk.document_id));
        assert_eq!(holding.unreadable.len(), 1, "{:?}", holding.unreadable);
        assert!(!holding.is_complete());
    }
}

#[tokio::test]
async fn a_hold_finds_a_chunk_whose_event_the_register_did_not_take() {
    let one = OneChunk::recorded().await;
    let holding = one.hold().await;
    assert_eq!(holding.chunks, std::slice::from_ref(&one.chunk.document_id));
    assert!(holding.is_complete());
}
