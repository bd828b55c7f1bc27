//! A span for each invocation, as a child of the span of the host or of the host's caller.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::telemetry;

/// Name of an invocation in traces.
#[derive(Debug, Clone, Copy)]
pub struct Traced {
    pub function: &'static str,
    /// `faas.trigger` of OpenTelemetry.
    pub trigger: &'static str,
}

impl Traced {
    pub fn http(function: &'static str) -> Self {
        let trigger = "http";
        Self { function, trigger }
    }

    /// One span for each invocation: a request from an envelope already has one if the host traces.
    pub async fn trace(self, request: Request, next: Next) -> Response {
        if !Span::current().is_none() {
            return next.run(request).await;
        }
        let span = self.span_of(&request);
        let response = next.run(request).instrument(span.clone()).await;
        span.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        response
    }

    /// For the envelopes of HTTP triggers: where the host does not trace, the inner request may carry its caller's
    /// trace.
    pub async fn trace_if_the_host_does(self, request: Request, next: Next) -> Response {
        if request.headers().contains_key("traceparent") {
            self.trace(request, next).await
        } else {
            next.run(request).await
        }
    }

    fn span_of(self, request: &Request) -> Span {
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
            otel.name = self.function,
            otel.kind = "server",
            otel.status_code = Empty,
            faas.name = self.function,
            faas.trigger = self.trigger,
            faas.invocation_id = header("x-azure-functions-invocationid"),
            http.request.method = request.method().as_str(),
            http.route = route,
            http.response.status_code = Empty,
        );
        telemetry::adopt_parent(&span, header("traceparent"), header("tracestate"));
        span
    }
}
