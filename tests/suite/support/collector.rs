//! An OpenTelemetry collector: takes spans and metrics by OTLP over HTTP, in protobuf, and keeps them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

/// A running collector.
pub struct Collector {
    url: String,
    seen: Arc<Seen>,
}

struct Seen {
    status: StatusCode,
    requests: Mutex<Vec<(HeaderMap, Bytes)>>,
    spans: Mutex<Vec<Span>>,
    /// The newest of each name.
    metrics: Mutex<BTreeMap<String, Metric>>,
    services: Mutex<Vec<String>>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::that_answers(StatusCode::OK).await
    }

    pub async fn that_answers(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let seen = Arc::new(Seen {
            status,
            requests: Mutex::default(),
            spans: Mutex::default(),
            metrics: Mutex::default(),
            services: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn spans(&self) -> Vec<Span> {
        self.seen
            .spans
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    /// The value of a metric, or how many values its histogram saw, over all labels that are not asked for.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metrics = self
            .seen
            .metrics
            .lock()
            .expect("no holder of this lock panics");
        let has = |attributes: &[KeyValue]| {
            let is_there = |(name, value): &(&str, &str)| {
                attribute(attributes, name).as_deref() == Some(*value)
            };
            labels.iter().all(is_there)
        };
        let points = match metrics.get(name)?.data.as_ref()? {
            metric::Data::Sum(sum) => &sum.data_points,
            metric::Data::Gauge(gauge) => &gauge.data_points,
            metric::Data::Histogram(histogram) => {
                let counted = histogram
                    .data_points
                    .iter()
                    .filter(|point| has(&point.attributes))
                    .map(|point| point.count);
                return Some(f64::from(
                    u32::try_from(counted.sum::<u64>()).expect("tests count little"),
                ));
            }
            metric::Data::ExponentialHistogram(_) | metric::Data::Summary(_) => return None,
        };
        let values = points
            .iter()
            .filter(|point| has(&point.attributes))
            .filter_map(|point| match point.value? {
                number_data_point::Value::AsDouble(value) => Some(value),
                number_data_point::Value::AsInt(value) => {
                    Some(f64::from(u32::try_from(value).expect("tests count little")))
                }
            });
        values.reduce(|sum, value| sum + value)
    }

    /// Name, unit and description of everything that is measured.
    pub fn described(&self) -> BTreeMap<String, (String, String)> {
        let metrics = self
            .seen
            .metrics
            .lock()
            .expect("no holder of this lock panics");
        metrics
            .iter()
            .map(|(name, metric)| {
                (
                    name.clone(),
                    (metric.unit.clone(), metric.description.clone()),
                )
            })
            .collect()
    }

    /// `service.name` of every request.
    pub fn services(&self) -> Vec<String> {
        self.seen
            .services
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    /// Headers and bodies as they came.
    pub fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.seen
            .requests
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }
}

/// An attribute as text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes
        .iter()
        .find(|attribute| attribute.key == name)?
        .value
        .clone();
    match value {
        Some(AnyValue {
            value: Some(any_value::Value::StringValue(text)),
        }) => Some(text),
        Some(AnyValue {
            value: Some(any_value::Value::IntValue(number)),
        }) => Some(number.to_string()),
        _ => None,
    }
}

async fn traces(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("spans come in protobuf");
    let mut spans = seen.spans.lock().expect("no holder of this lock panics");
    for resource in request.resource_spans {
        let named = resource
            .resource
            .and_then(|resource| attribute(&resource.attributes, "service.name"));
        seen.services
            .lock()
            .expect("no holder of this lock panics")
            .extend(named);
        spans.extend(
            resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans),
        );
    }
    seen.requests
        .lock()
        .expect("no holder of this lock panics")
        .push((headers, body));
    seen.status
}

async fn metrics(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request =
        ExportMetricsServiceRequest::decode(body.clone()).expect("metrics come in protobuf");
    let of_scope = request
        .resource_metrics
        .into_iter()
        .flat_map(|resource| resource.scope_metrics);
    let newest = of_scope
        .flat_map(|scope| scope.metrics)
        .map(|metric| (metric.name.clone(), metric));
    seen.metrics
        .lock()
        .expect("no holder of this lock panics")
        .extend(newest);
    seen.requests
        .lock()
        .expect("no holder of this lock panics")
        .push((headers, body));
    seen.status
}
