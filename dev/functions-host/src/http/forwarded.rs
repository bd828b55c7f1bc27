//! The forwarding host: it rebuilds the request, and buffers the whole response before it passes any of it on.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::{BODY_LIMIT_BYTES, HOP_BY_HOP, content_length, path};
use crate::app::Function;
use crate::invocation::{HOST_VERSION, Invoker};

const INVOCATION_ID: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// Forwards a request. Whatever the answer's status: the host counts the invocation as succeeded.
pub async fn answer(invoker: &Invoker, function: &Function, request: Request) -> Response {
    let id = Uuid::new_v4().to_string();
    let name = &function.name;
    invoker.console.line(&format!(
        "Executing 'Functions.{name}' (Reason='This function was programmatically called via the host APIs.', Id={id})"
    ));
    let timeout = invoker.app.function_timeout;
    match tokio::time::timeout(timeout, send(invoker, &id, request)).await {
        Ok(Ok(response)) => {
            let status = response.status().as_u16();
            invoker.console.line(&format!(
                "Executed 'Functions.{name}' (Succeeded, Id={id}, Status={status})"
            ));
            response
        }
        Ok(Err(error)) => {
            invoker
                .console
                .line(&format!("error: Functions.{name}: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => {
            let reason = invoker.kill_after_timeout(name, timeout);
            invoker.console.line(&format!("error: {reason}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn send(invoker: &Invoker, id: &str, request: Request) -> Result<Response, String> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err("a body without Content-Length cannot be forwarded".to_owned());
    }
    let port = invoker.worker.port().await?;
    let path = path::forwarded(parts.uri.path());
    let query = parts
        .uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut sending = invoker
        .client
        .request(
            parts.method,
            format!("http://127.0.0.1:{port}{path}{query}"),
        )
        .headers(headers(&parts.headers, id));
    if content_length(&parts.headers).is_some_and(|length| length > 0) {
        let limit = usize::try_from(BODY_LIMIT_BYTES).unwrap_or(usize::MAX);
        let body = axum::body::to_bytes(body, limit).await;
        sending = sending.body(body.map_err(|error| error.to_string())?);
    }
    let response = sending.send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let mut headers = response.headers().clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let whole = response.bytes().await.map_err(|error| error.to_string())?;
    Ok((status, headers, Body::from(whole)).into_response())
}

/// The caller's own, with the host's user agent and invocation id behind what the caller sent.
fn headers(callers: &HeaderMap, id: &str) -> HeaderMap {
    let mut headers = callers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(header::CONTENT_LENGTH);
    let mut append = |name: HeaderName, between: &str, value: &str| {
        let before = headers.get(&name).and_then(|value| value.to_str().ok());
        let both = match before {
            Some(before) => format!("{before}{between}{value}"),
            None => value.to_owned(),
        };
        let both = HeaderValue::from_str(&both).expect("two header values are one");
        headers.insert(name, both);
    };
    append(
        header::USER_AGENT,
        " ",
        &format!("Azure-Functions-Host/{HOST_VERSION}"),
    );
    append(INVOCATION_ID, ", ", id);
    headers.insert(
        HeaderName::from_static("x-azure-functions-hostversion"),
        HeaderValue::from_static(HOST_VERSION),
    );
    headers
}
