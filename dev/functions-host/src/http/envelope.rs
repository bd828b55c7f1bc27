//! HTTP triggers as envelopes: the request in `Data`, what can be bound to in `Metadata`, the answer from the output binding.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::{BODY_LIMIT_BYTES, content_length};
use crate::app::Function;
use crate::invocation::{Invoker, Members, encoded};
use crate::query::query;
use crate::raw_json::raw;

/// Sends a request as an envelope.
pub async fn answer(
    invoker: &Invoker,
    function: &Function,
    binding: &str,
    parameters: Vec<(String, Value)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    // A body without Content-Length is lost, as at the real host.
    let has_body = content_length(&parts.headers).is_some_and(|length| length > 0);
    let limit = usize::try_from(BODY_LIMIT_BYTES).unwrap_or(usize::MAX);
    let Ok(body) = axum::body::to_bytes(body, limit).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let mut req = json!({
        "Url": format!("http://{host}{}", parts.uri),
        "Method": parts.method.as_str(),
        "Query": query(&parts.uri),
        "Headers": header_lists(&parts.headers),
        "Params": parameters.iter().cloned().collect::<Map<_, _>>(),
        "Identities": [],
    });
    if has_body {
        let is_binary = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/octet-stream");
        req["Body"] = if is_binary {
            BASE64_STANDARD.encode(&body).into()
        } else {
            String::from_utf8_lossy(&body).into()
        };
    }
    let metadata = metadata(&parts.uri, &parts.headers, &parameters, &body);
    let data = Members::from_iter([(binding.to_owned(), raw(&req))]);
    let reason = "This function was programmatically called via the host APIs.";
    match invoker.invoke(&function.name, reason, data, metadata).await {
        Ok(outputs) => function.http_output.as_ref().map_or_else(
            || StatusCode::NO_CONTENT.into_response(),
            |name| rendered(&outputs[name]),
        ),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What other bindings could refer to: query, headers, route, and members of a JSON body.
fn metadata(
    uri: &Uri,
    headers: &HeaderMap,
    parameters: &[(String, Value)],
    body: &[u8],
) -> Members {
    let query = query(uri);
    let single: Map<String, Value> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    let of_body = match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    };
    let of_query = query
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())));
    let bound = of_query
        .chain(parameters.iter().cloned())
        .chain(of_body)
        .filter(|(_, value)| !value.is_null());
    let mut metadata: Members = bound
        .map(|(name, value)| (name, encoded(&raw(&value))))
        .collect();
    metadata.insert("Query".to_owned(), raw(&json!(query)));
    metadata.insert("Headers".to_owned(), raw(&Value::Object(single)));
    let system = json!({"UtcNow": jiff::Timestamp::now().to_string()});
    metadata.insert("$sys".to_owned(), raw(&system));
    metadata
}

/// `{"statusCode","headers","body"}` as a response; an object body is indented JSON, as text unless its type is said.
fn rendered(output: &Value) -> Response {
    let status = output.get("statusCode").or_else(|| output.get("status"));
    let status = status
        .and_then(|status| status.as_u64().or_else(|| status.as_str()?.parse().ok()))
        .unwrap_or(200);
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match output.get("body").filter(|body| !body.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(body) => serde_json::to_string_pretty(body).unwrap_or_default(),
        None => String::new(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    for (name, value) in output["headers"].as_object().into_iter().flatten() {
        if let (Ok(name), Some(Ok(value))) = (
            name.parse::<HeaderName>(),
            value.as_str().map(HeaderValue::from_str),
        ) {
            headers.insert(name, value);
        }
    }
    (status, headers, body).into_response()
}

fn header_lists(headers: &HeaderMap) -> Map<String, Value> {
    let values = |name| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
    };
    headers
        .keys()
        .map(|name| (name.to_string(), json!(values(name))))
        .collect()
}
