//! HTTP triggers: matched by method and route, then proxied, forwarded, or sent as an envelope, as the host is one.

mod envelope;
mod forwarded;
mod path;
mod proxied;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::app::{Function, FunctionApp, Passing, Trigger};
use crate::shared::Shared;

/// The host responds to a larger body with an empty 500.
const BODY_LIMIT_BYTES: u64 = 100 << 20;
/// Hop-by-hop headers: RFC 9110 §7.6.1, and those that the two connections set.
const HOP_BY_HOP: [&str; 5] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
];

/// A function whose route and method a request has.
pub struct Matched<'a> {
    pub function: &'a Function,
    binding: &'a str,
    needs_key: bool,
    parameters: Vec<(String, Value)>,
}

/// The function that the host passes a request to: of several that match, the one whose name sorts first.
pub fn matched<'a>(app: &'a FunctionApp, method: &str, path: &str) -> Option<Matched<'a>> {
    if path.contains("//") {
        return None;
    }
    let path = path::decoded(path);
    let prefix = format!("/{}", app.route_prefix);
    let rest = path
        .get(..prefix.len())
        .filter(|start| start.eq_ignore_ascii_case(&prefix))
        .map(|_| &path[prefix.len()..])?;
    app.functions.iter().find_map(|function| {
        let Trigger::Http {
            binding,
            methods,
            route,
            needs_key,
        } = &function.trigger
        else {
            return None;
        };
        let is_offered = methods.is_empty() || methods.iter().any(|allowed| allowed == method);
        let parameters = route.matches(rest).filter(|_| is_offered)?;
        Some(Matched {
            function,
            binding,
            needs_key: *needs_key,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| (name, Value::from(value)))
                .collect(),
        })
    })
}

/// Everything under the route prefix.
pub async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let app = &shared.invoker.app;
    let Some(matched) = matched(app, request.method().as_str(), request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Matched {
        function,
        binding,
        needs_key,
        parameters,
    } = matched;
    if needs_key
        && !shared
            .keys
            .opens_function(&function.name, request.uri(), request.headers())
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if content_length(request.headers()).is_some_and(|length| length > BODY_LIMIT_BYTES) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let _call = shared.invoker.begin_call();
    match app.passing {
        Passing::Proxying if function.is_http_only => {
            proxied::answer(&shared.invoker, function, request).await
        }
        Passing::Forwarding if function.is_http_only => {
            forwarded::answer(&shared.invoker, function, request).await
        }
        Passing::Proxying | Passing::Forwarding | Passing::Envelopes => {
            envelope::answer(&shared.invoker, function, binding, parameters, request).await
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
