//! What intentions, late answers and looks do to an account.

use super::*;
use crate::acs::wire::StateAtAcs;
use crate::control::state::RecordingState;
use crate::control::undone::Decision;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn recording() -> RegisteredRecording {
    RegisteredRecording {
        started_at: Some(at(0)),
        ..RegisteredRecording::unknown("r".parse().unwrap(), at(0))
    }
}

fn pause(second: i64, resume_at: Option<Timestamp>) -> Noted {
    let action = IntendedAction::Pause { resume_at };
    Noted::Written(Intention::new(at(second), action))
}

fn resume(second: i64, pause: i64, by: PauseEnd) -> Noted {
    let pause = Some(at(pause));
    Noted::Written(Intention::new(
        at(second),
        IntendedAction::Resume { pause, by },
    ))
}

fn intended(mut recording: RegisteredRecording, noted: &[&Noted]) -> RegisteredRecording {
    for noted in noted {
        recording.intend(noted.intention());
    }
    recording
}

/// A recording with one pause that ACS confirmed.
fn paused_at(second: i64, resume_at: Option<Timestamp>) -> RegisteredRecording {
    let noted = pause(second, resume_at);
    let mut recording = intended(recording(), &[&noted]);
    recording.paused(&noted, PauseAnswer::Paused);
    recording
}

fn spans(recording: &RegisteredRecording) -> Vec<(Timestamp, Option<Timestamp>)> {
    let pauses = recording.pauses.iter();
    pauses
        .map(|pause| (pause.started_at, pause.ended_at))
        .collect()
}

#[test]
fn every_pause_is_kept_with_its_end() {
    let mut recording = paused_at(1, Some(at(5)));
    assert_eq!(recording.state(), RecordingState::Paused);
    let guard = resume(5, 1, PauseEnd::Guard);
    recording.intend(guard.intention());
    recording.resumed(&guard, ResumeAnswer::Resumed, at(5));
    let second = pause(7, None);
    recording.intend(second.intention());
    recording.paused(&second, PauseAnswer::Paused);
    recording.stop(at(9));
    let ends: Vec<_> = recording
        .pauses
        .iter()
        .map(|pause| (pause.started_at, pause.ended_at, pause.ended_by))
        .collect();
    assert_eq!(
        ends,
        [
            (at(1), Some(at(5)), Some(PauseEnd::Guard)),
            (at(7), Some(at(9)), Some(PauseEnd::Stop))
        ]
    );
    assert_eq!(recording.state(), RecordingState::Stopped);
}

#[test]
fn a_pause_within_a_pause_is_one_pause_and_may_set_its_end() {
    let mut recording = paused_at(1, None);
    for noted in [pause(2, Some(at(9))), pause(3, None)] {
        recording.intend(noted.intention());
        recording.paused(&noted, PauseAnswer::WasPaused);
    }
    assert_eq!(recording.pauses.len(), 1);
    assert_eq!(recording.open_pause().unwrap().resume_at, Some(at(9)));
}

#[test]
fn a_refused_pause_leaves_no_trace() {
    let refused = pause(1, Some(at(9)));
    let mut stopped = intended(recording(), &[&refused]);
    let mut running = stopped.clone();
    running.withdraw(refused.intention());
    assert_eq!((running.intentions.len(), running.pauses.len()), (0, 0));
    // The stop came in between, and could not know.
    stopped.stop(at(2));
    assert_eq!(spans(&stopped), [(at(1), Some(at(2)))]);
    stopped.withdraw(refused.intention());
    assert!(stopped.pauses.is_empty());
}

#[test]
fn a_late_resume_of_an_older_pause_leaves_the_newer_one_open() {
    let mut recording = paused_at(10, None);
    let late = resume(20, 10, PauseEnd::Caller);
    recording.intend(late.intention());
    let second = pause(30, Some(at(90)));
    recording.intend(second.intention());
    recording.paused(&second, PauseAnswer::Paused);
    recording.resumed(&late, ResumeAnswer::Resumed, at(40));
    assert_eq!(spans(&recording), [(at(10), Some(at(20))), (at(30), None)]);
    assert_eq!(recording.overdue_pause(at(90)), Some(at(30)));
    assert!(recording.is_paused_after(late.intention()));
}

#[test]
fn a_pause_whose_answer_comes_after_its_end_stays_ended() {
    let late = pause(10, Some(at(90)));
    let mut recording = intended(recording(), &[&late]);
    let ended = resume(20, 10, PauseEnd::Caller);
    assert_eq!(recording.pause_to_end(), Some(at(10)));
    recording.intend(ended.intention());
    recording.resumed(&ended, ResumeAnswer::Resumed, at(21));
    recording.paused(&late, PauseAnswer::Paused);
    assert_eq!(spans(&recording), [(at(10), Some(at(21)))]);
    assert_eq!(recording.state(), RecordingState::Active);
}

#[test]
fn a_pause_that_reaches_acs_after_a_resume_ends_as_promised() {
    let late = pause(10, Some(at(90)));
    let mut recording = intended(recording(), &[&late]);
    let resume = resume(20, 10, PauseEnd::Caller);
    recording.intend(resume.intention());
    recording.resumed(&resume, ResumeAnswer::WasActive, at(21));
    assert_eq!(recording.state(), RecordingState::Active);
    recording.paused(&late, PauseAnswer::Paused);
    assert_eq!(spans(&recording), [(at(10), None)]);
    assert_eq!(recording.overdue_pause(at(90)), Some(at(10)));
}

#[test]
fn a_pause_within_a_newer_pause_sets_its_end_when_acs_answers_it() {
    let late = pause(10, Some(at(90)));
    let newer = pause(20, None);
    let mut recording = intended(recording(), &[&late, &newer]);
    recording.paused(&newer, PauseAnswer::Paused);
    assert_eq!(recording.overdue_pause(at(90)), None, "it is not answered");
    recording.paused(&late, PauseAnswer::WasPaused);
    assert_eq!(spans(&recording), [(at(20), None)]);
    assert_eq!(recording.overdue_pause(at(90)), Some(at(20)));
}

#[test]
fn a_pause_that_was_never_answered_shortens_no_newer_one() {
    let lost = pause(10, Some(at(90)));
    let newer = pause(20, None);
    let mut recording = intended(recording(), &[&lost, &newer]);
    recording.paused(&newer, PauseAnswer::Paused);
    recording.observe(StateAtAcs::Inactive, at(80));
    assert_eq!(recording.overdue_pause(at(100)), None);
    assert_eq!(recording.intentions, []);
}

#[test]
fn a_pause_that_was_sent_before_a_resume_and_never_answered_gives_way_to_it() {
    let lost = pause(10, None);
    let mut recording = intended(recording(), &[&lost]);
    let resume = resume(20, 10, PauseEnd::Caller);
    recording.intend(resume.intention());
    recording.resumed(&resume, ResumeAnswer::WasActive, at(21));
    recording.observe(StateAtAcs::Inactive, at(81));
    assert_eq!(recording.state(), RecordingState::Active);
    let undone = recording.undone(StateAtAcs::Inactive, at(81));
    assert_eq!(undone, Some(Decision::Resume));
}

#[test]
fn a_pause_that_is_answered_after_it_was_settled_otherwise_is_settled_by_acs() {
    let frozen = pause(10, Some(at(500)));
    let mut recording = intended(recording(), &[&frozen]);
    recording.observe(StateAtAcs::Active, at(80));
    recording.paused(&frozen, PauseAnswer::Paused);
    let mut active = recording.clone();
    active.observe(StateAtAcs::Active, at(160));
    assert_eq!((spans(&active), active.intentions.len()), (vec![], 0));
    recording.mark_paused(frozen.intention(), at(140));
    assert_eq!(spans(&recording), [(at(140), None)]);
    assert_eq!(recording.overdue_pause(at(500)), Some(at(140)));
}

#[test]
fn no_late_answer_brings_an_ended_recording_back() {
    let (late_pause, late_resume) = (pause(10, None), resume(11, 10, PauseEnd::Caller));
    let mut recording = intended(recording(), &[&late_pause, &late_resume]);
    recording.stop(at(20));
    let stopped = recording.clone();
    recording.paused(&late_pause, PauseAnswer::Paused);
    recording.resumed(&late_resume, ResumeAnswer::Resumed, at(30));
    recording.intend(pause(31, None).intention());
    recording.start_paused(at(32));
    let unwritten = Noted::NotWritten(Intention::new(
        at(40),
        IntendedAction::Pause { resume_at: None },
    ));
    recording.paused(&unwritten, PauseAnswer::Paused);
    recording.fail(at(41), "late".into());
    assert_eq!(
        (recording.status, recording.pauses, recording.intentions),
        (stopped.status, stopped.pauses, stopped.intentions)
    );
}

#[test]
fn what_could_not_be_written_down_before_counts_only_if_nothing_newer_is_known() {
    let unwritten = |second| {
        let action = IntendedAction::Pause { resume_at: None };
        Noted::NotWritten(Intention::new(at(second), action))
    };
    let mut recording = recording();
    recording.paused(&unwritten(10), PauseAnswer::Paused);
    assert_eq!(recording.state(), RecordingState::Paused);
    let end = resume(20, 10, PauseEnd::Caller);
    recording.intend(end.intention());
    recording.resumed(&end, ResumeAnswer::Resumed, at(20));
    recording.paused(&unwritten(15), PauseAnswer::Paused);
    assert_eq!(recording.state(), RecordingState::Active);
}

#[test]
fn what_acs_says_directly_after_a_change_is_the_past() {
    let observed = |mut recording: RegisteredRecording, at_acs, second| {
        recording.observe(at_acs, at(second));
        recording.state()
    };
    let paused = paused_at(100, None);
    let active = StateAtAcs::Active;
    assert_eq!(
        observed(paused.clone(), active, 110),
        RecordingState::Paused
    );
    let skewed = observed(paused.clone(), active, 459);
    assert_eq!(skewed, RecordingState::Paused, "by a clock that is fast");
    assert_eq!(observed(paused, active, 460), RecordingState::Active);
    let inactive = StateAtAcs::Inactive;
    assert_eq!(observed(recording(), inactive, 12), RecordingState::Active);
    assert_eq!(
        observed(recording(), inactive, 360),
        RecordingState::Paused,
        "somebody else paused it"
    );
}

#[test]
fn an_ended_recording_runs_again_only_when_acs_says_so_well_after_its_end() {
    let mut stopped = recording();
    stopped.stop(at(100));
    for (at_acs, second) in [
        (StateAtAcs::Active, 459),
        (StateAtAcs::Inactive, 1000),
        (StateAtAcs::Unknown, 1000),
    ] {
        let mut stopped = stopped.clone();
        stopped.observe(at_acs, at(second));
        assert_eq!(stopped.state(), RecordingState::Stopped, "{at_acs:?}");
    }
    stopped.observe(StateAtAcs::Active, at(460));
    assert_eq!(stopped.state(), RecordingState::Active);
    // An event knew the end's time; a question that was asked before ACS said so is of the past.
    let mut ended = recording();
    ended.ended(at(100), at(800));
    ended.observe(StateAtAcs::Active, at(700));
    assert_eq!(ended.state(), RecordingState::Stopped);
}

#[test]
fn an_intention_whose_outcome_is_unknown_is_settled_by_what_acs_says() {
    let lost = pause(10, Some(at(500)));
    let pending = intended(recording(), &[&lost]);
    let observed = |recording: &RegisteredRecording, at_acs, second| {
        let mut recording = recording.clone();
        recording.observe(at_acs, at(second));
        (spans(&recording), recording.intentions.len())
    };
    assert_eq!(
        observed(&pending, StateAtAcs::Inactive, 40),
        (vec![], 1),
        "its request may still be on its way"
    );
    assert_eq!(
        observed(&pending, StateAtAcs::Inactive, 70),
        (vec![(at(10), None)], 0)
    );
    assert_eq!(observed(&pending, StateAtAcs::Active, 70), (vec![], 0));
    let lost_resume = resume(20, 10, PauseEnd::Caller);
    let both = intended(pending, &[&lost_resume]);
    assert_eq!(
        observed(&both, StateAtAcs::Active, 80),
        (vec![(at(10), Some(at(20)))], 0)
    );
    assert_eq!(
        observed(&both, StateAtAcs::Inactive, 80),
        (vec![(at(10), None)], 0)
    );
}

#[test]
fn the_guard_sees_a_pause_whose_answer_was_lost() {
    let lost = pause(10, Some(at(30)));
    let mut recording = intended(recording(), &[&lost]);
    assert_eq!(recording.overdue_pause(at(29)), None);
    assert_eq!(recording.overdue_pause(at(30)), Some(at(10)));
    let guard = resume(31, 10, PauseEnd::Guard);
    recording.intend(guard.intention());
    assert_eq!(recording.overdue_pause(at(31)), None);
    recording.resumed(&guard, ResumeAnswer::Resumed, at(32));
    assert_eq!(spans(&recording), [(at(10), Some(at(32)))]);
}

#[test]
fn a_loop_of_failing_pauses_keeps_a_bounded_number_of_intentions() {
    let mut recording = recording();
    let guarded = pause(1, Some(at(900)));
    recording.intend(guarded.intention());
    for second in 2..200 {
        recording.intend(pause(second, None).intention());
    }
    assert_eq!(recording.intentions.len(), MOST_INTENTIONS);
    assert_eq!(recording.overdue_pause(at(900)), Some(at(1)));
}

#[test]
fn the_first_end_is_the_end() {
    let mut recording = recording();
    recording.stop(at(1));
    recording.stop(at(2));
    recording.fail(at(3), "late".into());
    assert_eq!(recording.status, RecordingStatus::Stopped { at: at(1) });
}
