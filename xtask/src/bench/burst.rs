//! Many small recordings that end at once.

use std::time::Instant;

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _};

use super::programs::Program;
use super::servers::{Servers, Target};
use super::table::{
    Role, Sample, Standing, Table, gb, goal, mib, ms, percentile, ratio, standings,
};
use super::{Extent, Report};

const SIZE_BYTES: u64 = 1_000_000;
/// Concurrent deliveries.
const AT_ONCE: usize = 16;
const NODE: f64 = 3.0;

pub async fn run(
    servers: &Servers,
    programs: &[Program],
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut measured: Vec<_> = programs
        .iter()
        .map(|program| (program.name(), program.role(), Vec::new()))
        .collect();
    for round in 0..extent.rounds {
        for turn in 0..programs.len() {
            let number = (turn + round) % programs.len();
            let program = &programs[number];
            match sample(servers, program, extent.burst_events).await {
                Ok(sample) => measured[number].2.push(sample),
                Err(error) => report
                    .failures
                    .push(format!("burst, {}: {error:#}", program.name())),
            }
            eprintln!(
                "burst round {}: {} {:?}",
                round + 1,
                program.name(),
                measured[number].2.last()
            );
        }
    }
    report.tables.push(Table {
        title: format!(
            "{} events of 1 MB, {AT_ONCE} deliveries at once; median of {}",
            extent.burst_events, extent.rounds
        ),
        head: vec![
            "program",
            "events/s",
            "× best peer",
            "p50 ms",
            "p99 ms",
            "CPU s/GB",
            "×",
            "peak MiB",
            "goal",
        ],
        rows: rows(programs, &standings(&measured)),
    });
    Ok(())
}

fn rows(programs: &[Program], standings: &[Standing]) -> Vec<Vec<String>> {
    let node = programs
        .iter()
        .find(|program| matches!(program, Program::Node { .. }))
        .map(Program::name);
    let node_rate = standings
        .iter()
        .find(|standing| Some(standing.name) == node)
        .map(|standing| standing.median.rate);
    let row = |standing: &Standing| {
        let reached = node_rate.map(|rate| standing.median.rate >= NODE * rate);
        let best = goal(
            "target: as fast as the best peer",
            standing.rate_ratio.map(|ratio| ratio >= 1.0),
        );
        let goals = format!("{}; {best}", goal(&format!("≥ {NODE} × node"), reached));
        vec![
            standing.name.to_owned(),
            format!("{:.0}", standing.median.rate),
            ratio(standing.rate_ratio),
            format!("{:.0}", standing.median.p50_ms),
            format!("{:.0}", standing.median.p99_ms),
            format!("{:.2}", standing.median.cpu_seconds_per_gb),
            ratio(standing.cpu_ratio),
            format!("{:.0}", standing.median.peak_mib),
            if standing.role == Role::Ours {
                goals
            } else {
                String::new()
            },
        ]
    };
    standings.iter().map(row).collect()
}

async fn sample(servers: &Servers, program: &Program, count: usize) -> anyhow::Result<Sample> {
    let container = servers.container().await?;
    let running = program.start(servers, Target::Plain, &container).await?;
    let warm_up = servers.recording(&[1]).await?;
    running.deliver(&servers.client, &warm_up).await?;
    let mut events = Vec::with_capacity(count);
    for number in 0..count {
        // Sizes differ so that one blob cannot stand for another.
        events.push(servers.recording(&[SIZE_BYTES + number as u64]).await?);
    }
    let (before, began) = (running.process.usage()?, Instant::now());
    let deliveries = events.iter().map(async |event| {
        let sent = Instant::now();
        running.deliver(&servers.client, event).await?;
        anyhow::Ok(ms(sent.elapsed()))
    });
    let mut answers: Vec<f64> = futures::stream::iter(deliveries)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    servers.arrived(&container, SIZE_BYTES, count).await?;
    let (elapsed, after) = (began.elapsed(), running.process.usage()?);
    events.push(warm_up);
    let missing = servers.missing(&container, &events).await?;
    ensure!(
        missing == 0,
        "{missing} of {} blobs are not exact",
        2 * events.len()
    );
    let bytes = SIZE_BYTES * count as u64;
    Ok(Sample {
        // Thousandths of a gigabyte are megabytes, and so are events.
        rate: gb(bytes) * 1000.0 / elapsed.as_secs_f64(),
        cpu_seconds_per_gb: after.cpu.saturating_sub(before.cpu).as_secs_f64() / gb(bytes),
        peak_mib: mib(after.peak_bytes),
        p50_ms: percentile(&mut answers, 50),
        p99_ms: percentile(&mut answers, 99),
    })
}
