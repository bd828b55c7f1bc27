//! A sweep costs what is due, not what was ever stored: its time among few and among many settled entries.
//!
//! The ledger is a directory; how often its storage is asked is counted by a test, `sweep_cost`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::programs::{RecordingVault, Running};
use super::servers::Servers;
use super::table::{Table, goal, median, ms};
use super::{Extent, Report};

const DUE: usize = 10;
const FEW: usize = 1000;
const SIZE_BYTES: u64 = 100_000;
/// One sweep takes a few milliseconds, so more of them are measured than of the slow operations.
const SWEEPS: usize = 15;
/// Where files are slow to make there are fewer; the table says how many.
const FILLING: Duration = Duration::from_mins(1);
const GOAL: f64 = 2.0;

/// A ledger with settled entries, and the sweeps in it.
struct Measured {
    settled: usize,
    filled_within: Duration,
    median_ms: f64,
}

pub async fn run(
    servers: &Servers,
    ours: &RecordingVault,
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let ours = ours.clone().with_directory_ledger();
    let few = among(servers, &ours, FEW).await?;
    let many = among(servers, &ours, extent.settled_entries).await?;
    let ratio = many.median_ms / few.median_ms;
    let reached = ratio <= GOAL;
    if !reached {
        report.failures.push(format!(
            "sweep: {ratio:.2} times as long among {} settled entries",
            many.settled
        ));
    }
    let row = |measured: &Measured, ratio: String, goal: String| {
        let filled = format!("{:.0}", measured.filled_within.as_secs_f64());
        vec![
            measured.settled.to_string(),
            filled,
            format!("{:.1}", measured.median_ms),
            ratio,
            goal,
        ]
    };
    report.tables.push(Table {
        title: format!(
            "One sweep with {DUE} deletions due, ledger in a directory; median of {SWEEPS}"
        ),
        head: vec![
            "settled entries",
            "s to write them",
            "ms a sweep",
            "×",
            "goal",
        ],
        rows: vec![
            row(&few, String::new(), String::new()),
            row(
                &many,
                format!("{ratio:.2}"),
                goal(&format!("≤ {GOAL} ×"), Some(reached)),
            ),
        ],
    });
    Ok(())
}

async fn among(
    servers: &Servers,
    ours: &RecordingVault,
    settled: usize,
) -> anyhow::Result<Measured> {
    let container = servers.container().await?;
    // One exports and waits, the other finds the deletions due.
    let exporting = ours
        .clone()
        .with("DELETE_DELAY", "1h")
        .start(servers, &container)
        .await?;
    let sweeping = ours.start(servers, &container).await?;
    let first = due(servers, &exporting, 1).await?;
    swept(servers, &sweeping, &first).await?;
    let (chunks, began) = (servers.ledger(&container).join("chunks"), Instant::now());
    let settled = fill(chunks, first.concat(), settled).await?;
    let filled_within = began.elapsed();
    let mut times = Vec::with_capacity(SWEEPS);
    for _ in 0..SWEEPS {
        let ids = due(servers, &exporting, DUE).await?;
        times.push(ms(swept(servers, &sweeping, &ids).await?));
    }
    let median_ms = median(times);
    eprintln!(
        "sweep: {median_ms:.1} ms among {settled} settled entries, written within {filled_within:.0?}"
    );
    Ok(Measured {
        settled,
        filled_within,
        median_ms,
    })
}

/// Chunks that are in the vault and are to be deleted; their document ids.
async fn due(servers: &Servers, exporting: &Running, count: usize) -> anyhow::Result<Vec<String>> {
    // Sizes differ so that one blob cannot stand for another.
    let sizes_bytes: Vec<u64> = (0..count as u64)
        .map(|number| SIZE_BYTES + number)
        .collect();
    let event = servers.recording(&sizes_bytes).await?;
    exporting.deliver(&servers.client, &event).await?;
    Ok(event.document_ids)
}

/// How long the sweep takes that deletes these.
async fn swept(
    servers: &Servers,
    sweeping: &Running,
    document_ids: &[String],
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    sweeping.tick(&servers.client).await?;
    let elapsed = began.elapsed();
    for id in document_ids {
        ensure!(
            !servers.object(id).await?["deletedAt"].is_null(),
            "the sweep did not delete {id}"
        );
    }
    Ok(elapsed)
}

/// Adds copies of an entry of the ledger until there are that many or the time is up; returns how many there are.
async fn fill(chunks: PathBuf, written: String, count: usize) -> anyhow::Result<usize> {
    let filling = tokio::task::spawn_blocking(move || {
        let filled = copy_entry(&chunks, &written, count)?;
        // The sweep must not wait for pending writes to the disk.
        fs::File::open(&chunks)?.sync_all()?;
        Ok(filled)
    });
    filling.await?
}

fn copy_entry(chunks: &Path, written: &str, count: usize) -> anyhow::Result<usize> {
    let entry = fs::read_to_string(chunks.join(format!("{written}.json")))?;
    ensure!(
        entry.contains("sourceDeleted"),
        "the entry is not settled: {entry}"
    );
    let began = Instant::now();
    for number in 1..count {
        if began.elapsed() > FILLING {
            return Ok(number);
        }
        let id = format!("0-eus-d1-{number:032}");
        fs::write(
            chunks.join(format!("{id}.json")),
            entry.replace(written, &id),
        )?;
    }
    Ok(count)
}
