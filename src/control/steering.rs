//! Pause, resume and stop: written down as an intention, carried out at ACS, registered.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::entry::{PauseEnd, RecordingStatus, RegisteredRecording};
use super::intention::{IntendedAction, Intention, Noted};
use super::state::RecordingState;
use super::transitions::PauseAnswer;
use super::{ControlError, RecordingControl, RecordingView, address, best_effort};
use crate::acs::AcsError;
use crate::acs::error::AcsErrorAnswer;
use crate::acs::wire::StateAtAcs;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::DocumentError;

/// What a stop found.
#[derive(Debug)]
pub enum StopOutcome {
    Stopped(RecordingView),
    /// ACS has no such recording any more, and the register took it for running.
    EndedBefore(RecordingView),
    /// It is known as stopped; ACS was not asked.
    WasStopped(RecordingView),
}

impl StopOutcome {
    /// The stopped recording.
    pub fn into_view(self) -> RecordingView {
        match self {
            Self::Stopped(view) | Self::EndedBefore(view) | Self::WasStopped(view) => view,
        }
    }
}

/// A recording that is about to be changed at ACS.
struct Target {
    account: Option<RegisteredRecording>,
    noted: Noted,
}

impl RecordingControl {
    /// Pauses a recording, until `resume_after` at the latest if that is given.
    ///
    /// # Errors
    /// When ACS refuses, or the pause cannot be written down although the guard is to end it.
    pub async fn pause(
        &self,
        id: &RecordingId,
        resume_after: Option<Duration>,
    ) -> Result<RecordingView, ControlError> {
        let now = self.clock.now();
        let resume_at = resume_after.map(|after| now.checked_add(after).unwrap_or(Timestamp::MAX));
        let intention = Intention::new(now, IntendedAction::Pause { resume_at });
        let target = self.intend(id, intention).await?;
        let answer = match self
            .client
            .pause(address(id, target.account.as_ref()))
            .await
        {
            Ok(()) => PauseAnswer::Paused,
            Err(error) => self.pause_after_all(id, &target, error).await?,
        };
        info!(recording.id = %id, "Paused recording `{id}`");
        let registered = self
            .register
            .change(id, now, |account| {
                account.runs_at_acs(now);
                account.paused(&target.noted, answer);
            })
            .await;
        let account = match (registered, resume_at) {
            // The intention is written: the guard ends this pause whatever becomes of this write.
            (Err(error), Some(_)) if matches!(target.noted, Noted::NotWritten(_)) => {
                return Err(error.into());
            }
            (registered, _) => best_effort("register a pause", registered),
        };
        Ok(RecordingView::in_state(id, RecordingState::Paused, account))
    }

    /// Resumes a paused recording.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn resume(&self, id: &RecordingId) -> Result<RecordingView, ControlError> {
        let known = self.find_or_adopt(id).await?;
        let pause = known.as_ref().and_then(RegisteredRecording::pause_to_end);
        let by = PauseEnd::Caller;
        let intention = Intention::new(self.clock.now(), IntendedAction::Resume { pause, by });
        let target = self.note(id, known, intention).await;
        self.send_resume(id, &target).await
    }

    /// Ends a pause whose time is over. A pause that was ended or replaced since the sweep read it is left alone: the
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
        let written = self
            .register
            .change(id, now, |account| {
                if is_due(account) {
                    account.intend(&intention);
                }
            })
            .await;
        let target = match written {
            Ok(account) if account.intentions.contains(&intention) => Target {
                account: Some(account),
                noted: Noted::Written(intention),
            },
            Ok(_) => return Ok(None),
            Err(error) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not write down that a pause is about to be ended");
                let known = self.register.find(id).await?;
                if !known.as_ref().is_some_and(is_due) {
                    return Ok(None);
                }
                Target {
                    account: known,
                    noted: Noted::NotWritten(intention),
                }
            }
        };
        self.send_resume(id, &target).await.map(Some)
    }

    /// Ends a recording. Its files follow by event. A recording that is known as stopped stays as it is.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn stop(&self, id: &RecordingId) -> Result<StopOutcome, ControlError> {
        let known = self.find_or_adopt(id).await?;
        if let Some(account) = &known
            && matches!(account.status, RecordingStatus::Stopped { .. })
        {
            return Ok(StopOutcome::WasStopped(RecordingView::of(account.clone())));
        }
        let was_running = known.as_ref().is_some_and(RegisteredRecording::is_running);
        let intention = Intention::new(self.clock.now(), IntendedAction::Stop);
        let target = self.note(id, known, intention).await;
        let is_gone = match self.client.stop(address(id, target.account.as_ref())).await {
            Ok(()) => false,
            Err(error) if error.is_not_found() && was_running => true,
            Err(error) => return Err(self.refused(id, &target, error).await),
        };
        info!(recording.id = %id, "Stopped recording `{id}`");
        let now = self.clock.now();
        let registered = self
            .register
            .change(id, now, |account| account.stop(now))
            .await;
        let account = best_effort("register the end of a recording", registered);
        let view = RecordingView::in_state(id, RecordingState::Stopped, account);
        Ok(if is_gone {
            StopOutcome::EndedBefore(view)
        } else {
            StopOutcome::Stopped(view)
        })
    }

    /// Whether a pause that ACS refused is in effect all the same.
    async fn pause_after_all(
        &self,
        id: &RecordingId,
        target: &Target,
        error: AcsError,
    ) -> Result<PauseAnswer, ControlError> {
        let account = target.account.as_ref();
        let is_inactive = error.is_wrong_state()
            && self.state_at_acs(id, account).await == Some(StateAtAcs::Inactive);
        let now = target.noted.intention().at;
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
    ) -> Result<RecordingView, ControlError> {
        let account = target.account.as_ref();
        if let Err(error) = self.client.resume(address(id, account)).await {
            let runs = error.is_wrong_state()
                && self.state_at_acs(id, account).await == Some(StateAtAcs::Active);
            if !runs {
                return Err(self.refused(id, target, error).await);
            }
        }
        info!(recording.id = %id, "Resumed recording `{id}`");
        let now = self.clock.now();
        let registered = self
            .register
            .change(id, now, |account| {
                account.runs_at_acs(target.noted.intention().at);
                account.resumed(&target.noted, now);
            })
            .await;
        let account = best_effort("register the end of a pause", registered);
        if let Some(account) = &account
            && account.is_paused_after(target.noted.intention())
        {
            self.pause_again(id, account).await;
            return Ok(RecordingView::in_state(
                id,
                RecordingState::Paused,
                Some(account.clone()),
            ));
        }
        Ok(RecordingView::in_state(id, RecordingState::Active, account))
    }

    /// A pause was decided after a resume that ACS carried out only now: what was to be left out stays left out.
    pub(super) async fn pause_again(&self, id: &RecordingId, account: &RegisteredRecording) {
        warn!(recording.id = %id, "A late resume may have ended a newer pause of recording `{id}`; pausing it again");
        match self.client.pause(address(id, Some(account))).await {
            Err(error) if !error.is_wrong_state() => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not pause recording `{id}` again");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Writes an intention down before ACS is asked. If the register fails, ACS is asked all the same, unless somebody relies
    /// on the guard to end the pause.
    async fn intend(&self, id: &RecordingId, intention: Intention) -> Result<Target, ControlError> {
        if intention.resume_at().is_none() {
            let known = self.find_or_adopt(id).await?;
            return Ok(self.note(id, known, intention).await);
        }
        let known = self.register.find(id).await?;
        let known = match known {
            Some(known) => known,
            None => self.adopt(id).await?,
        };
        let was_running = known.is_running();
        let target = self.try_note(id, known, intention).await?;
        let is_written = matches!(target.noted, Noted::Written(_));
        if was_running && !is_written {
            return Err(not_started(id, None));
        }
        Ok(target)
    }

    async fn note(
        &self,
        id: &RecordingId,
        known: Option<RegisteredRecording>,
        intention: Intention,
    ) -> Target {
        let noted = match &known {
            Some(known) => self.try_note(id, known.clone(), intention.clone()).await,
            None => {
                return Target {
                    account: None,
                    noted: Noted::NotWritten(intention),
                };
            }
        };
        let noted = noted.inspect_err(|error| {
            warn!(recording.id = %id, error = %ErrorChain(error), "Could not write an intention down; ACS is asked all the same");
        });
        noted.unwrap_or(Target {
            account: known,
            noted: Noted::NotWritten(intention),
        })
    }

    /// An ended recording takes no intention; what ACS says of it counts nevertheless.
    async fn try_note(
        &self,
        id: &RecordingId,
        known: RegisteredRecording,
        intention: Intention,
    ) -> Result<Target, DocumentError> {
        if !known.is_running() {
            return Ok(Target {
                account: Some(known),
                noted: Noted::NotWritten(intention),
            });
        }
        let account = self
            .register
            .change(id, intention.at, |account| account.intend(&intention))
            .await?;
        let noted = if account.intentions.contains(&intention) {
            Noted::Written(intention)
        } else {
            Noted::NotWritten(intention)
        };
        Ok(Target {
            account: Some(account),
            noted,
        })
    }

    /// What the register knows. A recording that it does not know is asked for at ACS, so that an intention has an account to
    /// be written into; `None` if the register or ACS fails.
    async fn find_or_adopt(
        &self,
        id: &RecordingId,
    ) -> Result<Option<RegisteredRecording>, ControlError> {
        match self.register.find(id).await {
            Ok(Some(known)) => Ok(Some(known)),
            Ok(None) => match self.adopt(id).await {
                Ok(account) => Ok(Some(account)),
                Err(ControlError::Acs(error)) if error.is_not_found() => Err(error.into()),
                Err(error) => {
                    warn!(recording.id = %id, error = %ErrorChain(&error), "Could not open an account for recording `{id}`");
                    Ok(None)
                }
            },
            Err(error) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not look recording `{id}` up in the register");
                Ok(None)
            }
        }
    }

    /// Opens an account for a recording that ACS knows and the register does not.
    async fn adopt(&self, id: &RecordingId) -> Result<RegisteredRecording, ControlError> {
        self.client.state(address(id, None)).await?;
        Ok(self.register.change(id, self.clock.now(), |_| {}).await?)
    }

    /// What a refusal of ACS means for a recording that we know, or do not know.
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
            best_effort("register the end of a recording", closed);
            return not_started(id, error.own_answer());
        }
        // Where the answer was lost the intention stays: the sweep finds out.
        if target.account.is_some() && !error.may_have_taken_effect() {
            let withdrawn = self
                .register
                .change(id, now, |account| account.withdraw(intention))
                .await;
            best_effort("withdraw an intention", withdrawn);
        }
        if error.is_wrong_state() {
            not_started(id, error.own_answer())
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

fn not_started(id: &RecordingId, acs: Option<Box<AcsErrorAnswer>>) -> ControlError {
    ControlError::NotStarted {
        recording_id: id.clone(),
        acs,
    }
}
