//! `ApiDescription`: the OpenAPI document of our HTTP API, made from the code.

mod shared;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use utoipa::OpenApi;

use super::invocation::InvocationResponse;
use super::{
    event_grid_webhook, http_envelope, metrics, recording_callbacks, recording_control,
    telephony_activities, vault,
};
use crate::app::App;

/// The description; `docs/openapi.json` is a copy of it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "recording-vault",
        description = "Call recordings of Azure Communication Services: started, paused, resumed, stopped, and looked up.",
        license(name = "MIT OR Apache-2.0"),
        contact(),
    ),
    servers((url = "/", description = "The Function App")),
    paths(
        recording_control::start,
        recording_control::list,
        recording_control::state,
        recording_control::pause,
        recording_control::resume,
        recording_control::stop,
        recording_callbacks::report,
        event_grid_webhook::deliver,
        event_grid_webhook::handshake::allow,
        telephony_activities::send,
        telephony_activities::reply,
        metrics::read,
        describe,
        vault::list::summary,
        vault::list::recordings,
        vault::evidence::evidence,
        vault::evidence::of_several,
        vault::recording::show,
        vault::media::media,
        vault::media::metadata,
        vault::media::ticket,
        vault::media::play,
        vault::list::days,
        vault::list::deadlines,
        vault::list::due_recordings,
        vault::poison::list,
        vault::poison::show,
        vault::rights::rights,
        vault::acceptance::accept,
        vault::actions::retry,
        vault::actions::verify,
        vault::holds::hold_recording,
        vault::holds::release_recording,
        vault::holds::list,
        vault::holds::add,
        vault::holds::release,
        vault::actions::replay,
        vault::acknowledgements::acknowledge_chunk,
        vault::acknowledgements::acknowledge_recording,
        vault::acknowledgements::dismiss,
        vault::page::page,
    ),
    tags(
        (name = "recordings", description = "Control of recordings; the host asks for a function key"),
        (name = "vault", description = "Find, show and play recordings. Actions need `OPERATOR_ACTIONS=on`."),
        (name = "events", description = "For Event Grid, with the host's key and what `EVENT_GRID_SECRET` or `EVENT_GRID_AUDIENCE` asks for"),
        (name = "callbacks", description = "For ACS, with ACS's own token"),
        (name = "telephony", description = "For bots of the Bot Framework, with their own token or the key"),
        (name = "operations", description = "For operators; the host asks for a function key"),
    )
)]
pub struct ApiDescription;

/// Builds the document from the annotations and from what every operation has in common.
fn document() -> Value {
    let mut document =
        serde_json::to_value(ApiDescription::openapi()).expect("the document has string keys only");
    shared::complete(&mut document);
    document
}

/// The document as it is checked in.
pub fn text() -> String {
    serde_json::to_string_pretty(&document()).expect("the document has string keys only")
}

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/openapi.json", get(describe))
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "describeApi", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(crate) async fn describe() -> Json<Value> {
    Json(document())
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "openapi.json", &body).await
}
