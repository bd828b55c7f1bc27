//! Memory stays within its bound, however many chunks there are and however they arrive.

use std::time::{Duration, Instant};

use super::process::Sockets;
use super::programs::{RecordingVault, Running};
use super::servers::{Event, Servers};
use super::table::{Table, gb, goal, mib};
use super::{Extent, MIB, Report};

/// What the process may use besides the blocks in flight.
const ALLOWANCE_BYTES: u64 = 40 * MIB;
/// The defaults: `BLOCK_SIZE` × `BLOCKS_IN_FLIGHT` × `CHUNKS_IN_FLIGHT`.
const BLOCKS_BYTES: u64 = 6 * MIB * 4 * 4;
const BOUND_BYTES: u64 = BLOCKS_BYTES + ALLOWANCE_BYTES;
/// Small chunks that arrive at once, each in an event of its own.
const SMALL_EVENTS: u64 = 500;
const SMALL_BYTES: u64 = 100_000;
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub async fn run(
    servers: &Servers,
    ours: &RecordingVault,
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let patient = ours.clone().with("EVENT_BUDGET", "10m");
    let mut rows = Vec::new();
    for scenario in scenarios(servers, extent.large_chunk_bytes).await? {
        rows.push(measure(servers, &patient, &scenario, report).await?);
    }
    report.tables.push(Table {
        title: "Memory and sockets of recording-vault, by arrival of chunks".to_owned(),
        head: vec![
            "chunks",
            "MB/s",
            "CPU s/GB",
            "peak MiB",
            "most sockets outgoing, of all",
            "goal",
        ],
        rows,
    });
    Ok(())
}

/// One way in which chunks arrive.
struct Scenario {
    what: String,
    events: Vec<Event>,
    /// Size of the smallest chunk.
    least_bytes: u64,
}

async fn scenarios(servers: &Servers, large: u64) -> anyhow::Result<[Scenario; 3]> {
    // Sizes differ so that one blob cannot stand for another.
    let four: Vec<u64> = (0..4).map(|number| large + number).collect();
    let many: Vec<u64> = (0..200).map(|number| MIB + number).collect();
    Ok([
        Scenario {
            what: format!("4 chunks of {} MiB in one event", large / MIB),
            events: vec![servers.recording(&four).await?],
            least_bytes: large,
        },
        Scenario {
            what: "200 chunks of 1 MiB in one event".to_owned(),
            events: vec![servers.recording(&many).await?],
            least_bytes: MIB,
        },
        Scenario {
            what: format!("{SMALL_EVENTS} events of 0.1 MB at once"),
            events: small_events(servers).await?,
            least_bytes: SMALL_BYTES,
        },
    ])
}

/// Runs a scenario; returns its row and reports what failed.
async fn measure(
    servers: &Servers,
    ours: &RecordingVault,
    scenario: &Scenario,
    report: &mut Report,
) -> anyhow::Result<Vec<String>> {
    let Scenario {
        what,
        events,
        least_bytes,
    } = scenario;
    let container = servers.container().await?;
    let running = ours.start(servers, &container).await?;
    let began = Instant::now();
    let count = events.iter().map(|event| event.document_ids.len()).sum();
    let arrival = servers.arrived(&container, *least_bytes, count);
    let sockets = deliver(servers, &running, events, arrival).await?;
    let (elapsed, usage) = (began.elapsed(), running.process.usage()?);
    let missing = servers.missing(&container, events).await?;
    if missing > 0 {
        report.failures.push(format!(
            "{what}: {missing} of {} blobs are not exact",
            2 * count
        ));
    }
    let peak_mib = mib(usage.peak_bytes);
    let is_bounded = usage.peak_bytes <= BOUND_BYTES;
    if !is_bounded {
        report
            .failures
            .push(format!("{what}: {peak_mib:.0} MiB, memory is not bounded"));
    }
    eprintln!("bounds: {what}, {peak_mib:.0} MiB, {sockets:?}");
    let gigabytes = gb(least_bytes * count as u64);
    Ok(vec![
        what.clone(),
        format!("{:.0}", gigabytes * 1000.0 / elapsed.as_secs_f64()),
        format!("{:.2}", usage.cpu.as_secs_f64() / gigabytes),
        format!("{peak_mib:.0}"),
        format!("{} of {}", sockets.outgoing, sockets.all),
        goal(
            &format!("peak ≤ {:.0} MiB", mib(BOUND_BYTES)),
            Some(is_bounded),
        ),
    ])
}

async fn small_events(servers: &Servers) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for number in 0..SMALL_EVENTS {
        events.push(servers.recording(&[SMALL_BYTES + number]).await?);
    }
    Ok(events)
}

/// Delivers all at once, sweeps until everything has arrived, and watches the sockets meanwhile.
async fn deliver(
    servers: &Servers,
    running: &Running,
    events: &[Event],
    arrival: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Sockets> {
    let mut work = Box::pin(async {
        futures::future::try_join_all(
            events
                .iter()
                .map(|event| running.deliver(&servers.client, event)),
        )
        .await?;
        let sweeps = async {
            loop {
                running.sweep(&servers.client).await?;
            }
        };
        tokio::select! {
            arrived = arrival => arrived,
            failed = sweeps => failed,
        }
    });
    let mut most = Sockets::default();
    loop {
        if let Ok(done) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
            done?;
            return Ok(most);
        }
        let now = running.process.sockets(running.port)?;
        most = Sockets {
            all: most.all.max(now.all),
            outgoing: most.outgoing.max(now.outgoing),
        };
    }
}
