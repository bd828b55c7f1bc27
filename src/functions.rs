//! The host boundary: requests of the Functions host and its callers, and the responses. Knows no storage.
//!
//! The host calls the functions in two forms: an envelope, `POST /<FunctionName>`, for every trigger, and the
//! forwarded request itself, `/api/…`, for HTTP triggers.

pub mod api_description;
mod compression;
pub mod event_grid_webhook;
pub mod export_chunk;
pub mod export_sweep;
pub mod host_form;
mod http_envelope;
pub mod invocation;
pub mod listener;
pub mod metrics;
mod origin;
mod principal;
pub mod problem;
mod query;
pub mod recording_callbacks;
pub mod recording_control;
pub mod recording_file_status;
mod repeated;
mod request_memory;
mod request_path;
pub mod response_time;
mod running;
pub mod telephony_activities;
mod tracing_layer;
pub mod vault;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
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
use crate::export::Budget;
use crate::in_flight::InFlight;
use crate::timer::overdue::SweepLookout;
use invocation::InvocationResponse;
use problem::Problem;
use request_memory::{OnTooLarge, RequestBudgets, RequestMemory};
use request_path::with_one_form;
use tracing_layer::Traced;

/// Event Grid delivers up to 1 MB; the host encodes it twice and sends it twice (`Data` and `Metadata`).
const ENVELOPE_LIMIT_BYTES: usize = 16 << 20;
/// A recording request is a few hundred bytes; channel lists make it a few thousand.
const REQUEST_LIMIT_BYTES: usize = 64 << 10;

/// What the listener serves: `GET /` at once, everything else as soon as the application is put together.
///
/// The host polls `GET /` from the start and treats any response as "ready"; loading the platform's certificates takes
/// longer than that. An earlier request waits; `functions` never yields `None` again once it was set.
pub fn front(functions: watch::Receiver<Option<Router>>, in_flight: &InFlight) -> Router {
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
    let in_flight = in_flight.clone();
    let requests = Router::new()
        .fallback(wait_and_answer)
        .layer(from_fn(move |request, next| {
            running::to_its_end(in_flight.clone(), request, next)
        }));
    Router::new()
        .route("/", get(alive))
        .fallback_service(requests)
}

/// How long a request waits until recordings are registered that were started while the ledger failed.
const LATE_REGISTRATION: Duration = Duration::from_secs(1);

/// The HTTP routes without triggers, so that they may be exposed to callers other than the Functions host. There is no
/// sweep in their process, so each request first registers what the process could not register before.
pub fn http_router(app: &Arc<App>) -> Router {
    let budgets = RequestBudgets::of_process();
    let functions = people_functions(app, &budgets).into_iter();
    let routes = functions.fold(Router::new(), |all, function| {
        all.merge(function.limited(&budgets).routes)
    });
    let late = from_fn_with_state(Arc::clone(app), register_late);
    let routes = finished(routes).layer(compression::layer()).layer(late);
    guarded(served(routes))
}

async fn register_late(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // In a task of its own: the request does not wait longer, and the registration is not dropped midway.
    let registering = tokio::spawn(async move {
        let budget = Budget::of(LATE_REGISTRATION);
        app.control.register_late(budget).await;
    });
    let _ = tokio::time::timeout(LATE_REGISTRATION, registering).await;
    next.run(request).await
}

/// Callers whose requests the host passes to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Callers with a key of the function, unless their app roles exclude reading.
    Readers,
    /// Callers with a key of the function, unless their app roles exclude acting.
    Operators,
    /// Callers with a key of the function, whatever their app roles.
    Keyed,
    /// Bots, which are anonymous at the host: the function checks their key or token before it reads a body.
    Bots,
    Anonymous,
}

impl Door {
    /// Whether the host asks callers for a key of the function.
    fn asks_for_key(self) -> bool {
        match self {
            Self::Bots | Self::Anonymous => false,
            Self::Readers | Self::Operators | Self::Keyed => true,
        }
    }
}

/// An HTTP function with its routes; its envelope reaches only these.
struct HttpFunction {
    name: &'static str,
    door: Door,
    routes: Router,
    envelope: MethodRouter<Router>,
}

impl HttpFunction {
    fn new(
        (name, door): (&'static str, Door),
        app: &Arc<App>,
        routes: Router<Arc<App>>,
        envelope: MethodRouter<Router>,
    ) -> Self {
        let traced = Traced::http(name);
        let state = Arc::clone(app);
        let routes = match door {
            Door::Readers => routes.layer(from_fn_with_state(state, principal::readers_only)),
            Door::Operators => routes.layer(from_fn_with_state(state, principal::operators_only)),
            Door::Keyed | Door::Bots | Door::Anonymous => routes,
        };
        Self {
            name,
            door,
            routes: routes
                .layer(from_fn(query::refuse_unknown))
                .layer(from_fn(move |request, next| traced.trace(request, next)))
                .with_state(Arc::clone(app)),
            envelope,
        }
    }

    /// Limits the bodies of its requests, unless the function does. Anonymous callers have memory of their own.
    fn limited(self, budgets: &RequestBudgets) -> Self {
        if self.door == Door::Bots {
            return self;
        }
        let memory = self.budget(budgets);
        let routes = self.routes.layer(DefaultBodyLimit::disable());
        let reserve = reserving(memory, REQUEST_LIMIT_BYTES, OnTooLarge::Refuse);
        Self {
            routes: routes.layer(from_fn(reserve)),
            ..self
        }
    }

    fn budget<'a>(&self, budgets: &'a RequestBudgets) -> &'a RequestMemory {
        if self.door.asks_for_key() {
            &budgets.keyed
        } else {
            &budgets.anonymous
        }
    }

    /// Checks for overdue sweeps after responses to callers with a key.
    fn looking_out(self, lookout: &Arc<SweepLookout>) -> Self {
        if !self.door.asks_for_key() {
            return self;
        }
        Self {
            routes: looking_out(self.routes, lookout),
            ..self
        }
    }

    /// Records how requests of callers with a key arrive: other callers can forge the header.
    fn noting_host_form(self) -> Self {
        if !self.door.asks_for_key() {
            return self;
        }
        Self {
            routes: self.routes.layer(from_fn(host_form::noted)),
            ..self
        }
    }

    fn envelope(self, budgets: &RequestBudgets) -> Router {
        let memory = self.budget(budgets);
        let routes = served(finished(self.routes));
        let envelope = self.envelope.with_state(routes);
        let offered = Router::new().route(&format!("/{}", self.name), envelope);
        enveloped(traced_envelope(offered, Traced::http(self.name)), memory)
    }
}

/// Functions that people, bots and ACS call; events arrive at the host's own endpoints.
fn people_functions(app: &Arc<App>, budgets: &RequestBudgets) -> Vec<HttpFunction> {
    let function = |name, routes, envelope| HttpFunction::new(name, app, routes, envelope);
    vec![
        function(
            ("RecordingControl", Door::Operators),
            recording_control::control_routes(),
            post(recording_control::invoke),
        ),
        function(
            ("RecordingReads", Door::Readers),
            recording_control::read_routes(),
            post(recording_control::invoke),
        ),
        function(
            ("RecordingCallbacks", Door::Anonymous),
            recording_callbacks::routes(),
            post(recording_callbacks::invoke),
        ),
        function(
            ("TelephonyActivities", Door::Bots),
            telephony_activities::routes(app, &budgets.keyed),
            post(telephony_activities::invoke),
        ),
        function(
            ("ApiDescription", Door::Anonymous),
            api_description::routes(),
            post(api_description::invoke),
        ),
        function(
            ("Metrics", Door::Keyed),
            metrics::routes(),
            post(metrics::invoke),
        ),
    ]
}

fn vault_functions(app: &Arc<App>) -> Vec<HttpFunction> {
    let function = |name, routes| HttpFunction::new(name, app, routes, post(vault::invoke));
    vec![
        function(("Vault", Door::Readers), vault::read_routes(app)),
        function(("VaultActions", Door::Operators), vault::action_routes(app)),
        function(("VaultPlay", Door::Anonymous), vault::play_routes()),
        function(("VaultPage", Door::Anonymous), vault::page_routes()),
    ]
}

/// The functions, in both forms.
pub fn router(app: &Arc<App>) -> Router {
    let budgets = RequestBudgets::of_process();
    let (mut forwarded, mut envelopes) = (Router::new(), Router::new());
    let lookout = SweepLookout::new(app);
    for function in people_functions(app, &budgets)
        .into_iter()
        .chain(vault_functions(app))
    {
        let function = function.looking_out(&lookout).noting_host_form();
        let function = function.limited(&budgets);
        forwarded = forwarded.merge(function.routes.clone());
        envelopes = envelopes.merge(function.envelope(&budgets));
    }
    let webhook = webhook(app, &budgets.events, &lookout);
    let webhook_envelope = Router::new().route(
        "/EventGridWebhook",
        post(event_grid_webhook::invoke).with_state(served(finished(webhook.clone()))),
    );
    let traced = Traced::http("EventGridWebhook");
    let triggers = enveloped(triggers(app, &lookout), &budgets.events)
        .merge(enveloped(
            traced_envelope(webhook_envelope, traced),
            &budgets.events,
        ))
        .merge(envelopes);
    let requests = webhook.merge(forwarded.layer(compression::layer()));
    let all = finished(triggers.merge(requests)).layer(from_fn(origin::refuse_pages));
    guarded(served(all).layer(from_fn(host_form::reported)))
}

/// A delivery is authorized before its body takes memory.
fn webhook(app: &Arc<App>, memory: &RequestMemory, lookout: &Arc<SweepLookout>) -> Router {
    let traced = Traced::http("EventGridWebhook");
    let limit = event_grid_webhook::DELIVERY_LIMIT_BYTES;
    let routes = event_grid_webhook::routes()
        .layer(from_fn(reserving(memory, limit, OnTooLarge::AskAgain)))
        .layer(from_fn_with_state(
            Arc::clone(app),
            event_grid_webhook::authorized,
        ))
        .layer(from_fn(move |request, next| traced.trace(request, next)));
    looking_out(routes.with_state(Arc::clone(app)), lookout)
}

/// Limits the bodies of the host's own requests.
fn enveloped(routes: Router, memory: &RequestMemory) -> Router {
    routes
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(reserving(
            memory,
            ENVELOPE_LIMIT_BYTES,
            OnTooLarge::AskAgain,
        )))
}

fn traced_envelope(routes: Router, traced: Traced) -> Router {
    routes.layer(from_fn(move |request, next| {
        traced.trace_if_the_host_does(request, next)
    }))
}

/// The functions that only triggers of the host call.
fn triggers(app: &Arc<App>, lookout: &Arc<SweepLookout>) -> Router {
    let trigger = |function: &'static str, trigger, handler: MethodRouter<Arc<App>>| {
        let traced = Traced { function, trigger };
        Router::new()
            .route(&format!("/{function}"), handler)
            .layer(from_fn(move |request, next| traced.trace(request, next)))
    };
    let events = trigger(
        "RecordingFileStatusUpdated",
        "pubsub",
        post(recording_file_status::invoke),
    );
    looking_out(events.with_state(Arc::clone(app)), lookout).merge(
        trigger("ExportSweep", "timer", post(export_sweep::invoke))
            .merge(trigger("ExportChunk", "pubsub", post(export_chunk::invoke)))
            .with_state(Arc::clone(app)),
    )
}

/// Checks for an overdue sweep after each successful response.
fn looking_out(routes: Router, lookout: &Arc<SweepLookout>) -> Router {
    let lookout = Arc::clone(lookout);
    routes.layer(map_response(move |response: Response| {
        if response.status().is_success() {
            lookout.look();
        }
        std::future::ready(response)
    }))
}

/// Adds the responses for unknown routes and methods.
fn finished(routes: Router) -> Router {
    routes
        .method_not_allowed_fallback(method_not_offered)
        .fallback(unknown_route)
}

/// Serves routes by the one form of each path. Its refusals have the headers of every other response.
fn served(routes: Router) -> Router {
    with_one_form(routes).layer(map_response(with_recording_data))
}

/// A layer that reads each body within a memory budget.
fn reserving(
    memory: &RequestMemory,
    limit_bytes: usize,
    on_too_large: OnTooLarge,
) -> impl Fn(Request, Next) -> BoxFuture<'static, Response> + Clone + Send + Sync + 'static {
    let memory = memory.with_limit(limit_bytes, on_too_large);
    move |request, next| memory.clone().reserve(request, next).boxed()
}

/// Responses with recording data must not be cached, and browsers must not guess their type. Public responses set their
/// own cache header.
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

async fn method_not_offered() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "This method is not offered here.",
    )
}

async fn unknown_route(uri: Uri) -> Problem {
    // The path only: the query may hold a function key.
    Problem::new(
        StatusCode::NOT_FOUND,
        "NotFound",
        format!("There is no such route: `{}`.", uri.path()),
    )
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    // The panic hook has reported it.
    drop(panic);
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
