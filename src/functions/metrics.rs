//! `Metrics`: the metrics of this instance, as OpenMetrics text.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::http_envelope;
use super::invocation::InvocationResponse;
use crate::app::App;
use crate::metrics;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/metrics", get(read))
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "metrics", &body).await
}

/// The metrics of the instance that answers, since its start.
#[utoipa::path(
    get, path = "/api/metrics", operation_id = "readMetrics", tag = "operations",
    responses((
        status = 200, description = "OpenMetrics text, of the instance that answers", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ))
)]
pub(crate) async fn read() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, metrics::openmetrics::CONTENT_TYPE)],
        metrics::open_metrics(),
    )
}
