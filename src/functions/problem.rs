//! Errors of the HTTP API: in ACS's shape, and with ACS's code where it returned one.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::acs::AcsError;
use crate::acs::error::AcsErrorAnswer;
use crate::catalogue::CatalogueError;
use crate::control::ControlError;
use crate::error_chain::ErrorChain;
use crate::export::ledger::LedgerError;
use crate::operator_actions::given::InvalidText;
use crate::recording::RecordingId;
use crate::request_body::InvalidRequest;
use crate::store::documents::DocumentError;

/// `{"error":{"code","message","target?","details?"}}` with a status.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    error: Value,
    /// When the caller may send the same request again.
    retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            error: json!({"code": code, "message": message.into()}),
            retry_after: None,
        }
    }

    /// The state of the recording does not allow this. Includes what ACS reported.
    fn conflict(
        code: &str,
        message: &str,
        recording_id: Option<RecordingId>,
        acs: Option<Box<AcsErrorAnswer>>,
    ) -> Self {
        let mut problem = match &acs {
            Some(answer) => from_answer(StatusCode::CONFLICT, answer),
            None => Self::new(StatusCode::CONFLICT, code, message),
        };
        if let Some(answer) = &acs {
            problem.error["details"] = json!([{"code": answer.code, "message": answer.message}]);
            problem.error["message"] = message.into();
        }
        if let Some(id) = recording_id {
            problem.error["recordingId"] = id.as_str().into();
        }
        problem
    }

    /// Something in the request is wrong; `target` names it.
    pub fn invalid(target: Option<&str>, message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message);
        if let Some(target) = target {
            problem.error["target"] = target.into();
        }
        problem
    }
}

/// The body of an error, for the API's description.
#[derive(Serialize, ToSchema)]
pub struct ErrorAnswer {
    error: ErrorBody,
}

/// ACS's error object, and what we add to it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ErrorBody {
    /// ACS's subcode where it was ACS that refused.
    #[schema(example = "8522")]
    code: String,
    message: String,
    /// What in the request is wrong.
    target: Option<String>,
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
    /// `X-Microsoft-Skype-Chain-ID`, which Microsoft's support asks for.
    chain_id: Option<String>,
    /// The recording that conflicts with the request.
    recording_id: Option<String>,
}

impl From<InvalidRequest> for Problem {
    fn from(invalid: InvalidRequest) -> Self {
        Self::invalid(invalid.target.as_deref(), invalid.message)
    }
}

impl Problem {
    /// A member or parameter is not what it is given as.
    pub fn of_text(name: &str, invalid: InvalidText) -> Self {
        let message = match invalid {
            InvalidText::Id(error) => format!("The {error}."),
            InvalidText::Empty
            | InvalidText::Quoted
            | InvalidText::ChunkId { .. }
            | InvalidText::PersonId { .. }
            | InvalidText::NamesPerson
            | InvalidText::Control
            | InvalidText::NoChunkId { .. }
            | InvalidText::Day { .. }
            | InvalidText::NoDay
            | InvalidText::Person(_) => format!("`{name}` is wrong: {invalid}."),
        };
        Self::invalid(Some(name), message)
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let (code, message) = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => (
                "PayloadTooLarge",
                "The body is larger than any request here.".to_owned(),
            ),
            _ => ("InvalidBody", rejection.body_text()),
        };
        Self::new(rejection.status(), code, message)
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        if let DocumentError::Corrupt { key, .. } = &error {
            return unreadable(&error, &format!("`{key}` in the ledger"), RESTORE);
        }
        tracing::error!(error = %ErrorChain(&error), "The register failed");
        let message = "The register could not be read or written; try again.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "RegisterUnavailable",
            message,
        )
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        let what = match &error {
            CatalogueError::Unreadable { key }
            | CatalogueError::Register(DocumentError::Corrupt { key, .. }) => {
                Some((format!("`{key}` in the ledger"), RESTORE))
            }
            CatalogueError::Ledger(LedgerError::Corrupt { document_id, .. }) => {
                let what = format!("The ledger's entry of chunk `{document_id}`");
                Some((what, REBUILD))
            }
            CatalogueError::AccountMissing { key } => return account_missing(&error, key),
            CatalogueError::NotAllRead => return not_all_read(),
            CatalogueError::Ledger(_)
            | CatalogueError::Register(_)
            | CatalogueError::Store(_)
            | CatalogueError::Vault(_) => None,
        };
        if let Some((what, remedy)) = what {
            return unreadable(&error, &what, remedy);
        }
        tracing::error!(error = %ErrorChain(&error), "The catalogue could not be read");
        let message = "The ledger or the register could not be read or written; try again.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "LedgerUnavailable",
            message,
        )
    }
}

/// What writes an entry of a chunk again. It writes no other document.
const REBUILD: &str =
    "Run `recording-vault ledger rebuild`, or restore an earlier version of the document.";
const RESTORE: &str = "Restore an earlier version of the document.";

/// A document of the ledger is not readable. A repeat of the request does not change that.
fn unreadable(error: &(dyn std::error::Error + 'static), what: &str, remedy: &str) -> Problem {
    tracing::error!(error = %ErrorChain(error), "A document of the ledger is not readable");
    let message = format!(
        "{what} is not readable, so what it says is unknown. Files in the vault are not affected. {remedy}"
    );
    Problem::new(StatusCode::CONFLICT, "Unreadable", message)
}

/// The audit log knows a recording that has no account. A repeat of the request does not change that.
fn account_missing(error: &(dyn std::error::Error + 'static), key: &str) -> Problem {
    tracing::error!(error = %ErrorChain(error), "An account in the ledger does not exist");
    let message = format!(
        "`{key}` in the ledger does not exist, and the audit log has records of this recording: its account is lost. Files in the vault are not affected. Restore the document, or replay the event that announced its files."
    );
    Problem::new(StatusCode::CONFLICT, "AccountMissing", message)
}

/// Whether there is such a recording is not known, and may be later.
fn not_all_read() -> Problem {
    let message = "Whether there is such a recording is not known: the register has no account of it, and more recordings are not settled than one look reads. Try again when fewer are.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NotAllRead", message)
}

/// Answers `HEAD` where `GET` is recorded or changes something: `HEAD` must not.
pub async fn get_only() -> Response {
    let message = "Only GET is offered here: the request is recorded.";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message);
    ([(header::ALLOW, "GET")], problem).into_response()
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Invalid(invalid) => invalid.into(),
            ControlError::Acs(error) => error.into(),
            ControlError::Register(error) => error.into(),
            ControlError::ConsentRequired => {
                let message = "Recordings need consent evidence here: give `consent` with `basis`, `givenBy`, `givenAt` and, \
                               if there is one, `reference`.";
                let mut problem =
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "ConsentRequired", message);
                problem.error["target"] = "consent".into();
                problem
            }
            ControlError::AlreadyInProgress { recording_id, acs } => Self::conflict(
                "RecordingAlreadyInProgress",
                "Recording is already in progress",
                recording_id,
                acs,
            ),
            ControlError::StartUnknown { retry_after, .. } => {
                let message = format!(
                    "It is not known yet whether the recording of this call was started. The app asks ACS again. Retry after {} seconds.",
                    retry_after.as_secs()
                );
                let mut problem =
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "START_UNKNOWN", message);
                problem.retry_after = Some(retry_after);
                problem
            }
            ControlError::KeyReused { recording_id } => {
                let message = "This Idempotency-Key belongs to another start: of another call, or with another body. This start is not carried out; use a new key.";
                let mut problem = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "IdempotencyKeyReused",
                    message,
                );
                problem.error["recordingId"] = recording_id.as_str().into();
                problem
            }
            ControlError::NotStarted { recording_id, acs } => Self::conflict(
                "RecordingNotStarted",
                "Recording has not started",
                Some(recording_id),
                acs,
            ),
            ControlError::Ended { recording_id, acs } => Self::conflict(
                "RecordingEnded",
                "The recording has ended",
                Some(recording_id),
                acs,
            ),
        }
    }
}

impl From<AcsError> for Problem {
    fn from(error: AcsError) -> Self {
        match (error.answer(), &error) {
            (Some((status, _)), error) if error.is_of_front_end() => {
                let message = format!("ACS answered {status} without its own error object.");
                Self::new(StatusCode::BAD_GATEWAY, "AcsUnavailable", message)
            }
            (Some((status, _)), AcsError::AfterLostAnswer(last)) if !last.is_not_found() => {
                let message = format!(
                    "ACS's first answer was lost, and it then answered {status}: it is not known whether the request was carried out. Repeat it."
                );
                Self::new(StatusCode::BAD_GATEWAY, "AcsUnavailable", message)
            }
            (Some((status, answer)), _) => from_answer(status, answer),
            (None, AcsError::NoConversation(_)) => {
                let message = "This version of ACS's API finds a recording by its conversation, and the register does not know this one.";
                Self::new(StatusCode::NOT_FOUND, "ConversationUnknown", message)
            }
            (None, _) => {
                tracing::error!(error = %ErrorChain(&error), "A request to ACS failed");
                Self::new(
                    StatusCode::BAD_GATEWAY,
                    "AcsUnavailable",
                    format!("The request to ACS failed: {error}."),
                )
            }
        }
    }
}

fn from_answer(status: StatusCode, answer: &AcsErrorAnswer) -> Problem {
    let message = answer
        .message
        .clone()
        .unwrap_or_else(|| format!("ACS answered {status} without saying why."));
    let mut problem = Problem::new(
        status,
        answer.code.as_deref().unwrap_or("AcsError"),
        message,
    );
    let members = [
        ("target", answer.target.clone().map(Value::from)),
        ("details", answer.details.clone()),
        ("chainId", answer.chain_id.clone().map(Value::from)),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            problem.error[name] = value;
        }
    }
    problem
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.error }))).into_response();
        if let Some(after) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: StatusCode, code: &str) -> AcsError {
        let answer = AcsErrorAnswer {
            code: Some(code.to_owned()),
            ..AcsErrorAnswer::default()
        };
        AcsError::Answered {
            status,
            answer: Box::new(answer),
        }
    }

    #[rstest::rstest]
    #[case::of_the_credential(StatusCode::UNAUTHORIZED, "7509", StatusCode::BAD_GATEWAY)]
    #[case::of_something_else(StatusCode::CONFLICT, "8519", StatusCode::BAD_GATEWAY)]
    #[case::of_the_recording(StatusCode::NOT_FOUND, "8522", StatusCode::NOT_FOUND)]
    fn an_answer_after_a_lost_one_is_no_refusal_unless_it_is_about_the_recording(
        #[case] status: StatusCode,
        #[case] code: &str,
        #[case] expected: StatusCode,
    ) {
        let first: Problem = answered(status, code).into();
        assert_eq!(first.status, status);
        let last = Box::new(answered(status, code));
        let later: Problem = AcsError::AfterLostAnswer(last).into();
        assert_eq!(later.status, expected);
    }
}
