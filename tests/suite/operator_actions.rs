//! Operators' actions cost what they are about, not what the vault holds.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::Catalogue;
use recording_vault::clock::{Clock as _, ManualClock};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkLedger, Vaults};
use recording_vault::operator_actions::hold::{HoldRequest, Holding};
use recording_vault::operator_actions::{Operator, OperatorActions};
use recording_vault::recording::{CallId, DocumentId, RecordingChunk};
use recording_vault::store::holds::Held;
use recording_vault::vault::memory::MemoryVault;

use crate::support::chunk;
use crate::support::counting::{CountingStore, Counts};
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

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
    let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
    let clock: Arc<dyn recording_vault::clock::Clock> = clock;
    let catalogue = Catalogue::new(ledger.clone(), register, vaults.clone(), clock.clone());
    let actions = OperatorActions::new(&ledger, &catalogue, &vaults, &clock);
    let request = HoldRequest {
        held: Held::CallId("held".parse().expect("it is an id")),
        tag: "A-1".parse().expect("it is a tag"),
        by: None,
        note: None,
    };
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
