//! The trace that an invocation belongs to: W3C `traceparent` and `tracestate` of the caller.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Headers<'a> {
    traceparent: Option<&'a str>,
    tracestate: Option<&'a str>,
}

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match name {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Makes a new span a child of the one in the caller's headers, if they have one.
pub fn adopt_parent(span: &Span, traceparent: Option<&str>, tracestate: Option<&str>) {
    if span.is_none() {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&Headers {
        traceparent,
        tracestate,
    });
    if parent.span().span_context().is_valid() {
        // Fails where tracing is off: then there is no parent.
        let _ = span.set_parent(parent);
    }
}
