//! `cargo xtask bench`: the release binary's figures, measured in one run on this machine.

mod burst;
mod handler;

use std::path::Path;
use std::time::{Duration, Instant};

use acs_simulator::Simulator;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use self::handler::{Handler, Usage};
use crate::paths;
use crate::stage::BINARY;
use crate::tools::run_cargo;

const COLD_STARTS: usize = 21;
const MIB: u64 = 1 << 20;
/// What the process may use besides the blocks in flight.
const ALLOWANCE_BYTES: u64 = 40 * MIB;
/// The defaults: `BLOCK_SIZE` × `BLOCKS_IN_FLIGHT` × `CHUNKS_IN_FLIGHT`.
const BLOCKS_BYTES: u64 = 8 * MIB * 4 * 4;

pub fn run() -> anyhow::Result<()> {
    run_cargo(&["build", "--release", "--package", "recording-vault"])?;
    let binary = paths::target().join("release").join(BINARY);
    tokio::runtime::Runtime::new()?.block_on(measure(&binary))
}

async fn measure(binary: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(paths::target())?;
    let simulator = Simulator::start(acs_simulator::Options::default()).await?;
    let mut first_answers = Vec::with_capacity(COLD_STARTS);
    for _ in 0..COLD_STARTS {
        let began = Instant::now();
        let handler = Handler::start(binary, &simulator.http_url(), folder.path()).await?;
        first_answers.push(began.elapsed());
        drop(handler);
    }
    first_answers.sort_unstable();
    let median = first_answers[COLD_STARTS / 2];
    println!("| scenario | figure | goal |");
    println!("|---|---|---|");
    println!(
        "| exec to the first `GET /` answered, median of {COLD_STARTS} (min, max) | {:.1} ms ({:.1}, {:.1}) | ≤ 20 ms |",
        ms(median),
        ms(first_answers[0]),
        ms(first_answers[COLD_STARTS - 1])
    );

    let bound = BLOCKS_BYTES + ALLOWANCE_BYTES;
    let large = export(binary, &simulator, folder.path(), 1, 2048 * MIB).await?;
    large.print("1 chunk of 2 GiB into a directory", bound);
    let four = export(binary, &simulator, folder.path(), 4, 512 * MIB).await?;
    four.print("4 chunks of 512 MiB at once", bound);
    let small = export(binary, &simulator, folder.path(), 200, MIB).await?;
    small.print("200 chunks of 1 MiB in one event", bound);
    burst::run(binary, &simulator, folder.path()).await?;
    println!(
        "\nEach export is hashed (SHA-256), checked block by block, synced to the disk, read back and recorded in the ledger."
    );
    ensure!(ms(median) <= 20.0, "the first answer takes longer than 20 ms");
    for figures in [large, four, small] {
        ensure!(figures.usage.peak_bytes <= bound, "memory is not bounded");
    }
    Ok(())
}

/// One scenario's figures.
struct Figures {
    bytes: u64,
    elapsed: Duration,
    usage: Usage,
}

impl Figures {
    fn print(&self, what: &str, bound: u64) {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (megabytes, peak) = (self.bytes as f64 / 1e6, self.usage.peak_bytes as f64 / MIB as f64);
        let per_second = megabytes / self.elapsed.as_secs_f64();
        let cpu = self.usage.cpu.as_secs_f64() / (megabytes / 1000.0);
        println!("| {what} | {per_second:.0} MB/s, {cpu:.2} CPU s/GB, peak {peak:.0} MiB | peak ≤ {} MiB |", bound / MIB);
    }
}

async fn export(binary: &Path, simulator: &Simulator, folder: &Path, chunks: usize, size_bytes: u64) -> anyhow::Result<Figures> {
    let client = reqwest::Client::new();
    let plan = vec![json!({"sizeBytes": size_bytes}); chunks];
    let made = client.post(format!("{}/admin/recordings", simulator.http_url()));
    let event: Value = made.json(&json!({"format": "mp4", "call": {"chunks": plan}})).send().await?.json().await?;
    let handler = Handler::start(binary, &simulator.http_url(), folder).await?;
    let began = Instant::now();
    let envelope = json!({"Data": {"event": event}}).to_string();
    let answer: Value =
        client.post(format!("{}/RecordingFileStatusUpdated", handler.url)).body(envelope).send().await?.json().await?;
    let elapsed = began.elapsed();
    let logs = answer["Logs"].as_array().context("the handler reports")?;
    let done = logs.iter().filter(|log| log.as_str().is_some_and(|log| log.contains("deleted at ACS"))).count();
    ensure!(done == chunks, "{done} of {chunks} chunks were exported: {}", logs[0]);
    Ok(Figures { bytes: size_bytes * chunks as u64, elapsed, usage: handler.usage()? })
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
