//! Goes through every state that a model can reach, nearest first, and returns the shortest way to one that is wrong.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What is explored.
pub trait Model {
    type State: Copy + Eq + Hash + Debug;
    /// A step, as a failure names it.
    type Step: Copy + Debug;

    fn start(&self) -> Self::State;

    /// Every step that may be next, with the state after it.
    fn steps(&self, state: &Self::State, add: &mut dyn FnMut(Self::Step, Self::State));

    /// What is wrong with a state. `is_last`: no step is left.
    fn problem(&self, state: &Self::State, is_last: bool) -> Option<String>;
}

/// A state, and by which step it was reached from which other.
type Reached<M> = (<M as Model>::State, Option<(usize, <M as Model>::Step)>);

/// The states that were looked at, or how a wrong one is reached.
#[derive(Debug)]
pub enum Explored {
    AllRight { states: usize },
    Wrong { problem: String, way: String },
}

/// Looks at every state; `at_most` is a guard against a model without end.
pub fn explore<M: Model>(model: &M, at_most: usize) -> Explored {
    let mut states: Vec<Reached<M>> = vec![(model.start(), None)];
    let mut known = HashSet::from([model.start()]);
    let mut next = 0;
    while next < states.len() {
        assert!(next < at_most, "the model has more than {at_most} states");
        let (state, _) = states[next];
        let mut is_last = true;
        model.steps(&state, &mut |step, after| {
            is_last = false;
            if known.insert(after) {
                states.push((after, Some((next, step))));
            }
        });
        if let Some(problem) = model.problem(&state, is_last) {
            return Explored::Wrong {
                problem,
                way: way_to(&states, next),
            };
        }
        next += 1;
    }
    Explored::AllRight {
        states: states.len(),
    }
}

fn way_to<S: Debug, T: Copy + Debug>(states: &[(S, Option<(usize, T)>)], last: usize) -> String {
    let mut lines = Vec::new();
    let mut at = last;
    while let (state, Some((before, step))) = &states[at] {
        lines.push(format!("{step:?}\n    {state:?}"));
        at = *before;
    }
    lines.reverse();
    lines.join("\n")
}
