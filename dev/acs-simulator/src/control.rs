//! The control plane: `/calling/recordings…`.
//!
//! States, statuses and bodies are those recorded from the service (`8522`, `8501`, `7509`) or documented; which status
//! goes with `8553` and `8573` is not publicly known.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::{self, Denied};
use crate::events;
use crate::faults::{FaultKind, Plane};
use crate::request::ApiRequest;
use crate::storing::store_chunks;
use crate::world::{Call, Recording, RecordingOptions, World};

const API_VERSIONS: [&str; 11] = [
    "2026-03-12",
    "2025-06-15",
    "2025-05-15",
    "2024-09-15",
    "2024-04-15",
    "2023-10-15",
    "2023-03-06",
    "2023-06-15-preview",
    "2023-01-15-preview",
    "2022-04-07-preview",
    V2021_11,
];
/// `/:pause` with a slash before the colon, 200 for everything, and fewer members in its answers.
const V2021_11: &str = "2021-11-15-preview";

pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/calling/recordings", routing::any(exchange))
        .route("/calling/recordings/{id}", routing::any(exchange))
        .route("/calling/recordings/{id}/{action}", routing::any(exchange))
}

/// Answers one request, with the headers that every answer has.
async fn exchange(
    State(world): State<Arc<World>>,
    path: Option<Path<HashMap<String, String>>>,
    request: ApiRequest,
) -> Response {
    if let Some(answer) = fault(&world) {
        return answer;
    }
    let segments = path.map(|Path(segments)| segments).unwrap_or_default();
    let result = carry_out(&world, &segments, &request);
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    let answered = response.headers_mut();
    let chain_id =
        HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a uuid is a valid header value");
    answered.insert("x-microsoft-skype-chain-id", chain_id);
    answered.insert("x-cache", HeaderValue::from_static("CONFIG_NOCACHE"));
    if let Some(id) = request.headers.get("x-ms-client-request-id") {
        answered.insert("x-ms-client-request-id", id.clone());
    }
    response
}

/// The answer of a fault that a test has switched on.
fn fault(world: &World) -> Option<Response> {
    let Some(FaultKind::Status {
        status,
        retry_after,
    }) = world.state().faults.next(Plane::Control)
    else {
        return None;
    };
    let mut response = refused(status, "9999", "A fault was asked for.").into_response();
    if let Some(seconds) = retry_after {
        let headers = response.headers_mut();
        headers.insert("retry-after", HeaderValue::from(seconds));
    }
    Some(response)
}

fn carry_out(
    world: &Arc<World>,
    segments: &HashMap<String, String>,
    request: &ApiRequest,
) -> Result<Response, Refused> {
    admit(world, request)?;
    let version = request.api_version();
    known_version(&request.uri, version)?;
    let is_2021 = version == V2021_11;
    let operation = Operation::now(world);
    let done = |status: StatusCode| if is_2021 { StatusCode::OK } else { status }.into_response();
    match (
        request.method.as_str(),
        target(segments, &request.method, is_2021)?,
    ) {
        ("POST", (None, None)) => operation
            .start(&request.headers, &request.body)
            .map(|started| Json(described(started, is_2021, "recordingId")).into_response()),
        ("GET", (Some(id), None)) => operation
            .state(id)
            .map(|state| Json(described(state, is_2021, "recordingState")).into_response()),
        ("POST", (Some(id), Some("pause"))) => {
            operation.pause(id).map(|()| done(StatusCode::ACCEPTED))
        }
        ("POST", (Some(id), Some("resume"))) => {
            operation.resume(id).map(|()| done(StatusCode::ACCEPTED))
        }
        ("DELETE", (Some(id), None)) => operation.stop(id).map(|()| done(StatusCode::NO_CONTENT)),
        ("POST", (Some(_), _)) => Err(not_found()),
        _ => Err(refused(405, "8520", "Not supported")),
    }
}

/// The recording and the action that a path names: `{id}:{action}`, in 2021 `{id}/:{action}`.
fn target<'a>(
    segments: &'a HashMap<String, String>,
    method: &Method,
    is_2021: bool,
) -> Result<(Option<&'a str>, Option<&'a str>), Refused> {
    let segment = |name: &str| segments.get(name).map(String::as_str);
    match (segment("id"), segment("action")) {
        (id, Some(action)) if is_2021 => Ok((id, action.strip_prefix(':'))),
        (_, Some(_)) => Err(not_found()),
        (Some(id), None) if method == Method::POST && !is_2021 => Ok(id
            .rsplit_once(':')
            .map_or((Some(id), None), |(id, action)| (Some(id), Some(action)))),
        (id, None) => Ok((id, None)),
    }
}

/// The answer of today, or the one member of it that there was in 2021.
fn described(answer: Value, is_2021: bool, member: &str) -> Value {
    if is_2021 {
        json!({ member: answer[member] })
    } else {
        answer
    }
}

pub fn admit(world: &World, request: &ApiRequest) -> Result<(), Refused> {
    let ApiRequest {
        method,
        uri,
        headers,
        body,
        ..
    } = request;
    auth::check(world, method, uri, headers, body).map_err(|denied| match denied {
        Denied::BadSignature => refused(401, "7509", "HMAC-SHA256 validation failed"),
        Denied::BadToken => refused(401, "7501", "Invalid Token"),
        // The body of this answer is not publicly known.
        Denied::Missing => refused(401, "7500", "Missing Authorization header"),
    })
}

fn known_version(uri: &Uri, version: &str) -> Result<(), Refused> {
    if API_VERSIONS.contains(&version) {
        return Ok(());
    }
    let path = uri.path();
    let message = format!(
        "The HTTP resource that matches the request URI '{path}' does not support the API version '{version}'"
    );
    Err(Refused(
        StatusCode::BAD_REQUEST,
        "UnsupportedApiVersion",
        message,
    ))
}

/// An error as the control plane writes it.
pub struct Refused(pub StatusCode, pub &'static str, pub String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        (
            status,
            Json(json!({"error": {"code": code, "message": message}})),
        )
            .into_response()
    }
}

pub fn refused(status: u16, code: &'static str, message: &str) -> Refused {
    Refused(
        StatusCode::from_u16(status).unwrap_or_default(),
        code,
        message.to_owned(),
    )
}

pub fn not_found() -> Refused {
    refused(404, "8522", "Recording not found.")
}

pub fn not_established() -> Refused {
    refused(
        400,
        "8501",
        "Action is invalid when call is not in Established state",
    )
}

/// Carries out an authorized request.
pub struct Operation<'a> {
    world: &'a Arc<World>,
    now: Timestamp,
}

impl<'a> Operation<'a> {
    pub fn now(world: &'a Arc<World>) -> Self {
        Self {
            world,
            now: Timestamp::now(),
        }
    }

    pub fn start(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
        let repeatable = match (
            headers.get("repeatability-request-id"),
            headers.get("repeatability-first-sent"),
        ) {
            (Some(id), Some(_)) => Some(String::from_utf8_lossy(id.as_bytes()).into_owned()),
            (None, None) => None,
            _ => {
                return Err(refused(
                    400,
                    "8523",
                    "Repeatability-Request-ID and Repeatability-First-Sent belong together",
                ));
            }
        };
        let mut state = self.world.state();
        if let Some(answer) = repeatable.as_ref().and_then(|id| state.repeatable.get(id)) {
            return Ok(answer.clone());
        }
        let request: Value = serde_json::from_slice(body)
            .map_err(|_| refused(400, "8523", "Invalid argument: the body is not JSON"))?;
        let options = options(&request)?;
        let call = call(self.world, &state.calls, &request)?;
        if state
            .recordings
            .values()
            .any(|recording| recording.call.server_call_id == call.server_call_id)
        {
            return Err(refused(400, "8553", "Duplicate Recording"));
        }
        let identity =
            json!({"PlatformEndpointId": Uuid::new_v4(), "ResourceSpecificId": Uuid::new_v4()});
        let id = BASE64_URL_SAFE_NO_PAD.encode(identity.to_string());
        let paused_at = (request["pauseOnStart"] == json!(true)).then_some(self.now);
        let recording = Recording {
            call,
            options,
            started_at: self.now,
            paused_at,
            pauses: Vec::new(),
        };
        let answer = self.described(&id, &recording);
        state.recordings.insert(id, recording);
        if let Some(id) = repeatable {
            state.repeatable.insert(id, answer.clone());
        }
        Ok(answer)
    }

    pub fn state(&self, id: &str) -> Result<Value, Refused> {
        let state = self.world.state();
        let recording = state.recordings.get(id).ok_or_else(not_found)?;
        Ok(self.described(id, recording))
    }

    pub fn pause(&self, id: &str) -> Result<(), Refused> {
        let mut state = self.world.state();
        let recording = state.recordings.get_mut(id).ok_or_else(not_found)?;
        if recording.paused_at.is_some() {
            return Err(refused(409, "8573", "Pause Resume Method Not Allowed"));
        }
        recording.paused_at = Some(self.now);
        Ok(())
    }

    pub fn resume(&self, id: &str) -> Result<(), Refused> {
        let mut state = self.world.state();
        let recording = state.recordings.get_mut(id).ok_or_else(not_found)?;
        let Some(paused_at) = recording.paused_at.take() else {
            return Err(refused(409, "8573", "Pause Resume Method Not Allowed"));
        };
        recording
            .pauses
            .push((paused_at, self.now.duration_since(paused_at)));
        Ok(())
    }

    pub fn stop(&self, id: &str) -> Result<(), Refused> {
        let recording = self
            .world
            .state()
            .recordings
            .remove(id)
            .ok_or_else(not_found)?;
        let stored = store_chunks(self.world, id, recording, self.now);
        events::announce(Arc::clone(self.world), stored);
        Ok(())
    }

    fn described(&self, id: &str, recording: &Recording) -> Value {
        json!({
            "recordingId": id, "recordingState": recording.state(self.now, activation(self.world)),
            "recordingKind": "azureCommunicationServices",
        })
    }
}

fn activation(world: &World) -> SignedDuration {
    SignedDuration::try_from(world.options.activation).unwrap_or_default()
}

/// The call a start means; one that is not established is refused with the recorded text.
fn call(world: &World, calls: &[Call], request: &Value) -> Result<Call, Refused> {
    let locator = &request["callLocator"];
    let connection = request["callConnectionId"].as_str();
    if locator.is_object() == connection.is_some() {
        return Err(refused(
            400,
            "8523",
            "Invalid argument: exactly one of callLocator and callConnectionId is needed",
        ));
    }
    let kind = locator["kind"].as_str().unwrap_or_default();
    let named = |field: &str| locator[field].as_str().filter(|id| !id.is_empty());
    let found = match (connection, kind) {
        (Some(id), _) => calls
            .iter()
            .find(|call| call.call_connection_id.as_deref() == Some(id)),
        (None, "serverCallLocator") => named("serverCallId").and_then(|id| {
            let id = id.trim_end_matches('=');
            calls
                .iter()
                .find(|call| call.server_call_id.trim_end_matches('=') == id)
        }),
        (None, "groupCallLocator") => named("groupCallId").and_then(|id| {
            calls
                .iter()
                .find(|call| call.group_call_id.as_deref() == Some(id))
        }),
        (None, "roomCallLocator") => named("roomId").and_then(|id| {
            calls
                .iter()
                .find(|call| call.room_id.as_deref() == Some(id))
        }),
        (None, _) => return Err(refused(400, "8523", "Invalid argument: callLocator.kind")),
    };
    match found {
        Some(call) => Ok(call.clone()),
        None if world.options.any_call => {
            let id = connection
                .or_else(|| {
                    ["serverCallId", "groupCallId", "roomId"]
                        .into_iter()
                        .find_map(named)
                })
                .unwrap_or_default();
            Ok(Call {
                server_call_id: id.to_owned(),
                ..Call::default()
            })
        }
        None => Err(not_established()),
    }
}

/// Content, channel and format; nothing said means audio and video, mixed, mp4. Enum values come in any casing.
fn options(request: &Value) -> Result<RecordingOptions, Refused> {
    let one_of = |field: &str, values: &[&'static str]| match request[field].as_str() {
        None => Ok(None),
        Some(text) => match values.iter().find(|value| value.eq_ignore_ascii_case(text)) {
            Some(value) => Ok(Some(*value)),
            None => Err(refused(400, "8523", &format!("Invalid argument: {field}"))),
        },
    };
    let content = one_of("recordingContentType", &["audio", "audioVideo"])?;
    let channel = one_of("recordingChannelType", &["mixed", "unmixed"])?.unwrap_or("mixed");
    let format = one_of("recordingFormatType", &["wav", "mp3", "mp4"])?;
    let (content, format) = match (content, format) {
        (None, None) => ("audioVideo", "mp4"),
        (None, Some("mp4")) => ("audioVideo", "mp4"),
        (None, Some(format)) => ("audio", format),
        (Some("audio"), None) => ("audio", if channel == "unmixed" { "wav" } else { "mp3" }),
        (Some(content), format) => (content, format.unwrap_or("mp4")),
    };
    match (content, channel, format) {
        ("audioVideo", "mixed", "mp4")
        | ("audio", "mixed", "mp3" | "wav")
        | ("audio", "unmixed", "wav") => Ok(RecordingOptions {
            content,
            channel,
            format,
        }),
        _ => Err(refused(
            400,
            "8523",
            "Invalid argument: this combination of content, channel and format is not supported",
        )),
    }
}
