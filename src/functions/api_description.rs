//! `ApiDescription`: the OpenAPI document of our HTTP API, made from the code.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;

use super::invocation::InvocationResponse;
use super::{
    http_envelope, metrics, recording_callbacks, recording_control, telephony_activities, vault,
};
use crate::app::App;

/// The description; `docs/openapi.json` is it, written down.
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
        telephony_activities::send,
        telephony_activities::reply,
        metrics::read,
        vault::list::summary,
        vault::list::recordings,
        vault::evidence::evidence,
        vault::recording::show,
        vault::media::media,
        vault::media::metadata,
        vault::media::ticket,
        vault::media::play,
        vault::list::days,
        vault::list::deadlines,
        vault::list::poison,
        vault::acceptance::accept,
        vault::actions::retry,
        vault::actions::verify,
        vault::actions::hold,
        vault::actions::release,
        vault::actions::replay,
    ),
    tags(
        (name = "recordings", description = "Control of recordings; the host asks for a function key"),
        (name = "vault", description = "Every recording, found, shown and played; what changes something needs OPERATOR_ACTIONS"),
        (name = "callbacks", description = "For ACS, with ACS's own token"),
        (name = "telephony", description = "For bots of the Bot Framework, with their own token or the key"),
        (name = "operations", description = "For whoever operates it; the host asks for a function key"),
    )
)]
pub struct ApiDescription;

/// The document as it is checked in.
pub fn text() -> String {
    ApiDescription::openapi()
        .to_pretty_json()
        .expect("the document has string keys only")
}

pub fn routes() -> Router<Arc<App>> {
    Router::new().route(
        "/api/openapi.json",
        get(async || Json(ApiDescription::openapi())),
    )
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "openapi.json", &body).await
}
