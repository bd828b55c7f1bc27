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
    StartAgain, State, Stop,
};
use run::BeforeCall::{
    self, Ended, NotRecorded, PauseIsOver, PauseUndone, Paused, ResumeUndone, Running,
};
use run::{ControlCase, Lines, requests_of};

use super::disturbance::Disturbance;
use super::gate::Target;
use super::report::Report;

/// Before, what the disturbed process does, and who may come in between.
const SCENARIOS: [(BeforeCall, Order, &[Order]); 14] = [
    (NotRecorded, Start, &[Start, StartAgain, Guard]),
    (Ended, Start, &[Start, StartAgain, Guard]),
    (Running, Start, &[Start, StartAgain, Stop, Guard]),
    (
        Running,
        PauseForAWhile,
        &[Resume, PauseForAWhile, Pause, Stop, Guard],
    ),
    (Running, Pause, &[Resume, PauseForAWhile, Stop, Guard]),
    (Running, Resume, &[Pause, PauseForAWhile, Stop, Guard]),
    (Running, Stop, &[Pause, Stop, State, Guard]),
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
    (
        PauseUndone,
        Guard,
        &[Resume, ResumeAndPause, PauseForAWhile, Stop, Guard],
    ),
    (
        ResumeUndone,
        Guard,
        &[Pause, PauseForAWhile, Resume, Stop, Guard],
    ),
    (ResumeUndone, State, &[Pause, Resume, Guard]),
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
    for (before, action, others) in SCENARIOS {
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
