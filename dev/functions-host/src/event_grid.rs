//! The Event Grid extension's webhook, `/runtime/webhooks/eventgrid?functionName=<name>`.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::app::{Function, Trigger};
use crate::invocation::encoded;
use crate::shared::{Shared, query};

/// The extension's ladder: 404 for an unknown function, then by `aeg-event-type`. It waits for all invocations.
pub async fn answer(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !shared.is_key_right(&uri, &headers) {
        return StatusCode::UNAUTHORIZED.into_response();
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
    let event_type = headers
        .get("aeg-event-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let Ok(body) =
        serde_json::from_slice::<Value>(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body))
    else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match event_type.as_str() {
        "subscriptionvalidation" => validated(&body),
        "notification" => {
            let events = normalised(body);
            let events = if let Value::Array(events) = events {
                events
            } else {
                vec![events]
            };
            notify(&shared, function, binding, is_many, events).await
        }
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

/// An array in the Event Grid schema; in CloudEvents an object whose `data` is JSON in a string.
fn validated(body: &Value) -> Response {
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
    events: Vec<Value>,
) -> Response {
    let batches: Vec<(Value, Value)> = if is_many {
        let data: Value = events.iter().map(|event| event["data"].clone()).collect();
        vec![(Value::Array(events), data)]
    } else {
        events
            .into_iter()
            .map(|event| (event.clone(), event["data"].clone()))
            .collect()
    };
    let invocations = batches.into_iter().map(|(value, event_data)| {
        let data = Map::from_iter([(binding.to_owned(), encoded(value))]);
        let metadata = Map::from_iter([("data".to_owned(), encoded(event_data))]);
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

/// The extension parses and writes events anew, and with them every text that looks like a date: trailing zeros go.
fn normalised(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(normalised_date(&text).unwrap_or(text)),
        Value::Array(values) => values.into_iter().map(normalised).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, normalised(value)))
            .collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn normalised_date(text: &str) -> Option<String> {
    let looks_like_a_date = text.len() >= 20
        && text.as_bytes()[4] == b'-'
        && text.as_bytes()[10] == b'T'
        && text.ends_with('Z');
    looks_like_a_date
        .then(|| text.parse::<Timestamp>().ok())
        .flatten()
        .map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_lose_their_trailing_zeros_and_nothing_else_changes() {
        let event =
            json!({"eventTime": "2026-03-02T10:16:05.7650000Z", "id": "a", "data": [{"n": 1}]});
        assert_eq!(
            normalised(event),
            json!({"eventTime": "2026-03-02T10:16:05.765Z", "id": "a", "data": [{"n": 1}]})
        );
    }
}
