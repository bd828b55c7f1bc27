//! A span around each invocation, below the one of whoever called: the host, or the host's caller.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::telemetry;

/// Which function the routes of the forwarded form belong to, the longer before the shorter.
const FUNCTIONS: [(&str, &str); 8] = [
    ("/api/telephony", "TelephonyActivities"),
    ("/api/vault/play", "VaultPlay"),
    ("/api/vault/", "Vault"),
    ("/api/recordings/callbacks", "RecordingStateCallback"),
    ("/api/recordings", "RecordingControl"),
    ("/api/eventgrid", "EventGridWebhook"),
    ("/api/openapi.json", "ApiDescription"),
    ("/api/metrics", "Metrics"),
];

/// One span for each invocation: a request that an envelope was unfolded to has its own already, if the host traces.
pub async fn traced(request: Request, next: Next) -> Response {
    if !Span::current().is_none() {
        return next.run(request).await;
    }
    let span = span_of(&request);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

fn span_of(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let span = info_span!(
        "invocation",
        otel.name = function_of(route),
        otel.kind = "server",
        otel.status_code = Empty,
        faas.name = function_of(route),
        faas.trigger = trigger_of(route),
        faas.invocation_id = header("x-azure-functions-invocationid"),
        http.request.method = request.method().as_str(),
        http.route = route,
        http.response.status_code = Empty,
    );
    telemetry::adopt_parent(&span, header("traceparent"), header("tracestate"));
    span
}

/// For the envelopes of HTTP triggers: where the host does not trace, the request inside may name its caller's trace.
pub async fn traced_if_the_host_does(request: Request, next: Next) -> Response {
    if request.headers().contains_key("traceparent") {
        traced(request, next).await
    } else {
        next.run(request).await
    }
}

fn function_of(route: &str) -> &str {
    if matches!(route, "/api/vault" | "/api/vault/") {
        return "VaultPage";
    }
    let known = FUNCTIONS
        .iter()
        .find(|(prefix, _)| route.starts_with(prefix));
    known.map_or(route.trim_start_matches('/'), |(_, function)| function)
}

fn trigger_of(route: &str) -> &'static str {
    match route {
        "/ExportSweep" => "timer",
        "/RecordingFileStatusUpdated" | "/ExportChunk" => "pubsub",
        _ => "http",
    }
}
