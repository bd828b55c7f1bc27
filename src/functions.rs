//! The host boundary: what the Functions host and its callers send, and what they get back. Knows nothing of storage.
//!
//! The host calls the functions in two forms: an envelope, `POST /<FunctionName>`, for every trigger, and the
//! forwarded request itself, `/api/…`, for HTTP triggers.

pub mod api_description;
pub mod event_grid_webhook;
pub mod export_chunk;
pub mod export_sweep;
mod http_envelope;
pub mod invocation;
pub mod metrics;
pub mod problem;
pub mod recording_control;
pub mod recording_file_status;
pub mod recording_state_callback;
pub mod telephony_activities;
mod tracing_layer;
pub mod vault;

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use invocation::InvocationResponse;
use problem::Problem;

/// Event Grid delivers up to 1 MB; the host encodes it twice and sends it twice (`Data` and `Metadata`).
const ENVELOPE_LIMIT_BYTES: usize = 16 << 20;
/// A recording request is a few hundred bytes; channel lists make it a few thousand.
const REQUEST_LIMIT_BYTES: usize = 64 << 10;

/// What the listener serves: `GET /` at once, everything else as soon as the application is put together.
///
/// The host polls `GET /` from the first moment and takes any answer as "ready"; loading the platform's certificates takes
/// longer than that. A request that comes before waits; `functions` never yields `None` again once it was set.
pub fn front(functions: watch::Receiver<Option<Router>>) -> Router {
    let wait_and_answer = move |request: Request| {
        let mut functions = functions.clone();
        async move {
            let ready = functions
                .wait_for(Option::is_some)
                .await
                .map(|functions| functions.clone());
            match ready {
                // The router's error type is `Infallible`.
                Ok(Some(functions)) => functions
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
                Ok(None) | Err(_) => {
                    InvocationResponse::failure("the handler is stopping").into_response()
                }
            }
        }
    };
    let alive = async || Json(json!({"status": "running", "version": env!("CARGO_PKG_VERSION")}));
    Router::new()
        .route("/", get(alive))
        .fallback(wait_and_answer)
}

/// The HTTP side alone: no triggers, so that it may stand where others than the Functions host can reach it.
pub fn http_router(app: Arc<App>) -> Router {
    guarded(api_routes(app).fallback(unknown_route))
}

/// What people and ACS call; events come by the host's own doors.
fn api_routes(app: Arc<App>) -> Router {
    Router::new()
        .merge(recording_control::routes())
        .merge(recording_state_callback::routes())
        .merge(telephony_activities::routes())
        .merge(api_description::routes())
        .merge(metrics::routes())
        .layer(from_fn(tracing_layer::traced))
        .layer(DefaultBodyLimit::max(REQUEST_LIMIT_BYTES))
        .with_state(app)
}

/// The functions, in both forms.
pub fn router(app: Arc<App>) -> Router {
    let webhook = event_grid_webhook::routes()
        .layer(from_fn(tracing_layer::traced))
        .with_state(Arc::clone(&app));
    let vault = vault::routes()
        .layer(from_fn(tracing_layer::traced))
        .layer(DefaultBodyLimit::max(REQUEST_LIMIT_BYTES));
    let vault = vault.with_state(Arc::clone(&app));
    let http = api_routes(Arc::clone(&app)).merge(webhook).merge(vault);
    let http_envelopes = Router::new()
        .route("/RecordingControl", post(recording_control::invoke))
        .route(
            "/RecordingStateCallback",
            post(recording_state_callback::invoke),
        )
        .route("/TelephonyActivities", post(telephony_activities::invoke))
        .route("/EventGridWebhook", post(event_grid_webhook::invoke))
        .route("/ApiDescription", post(api_description::invoke))
        .route("/Metrics", post(metrics::invoke))
        .route("/Vault", post(vault::invoke))
        .route("/VaultPage", post(vault::invoke))
        .route("/VaultPlay", post(vault::invoke))
        .layer(from_fn(tracing_layer::traced_if_the_host_does))
        .with_state(http.clone());
    let envelopes = Router::new()
        .route(
            "/RecordingFileStatusUpdated",
            post(recording_file_status::invoke),
        )
        .route("/ExportSweep", post(export_sweep::invoke))
        .route("/ExportChunk", post(export_chunk::invoke))
        .layer(from_fn(tracing_layer::traced))
        .with_state(app)
        .merge(http_envelopes)
        .layer(DefaultBodyLimit::max(ENVELOPE_LIMIT_BYTES));
    guarded(
        Router::new()
            .merge(envelopes)
            .merge(http)
            .fallback(unknown_route),
    )
}

/// A panic ends its invocation, not the process.
fn guarded(router: Router) -> Router {
    router.layer(CatchPanicLayer::custom(after_panic))
}

async fn unknown_route(uri: Uri) -> Problem {
    // The path only: the query may hold a function key.
    Problem::new(
        StatusCode::NOT_FOUND,
        "NotFound",
        format!("There is nothing at `{}`.", uri.path()),
    )
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let what = what
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned());
    tracing::error!(panic = what, "An invocation panicked; this is a bug");
    InvocationResponse::failure("the invocation panicked; see the log").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[tokio::test]
    async fn a_panic_is_a_500_with_an_answer_and_the_next_invocation_works() {
        let router = guarded(
            Router::new()
                .route("/panics", get(async || -> &'static str { panic!("a bug") }))
                .route("/works", get(async || "fine")),
        );
        let get = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap()
        };
        let response = get("/panics").await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            answer["Logs"],
            json!(["the invocation panicked; see the log"])
        );
        assert_eq!(get("/works").await.status(), StatusCode::OK);
    }
}
