//! Media and metadata of a chunk, whole or in parts, as streams; and tickets, by which a player gets them without a key.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::range::{self, RequestedRange, Served};
use super::{document_id, unknown_chunk};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::media::{ChunkFile, FileKind, ProvedFile};
use crate::catalogue::tickets::TicketStatus;
use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::recheck::FoundFile;
use crate::functions::host_form::HostForm;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, PrincipalRef};

/// The outcome of an attempt to read a file that the ledger lists.
enum ServeOutcome {
    Served(Response),
    /// It is not in the vault.
    Missing,
    /// It was written or removed between the look at it and the read.
    Written,
}

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
}

/// Issues a ticket: its URL is good for an hour, for a player that can send no header. Playing by it is recorded under the name
/// of the caller who requested it.
#[utoipa::path(
    get, path = "/api/vault/chunks/{documentId}/ticket", operation_id = "issueTicket", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Where its media is, for an hour", body = Ticket),
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
    let media = find(&app, &id, FileKind::Media).await?;
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
        (status = 409, description = "It is not in the vault, or the file there is not the one that was proved", body = crate::functions::problem::ErrorAnswer),
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
    let response = served(&app, &id, FileKind::Media, &method, &headers).await?;
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
        (status = 409, description = "It is not in the vault, or the file there is not the one that was proved", body = crate::functions::problem::ErrorAnswer),
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
    let response = served(&app, &id, FileKind::Metadata, &method, &headers).await?;
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
        (status = 200, description = "The whole file", content_type = "application/octet-stream"),
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
            let response = served(&app, &id, FileKind::Media, &method, &headers).await?;
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

async fn find(app: &App, id: &DocumentId, which: FileKind) -> Result<ProvedFile, Problem> {
    let conflict = |code, message| Problem::new(StatusCode::CONFLICT, code, message);
    let gone = |code, message| Problem::new(StatusCode::GONE, code, message);
    Err(match app.catalogue.media(id, which).await? {
        ChunkFile::Proved(media) => return Ok(media),
        ChunkFile::Unknown => unknown_chunk(),
        ChunkFile::NotYet => conflict(
            "NotExported",
            "The chunk is not in the vault yet.".to_owned(),
        ),
        ChunkFile::GivenUp { reason } => conflict(
            "GivenUp",
            format!("The chunk is not in the vault, and was given up: {reason}."),
        ),
        ChunkFile::InPlace { location } => conflict(
            "InPlace",
            format!(
                "The chunk is in your own storage, at {location}, and is not served from here."
            ),
        ),
        ChunkFile::Lost { reason } => gone(
            "ChunkLost",
            format!("ACS dropped the chunk before it was in the vault: {reason}."),
        ),
        ChunkFile::Removed { reason } => gone(
            "ChunkRemoved",
            format!("The chunk is no longer in the vault: {reason}."),
        ),
        ChunkFile::None => Problem::new(
            StatusCode::NOT_FOUND,
            "MetadataNotFound",
            "The chunk is in the vault without metadata; ACS gave none.",
        ),
    })
}

async fn served(
    app: &App,
    id: &DocumentId,
    which: FileKind,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut outcome = served_at_once(app, id, which, method, headers).await?;
    if matches!(outcome, ServeOutcome::Missing | ServeOutcome::Written) {
        // The product itself may have done that since the ledger was read.
        outcome = served_at_once(app, id, which, method, headers).await?;
    }
    match outcome {
        ServeOutcome::Served(response) => Ok(response),
        ServeOutcome::Missing => Err(vanished(id)),
        ServeOutcome::Written => Err(changed(id, "it was written or removed while it was read")),
    }
}

async fn served_at_once(
    app: &App,
    id: &DocumentId,
    which: FileKind,
    method: &Method,
    headers: &HeaderMap,
) -> Result<ServeOutcome, Problem> {
    let media = find(app, id, which).await?;
    let version = match app.catalogue.look_at_file(&media).await {
        Ok(FoundFile::Same(version)) => version,
        Ok(FoundFile::Missing) => return Ok(ServeOutcome::Missing),
        Ok(FoundFile::Different(mismatch)) => return Err(changed(id, &mismatch.to_string())),
        Err(error) => return Err(vault_unavailable(id, &error)),
    };
    let (size_bytes, etag) = (media.size_bytes(), format!("\"{}\"", media.sha256()));
    let mut answer: Vec<(HeaderName, String)> = vec![
        (header::ETAG, etag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let requested = requested_part(method, headers, size_bytes, &etag)?;
    let (status, part) = match requested {
        RequestedRange::NotModified => {
            let not_modified = response(StatusCode::NOT_MODIFIED, answer, Body::empty());
            return Ok(ServeOutcome::Served(not_modified));
        }
        RequestedRange::AnotherVersion => return Err(another_version()),
        RequestedRange::Whole => (StatusCode::OK, 0..size_bytes),
        RequestedRange::Part(part) => {
            answer.push((
                header::CONTENT_RANGE,
                format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1),
            ));
            (StatusCode::PARTIAL_CONTENT, part)
        }
        RequestedRange::Unsatisfiable => {
            return Ok(ServeOutcome::Served(unsatisfiable(size_bytes)));
        }
    };
    let length = part.end - part.start;
    let file_name = format!("inline; filename=\"{}\"", media.file_name());
    answer.extend([
        (header::CONTENT_TYPE, media.content_type().to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, file_name),
    ]);
    if *method == Method::HEAD || part.is_empty() {
        return Ok(ServeOutcome::Served(response(
            status,
            answer,
            Body::empty(),
        )));
    }
    let stream = app.catalogue.stream(&media, Some(&version), part).await;
    let stream = stream.map_err(|error| vault_unavailable(id, &error))?;
    let body = stream.map(|stream| Body::from_stream(watched(stream, length, id.clone())));
    Ok(body.map_or(ServeOutcome::Written, |body| {
        ServeOutcome::Served(response(status, answer, body))
    }))
}

/// The part of a file that a request is for, as far as the host can pass it on.
///
/// # Errors
/// With the answer for a part that is too large for the host.
fn requested_part(
    method: &Method,
    headers: &HeaderMap,
    size_bytes: u64,
    etag: &str,
) -> Result<RequestedRange, Problem> {
    let is_head = *method == Method::HEAD;
    // RFC 9110 §14.2: only GET has ranges.
    let requested = if is_head {
        range::requested_whole(headers, etag)
    } else {
        range::requested(headers, size_bytes, etag)
    };
    match requested.within_host(HostForm::of(headers), size_bytes) {
        Served::As(requested) => Ok(requested),
        Served::TooLargeForHost if is_head => Ok(RequestedRange::Whole),
        Served::TooLargeForHost => Err(too_large_for_host(size_bytes)),
    }
}

/// The content of a file. Logs why it ends before `left` bytes: the caller sees a broken download only.
fn watched(
    content: BoxStream<'static, Result<Bytes, DestinationError>>,
    left: u64,
    id: DocumentId,
) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::try_unfold((content, left), move |(mut content, left)| {
        let id = id.clone();
        async move {
            let problem = match content.next().await {
                Some(Ok(piece)) => {
                    let left = left.saturating_sub(piece.len() as u64);
                    return Ok(Some((piece, (content, left))));
                }
                None if left == 0 => return Ok(None),
                None => format!("the last {left} bytes are missing"),
                Some(Err(error)) => ErrorChain(&error).to_string(),
            };
            tracing::error!(document.id = %id, error = problem, "A response with the file of chunk `{id}` broke off, because the vault did not give all of it");
            Err(io::Error::other(problem))
        }
    })
}

fn changed(id: &DocumentId, why: &str) -> Problem {
    tracing::error!(document.id = %id, error = why, "The copy of chunk `{id}` in the vault is not the one that was proved");
    let message = format!(
        "The file in the vault is not the one that was proved: {why}. This needs attention: verify the chunk."
    );
    Problem::new(StatusCode::CONFLICT, "FileChanged", message)
}

fn another_version() -> Problem {
    let message = "The file is another version than `If-Match` names.";
    Problem::new(StatusCode::PRECONDITION_FAILED, "AnotherVersion", message)
}

fn vanished(id: &DocumentId) -> Problem {
    tracing::error!(document.id = %id, "The copy of chunk `{id}` is not in the vault any more");
    let message = "The file is missing from the vault, although the ledger lists it there: this needs attention.";
    Problem::new(StatusCode::GONE, "FileVanished", message)
}

fn vault_unavailable(id: &DocumentId, error: &DestinationError) -> Problem {
    tracing::error!(document.id = %id, error = %ErrorChain(error), "Could not read chunk `{id}` from the vault");
    let message = format!("The vault could not be read: {}.", error.reason());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "VaultUnavailable", message)
}

fn too_large_for_host(size_bytes: u64) -> Problem {
    let message = format!(
        "The file has {size_bytes} bytes, and this Functions host buffers each response in memory. Request parts: `Range: bytes=0-8388607`, at most 8 MiB each. Or set `enableProxyingHttpRequest` in host.json and update the host."
    );
    Problem::new(StatusCode::NOT_IMPLEMENTED, "TooLargeForHost", message)
}

fn unsatisfiable(size_bytes: u64) -> Response {
    let message = format!("The file has {size_bytes} bytes; the range is outside the file.");
    let problem = Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "RangeNotSatisfiable",
        message,
    );
    let size = [(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))];
    (size, problem).into_response()
}

fn response(status: StatusCode, headers: Vec<(HeaderName, String)>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    response.headers_mut().extend(headers);
    response
}
