//! One run of recording control: two processes, then sweeps until an hour has passed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::checks;
use super::line::Line;
use super::process::{ControlProcess, Order, PAUSE};
use super::world::ControlWorld;
use crate::interleavings::disturbance::{Disturbance, Kind};
use crate::interleavings::gate::{Gate, RequestId, Target};
use crate::interleavings::play::play;
use crate::interleavings::run::Outcome;

/// No request takes so long; this is real time.
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// Longer than a start reserves its call, and than ACS takes to say what it did.
const WAITED_OUT: Duration = Duration::from_mins(2);
const BETWEEN_SWEEPS: Duration = Duration::from_mins(6);
const SWEEPS: u32 = 6;

/// How the call's recording is before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeCall {
    NotRecorded,
    Running,
    Paused,
    /// The guard's time to end the pause has come.
    PauseIsOver,
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
    pub fn kills(&self) -> bool {
        let disturbance = self.target.as_ref().map(|target| target.disturbance);
        disturbance.is_some_and(|how| how.kills() || how == Disturbance::AnswerLost)
    }

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
    before: BeforeCall,
    order: Order,
) -> Vec<(RequestId, Kind)> {
    let world = prepare(lines, before).await;
    let gate = Gate::new(&world.facts, "A", None);
    ControlProcess::new(&world, &lines.0[0], &gate, "A")
        .perform(order)
        .await;
    gate.seen()
}

async fn prepare(lines: &Lines, before: BeforeCall) -> ControlWorld {
    let world = ControlWorld::new();
    let calm = Gate::new(&world.facts, "P", None);
    let process = ControlProcess::new(&world, &lines.0[2], &calm, "P");
    if before != BeforeCall::NotRecorded {
        process.perform(Order::Start).await;
        world.clock.advance(WAITED_OUT);
    }
    if matches!(before, BeforeCall::Paused | BeforeCall::PauseIsOver) {
        process.perform(Order::PauseForAWhile).await;
        world.clock.advance(WAITED_OUT);
    }
    if before == BeforeCall::PauseIsOver {
        world.clock.advance(PAUSE);
    }
    world
}

/// Carries a case out and says what is wrong at its end.
pub async fn run(lines: &Lines, case: &ControlCase) -> Outcome {
    let world = prepare(lines, case.before).await;
    let running = tokio::time::timeout(STUCK_AFTER, play_and_check(lines, case, &world));
    let problems = match running.await {
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
    for _ in 0..SWEEPS {
        world.clock.advance(BETWEEN_SWEEPS);
        process.perform(Order::Guard).await;
    }
    checks::check(case, world).await
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
