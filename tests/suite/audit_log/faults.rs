//! Every request of every party, failed before or after it took effect, repeated, and killed at; then other processes go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::audit::AuditLog;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;

use super::{QUIET, World, checkpoint, try_append};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It never arrives.
    Lost,
    /// It takes effect, and its answer is lost.
    AnswerLost,
    /// It takes effect, its answer is lost, and the client repeats it.
    Repeated,
    /// It takes effect, and the process ends.
    Killed,
}

const FAULTS: [Fault; 4] = [
    Fault::Lost,
    Fault::AnswerLost,
    Fault::Repeated,
    Fault::Killed,
];

/// A storage with a fault at one request.
struct FaultyStore {
    inner: Arc<MemoryDocumentStore>,
    requests: AtomicUsize,
    at: usize,
    fault: Fault,
}

impl FaultyStore {
    fn is_struck(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) == self.at
    }

    async fn disturb<T, F>(&self, key: &str, request: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if !self.is_struck() {
            return request().await;
        }
        let lost = Err(StoreError {
            action: "reach",
            key: key.to_owned(),
            source: "the answer was lost".into(),
        });
        match self.fault {
            Fault::Lost => lost,
            Fault::AnswerLost => request().await.and(lost),
            Fault::Repeated => {
                request().await?;
                request().await
            }
            Fault::Killed => {
                request().await?;
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl DocumentStore for FaultyStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.disturb(key, || self.inner.find(key)).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.disturb(key, || {
            self.inner.put(key, content.clone(), condition.clone())
        })
        .await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.disturb(key, || self.inner.remove(key)).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.disturb(key, || self.inner.remove_unchanged(key, version))
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.disturb(key_of(prefix), || self.inner.list(prefix, after, limit))
            .await
    }
}

fn key_of(prefix: &str) -> &str {
    prefix
}

/// A process writes and sweeps, with a quiet hour in which another process sweeps. Returns the subjects that it was told are
/// written.
async fn live(world: &World, log: &AuditLog, acknowledged: &std::sync::Mutex<Vec<String>>) {
    for number in 0..4 {
        if number == 2 {
            world.clock.advance(QUIET);
            checkpoint(&world.log()).await;
        }
        let subject = number.to_string();
        // What failed is tried again, as the driver does.
        for _ in 0..2 {
            if try_append(log, &subject).await.is_ok() {
                acknowledged.lock().expect("nobody panics").push(subject);
                break;
            }
        }
        let _ = log.checkpoint().await;
    }
}

/// Returns whether the run got as far as the fault.
async fn run(at: usize, fault: Fault) -> bool {
    let world = World::new();
    let faulty = Arc::new(FaultyStore {
        inner: Arc::clone(&world.store),
        requests: AtomicUsize::new(0),
        at,
        fault,
    });
    let log = world.log_on(faulty.clone());
    let acknowledged = std::sync::Mutex::default();
    // A killed process waits for an answer that never comes.
    let ended = tokio::time::timeout(
        std::time::Duration::from_hours(1),
        live(&world, &log, &acknowledged),
    );
    let ended = ended.await;
    let name = format!("{fault:?} at request {at}");
    assert!(ended.is_ok() || fault == Fault::Killed, "{name}");
    drop(log);

    assert_eq!(world.problems().await, Vec::<String>::new(), "{name}");
    for _ in 0..3 {
        checkpoint(&world.log()).await;
        world.clock.advance(QUIET);
    }
    let mut subjects = Vec::new();
    let report = world
        .log()
        .verify_each(|_, record| subjects.push(record.subject))
        .await
        .expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new(), "{name}");
    assert_eq!(report.records_after_newest, 0, "{name}");
    for subject in acknowledged.into_inner().expect("nobody panics") {
        assert!(
            subjects.contains(&subject),
            "{name}: {subject} in {subjects:?}"
        );
    }
    assert!(subjects.len() <= 5, "{name}: {subjects:?}");
    assert_eq!(
        world.keys("audit/live/").await,
        Vec::<String>::new(),
        "{name}"
    );
    faulty.requests.load(Ordering::Relaxed) > at
}

#[tokio::test(start_paused = true)]
async fn no_fault_at_any_request_breaks_a_chain_or_loses_a_record() {
    for fault in FAULTS {
        let mut at = 0;
        while run(at, fault).await {
            at += 1;
        }
        assert!(at > 30, "{fault:?} struck {at} requests");
    }
}

#[tokio::test(start_paused = true)]
async fn sweeps_at_once_write_one_chain_of_checkpoints() {
    let world = World::new();
    let logs: Vec<AuditLog> = (0..4).map(|_| world.log()).collect();
    for round in 0..10 {
        for log in &logs {
            try_append(log, &round.to_string())
                .await
                .expect("the store works");
        }
        futures::future::join_all(logs.iter().map(checkpoint)).await;
    }
    let report = logs[0].verify().await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.records_after_newest, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_writer_was_cut_off_is_written_by_the_next() {
    let world = World::new();
    let killed = Arc::new(FaultyStore {
        inner: Arc::clone(&world.store),
        requests: AtomicUsize::new(0),
        at: 1,
        fault: Fault::Killed,
    });
    let log = world.log_on(killed);
    let first = async {
        let limit = std::time::Duration::from_secs(1);
        let cut_off = tokio::time::timeout(limit, try_append(&log, "cut off")).await;
        assert!(cut_off.is_err(), "its answer never comes");
    };
    let (second, ()) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            try_append(&log, "waiting").await
        },
        first
    );
    assert!(second.is_ok(), "{second:?}");
    assert_eq!(world.problems().await, Vec::<String>::new());
}
