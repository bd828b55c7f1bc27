//! HTTP routes of [`crate::operator_actions`], enabled where `OPERATOR_ACTIONS` is on: retry, verify, replay. Parses requests and turns outcomes into text; it must not decide what is allowed.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{document_id, poison, unknown_chunk};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::export::ledger::Retried;
use crate::export::recheck::Depth;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::operator_actions::replay::{Replayed, ReplayedPoison};
use crate::operator_actions::verify::Verified;
use crate::operator_actions::{Operator, TEXT_LIMIT, given};
use crate::request_body;
use crate::store::holds::CaseTag;

/// A chunk's state after a retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetryAnswer {
    document_id: String,
    state: &'static str,
}

/// What the vault has of a chunk.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyAnswer {
    document_id: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    /// That of the receipt. The content was compared with it only if `compared` is `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// What was compared with the receipt, if the chunk is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Compared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What of the files was compared with the receipt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Compared {
    /// What the vault reports of each file: length, `ETag`, and the list of blocks, if it has any. No content was read.
    Description,
    /// The content too, read from end to end.
    Content,
}

/// Result of a replay.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// Chunks it announced, which are in the ledger now.
    chunks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(super) fn authorize(app: &App, caller: Caller) -> Result<Operator, Problem> {
    if app.actions_enabled {
        return Ok(caller.operator());
    }
    let message = "Actions are off here; set OPERATOR_ACTIONS to on to allow them.";
    Err(Problem::new(StatusCode::FORBIDDEN, "ActionsOff", message))
}

pub(super) fn case_tag(text: &str) -> Result<CaseTag, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(Some("case"), format!("`case` is wrong: {error}.")))
}

pub(super) fn short(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let text = text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    if text
        .as_ref()
        .is_some_and(|text| text.chars().count() > TEXT_LIMIT)
    {
        return Err(Problem::invalid(
            Some(name),
            format!("`{name}` has more than {TEXT_LIMIT} characters."),
        ));
    }
    let checked = text.as_deref().map_or(Ok(()), given::check_shown);
    checked.map_err(|invalid| Problem::of_text(name, invalid))?;
    Ok(text)
}

/// The tag of a new case, which the audit log keeps.
pub(super) fn new_case_tag(text: &str) -> Result<CaseTag, Problem> {
    given::check_kept(text).map_err(|invalid| Problem::of_text("case", invalid))?;
    case_tag(text)
}

/// A text that the audit log keeps.
pub(super) fn kept(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let text = short(name, text)?;
    let checked = text.as_deref().map_or(Ok(()), given::check_kept);
    checked.map_err(|invalid| Problem::of_text(name, invalid))?;
    Ok(text)
}

/// A text that, if it is given, is not blank.
pub(super) fn filled(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        let message = format!("`{name}` is blank; leave it out, or give a text.");
        return Err(Problem::invalid(Some(name), message));
    }
    short(name, text)
}

/// The body of an action that takes none.
pub(crate) struct NoBody(Result<Bytes, BytesRejection>);

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Bytes::from_request(request, state).await))
    }
}

impl NoBody {
    /// Refuses one with content: what its sender meant would not be done.
    fn check(self) -> Result<(), Problem> {
        let body = self.0?;
        let text = body.trim_ascii();
        let has_no_member = || request_body::object(text).is_ok_and(|members| members.is_empty());
        if text.is_empty() || text == b"null" || has_no_member() {
            return Ok(());
        }
        let message = "This action takes no body; send none, or {}.";
        Err(Problem::invalid(None, message))
    }
}

/// Reopens a chunk that was given up; the next sweep exports it.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/retry", operation_id = "retryChunk", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Its state now", body = RetryAnswer),
        (status = 400, description = "The id is invalid, or the request has a body", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "There is nothing to retry", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: NoBody,
) -> Result<Json<RetryAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    body.check()?;
    let id = document_id(&id)?;
    let retried = app.actions.retry(&id, &operator).await;
    let problem = match retried.map_err(CatalogueError::from)? {
        // A request that is repeated because its response was lost gets the same response.
        Retried::Opened | Retried::AlreadyOpen => None,
        Retried::Unknown => return Err(unknown_chunk()),
        Retried::Safe => Some(
            "The chunk is proved in the vault, or whole in your own storage; it needs no retry.",
        ),
        Retried::Doubtful => Some(
            "The chunk has a proved copy in doubt, and is not exported again; look at the copy, then accept it.",
        ),
        Retried::NotWhole => {
            Some("The copy of the chunk is proved, but is not whole. A retry cannot help.")
        }
        Retried::UnfinishedImport => {
            Some("An import of the chunk was begun and not finished; repeat the import.")
        }
        Retried::Removed => Some("The chunk was deleted from the vault; it is not exported again."),
    };
    if let Some(message) = problem {
        let code = "NothingToRetry";
        return Err(Problem::new(StatusCode::CONFLICT, code, message));
    }
    let state = app.actions.state_of(&id).await;
    let state = state.map_err(CatalogueError::from)?;
    Ok(Json(RetryAnswer {
        document_id: id.to_string(),
        state: state.ok_or_else(unknown_chunk)?.as_str(),
    }))
}

/// Verifies that the vault has a chunk's files as they were proved.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/verify", operation_id = "verifyChunk", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Whether the vault has the files as they were proved", body = VerifyAnswer),
        (status = 400, description = "The id is invalid, or the request has a body", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 503, description = "The vault or the ledger could not be read, so nothing is known", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: NoBody,
) -> Result<Json<VerifyAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    body.check()?;
    let id = document_id(&id)?;
    let answer = VerifyAnswer {
        document_id: id.to_string(),
        verified: false,
        size_bytes: None,
        sha256: None,
        compared: None,
        problem: None,
    };
    let verified = app.actions.verify(&id, &operator).await;
    let (media, check) = match verified.map_err(CatalogueError::from)? {
        Verified::Unknown => return Err(unknown_chunk()),
        Verified::NoCopy { problem } => {
            return Ok(Json(VerifyAnswer {
                problem: Some(problem),
                ..answer
            }));
        }
        Verified::Checked { media, check } => (media, check),
    };
    let compared = match check.depth() {
        Depth::Described => Compared::Description,
        Depth::Read => Compared::Content,
    };
    if let Some(problem) = check.wrong.into_iter().next() {
        return Ok(Json(VerifyAnswer {
            problem: Some(problem),
            ..answer
        }));
    }
    if let Some(reason) = check.not_checked.into_iter().next() {
        tracing::error!(document.id = %id, error = reason, "Could not verify a copy");
        let message = format!("The copy could not be checked: {reason}.");
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "VaultUnavailable",
            message,
        ));
    }
    Ok(Json(VerifyAnswer {
        verified: true,
        size_bytes: Some(media.size_bytes()),
        sha256: Some(media.sha256().to_string()),
        compared: Some(compared),
        ..answer
    }))
}

/// Processes an unreadable event again.
#[utoipa::path(
    post, path = "/api/vault/poison/{sha256}/replay", operation_id = "replayPoison", tag = "vault",
    params(("sha256" = String, Path)),
    responses(
        (status = 200, description = "The chunks that the event announced", body = ReplayAnswer),
        (status = 400, description = "The id is invalid, or the request has a body", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such event", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    caller: Caller,
    body: NoBody,
) -> Result<Json<ReplayAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    body.check()?;
    let replayed = app
        .actions
        .replay_poison(&sha256, &app.intake, &operator)
        .await;
    let (chunks, problem) = match replayed.map_err(CatalogueError::from)? {
        ReplayedPoison::Unknown => return Err(poison::unknown()),
        ReplayedPoison::Known(Replayed::NoEvents) => {
            (0, Some("it is neither JSON nor base64 of JSON, or has more values than events have in its length".to_owned()))
        }
        ReplayedPoison::Known(Replayed::Taken(events)) => {
            let problem = events.unreadable.into_iter().chain(events.again).next();
            (events.chunks.len(), problem)
        }
    };
    Ok(Json(ReplayAnswer { chunks, problem }))
}
