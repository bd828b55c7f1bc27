//! Markers of the register, `running/` and `awaiting/`: whatever arrives late, a recording that runs, or whose files are
//! awaited, keeps its marker.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::control::register::{Awaited, RecordingRegister};
use recording_vault::recording::RecordingId;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;
use tokio::sync::Notify;

use crate::support::held_store::{HeldStore, Kind};

const MISSING_AFTER: Duration = Duration::from_mins(30);

/// The store of a process that is killed when it removes a marker: its request arrives later.
struct LateRemovals {
    inner: Arc<MemoryDocumentStore>,
    late: Mutex<Vec<(String, Option<Version>)>>,
    reached: Notify,
}

impl LateRemovals {
    fn on(inner: &Arc<MemoryDocumentStore>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            late: Mutex::default(),
            reached: Notify::new(),
        })
    }

    async fn delay(&self, key: &str, version: Option<Version>) {
        self.keep(key.to_owned(), version);
        self.reached.notify_one();
        pending::<()>().await;
    }

    fn keep(&self, key: String, version: Option<Version>) {
        let mut late = self.late.lock().expect("no holder of this lock panics");
        late.push((key, version));
    }

    /// The delayed requests arrive.
    async fn arrive(&self) {
        let late = std::mem::take(&mut *self.late.lock().expect("no holder of this lock panics"));
        assert!(!late.is_empty(), "nothing was removed");
        for (key, version) in late {
            match version {
                Some(version) => {
                    let removed = self.inner.remove_unchanged(&key, &version).await;
                    removed.expect("the store works");
                }
                None => self.inner.remove(&key).await.expect("the store works"),
            }
        }
    }
}

#[async_trait]
impl DocumentStore for LateRemovals {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.inner.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        if key.starts_with("running/") {
            self.delay(key, None).await;
        }
        self.inner.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        if key.starts_with("running/") {
            self.delay(key, Some(version.clone())).await;
        }
        self.inner.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.list(prefix, after, limit).await
    }
}

fn at(minutes: i64) -> Timestamp {
    let begin: Timestamp = "2026-03-02T10:00:00Z".parse().expect("it is a time");
    begin + jiff::SignedDuration::from_mins(minutes)
}

fn id() -> RecordingId {
    "r-1".parse().expect("it is an id")
}

fn register(store: Arc<dyn DocumentStore>) -> RecordingRegister {
    RecordingRegister::new(store, MISSING_AFTER)
}

async fn change(
    register: &RecordingRegister,
    now: Timestamp,
    change: impl Fn(&mut RegisteredRecording) + Send + Sync,
) {
    let changed = register.change(&id(), now, change).await;
    changed.expect("the store works");
}

/// ACS still does with it what it does with running recordings only.
async fn runs_again(register: &RecordingRegister) {
    change(register, at(10), |account| account.runs_at_acs(at(10))).await;
    let account = register.find(&id()).await.expect("the store works");
    assert!(account.is_some_and(|account| account.is_running()));
}

async fn is_listed_as_running(register: &RecordingRegister) -> bool {
    let page = register.running(None, 10, Timestamp::UNIX_EPOCH).await;
    let running = page.expect("the store works").recordings;
    running.iter().any(|account| account.recording_id == id())
}

#[tokio::test]
async fn a_removal_that_arrives_late_takes_no_marker_of_a_recording_that_runs_again() {
    let store: Arc<MemoryDocumentStore> = Arc::default();
    let late = LateRemovals::on(&store);
    let (others, killed) = (register(store.clone()), register(late.clone()));
    change(&others, at(0), |_| {}).await;
    tokio::select! {
        () = change(&killed, at(1), |account| account.stop(at(1))) => panic!("it removed nothing"),
        () = late.reached.notified() => {}
    }
    runs_again(&others).await;
    late.arrive().await;
    assert!(is_listed_as_running(&others).await);
    change(&others, at(20), |account| account.stop(at(20))).await;
    assert!(!is_listed_as_running(&others).await);
    let markers = store.list("running/", None, 10).await;
    assert!(markers.expect("the store works").is_empty());
}

#[tokio::test]
async fn the_cleanup_of_a_marker_that_arrives_late_takes_none_of_a_recording_that_runs_again() {
    let store: Arc<MemoryDocumentStore> = Arc::default();
    let late = LateRemovals::on(&store);
    let (others, killed) = (register(store.clone()), register(late.clone()));
    change(&others, at(0), |_| {}).await;
    let markers = store.list("running/", None, 10).await;
    let marker = markers.expect("the store works").remove(0);
    change(&others, at(1), |account| account.stop(at(1))).await;
    let left = store.put(&marker, Bytes::new(), Precondition::Absent);
    assert!(left.await.expect("the store works").is_written());
    tokio::select! {
        _ = is_listed_as_running(&killed) => panic!("it removed nothing"),
        () = late.reached.notified() => {}
    }
    runs_again(&others).await;
    late.arrive().await;
    assert!(is_listed_as_running(&others).await);
}

#[tokio::test]
async fn a_cleanup_takes_no_marker_of_a_recording_that_is_about_to_run_again() {
    let store: Arc<MemoryDocumentStore> = Arc::default();
    let others = register(store.clone());
    change(&others, at(0), |_| {}).await;
    change(&others, at(1), |account| account.stop(at(1))).await;
    let held = HeldStore::holding(&store, Kind::Put, "recordings/", 0);
    let slow = register(held.clone());
    let cleaning = async {
        held.reached().await;
        assert!(!is_listed_as_running(&others).await);
        held.release();
    };
    tokio::join!(runs_again(&slow), cleaning);
    assert!(is_listed_as_running(&others).await);
}

async fn overdue(register: &RecordingRegister, now: Timestamp) -> usize {
    all_overdue(register, now).await.len()
}

async fn all_overdue(register: &RecordingRegister, now: Timestamp) -> Vec<Awaited> {
    let overdue = register.overdue(now).try_collect().await;
    overdue.expect("the store works")
}

/// What a sweep does with markers whose recordings are not awaited.
async fn clean_up(register: &RecordingRegister, now: Timestamp) {
    for awaited in all_overdue(register, now).await {
        let removed = register.no_longer_awaited(&awaited, now).await;
        removed.expect("the store works");
    }
}

#[tokio::test]
async fn a_stop_that_is_written_after_its_deadline_leaves_a_recording_whose_files_are_awaited() {
    for is_known in [true, false] {
        let store: Arc<MemoryDocumentStore> = Arc::default();
        let others = register(store.clone());
        if is_known {
            change(&others, at(0), |_| {}).await;
        }
        let held = HeldStore::holding(&store, Kind::Put, "recordings/", 0);
        let slow = register(held.clone());
        let cleaning = async {
            held.reached().await;
            clean_up(&others, at(32)).await;
            held.release();
        };
        tokio::join!(
            change(&slow, at(1), |account| account.stop(at(1))),
            cleaning
        );
        assert_eq!(overdue(&others, at(33)).await, 1, "known: {is_known}");
    }
}

#[tokio::test]
async fn a_marker_without_an_account_is_removed_when_its_account_can_no_longer_come() {
    let store: Arc<MemoryDocumentStore> = Arc::default();
    let register = register(store.clone());
    let marker = format!("awaiting/{:011}-{}", at(0).as_second(), "0".repeat(64));
    let left = store.put(&marker, Bytes::new(), Precondition::Absent);
    assert!(left.await.expect("the store works").is_written());
    clean_up(&register, at(60)).await;
    assert_eq!(overdue(&register, at(60)).await, 1);
    clean_up(&register, at(25 * 60)).await;
    assert_eq!(overdue(&register, at(25 * 60)).await, 0);
}
