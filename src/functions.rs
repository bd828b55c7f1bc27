//! The host boundary: what the Functions host and its callers send, and what they get back. Knows nothing of storage.
//!
//! The host calls the functions in two forms: an envelope, `POST /<FunctionName>`, for every trigger, and the
//! forwarded request itself, `/api/…`, for HTTP triggers.

pub mod api_description;
mod compression;
pub mod event_grid_webhook;
pub mod export_chunk;
pub mod export_sweep;
mod http_envelope;
pub mod invocation;
pub mod listener;
pub mod metrics;
mod origin;
pub mod problem;
mod query;
pub mod recording_control;
pub mod recording_file_status;
pub mod recording_state_callback;
mod request_memory;
pub mod telephony_activities;
mod tracing_layer;
pub mod vault;

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use invocation::InvocationResponse;
use problem::Problem;
use request_memory::{OnTooLarge, RequestMemory};

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
pub fn http_router(app: &Arc<App>) -> Router {
    let memory = request_memory();
    let functions = people_functions(app).into_iter();
    let routes = functions.fold(Router::new(), |all, function| all.merge(function.routes));
    guarded(
        limited(routes, &memory)
            .fallback(unknown_route)
            .layer(compression::layer()),
    )
}

/// An HTTP function: its own routes, which its envelope reaches, and no others.
struct HttpFunction {
    name: &'static str,
    routes: Router,
    envelope: MethodRouter<Router>,
}

impl HttpFunction {
    fn new(
        name: &'static str,
        app: &Arc<App>,
        routes: Router<Arc<App>>,
        envelope: MethodRouter<Router>,
    ) -> Self {
        Self {
            name,
            routes: routes
                .layer(from_fn(query::refuse_unknown))
                .layer(from_fn(tracing_layer::traced))
                .layer(map_response(with_recording_data))
                .with_state(Arc::clone(app)),
            envelope,
        }
    }
}

/// What people, bots and ACS call; events come by the host's own doors.
fn people_functions(app: &Arc<App>) -> Vec<HttpFunction> {
    let function = |name, routes, envelope| HttpFunction::new(name, app, routes, envelope);
    vec![
        function(
            "/RecordingControl",
            recording_control::routes(),
            post(recording_control::invoke),
        ),
        function(
            "/RecordingStateCallback",
            recording_state_callback::routes(),
            post(recording_state_callback::invoke),
        ),
        function(
            "/TelephonyActivities",
            telephony_activities::routes(),
            post(telephony_activities::invoke),
        ),
        function(
            "/ApiDescription",
            api_description::routes(),
            post(api_description::invoke),
        ),
        function("/Metrics", metrics::routes(), post(metrics::invoke)),
    ]
}

fn vault_functions(app: &Arc<App>) -> Vec<HttpFunction> {
    let function = |name, routes| HttpFunction::new(name, app, routes, post(vault::invoke));
    vec![
        function("/Vault", vault::data_routes()),
        function("/VaultPlay", vault::play_routes()),
        function("/VaultPage", vault::page_routes()),
    ]
}

/// The functions, in both forms.
pub fn router(app: &Arc<App>) -> Router {
    let memory = request_memory();
    let (mut forwarded, mut envelopes) = (Router::new(), Router::new());
    for function in people_functions(app)
        .into_iter()
        .chain(vault_functions(app))
    {
        forwarded = forwarded.merge(function.routes.clone());
        let routes = limited(function.routes, &memory).fallback(unknown_route);
        envelopes = envelopes.route(function.name, function.envelope.with_state(routes));
    }
    let webhook = event_grid_webhook::routes()
        .layer(from_fn(tracing_layer::traced))
        .layer(from_fn(reserving(
            &memory,
            event_grid_webhook::DELIVERY_LIMIT_BYTES,
            OnTooLarge::AskAgain,
        )))
        .with_state(Arc::clone(app));
    envelopes = envelopes
        .route(
            "/EventGridWebhook",
            post(event_grid_webhook::invoke).with_state(webhook.clone()),
        )
        .layer(from_fn(tracing_layer::traced_if_the_host_does));
    let triggers = Router::new()
        .route(
            "/RecordingFileStatusUpdated",
            post(recording_file_status::invoke),
        )
        .route("/ExportSweep", post(export_sweep::invoke))
        .route("/ExportChunk", post(export_chunk::invoke))
        .layer(from_fn(tracing_layer::traced))
        .with_state(Arc::clone(app));
    let triggers = triggers
        .merge(envelopes)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(reserving(
            &memory,
            ENVELOPE_LIMIT_BYTES,
            OnTooLarge::AskAgain,
        )));
    guarded(
        triggers
            .merge(webhook)
            .merge(limited(forwarded, &memory).layer(compression::layer()))
            .fallback(unknown_route)
            .layer(from_fn(origin::refuse_pages)),
    )
}

fn request_memory() -> RequestMemory {
    RequestMemory::new(REQUEST_LIMIT_BYTES, OnTooLarge::Refuse)
}

/// Requests of people and bots.
fn limited(routes: Router, memory: &RequestMemory) -> Router {
    routes
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(reserving(
            memory,
            REQUEST_LIMIT_BYTES,
            OnTooLarge::Refuse,
        )))
}

/// A layer that reads each body within the process's memory for requests.
fn reserving(
    memory: &RequestMemory,
    limit_bytes: usize,
    on_too_large: OnTooLarge,
) -> impl Fn(Request, Next) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static {
    let memory = memory.with_limit(limit_bytes, on_too_large);
    move |request, next| memory.clone().reserve(request, next).boxed()
}

/// Responses with recording data must not be cached, and are of the type they say. What is public says so itself.
async fn with_recording_data(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
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
