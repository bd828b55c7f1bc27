//! A recording that was played very often is shown at the cost of a page of its history: requests to the ledger's storage,
//! counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::detail::RecordingLookup;
use recording_vault::clock::ManualClock;
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkLedger, Vaults};
use recording_vault::recording::{RecordingChunk, RecordingId};
use recording_vault::store::audit::{Actor, AuditAction};
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use recording_vault::vault::memory::MemoryVault;
use serde_json::json;

use crate::support::chunk;
use crate::support::counting::{CountingStore, Counts};
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

/// Documents of the log that are read for one recording.
const READ: usize = 1000;
const MARKERS: &str = "audit-subjects/";

/// A recording with so many documents that have a play of its only chunk.
struct PlayedOften {
    store: Arc<CountingStore>,
    clock: Arc<ManualClock>,
    ledger: ChunkLedger,
    id: RecordingId,
}

impl PlayedOften {
    async fn new(plays: usize) -> Self {
        let store = Arc::new(CountingStore::default());
        let now = "2026-03-02T10:03:00Z".parse().expect("it is a time");
        let clock = Arc::new(ManualClock::starting_at(now));
        let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
        let chunk = RecordingChunk {
            recording_id: "recording-0".parse().ok(),
            ..chunk("doc-0", 0)
        };
        let recorded = ledger.record(chunk.clone()).await;
        recorded.expect("the ledger works");
        let this = Self {
            store,
            clock,
            ledger,
            id: chunk.filed_under(),
        };
        this.register(&chunk).await;
        for _ in 0..plays.min(READ + 1) {
            this.play().await;
        }
        this.mark_earlier_plays(plays.saturating_sub(READ + 1))
            .await;
        this
    }

    async fn register(&self, chunk: &RecordingChunk) {
        let register = RecordingRegister::new(self.store.clone(), Duration::from_mins(30));
        let changed = register.change(&self.id, jiff::Timestamp::UNIX_EPOCH, |account| {
            account.started_at = chunk.started_at;
            let documents = account.files.chunks.entry(0).or_default();
            documents.insert(chunk.document_id.clone());
        });
        changed.await.expect("the register works");
    }

    async fn play(&self) {
        self.clock.advance(Duration::from_mins(11));
        let (by, action) = (Actor::Operator, AuditAction::Played);
        let appended = self
            .ledger
            .audit()
            .append(by, action, "doc-0", json!({"through": "api"}));
        appended.await.expect("the log works");
    }

    /// Writes markers of earlier documents, as the log writes them: their times count backwards.
    async fn mark_earlier_plays(&self, count: usize) {
        let markers = self.store.list(MARKERS, None, usize::MAX).await;
        let markers = markers.expect("the store works");
        let mut played = markers.iter().rev();
        let oldest = played
            .find(|key| key.split('/').count() == 4)
            .expect("it was played");
        let (folder, name) = oldest.rsplit_once('/').expect("a marker lies in a folder");
        let (subject, folder) = folder.rsplit_once('/').expect("a subject has folders");
        let (rest, document) = name.split_once('-').expect("a marker names a document");
        let digits = format!("{folder}{rest}");
        let back: u64 = digits.parse().expect("it is a time");
        for number in 1..=count as u64 {
            let earlier = format!("{:0width$}", back + number * 1000, width = digits.len());
            let (folder, rest) = earlier.split_at(folder.len());
            let key = format!("{subject}/{folder}/{rest}-{document}");
            let put = self
                .store
                .put(&key, Bytes::from_static(b"{}"), Precondition::Absent);
            put.await.expect("the store works");
        }
    }

    async fn show(&self) -> (usize, Counts) {
        let catalogue = Catalogue::new(
            self.ledger.clone(),
            RecordingRegister::new(self.store.clone(), Duration::from_mins(30)),
            Vaults::new(Arc::new(MemoryVault::default()), None),
            self.clock.clone(),
        );
        self.store.take_counts();
        let found = catalogue.show(&self.id).await.expect("the store works");
        let RecordingLookup::Known(detail) = found else {
            panic!("the recording is there");
        };
        let played = detail.timeline.iter().filter(|one| one.what == "played");
        (played.count(), self.store.take_counts())
    }
}

#[tokio::test]
async fn a_history_costs_the_same_after_a_hundred_thousand_plays_as_after_a_thousand() {
    let (shown, few) = PlayedOften::new(READ).await.show().await;
    assert_eq!(shown, READ);
    let (shown, many) = PlayedOften::new(100_000).await.show().await;
    assert_eq!(shown, READ);
    // One key more says that there are more.
    let more = many.keys_listed - few.keys_listed;
    assert!(more <= 1, "{more} keys more are listed");
    let keys_listed = many.keys_listed;
    assert_eq!(many, Counts { keys_listed, ..few });
    assert!(many.finds < READ as u64 + 50, "{many:?}");
}
