//! A burst of events: how long Event Grid waits for its answers while the exports behind them crawl.

use std::path::Path;
use std::time::{Duration, Instant};

use acs_simulator::Simulator;
use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::handler::Handler;
use super::ms;

const EVENTS: usize = 1000;
/// Deliveries that are on their way at once.
const AT_ONCE: usize = 64;
const GOAL: Duration = Duration::from_millis(250);

/// Delivers the burst and prints how long the answers took.
pub async fn run(binary: &Path, simulator: &Simulator, folder: &Path) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let admin = |path: &str| format!("{}/admin/{path}", simulator.http_url());
    let made = client.post(admin("recordings")).json(&json!({"format": "wav", "call": {"chunks": [{"durationMs": 60_000}]}}));
    let event: Value = made.send().await?.json().await?;
    let slow = json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1, "times": 1_000_000}]);
    client.put(admin("faults")).json(&slow).send().await?.error_for_status()?;
    let handler = Handler::start(binary, &simulator.http_url(), folder).await?;
    let deliveries = (0..EVENTS).map(|number| {
        let mut event = event.clone();
        event["id"] = number.into();
        event["data"]["recordingStorageInfo"]["recordingChunks"][0]["documentId"] = format!("0-eus-d1-{number:032}").into();
        let subject = event["subject"].as_str().unwrap_or_default().to_owned();
        event["subject"] = format!("{subject}{number}").into();
        let request = client.post(format!("{}/RecordingFileStatusUpdated", handler.url));
        let request = request.body(json!({"Data": {"event": event}}).to_string());
        async move {
            let began = Instant::now();
            request.send().await?.error_for_status()?;
            Ok::<_, reqwest::Error>(began.elapsed())
        }
    });
    let mut answers: Vec<Duration> = futures::stream::iter(deliveries).buffer_unordered(AT_ONCE).try_collect().await?;
    client.put(admin("faults")).json(&json!([])).send().await?.error_for_status()?;
    answers.sort_unstable();
    let at = |percent: usize| answers[(answers.len() * percent / 100).min(answers.len() - 1)];
    println!(
        "| answers to a burst of {EVENTS} events, {AT_ONCE} at once, exports crawling: p50, p99, longest | {:.0}, {:.0}, {:.0} ms | p99 ≤ {} ms |",
        ms(at(50)),
        ms(at(99)),
        ms(answers[answers.len() - 1]),
        GOAL.as_millis()
    );
    ensure!(at(99) <= GOAL, "Event Grid waits too long for its answers");
    Ok(())
}
