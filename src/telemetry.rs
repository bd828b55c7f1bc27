//! Logging in the format of the Functions host, and OpenTelemetry.
//!
//! The host takes stdout as information and stderr as errors (or warnings, when the line says so), line by line. Spans are
//! for traces: they do not show in the lines.

mod invocation;
mod one_line;
mod otlp;
pub mod settings;

use std::fmt;
use std::io::{self, Write as _};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::writer::{MakeWriter, MakeWriterExt as _};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error_chain::ErrorChain;
pub use invocation::adopt_parent;
use one_line::OneLine;
pub use settings::{LogFormat, OtlpConfig};

/// Sends log lines to stdout, warnings and errors to stderr, as the host wants it; metrics and traces to `otlp`, if there is
/// one. Called once, before anything is logged, where the runtime is entered. Waits for nothing.
pub fn init(filter: EnvFilter, format: LogFormat, otlp: Option<&OtlpConfig>) {
    let tracer = otlp.map(otlp::start).transpose();
    let (tracer, failed) = tracer.map_or_else(|error| (None, Some(error)), |tracer| (tracer, None));
    start(
        filter,
        format,
        io::stderr.with_max_level(Level::WARN).or_else(io::stdout),
        tracer,
    );
    report_panics();
    if let Some(error) = failed {
        tracing::error!(error = %ErrorChain(&error), "OpenTelemetry could not be set up; telemetry is off");
    }
}

/// Reports every panic as one line; the standard hook writes several.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        let what = panic.payload_as_str().unwrap_or("unknown");
        tracing::error!(panic = what, location, "A task panicked; this is a bug");
    }));
}

/// Sends all log lines to stderr: stdout is a verb's own. The verb reports a failure itself, so the lines of Azure's clients
/// are left out unless the filter names them.
pub fn init_for_operator(filter: EnvFilter, format: LogFormat) {
    start(without_clients(filter), format, io::stderr, None);
}

fn without_clients(filter: EnvFilter) -> EnvFilter {
    const CLIENTS: [&str; 2] = ["azure_core", "typespec_client_core"];
    let given = filter.to_string();
    CLIENTS
        .into_iter()
        .filter(|client| !given.contains(client))
        .filter_map(|client| format!("{client}=warn").parse().ok())
        .fold(filter, EnvFilter::add_directive)
}

/// Writes a line to stdout, whatever the filter is. The host records it as information.
pub fn write_past_the_filter(line: &impl fmt::Display) {
    // A closed pipe must not end what is reported.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn start<W>(filter: EnvFilter, format: LogFormat, writer: W, tracer: Option<SdkTracer>)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let events_only =
        filter_fn(|metadata| !metadata.is_span()).with_max_level_hint(LevelFilter::TRACE);
    // Ours only: what libraries put into their spans is not known, and may be a URL with its secret.
    let our_spans = filter_fn(|metadata| {
        metadata.is_span() && metadata.target().starts_with("recording_vault")
    });
    let our_spans = our_spans.with_max_level_hint(LevelFilter::INFO);
    let spans = tracer.map(|tracer| otlp::layer(tracer).with_filter(our_spans));
    tracing_subscriber::registry()
        .with(spans)
        .with(lines(format, writer).with_filter(filter.and(events_only)))
        .init();
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(OneLine(writer))
        .with_ansi(false);
    match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    }
}
