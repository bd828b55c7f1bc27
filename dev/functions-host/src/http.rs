//! HTTP triggers: matched by method and route, then proxied, or sent as an envelope and answered from the output binding.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::{Function, Trigger};
use crate::invocation::{HOST_VERSION, Invoker};
use crate::shared::{Shared, query};

const BODY_LIMIT_BYTES: usize = 100 << 20;
/// RFC 9110 §7.6.1, and what the two connections say of themselves.
const HOP_BY_HOP: [&str; 5] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
];

/// Everything under the route prefix.
pub async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let prefix = format!("/{}", shared.invoker.app.route_prefix);
    let Some(path) = path.strip_prefix(&prefix) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    for function in &shared.invoker.app.functions {
        let Trigger::Http {
            binding,
            methods,
            route,
            needs_key,
        } = &function.trigger
        else {
            continue;
        };
        let method = request.method().as_str();
        let Some(parameters) = route
            .matches(path)
            .filter(|_| methods.is_empty() || methods.iter().any(|allowed| allowed == method))
        else {
            continue;
        };
        if *needs_key && !shared.is_key_right(request.uri(), request.headers()) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if function.is_http_only
            && (shared.invoker.app.is_proxying || shared.invoker.app.is_forwarding)
        {
            return proxied(&shared.invoker, function, request).await;
        }
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| (name, Value::from(value)))
            .collect();
        return by_envelope(&shared.invoker, function, binding, parameters, request).await;
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Method, path, query, headers and body as they came, streaming both ways.
async fn proxied(invoker: &Invoker, function: &Function, request: Request) -> Response {
    let id = Uuid::new_v4().to_string();
    invoker.console.line(&format!(
        "Executing 'Functions.{}' (Reason='This function was programmatically called via the host APIs.', Id={id})",
        function.name
    ));
    let port = match invoker.worker.port().await {
        Ok(port) => port,
        Err(reason) => return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    };
    let sending = proxied_request(invoker, &id, port, request);
    let timeout = invoker.app.function_timeout;
    let response = match tokio::time::timeout(timeout, sending.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            invoker
                .console
                .line(&format!("error: Functions.{}: {error}", function.name));
            return StatusCode::BAD_GATEWAY.into_response();
        }
        Err(_) => {
            invoker.console.line(&format!(
                "error: {}",
                invoker.kill_after_timeout(&function.name, timeout)
            ));
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    // Whatever the status: the host counts a proxied invocation as succeeded.
    invoker.console.line(&format!(
        "Executed 'Functions.{}' (Succeeded, Id={id}, Status={})",
        function.name,
        response.status().as_u16()
    ));
    let status = response.status();
    let mut headers = response.headers().clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    (status, headers, Body::from_stream(response.bytes_stream())).into_response()
}

fn proxied_request(
    invoker: &Invoker,
    id: &str,
    port: u16,
    request: Request,
) -> reqwest::RequestBuilder {
    let (parts, body) = request.into_parts();
    let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    for (name, value) in [
        ("x-azure-functions-hostversion", HOST_VERSION),
        ("x-azure-functions-invocationid", id),
        ("x-ms-invocation-id", id),
    ] {
        let value = HeaderValue::from_str(value).expect("a version and a uuid are header values");
        headers.insert(HeaderName::from_static(name), value);
    }
    let url = format!("http://127.0.0.1:{port}{path_and_query}");
    invoker
        .client
        .request(parts.method, url)
        .headers(headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
}

async fn by_envelope(
    invoker: &Invoker,
    function: &Function,
    binding: &str,
    parameters: Map<String, Value>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    // A body without Content-Length is lost: so it is with the host.
    let has_body = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .is_some_and(|length| length != "0");
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
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
        "Params": parameters,
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
    let data = Map::from_iter([(binding.to_owned(), req)]);
    let reason = "This function was programmatically called via the host APIs.";
    match invoker
        .invoke(&function.name, reason, data, Map::new())
        .await
    {
        Ok(outputs) => function.http_output.as_ref().map_or_else(
            || StatusCode::NO_CONTENT.into_response(),
            |name| rendered(&outputs[name]),
        ),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
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
