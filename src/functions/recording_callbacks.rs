//! `RecordingCallbacks`: receives ACS's reports to `recordingStateCallbackUri`, authorized by ACS's own token.
//!
//! The host passes a request to the first function, by name, whose route and method match. This name sorts before
//! `RecordingControl`, so the host requires no function key.
//!
//! <https://learn.microsoft.com/azure/communication-services/how-tos/call-automation/secure-webhook-endpoint>

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::http_envelope;
use super::invocation::InvocationResponse;
use super::problem::Problem;
use crate::app::App;
use crate::control::callback::StateCallback;
use crate::error_chain::ErrorChain;
use crate::metrics;
use crate::oidc::InvalidToken;
use crate::recording::lenient_json::{self, Bound};

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/recordings/callbacks", post(report))
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "recordings", &body).await
}

/// Takes reports of ACS about recordings.
#[utoipa::path(
    post, path = "/api/recordings/callbacks", operation_id = "reportRecordingState", tag = "callbacks",
    request_body(content = Vec<Object>, description = "CloudEvents 1.0: RecordingStateChanged, StartRecordingFailed"),
    responses(
        (status = 200, description = "Accepted"),
        (status = 401, description = "The token is not ACS's", body = super::problem::ErrorAnswer),
        (status = 503, description = "The token cannot be checked now, or callbacks are off", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Some(validator) = &app.callback_tokens else {
        let message =
            "Callbacks are off: set ACS_RESOURCE_ID to the immutable id of the ACS resource.";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "CallbacksOff",
            message,
        ));
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    validator
        .validate(authorization, app.clock.now())
        .await
        .map_err(unauthorized)?;
    let events = lenient_json::read(&body?, Bound::ByLength)
        .ok_or_else(|| Problem::invalid(None, "The body is not JSON."))?;
    let events = if let Value::Array(events) = events {
        events
    } else {
        vec![events]
    };
    let mut taken = 0;
    for event in &events {
        if let Some(callback) = StateCallback::parse(event) {
            app.control.reported(callback).await?;
            metrics::CALLBACKS.increment(&["taken"]);
            taken += 1;
        }
    }
    Ok(Json(json!({"taken": taken})))
}

fn unauthorized(error: InvalidToken) -> Problem {
    match error {
        InvalidToken::Missing
        | InvalidToken::Invalid(_)
        | InvalidToken::Unsupported(_)
        | InvalidToken::UnknownKey
        | InvalidToken::WrongIssuer { .. }
        | InvalidToken::WrongAudience { .. }
        | InvalidToken::OtherCaller
        | InvalidToken::NotNow => {
            metrics::CALLBACKS.increment(&["refused"]);
            tracing::warn!(error = %ErrorChain(&error), "Refused a callback");
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "Unauthorized",
                format!("{}.", ErrorChain(&error)),
            )
        }
        InvalidToken::NoKeys(_) => {
            tracing::error!(error = %ErrorChain(&error), "A callback's token could not be checked");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "KeysUnavailable",
                "The issuer's keys could not be fetched.",
            )
        }
    }
}
