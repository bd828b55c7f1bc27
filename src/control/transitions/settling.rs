//! Settles unknown outcomes by ACS's state: requests whose own answers never arrived, and changes by other means.

use jiff::Timestamp;

use super::{is_old, is_resume};
use crate::acs::wire::StateAtAcs;
use crate::control::entry::RegisteredRecording;
use crate::control::intention::{IntendedAction, Intention};
use crate::control::pause::PauseEnd;

impl RegisteredRecording {
    /// Registers ACS's answer to a question that was sent at `asked_at`, unless the answer may describe the state
    /// before the last change.
    pub fn observe(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        if at_acs == StateAtAcs::Active {
            self.runs_at_acs(asked_at);
        }
        if self.is_running() {
            self.settle_old_intentions(at_acs, asked_at);
        }
        // The sweep asks again until ACS does what was decided.
        if self.undone(at_acs, asked_at).is_some() {
            return;
        }
        self.heard_at = self.heard_at.max(asked_at);
        if self.is_running() {
            self.observe_state(at_acs, asked_at);
        }
    }

    /// Decides by ACS's answer the outcome of requests whose own answers never arrived.
    fn settle_old_intentions(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        if at_acs == StateAtAcs::Unknown {
            return;
        }
        let old: Vec<Intention> = self
            .intentions
            .extract_if(.., |intention| is_old(intention, asked_at))
            .collect();
        let resumes = || {
            old.iter().filter_map(|known| match known.action {
                IntendedAction::Resume { pause, by } => Some((known.at, pause, by)),
                IntendedAction::Pause { .. } | IntendedAction::Stop => None,
            })
        };
        if at_acs == StateAtAcs::Active {
            for (at, began, by) in resumes() {
                let intended = old
                    .iter()
                    .find(|known| known.is_pause() && Some(known.at) == began);
                self.intentions.extend(intended.cloned());
                if let Some(began) = began {
                    self.end_pause(began, at, by);
                }
            }
            return;
        }
        let last_resume = resumes().map(|(at, ..)| at).max();
        let is_superseded = |known: &Intention| {
            let was_resumed = self.sent.last_resume.is_some_and(|at| at > known.at);
            let is_answered = last_resume.is_none() && !self.intentions.iter().any(is_resume);
            was_resumed && is_answered && self.sent.pause_may_arrive(asked_at)
        };
        let pauses: Vec<&Intention> = old
            .iter()
            .filter(|known| known.is_pause() && self.is_newest_pause(known))
            .filter(|known| !is_superseded(known))
            .collect();
        let after_resume = |known: &&&Intention| last_resume.is_none_or(|at| known.at > at);
        if let Some(began) = pauses.iter().find(after_resume).or(pauses.first()) {
            let resume_at = pauses.iter().rev().find_map(|known| known.resume_at());
            self.begin_pause(began.at, resume_at);
        }
    }

    fn observe_state(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        if !self.has_settled_by_any_clock(asked_at) {
            return;
        }
        match (
            at_acs,
            self.pauses.last_mut().filter(|pause| pause.is_open()),
        ) {
            (StateAtAcs::Active, Some(open)) => open.end(asked_at, PauseEnd::Observed),
            // A recording that runs and is `inactive` for long is paused, no matter who paused it.
            (StateAtAcs::Inactive, None) => self.begin_pause(asked_at, None),
            (StateAtAcs::Active | StateAtAcs::Inactive | StateAtAcs::Unknown, _) => {}
        }
    }
}
