//! HTTP routes that acknowledge losses and dismiss unreadable events after a review; enabled where `OPERATOR_ACTIONS`
//! is on. Parses requests and turns outcomes into text; it must not decide what may be acknowledged.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{authorize, kept};
use super::{document_id, poison, recording_id, unknown_chunk, unknown_recording};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::export::ledger::Dismissed;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::operator_actions::Operator;
use crate::operator_actions::acknowledge::Acknowledging;
use crate::request_body;

/// Why it needs no attention any longer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonRequest {
    /// It must not name a person.
    #[schema(example = "a test call")]
    reason: String,
}

/// What was done, or found done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcknowledgeAnswer {
    #[schema(example = "The loss is acknowledged.")]
    message: String,
}

fn answer(message: impl Into<String>) -> Json<AcknowledgeAnswer> {
    Json(AcknowledgeAnswer {
        message: message.into(),
    })
}

/// Who asks, and why.
fn requested(
    app: &App,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<(Operator, String), Problem> {
    let operator = authorize(app, caller)?;
    let ReasonRequest { reason } = request_body::read(&body?)?;
    let reason = kept("reason", Some(reason))?
        .ok_or_else(|| Problem::invalid(Some("reason"), "`reason` is empty.".to_owned()))?;
    Ok((operator, reason))
}

/// Acknowledges that a chunk has no whole copy; it is counted separately from then on.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/acknowledge", operation_id = "acknowledgeChunk", tag = "vault",
    params(("documentId" = String, Path)), request_body = ReasonRequest,
    responses(
        (status = 200, description = "It is acknowledged", body = AcknowledgeAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "Nothing of it is lost", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn acknowledge_chunk(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcknowledgeAnswer>, Problem> {
    let (operator, reason) = requested(&app, caller, body)?;
    let id = document_id(&id)?;
    let outcome = app.actions.acknowledge_chunk(&id, &reason, &operator).await;
    acknowledged(&outcome.map_err(CatalogueError::from)?, unknown_chunk)
}

/// Acknowledges everything that is lost of a recording now; it is counted separately from then on.
#[utoipa::path(
    post, path = "/api/vault/recordings/{recordingId}/acknowledge", operation_id = "acknowledgeRecording", tag = "vault",
    params(("recordingId" = String, Path)), request_body = ReasonRequest,
    responses(
        (status = 200, description = "It is acknowledged", body = AcknowledgeAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such recording", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "Nothing of it is lost", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn acknowledge_recording(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcknowledgeAnswer>, Problem> {
    let (operator, reason) = requested(&app, caller, body)?;
    let id = recording_id(&id)?;
    let outcome = app
        .actions
        .acknowledge_recording(&id, &reason, &operator)
        .await?;
    acknowledged(&outcome, unknown_recording)
}

fn acknowledged(
    outcome: &Acknowledging,
    unknown: fn() -> Problem,
) -> Result<Json<AcknowledgeAnswer>, Problem> {
    match outcome {
        Acknowledging::Acknowledged { .. } => Ok(answer("The loss is acknowledged.")),
        Acknowledging::AlreadyAcknowledged => Ok(answer("The loss was acknowledged before.")),
        Acknowledging::NothingToAcknowledge { standing } => Err(Problem::new(
            StatusCode::CONFLICT,
            "NothingToAcknowledge",
            format!("Its standing is {standing}; there is no loss to acknowledge."),
        )),
        Acknowledging::Unknown => Err(unknown()),
    }
}

/// Dismisses an unreadable event.
#[utoipa::path(
    post, path = "/api/vault/poison/{sha256}/dismiss", operation_id = "dismissPoison", tag = "vault",
    params(("sha256" = String, Path)), request_body = ReasonRequest,
    responses(
        (status = 200, description = "It is dismissed", body = AcknowledgeAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such event", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn dismiss(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcknowledgeAnswer>, Problem> {
    let (operator, reason) = requested(&app, caller, body)?;
    let dismissed = app.actions.dismiss(&sha256, &reason, &operator).await;
    match dismissed.map_err(CatalogueError::from)? {
        Dismissed::Dismissed => Ok(answer("The event is dismissed.")),
        Dismissed::AlreadyDismissed => Ok(answer("The event was dismissed or processed before.")),
        Dismissed::Unknown => Err(poison::unknown()),
    }
}
