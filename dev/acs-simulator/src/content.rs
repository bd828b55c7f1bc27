//! The content plane: media and metadata by `Range`, deletion.
//!
//! Headers as recorded: 206 with `Content-Range`, `application/octet-stream`, no `ETag`, no checksum. An unauthorized
//! request gets the problem object seen since 2023; a missing, expired or deleted object an empty 404.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::auth;
use crate::faults::{FaultKind, Plane};
use crate::media::Media;
use crate::world::{LogLine, Object, World};

/// The unit of faults.
const PIECE_BYTES: usize = 64 * 1024;
/// Undisturbed content goes out in pieces that cost less.
const LARGE_PIECE_BYTES: usize = 4 * PIECE_BYTES;

pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v1/objects/{*path}", routing::any(exchange))
        // The generation of 2021, at the resource's own endpoint.
        .route("/recording/download/{*path}", routing::any(exchange))
}

/// One request to the content plane.
struct Exchange {
    world: Arc<World>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

async fn exchange(
    State(world): State<Arc<World>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = uri.path().to_owned();
    let Some((plane, id)) = target(&method, &path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Exchange {
        world,
        method,
        uri,
        headers,
    }
    .answer(plane, id)
}

/// What a method and a path mean, and for which object.
fn target<'a>(method: &Method, path: &'a str) -> Option<(Plane, &'a str)> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "objects", id, "content", "video" | "audio"]) => Some((Plane::Media, id)),
        ("GET", ["v1", "objects", id, "content", "acsmetadata"]) => Some((Plane::Metadata, id)),
        // Delete locations have been seen in both forms.
        ("DELETE", ["v1", "objects", id] | ["v1", "objects", id, "content", "deletedata"]) => {
            Some((Plane::Delete, id))
        }
        ("GET", ["recording", "download", id]) => Some((Plane::Media, id)),
        ("GET", ["recording", "download", id, "metadata"]) => Some((Plane::Metadata, id)),
        _ => None,
    }
}

impl Exchange {
    fn answer(self, plane: Plane, id: &str) -> Response {
        let response = self.response(plane, id);
        let line = LogLine {
            at: Timestamp::now(),
            method: self.method.to_string(),
            path: self.uri.path().to_owned(),
            range: self
                .headers
                .get(header::RANGE)
                .and_then(|range| range.to_str().ok())
                .map(str::to_owned),
            status: response.status().as_u16(),
        };
        self.world.state().log.push(line);
        response
    }

    fn response(&self, plane: Plane, id: &str) -> Response {
        if !self.is_authorized() {
            let body = json!({"title": "Unauthorized", "status": 401, "message": "Unauthorized"});
            return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
        }
        let fault = self.world.state().faults.next(plane);
        if let Some(answer) = fault.as_ref().and_then(answer_of_fault) {
            return answer;
        }
        let now = Timestamp::now();
        let retention =
            SignedDuration::try_from(self.world.options.retention).unwrap_or(SignedDuration::MAX);
        let mut state = self.world.state();
        let Some(object) = state
            .objects
            .get_mut(id)
            .filter(|object| !object.is_gone(now, retention))
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        match plane {
            Plane::Delete => {
                object.deleted_at = Some(now);
                StatusCode::OK.into_response()
            }
            Plane::Media | Plane::Metadata | Plane::Control => {
                self.file(object, plane, fault.as_ref())
            }
        }
    }

    fn file(&self, object: &Object, plane: Plane, fault: Option<&FaultKind>) -> Response {
        let (file, served) = match plane {
            Plane::Metadata => (
                Media::Given(object.metadata.to_vec().into()),
                Arc::default(),
            ),
            Plane::Media | Plane::Delete | Plane::Control => {
                (object.media.clone(), Arc::clone(&object.served_bytes))
            }
        };
        let total = file.len();
        let range = self
            .headers
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok())
            .and_then(|text| parse_range(text, total));
        let (status, begin, end) = match range {
            Some(_) if matches!(fault, Some(FaultKind::IgnoreRange | FaultKind::Unannounced)) => {
                (StatusCode::OK, 0, total)
            }
            None => (StatusCode::OK, 0, total),
            Some((begin, end)) if begin < end => (StatusCode::PARTIAL_CONTENT, begin, end),
            Some(_) => {
                let range = HeaderValue::from_str(&format!("bytes */{total}"))
                    .expect("digits are a valid header value");
                return (
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    [(header::CONTENT_RANGE, range)],
                )
                    .into_response();
            }
        };
        let sent_to = match fault {
            Some(FaultKind::Short { by_bytes }) => end.saturating_sub(*by_bytes).max(begin),
            _ => end,
        };
        let total = match fault {
            Some(FaultKind::Total { bytes }) => bytes.to_string(),
            Some(FaultKind::NoTotal { .. }) => "*".to_owned(),
            _ => total.to_string(),
        };
        let mut response = (
            status,
            octets(),
            stream(file, begin, sent_to, fault, served),
        )
            .into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(sent_to - begin));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {begin}-{}/{total}", end - 1);
            headers.insert(
                header::CONTENT_RANGE,
                HeaderValue::from_str(&range).expect("digits are a valid header value"),
            );
        }
        if let Some(fault) = fault {
            disguise(&mut response, fault);
        }
        response
    }

    fn is_authorized(&self) -> bool {
        let is_open = self.world.options.open_content && self.method == Method::GET;
        if is_open && !self.headers.contains_key(header::AUTHORIZATION) {
            return true;
        }
        auth::check(&self.world, &self.method, &self.uri, &self.headers, b"").is_ok()
            && (self.headers.contains_key("x-ms-host") || self.is_legacy())
    }

    fn is_legacy(&self) -> bool {
        self.uri.path().starts_with("/recording/download/")
    }
}

/// Hides what a gateway does not pass on.
fn disguise(response: &mut Response, fault: &FaultKind) {
    if let FaultKind::NoTotal {
        is_called_whole: true,
    } = fault
    {
        *response.status_mut() = StatusCode::OK;
    }
    if matches!(fault, FaultKind::CalledWhole) {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove(header::CONTENT_RANGE);
    }
    if let FaultKind::Hidden { has_range } = fault {
        *response.status_mut() = StatusCode::OK;
        if !has_range {
            response.headers_mut().remove(header::CONTENT_RANGE);
        }
    }
    if matches!(fault, FaultKind::Unannounced | FaultKind::Hidden { .. }) {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
}

/// The complete response of a fault that replaces the file's; `None` if it only disturbs the file.
fn answer_of_fault(fault: &FaultKind) -> Option<Response> {
    match fault {
        FaultKind::Status {
            status,
            retry_after,
        } => {
            let status = StatusCode::from_u16(*status).unwrap_or_default();
            let mut response = status.into_response();
            if let Some(seconds) = retry_after {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Some(response)
        }
        FaultKind::Redirect { location } => {
            let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
            Some((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
        }
        FaultKind::Page { status } => {
            let page = axum::response::Html(
                "<html><body>Our services aren't available right now</body></html>",
            );
            Some((StatusCode::from_u16(*status).unwrap_or_default(), page).into_response())
        }
        FaultKind::Worded { status } => {
            let error = serde_json::json!({"error": {"code": "503", "message": "Try again"}});
            let status = StatusCode::from_u16(*status).unwrap_or_default();
            Some((status, Json(error)).into_response())
        }
        FaultKind::Text { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or_default();
            Some((status, "upstream request timeout").into_response())
        }
        FaultKind::Empty => Some((StatusCode::OK, octets()).into_response()),
        FaultKind::DropAfter { .. }
        | FaultKind::IgnoreRange
        | FaultKind::Unannounced
        | FaultKind::Hidden { .. }
        | FaultKind::CalledWhole
        | FaultKind::NoTotal { .. }
        | FaultKind::Slow { .. }
        | FaultKind::Short { .. }
        | FaultKind::Total { .. } => None,
    }
}

fn octets() -> [(header::HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (
            header::CACHE_CONTROL,
            "no-cache, max-age=0, s-maxage=0, private",
        ),
    ]
}

/// The body, made piece by piece as it is read; counts what it returns.
fn stream(
    file: Media,
    begin: u64,
    end: u64,
    fault: Option<&FaultKind>,
    served: Arc<AtomicU64>,
) -> Body {
    let cut_at = match fault {
        Some(FaultKind::DropAfter { bytes }) => begin + bytes,
        _ => u64::MAX,
    };
    let pace = match fault {
        Some(FaultKind::Slow { pieces_per_second }) => {
            Some(Duration::from_secs(1) / (*pieces_per_second).max(1))
        }
        _ => None,
    };
    let piece_bytes = if fault.is_none() {
        LARGE_PIECE_BYTES
    } else {
        PIECE_BYTES
    };
    let offsets = (begin..end).step_by(piece_bytes);
    let pieces = futures::stream::iter(offsets).then(move |offset| {
        let (file, served) = (file.clone(), Arc::clone(&served));
        async move {
            if let Some(pace) = pace {
                tokio::time::sleep(pace).await;
            }
            if offset >= cut_at {
                return Err(std::io::Error::other("cut, as asked for"));
            }
            let limit =
                piece_bytes.min(usize::try_from(end.min(cut_at) - offset).unwrap_or(piece_bytes));
            let piece = file.read(offset, limit);
            served.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok::<Bytes, std::io::Error>(piece)
        }
    });
    Body::from_stream(pieces)
}

/// `bytes=a-`, `bytes=a-b`, clipped at the end, as (begin, end); an empty range when it begins beyond the end.
fn parse_range(text: &str, total: u64) -> Option<(u64, u64)> {
    let (begin, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let begin: u64 = begin.parse().ok()?;
    let end = if last.is_empty() {
        total
    } else {
        last.parse::<u64>().ok()?.saturating_add(1).min(total)
    };
    Some((begin, end))
}
