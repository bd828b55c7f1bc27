//! How long Event Grid waits for responses while the exports behind them are slow.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::programs::RecordingVault;
use super::servers::Servers;
use super::table::{Table, goal, ms, percentile};
use super::{Extent, Report};

/// Concurrent deliveries.
const AT_ONCE: usize = 64;
/// Sixteen pieces, one a second.
const SIZE_BYTES: u64 = 1 << 20;
/// The last few deliveries wait for their exports; the benchmark stops waiting for them after this time.
const PATIENCE: Duration = Duration::from_secs(10);
const GOAL: Duration = Duration::from_millis(250);

/// Delivers events of one slow chunk, each under an id of its own.
pub async fn run(
    servers: &Servers,
    ours: &RecordingVault,
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let slow = servers.recording(&[SIZE_BYTES]).await?;
    let slowly =
        json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1, "times": 1_000_000}]);
    servers.set_faults(&slowly).await?;
    let container = servers.container().await?;
    let running = ours
        .clone()
        .with("EVENT_BUDGET", "10m")
        .start(servers, &container)
        .await?;
    let deliveries = (0..extent.answered_events).map(|number| {
        let mut event = slow.clone();
        event.json["id"] = number.into();
        event.json["data"]["recordingStorageInfo"]["recordingChunks"][0]["documentId"] =
            format!("0-eus-d1-{number:032}").into();
        let subject = event.json["subject"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        event.json["subject"] = format!("{subject}{number}").into();
        let running = &running;
        async move {
            let began = Instant::now();
            if let Ok(delivered) =
                tokio::time::timeout(PATIENCE, running.deliver(&servers.client, &event)).await
            {
                delivered?;
            }
            anyhow::Ok(ms(began.elapsed()))
        }
    });
    let answers: Vec<f64> = futures::stream::iter(deliveries)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    servers.set_faults(&json!([])).await?;
    report.tables.push(table(answers));
    Ok(())
}

fn table(mut answers: Vec<f64>) -> Table {
    let count = answers.len();
    let [p50, p99, longest] = [50, 99, 100].map(|percent| percentile(&mut answers, percent));
    eprintln!("answers: p99 {p99:.0} ms");
    let is_reached = Some(p99 <= ms(GOAL));
    Table {
        title: format!("Answers to {count} events, {AT_ONCE} at once, while exports are slow"),
        head: vec!["p50 ms", "p99 ms", "longest ms", "goal"],
        rows: vec![vec![
            format!("{p50:.0}"),
            format!("{p99:.0}"),
            format!("{longest:.0}"),
            goal(&format!("p99 ≤ {} ms", GOAL.as_millis()), is_reached),
        ]],
    }
}
