//! Pause, resume and stop.

use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::entry::{PauseEnd, RegisteredRecording};
use super::state::RecordingState;
use super::{ControlError, RecordingControl, RecordingView, address, best_effort, observe};
use crate::acs::AcsError;
use crate::acs::wire::StateAtAcs;
use crate::recording::RecordingId;

impl RecordingControl {
    /// Pauses a recording, until `resume_after` at the latest if that is given.
    ///
    /// # Errors
    /// When ACS refuses, or the pause cannot be kept although the guard is to end it.
    pub async fn pause(
        &self,
        id: &RecordingId,
        resume_after: Option<Duration>,
    ) -> Result<RecordingView, ControlError> {
        let now = self.clock.now();
        let resume_at = resume_after.map(|after| now.checked_add(after).unwrap_or(Timestamp::MAX));
        // A pause that is to be ended by the guard is kept, or not made.
        let known = if resume_at.is_some() {
            self.register.find(id).await?
        } else {
            self.known(id).await
        };
        let before = known
            .as_ref()
            .and_then(|account| account.open_pause().cloned());
        let is_kept_first =
            resume_at.is_some() && known.as_ref().is_some_and(RegisteredRecording::is_running);
        if is_kept_first {
            self.register
                .change(id, now, |account| account.pause(now, resume_at))
                .await?;
        }
        if let Err(error) = self.client.pause(address(id, known.as_ref())).await {
            let at_acs = if error.is_wrong_state() {
                self.state_at_acs(id, known.as_ref()).await
            } else {
                None
            };
            let is_inactive = at_acs == Some(StateAtAcs::Inactive);
            // In its first seconds a recording is inactive and not paused.
            let has_begun = known
                .as_ref()
                .is_some_and(|account| observe::has_begun(account, now));
            if !(is_inactive && (before.is_some() || has_begun)) {
                // Where the answer was lost the pause may be in effect: then the guard is to end it.
                if is_kept_first && !is_inactive && !error.may_have_taken_effect() {
                    let undone = self
                        .register
                        .change(id, now, |account| {
                            account.take_back_pause(now, before.clone())
                        })
                        .await;
                    best_effort("take a pause back", undone);
                }
                return Err(self.refused(id, known.is_some(), error).await);
            }
        }
        info!(recording.id = %id, "Paused recording `{id}`");
        let account = self
            .register
            .change(id, now, |account| account.pause(now, resume_at))
            .await;
        let account = if resume_at.is_some() {
            Some(account?)
        } else {
            best_effort("register a pause", account)
        };
        Ok(RecordingView::in_state(id, RecordingState::Paused, account))
    }

    /// Lets a paused recording go on.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn resume(
        &self,
        id: &RecordingId,
        by: PauseEnd,
    ) -> Result<RecordingView, ControlError> {
        let known = self.known(id).await;
        if let Err(error) = self.client.resume(address(id, known.as_ref())).await {
            let runs = error.is_wrong_state()
                && self.state_at_acs(id, known.as_ref()).await == Some(StateAtAcs::Active);
            if !runs {
                return Err(self.refused(id, known.is_some(), error).await);
            }
        }
        info!(recording.id = %id, "Resumed recording `{id}`");
        let now = self.clock.now();
        let account = self
            .register
            .change(id, now, |account| account.resume(now, by))
            .await;
        let account = best_effort("register the end of a pause", account);
        Ok(RecordingView::in_state(id, RecordingState::Active, account))
    }

    /// Ends a recording. Its files follow by event.
    ///
    /// # Errors
    /// When ACS refuses.
    pub async fn stop(&self, id: &RecordingId) -> Result<RecordingView, ControlError> {
        let known = self.known(id).await;
        if let Err(error) = self.client.stop(address(id, known.as_ref())).await {
            return Err(self.refused(id, known.is_some(), error).await);
        }
        info!(recording.id = %id, "Stopped recording `{id}`");
        let now = self.clock.now();
        let account = self
            .register
            .change(id, now, |account| account.stop(now))
            .await;
        let account = best_effort("register the end of a recording", account);
        Ok(RecordingView::in_state(
            id,
            RecordingState::Stopped,
            account,
        ))
    }

    /// What a refusal of ACS means for a recording that we know, or do not know.
    async fn refused(&self, id: &RecordingId, is_known: bool, error: AcsError) -> ControlError {
        if error.is_not_found() && is_known {
            let now = self.clock.now();
            let closed = self
                .register
                .change(id, now, |account| account.stop(now))
                .await;
            best_effort("register the end of a recording", closed);
        } else if !error.is_wrong_state() {
            return error.into();
        }
        ControlError::NotStarted {
            recording_id: id.clone(),
            acs: error.own_answer(),
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
