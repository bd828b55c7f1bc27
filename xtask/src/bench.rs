//! `cargo xtask bench`: measures the release binary and its alternatives in one run on this machine.
//!
//! Everything is a process of its own: the simulator that serves content over TLS as ACS does, the sink that takes blobs
//! at next to no cost, and the program that is measured. Progress goes to stderr, the tables to stdout.

mod answers;
mod bounds;
mod burst;
mod cold;
mod process;
mod programs;
mod resume;
mod scale;
mod servers;
mod single;
mod sound;
mod sweep;
mod table;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use deploy_package::BINARY;

use self::programs::{Program, RecordingVault};
use self::servers::Servers;
use self::table::Table;
use crate::paths;

use crate::tools::{self, run_cargo};

const MIB: u64 = 1 << 20;

/// What is measured, and how long.
#[derive(Args)]
pub struct Options {
    /// Only this
    scenario: Option<Scenario>,
    /// One round of everything, with smaller files
    #[arg(long)]
    quick: bool,
    /// Measures this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What can be measured alone; `scale` is measured only so.
#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    /// One large recording
    Single,
    /// Many small recordings that end at once
    Burst,
    /// Several processes on one ledger
    Scale,
    /// The cost of the sound analysis
    Sound,
    /// A sweep among few and among many settled entries
    Sweep,
}

/// How much is done in each scenario.
struct Extent {
    rounds: usize,
    single_bytes: u64,
    burst_events: usize,
    cold_starts: usize,
    large_chunk_bytes: u64,
    answered_events: usize,
    settled_entries: usize,
    shared_events: usize,
}

impl Extent {
    const FULL: Self = Self {
        rounds: 5,
        single_bytes: 1_500_000_000,
        burst_events: 200,
        cold_starts: 21,
        large_chunk_bytes: 512 * MIB,
        answered_events: 1000,
        settled_entries: 1_000_000,
        shared_events: 240,
    };
    const QUICK: Self = Self {
        rounds: 1,
        single_bytes: 300_000_000,
        burst_events: 50,
        cold_starts: 5,
        large_chunk_bytes: 128 * MIB,
        answered_events: 500,
        settled_entries: 100_000,
        shared_events: 80,
    };
}

/// What the scenarios found.
#[derive(Default)]
struct Report {
    tables: Vec<Table>,
    /// Why the run fails: a copy that is not exact, a bound that does not hold.
    failures: Vec<String>,
}

/// Builds, measures, prints.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let release = paths::target().join("release");
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            run_cargo(&["build", "--release", "--package", "recording-vault"])?;
            release.join(BINARY)
        }
    };
    run_cargo(&[
        "build",
        "--release",
        "--package",
        "acs-simulator",
        "--package",
        "blob-sink",
        "--package",
        "plain-copier",
    ])?;
    let extent = if options.quick {
        Extent::QUICK
    } else {
        Extent::FULL
    };
    let ours = RecordingVault::new(binary);
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(&release, &ours, &extent, options.scenario))?;
    report.tables.iter().for_each(|table| println!("{table}"));
    if options.scenario.is_none() {
        println!(
            "recording-vault hashes (SHA-256), proves the copy, keeps a ledger and deletes at ACS; the others copy only."
        );
    }
    ensure!(report.failures.is_empty(), "{}", report.failures.join("; "));
    Ok(())
}

fn peers() -> Vec<Program> {
    let mut peers = Vec::new();
    if tools::rclone() {
        peers.push(Program::Rclone);
    } else {
        eprintln!("rclone is not installed and cannot be installed here: not measured");
    }
    match tools::node_exporter() {
        Ok(script) => peers.push(Program::Node { script }),
        Err(error) => eprintln!("Microsoft's SDKs are not measured: {error:#}"),
    }
    peers
}

/// The limit, ours and the peers, with one large recording.
fn programs_for_one(release: &Path, ours: &RecordingVault) -> Vec<Program> {
    let limit = Program::Limit {
        binary: release.join("plain-copier"),
    };
    [vec![limit], programs_for_many(ours)].concat()
}

/// A limit without a ledger says nothing about many small files.
fn programs_for_many(ours: &RecordingVault) -> Vec<Program> {
    [vec![Program::Ours(ours.clone())], peers()].concat()
}

async fn measure(
    release: &Path,
    ours: &RecordingVault,
    extent: &Extent,
    scenario: Option<Scenario>,
) -> anyhow::Result<Report> {
    let servers = async || Servers::start(release, &[]).await;
    let mut report = Report::default();
    match scenario {
        None => return measure_all(&servers().await?, release, ours, extent).await,
        Some(Scenario::Scale) => return scale::run(release, ours, extent).await,
        Some(Scenario::Single) => {
            let programs = programs_for_one(release, ours);
            single::run(&servers().await?, &programs, extent, &mut report).await?;
        }
        Some(Scenario::Burst) => {
            let programs = programs_for_many(ours);
            burst::run(&servers().await?, &programs, extent, &mut report).await?;
        }
        Some(Scenario::Sound) => {
            sound::run(&servers().await?, ours, extent, &mut report).await?;
        }
        Some(Scenario::Sweep) => {
            sweep::run(&servers().await?, ours, extent, &mut report).await?;
        }
    }
    Ok(report)
}

async fn measure_all(
    servers: &Servers,
    release: &Path,
    ours: &RecordingVault,
    extent: &Extent,
) -> anyhow::Result<Report> {
    let mut report = Report::default();
    single::run(
        servers,
        &programs_for_one(release, ours),
        extent,
        &mut report,
    )
    .await?;
    let programs = programs_for_many(ours);
    burst::run(servers, &programs, extent, &mut report).await?;
    cold::run(servers, &programs, extent, &mut report).await?;
    bounds::run(servers, ours, extent, &mut report).await?;
    resume::run(servers, ours, extent, &mut report).await?;
    answers::run(servers, ours, extent, &mut report).await?;
    sweep::run(servers, ours, extent, &mut report).await?;
    sound::run(servers, ours, extent, &mut report).await?;
    Ok(report)
}
