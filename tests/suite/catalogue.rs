//! Recordings are found and shown at the cost of a page, not of the vault; and whatever was interrupted, none is left out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::list::{Page, Wanted};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::digest::Sha256Digest;
use recording_vault::export::index::{Index, Listed};
use recording_vault::export::ledger_store::{LedgerStore, Precondition};
use recording_vault::export::{ChunkLedger, Vaults};
use recording_vault::recording::RecordingChunk;

use crate::support::chunk;
use crate::support::counting::CountingStore;
use crate::support::pipeline::{CLAIM_TTL, RETENTION};

/// A vault of so many recordings of one chunk each, as register and ledger wrote it.
async fn vault_of(recordings: usize) -> (Catalogue, Arc<CountingStore>) {
    let store = Arc::new(CountingStore::default());
    let clock = Arc::new(recording_vault::clock::ManualClock::starting_at("2026-03-02T10:03:00Z".parse().expect("it is a time")));
    let ledger = ChunkLedger::new(store.clone(), clock.clone(), RETENTION, CLAIM_TTL);
    let register = RecordingRegister::new(store.clone(), Duration::from_mins(30));
    let first = RecordingChunk { recording_id: "recording-0".parse().ok(), ..chunk("doc-0", 0) };
    ledger.record(first.clone()).await.expect("the ledger works");
    let id = first.filed_under();
    let document = first.document_id.clone();
    register
        .change(&id, clock_now(), |account| {
            account.started_at = first.started_at;
            account.files.chunks.entry(0).or_default().insert(document.clone());
        })
        .await
        .expect("the register works");
    let read = async |key: String| {
        let stored = store.find(&key).await.expect("the store works").unwrap_or_else(|| panic!("{key} is not there"));
        String::from_utf8(stored.content.to_vec()).expect("it is JSON")
    };
    let name = |id: &str| Sha256Digest::of(id.as_bytes());
    let entry = read("chunks/doc-0.json".to_owned()).await;
    let account = read(format!("recordings/{}.json", name("recording-0"))).await;
    let index = Index::new(store.clone());
    let start = first.started_at.expect("a test's chunk has a start");
    let put = async |key: &str, content: String| {
        store.put(key, Bytes::from(content), Precondition::Absent).await.expect("the store works");
    };
    for number in 1..recordings {
        let (id, doc) = (format!("recording-{number}"), format!("doc-{number}"));
        let other = |text: &str| text.replace("recording-0", &id).replace("doc-0", &doc);
        let began = start - jiff::SignedDuration::from_secs(i64::try_from(number).expect("it is small"));
        put(&format!("chunks/{doc}.json"), other(&entry)).await;
        let account = other(&account).replace(&start.to_string(), &began.to_string());
        put(&format!("recordings/{}.json", name(&id)), account).await;
        index.put([Listed::All.marker(began, &name(&id), None)]).await.expect("the store works");
    }
    let catalogue = Catalogue::new(
        ledger,
        register,
        Vaults::new(Arc::new(recording_vault::vault::memory::MemoryVault::default()), None),
        clock,
    );
    store.take_counts();
    (catalogue, store)
}

fn clock_now() -> jiff::Timestamp {
    "2026-03-02T10:03:00Z".parse().expect("it is a time")
}

fn ids(page: &Page) -> Vec<&str> {
    page.recordings.iter().map(|row| row.recording_id.as_str()).collect()
}

#[tokio::test]
async fn a_page_costs_the_same_among_a_hundred_thousand_recordings_as_among_a_thousand() {
    let mut costs = Vec::new();
    for recordings in [1000, 100_000] {
        let (catalogue, store) = vault_of(recordings).await;
        let first = catalogue.list(&Wanted { top: 50, ..Wanted::default() }).await.expect("the store works");
        assert_eq!((first.recordings.len(), ids(&first)[0]), (50, "recording-0"));
        let after = first.continuation.map(|text| text.parse().expect("a place survives its text"));
        let second = catalogue.list(&Wanted { top: 50, after, ..Wanted::default() }).await.expect("the store works");
        assert_eq!(ids(&second)[0], "recording-50");
        let of_pages = store.take_counts();
        catalogue.tiles().await.expect("the store works");
        costs.push((of_pages, store.take_counts()));
    }
    assert_eq!(costs[0].0, costs[1].0);
    assert!(costs[0].0.finds <= 2 * (50 * 2) + 40, "{costs:?}");
    assert_eq!(costs[0].1.finds, costs[1].1.finds, "{costs:?}");
}

#[tokio::test]
async fn a_page_that_finds_nothing_ends_all_the_same_and_says_where_to_go_on() {
    let (catalogue, store) = vault_of(3000).await;
    let wanted = Wanted { top: 10, format: "mp4".parse().ok(), ..Wanted::default() };
    let page = catalogue.list(&wanted).await.expect("the store works");
    assert!(page.recordings.is_empty() && page.continuation.is_some());
    assert!(store.take_counts().finds <= 2 * 520, "it looks at 500 recordings");
}
