//! All cases of the scenarios, run one after the other; and how they are named and chosen.

use std::fmt;
use std::panic::AssertUnwindSafe;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use super::action::Action;
use super::disturbance::Disturbance;
use super::gate::Target;
use super::report::Report;
use super::run::{Case, Outcome, requests_of, run};
use super::scenario::Scenario;
use super::share;

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            disturbance,
        } = self;
        write!(
            f,
            "{} #{} | {disturbance}",
            request.name, request.occurrence
        )
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | ", self.scenario.name)?;
        match &self.target {
            Some(target) => write!(f, "{target}")?,
            None => f.write_str("calm")?,
        }
        match self.other {
            Some(other) => write!(f, " | {other}")?,
            None => f.write_str(" | nobody")?,
        }
        self.second
            .iter()
            .try_for_each(|target| write!(f, " | {target}"))
    }
}

const STACK_BYTES: usize = 32 << 20;

/// A setting of the environment.
pub fn setting(name: &str) -> Option<String> {
    std::env::vars()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value)
}

/// A runtime in virtual time.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing")
}

/// Runs `exploring` with room for the frames of two whole processes below one another, which are large without optimisation.
pub fn with_large_stack(exploring: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(exploring)
        .expect("a thread can be started");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs every case of the scenarios.
pub fn explore(scenarios: &'static [Scenario]) {
    with_large_stack(move || explore_here(scenarios));
}

fn explore_here(scenarios: &'static [Scenario]) {
    let (runtime, mut report) = (runtime(), Report::new());
    for scenario in scenarios {
        for case in runtime.block_on(cases(scenario)) {
            report.add(case.to_string(), || carry_out(&runtime, &case));
        }
    }
    if let Some(pairs) = setting("INTERLEAVING_PAIRS") {
        let pairs = pairs.parse().expect("INTERLEAVING_PAIRS is a number");
        explore_pairs(&runtime, scenarios, pairs, &mut report);
    }
    let names: Vec<_> = scenarios.iter().map(|scenario| scenario.name).collect();
    report.conclude(&names);
}

/// Runs so many cases of each scenario in which a request of the other party is disturbed too.
fn explore_pairs(
    runtime: &Runtime,
    scenarios: &'static [Scenario],
    pairs: usize,
    report: &mut Report,
) {
    let seed = share::seed();
    println!("INTERLEAVING_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for scenario in scenarios {
        let ours = runtime.block_on(targets(scenario, scenario.action));
        let others = scenario.others.iter().map(|other| {
            let theirs = runtime.block_on(targets(scenario, *other));
            (*other, theirs)
        });
        let others: Vec<(Action, Vec<Target>)> = others.collect();
        for _ in 0..pairs {
            let (other, theirs) = &others[random.random_range(0..others.len())];
            let case = Case {
                scenario,
                target: Some(ours[random.random_range(0..ours.len())].clone()),
                other: Some(*other),
                second: Some(theirs[random.random_range(0..theirs.len())].clone()),
            };
            report.add(case.to_string(), || carry_out(runtime, &case));
        }
    }
}

/// Runs a case; a panic is a problem like any other.
pub fn carry_out(runtime: &Runtime, case: &Case) -> Outcome {
    let running = AssertUnwindSafe(|| runtime.block_on(run(case)));
    std::panic::catch_unwind(running).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            problems: vec![format!("panicked: {}", text.unwrap_or_default())],
            trace: Vec::new(),
        }
    })
}

/// Each request of the scenario's process, each disturbance, each other party; and each other party in peace.
pub async fn cases(scenario: &'static Scenario) -> Vec<Case> {
    let targets = targets(scenario, scenario.action).await;
    let targets = std::iter::once(None).chain(targets.into_iter().map(Some));
    targets
        .flat_map(|target| {
            let disturbance = target.as_ref().map(|target| target.disturbance);
            let is_alone = disturbance.is_some_and(Disturbance::is_over_at_once);
            let others = scenario.others.iter().filter(move |_| !is_alone);
            let others = std::iter::once(None).chain(others.copied().map(Some));
            others.map(move |other| Case {
                scenario,
                target: target.clone(),
                other,
                second: None,
            })
        })
        .collect()
}

/// Each request of an action's process, and each disturbance of it.
pub async fn targets(scenario: &'static Scenario, action: Action) -> Vec<Target> {
    let requests = requests_of(scenario, action).await;
    let targets = requests.into_iter().flat_map(|(request, kind)| {
        Disturbance::of(kind).iter().map(move |disturbance| Target {
            request: request.clone(),
            disturbance: *disturbance,
        })
    });
    targets.collect()
}
