//! A start: checked, reserved for its call, carried out at ACS, registered.

use tracing::{error, info};
use uuid::Uuid;

use super::calls::{Reservation, Reserved};
use super::entry::RegisteredRecording;
use super::start::Start;
use super::state::RecordingState;
use super::{ControlError, RecordingControl, RecordingView, best_effort};
use crate::acs::client::StartAttempt;
use crate::acs::wire::{StartRecordingResponse, StateAtAcs};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;

impl RecordingControl {
    /// Starts the recording of a call. With the same `request_id` again, it is the same start.
    ///
    /// A register that fails does not keep a call from being recorded, unless there is evidence that has to be kept.
    ///
    /// # Errors
    /// When consent is missing, when the call is being recorded already, or when ACS refuses.
    pub async fn start(
        &self,
        start: &Start,
        request_id: Uuid,
    ) -> Result<RecordingView, ControlError> {
        if self.policy.requires_consent && start.consent.is_none() {
            return Err(ControlError::ConsentRequired);
        }
        let attempt = StartAttempt {
            request_id,
            first_sent: self.clock.now(),
        };
        if let Some(consent) = &start.consent {
            consent.check(attempt.first_sent)?;
        }
        let reservation = match self.reserve(start, attempt).await {
            Ok(Reserved::Yes(reservation)) => Some(reservation),
            Ok(Reserved::AlreadyMade(id)) => return self.already_made(id).await,
            Ok(Reserved::Recorded(id)) => {
                return Err(ControlError::AlreadyInProgress {
                    recording_id: Some(id),
                    acs: None,
                });
            }
            Ok(Reserved::UnderWay) => return Err(ControlError::StartUnderWay),
            Err(ControlError::Register(error)) if start.consent.is_none() => {
                error!(error = %ErrorChain(&error), "The register failed; the call is recorded all the same");
                None
            }
            Err(error) => return Err(error),
        };
        let attempt = reservation
            .as_ref()
            .map_or(attempt, |reservation| reservation.attempt);
        match self.client.start(&start.request, attempt).await {
            Ok(answer) => {
                let known = self
                    .known(&answer.recording_id)
                    .await
                    .and_then(|account| account.call);
                if known.is_some_and(|call| call.is_another(&start.request.call)) {
                    if let Some(reservation) = &reservation {
                        best_effort("give up a start", self.calls.give_up(reservation).await);
                    }
                    return Err(ControlError::KeyReused {
                        recording_id: answer.recording_id,
                    });
                }
                Ok(self.registered(start, reservation.as_ref(), answer).await)
            }
            Err(error) => {
                if let Some(reservation) = &reservation {
                    best_effort("give up a start", self.calls.give_up(reservation).await);
                }
                Err(if error.is_duplicate_start() {
                    ControlError::AlreadyInProgress {
                        recording_id: None,
                        acs: error.own_answer(),
                    }
                } else {
                    error.into()
                })
            }
        }
    }

    /// Reserves the call. A recording that the register takes for running is asked for at ACS.
    async fn reserve(
        &self,
        start: &Start,
        attempt: StartAttempt,
    ) -> Result<Reserved, ControlError> {
        let call = &start.request.call;
        let reserved = self
            .calls
            .reserve(call, attempt, start.consent.as_ref(), None)
            .await?;
        let Reserved::Recorded(id) = reserved else {
            return Ok(reserved);
        };
        let runs = match self.state(&id).await {
            Ok(view) => !matches!(view.state, RecordingState::Stopped | RecordingState::Failed),
            Err(ControlError::Acs(error)) if error.is_not_found() => false,
            Err(error) => return Err(error),
        };
        if runs {
            return Ok(Reserved::Recorded(id));
        }
        Ok(self
            .calls
            .reserve(call, attempt, start.consent.as_ref(), Some(&id))
            .await?)
    }

    async fn already_made(&self, id: RecordingId) -> Result<RecordingView, ControlError> {
        let account = self.register.find(&id).await?;
        let state = account
            .as_ref()
            .map_or(RecordingState::Active, RegisteredRecording::state);
        let recording_kind = account
            .as_ref()
            .and_then(|account| account.recording_kind.clone());
        Ok(RecordingView {
            recording_id: id,
            state,
            recording_kind,
            account,
        })
    }

    /// Writes down what ACS started. It runs, so nothing that fails here may look like a failed start.
    async fn registered(
        &self,
        start: &Start,
        reservation: Option<&Reservation>,
        answer: StartRecordingResponse,
    ) -> RecordingView {
        let now = self.clock.now();
        let id = answer.recording_id;
        info!(recording.id = %id, "Started recording `{id}`");
        let is_paused = start.request.options.pause_on_start == Some(true);
        let account = self.register.change(&id, now, |account| {
            account.call = Some(start.request.call.clone());
            account.options = start.request.options.without_secrets();
            account.started_by.clone_from(&start.started_by);
            account.started_at = account.started_at.or(Some(now));
            account.recording_kind.clone_from(&answer.recording_kind);
            account.consent.clone_from(&start.consent);
            if is_paused && account.pauses.is_empty() {
                account.pause(now, None);
            }
        });
        let account = best_effort("register a recording", account.await);
        if let Some(reservation) = reservation {
            best_effort(
                "register a call's recording",
                self.calls.started(reservation, &id).await,
            );
        }
        let state = if is_paused {
            RecordingState::Paused
        } else {
            match answer.recording_state {
                StateAtAcs::Active | StateAtAcs::Unknown => RecordingState::Active,
                StateAtAcs::Inactive => RecordingState::Inactive,
            }
        };
        RecordingView {
            recording_id: id,
            state,
            recording_kind: answer.recording_kind,
            account,
        }
    }
}
