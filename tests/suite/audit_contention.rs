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
use recording_vault::export::audit::{Actor, AuditLog};
use recording_vault::export::ledger_store::{LedgerStore, Precondition, PutOutcome, StoreError, Versioned};
use recording_vault::vault::memory::MemoryLedgerStore;
use serde_json::Value;
use tokio::time::Instant;

/// Chunks that an instance has in flight by default, each with a record to append.
const CHUNKS_IN_FLIGHT: usize = 4;
const RUN: Duration = Duration::from_secs(30);

/// Answers after 6 to 14 ms, 10 on average.
#[derive(Default)]
struct SlowStore {
    inner: MemoryLedgerStore,
    requests: AtomicU64,
}

impl SlowStore {
    async fn wait(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A fixed sequence without a pattern (Knuth's multiplicative hash).
        let spread = number.wrapping_mul(2_654_435_761) >> 7 & 0xff;
        tokio::time::sleep(Duration::from_micros(6_000 + spread * 8_000 / 255)).await;
    }
}

#[async_trait]
impl LedgerStore for SlowStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.wait().await;
        self.inner.find(key).await
    }

    async fn put(&self, key: &str, content: Bytes, condition: Precondition) -> Result<PutOutcome, StoreError> {
        self.wait().await;
        self.inner.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.inner.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
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

/// Instances that append as fast as they can.
async fn contend(instances: usize) -> Measured {
    let store = Arc::new(SlowStore::default());
    let (records, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    let logs: Vec<_> = (0..instances).map(|_| AuditLog::new(store.clone(), Arc::new(SystemClock))).collect();
    let began = Instant::now();
    let appenders = logs.iter().flat_map(|log| std::iter::repeat_n(log, CHUNKS_IN_FLIGHT)).map(async |log| {
        let mut longest = Duration::ZERO;
        while began.elapsed() < RUN {
            let asked = Instant::now();
            let counter = match log.append(Actor::Handler, "exported", "a", Value::Null).await {
                Ok(_) => &records,
                Err(_) => &failures,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            longest = longest.max(asked.elapsed());
        }
        longest
    });
    let longest = futures::future::join_all(appenders).await.into_iter().max().unwrap_or_default();
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
async fn any_number_of_instances_get_as_much_into_the_one_chain_and_it_stays_whole() {
    for instances in [1, 2, 4, 16, 64] {
        let measured = contend(instances).await;
        println!("{instances} instances: {measured:?}");
        assert!(measured.records_per_second > 100.0, "{instances}: {measured:?}");
        assert_eq!(measured.failures, 0, "{instances}: {measured:?}");
    }
}
