//! A command of a bot, and its outcome.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::acs::AcsError;
use crate::control::state::RecordingState;
use crate::control::{ControlError, RecordingView};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;

/// A bot's request.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `None`: the bot gave none.
    pub id: Option<String>,
    pub name: String,
    pub action: Action,
}

/// The action for the recording of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum Action {
    Start {
        /// Members of a start's body.
        options: Map<String, Value>,
    },
    Pause,
    Resume,
    Stop,
    /// The bot leaves: its recording ends, and no result is sent.
    End,
    Unsupported,
}

/// The outcome of a command: the recording and its state, or an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    #[serde(rename_all = "camelCase")]
    Done {
        recording_id: RecordingId,
        recording_state: RecordingState,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        code: String,
        message: String,
        /// The same command again is carried out again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        may_succeed_later: bool,
    },
}

impl Outcome {
    fn error(code: &str, message: impl Into<String>) -> Self {
        Self::Error {
            code: code.to_owned(),
            message: message.into(),
            may_succeed_later: false,
        }
    }

    /// Whether the same command again has the same outcome.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Error {
                may_succeed_later, ..
            } => !may_succeed_later,
        }
    }

    /// The outcome of a command that failed, for this recording if it is known.
    pub(super) fn of_failure(error: ControlError, recording_id: Option<&RecordingId>) -> Self {
        let is_later = error.may_succeed_later();
        match answered(error, recording_id) {
            Self::Error { code, message, .. } => Self::Error {
                code,
                message,
                may_succeed_later: is_later,
            },
            done @ Self::Done { .. } => done,
        }
    }

    /// The channel's own words: `Command channel/vnd.microsoft.telephony.<action> is not supported`.
    pub(super) fn not_supported(name: &str) -> Self {
        Self::error("NotSupported", format!("Command {name} is not supported"))
    }

    /// The `value` of a `commandResult`; has `error` if and only if the command failed (A11300, A11301).
    pub fn value(&self, command_id: &str) -> Value {
        match self {
            Self::Done {
                recording_id,
                recording_state,
            } => {
                json!({"commandId": command_id, "data": {"recordingId": recording_id, "recordingState": recording_state}})
            }
            Self::Error { code, message, .. } => {
                json!({"commandId": command_id, "error": {"code": code, "message": message}})
            }
        }
    }
}

impl From<RecordingView> for Outcome {
    fn from(view: RecordingView) -> Self {
        Self::Done {
            recording_id: view.recording_id,
            recording_state: view.state,
        }
    }
}

/// Returns the error that a bot is answered with, in the channel's texts:
/// <https://github.com/microsoft/botframework-telephony/blob/main/CallRecording.md>. It publishes no codes for them.
fn answered(error: ControlError, recording_id: Option<&RecordingId>) -> Outcome {
    match error {
        ControlError::AlreadyInProgress { .. } => Outcome::error(
            "RecordingAlreadyInProgress",
            "Recording is already in progress",
        ),
        ControlError::NotStarted { .. } | ControlError::Ended { .. } => not_started(),
        ControlError::StartUnknown { .. } => Outcome::error(
            "ServiceError",
            "It is not known yet whether the recording was started; send the command again",
        ),
        ControlError::ConsentRequired => Outcome::error(
            "ConsentRequired",
            "Recordings need consent evidence here: give `consent` in `value.data`",
        ),
        ControlError::Invalid(invalid) => Outcome::error("BadArgument", invalid.message),
        ControlError::KeyReused { .. } => Outcome::error(
            "CommandIdReused",
            "This commandId belongs to the start of another call",
        ),
        ControlError::Acs(error) if error.is_not_found() => not_started(),
        ControlError::Acs(error) => of_acs(&error, recording_id),
        ControlError::Register(_) => {
            let recording_id = recording_id.map(tracing::field::display);
            tracing::error!(recording.id = recording_id, error = %ErrorChain(&error), "A bot's command failed at the register");
            Outcome::error(
                "ServiceError",
                "The register could not be read or written; send the command again",
            )
        }
    }
}

/// Returns the outcome of a command for a recording that does not exist.
pub(super) fn not_started() -> Outcome {
    Outcome::error("RecordingNotStarted", "Recording has not started")
}

fn of_acs(error: &AcsError, recording_id: Option<&RecordingId>) -> Outcome {
    let recording_id = recording_id.map(tracing::field::display);
    tracing::warn!(recording.id = recording_id, error = %ErrorChain(error), "A bot's command failed at ACS");
    let code = error.answer().and_then(|(_, answer)| answer.code.clone());
    let message = error
        .answer()
        .and_then(|(_, answer)| answer.message.clone());
    Outcome::error(
        code.as_deref().unwrap_or("AcsUnavailable"),
        message.unwrap_or_else(|| error.to_string()),
    )
}
