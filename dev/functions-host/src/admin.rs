//! The host's own API: `/admin/…`.

use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use crate::app::Trigger;
use crate::invocation::{HOST_VERSION, Members, encoded};
use crate::raw_json::raw;
use crate::shared::Shared;

pub fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/admin/functions", routing::get(list))
        .route("/admin/functions/{name}", routing::post(run))
        .route(
            "/admin/host/status",
            routing::get(|| async {
                Json(json!({"state": "Running", "version": HOST_VERSION, "id": "functions-host"}))
            }),
        )
        .route(
            "/admin/host/ping",
            routing::any(|| async { StatusCode::OK }),
        )
        .route("/admin/host/drain", routing::post(drain))
        .layer(from_fn_with_state(shared.clone(), authorized))
}

async fn authorized(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let refused = shared
        .keys
        .refused_by_admin(request.uri(), request.headers());
    match refused {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

async fn list(State(shared): State<Shared>) -> Json<Value> {
    Json(
        shared
            .invoker
            .app
            .functions
            .iter()
            .map(|function| json!({"name": function.name}))
            .collect(),
    )
}

/// Runs a function by hand: `{"input": "<text>"}`. Responds at once; the invocation continues.
async fn run(State(shared): State<Shared>, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(function) = shared
        .invoker
        .app
        .functions
        .iter()
        .find(|function| function.name == name)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let input = serde_json::from_slice::<Value>(&body)
        .map(|body| body["input"].clone())
        .unwrap_or_default();
    let decoded = input
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(input);
    let data = match &function.trigger {
        Trigger::Timer { binding, .. } => {
            let info = json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false});
            (binding.clone(), raw(&info))
        }
        Trigger::EventGrid { binding, .. } | Trigger::Http { binding, .. } => {
            (binding.clone(), encoded(&raw(&decoded)))
        }
    };
    let invoker = shared.invoker.clone();
    tokio::spawn(async move {
        let reason = "This function was programmatically called via the host APIs.";
        let _ = invoker
            .invoke(&name, reason, Members::from_iter([data]), Members::new())
            .await;
    });
    StatusCode::ACCEPTED.into_response()
}

/// Stops timers; everything else continues.
async fn drain(State(shared): State<Shared>) -> StatusCode {
    shared.draining.send_replace(true);
    StatusCode::ACCEPTED
}
