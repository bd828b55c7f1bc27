//! The proxying host: method, path, query, headers and body, streaming both ways; and a retry of requests without a
//! body. `functionTimeout` counts until the last byte of the response.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{HOP_BY_HOP, content_length, path};
use crate::app::Function;
use crate::invocation::{HOST_VERSION, Invoker};

/// The host retries after any failure of the connection, even if only the response was lost.
const TRIES: u32 = 11;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Proxies a request. Whatever the answer's status: the host counts the invocation as succeeded.
pub async fn answer(invoker: &Invoker, function: &Function, request: Request) -> Response {
    let id = Uuid::new_v4().to_string();
    let name = &function.name;
    invoker.console.line(&format!(
        "Executing 'Functions.{name}' (Reason='This function was programmatically called via the host APIs.', Id={id})"
    ));
    let (parts, body) = request.into_parts();
    let has_body = content_length(&parts.headers).is_some_and(|length| length > 0)
        || parts.headers.contains_key(header::TRANSFER_ENCODING);
    let timeout = invoker.app.function_timeout;
    let ends_at = Instant::now() + timeout;
    let sending = async {
        if has_body {
            send(invoker, &id, &parts, body).await
        } else {
            send_again(invoker, &id, &parts).await
        }
    };
    let response = match timeout_at(ends_at, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            invoker
                .console
                .line(&format!("error: Functions.{name}: {error}"));
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(_) => {
            let reason = invoker.kill_after_timeout(name, timeout);
            invoker.console.line(&format!("error: {reason}"));
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let status = response.status();
    invoker.console.line(&format!(
        "Executed 'Functions.{name}' (Succeeded, Id={id}, Status={})",
        status.as_u16()
    ));
    let mut headers = response.headers().clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let body = until(ends_at, response.bytes_stream(), {
        let (invoker, name) = (invoker.clone(), name.clone());
        move || invoker.kill_after_timeout(&name, timeout)
    });
    (status, headers, Body::from_stream(body)).into_response()
}

/// Passes a body on. When the time has passed, the handler is killed and the body ends early.
fn until(
    ends_at: Instant,
    pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
    kill: impl Fn() -> String + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::try_unfold(
        (pieces.boxed(), kill),
        move |(mut pieces, kill)| async move {
            match timeout_at(ends_at, pieces.next()).await {
                Ok(Some(piece)) => Ok(Some((piece.map_err(io::Error::other)?, (pieces, kill)))),
                Ok(None) => Ok(None),
                Err(_) => Err(io::Error::other(kill())),
            }
        },
    )
}

async fn send_again(
    invoker: &Invoker,
    id: &str,
    parts: &Parts,
) -> Result<reqwest::Response, String> {
    let mut tried = 0;
    loop {
        tried += 1;
        match send(invoker, id, parts, Body::empty()).await {
            Err(_) if tried < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
            result => return result,
        }
    }
}

async fn send(
    invoker: &Invoker,
    id: &str,
    parts: &Parts,
    body: Body,
) -> Result<reqwest::Response, String> {
    let port = invoker.worker.port().await?;
    let path = path::proxied(parts.uri.path());
    let query = parts
        .uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    invoker
        .client
        .request(
            parts.method.clone(),
            format!("http://127.0.0.1:{port}{path}{query}"),
        )
        .headers(headers(parts, id))
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await
        .map_err(|error| error.to_string())
}

fn headers(parts: &Parts, id: &str) -> HeaderMap {
    let mut headers = parts.headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or_else(
        || "127.0.0.1".to_owned(),
        |ConnectInfo(peer)| peer.ip().to_string(),
    );
    // `Host` is the handler's own address then.
    let host = headers.remove(header::HOST);
    let host = host.unwrap_or(HeaderValue::from_static("localhost"));
    let text = |text: &str| {
        HeaderValue::from_str(text).expect("versions, ids and addresses are header values")
    };
    for (name, value) in [
        ("x-forwarded-host", host),
        ("x-forwarded-for", text(&peer)),
        ("x-forwarded-proto", text("http")),
        ("x-azure-functions-hostversion", text(HOST_VERSION)),
        ("x-azure-functions-invocationid", text(id)),
        ("x-ms-invocation-id", text(id)),
    ] {
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}
