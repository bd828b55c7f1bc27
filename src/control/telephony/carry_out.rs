//! Carries out a command on the recording of its conversation.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::activity;
use super::command::{Action, Outcome, not_started};
use super::conversation::Conversation;
use super::queued_command::QueuedCommand;
use crate::control::entry::RegisteredRecording;
use crate::control::requester::Requester;
use crate::control::steering::StopOutcome;
use crate::control::{ControlError, RecordingControl, RecordingView, best_effort};
use crate::recording::RecordingId;
use crate::request_body::InvalidRequest;

/// Namespace of request ids that are derived from commands: the same command again is the same start.
const COMMANDS: Uuid = Uuid::from_u128(0x5b1e_88f0_2c6d_5d3f_9a41_07c3_6ee2_b954);
/// Attempts to end a call's recording at ACS before it is left to ACS, which ends recordings with their calls.
const END_TRIES: u32 = 10;
/// Attempts of any other command while ACS, the register or the call is not ready for it: a bot waits for the result.
const MOST_TRIES: u32 = 3;

/// Outcome of one attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Attempt {
    Done(Outcome),
    /// To be retried later.
    TryAgain,
}

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
        let result = match action {
            Action::Unsupported => return Attempt::Done(Outcome::not_supported(&command.name)),
            Action::Start { options } => {
                self.start_session(conversation, &command.command_id, options)
                    .await
            }
            Action::Pause | Action::Resume | Action::Stop | Action::End => {
                let mut result = None;
                for session in self.sessions(conversation).await {
                    let by = bot(conversation);
                    let changed = self.change_session(&session, action, tries, &by).await;
                    let is_over = changed.as_ref().is_err_and(is_over);
                    result = Some(changed);
                    if !is_over {
                        break;
                    }
                }
                match result {
                    None => return Attempt::Done(not_started()),
                    Some(result) => result,
                }
            }
        };
        let most = if *action == Action::End {
            END_TRIES
        } else {
            MOST_TRIES
        };
        match result {
            Err(error) if error.may_succeed_later() && tries + 1 < most => Attempt::TryAgain,
            result => Attempt::Done(result.map_or_else(Outcome::from, Outcome::from)),
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
        best_effort("note a recording's conversation", tagged);
        Ok(view)
    }

    async fn change_session(
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
    async fn sessions(&self, conversation: &Conversation) -> Vec<Session> {
        let own = conversation.sessions.last();
        let of_call = match &conversation.call {
            Some(call) => best_effort(
                "look a call up in the register",
                self.calls.recording_of(call).await,
            )
            .flatten(),
            None => None,
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
            };
            if account.is_none_or(|account| account.is_running()) {
                sessions.push(session);
            } else {
                ended = ended.or(Some(session));
            }
        }
        if sessions.is_empty() {
            ended.into_iter().collect()
        } else {
            sessions
        }
    }
}

fn bot(conversation: &Conversation) -> Requester {
    Requester::Bot {
        conversation_id: conversation.id.clone(),
    }
}

/// Whether the error says that the recording no longer exists.
fn is_over(error: &ControlError) -> bool {
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
struct Session {
    recording_id: RecordingId,
    /// Whether the recording belongs to the conversation.
    is_own: bool,
}
