//! The control plane of 2021-04: `/conversations/{conversationId}/recordings…`, flat errors, 200 for everything.
//!
//! Shapes as the Bot Framework's telephony samples and the SDKs of 2021 use them; which errors it gave is not publicly known.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use crate::control::{self, Refused};
use crate::request::ApiRequest;
use crate::world::World;

const API_VERSION: &str = "2021-04-15-preview1";

pub fn routes() -> Router<Arc<World>> {
    Router::new().route(
        "/conversations/{conversation}/{*rest}",
        routing::any(exchange),
    )
}

async fn exchange(
    State(world): State<Arc<World>>,
    Path((conversation, rest)): Path<(String, String)>,
    request: ApiRequest,
) -> Response {
    let result = control::admit(&world, &request).and_then(|()| {
        if request.api_version() != API_VERSION {
            return Err(control::refused(
                400,
                "UnsupportedApiVersion",
                "The API version is not supported",
            ));
        }
        answer(&world, &request.method, &conversation, &rest, &request.body)
    });
    result.unwrap_or_else(|Refused(status, code, message)| {
        let body = json!({"code": code, "message": message, "target": null, "details": []});
        (status, Json(body)).into_response()
    })
}

fn answer(
    world: &Arc<World>,
    method: &Method,
    conversation: &str,
    rest: &str,
    body: &[u8],
) -> Result<Response, Refused> {
    let operation = control::Operation::now(world);
    if *method != Method::GET {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        if !request["operationContext"].is_string() {
            return Err(control::refused(
                400,
                "8523",
                "Invalid argument: operationContext",
            ));
        }
    }
    let segments: Vec<&str> = rest.split('/').collect();
    let within = |id: &str| {
        let state = world.state();
        let is_there = state
            .recordings
            .get(id)
            .is_some_and(|recording| is_of(&recording.call.server_call_id, conversation));
        if is_there {
            Ok(())
        } else {
            Err(control::not_found())
        }
    };
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["Recordings"]) => {
            let server_call_id = {
                let state = world.state();
                let call = state
                    .calls
                    .iter()
                    .find(|call| is_of(&call.server_call_id, conversation));
                call.map(|call| call.server_call_id.clone())
                    .ok_or_else(control::not_established)?
            };
            let start = json!({"callLocator": {"kind": "serverCallLocator", "serverCallId": server_call_id}});
            let id =
                operation.start(&HeaderMap::new(), start.to_string().as_bytes())?["recordingId"]
                    .clone();
            Ok(Json(json!({"recordingId": id})).into_response())
        }
        ("GET", ["recordings", id]) => {
            within(id)?;
            Ok(
                Json(json!({"recordingState": operation.state(id)?["recordingState"]}))
                    .into_response(),
            )
        }
        ("POST", ["recordings", id, "Pause"]) => {
            within(id).and_then(|()| operation.pause(id)).map(|()| ok())
        }
        ("POST", ["recordings", id, "Resume"]) => within(id)
            .and_then(|()| operation.resume(id))
            .map(|()| ok()),
        ("DELETE", ["recordings", id]) => {
            within(id).and_then(|()| operation.stop(id)).map(|()| ok())
        }
        _ => Err(control::refused(405, "8520", "Not supported")),
    }
}

fn ok() -> Response {
    StatusCode::OK.into_response()
}

/// A conversation id is the base64url of what a server call id is the base64 of.
fn is_of(server_call_id: &str, conversation: &str) -> bool {
    let plain = |text: &str| {
        text.trim_end_matches('=')
            .replace('-', "+")
            .replace('_', "/")
    };
    plain(server_call_id) == plain(conversation)
}
