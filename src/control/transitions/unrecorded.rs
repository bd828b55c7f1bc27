//! Requests that an account drops before their own answers came: who records them. Pure.
//!
//! An event, or another request, may settle a request while the process that sent it waits for ACS's answer. That process
//! records the request with its answer. Only where it was killed, or the answer was lost, must another process do it.

use jiff::Timestamp;

use super::{MOST_UNRECORDED, is_old};
use crate::control::entry::RegisteredRecording;
use crate::control::intention::Intention;

impl RegisteredRecording {
    /// Keeps what this change of `known` dropped without an answer, and takes out what is so old that no process can be
    /// about to record it.
    pub(in crate::control) fn take_lost(&mut self, known: &Self, now: Timestamp) -> Vec<Intention> {
        let answered = std::mem::take(&mut self.answered);
        for intention in &known.intentions {
            let mut kept = self.intentions.iter().chain(&self.unrecorded);
            if intention.asked_by.is_some() && kept.all(|kept| kept.id != intention.id) {
                self.unrecorded.push(intention.clone());
            }
        }
        if self.erased.is_some() {
            self.forget_requesters();
        }
        self.unrecorded
            .retain(|intention| !answered.contains(&intention.id));
        let too_many = self.unrecorded.len().saturating_sub(MOST_UNRECORDED);
        let mut lost: Vec<Intention> = self.unrecorded.drain(..too_many).collect();
        let old = self
            .unrecorded
            .extract_if(.., |intention| is_old(intention, now));
        lost.extend(old);
        lost
    }
}
