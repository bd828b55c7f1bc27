//! Media and metadata of a chunk, whole or in parts, as streams; and tickets, by which a player gets them without a key.

mod serving;

use std::sync::Arc;

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use self::serving::{Purpose, find, served};
use super::document_id;
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::media::{FileKind, KnownDamage};
use crate::catalogue::tickets::TicketStatus;
use crate::error_chain::ErrorChain;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, PrincipalRef};

/// The right to a chunk's media for a while.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    /// The URL of its media; it works without a key.
    #[schema(example = "/api/vault/play/0-eus-d1-a.1772449200.6b1f…")]
    url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    content_type: &'static str,
    /// A verification found the copy damaged: the URL plays the damaged file as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<KnownDamage>,
}

/// Issues a ticket: its URL is good for an hour, for a player that can send no header. Playing by it is recorded under the name
/// of the caller who requested it.
#[utoipa::path(
    get, path = "/api/vault/chunks/{documentId}/ticket", operation_id = "issueTicket", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Where its media is, for an hour; `damage`, where a verification found the copy damaged", body = Ticket),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "It is not in the vault", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "It is no longer in the vault", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn ticket(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Ticket>, Problem> {
    let id = document_id(&id)?;
    let (media, damage) = find(&app, &id, FileKind::Media).await?;
    let log = app.ledger.audit_log();
    let holder = match &caller.principal {
        Some(principal) => log.refer_to(principal).await.map_or_else(
            |error| {
                tracing::warn!(document.id = %id, error = %ErrorChain(&error), "The name of a caller could not be stored: playing by the ticket is recorded without it");
                None
            },
            Some,
        ),
        None => None,
    };
    let (ticket, expires_at) = app
        .tickets
        .issue(&id, holder, app.clock.now())
        .await
        .map_err(CatalogueError::from)?;
    let detail = caller.sign(json!({"until": expires_at}));
    log.note_access(AuditAction::TicketIssued, id.as_str(), detail);
    Ok(Json(Ticket {
        url: format!("/api/vault/play/{ticket}"),
        expires_at,
        content_type: media.content_type(),
        damage,
    }))
}

/// Returns a chunk's media; with `Range`, a part of it.
#[utoipa::path(
    get, path = "/api/vault/chunks/{documentId}/media", operation_id = "getMedia", tag = "vault",
    params(
        ("documentId" = String, Path), ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Match" = Option<String>, Header, description = "Versions of the file to send; others get 412"),
        ("If-None-Match" = Option<String>, Header, description = "Versions that you have; they get 304"),
    ),
    responses(
        (status = 200, description = "The whole file", content_type = "application/octet-stream"),
        (status = 206, description = "A part of it", content_type = "application/octet-stream"),
        (status = 304, description = "You have this version"),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "It is not in the vault, the file there is not the one that was proved, or a verification found the copy damaged (`CopyDamaged`)", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "It is no longer in the vault", body = crate::functions::problem::ErrorAnswer),
        (status = 412, description = "The file is another version than `If-Match` names", body = crate::functions::problem::ErrorAnswer),
        (status = 416, description = "No byte of the file is in the range", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn media(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = document_id(&id)?;
    let purpose = Purpose::Proved(FileKind::Media);
    let response = served(&app, &id, purpose, &method, &headers).await?;
    let action = match response.status() {
        StatusCode::PARTIAL_CONTENT => AuditAction::Played,
        _ => AuditAction::Downloaded,
    };
    let detail = caller.sign(Value::Null);
    note_access(&app, &id, (action, detail), &response);
    Ok(response)
}

/// Gives a chunk's metadata as ACS wrote it, byte for byte.
#[utoipa::path(
    get, path = "/api/vault/chunks/{documentId}/metadata", operation_id = "getMetadata", tag = "vault",
    params(
        ("documentId" = String, Path), ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Match" = Option<String>, Header, description = "Versions of the file to send; others get 412"),
        ("If-None-Match" = Option<String>, Header, description = "Versions that you have; they get 304"),
    ),
    responses(
        (status = 200, description = "ACS's metadata", content_type = "application/json"),
        (status = 206, description = "A part of it", content_type = "application/json"),
        (status = 304, description = "You have this version"),
        (status = 404, description = "There is no such chunk, or the vault has no metadata of it", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "It is not in the vault, the file there is not the one that was proved, or a verification found the copy damaged (`CopyDamaged`)", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "It is no longer in the vault", body = crate::functions::problem::ErrorAnswer),
        (status = 412, description = "The file is another version than `If-Match` names", body = crate::functions::problem::ErrorAnswer),
        (status = 416, description = "No byte of the file is in the range", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn metadata(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = document_id(&id)?;
    let purpose = Purpose::Proved(FileKind::Metadata);
    let response = served(&app, &id, purpose, &method, &headers).await?;
    let detail = caller.sign(json!({"file": "metadata"}));
    note_access(&app, &id, (AuditAction::Downloaded, detail), &response);
    Ok(response)
}

/// Returns a chunk's media to callers with a ticket.
#[utoipa::path(
    get, path = "/api/vault/play/{ticket}", operation_id = "play", tag = "vault",
    params(
        ("ticket" = String, Path), ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Match" = Option<String>, Header, description = "Versions of the file to send; others get 412"),
        ("If-None-Match" = Option<String>, Header, description = "Versions that you have; they get 304"),
    ),
    responses(
        (status = 200, description = "The whole file. `x-recording-vault-damage`: what a verification found wrong with the copy, which has no `ETag` then", content_type = "application/octet-stream"),
        (status = 206, description = "A part of it", content_type = "application/octet-stream"),
        (status = 304, description = "You have this version"),
        (status = 403, description = "The ticket has expired or is invalid", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "It is not in the vault, or the file there is not the one that was proved", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "It is no longer in the vault", body = crate::functions::problem::ErrorAnswer),
        (status = 412, description = "The file is another version than `If-Match` names", body = crate::functions::problem::ErrorAnswer),
        (status = 416, description = "No byte of the file is in the range", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn play(
    State(app): State<Arc<App>>,
    Path(ticket): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let refused = |code, message: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, message));
    match app
        .tickets
        .check(&ticket, app.clock.now())
        .await
        .map_err(CatalogueError::from)?
    {
        TicketStatus::Valid {
            document_id: id,
            holder,
        } => {
            let response = served(&app, &id, Purpose::Playback, &method, &headers).await?;
            let detail = held_by(&app, holder).await;
            note_access(&app, &id, (AuditAction::Played, detail), &response);
            Ok(response)
        }
        TicketStatus::Expired => refused(
            "TicketExpired",
            "This ticket has expired. Request a new one.",
        ),
        TicketStatus::Forged => refused(
            "TicketInvalid",
            "The ticket is invalid: it was not issued here.",
        ),
    }
}

/// The detail of an audit record of a player with a ticket: the name for which the ticket was issued, unless it was erased or
/// cannot be read now: a missing name does not prevent playback.
async fn held_by(app: &App, holder: Option<PrincipalRef>) -> Value {
    let mut detail = Map::new();
    if let Some(holder) = holder {
        match app.ledger.audit().principal(holder).await {
            Ok(Some(principal)) => principal.sign(&mut detail),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "The holder of a ticket is unknown: the name could not be read; what it plays is recorded without it");
            }
        }
    }
    detail.insert("through".to_owned(), "ticket".into());
    Value::Object(detail)
}

/// Records in the audit log that a file was read, if any of it was. A kill within a second may lose the record.
fn note_access(
    app: &App,
    id: &DocumentId,
    (action, detail): (AuditAction, Value),
    response: &Response,
) {
    let has_content = matches!(
        response.status(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT
    ) && !response.body().is_end_stream();
    if has_content {
        let log = app.ledger.audit_log();
        log.note_access(action, id.as_str(), detail);
    }
}
