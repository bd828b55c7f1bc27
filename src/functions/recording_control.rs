//! `RecordingControl`: start, state, pause, resume and stop over HTTP.
//!
//! The forwarded request is served as it is; an envelope is unfolded into the request it stands for and served the same.

mod start_body;
mod start_rules;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;
use tracing::info;
use uuid::Uuid;

use super::invocation::{Invocation, InvocationResponse};
use super::problem::Problem;
use crate::app::App;
use crate::recording::RecordingId;

/// The largest answer of our own routes that an envelope carries.
const ANSWER_LIMIT_BYTES: usize = 1 << 20;

/// Routes of the forwarded form.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/recordings", post(start))
        .route("/api/recordings/{recording_id}", get(state).delete(stop))
        .route("/api/recordings/{recording_id}/pause", post(pause))
        .route("/api/recordings/{recording_id}/resume", post(resume))
        .route("/api/recordings/{recording_id}/stop", post(stop))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "This method is not offered here.")
        })
}

/// `Idempotency-Key`, if it comes, makes a start repeat-safe over the caller's own retries.
async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| {
        let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { "PayloadTooLarge" } else { "InvalidBody" };
        Problem::new(rejection.status(), code, rejection.body_text())
    })?;
    let started = app.control.start(&start_body::parse(&body)?, request_id(&headers)).await?;
    if let Some(id) = &started.recording_id {
        info!(recording.id = %id, "Started recording `{id}`");
    }
    Ok(Json(started).into_response())
}

async fn state(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = recording_id(&id)?;
    let mut state = app.control.state(&id).await?;
    state.recording_id.get_or_insert(id);
    Ok(Json(state).into_response())
}

async fn pause(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = recording_id(&id)?;
    app.control.pause(&id).await?;
    info!(recording.id = %id, "Paused recording `{id}`");
    Ok(accepted(&id, "paused"))
}

async fn resume(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = recording_id(&id)?;
    app.control.resume(&id).await?;
    info!(recording.id = %id, "Resumed recording `{id}`");
    Ok(accepted(&id, "active"))
}

async fn stop(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = recording_id(&id)?;
    app.control.stop(&id).await?;
    info!(recording.id = %id, "Stopped recording `{id}`");
    Ok(Json(json!({"recordingId": id, "recordingState": "stopped"})).into_response())
}

/// ACS takes UUIDs only; a key of another form is turned into one, always the same.
fn request_id(headers: &HeaderMap) -> Uuid {
    const KEYS: Uuid = Uuid::from_u128(0x8d0c_9a57_3f0e_5b6a_b8a3_7b1e_22d1_60c4);
    let Some(key) = headers.get("idempotency-key") else {
        return Uuid::new_v4();
    };
    let named = || Uuid::new_v5(&KEYS, key.as_bytes());
    key.to_str().ok().and_then(|key| Uuid::try_parse(key.trim()).ok()).unwrap_or_else(named)
}

fn accepted(id: &RecordingId, state: &str) -> Response {
    (StatusCode::ACCEPTED, Json(json!({"recordingId": id, "recordingState": state}))).into_response()
}

fn recording_id(text: &str) -> Result<RecordingId, Problem> {
    text.parse().map_err(|error| Problem::invalid(Some("recordingId"), format!("The {error}.")))
}

/// The envelope form: `Data.req` holds the request, `Outputs.res` the answer.
pub async fn invoke(State(control): State<Router>, body: Bytes) -> InvocationResponse {
    let request = Invocation::parse(&body).map_err(|error| error.to_string()).and_then(|invocation| {
        let request = invocation.binding("req").ok_or("the invocation has no binding `req`")?;
        unfolded(&request)
    });
    let response = match request {
        // The router's error type is `Infallible`.
        Ok(request) => control.oneshot(request).await.unwrap_or_else(|never| match never {}),
        Err(reason) => Problem::invalid(None, format!("The host's request cannot be read: {reason}.")).into_response(),
    };
    InvocationResponse::success(Vec::new()).with_output("res", folded(response).await)
}

/// The HTTP request that `{"Url","Method","Headers","Body"}` describes.
fn unfolded(request: &Value) -> Result<Request<Body>, String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let url = text("Url").ok_or("it has no `Url`")?;
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let at = path.find("/recordings").ok_or("its `Url` is none of /api/recordings")?;
    let method: Method = text("Method").unwrap_or("GET").parse().map_err(|_| "its `Method` is no HTTP method")?;
    let body = match request.get("Body") {
        Some(Value::String(body)) => body.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let mut builder = Request::builder().method(method).uri(format!("/api{}", &path[at..]));
    if let Some(key) = idempotency_key(request) {
        builder = builder.header("idempotency-key", key);
    }
    builder.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).map_err(|error| error.to_string())
}

/// The one header of the caller's that our routes read; the host gives a list of values for each.
fn idempotency_key(request: &Value) -> Option<&str> {
    let headers = request.get("Headers")?.as_object()?;
    let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"))?;
    value.as_str().or_else(|| value.get(0)?.as_str())
}

/// The answer as the host's HTTP output binding wants it.
async fn folded(response: Response) -> Value {
    let status = response.status().as_u16();
    let json = HeaderName::from_static("content-type");
    let headers: Map<String, Value> = response
        .headers()
        .get(&json)
        .and_then(|value| value.to_str().ok())
        .map(|value| (json.to_string(), Value::from(value)))
        .into_iter()
        .collect();
    let body = axum::body::to_bytes(response.into_body(), ANSWER_LIMIT_BYTES).await.unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    json!({"statusCode": status, "headers": headers, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("http://localhost:7071/api/recordings", "/api/recordings")]
    #[case("https://app.azurewebsites.net/api/recordings/a%2Fb/pause?code=SECRET", "/api/recordings/a%2Fb/pause")]
    #[case("http://localhost/custom/prefix/recordings/x", "/api/recordings/x")]
    fn an_envelope_is_unfolded_to_the_route_it_came_by(#[case] url: &str, #[case] path: &str) {
        let request = unfolded(&json!({"Url": url, "Method": "POST"})).unwrap();
        assert_eq!(request.uri(), path);
    }

    #[test]
    fn an_envelope_without_a_url_says_so() {
        assert_eq!(unfolded(&json!({})).unwrap_err(), "it has no `Url`");
    }
}
