//! `RecordingControl` starts, pauses, resumes and stops recordings over HTTP; `RecordingReads` lists and shows them. They are
//! two functions, so that a key of one does not authorize calls of the other.

mod answer;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::http_envelope;
use super::invocation::InvocationResponse;
use super::principal::Caller;
use super::problem::{Problem, get_only};
use crate::app::App;
use crate::control::observe;
use crate::control::register::running::{RunningCursor, RunningPage};
use crate::control::start::Start;
use crate::control::telephony;
use crate::recording::RecordingId;
use crate::request_body;
use crate::store::audit::Principal;
pub use answer::{RecordingAnswer, RecordingList};

/// The largest page of the list, and the default.
const PAGE: usize = 100;

/// Routes of `RecordingControl`.
pub fn control_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/recordings", post(start))
        .route("/api/recordings/{recording_id}", delete(stop))
        .route("/api/recordings/{recording_id}/pause", post(pause))
        .route("/api/recordings/{recording_id}/resume", post(resume))
        .route("/api/recordings/{recording_id}/stop", post(stop))
}

/// Routes of `RecordingReads`.
pub fn read_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/recordings", get(list))
        .route("/api/recordings/{recording_id}", get(state).head(get_only))
}

/// The envelope form of both functions.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "recordings", &body).await
}

/// Starts the recording of a call.
///
/// With the same `Idempotency-Key` again it is the same start, and gives the same recording.
#[utoipa::path(
    post, path = "/api/recordings", operation_id = "startRecording", tag = "recordings",
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text; a UUID goes to ACS as it is")),
    request_body = crate::control::start::StartRecording,
    responses(
        (status = 200, description = "It is started", body = RecordingAnswer),
        (status = 400, description = "The request is wrong, or ACS refuses it", body = super::problem::ErrorAnswer),
        (status = 409, description = "Recording is already in progress", body = super::problem::ErrorAnswer),
        (status = 413, description = "The body is too large", body = super::problem::ErrorAnswer),
        (status = 422, description = "Consent evidence is missing, or the `Idempotency-Key` belongs to another start", body = super::problem::ErrorAnswer),
        (status = 503, description = "`START_UNKNOWN`: it is not known yet whether the recording was started; try again after `Retry-After`", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut start = Start::parse(&body?, app.control.api_version())?;
    // The plain name, so that an erasure of it finds it here too; the record marks it if it is only claimed.
    let name = caller.principal.as_ref().map(Principal::name);
    start.started_by = start.started_by.or_else(|| name.map(str::to_owned));
    let by = caller.requester();
    let request = request_id(&headers)?;
    let view = app.control.start(&start, request, &by).await?;
    Ok(Json(RecordingAnswer::from(view)).into_response())
}

/// What to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `active`: those that run, paused ones among them. `paused`: those that are paused.
    #[param(example = "active")]
    state: Option<String>,
    /// All recordings of a bot's conversation instead, the oldest first. No other parameter goes with it.
    conversation: Option<String>,
    /// `continuation` of the page before.
    continuation: Option<String>,
    /// How many at most, up to 100.
    top: Option<usize>,
}

impl ListQuery {
    /// A parameter that the list of a conversation does not have.
    fn other_than_conversation(&self) -> Option<&'static str> {
        let others = [
            ("state", self.state.is_some()),
            ("top", self.top.is_some()),
            ("continuation", self.continuation.is_some()),
        ];
        let mut given = others.into_iter().filter(|(_, is_given)| *is_given);
        given.next().map(|(name, _)| name)
    }
}

/// Lists recordings that run, or those of a bot's conversation.
#[utoipa::path(
    get, path = "/api/recordings", operation_id = "listRecordings", tag = "recordings", params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = RecordingList),
        (status = 400, description = "The query is wrong", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<RecordingList>, Problem> {
    let query = super::query::read(query)?;
    if let Some(conversation_id) = &query.conversation {
        if conversation_id.trim().is_empty() {
            let message = "`conversation` is empty; leave it out to list recordings that run.";
            return Err(Problem::invalid(Some("conversation"), message));
        }
        if let Some(name) = query.other_than_conversation() {
            let message = format!(
                "`{name}` cannot be combined with `conversation`, which lists all recordings of the conversation; leave one of them out."
            );
            return Err(Problem::invalid(Some(name), message));
        }
        return Ok(Json(of_conversation(&app, conversation_id).await?));
    }
    let wanted = query.state.as_deref().unwrap_or("active");
    let wanted = wanted.to_ascii_lowercase();
    if !matches!(&*wanted, "active" | "paused") {
        return Err(Problem::invalid(
            Some("state"),
            format!("`state` is `{wanted}`; expected active or paused."),
        ));
    }
    let cursor = query
        .continuation
        .as_deref()
        .map(str::parse::<RunningCursor>)
        .transpose();
    let cursor = cursor.map_err(|_| {
        Problem::invalid(
            Some("continuation"),
            "`continuation` is not one that was given.",
        )
    })?;
    let top = query.top.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&top) {
        return Err(Problem::invalid(
            Some("top"),
            format!("`top` is {top}; expected 1 to {PAGE}."),
        ));
    }
    let mut page = app.control.running(cursor.as_ref(), top).await?;
    page.recordings
        .retain(|recording| wanted == "active" || recording.open_pause().is_some());
    Ok(Json(page.into()))
}

async fn of_conversation(app: &App, conversation_id: &str) -> Result<RecordingList, Problem> {
    let sessions = telephony::recordings_of(app.control.register(), conversation_id).await?;
    let mut page = RunningPage::default();
    for id in &sessions {
        match app.control.register().find(id).await {
            Ok(Some(found)) => page.recordings.push(found),
            // Its account is lost, or could not be written yet.
            Ok(None) => page.unreadable += 1,
            Err(error) if error.is_damage() => page.unreadable += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(page.into())
}

/// Returns a recording's state.
#[utoipa::path(
    get, path = "/api/recordings/{recordingId}", operation_id = "getRecording", tag = "recordings",
    params(("recordingId" = String, Path)),
    responses(
        (status = 200, description = "Its state, and what is known of it", body = RecordingAnswer),
        (status = 404, description = "Neither ACS nor the register knows it", body = super::problem::ErrorAnswer),
        (status = 409, description = "ACS does not know it (any more), and its account in the register is not readable", body = super::problem::ErrorAnswer),
        (status = 503, description = "ACS does not know it (any more), and the register could not be read", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn state(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<RecordingAnswer>, Problem> {
    Ok(Json(app.control.state(&recording_id(&id)?).await?.into()))
}

/// What may come with a pause.
#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRecording {
    /// The recording resumes by itself after this long: `90s`, `5m`, `PT5M`.
    #[schema(example = "5m")]
    resume_after: Option<String>,
}

/// Pauses a recording.
#[utoipa::path(
    post, path = "/api/recordings/{recordingId}/pause", operation_id = "pauseRecording", tag = "recordings",
    params(("recordingId" = String, Path)),
    request_body = Option<PauseRecording>,
    responses(
        (status = 202, description = "It is paused", body = RecordingAnswer),
        (status = 404, description = "No such recording", body = super::problem::ErrorAnswer),
        (status = 409, description = "The recording has not started, or it has ended", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<RecordingAnswer>), Problem> {
    let id = recording_id(&id)?;
    let body = body?;
    let wish: PauseRecording = if body.trim_ascii().is_empty() {
        PauseRecording::default()
    } else {
        request_body::read(&body)?
    };
    let resume_after = wish
        .resume_after
        .as_deref()
        .map(observe::resume_after)
        .transpose();
    let resume_after =
        resume_after.map_err(|message| Problem::invalid(Some("resumeAfter"), message))?;
    let by = caller.requester();
    let view = app.control.pause(&id, resume_after, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(view.into())))
}

/// Resumes a paused recording.
#[utoipa::path(
    post, path = "/api/recordings/{recordingId}/resume", operation_id = "resumeRecording", tag = "recordings",
    params(("recordingId" = String, Path)),
    responses(
        (status = 202, description = "It is resumed", body = RecordingAnswer),
        (status = 404, description = "No such recording", body = super::problem::ErrorAnswer),
        (status = 409, description = "The recording has not started, or it has ended", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<(StatusCode, Json<RecordingAnswer>), Problem> {
    let (id, by) = (recording_id(&id)?, caller.requester());
    let view = app.control.resume(&id, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(view.into())))
}

/// Ends a recording; its files follow by event.
#[utoipa::path(
    post, path = "/api/recordings/{recordingId}/stop", operation_id = "stopRecording", tag = "recordings",
    params(("recordingId" = String, Path)),
    responses(
        (status = 200, description = "The recording is stopped, now or before", body = RecordingAnswer),
        (status = 404, description = "No such recording", body = super::problem::ErrorAnswer),
        (status = 409, description = "The recording has not started, or it has ended", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<RecordingAnswer>, Problem> {
    let (id, by) = (recording_id(&id)?, caller.requester());
    let outcome = app.control.stop(&id, &by).await?;
    Ok(Json(outcome.into_view().into()))
}

/// ACS accepts UUIDs only; a key of another form is converted to one, always the same for the same key.
fn request_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    const KEYS: Uuid = Uuid::from_u128(0x8d0c_9a57_3f0e_5b6a_b8a3_7b1e_22d1_60c4);
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(Uuid::new_v4());
    };
    if key.as_bytes().trim_ascii().is_empty() {
        // A caller that repeats the request relies on it.
        let message = "`Idempotency-Key` is empty; leave it out, or send a non-empty value.";
        return Err(Problem::invalid(Some("Idempotency-Key"), message));
    }
    let named = || Uuid::new_v5(&KEYS, key.as_bytes());
    let uuid = key
        .to_str()
        .ok()
        .and_then(|key| Uuid::try_parse(key.trim()).ok());
    Ok(uuid.unwrap_or_else(named))
}

fn recording_id(text: &str) -> Result<RecordingId, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(Some("recordingId"), format!("The {error}.")))
}
