//! The Event Grid extension's webhook, `/runtime/webhooks/eventgrid?functionName=<name>`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::{Function, Trigger};
use crate::invocation::{Members, encoded};
use crate::query::query;
use crate::raw_json::{Raw, normalised};
use crate::shared::Shared;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");

/// The part of an event that the extension puts into the metadata.
#[derive(Deserialize)]
struct Event {
    data: Option<Raw>,
}

/// The extension's ladder: the key, 404 for an unknown function, then by `aeg-event-type`. It waits for all invocations.
pub async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = shared.keys.refused_by_webhook(&uri, &headers) {
        return refused;
    }
    let wanted = query(&uri).remove("functionName").unwrap_or_default();
    let function = shared
        .invoker
        .app
        .functions
        .iter()
        .find(|function| function.name == wanted);
    let Some((function, binding, is_many)) = function.and_then(event_grid) else {
        return (
            StatusCode::NOT_FOUND,
            format!("cannot find function: '{wanted}'"),
        )
            .into_response();
    };
    if method == Method::OPTIONS {
        let origin = headers.get(REQUEST_ORIGIN).cloned();
        let allowed: HeaderMap = origin
            .map(|origin| (ALLOWED_ORIGIN, origin))
            .into_iter()
            .collect();
        return (StatusCode::OK, allowed).into_response();
    }
    let event_type = headers
        .get("aeg-event-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    match event_type.as_str() {
        "subscriptionvalidation" => validated(body),
        "notification" => match events_of(body) {
            Some(events) => notify(&shared, function, binding, is_many, events).await,
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        "unsubscribe" => StatusCode::ACCEPTED.into_response(),
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn event_grid(function: &Function) -> Option<(&Function, &str, bool)> {
    match &function.trigger {
        Trigger::EventGrid { binding, is_many } => Some((function, binding, *is_many)),
        Trigger::Http { .. } | Trigger::Timer { .. } => None,
    }
}

/// An array of events, or one; `None` where the extension fails: an empty body, no JSON, JSON that is neither.
fn events_of(body: &[u8]) -> Option<Vec<Raw>> {
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    let whole = normalised(whole);
    match whole.get().as_bytes().first()? {
        b'[' => serde_json::from_str(whole.get()).ok(),
        b'{' => Some(vec![whole]),
        _ => None,
    }
}

/// An array in the Event Grid schema; in CloudEvents an object whose `data` is JSON in a string.
fn validated(body: &[u8]) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let data = if body.is_array() {
        body[0]["data"].clone()
    } else {
        body["data"].clone()
    };
    let data = data
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(data);
    match data["validationCode"].as_str() {
        Some(code) => json!({"validationResponse": code})
            .to_string()
            .into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn notify(
    shared: &Shared,
    function: &Function,
    binding: &str,
    is_many: bool,
    events: Vec<Raw>,
) -> Response {
    let data_of = |event: &RawValue| {
        let event: Option<Event> = serde_json::from_str(event.get()).ok();
        event.and_then(|event| event.data).unwrap_or_else(null)
    };
    let batches: Vec<(Raw, Raw)> = if is_many {
        let data: Vec<Raw> = events.iter().map(|event| data_of(event)).collect();
        vec![(array(&events), array(&data))]
    } else {
        let with_data = events.into_iter().map(|event| {
            let data = data_of(&event);
            (event, data)
        });
        with_data.collect()
    };
    let invocations = batches.into_iter().map(|(value, event_data)| {
        let data = Members::from_iter([(binding.to_owned(), encoded(&value))]);
        let metadata = Members::from_iter([("data".to_owned(), encoded(&event_data))]);
        let reason = "EventGrid trigger fired";
        shared
            .invoker
            .invoke(&function.name, reason, data, metadata)
    });
    let results = futures::future::join_all(invocations).await;
    match results.into_iter().find_map(Result::err) {
        Some(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    }
}

fn null() -> Raw {
    RawValue::from_string("null".to_owned()).expect("null is JSON")
}

fn array(items: &[Raw]) -> Raw {
    serde_json::value::to_raw_value(items).expect("an array of JSON is JSON")
}
