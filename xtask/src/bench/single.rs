//! One large chunk, from the event to the blob.

use std::time::Instant;

use super::programs::Program;
use super::servers::{Servers, Target};
use super::table::{Role, Sample, Standing, Table, gb, goal, mib, ratio, standings};
use super::{Extent, Report};

/// What opens connections before the clock starts.
const WARM_UP_BYTES: u64 = 64 * 1024;
/// As a multiple of the limit's.
const CPU_GOAL: f64 = 1.1;
const PEAK_GOAL_MIB: f64 = 56.0;

/// Measures every program at both doors of the sink.
pub async fn run(
    servers: &Servers,
    programs: &[Program],
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    for target in [Target::Plain, Target::Tls] {
        let mut measured: Vec<_> = programs
            .iter()
            .map(|program| (program.name(), program.role(), Vec::new()))
            .collect();
        for round in 0..extent.rounds {
            // Each round begins with another program, so that drift hits all.
            for turn in 0..programs.len() {
                let number = (turn + round) % programs.len();
                let program = &programs[number];
                match sample(servers, program, target, extent.single_bytes).await {
                    Ok(sample) => measured[number].2.push(sample),
                    Err(error) => report.failures.push(format!(
                        "single, {}, {}: {error:#}",
                        target.name(),
                        program.name()
                    )),
                }
                eprintln!(
                    "single {} round {}: {} {:?}",
                    target.name(),
                    round + 1,
                    program.name(),
                    measured[number].2.last()
                );
            }
        }
        report
            .tables
            .push(table(target, extent, &standings(&measured)));
    }
    Ok(())
}

async fn sample(
    servers: &Servers,
    program: &Program,
    target: Target,
    size_bytes: u64,
) -> anyhow::Result<Sample> {
    let container = servers.container().await?;
    let running = program.start(servers, target, &container).await?;
    let warm_up = servers.recording(&[WARM_UP_BYTES]).await?;
    running.deliver(&servers.client, &warm_up).await?;
    servers.arrived(&container, WARM_UP_BYTES, 1).await?;
    let event = servers.recording(&[size_bytes]).await?;
    let (before, began) = (running.process.usage()?, Instant::now());
    running.deliver(&servers.client, &event).await?;
    servers.arrived(&container, size_bytes, 1).await?;
    let (elapsed, after) = (began.elapsed(), running.process.usage()?);
    let missing = servers.missing(&container, &[warm_up, event]).await?;
    anyhow::ensure!(missing == 0, "{missing} of 4 blobs are not exact");
    Ok(Sample {
        rate: gb(size_bytes) * 1000.0 / elapsed.as_secs_f64(),
        cpu_seconds_per_gb: (after.cpu.saturating_sub(before.cpu)).as_secs_f64() / gb(size_bytes),
        peak_mib: mib(after.peak_bytes),
        ..Sample::default()
    })
}

fn table(target: Target, extent: &Extent, standings: &[Standing]) -> Table {
    let rows = standings.iter().map(|standing| {
        let goals = if standing.role == Role::Ours {
            goals(target, standing)
        } else {
            String::new()
        };
        vec![
            standing.name.to_owned(),
            format!("{:.0}", standing.median.rate),
            ratio(standing.rate_ratio),
            format!("{:.2}", standing.median.cpu_seconds_per_gb),
            ratio(standing.cpu_ratio),
            format!("{:.0}", standing.median.peak_mib),
            goals,
        ]
    });
    Table {
        title: format!(
            "One chunk of {:.1} GB, content over TLS, to {}; median of {}",
            gb(extent.single_bytes),
            target.name(),
            extent.rounds
        ),
        head: vec![
            "program",
            "MB/s",
            "× best peer",
            "CPU s/GB",
            "×",
            "peak MiB",
            "goal",
        ],
        rows: rows.collect(),
    }
}

/// Peers do not compute SHA-256; without TLS to the sink, it is a larger share of the work.
fn rate_goal(target: Target) -> f64 {
    match target {
        Target::Plain => 0.77,
        Target::Tls => 0.95,
    }
}

fn goals(target: Target, ours: &Standing) -> String {
    let rate = rate_goal(target);
    [
        goal(
            &format!("MB/s ≥ {rate} × the best peer"),
            ours.rate_ratio.map(|ratio| ratio >= rate),
        ),
        goal(
            &format!(
                "CPU ≤ {CPU_GOAL} × the limit (measured {})",
                ratio(ours.cpu_ratio_to_limit)
            ),
            ours.cpu_ratio_to_limit.map(|ratio| ratio <= CPU_GOAL),
        ),
        goal(
            &format!("≤ {PEAK_GOAL_MIB} MiB"),
            Some(ours.median.peak_mib <= PEAK_GOAL_MIB),
        ),
    ]
    .join("; ")
}
