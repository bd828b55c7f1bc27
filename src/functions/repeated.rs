//! A request that the host sends again, because the handler died before its answer arrived, gets the answer of the first
//! run. The host sends it with the same invocation id; one with a body it does not send again.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::principal::{Caller, INVOCATION};
use super::problem::Problem;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::store::answers::{Answers, GivenAnswer};
use crate::store::digest::Sha256Digest;

/// Answers to actions have a few hundred bytes, and a hold as many cases as were added.
const LONGEST_ANSWER: usize = 1 << 20;

/// Gives the answer of the first run, or runs the request and stores its answer before it is sent. A refusal is not stored:
/// it did nothing.
pub async fn answer_once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let invocation = request.headers().get(INVOCATION);
    let invocation = invocation.and_then(|id| id.to_str().ok());
    let Some(invocation) = invocation.map(str::to_owned) else {
        return next.run(request).await;
    };
    let caller = Caller::of(request.headers(), app.platform_signs_in);
    let (parts, body) = request.into_parts();
    // The layer that limits requests has read the body already, within its limit.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Problem::invalid(None, "The body is not readable.").into_response();
    };
    // Another request is another action, even with the same invocation id. `Debug` quotes names, so no two callers have
    // the same form.
    let (method, uri, digest) = (&parts.method, &parts.uri, Sha256Digest::of(&body));
    let what = format!("{method} {uri}\n{:?}\n{digest}", caller.principal);
    let request = Request::from_parts(parts, Body::from(body));
    let answers = Answers::new(app.ledger.store(), Arc::clone(&app.clock));
    match answers.find(&invocation, &what).await {
        Ok(Some(given)) => return response_of(given),
        Ok(None) => {}
        // The request needs the same ledger: its own answer says what is wrong.
        Err(error) => {
            tracing::debug!(error = %ErrorChain(&error), "Could not look for the answer of an earlier run");
        }
    }
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, LONGEST_ANSWER).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "The answer of an action is not readable");
            let message = "The action was carried out, and its answer could not be sent.";
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", message)
                .into_response();
        }
    };
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let given = GivenAnswer {
        status: parts.status.as_u16(),
        content_type: content_type.map(str::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    if let Err(error) = answers.keep(&invocation, &what, &given).await {
        tracing::warn!(error = %ErrorChain(&error), "Could not store the answer of an action; a repeated request carries it out again");
    }
    Response::from_parts(parts, Body::from(body))
}

fn response_of(given: GivenAnswer) -> Response {
    let mut response = Response::new(Body::from(given.body));
    *response.status_mut() = StatusCode::from_u16(given.status).unwrap_or_default();
    if let Some(content_type) = given.content_type
        && let Ok(content_type) = HeaderValue::try_from(content_type)
    {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}
