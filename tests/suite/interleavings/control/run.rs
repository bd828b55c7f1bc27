//! One run of recording control: two processes, then sweeps until everything has come to its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::acs::Operation;
use super::checks;
use super::days;
use super::line::Line;
use super::process::{ControlProcess, FIRST, Order, PAUSE};
use super::world::ControlWorld;
use crate::interleavings::disturbance::Kind;
use crate::interleavings::gate::{Gate, RequestId, Target};
use crate::interleavings::play::play;
use crate::interleavings::run::Outcome;

/// No request takes so long; this is real time.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// Longer than a start reserves its call, and than ACS takes to say what it did.
const WAITED_OUT: Duration = Duration::from_mins(2);
/// From one sweep to the next. The timer comes every minute; here only as often as makes a difference: while ACS repeats the
/// answer to a start, when requests that were on their way have arrived, and when the ends of pauses have come.
const SWEEPS: [Duration; 4] = [
    Duration::from_mins(2),
    Duration::from_mins(1),
    Duration::from_mins(6),
    Duration::from_mins(6),
];
/// From the recording to the time when its day is reported on.
const UNTIL_THE_REPORT: Duration = Duration::from_hours(17);

/// How the call's recording is before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeCall {
    NotRecorded,
    Running,
    Paused,
    /// The guard's time to end the pause has come.
    PauseIsOver,
    /// It was recorded, and that recording has ended.
    Ended,
    /// It was recorded, and the report of that day is due.
    DayIsOver,
    /// Resumed and paused again; then the resume arrived at ACS a second time.
    PauseUndone,
    /// Paused and resumed; then the pause arrived at ACS a second time.
    ResumeUndone,
}

/// What is done to whom.
#[derive(Debug, Clone)]
pub struct ControlCase {
    pub before: BeforeCall,
    pub action: Order,
    /// `None`: nothing is disturbed, and the other party comes after.
    pub target: Option<Target>,
    pub other: Option<Order>,
}

impl ControlCase {
    /// The name by which what is known to fail is found.
    pub fn action_name(&self) -> String {
        format!("control: {:?} of {:?}", self.action, self.before)
    }
}

impl fmt::Display for ControlCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | ", self.action_name())?;
        match &self.target {
            Some(target) => write!(f, "{target}")?,
            None => f.write_str("calm")?,
        }
        match self.other {
            Some(other) => write!(f, " | {other:?}"),
            None => f.write_str(" | nobody"),
        }
    }
}

/// Lines of the disturbed process, the other one, and the one that brings everything to its end.
pub struct Lines([Line; 3]);

impl Lines {
    pub async fn new() -> Self {
        Self([Line::new().await, Line::new().await, Line::new().await])
    }
}

/// The requests of an order's process while nothing disturbs it.
pub async fn requests_of(
    lines: &Lines,
    prepared: &ControlWorld,
    order: Order,
) -> Vec<(RequestId, Kind)> {
    let world = prepared.copy().await;
    let gate = Gate::new(&world.facts, "A", None);
    ControlProcess::new(&world, &lines.0[0], &gate, "A")
        .perform(order)
        .await;
    gate.seen()
}

/// The world as it is before the runs.
pub async fn prepare(lines: &Lines, before: BeforeCall) -> ControlWorld {
    let world = ControlWorld::new();
    let calm = Gate::new(&world.facts, "P", None);
    let process = ControlProcess::new(&world, &lines.0[2], &calm, "P");
    if before != BeforeCall::NotRecorded {
        process.perform(Order::Start).await;
        world.clock.advance(WAITED_OUT);
    }
    match before {
        BeforeCall::NotRecorded | BeforeCall::Running => {}
        BeforeCall::Paused => {
            process.perform(Order::PauseForAWhile).await;
            world.clock.advance(WAITED_OUT);
        }
        BeforeCall::PauseIsOver => {
            process.perform(Order::PauseForAWhile).await;
            world.clock.advance(WAITED_OUT + PAUSE);
        }
        BeforeCall::Ended => {
            process.perform(Order::Stop).await;
            world.clock.advance(WAITED_OUT);
        }
        BeforeCall::DayIsOver => {
            process.perform(Order::Stop).await;
            world.clock.advance(UNTIL_THE_REPORT);
        }
        BeforeCall::PauseUndone | BeforeCall::ResumeUndone => {
            process.perform(Order::Pause).await;
            world.clock.advance(WAITED_OUT);
            undo(&process, &world, before).await;
        }
    }
    world
}

/// A request of ours arrives at ACS a second time, after the decision for the opposite.
async fn undo(process: &ControlProcess, world: &ControlWorld, before: BeforeCall) {
    let id = FIRST.to_owned();
    let late = if before == BeforeCall::PauseUndone {
        process.perform(Order::ResumeAndPause).await;
        Operation::Resume { id }
    } else {
        process.perform(Order::Resume).await;
        Operation::Pause { id }
    };
    world.acs.carry_out(&late);
    world.clock.advance(WAITED_OUT);
}

/// Carries a case out in a copy of the prepared world, and says what is wrong at its end.
pub async fn run(lines: &Lines, prepared: &ControlWorld, case: &ControlCase) -> Outcome {
    let world = prepared.copy().await;
    let running = tokio::time::timeout(STUCK_AFTER, play_and_check(lines, case, &world));
    let problems = match Box::pin(running).await {
        Ok(problems) => problems,
        Err(_) => vec!["the run is stuck".to_owned()],
    };
    Outcome {
        problems,
        trace: world.facts.traced(),
    }
}

async fn play_and_check(lines: &Lines, case: &ControlCase, world: &ControlWorld) -> Vec<String> {
    let gate = Gate::new(&world.facts, "A", case.target.clone());
    let process = ControlProcess::new(world, &lines.0[0], &gate, "A");
    let order = case.action;
    let work = Box::pin(async move { process.perform(order).await });
    let clock = Arc::clone(&world.clock);
    let wait_out = Box::pin(async move { clock.advance(WAITED_OUT) });
    play(&gate, work, other(lines, case, world), wait_out).await;
    let calm = Gate::new(&world.facts, "H", None);
    let process = ControlProcess::new(world, &lines.0[2], &calm, "H");
    let is_about_reports = case.before == BeforeCall::DayIsOver;
    for after in SWEEPS {
        world.clock.advance(after);
        process.perform(Order::Guard).await;
        if is_about_reports {
            process.perform(Order::MakeReport).await;
        }
    }
    let mut problems = checks::check(case, world).await;
    if is_about_reports {
        problems.extend(days::check(world).await);
    }
    problems
}

fn other<'a>(lines: &'a Lines, case: &ControlCase, world: &'a ControlWorld) -> BoxFuture<'a, ()> {
    let order = case.other;
    Box::pin(async move {
        // Another second, so that no two changes have the same time.
        world.clock.advance(Duration::from_secs(1));
        let Some(order) = order else { return };
        let calm = Gate::new(&world.facts, "B", None);
        ControlProcess::new(world, &lines.0[1], &calm, "B")
            .perform(order)
            .await;
    })
}
