//! The audit log is one chain: what any number of instances get into it, in a storage that takes its time.
//!
//! Time is virtual, so the figures are those of the algorithm and not of this machine. docs/SCALING.md has them;
//! `cargo test --test suite audit_contention -- --nocapture` prints them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::clock::SystemClock;
use recording_vault::store::audit::{Actor, AuditAction, AuditLog};
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::Value;
use tokio::time::Instant;

/// Chunks that an instance has in flight by default, each with a record to append.
const CHUNKS_IN_FLIGHT: usize = 4;
const RUN: Duration = Duration::from_secs(30);

/// Answers after 6 to 14 ms, 10 on average.
#[derive(Default)]
struct SlowStore {
    inner: MemoryDocumentStore,
    requests: AtomicU64,
}

impl SlowStore {
    async fn wait(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A fixed sequence without a pattern (Knuth's multiplicative hash).
        let spread = (number.wrapping_mul(2_654_435_761) >> 7) & 0xff;
        tokio::time::sleep(Duration::from_micros(6_000 + spread * 8_000 / 255)).await;
    }
}

#[async_trait]
impl DocumentStore for SlowStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.wait().await;
        self.inner.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.wait().await;
        self.inner.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.inner.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
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

#[derive(Debug)]
struct Measured {
    records_per_second: f64,
    documents_per_second: f64,
    longest: Duration,
    failures: u64,
}

/// Instances that each have something to append again so long after the last was appended.
async fn contend(instances: usize, pause: Duration) -> Measured {
    let store = Arc::new(SlowStore::default());
    let (records, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    let logs: Vec<_> = (0..instances)
        .map(|_| AuditLog::new(store.clone(), Arc::new(SystemClock)))
        .collect();
    let began = Instant::now();
    let appenders = logs
        .iter()
        .flat_map(|log| std::iter::repeat_n(log, CHUNKS_IN_FLIGHT))
        .enumerate()
        .map(async |(at, log)| {
            let mut longest = Duration::ZERO;
            // Not all at the same moment.
            tokio::time::sleep(pause * u32::try_from(at % 97).expect("it is small") / 97).await;
            while began.elapsed() < RUN {
                let asked = Instant::now();
                let counter = match log
                    .append(Actor::Handler, AuditAction::Exported, "a", Value::Null)
                    .await
                {
                    Ok(_) => &records,
                    Err(_) => &failures,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                longest = longest.max(asked.elapsed());
                tokio::time::sleep(pause).await;
            }
            longest
        });
    let longest = futures::future::join_all(appenders)
        .await
        .into_iter()
        .max()
        .unwrap_or_default();
    let elapsed = began.elapsed().as_secs_f64();
    let report = logs[0].verify().await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    let per_second = |count: u64| f64::from(u32::try_from(count).expect("they are few")) / elapsed;
    Measured {
        records_per_second: per_second(records.into_inner()),
        documents_per_second: per_second(report.last),
        longest,
        failures: failures.into_inner(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_alone_writes_as_fast_as_the_storage_answers_and_shares_its_documents() {
    let measured = contend(1, Duration::ZERO).await;
    println!("one, as fast as it can: {measured:?}");
    assert!(
        measured.documents_per_second > 80.0 && measured.records_per_second > 320.0,
        "{measured:?}"
    );
    assert_eq!(measured.failures, 0, "{measured:?}");
    assert!(measured.longest < Duration::from_secs(1), "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn instances_that_have_no_more_than_the_chain_takes_all_get_their_turn() {
    for instances in [2_u32, 4, 16, 64] {
        for offered in [10, 20, 40, 80] {
            let pause = Duration::from_secs(1)
                * instances
                * u32::try_from(CHUNKS_IN_FLIGHT).expect("they are few")
                / offered;
            let measured = contend(instances as usize, pause).await;
            println!("{instances} instances, at most {offered} a second: {measured:?}");
            assert!(
                offered > 20 || measured.failures == 0,
                "{instances}, {offered}: {measured:?}"
            );
        }
    }
}
