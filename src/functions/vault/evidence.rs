//! Evidence packages over HTTP, of one recording or of several, streamed while they are made.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::range::FORWARDED_WHOLE_BYTES;
use super::{recording_id, unknown_recording};
use crate::app::App;
use crate::catalogue::evidence::{
    AbsenceError, AbsentRecording, EvidenceRequest, RequestedRecordings,
};
use crate::error_chain::ErrorChain;
use crate::functions::host_form::HostForm;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::recording::RecordingId;

/// Pieces that are buffered between the package and the connection.
const PIECES: usize = 4;
/// The smallest piece of the package that is sent.
const PIECE_BYTES: usize = 64 << 10;

/// How times are shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct EvidenceQuery {
    /// The sheet shows times in UTC and in this zone.
    #[param(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

/// Limit of recordings in one package over HTTP, because the URL names them.
const MOST_RECORDINGS: usize = 25;

/// The recordings, and how times are shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct SeveralQuery {
    /// Recording ids, separated by commas, at most 25.
    recordings: String,
    /// The sheet shows times in UTC and in this zone.
    #[param(example = "Europe/Berlin")]
    time_zone: Option<String>,
}

/// The writing end of a response's body.
struct BodyWriter {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl BodyWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.pieces
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// Returns a ZIP with media, metadata, receipts and history of a recording, and how to verify them.
#[utoipa::path(
    get, path = "/api/vault/recordings/{recordingId}/evidence", operation_id = "getEvidence", tag = "vault",
    params(("recordingId" = String, Path), EvidenceQuery),
    responses(
        (status = 200, description = "The package", content_type = "application/zip"),
        (status = 400, description = "The time zone is unknown", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such recording", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "The account of the recording is not readable", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "The recording was erased", body = crate::functions::problem::ErrorAnswer),
        (status = 501, description = "The Functions host buffers each response, and the package is too large for that", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn evidence(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: Result<Query<EvidenceQuery>, QueryRejection>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = crate::functions::query::read(query)?;
    let id = recording_id(&id)?;
    let time_zone = zone(query.time_zone.as_deref())?;
    let recordings = [id];
    let requested = requested(&app, &recordings, AbsentRecording::Refused).await?;
    check_host(&requested, &headers)?;
    Ok(package(app, requested, request(caller, time_zone)))
}

/// Returns a ZIP that proves several recordings. `PROBLEMS.txt` lists what is missing, including unknown and erased
/// recordings.
#[utoipa::path(
    get, path = "/api/vault/evidence", operation_id = "getEvidenceOfSeveral", tag = "vault",
    params(SeveralQuery),
    responses(
        (status = 200, description = "The package", content_type = "application/zip"),
        (status = 400, description = "An id or the time zone is invalid, or there are more than 25 recordings", body = crate::functions::problem::ErrorAnswer),
        (status = 501, description = "The Functions host buffers each response, and the package is too large for that", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn of_several(
    State(app): State<Arc<App>>,
    query: Result<Query<SeveralQuery>, QueryRejection>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = crate::functions::query::read(query)?;
    let time_zone = zone(query.time_zone.as_deref())?;
    let mut recordings: Vec<RecordingId> = Vec::new();
    for text in query.recordings.split(',') {
        let id = text.trim().parse().map_err(|error| {
            Problem::invalid(Some("recordings"), format!("`recordings`: the {error}."))
        })?;
        if !recordings.contains(&id) {
            recordings.push(id);
        }
    }
    if recordings.len() > MOST_RECORDINGS {
        let count = recordings.len();
        let message = format!(
            "`recordings` names {count} recordings; one package has at most {MOST_RECORDINGS}. Request several packages."
        );
        return Err(Problem::invalid(Some("recordings"), message));
    }
    let requested = requested(&app, &recordings, AbsentRecording::Listed).await?;
    check_host(&requested, &headers)?;
    Ok(package(app, requested, request(caller, time_zone)))
}

/// Reads the recordings of a package: what prevents it is the response, and no broken download.
async fn requested(
    app: &App,
    recordings: &[RecordingId],
    absent: AbsentRecording,
) -> Result<RequestedRecordings, Problem> {
    let requested = Box::pin(app.catalogue.requested(recordings, absent)).await;
    requested.map_err(|error| match error {
        AbsenceError::Unknown(_) => unknown_recording(),
        AbsenceError::Erased(_) => {
            let message = "The recording was erased on request.";
            Problem::new(StatusCode::GONE, "RecordingErased", message)
        }
        AbsenceError::NotRead { source, .. } => source.into(),
    })
}

/// # Errors
/// When the host buffers responses and the package is too large for its memory.
fn check_host(requested: &RequestedRecordings, headers: &HeaderMap) -> Result<(), Problem> {
    match HostForm::of(headers) {
        HostForm::Direct | HostForm::Proxied => return Ok(()),
        HostForm::Forwarded => {}
    }
    let size_bytes = requested.size_of_copies();
    if size_bytes <= FORWARDED_WHOLE_BYTES {
        return Ok(());
    }
    let message = format!(
        "The files of the package have {size_bytes} bytes, and this Functions host buffers each response in memory. Select fewer recordings, or run `recording-vault evidence` at a shell. Or set `enableProxyingHttpRequest` in host.json and update the host."
    );
    Err(Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "TooLargeForHost",
        message,
    ))
}

fn zone(name: Option<&str>) -> Result<TimeZone, Problem> {
    let Some(name) = name else {
        return Ok(TimeZone::UTC);
    };
    TimeZone::get(name).map_err(|_| {
        let message = format!("`timeZone` is `{name}`; expected a name such as Europe/Berlin.");
        Problem::invalid(Some("timeZone"), message)
    })
}

fn request(caller: Caller, time_zone: TimeZone) -> EvidenceRequest {
    let name = caller.name();
    EvidenceRequest {
        made_by: name.unwrap_or_else(|| "a holder of the function key".to_owned()),
        time_zone,
        operator: caller.operator(),
        left_out: Vec::new(),
    }
}

/// The response whose body is the package, while it is made.
fn package(app: Arc<App>, recordings: RequestedRecordings, request: EvidenceRequest) -> Response {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let writer = BodyWriter {
            pieces: sender.clone(),
            buffer: Vec::new(),
        };
        if let Err(error) = Box::pin(app.catalogue.evidence(recordings, &request, writer)).await {
            if sender.is_closed() {
                tracing::info!(error = %ErrorChain(&error), "A caller disconnected before an evidence package was complete");
                return;
            }
            tracing::error!(error = %ErrorChain(&error), "An evidence package could not be completed");
            // The caller sees a broken download.
            let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
        }
    });
    let pieces = futures::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"evidence.zip\"",
        ),
    ];
    (headers, Body::from_stream(pieces.boxed())).into_response()
}
