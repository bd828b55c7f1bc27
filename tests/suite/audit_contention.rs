//! Every process has an audit log of its own: what any number of instances write into a storage that takes its time adds up.
//!
//! Time is virtual, so the figures are those of the algorithm and not of this machine. docs/SCALING.md has them;
//! `cargo test --test suite audit_contention -- --nocapture` prints them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use recording_vault::clock::SystemClock;
use recording_vault::store::audit::{Actor, AuditAction, AuditLog};
use recording_vault::store::document_store::StoreError;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::guarded_store::{Guard, GuardedStore, Kind};

/// Chunks that an instance has in flight by default, each with a record to append.
const CHUNKS_IN_FLIGHT: usize = 4;
const RUN: Duration = Duration::from_secs(5);
/// As the timer of an app does it, and more often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Answers after 6 to 14 ms, 10 on average.
#[derive(Default)]
struct Slow {
    requests: AtomicU64,
}

#[async_trait]
impl Guard for Slow {
    async fn pass(&self, _: Kind, _: &str) -> Result<(), StoreError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A fixed sequence without a pattern (Knuth's multiplicative hash).
        let spread = (number.wrapping_mul(2_654_435_761) >> 7) & 0xff;
        tokio::time::sleep(Duration::from_micros(6_000 + spread * 8_000 / 255)).await;
        Ok(())
    }
}

#[derive(Debug)]
struct Measured {
    records_per_second: f64,
    longest: Duration,
    checkpoints: u64,
}

/// Instances whose chunks always have a record to append, beside a sweep that writes checkpoints.
async fn contend(instances: usize) -> Measured {
    let store = GuardedStore::new(&Arc::default(), Slow::default());
    let logs: Vec<_> = (0..instances)
        .map(|_| AuditLog::new(store.clone(), Arc::new(SystemClock)))
        .collect();
    let began = Instant::now();
    let appenders = logs
        .iter()
        .flat_map(|log| std::iter::repeat_n(log, CHUNKS_IN_FLIGHT))
        .map(async |log| {
            let mut longest = Duration::ZERO;
            while began.elapsed() < RUN {
                let asked = Instant::now();
                log.append(Actor::Handler, AuditAction::Exported, "a", Value::Null)
                    .await
                    .expect("the store works");
                longest = longest.max(asked.elapsed());
            }
            (longest, began.elapsed())
        });
    let sweep = async {
        while began.elapsed() < RUN {
            tokio::time::sleep(SWEEP_EVERY).await;
            logs[0].checkpoint().await.expect("the store works");
        }
    };
    let (longest, ()) = tokio::join!(futures::future::join_all(appenders), sweep);
    let (longest, elapsed): (Vec<_>, Vec<_>) = longest.into_iter().unzip();
    let elapsed = elapsed.into_iter().max().unwrap_or_default().as_secs_f64();
    let report = logs[0].verify().await.expect("the store works");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.logs, instances as u64, "each has one log");
    Measured {
        records_per_second: f64::from(u32::try_from(report.records).expect("they are few"))
            / elapsed,
        longest: longest.into_iter().max().unwrap_or_default(),
        checkpoints: report.checkpoints,
    }
}

#[tokio::test(start_paused = true)]
async fn what_instances_write_adds_up_without_a_ceiling() {
    let alone = contend(1).await;
    println!("1 instance: {alone:?}");
    assert!(alone.records_per_second > 300.0, "{alone:?}");
    for instances in [4_u32, 64] {
        let measured = contend(instances as usize).await;
        println!("{instances} instances: {measured:?}");
        assert!(
            measured.records_per_second > 0.9 * f64::from(instances) * alone.records_per_second,
            "{instances}: {measured:?}"
        );
        assert!(
            measured.longest < Duration::from_millis(100),
            "{measured:?}"
        );
        assert!(measured.checkpoints >= 2, "{measured:?}");
    }
}
