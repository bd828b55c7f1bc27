//! Random schedules: deliveries, repeats and sweeps by processes with wrong clocks, all at once, which fail at any IO call or
//! are killed there, while time passes and the source misbehaves. The model: what was acknowledged, is exported and deleted,
//! once it is calm again, without being delivered again; and nothing is deleted before it is proved (the simulation's
//! auditor looks at every deletion).
//!
//! `SCHEDULE_SEED=<seed>` runs the same schedules again; `SCHEDULES=<number>` runs more of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::export::ExportSweep;
use recording_vault::recording::RecordingChunk;
use recording_vault::store::audit::Operator;

use crate::support::chunk;
use crate::support::fake_source;
use crate::support::pipeline::BLOCK;
use crate::support::simulation::{Durable, Fault, Plan, budget, deliver};

const SCHEDULES: u32 = 10_000;
const SHARES: u32 = 2;
const NAMES: [&str; 3] = ["a", "bb", "ccc"];
/// How wrong the machines' clocks are.
const CLOCKS_OFF: [SignedDuration; 3] = [
    SignedDuration::ZERO,
    SignedDuration::from_mins(4),
    SignedDuration::from_mins(-4),
];

/// What happens at once, and then time passes.
#[derive(Debug, Clone)]
struct Round {
    actions: Vec<Action>,
    source_faults: Vec<SourceFault>,
    minutes: u64,
}

/// One process's work.
#[derive(Debug, Clone)]
struct Action {
    work: Work,
    machine: usize,
    seed: u64,
    failures_percent: u32,
    killed_at: Option<(usize, bool)>,
}

#[derive(Debug, Clone)]
enum Work {
    /// Of these chunks.
    Deliver([bool; NAMES.len()]),
    /// The same by an event that names neither metadata nor a delete location: another one comes later.
    DeliverBare([bool; NAMES.len()]),
    /// An operator's.
    Retry([bool; NAMES.len()]),
    Sweep,
}

#[derive(Debug, Clone, Copy)]
enum SourceFault {
    None,
    Transient,
    Gone,
    Cut(usize),
    Short(usize),
    IgnoreRange,
    Empty,
    LargerTotal,
}

impl From<SourceFault> for fake_source::Fault {
    fn from(fault: SourceFault) -> Self {
        match fault {
            // A cut far behind the end is none.
            SourceFault::None => Self::CutAfter(usize::MAX),
            SourceFault::Transient => Self::Transient,
            SourceFault::Gone => Self::Gone,
            SourceFault::Cut(bytes) => Self::CutAfter(bytes),
            SourceFault::Short(bytes) => Self::ShortBy(bytes),
            SourceFault::IgnoreRange => Self::IgnoreRange,
            SourceFault::Empty => Self::Empty,
            SourceFault::LargerTotal => Self::Total(3 * BLOCK as u64),
        }
    }
}

fn schedules() -> impl Strategy<Value = Vec<Round>> {
    let some = any::<[bool; NAMES.len()]>;
    let work = prop_oneof![
        6 => some().prop_map(Work::Deliver),
        2 => some().prop_map(Work::DeliverBare),
        1 => some().prop_map(Work::Retry),
        4 => Just(Work::Sweep),
    ];
    let killed_at = proptest::option::weighted(0.4, (0..60_usize, any::<bool>()));
    let action = (
        work,
        0..CLOCKS_OFF.len(),
        any::<u64>(),
        prop_oneof![Just(0_u32), 0..30_u32],
        killed_at,
    )
        .prop_map(
            |(work, machine, seed, failures_percent, killed_at)| Action {
                work,
                machine,
                seed,
                failures_percent,
                killed_at,
            },
        );
    let fault = prop_oneof![
        4 => Just(SourceFault::None),
        1 => Just(SourceFault::Transient),
        1 => Just(SourceFault::Gone),
        1 => (0..2 * BLOCK).prop_map(SourceFault::Cut),
        1 => (1..BLOCK).prop_map(SourceFault::Short),
        1 => Just(SourceFault::IgnoreRange),
        1 => Just(SourceFault::Empty),
        1 => Just(SourceFault::LargerTotal),
    ];
    let round = (vec(action, 1..4), vec(fault, 0..4), 0..40_u64).prop_map(
        |(actions, source_faults, minutes)| Round {
            actions,
            source_faults,
            minutes,
        },
    );
    vec(round, 1..8)
}

/// A machine whose clock is wrong.
struct ClockOff {
    right: Arc<ManualClock>,
    off: SignedDuration,
}

impl Clock for ClockOff {
    fn now(&self) -> Timestamp {
        self.right.now() + self.off
    }
}

fn bare(chunk: &RecordingChunk) -> RecordingChunk {
    let mut bare = chunk.clone();
    bare.locations.metadata = None;
    bare.locations.delete = None;
    bare
}

/// Does one process's work; gives the chunks whose delivery was acknowledged.
async fn act(durable: &Durable, chunks: &[RecordingChunk], action: &Action) -> Vec<usize> {
    let killed_at = action.killed_at.map(|(call, after)| {
        (
            call,
            if after {
                Fault::KillAfter
            } else {
                Fault::KillBefore
            },
        )
    });
    let plan = Plan::noisy(action.seed, action.failures_percent, killed_at);
    let clock = ClockOff {
        right: Arc::clone(&durable.clock),
        off: CLOCKS_OFF[action.machine],
    };
    let driver = durable.instance_with_clock(&plan, Arc::new(clock));
    let chosen = |which: &[bool; NAMES.len()]| -> Vec<usize> {
        (0..chunks.len()).filter(|index| which[*index]).collect()
    };
    let work = async {
        match &action.work {
            Work::Deliver(which) => {
                let indices = chosen(which);
                let announced: Vec<RecordingChunk> =
                    indices.iter().map(|index| chunks[*index].clone()).collect();
                if deliver(&driver, &announced).await {
                    indices
                } else {
                    Vec::new()
                }
            }
            Work::DeliverBare(which) => {
                let announced: Vec<RecordingChunk> = chosen(which)
                    .into_iter()
                    .map(|index| bare(&chunks[index]))
                    .collect();
                deliver(&driver, &announced).await;
                Vec::new()
            }
            Work::Retry(which) => {
                for index in chosen(which) {
                    let id = &chunks[index].document_id;
                    let _ = driver.ledger().retry(id, &Operator::Shell).await;
                }
                Vec::new()
            }
            Work::Sweep => {
                let _ = ExportSweep::new(Arc::clone(&driver)).run(budget()).await;
                Vec::new()
            }
        }
    };
    tokio::select! {
        acknowledged = work => acknowledged,
        () = plan.killed() => Vec::new(),
    }
}

async fn run(schedule: Vec<Round>) {
    let chunks: Vec<RecordingChunk> = (0_u32..)
        .zip(NAMES)
        .map(|(index, name)| chunk(name, index))
        .collect();
    let durable = Durable::new(&chunks);
    let mut acknowledged = [false; NAMES.len()];
    for round in &schedule {
        durable.source.with_faults(
            round
                .source_faults
                .iter()
                .map(|fault| fake_source::Fault::from(*fault)),
        );
        let acting = round
            .actions
            .iter()
            .map(|action| act(&durable, &chunks, action));
        for index in futures::future::join_all(acting)
            .await
            .into_iter()
            .flatten()
        {
            acknowledged[index] = true;
        }
        durable.clock.advance(Duration::from_mins(round.minutes));
    }
    durable.source.with_faults([]);
    let unacknowledged = chunks
        .iter()
        .zip(acknowledged)
        .filter(|(_, is)| !is)
        .map(|(chunk, _)| chunk.clone());
    durable
        .settle(
            &chunks,
            &unacknowledged.collect::<Vec<_>>(),
            "after the schedule",
        )
        .await;
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::vars()
        .find(|(found, _)| found == name)
        .and_then(|(_, value)| value.parse().ok())
}

/// One of several shares, so that they run side by side.
fn explore(share: u64) {
    let seed: u64 = setting("SCHEDULE_SEED").unwrap_or_else(rand::random);
    println!("SCHEDULE_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&share.to_le_bytes());
    let cases = setting("SCHEDULES").unwrap_or(SCHEDULES).div_ceil(SHARES);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime needs nothing");
    let outcome = runner.run(&schedules(), |schedule| {
        runtime.block_on(run(schedule));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("SCHEDULE_SEED={seed}: {failure}");
    }
}

#[test]
fn no_schedule_loses_a_chunk_or_deletes_it_too_early() {
    explore(0);
}

#[test]
fn no_schedule_of_the_other_share_does_either() {
    explore(1);
}
