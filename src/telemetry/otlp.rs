//! Metrics and traces to an OpenTelemetry collector, by OTLP over HTTP. They have low priority: an endpoint that is
//! slow, refuses or is missing does not slow the exports, and causes an occasional log line.
//!
//! The SDK's own threads collect and encode; network requests run on the runtime. Nothing is flushed at the end: the
//! process is killed, and the telemetry of its last seconds is lost.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;
use url::Position;
use uuid::Uuid;

use super::ErrorChain;
use super::settings::OtlpConfig;
use crate::metrics;
use crate::metrics::instrument::Metric;
use crate::throttle::Throttle;

const SCOPE: &str = "recording-vault";
/// How long a span or a count waits to be sent; a kill loses no more.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an endpoint may take; the next batch waits meanwhile, and later data is dropped when the queue is full.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a failing endpoint is reported.
const REPORT_EVERY: Duration = Duration::from_mins(30);

/// Starts sending; returns the source of spans. Must be called within the runtime.
pub(super) fn start(config: &OtlpConfig) -> Result<SdkTracer, ExporterBuildError> {
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new(
            "service.instance.id",
            Uuid::new_v4().to_string(),
        ))
        .build();
    let client = Arc::default();
    let spans = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(signal(config, "traces"))
        .with_headers(config.headers.expose().clone())
        .with_timeout(TIMEOUT)
        .with_http_client(Sender::new(config, &client))
        .build()?;
    let readings = MetricExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(signal(config, "metrics"))
        .with_headers(config.headers.expose().clone())
        .with_timeout(TIMEOUT)
        .with_http_client(Sender::new(config, &client))
        .build()?;
    let batches = BatchConfigBuilder::default()
        .with_scheduled_delay(INTERVAL)
        .build();
    let processor = BatchSpanProcessor::builder(spans)
        .with_batch_config(batches)
        .build();
    let tracers = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_span_processor(processor)
        .build();
    let reader = PeriodicReader::builder(readings)
        .with_interval(INTERVAL)
        .build();
    let meters = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(reader)
        .build();
    observe_all(&meters.meter(SCOPE));
    // Keeps the provider: it stops when it is dropped.
    global::set_meter_provider(meters);
    Ok(tracers.tracer(SCOPE))
}

/// Makes spans of `tracing` spans of OpenTelemetry.
pub(super) fn layer<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
}

/// Where a signal goes: below the endpoint, as the specification of OTLP says.
fn signal(config: &OtlpConfig, name: &str) -> String {
    format!(
        "{}/v1/{name}",
        config.endpoint.as_str().trim_end_matches('/')
    )
}

fn observe_all(meter: &Meter) {
    for metric in metrics::ALL {
        let description = metric.description();
        let (name, unit, help, labels) = (
            description.name,
            description.unit,
            description.help,
            description.labels,
        );
        match *metric {
            Metric::Counter(counter) => {
                let instrument = meter
                    .u64_observable_counter(name)
                    .with_unit(unit)
                    .with_description(help);
                let observed = instrument.with_callback(move |observer| {
                    for (values, count) in counter.values() {
                        observer.observe(count, &attributes(labels, &values));
                    }
                });
                observed.build();
            }
            Metric::Gauge(gauge) => {
                let instrument = meter
                    .f64_observable_gauge(name)
                    .with_unit(unit)
                    .with_description(help);
                let observed = instrument.with_callback(move |observer| {
                    for (values, value) in gauge.values() {
                        observer.observe(value, &attributes(labels, &values));
                    }
                });
                observed.build();
            }
            Metric::Histogram(histogram) => {
                let instrument = meter
                    .f64_histogram(name)
                    .with_unit(unit)
                    .with_description(help);
                let instrument = instrument
                    .with_boundaries(histogram.bounds.to_vec())
                    .build();
                histogram.mirror_to(Box::new(move |value, values| {
                    instrument.record(value, &attributes(labels, values));
                }));
            }
        }
    }
}

fn attributes(labels: &[&'static str], values: &[&'static str]) -> Vec<KeyValue> {
    labels
        .iter()
        .zip(values)
        .map(|(name, value)| KeyValue::new(*name, *value))
        .collect()
}

/// Sends what the SDK encoded, on the runtime and with the same TLS as everything else.
#[derive(Debug)]
struct Sender {
    runtime: Handle,
    /// Made for the first batch: loading the platform's certificates takes longer than the host should wait for our port.
    client: Arc<OnceLock<reqwest::Client>>,
    authority: String,
    reports: Throttle,
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("could not send")]
    Unreachable(#[source] reqwest::Error),
    #[error("it answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("the runtime has ended")]
    Ended(#[source] tokio::task::JoinError),
}

impl Sender {
    fn new(config: &OtlpConfig, client: &Arc<OnceLock<reqwest::Client>>) -> Self {
        let authority = config.endpoint[Position::BeforeHost..Position::AfterPort].to_owned();
        Self {
            runtime: Handle::current(),
            client: Arc::clone(client),
            authority,
            reports: Throttle::new(REPORT_EVERY),
        }
    }

    fn client(&self) -> Result<&reqwest::Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = crate::http_client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        let client = builder.build().map_err(SendError::Unreachable)?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let request = reqwest::Request::try_from(request).map_err(SendError::Unreachable)?;
        let client = self.client()?.clone();
        // The SDK's thread has no runtime of its own.
        let sending = self
            .runtime
            .spawn(async move { client.execute(request).await });
        let answer = sending
            .await
            .map_err(SendError::Ended)?
            .map_err(|error| SendError::Unreachable(error.without_url()))?;
        if !answer.status().is_success() {
            return Err(SendError::Refused(answer.status()));
        }
        // The rest of the answer is ignored.
        Ok(Response::new(Bytes::new()))
    }

    /// Both signals fail every few seconds while an endpoint is unavailable.
    fn report_failure(&self, error: &SendError) {
        if self.reports.admits() {
            let authority = &self.authority;
            tracing::warn!(error = %ErrorChain(error), "`{authority}` does not accept telemetry; recordings are not affected");
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.exchange(request).await;
        if let Err(error) = &result {
            self.report_failure(error);
        }
        result.map_err(Into::into)
    }
}
