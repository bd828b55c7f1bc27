//! Pause, resume and stop: stored as an intention, carried out at ACS, registered.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;
use tracing::{info, warn};

use super::auditing::{AuditDraft, InLog};
use super::entry::{PauseEnd, RegisteredRecording};
use super::intention::{IntendedAction, Intention, Noted};
use super::noting::Target;
use super::requester::Requester;
use super::state::RecordingState;
use super::transitions::{PauseAnswer, ResumeAnswer, SETTLES};
use super::undone::Decision;
use super::{
    ControlError, RecordingControl, RecordingView, address, best_effort, ended, not_started,
};
use crate::acs::AcsError;
use crate::acs::wire::StateAtAcs;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::audit::AuditAction;

/// What a stop found.
#[derive(Debug)]
pub enum StopOutcome {
    Stopped(RecordingView),
    /// ACS no longer has the recording, and the register considered it running.
    EndedBefore(RecordingView),
    /// The register has it as stopped, and ACS has no such recording.
    WasStopped(RecordingView),
}

/// When a recording ended, by ACS's answer to a stop.
#[derive(Debug, Clone, Copy)]
enum AcsEnd {
    Now,
    /// ACS no longer had it.
    Before,
}

impl StopOutcome {
    /// The stopped recording.
    pub fn into_view(self) -> RecordingView {
        match self {
            Self::Stopped(view) | Self::EndedBefore(view) | Self::WasStopped(view) => view,
        }
    }
}

impl RecordingControl {
    /// Pauses a recording, at most until `resume_after` if that is given.
    ///
    /// # Errors
    /// When ACS refuses, or the pause cannot be stored although the guard must end it.
    pub async fn pause(
        &self,
        id: &RecordingId,
        resume_after: Option<Duration>,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let now = self.clock.now();
        let resume_at = resume_after.map(|after| now.checked_add(after).unwrap_or(Timestamp::MAX));
        let intention = Intention::new(now, IntendedAction::Pause { resume_at });
        let intention = intention.asked_by(by.asks(Map::new()));
        let target = self.intend(id, intention).await?;
        let answer = match self
            .client
            .pause(address(id, target.account.as_ref()))
            .await
        {
            Ok(()) => PauseAnswer::Paused,
            Err(error) => self.settle_refused_pause(id, &target, error).await?,
        };
        info!(recording.id = %id, "Paused recording `{id}`");
        let is_repetition = answer == PauseAnswer::WasPaused
            && resume_at.is_none()
            && target.open_pause().is_some();
        if !is_repetition {
            let draft = AuditDraft::new(AuditAction::Paused).at("resumeAt", resume_at);
            let in_log = self.record_answered(id, &target, draft, by).await;
            if in_log == InLog::NotRecorded && target.is_noted() {
                // The intention stays, as after a lost answer: the sweep registers the pause when its record is written.
                return Ok(RecordingView::in_state(
                    id,
                    RecordingState::Paused,
                    target.account,
                ));
            }
        }
        let registered = self
            .register
            .change(id, now, |account| {
                account.runs_at_acs(now);
                account.paused(&target.noted, answer);
            })
            .await;
        let account = match (registered, resume_at) {
            // The intention is stored: the guard ends this pause even if this write fails.
            (Err(error), Some(_)) if matches!(target.noted, Noted::NotWritten(_)) => {
                return Err(error.into());
            }
            (registered, _) => best_effort("note that it was paused", id, registered),
        };
        match account {
            Some(account) if account.decision() == Some(Decision::Resume) => {
                Ok(self.paused_or_resumed(id, &target, account).await)
            }
            account => Ok(RecordingView::in_state(id, RecordingState::Paused, account)),
        }
    }

    /// ACS paused it, and by the account it records: it was resumed in between. ACS says which of the two came last.
    async fn paused_or_resumed(
        &self,
        id: &RecordingId,
        target: &Target,
        account: RegisteredRecording,
    ) -> RecordingView {
        match self.state_at_acs(id, Some(&account)).await {
            Some(StateAtAcs::Active) => {
                RecordingView::in_state(id, RecordingState::Active, Some(account))
            }
            Some(StateAtAcs::Inactive) => {
                let (now, last_resume) = (self.clock.now(), account.sent.last_resume);
                let registered = self.register.change(id, now, |account| {
                    // A resume that was sent after ACS's answer may have ended this pause.
                    if account.sent.last_resume == last_resume {
                        account.mark_paused(target.noted.intention(), now);
                    }
                });
                let registered = best_effort("note that it is paused", id, registered.await);
                RecordingView::of(registered.unwrap_or(account))
            }
            Some(StateAtAcs::Unknown) | None => {
                RecordingView::in_state(id, RecordingState::Unknown, Some(account))
            }
        }
    }

    /// Resumes a paused recording.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn resume(
        &self,
        id: &RecordingId,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let known = self.find_or_adopt(id).await?;
        let pause = known.as_ref().and_then(RegisteredRecording::pause_to_end);
        let action = IntendedAction::Resume {
            pause,
            by: PauseEnd::Caller,
        };
        let intention = Intention::new(self.clock.now(), action);
        let intention = intention.asked_by(by.asks(Map::new()));
        let target = self.note(id, known, intention).await;
        self.send_resume(id, &target, by).await
    }

    /// Ends a pause that is due. A pause that was ended or replaced since the sweep read it is left alone: the
    /// intention is written only while the pause is still open and due.
    ///
    /// # Errors
    /// When ACS refuses, or the register can be neither written nor read.
    pub(super) async fn end_overdue_pause(
        &self,
        id: &RecordingId,
        pause: Timestamp,
    ) -> Result<Option<RecordingView>, ControlError> {
        let now = self.clock.now();
        let is_due = |account: &RegisteredRecording| account.overdue_pause(now) == Some(pause);
        let action = IntendedAction::Resume {
            pause: Some(pause),
            by: PauseEnd::Guard,
        };
        let intention = Intention::new(now, action);
        let intention = intention.asked_by(Requester::Sweep.asks(Map::new()));
        let written = self
            .register
            .change(id, now, |account| {
                if is_due(account) {
                    account.intend(&intention);
                }
            })
            .await;
        let target = match written {
            Ok(account) if account.intended(intention.id).is_some() => {
                Target::new(Some(account), Noted::Written(intention))
            }
            Ok(_) => return Ok(None),
            Err(error) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not store the intention to end a pause");
                let known = self.register.find(id).await?;
                if !known.as_ref().is_some_and(is_due) {
                    return Ok(None);
                }
                Target::new(known, Noted::NotWritten(intention))
            }
        };
        self.send_resume(id, &target, &Requester::Sweep)
            .await
            .map(Some)
    }

    /// Ends a recording. Its files are announced by event. ACS is asked again where nothing but its answer that there is no
    /// such recording says that it ended: another stop has no further effect.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn stop(
        &self,
        id: &RecordingId,
        by: &Requester,
    ) -> Result<StopOutcome, ControlError> {
        let known = self.find_or_adopt(id).await?;
        if let Some(account) = &known
            && account.has_surely_ended()
        {
            return Ok(StopOutcome::WasStopped(RecordingView::of(account.clone())));
        }
        let was_running = known.as_ref().is_some_and(RegisteredRecording::is_running);
        let intention = Intention::new(self.clock.now(), IntendedAction::Stop);
        let intention = intention.asked_by(by.asks(Map::new()));
        let target = self.note(id, known, intention).await;
        let end = match self.client.stop(address(id, target.account.as_ref())).await {
            Ok(()) => AcsEnd::Now,
            Err(error) if error.is_not_found() && was_running => AcsEnd::Before,
            Err(error) => {
                let ended = target.account.as_ref();
                return match ended.filter(|account| account.was_stopped()) {
                    Some(ended) if error.is_not_found() => {
                        Ok(StopOutcome::WasStopped(RecordingView::of(ended.clone())))
                    }
                    Some(_) | None => Err(self.refused(id, &target, error).await),
                };
            }
        };
        info!(recording.id = %id, "Stopped recording `{id}`");
        let account = self.register_stop(id, target, end, by).await;
        let view = RecordingView::in_state(id, RecordingState::Stopped, account);
        Ok(match end {
            AcsEnd::Now => StopOutcome::Stopped(view),
            AcsEnd::Before => StopOutcome::EndedBefore(view),
        })
    }

    /// Records and registers the end of a recording that a stop found. Returns the account, if it can be read.
    async fn register_stop(
        &self,
        id: &RecordingId,
        target: Target,
        end: AcsEnd,
        by: &Requester,
    ) -> Option<RegisteredRecording> {
        let draft = AuditDraft::new(AuditAction::Stopped);
        let in_log = self.record_answered(id, &target, draft, by).await;
        if in_log == InLog::NotRecorded && target.is_noted() {
            // The sweep registers the end when its record is written.
            return target.account;
        }
        let (now, intention) = (self.clock.now(), target.noted.intention());
        let stop = |account: &mut RegisteredRecording| {
            account.withdraw(intention);
            match end {
                AcsEnd::Now => account.stopped_by_us(intention.at, now),
                AcsEnd::Before => account.stop(now),
            }
        };
        let registered = self.register.change(id, now, stop).await;
        best_effort("note that it was stopped", id, registered)
    }

    /// Decides whether a recording is paused although ACS refused to pause it.
    async fn settle_refused_pause(
        &self,
        id: &RecordingId,
        target: &Target,
        error: AcsError,
    ) -> Result<PauseAnswer, ControlError> {
        let account = target.account.as_ref();
        let now = target.noted.intention().at;
        let was_just_paused = target
            .open_pause()
            .is_some_and(|open| now.duration_since(open.started_at) < SETTLES);
        // ACS's answer right after a change may be outdated.
        let is_inactive = error.is_wrong_state()
            && (was_just_paused
                || self.state_at_acs(id, account).await == Some(StateAtAcs::Inactive));
        let was_paused = account.is_some_and(|account| {
            let own = target.noted.intention().id;
            let mut others = account.intentions.iter().filter(|known| known.id != own);
            // In its first seconds a recording is inactive and not paused.
            account.open_pause().is_some()
                || others.any(Intention::is_pause)
                || account.has_begun(now)
        });
        match (is_inactive, was_paused) {
            (true, true) => Ok(PauseAnswer::WasPaused),
            // An attempt whose answer was lost may have paused it in its first seconds: the intention stays.
            (true, false) => Err(not_started(id, error.own_answer())),
            (false, _) => Err(self.refused(id, target, error).await),
        }
    }

    async fn send_resume(
        &self,
        id: &RecordingId,
        target: &Target,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let account = target.account.as_ref();
        let answer = match self.client.resume(address(id, account)).await {
            Ok(()) => ResumeAnswer::Resumed,
            Err(error)
                if error.is_wrong_state()
                    && (target.was_just_resumed()
                        || self.state_at_acs(id, account).await == Some(StateAtAcs::Active)) =>
            {
                ResumeAnswer::WasActive
            }
            Err(error) => return Err(self.refused(id, target, error).await),
        };
        info!(recording.id = %id, "Resumed recording `{id}`");
        if answer == ResumeAnswer::Resumed || target.open_pause().is_some() {
            let draft = AuditDraft::new(AuditAction::Resumed);
            let in_log = self.record_answered(id, target, draft, by).await;
            if in_log == InLog::NotRecorded && target.is_noted() {
                // The sweep registers the end of the pause when its record is written.
                let account = target.account.clone();
                return Ok(RecordingView::in_state(id, RecordingState::Active, account));
            }
        }
        let now = self.clock.now();
        let registered = self
            .register
            .change(id, now, |account| {
                account.runs_at_acs(target.noted.intention().at);
                account.resumed(&target.noted, answer, now);
            })
            .await;
        let account = best_effort("note that it was resumed", id, registered);
        if let Some(account) = &account
            && account.is_paused_after(target.noted.intention())
        {
            // What callers wanted to exclude stays excluded.
            self.send_again(id, Decision::Pause).await;
            return Ok(RecordingView::in_state(
                id,
                RecordingState::Paused,
                Some(account.clone()),
            ));
        }
        Ok(RecordingView::in_state(id, RecordingState::Active, account))
    }

    /// Handles a refusal of ACS for a known or an unknown recording.
    async fn refused(&self, id: &RecordingId, target: &Target, error: AcsError) -> ControlError {
        let (now, intention) = (self.clock.now(), target.noted.intention());
        if error.is_not_found() && target.account.is_some() {
            let closed = self
                .register
                .change(id, now, |account| {
                    account.withdraw(intention);
                    account.stop(now);
                })
                .await;
            let closed = best_effort("note that it has ended", id, closed);
            let account = closed.as_ref().or(target.account.as_ref());
            return if account.is_some_and(RegisteredRecording::has_failed) {
                not_started(id, error.own_answer())
            } else {
                ended(id, error.own_answer())
            };
        }
        // If the answer was lost, the intention stays: the sweep finds out.
        if target.account.is_some() && !error.may_have_taken_effect() {
            let withdrawn = self
                .register
                .change(id, now, |account| account.withdraw(intention))
                .await;
            best_effort("withdraw a refused request", id, withdrawn);
        }
        let account = target.account.as_ref();
        if error.is_wrong_state() {
            if account.is_some_and(RegisteredRecording::was_stopped) {
                ended(id, error.own_answer())
            } else {
                not_started(id, error.own_answer())
            }
        } else {
            error.into()
        }
    }

    async fn state_at_acs(
        &self,
        id: &RecordingId,
        known: Option<&RegisteredRecording>,
    ) -> Option<StateAtAcs> {
        let answer = self.client.state(address(id, known)).await.ok()?;
        Some(answer.recording_state)
    }
}
