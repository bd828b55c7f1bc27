//! Interleavings of recording control: starts, pauses, resumes, stops and the guard of pauses, over the real client and HTTP
//! to an ACS in memory. The time of day is set by hand; HTTP takes its own.

mod acs;
mod checks;
mod days;
mod line;
mod orders;
mod process;
mod run;
mod world;

use process::Order::{
    self, Announce, BotPause, BotResume, BotStart, BotStop, Guard, MakeReport, Pause,
    PauseForAWhile, Resume, ResumeAndPause, ResumeAndPauseForAWhile, Start, StartAgain,
    StartOfGroup, State, Stop,
};
use run::BeforeCall::{
    self, DayIsOver, Ended, NotRecorded, PauseIsOver, PauseUndone, Paused, ResumeUndone, Running,
};
use run::{ControlCase, Lines, prepare, requests_of};
use world::ControlWorld;

use super::disturbance::Disturbance;
use super::gate::Target;
use super::report::Report;

/// Before, what the disturbed process does, and who may come in between.
type Scenario = (BeforeCall, Order, &'static [Order]);

const STARTS: &[Scenario] = &[
    (NotRecorded, Start, &[Start, StartAgain, Guard]),
    (Ended, Start, &[Start, StartAgain, Guard]),
    (Running, Start, &[Start, StartAgain, Stop, Guard]),
    (NotRecorded, StartOfGroup, &[Start, StartOfGroup, Guard]),
];

const PAUSES: &[Scenario] = &[
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

const COMMANDS: &[Scenario] = &[
    (NotRecorded, BotStart, &[BotStart, Start, Guard]),
    (Running, BotPause, &[BotPause, BotResume, Stop, Guard]),
    (Paused, BotResume, &[BotResume, BotPause, Guard]),
    (Running, BotStop, &[BotStop, BotPause, Guard]),
];

const REPORTS: &[Scenario] = &[
    (DayIsOver, MakeReport, &[Announce, MakeReport]),
    (DayIsOver, Announce, &[Announce, MakeReport]),
];

/// What the runs are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Starts,
    Pauses,
    Commands,
    Reports,
}

/// Runs every case.
pub fn explore(subject: Subject) {
    let scenarios = match subject {
        Subject::Starts => STARTS,
        Subject::Pauses => PAUSES,
        Subject::Commands => COMMANDS,
        Subject::Reports => REPORTS,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime needs nothing");
    let lines = runtime.block_on(Lines::new());
    let mut report = Report::new();
    let mut names = Vec::new();
    for scenario in scenarios {
        let prepared = runtime.block_on(prepare(&lines, scenario.0));
        for case in runtime.block_on(cases(&lines, &prepared, *scenario)) {
            names.push(case.action_name());
            report.add(case.to_string(), || {
                runtime.block_on(run::run(&lines, &prepared, &case))
            });
        }
    }
    report.conclude(&names);
}

async fn cases(
    lines: &Lines,
    prepared: &ControlWorld,
    (before, action, others): Scenario,
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
    for (request, kind) in Box::pin(requests_of(lines, prepared, action)).await {
        for disturbance in Disturbance::of(kind).iter().copied() {
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
