//! Recording control: what a caller asks, checked, carried out at ACS, and kept in the register. Knows no HTTP server.
//!
//! ACS decides what runs; the register knows what ACS does not tell: who asked, on what ground, that `inactive` means
//! paused, and that `404` means stopped.

pub mod auto_record;
pub mod callback;
pub mod calls;
pub mod consent;
pub mod entry;
pub mod files;
pub mod invalid;
pub mod missing;
pub mod observe;
pub mod register;
pub mod report;
pub mod start;
pub mod telephony;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::acs::client::{CallRecordingClient, StartAttempt};
use crate::acs::error::AcsErrorAnswer;
use crate::acs::operation::RecordingAddress;
use crate::acs::wire::StartRecordingResponse;
use crate::acs::{AcsError, ApiVersion};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::DocumentError;
use crate::store::document_store::DocumentStore;
use calls::{CallRegister, Reservation, Reserved};
use entry::{PauseEnd, RegisteredRecording};
use invalid::InvalidRequest;
use register::RecordingRegister;
use start::Start;

/// Starts, pauses, resumes and stops recordings, and knows about them.
pub struct RecordingControl {
    client: CallRecordingClient,
    register: RecordingRegister,
    calls: CallRegister,
    clock: Arc<dyn Clock>,
    policy: ControlPolicy,
}

/// What recording control decides by.
#[derive(Debug, Clone, Copy)]
pub struct ControlPolicy {
    pub requires_consent: bool,
    /// Files that are not announced this long after a recording's end are missing.
    pub missing_after: Duration,
}

/// A recording and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingView {
    pub recording_id: RecordingId,
    /// `active`, `inactive` (in its first seconds), `paused`, `stopped` or `failed`.
    pub state: String,
    pub recording_kind: Option<String>,
    /// What the register knows, if it knows this recording.
    pub account: Option<RegisteredRecording>,
}

/// Why what was asked for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    #[error("recording needs consent evidence")]
    ConsentRequired,
    #[error("recording is already in progress")]
    AlreadyInProgress {
        recording_id: Option<RecordingId>,
        acs: Option<Box<AcsErrorAnswer>>,
    },
    /// Somebody else is starting it at this moment; whether that succeeds is not known yet.
    #[error("another start of this call is under way")]
    StartUnderWay,
    /// The `Idempotency-Key` was used for another call; ACS answered with that call's recording, and this one is not recorded.
    #[error("the idempotency key belongs to the start of another call")]
    KeyReused { recording_id: RecordingId },
    #[error("recording has not started")]
    NotStarted {
        recording_id: RecordingId,
        acs: Option<Box<AcsErrorAnswer>>,
    },
    #[error(transparent)]
    Acs(#[from] AcsError),
    #[error("the register failed")]
    Register(#[from] DocumentError),
}

impl ControlError {
    /// Whether the same request may succeed a little later: ACS or the register is not well, or the call is not there yet.
    pub fn may_succeed_later(&self) -> bool {
        match self {
            Self::Acs(AcsError::NoConversation(_)) => false,
            Self::Acs(error) => error
                .answer()
                .is_none_or(|_| error.may_have_taken_effect() || error.is_call_not_established()),
            Self::Register(_) | Self::StartUnderWay => true,
            Self::Invalid(_)
            | Self::ConsentRequired
            | Self::AlreadyInProgress { .. }
            | Self::KeyReused { .. }
            | Self::NotStarted { .. } => false,
        }
    }
}

impl RecordingControl {
    /// The client that recordings are controlled with.
    pub fn acs(&self) -> &CallRecordingClient {
        &self.client
    }
}

impl RecordingView {
    /// As the register has it.
    pub fn of(account: RegisteredRecording) -> Self {
        let (id, state) = (account.recording_id.clone(), account.state_name());
        view(&id, state, Some(account))
    }
}

impl RecordingControl {
    pub fn new(
        client: CallRecordingClient,
        store: Arc<dyn DocumentStore>,
        clock: Arc<dyn Clock>,
        policy: ControlPolicy,
    ) -> Self {
        let register = RecordingRegister::new(Arc::clone(&store), policy.missing_after);
        Self {
            client,
            register,
            calls: CallRegister::new(store),
            clock,
            policy,
        }
    }

    pub fn api_version(&self) -> ApiVersion {
        self.client.api_version()
    }

    pub fn register(&self) -> &RecordingRegister {
        &self.register
    }

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
                        acs: answer_of(&error),
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
            Ok(view) => !matches!(view.state.as_str(), "stopped" | "failed"),
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
            .map_or("active", RegisteredRecording::state_name)
            .to_owned();
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
            "paused".to_owned()
        } else {
            answer
                .recording_state
                .unwrap_or_else(|| "active".to_owned())
        };
        RecordingView {
            recording_id: id,
            state,
            recording_kind: answer.recording_kind,
            account,
        }
    }

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
            let is_inactive = at_acs.as_deref() == Some("inactive");
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
        Ok(view(id, "paused", account))
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
                && self.state_at_acs(id, known.as_ref()).await.as_deref() == Some("active");
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
        Ok(view(id, "active", account))
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
        Ok(view(id, "stopped", account))
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
            acs: answer_of(&error),
        }
    }

    async fn state_at_acs(
        &self,
        id: &RecordingId,
        known: Option<&RegisteredRecording>,
    ) -> Option<String> {
        self.client
            .state(address(id, known))
            .await
            .ok()?
            .recording_state
    }

    /// What the register knows; nothing if it fails, because ACS is what decides.
    async fn known(&self, id: &RecordingId) -> Option<RegisteredRecording> {
        best_effort(
            "look a recording up in the register",
            self.register.find(id).await,
        )
        .flatten()
    }
}

/// The recording itself comes first: what only the register lacks is logged.
fn best_effort<T>(what: &str, result: Result<T, DocumentError>) -> Option<T> {
    result
        .inspect_err(|error| warn!(error = %ErrorChain(error), "Could not {what}"))
        .ok()
}

fn view(id: &RecordingId, state: &str, account: Option<RegisteredRecording>) -> RecordingView {
    let recording_kind = account
        .as_ref()
        .and_then(|account| account.recording_kind.clone());
    RecordingView {
        recording_id: id.clone(),
        state: state.to_owned(),
        recording_kind,
        account,
    }
}

fn address<'a>(
    id: &'a RecordingId,
    known: Option<&'a RegisteredRecording>,
) -> RecordingAddress<'a> {
    RecordingAddress {
        recording_id: id,
        conversation_id: known.and_then(RegisteredRecording::conversation_id),
    }
}

fn answer_of(error: &AcsError) -> Option<Box<AcsErrorAnswer>> {
    error.answer().map(|(_, answer)| Box::new(answer.clone()))
}
