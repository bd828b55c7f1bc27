//! Decisions that a late request of ours undid at ACS. Pure.
//!
//! The register knows what was decided last: the recording is paused, or it records. If ACS says the opposite, and we
//! sent a request for the opposite lately, that request arrived after the decision, or a second time. Then ACS is asked
//! again for the decision. Without such a request the recording was changed by other means, and ACS is right.

use jiff::{SignedDuration, Timestamp};

use super::entry::RegisteredRecording;
use super::transitions::{SETTLES, SETTLES_BY_ANY_CLOCK};
use crate::acs::wire::StateAtAcs;

/// The last decision for a running recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Pause,
    Resume,
}

impl RegisteredRecording {
    /// Returns the last decision; `None` for a recording that has ended.
    pub fn decision(&self) -> Option<Decision> {
        self.is_running().then(|| match self.open_pause() {
            Some(_) => Decision::Pause,
            None => Decision::Resume,
        })
    }

    /// Returns the decision that a late request of ours undid, by ACS's answer to a question of that time.
    pub fn undone(&self, at_acs: StateAtAcs, asked_at: Timestamp) -> Option<Decision> {
        let is_undone = match (self.decision()?, at_acs) {
            (Decision::Pause, StateAtAcs::Active) => self.sent.resume_may_arrive(asked_at),
            (Decision::Resume, StateAtAcs::Inactive) => self.sent.pause_may_arrive(asked_at),
            (Decision::Pause, StateAtAcs::Inactive | StateAtAcs::Unknown)
            | (Decision::Resume, StateAtAcs::Active | StateAtAcs::Unknown) => false,
        };
        self.decision()
            .filter(|_| is_undone && self.has_settled(asked_at))
    }

    /// Notes that ACS is about to be asked again for the decision, if it is still the last one.
    pub fn sends_again(&mut self, decision: Decision, now: Timestamp) {
        match self.decision() {
            Some(Decision::Pause) if decision == Decision::Pause => self.sent.note_pause(now),
            Some(Decision::Resume) if decision == Decision::Resume => self.sent.note_resume(now),
            Some(Decision::Pause | Decision::Resume) | None => {}
        }
    }

    /// Whether a late request may matter, and ACS was not asked since our last request settled.
    pub fn is_to_be_checked(&self, now: Timestamp) -> bool {
        let sent = &self.sent;
        let may_be_undone = sent.pause_may_arrive(now) || sent.resume_may_arrive(now);
        let settled_at = sent.last().and_then(|at| at.checked_add(SETTLES).ok());
        may_be_undone && settled_at.is_some_and(|at| at <= now && self.heard_at < at)
    }

    /// Whether ACS's answer to a question of that time shows the outcome of all earlier requests.
    pub fn has_settled(&self, asked_at: Timestamp) -> bool {
        self.has_settled_for(SETTLES, asked_at)
    }

    /// The same, whichever process changed the recording and whichever asked: their clocks differ.
    pub(in crate::control) fn has_settled_by_any_clock(&self, asked_at: Timestamp) -> bool {
        self.has_settled_for(SETTLES_BY_ANY_CLOCK, asked_at)
    }

    fn has_settled_for(&self, least: SignedDuration, asked_at: Timestamp) -> bool {
        let changed_at = self.changed_at().max(self.sent.last());
        let has_settled = changed_at.is_none_or(|at| asked_at.duration_since(at) >= least);
        has_settled && self.intentions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::intention::{IntendedAction, Intention, Noted};
    use crate::control::pause::PauseEnd;
    use crate::control::state::RecordingState;
    use crate::control::transitions::{PauseAnswer, ResumeAnswer};

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn pause(recording: &mut RegisteredRecording, second: i64) {
        let action = IntendedAction::Pause { resume_at: None };
        let intention = Intention::new(at(second), action);
        recording.intend(&intention);
        recording.paused(&Noted::Written(intention), PauseAnswer::Paused);
    }

    fn resume(recording: &mut RegisteredRecording, second: i64) {
        let action = IntendedAction::Resume {
            pause: recording.pause_to_end(),
            by: PauseEnd::Caller,
        };
        let intention = Intention::new(at(second), action);
        recording.intend(&intention);
        recording.resumed(
            &Noted::Written(intention),
            ResumeAnswer::Resumed,
            at(second),
        );
    }

    fn recording() -> RegisteredRecording {
        RegisteredRecording {
            started_at: Some(at(0)),
            ..RegisteredRecording::unknown("r".parse().unwrap(), at(0))
        }
    }

    #[test]
    fn a_pause_that_a_late_resume_ended_stays_open_and_is_asked_for_again() {
        let mut recording = recording();
        pause(&mut recording, 100);
        resume(&mut recording, 200);
        pause(&mut recording, 205);
        assert_eq!(recording.undone(StateAtAcs::Active, at(264)), None, "early");
        recording.observe(StateAtAcs::Active, at(265));
        assert_eq!(recording.state(), RecordingState::Paused);
        let undone = recording.undone(StateAtAcs::Active, at(265));
        assert_eq!(undone, Some(Decision::Pause));
    }

    #[test]
    fn a_recording_that_a_late_pause_paused_is_resumed_again() {
        let mut recording = recording();
        pause(&mut recording, 100);
        resume(&mut recording, 200);
        recording.observe(StateAtAcs::Inactive, at(270));
        assert_eq!(recording.state(), RecordingState::Active);
        let undone = recording.undone(StateAtAcs::Inactive, at(270));
        assert_eq!(undone, Some(Decision::Resume));
    }

    #[test]
    fn a_paused_start_that_is_registered_after_a_resume_opens_no_pause() {
        let mut recording = recording();
        resume(&mut recording, 100);
        recording.start_paused(at(90));
        assert_eq!(recording.decision(), Some(Decision::Resume));
        let mut paused = self::recording();
        resume(&mut paused, 80);
        paused.start_paused(at(90));
        assert_eq!(paused.decision(), Some(Decision::Pause));
    }

    #[test]
    fn what_none_of_our_requests_can_have_done_was_done_by_other_means() {
        let mut paused = recording();
        pause(&mut paused, 100);
        paused.observe(StateAtAcs::Active, at(459));
        assert_eq!(paused.state(), RecordingState::Paused, "early");
        paused.observe(StateAtAcs::Active, at(460));
        assert_eq!(paused.state(), RecordingState::Active);
        let mut resumed = recording();
        pause(&mut resumed, 100);
        resume(&mut resumed, 200);
        resumed.observe(StateAtAcs::Inactive, at(701));
        assert_eq!(resumed.state(), RecordingState::Paused);
    }

    #[test]
    fn acs_is_asked_once_after_its_answers_tell_what_a_request_did() {
        let mut recording = recording();
        pause(&mut recording, 100);
        assert!(!recording.is_to_be_checked(at(159)));
        assert!(recording.is_to_be_checked(at(160)));
        recording.observe(StateAtAcs::Inactive, at(160));
        assert!(!recording.is_to_be_checked(at(220)));
    }
}
