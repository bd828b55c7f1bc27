//! Serves a chunk's files: looks at one in the vault, and gives the part that a request is for. It knows no route and no
//! caller.

use std::io;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};

use crate::app::App;
use crate::catalogue::media::{ChunkFile, FileKind, KnownDamage, ProvedFile};
use crate::error_chain::ErrorChain;
use crate::export::destination::{BlobVersion, DestinationError};
use crate::export::recheck::FoundFile;
use crate::functions::host_form::HostForm;
use crate::functions::problem::Problem;
use crate::functions::vault::range::{self, RequestedRange, Served};
use crate::functions::vault::unknown_chunk;
use crate::recording::DocumentId;

/// The header of a damaged file that is returned as it is: what a verification found, as far as ASCII can say it.
const COPY_DAMAGE: HeaderName = HeaderName::from_static("x-recording-vault-damage");
/// Characters of that header.
const COPY_DAMAGE_CHARS: usize = 500;

/// What a request is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// A file as it was proved.
    Proved(FileKind),
    /// What can be played. A damaged file is played as it is: the ticket was issued with what is known of the damage.
    Playback,
}

/// A file that the vault has, as far as that is seen without reading it.
struct Servable {
    file: ProvedFile,
    version: BlobVersion,
    /// That of the file in the vault. Of a damaged one it may differ from the proved size.
    size_bytes: u64,
    damage: Option<KnownDamage>,
}

/// The outcome of an attempt to read a file that the ledger lists.
enum ServeOutcome {
    Served(Response),
    /// It is not in the vault.
    Missing,
    /// It was written or removed between the look at it and the read.
    Written,
}

/// Returns a file that was proved, and what is known of damage since.
pub(super) async fn find(
    app: &App,
    id: &DocumentId,
    which: FileKind,
) -> Result<(ProvedFile, Option<KnownDamage>), Problem> {
    let conflict = |code, message| Problem::new(StatusCode::CONFLICT, code, message);
    let gone = |code, message| Problem::new(StatusCode::GONE, code, message);
    Err(match app.catalogue.media(id, which).await? {
        ChunkFile::Proved(media) => return Ok((media, None)),
        ChunkFile::Damaged { file, damage } => return Ok((file, Some(damage))),
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

pub(super) async fn served(
    app: &App,
    id: &DocumentId,
    purpose: Purpose,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut outcome = served_at_once(app, id, purpose, method, headers).await?;
    if matches!(outcome, ServeOutcome::Missing | ServeOutcome::Written) {
        // The product itself may have done that since the ledger was read.
        outcome = served_at_once(app, id, purpose, method, headers).await?;
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
    purpose: Purpose,
    method: &Method,
    headers: &HeaderMap,
) -> Result<ServeOutcome, Problem> {
    let Some(found) = servable(app, id, purpose).await? else {
        return Ok(ServeOutcome::Missing);
    };
    let (size_bytes, etag) = (found.size_bytes, found.etag());
    let mut answer = found.headers();
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
    answer.extend(found.content_headers(length));
    if *method == Method::HEAD || part.is_empty() {
        return Ok(ServeOutcome::Served(response(
            status,
            answer,
            Body::empty(),
        )));
    }
    let Servable { file, version, .. } = &found;
    let stream = app.catalogue.stream(file, Some(version), part).await;
    let stream = stream.map_err(|error| vault_unavailable(id, &error))?;
    let body = stream.map(|stream| Body::from_stream(watched(stream, length, id.clone())));
    Ok(body.map_or(ServeOutcome::Written, |body| {
        ServeOutcome::Served(response(status, answer, body))
    }))
}

/// Returns a file that can be served; `None` if the vault does not have it.
///
/// # Errors
/// With the answer for a file that is not served: it differs, or is known to be damaged, or the vault cannot be read.
async fn servable(
    app: &App,
    id: &DocumentId,
    purpose: Purpose,
) -> Result<Option<Servable>, Problem> {
    let which = match purpose {
        Purpose::Proved(which) => which,
        Purpose::Playback => FileKind::Media,
    };
    let (file, damage) = find(app, id, which).await?;
    if matches!(purpose, Purpose::Playback) && damage.is_some() {
        let found = app.catalogue.as_it_is(&file).await;
        let found = found.map_err(|error| vault_unavailable(id, &error))?;
        return Ok(found.map(|(version, size_bytes)| Servable {
            file,
            version,
            size_bytes,
            damage,
        }));
    }
    let version = match app.catalogue.look_at_file(&file).await {
        Ok(FoundFile::Same(version)) => version,
        Ok(FoundFile::Missing) => return Ok(None),
        Ok(FoundFile::Different(mismatch)) => return Err(changed(id, &mismatch.to_string())),
        Err(error) => return Err(vault_unavailable(id, &error)),
    };
    if let Some(damage) = &damage {
        return Err(copy_damaged(damage));
    }
    Ok(Some(Servable {
        size_bytes: file.size_bytes(),
        file,
        version,
        damage: None,
    }))
}

impl Servable {
    /// The proved digest; empty where a verification found another one, or found another file of the chunk damaged.
    fn etag(&self) -> String {
        match self.damage {
            None => format!("\"{}\"", self.file.sha256()),
            Some(_) => String::new(),
        }
    }

    /// The headers of every answer about it.
    fn headers(&self) -> Vec<(HeaderName, String)> {
        let version = match &self.damage {
            None => (header::ETAG, self.etag()),
            Some(damage) => (COPY_DAMAGE, header_text(damage)),
        };
        vec![
            version,
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ]
    }

    /// The headers of an answer with `length` bytes of it. A damaged file is saved under a name that says so.
    fn content_headers(&self, length: u64) -> [(HeaderName, String); 3] {
        let file = &self.file;
        let mark = self.damage.as_ref().map_or("", |_| "damaged-");
        let file_name = format!("inline; filename=\"{mark}{}\"", file.file_name());
        [
            (header::CONTENT_TYPE, file.content_type().to_owned()),
            (header::CONTENT_LENGTH, length.to_string()),
            (header::CONTENT_DISPOSITION, file_name),
        ]
    }
}

fn header_text(KnownDamage { found_at, problem }: &KnownDamage) -> String {
    let text = format!("{found_at:.0} {problem}");
    let visible = |it: char| if matches!(it, ' '..='~') { it } else { '?' };
    text.chars().map(visible).take(COPY_DAMAGE_CHARS).collect()
}

fn copy_damaged(KnownDamage { found_at, problem }: &KnownDamage) -> Problem {
    let message = format!(
        "The verification at {found_at:.0} found this copy damaged: {problem}. It is not returned as a proved file. A ticket plays the damaged file as it is, and an evidence package contains it. If the copy was repaired, verify the chunk again."
    );
    Problem::new(StatusCode::CONFLICT, "CopyDamaged", message)
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
