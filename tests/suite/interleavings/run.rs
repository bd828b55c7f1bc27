//! One run: the disturbed process, the other party in between, and then a fresh process that brings everything to its end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::action::{Action, Done};
use super::checks::{self, people};
use super::disturbance::Kind;
use super::gate::{Gate, RequestId, Target};
use super::play::play;
use super::process::Process;
use super::scenario::Scenario;
use super::world::World;
use crate::support::pipeline::CLAIM_TTL;

/// Longer than a claim lasts.
const PAST_THE_CLAIM: Duration = CLAIM_TTL.saturating_mul(2);
/// Virtual time after which a run is stuck.
const STUCK_AFTER: Duration = Duration::from_hours(100 * 24);
const BETWEEN_SWEEPS: Duration = Duration::from_mins(20);
const SWEEPS_WHILE_HELD: u32 = 3;
const SWEEPS: u32 = 100;

/// What is done to whom.
#[derive(Debug, Clone)]
pub struct Case {
    pub scenario: &'static Scenario,
    /// `None`: nothing is disturbed, and the other party comes after.
    pub target: Option<Target>,
    pub other: Option<Action>,
    /// What happens to a request of the other party; then a sweep of a third process comes in between.
    pub second: Option<Target>,
}

/// How a run ended.
pub struct Outcome {
    pub problems: Vec<String>,
    pub trace: Vec<String>,
}

/// The requests of a scenario's process while nothing disturbs it.
pub async fn requests_of(scenario: &Scenario, action: Action) -> Vec<(RequestId, Kind)> {
    let world = scenario.prepare().await;
    let gate = Gate::new(&world.facts, "A", None);
    Process::new(&world, &gate).perform(action).await;
    gate.seen()
}

/// Carries a case out and says what is wrong at its end.
pub async fn run(case: &Case) -> Outcome {
    let world = case.scenario.prepare().await;
    let running = tokio::time::timeout(STUCK_AFTER, play_and_check(case, &world));
    let problems = match running.await {
        Ok(problems) => problems,
        Err(_) => vec!["the run is stuck".to_owned()],
    };
    Outcome {
        problems,
        trace: world.facts.traced(),
    }
}

async fn play_and_check(case: &Case, world: &World) -> Vec<String> {
    let action = case.scenario.action;
    let gate = Gate::new(&world.facts, "A", case.target.clone());
    let done = act(world, &gate, action, others(case, world)).await;
    let mut problems = checks::answers(case, done.as_ref());
    problems.extend(checks::before_healing(world).await);
    heal(case, world, done).await;
    problems.extend(checks::at_the_end(case, world).await);
    if case.scenario.concerns_people() {
        problems.extend(people::check(world).await);
    }
    problems
}

/// The other party's work, and a third one's where the other is disturbed too.
fn others<'a>(case: &'a Case, world: &'a World) -> BoxFuture<'a, ()> {
    Box::pin(async move {
        let Some(action) = case.other else { return };
        let gate = Gate::new(&world.facts, "B", case.second.clone());
        let third = Box::pin(async move {
            if case.second.is_some() {
                let calm = Gate::new(&world.facts, "C", None);
                Process::new(world, &calm).perform(Action::Sweep).await;
            }
        });
        act(world, &gate, action, third).await;
    })
}

/// Runs a process of the world; when it halts, `others` come.
async fn act(
    world: &World,
    gate: &Arc<Gate>,
    action: Action,
    others: BoxFuture<'_, ()>,
) -> Option<Done> {
    let process = Process::new(world, gate);
    let work = Box::pin(async move { process.perform(action).await });
    play(
        gate,
        work,
        others,
        Box::pin(tokio::time::sleep(PAST_THE_CLAIM)),
    )
    .await
}

async fn sweep(process: &Process) -> u64 {
    let looked_at = process.sweep().await;
    looked_at.expect("nothing is disturbed any more")
}

/// What was not done is done again; holds are released; sweeps go on until nothing is left to do.
async fn heal(case: &Case, world: &World, done: Option<Done>) {
    tokio::time::sleep(PAST_THE_CLAIM).await;
    let calm = Gate::new(&world.facts, "H", None);
    let process = Process::new(world, &calm);
    if !matches!(done, Some(Done::Done | Done::NothingToDo(_))) {
        process.perform(case.scenario.action).await;
    }
    for _ in 0..SWEEPS_WHILE_HELD {
        tokio::time::sleep(BETWEEN_SWEEPS).await;
        sweep(&process).await;
    }
    checks::held_copies(world).await;
    let others = case.other.and_then(Action::hold);
    for hold in case.scenario.holds().chain(others) {
        process.release_hold(hold).await;
    }
    for _ in 0..SWEEPS {
        tokio::time::sleep(BETWEEN_SWEEPS).await;
        if sweep(&process).await == 0 {
            break;
        }
    }
    for action in [Action::ApplyRetention, Action::Erase] {
        let entry = world.entry().await;
        if entry.is_some_and(|entry| entry.state.name() == "removing") {
            process.perform(action).await;
        }
    }
}
