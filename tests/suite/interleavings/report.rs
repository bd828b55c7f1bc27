//! What fails, in classes; what of it is known; and how to run a single case again.

use std::collections::{BTreeMap, BTreeSet};

use super::enumeration::setting;
use super::known_open::{KNOWN_OPEN, KnownOpen};
use super::run::Outcome;
use super::share::Share;

/// Failures that are printed with all their requests.
const PRINTED: usize = 3;
const PRINTED_OF_A_CLASS: usize = 3;

/// The outcomes of a test's runs.
pub struct Report {
    filter: Option<String>,
    share: Share,
    runs: usize,
    failed: Vec<(String, Outcome)>,
    /// Entries of the list of what is known that did fail.
    known: BTreeSet<usize>,
}

impl Report {
    pub fn new() -> Self {
        Self {
            filter: setting("INTERLEAVING"),
            share: Share::chosen(),
            runs: 0,
            failed: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    /// Runs a case that is chosen.
    pub fn add(&mut self, name: String, run: impl FnOnce() -> Outcome) {
        let is_chosen = match &self.filter {
            Some(part) => name.contains(part),
            None => self.share.has(&name),
        };
        if !is_chosen {
            return;
        }
        self.runs += 1;
        let mut outcome = run();
        if self.filter.is_some() {
            print(&name, &outcome);
        }
        let scenario = name.split(" | ").next().unwrap_or_default();
        outcome.problems.retain(|problem| {
            let known = KNOWN_OPEN
                .iter()
                .position(|known| known.covers(scenario, problem));
            self.known.extend(known);
            known.is_none()
        });
        if !outcome.problems.is_empty() {
            self.failed.push((name, outcome));
        }
    }

    /// # Panics
    /// When something failed that is not known, or something known did not fail.
    pub fn conclude<T: AsRef<str>>(&self, scenarios: &[T]) {
        let is_ours = |known: &KnownOpen| {
            let mut names = scenarios.iter().map(AsRef::as_ref);
            names.any(|name| name == known.scenario)
        };
        let ours = KNOWN_OPEN
            .iter()
            .enumerate()
            .filter(|(_, known)| is_ours(known));
        let mut closed = Vec::new();
        for (at, known) in ours {
            println!(
                "KNOWN {}: {} ({})",
                known.scenario, known.problem, known.reason
            );
            if !self.known.contains(&at) {
                closed.push(format!("{}: {}", known.scenario, known.problem));
            }
        }
        println!(
            "{} runs, {} failed; {}",
            self.runs,
            self.failed.len(),
            self.share
        );
        assert!(self.filter.is_some() || self.runs > 0, "no case was run");
        self.print_classes();
        for (name, outcome) in self.failed.iter().take(PRINTED) {
            print(name, outcome);
        }
        assert!(
            self.failed.is_empty(),
            "{} of {} interleavings break a promise; INTERLEAVING='<name>' runs one again",
            self.failed.len(),
            self.runs
        );
        assert!(
            self.filter.is_some() || !self.share.is_all() || closed.is_empty(),
            "no longer fails, and must go from KNOWN_OPEN: {closed:#?}"
        );
    }

    fn print_classes(&self) {
        let mut classes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (name, outcome) in &self.failed {
            let scenario = name.split(" | ").next().unwrap_or_default();
            for problem in &outcome.problems {
                classes.entry((scenario, problem)).or_default().push(name);
            }
        }
        for ((scenario, problem), names) in &classes {
            println!("CLASS {scenario}: {problem} ({} runs)", names.len());
            for name in names.iter().take(PRINTED_OF_A_CLASS) {
                println!("    {name}");
            }
        }
    }
}

impl KnownOpen {
    fn covers(&self, scenario: &str, problem: &str) -> bool {
        scenario == self.scenario && problem.contains(self.problem)
    }
}

fn print(name: &str, outcome: &Outcome) {
    println!("CASE {name}\n  {}", outcome.problems.join("\n  "));
    println!("  --\n  {}", outcome.trace.join("\n  "));
}
