//! Interleavings of recording control: starts, pauses, resumes, stops and the guard of pauses, over the real client and HTTP
//! to an ACS in memory. The time of day is set by hand; HTTP takes its own.

mod acs;
mod checks;
mod line;
mod process;
mod run;
mod world;

use process::Order::{
    self, Guard, Pause, PauseForAWhile, Resume, ResumeAndPause, ResumeAndPauseForAWhile, Start,
    State, Stop,
};
use run::BeforeCall::{self, NotRecorded, PauseIsOver, Paused, Running};
use run::{ControlCase, Lines, requests_of};

use super::disturbance::Disturbance;
use super::gate::Target;
use super::report::Report;

/// Before, what the disturbed process does, and who may come in between.
const SCENARIOS: [(BeforeCall, Order, &[Order]); 9] = [
    (NotRecorded, Start, &[Start]),
    (
        Running,
        PauseForAWhile,
        &[Resume, PauseForAWhile, Pause, Stop, Guard],
    ),
    (Running, Pause, &[Resume, PauseForAWhile, Stop, Guard]),
    (Running, Stop, &[Pause, Stop, State, Guard]),
    (Running, Start, &[Start, Stop]),
    (
        Paused,
        Resume,
        &[
            ResumeAndPauseForAWhile,
            ResumeAndPause,
            PauseForAWhile,
            Stop,
            Guard,
        ],
    ),
    (Paused, Stop, &[Resume, Guard, State]),
    (
        PauseIsOver,
        Guard,
        &[Resume, ResumeAndPause, ResumeAndPauseForAWhile, Stop, Guard],
    ),
    (PauseIsOver, State, &[Resume, ResumeAndPause, Stop, Guard]),
];

/// Runs every case.
pub fn explore() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime needs nothing");
    let lines = runtime.block_on(Lines::new());
    let mut report = Report::new();
    let mut names = Vec::new();
    // A start whose answer stays away waits by the real clock, which nothing here moves: `control_answers` covers starts.
    let in_time = SCENARIOS
        .into_iter()
        .filter(|(_, action, _)| !matches!(action, Start));
    for (before, action, others) in in_time {
        for case in runtime.block_on(cases(&lines, before, action, others)) {
            names.push(case.action_name());
            report.add(case.to_string(), || {
                runtime.block_on(run::run(&lines, &case))
            });
        }
    }
    report.conclude(&names);
}

async fn cases(
    lines: &Lines,
    before: BeforeCall,
    action: Order,
    others: &'static [Order],
) -> Vec<ControlCase> {
    let mut cases = Vec::new();
    let case = |target, other| ControlCase {
        before,
        action,
        target,
        other,
    };
    let others = || std::iter::once(None).chain(others.iter().copied().map(Some));
    cases.extend(others().map(|other| case(None, other)));
    for (request, kind) in requests_of(lines, before, action).await {
        let is_acs = request.name.starts_with("ACS ");
        let may_be_lost = !is_acs || request.name == "ACS start";
        let disturbances = Disturbance::of(kind).iter().copied();
        // Of an operation without a body, an answer that cannot be read is one all the same.
        for disturbance in disturbances.filter(|how| may_be_lost || *how != Disturbance::AnswerLost)
        {
            let target = Target {
                request: request.clone(),
                disturbance,
            };
            let is_alone = disturbance.is_over_at_once();
            let others = others().filter(|other| !is_alone || other.is_none());
            cases.extend(others.map(|other| case(Some(target.clone()), other)));
        }
    }
    cases
}
