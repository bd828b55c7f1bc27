//! The cost of a crash: the process is killed in the middle of a chunk, and another one resumes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use super::programs::{RecordingVault, Running};
use super::servers::{Event, Servers};
use super::table::{Table, goal, mib};
use super::{Extent, MIB, Report};

/// The defaults of `BLOCK_SIZE` and `BLOCKS_IN_FLIGHT`.
const BLOCK_BYTES: u64 = 6 * MIB;
const BLOCKS_IN_FLIGHT: u64 = 4;
/// What only the killed process could have used.
const BOUND_BYTES: u64 = BLOCK_BYTES * BLOCKS_IN_FLIGHT;
const TIMEOUT: Duration = Duration::from_mins(2);

pub async fn run(
    servers: &Servers,
    ours: &RecordingVault,
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let ours = ours.clone().with("CLAIM_TTL", "5s");
    let container = servers.container().await?;
    let event = servers.recording(&[extent.large_chunk_bytes]).await?;
    let blocks = extent.large_chunk_bytes.div_ceil(BLOCK_BYTES);
    let running = ours.start(servers, &container).await?;
    let killed_at = staged_half(servers, &running, &event, blocks / 2).await?;
    running.process.kill().await?;
    let running = ours.start(servers, &container).await?;
    let object = finished(servers, &running, &event).await?;
    if servers.missing(&container, &[event]).await? > 0 {
        report
            .failures
            .push("resume: the copy is not exact".to_owned());
    }
    let served_bytes = object["servedBytes"].as_u64().unwrap_or(u64::MAX);
    let wasted_bytes = served_bytes.saturating_sub(extent.large_chunk_bytes);
    let is_bounded = wasted_bytes <= BOUND_BYTES;
    if !is_bounded {
        report.failures.push(format!(
            "resume: {:.1} MiB were read twice",
            mib(wasted_bytes)
        ));
    }
    eprintln!("resume: {:.1} MiB wasted", mib(wasted_bytes));
    report.tables.push(Table {
        title: format!(
            "Killed during a chunk of {} MiB, then resumed",
            extent.large_chunk_bytes / MIB
        ),
        head: vec!["blocks staged when killed", "MiB read twice", "goal"],
        rows: vec![vec![
            format!("{killed_at} of {blocks}"),
            format!("{:.1}", mib(wasted_bytes)),
            goal(&format!("≤ {:.0} MiB", mib(BOUND_BYTES)), Some(is_bounded)),
        ]],
    });
    Ok(())
}

/// Delivers an event until half of its blocks are staged; returns how many are.
async fn staged_half(
    servers: &Servers,
    running: &Running,
    event: &Event,
    half: u64,
) -> anyhow::Result<u64> {
    let before = servers.staged_blocks().await?;
    let mut delivery = Box::pin(running.deliver(&servers.client, event));
    loop {
        let answered = tokio::time::timeout(Duration::from_millis(2), &mut delivery).await;
        ensure!(
            answered.is_err(),
            "the chunk was exported before the process could be killed"
        );
        let staged = servers.staged_blocks().await?.saturating_sub(before);
        if staged >= half {
            return Ok(staged);
        }
    }
}

/// Sweeps until the event's chunk is deleted at its source; returns what the simulator knows of it.
async fn finished(servers: &Servers, running: &Running, event: &Event) -> anyhow::Result<Value> {
    let deadline = Instant::now() + TIMEOUT;
    let document_id = event
        .document_ids
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    loop {
        running.sweep(&servers.client).await?;
        let object = servers.object(document_id).await?;
        if !object["deletedAt"].is_null() {
            return Ok(object);
        }
        ensure!(
            Instant::now() < deadline,
            "the sweeps do not finish what the killed process began"
        );
    }
}
