//! The cost of looking at sound while it passes: a PCM wav beside an mp4 of the same size, whose sound is not looked at.
//! Only the processor time of ours counts: the simulator computes both files.

use anyhow::ensure;

use super::programs::{RecordingVault, Running};
use super::servers::{Format, Servers};
use super::table::{Table, gb, goal, median, ratio};
use super::{Extent, Report};

const GOAL: f64 = 1.03;
/// A single export lasts too few ticks of the kernel's clock for a comparison to 3 %.
const EXPORTS_IN_A_ROUND: usize = 3;
/// What opens connections before the clock starts.
const WARM_UP_BYTES: u64 = 64 * 1024;

/// Measures both formats by turns, in one process.
pub async fn run(
    servers: &Servers,
    ours: &RecordingVault,
    extent: &Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    let container = servers.container().await?;
    let patient = ours.clone().with("EVENT_BUDGET", "10m");
    let running = patient.start(servers, &container).await?;
    cpu_seconds_per_gb(servers, &running, (Format::Wav, WARM_UP_BYTES)).await?;
    let (mut wav, mut mp4) = (Vec::new(), Vec::new());
    // Each figure is a median, so there are at least three.
    for round in 0..extent.rounds.max(3) {
        // Each round begins with the other format, so that drift hits both.
        let formats = if round % 2 == 0 {
            [Format::Wav, Format::Mp4]
        } else {
            [Format::Mp4, Format::Wav]
        };
        for format in formats {
            let cost = cpu_seconds_per_gb(servers, &running, (format, extent.single_bytes)).await?;
            eprintln!("sound round {}: {format:?} {cost:.3} CPU s/GB", round + 1);
            match format {
                Format::Wav => wav.push(cost),
                Format::Mp4 => mp4.push(cost),
            }
        }
    }
    let rounds = wav.len();
    let (wav, mp4) = (median(wav), median(mp4));
    let row = |name: &str, cost: f64, ratio: String, goal: String| {
        vec![name.to_owned(), format!("{cost:.3}"), ratio, goal]
    };
    report.tables.push(Table {
        title: format!(
            "Sound analysis: files of {:.1} GB, median of {rounds}",
            gb(extent.single_bytes)
        ),
        head: vec!["file", "CPU s/GB", "×", "goal"],
        rows: vec![
            row("mp4, without", mp4, String::new(), String::new()),
            row(
                "PCM wav, with",
                wav,
                ratio(Some(wav / mp4)),
                goal(&format!("≤ {GOAL} ×"), Some(wav / mp4 <= GOAL)),
            ),
        ],
    });
    Ok(())
}

/// The processor time of one export, of so many that the kernel's clock is fine enough.
async fn cpu_seconds_per_gb(
    servers: &Servers,
    running: &Running,
    (format, size_bytes): (Format, u64),
) -> anyhow::Result<f64> {
    let mut events = Vec::new();
    for _ in 0..EXPORTS_IN_A_ROUND {
        events.push(servers.recording_of(format, &[size_bytes]).await?);
    }
    let before = running.process.usage()?.cpu;
    for event in &events {
        running.deliver(&servers.client, event).await?;
    }
    let missing = servers.missing(running.container(), &events).await?;
    let cpu = running.process.usage()?.cpu.saturating_sub(before);
    ensure!(missing == 0, "{missing} blobs of {format:?} are not exact");
    let exported_bytes = size_bytes.saturating_mul(EXPORTS_IN_A_ROUND as u64);
    Ok(cpu.as_secs_f64() / gb(exported_bytes))
}
