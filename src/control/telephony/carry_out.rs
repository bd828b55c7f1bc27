//! Carries out a command on the recording of its conversation.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::warn;
use uuid::Uuid;

use super::activity;
use super::command::{Action, Outcome, not_started};
use super::conversation::Conversation;
use super::queued_command::QueuedCommand;
use crate::control::calls::LastStart;
use crate::control::entry::RegisteredRecording;
use crate::control::requester::Requester;
use crate::control::starting::start_unknown;
use crate::control::steering::StopOutcome;
use crate::control::{ControlError, RecordingControl, RecordingView, best_effort};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::request_body::InvalidRequest;
use crate::store::documents::DocumentError;

/// Namespace of request ids that are derived from commands: the same command again is the same start.
const COMMANDS: Uuid = Uuid::from_u128(0x5b1e_88f0_2c6d_5d3f_9a41_07c3_6ee2_b954);
/// Attempts of a command that a bot waits for, while ACS, the register or the call is not ready for it.
const MOST_TRIES: u32 = 3;
/// Delay before a retry of such a command.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Outcome of one attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Attempt {
    Done(Outcome),
    TryAgain {
        delay: Duration,
        /// See [`Progress::Queued`](super::queued_command::Progress).
        unstopped: Option<RecordingId>,
    },
}

/// A recording to which a command was applied, and the result.
type Changed = (RecordingId, Result<RecordingView, ControlError>);

impl RecordingControl {
    /// Carries out a command of a conversation; `tries` is the number of earlier attempts. A repeated command has the
    /// same effect.
    pub(super) async fn carry_out(
        &self,
        conversation: &Conversation,
        command: &QueuedCommand,
        tries: u32,
    ) -> Attempt {
        let action = &command.action;
        let (recording_id, result) = match action {
            Action::Unsupported => return Attempt::Done(Outcome::not_supported(&command.name)),
            Action::End => return self.end(conversation, command, tries).await,
            Action::Start { options } => {
                let id = &command.command_id;
                (None, self.start_session(conversation, id, options).await)
            }
            Action::Pause | Action::Resume | Action::Stop => {
                match self.change_first(conversation, action, tries).await {
                    Ok(None) => return Attempt::Done(not_started()),
                    Ok(Some((id, result))) => (Some(id), result),
                    Err(error) => (None, Err(error)),
                }
            }
        };
        match result {
            Err(error) if error.may_succeed_later() && tries + 1 < MOST_TRIES => {
                Attempt::TryAgain {
                    delay: TRY_AGAIN_AFTER,
                    unstopped: None,
                }
            }
            Err(error) => Attempt::Done(Outcome::of_failure(error, recording_id.as_ref())),
            Ok(view) => Attempt::Done(view.into()),
        }
    }

    /// Applies a command to the first recording of a conversation that has not ended; `None` if it has no recording.
    ///
    /// # Errors
    /// When the register fails, or none runs and the outcome of a start of its call is unknown.
    async fn change_first(
        &self,
        conversation: &Conversation,
        action: &Action,
        tries: u32,
    ) -> Result<Option<Changed>, ControlError> {
        let mut last = None;
        for session in self.sessions(conversation).await? {
            let by = bot(conversation);
            let changed = self.change_session(&session, action, tries, &by).await;
            let is_over = changed.as_ref().is_err_and(is_over);
            last = Some((session.recording_id, changed));
            if !is_over {
                return Ok(last);
            }
        }
        match self.last_start(conversation).await? {
            LastStart::Known => Ok(last),
            LastStart::Open | LastStart::GivenUp => Err(start_unknown(None)),
        }
    }

    /// Returns whether it is known what became of the last start of a conversation's call.
    pub(super) async fn last_start(
        &self,
        conversation: &Conversation,
    ) -> Result<LastStart, DocumentError> {
        match &conversation.call {
            Some(call) => self.calls.last_start(call).await,
            None => Ok(LastStart::Known),
        }
    }

    async fn start_session(
        &self,
        conversation: &Conversation,
        command_id: &str,
        options: &Map<String, Value>,
    ) -> Result<RecordingView, ControlError> {
        let Some(call) = conversation.call.clone() else {
            let message = "The conversation has no call: give `serverCallId` in `value.data`";
            return Err(InvalidRequest::new(message).into());
        };
        let options = activity::start_of(options, self.api_version());
        let options = options.map_err(|error| InvalidRequest::new(error.message))?;
        let start = options.checked_start(call, self.api_version())?;
        let name = format!("{}/{command_id}", conversation.id);
        let view = self
            .start(
                &start,
                Uuid::new_v5(&COMMANDS, name.as_bytes()),
                &bot(conversation),
            )
            .await?;
        let tag = |account: &mut RegisteredRecording| {
            if account.erased.is_none() {
                account.conversation = Some(conversation.id.clone());
            }
        };
        let tagged = self
            .register
            .change(&view.recording_id, self.clock.now(), tag)
            .await;
        best_effort("note its conversation", &view.recording_id, tagged);
        Ok(view)
    }

    pub(super) async fn change_session(
        &self,
        session: &Session,
        action: &Action,
        tries: u32,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let id = &session.recording_id;
        match action {
            Action::Pause => self.pause(id, None, by).await,
            Action::Resume => self.resume(id, by).await,
            Action::Stop | Action::End | Action::Start { .. } | Action::Unsupported => {
                // An attempt at this command may have been killed after it had stopped the recording.
                let may_be_own = tries > 0 && session.is_own;
                let outcome = self.stop(id, by).await?;
                match &outcome {
                    StopOutcome::EndedBefore(_) | StopOutcome::WasStopped(_) if !may_be_own => {
                        Err(ControlError::Ended {
                            recording_id: id.clone(),
                            acs: None,
                        })
                    }
                    StopOutcome::Stopped(_)
                    | StopOutcome::EndedBefore(_)
                    | StopOutcome::WasStopped(_) => Ok(outcome.into_view()),
                }
            }
        }
    }

    /// Returns the recordings that a conversation's commands may be for: its own last one, and any other recording of
    /// its call. Only those that run as far as the register knows; it may not know yet that one has ended.
    ///
    /// # Errors
    /// When the register fails, and no running recording is known without it.
    pub(super) async fn sessions(
        &self,
        conversation: &Conversation,
    ) -> Result<Vec<Session>, DocumentError> {
        let own = conversation.sessions.last();
        let (of_call, failure) = match &conversation.call {
            Some(call) => match self.calls.recording_of(call).await {
                Ok(of_call) => (of_call, None),
                Err(error) => (None, Some(error)),
            },
            None => (None, None),
        };
        let mut sessions = Vec::new();
        let mut ended = None;
        for id in own
            .into_iter()
            .chain(of_call.as_ref().filter(|id| Some(*id) != own))
        {
            let account = self.known(id).await;
            let recorded = account.as_ref().and_then(|account| account.call.as_ref());
            if recorded
                .zip(conversation.call.as_ref())
                .is_some_and(|(one, other)| one.is_another(other))
            {
                continue;
            }
            let session = Session {
                recording_id: id.clone(),
                is_own: Some(id) == own,
                started_at: account.as_ref().and_then(|account| account.started_at),
            };
            if account.is_none_or(|account| account.is_running()) {
                sessions.push(session);
            } else {
                ended = ended.or(Some(session));
            }
        }
        match failure {
            Some(error) if sessions.is_empty() => return Err(error),
            Some(error) => {
                warn!(error = %ErrorChain(&error), "Could not look up the recording of a bot's call; the bot's own recording is used");
            }
            None => {}
        }
        Ok(if sessions.is_empty() {
            ended.into_iter().collect()
        } else {
            sessions
        })
    }
}

pub(super) fn bot(conversation: &Conversation) -> Requester {
    Requester::Bot {
        conversation_id: conversation.id.clone(),
    }
}

/// Whether the error says that the recording no longer exists.
pub(super) fn is_over(error: &ControlError) -> bool {
    match error {
        ControlError::NotStarted { .. } | ControlError::Ended { .. } => true,
        ControlError::Acs(error) => error.is_not_found(),
        ControlError::Invalid(_)
        | ControlError::ConsentRequired
        | ControlError::AlreadyInProgress { .. }
        | ControlError::StartUnknown { .. }
        | ControlError::KeyReused { .. }
        | ControlError::Register(_) => false,
    }
}

/// The recording that a command is for.
pub(super) struct Session {
    pub recording_id: RecordingId,
    /// Whether the recording belongs to the conversation.
    pub is_own: bool,
    pub started_at: Option<Timestamp>,
}
