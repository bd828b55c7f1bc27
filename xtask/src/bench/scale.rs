//! Several handler processes on one ledger: how their throughput grows, and that no chunk is exported twice.
//!
//! Measures how they share the work, not this machine: content comes slowly on every connection and the storage takes
//! its time, so that processes wait most of the time, as instances in a data centre do. Every event is delivered to two
//! of them.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::programs::{RecordingVault, Running};
use super::servers::{Event, Servers};
use super::table::{Table, ratio};
use super::{Extent, Report};

const PROCESSES: [usize; 3] = [1, 2, 4];
/// One piece of what a slow source sends: it takes a second, whatever else is in progress.
const SIZE_BYTES: u64 = 50_000;
const STORAGE_LATENCY_MS: &str = "10";
const AT_ONCE: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// For all chunks of a run together.
const TIMEOUT: Duration = Duration::from_mins(5);

/// What one number of processes did.
struct Measured {
    processes: usize,
    events_per_second: f64,
    cpu_seconds: f64,
    requests_per_chunk: f64,
    records_per_document: f64,
}

pub async fn run(release: &Path, ours: &RecordingVault, extent: &Extent) -> anyhow::Result<Report> {
    let servers = Servers::start(release, &["--latency-ms", STORAGE_LATENCY_MS]).await?;
    let slowly = json!([{"plane": "media", "kind": "slow", "piecesPerSecond": 1}]);
    servers.set_faults(&slowly).await?;
    let ours = ours.clone().with("EVENT_BUDGET", "10m");
    let mut measured = Vec::new();
    for processes in PROCESSES {
        measured.push(together(&servers, &ours, processes, extent.shared_events).await?);
        eprintln!(
            "scale: {processes} processes, {:.1} events/s",
            measured[measured.len() - 1].events_per_second
        );
    }
    let alone = measured[0].events_per_second;
    let rows = measured.iter().map(|measured| {
        vec![
            measured.processes.to_string(),
            format!("{:.1}", measured.events_per_second),
            ratio(Some(measured.events_per_second / alone)),
            format!("{:.1}", measured.cpu_seconds),
            format!("{:.1}", measured.requests_per_chunk),
            format!("{:.2}", measured.records_per_document),
            "none".to_owned(),
        ]
    });
    let title = format!(
        "{} events of one chunk, each delivered to two processes on one ledger; content takes 1 s, the storage {STORAGE_LATENCY_MS} ms",
        extent.shared_events
    );
    let head = vec![
        "processes",
        "events/s",
        "×",
        "CPU s",
        "storage requests a chunk",
        "audit records a document",
        "done twice or not exact",
    ];
    Ok(Report {
        tables: vec![Table {
            title,
            head,
            rows: rows.collect(),
        }],
        failures: Vec::new(),
    })
}

async fn together(
    servers: &Servers,
    ours: &RecordingVault,
    processes: usize,
    count: usize,
) -> anyhow::Result<Measured> {
    let container = servers.container().await?;
    let mut instances = Vec::with_capacity(processes);
    for _ in 0..processes {
        let instance = ours.start(servers, &container).await?;
        instance
            .deliver(
                &servers.client,
                &servers.recording(&[SIZE_BYTES - 1]).await?,
            )
            .await?;
        instances.push(instance);
    }
    let mut events = Vec::with_capacity(count);
    for number in 0..count as u64 {
        // Sizes differ so that one blob cannot stand for another.
        events.push(servers.recording(&[SIZE_BYTES + number]).await?);
    }
    let (cpu_before, requests_before) =
        (cpu_seconds(&instances)?, servers.storage_requests().await?);
    let began = Instant::now();
    let sweeps = async {
        loop {
            instances[0].sweep(&servers.client).await?;
        }
    };
    tokio::select! {
        done = deliver_and_wait(servers, &instances, &events) => done,
        failed = sweeps => failed,
    }?;
    let elapsed = began.elapsed().as_secs_f64();
    let (cpu, requests) = (
        cpu_seconds(&instances)? - cpu_before,
        servers.storage_requests().await? - requests_before,
    );
    let ledger = format!("{container}-ledger");
    settled(servers, &ledger).await?;
    let records_per_document = done_once(servers, &container, &ledger, &events).await?;
    Ok(Measured {
        processes,
        events_per_second: f64::from(u32::try_from(count)?) / elapsed,
        cpu_seconds: cpu,
        requests_per_chunk: f64::from(u32::try_from(requests)?) / f64::from(u32::try_from(count)?),
        records_per_document,
    })
}

fn cpu_seconds(instances: &[Running]) -> anyhow::Result<f64> {
    instances
        .iter()
        .map(|instance| Ok(instance.process.usage()?.cpu.as_secs_f64()))
        .sum()
}

/// Until every chunk is deleted at its source. Event Grid delivers at least once: here twice, to neighbours.
async fn deliver_and_wait(
    servers: &Servers,
    instances: &[Running],
    events: &[Event],
) -> anyhow::Result<()> {
    let deliveries = events.iter().enumerate().flat_map(|(number, event)| {
        [number, number + 1]
            .map(|turn| instances[turn % instances.len()].deliver(&servers.client, event))
    });
    futures::stream::iter(deliveries)
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let deadline = Instant::now() + TIMEOUT;
    for id in events.iter().flat_map(|event| &event.document_ids) {
        while servers.object(id).await?["deletedAt"].is_null() {
            ensure!(
                Instant::now() < deadline,
                "{id} is not deleted at its source"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Waits until the ledger has nothing open.
async fn settled(servers: &Servers, ledger: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while servers
        .names(ledger)
        .await?
        .iter()
        .any(|name| name.starts_with("open/"))
    {
        ensure!(Instant::now() < deadline, "chunks are open in the ledger");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Every chunk was read once, is in the vault once and exactly, and was exported and deleted once by the audit log; returns how
/// many records a document of that log has.
async fn done_once(
    servers: &Servers,
    container: &str,
    ledger: &str,
    events: &[Event],
) -> anyhow::Result<f64> {
    let missing = servers.missing(container, events).await?;
    ensure!(missing == 0, "{missing} blobs are not exact");
    let names = servers.names(container).await?;
    let mut steps: HashMap<(String, String), usize> = HashMap::new();
    let (mut documents, mut records) = (0_u32, 0_u32);
    for name in servers
        .names(ledger)
        .await?
        .iter()
        .filter(|name| name.starts_with("audit/2"))
    {
        documents += 1;
        for record in servers.document(ledger, name).await?["records"]
            .as_array()
            .into_iter()
            .flatten()
        {
            records += 1;
            let text = |member: &str| record[member].as_str().unwrap_or_default().to_owned();
            *steps.entry((text("action"), text("subject"))).or_default() += 1;
        }
    }
    for id in events.iter().flat_map(|event| &event.document_ids) {
        let object = servers.object(id).await?;
        ensure!(
            object["servedBytes"] == object["sizeBytes"],
            "{id} was read more than once: {object}"
        );
        let copies = names
            .iter()
            .filter(|name| name.contains(id.as_str()) && name.ends_with(".mp4"))
            .count();
        ensure!(copies == 1, "{id} is in the vault {copies} times");
        for action in ["exported", "sourceDeleted"] {
            let times = steps
                .get(&(action.to_owned(), id.clone()))
                .copied()
                .unwrap_or_default();
            ensure!(times == 1, "{id} was {action} {times} times");
        }
    }
    Ok(f64::from(records) / f64::from(documents))
}
