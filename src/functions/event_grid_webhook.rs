//! `EventGridWebhook`: the same events through a plain webhook subscription, with both of Event Grid's handshakes.
//!
//! Event Grid drops an event that is answered with 400, 401, 403 or 413, so a delivery that may be authentic never gets these.
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>,
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema>

mod authentic;
mod binary;
pub(super) mod handshake;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde_json::{Map, Value, json};
use tracing::error;

use super::invocation::InvocationResponse;
use super::problem::Problem;
use super::{http_envelope, request_memory};
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::intake::{
    Delivery, Origin, events_in, is_end_of_subscription, report_end_of_subscription,
};
use crate::recording::lenient_json;
use authentic::Delivered;

/// Event Grid's batches have 1 MB at most; a larger body does not come from Event Grid.
pub(super) const DELIVERY_LIMIT_BYTES: usize = 8 << 20;
const EVENT_TYPE_HEADER: &str = "aeg-event-type";

/// The limit of a body is the listener's: it answers with 503, not with 413.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/eventgrid/webhook",
            post(deliver).options(handshake::allow),
        )
        .layer(DefaultBodyLimit::disable())
}

/// The envelope form. One that cannot be read is a failure of the host, which Event Grid delivers again.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    match http_envelope::request_in(&body, "eventgrid") {
        Ok(request) => http_envelope::answer(routes, request).await,
        Err(reason) => {
            error!(
                error = reason,
                "The host's request to the webhook cannot be read"
            );
            InvocationResponse::failure(reason)
        }
    }
}

/// Authorizes a delivery before its body is read, and starts its budget: Event Grid waits from now. The handshake of
/// CloudEvents authorizes itself.
pub async fn authorized(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let budget = Budget::of(app.event_budget);
    request.extensions_mut().insert(budget);
    if request.method() == Method::POST {
        let (query, headers) = (request.uri().query(), request.headers());
        let delivered = if is_of_type(headers, b"SubscriptionValidation") {
            Delivered::Handshake
        } else {
            Delivered::Events
        };
        if let Err(problem) = authentic::authorize(&app, delivered, query, headers).await {
            request_memory::drain(request.into_body().into_data_stream()).await;
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// The answer to a delivery: the confirmation of its handshake, and how many chunks were recorded.
fn answer_of(confirmation: Option<Value>, chunks: usize) -> Value {
    match confirmation {
        // Event Grid expects the confirmation, and nothing else.
        Some(confirmation) if chunks == 0 => confirmation,
        Some(mut confirmation) => {
            confirmation["chunks"] = chunks.into();
            confirmation
        }
        None => json!({"chunks": chunks}),
    }
}

/// Takes a delivery of Event Grid: events, or a handshake, or both in one batch.
#[utoipa::path(
    post, path = "/api/eventgrid/webhook", operation_id = "deliverEvents", tag = "events",
    params(("secret" = Option<String>, Query, description = "The value of `EVENT_GRID_SECRET`, where that is set")),
    request_body(content = Vec<Object>, description = "Events in Event Grid's schema, or in CloudEvents 1.0"),
    responses(
        (status = 200, description = "They are recorded", body = Object),
        (status = 401, description = "The token is forged, or a handshake lacks the secret or the token", body = super::problem::ErrorAnswer),
        (status = 503, description = "The events are not recorded; Event Grid retries.", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn deliver(
    State(app): State<Arc<App>>,
    Extension(budget): Extension<Budget>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut events = events_of(&headers, &body);
    if is_of_type(&headers, b"Unsubscribe") {
        report_end_of_subscription();
        if let Some(events) = &mut events {
            events.retain(|event| !says_unsubscribed(event));
        }
        if body.trim_ascii().is_empty() || events.as_ref().is_some_and(Vec::is_empty) {
            return Ok((StatusCode::ACCEPTED, Json(json!({"unsubscribed": true}))).into_response());
        }
    }
    let mut delivery = app.intake.begin(Origin::EventGrid);
    let (taken, confirmation) = match events {
        Some(events) => {
            let (handshakes, events): (Vec<Value>, Vec<Value>) =
                events.into_iter().partition(handshake::is_validation);
            let confirmation = handshakes
                .iter()
                .find_map(|handshake| handshake::confirmed(&app, &handshake["data"]));
            if events.is_empty() && confirmation.is_none() && !handshakes.is_empty() {
                return Err(Problem::invalid(
                    Some("data.validationCode"),
                    "The validation has neither a code nor a URL of Event Grid.",
                ));
            }
            (Box::pin(delivery.take_all(&events)).await, confirmation)
        }
        None => {
            let reason = if lenient_json::has_too_many_values(&body) {
                "the delivery has more values than events have in its length"
            } else {
                "the delivery is not JSON"
            };
            (delivery.take_unreadable(&body, reason).await, None)
        }
    };
    // A burst of deliveries waits for its exports; what they were read from need not.
    drop(body);
    if let Err(error) = taken {
        error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
        app.driver.give_back(&delivery.recorded).await;
        return Err(again(
            "LedgerUnavailable",
            "The ledger failed; deliver again.",
        ));
    }
    let Delivery {
        recorded,
        again: delivered_again,
        ..
    } = delivery;
    let answer = answer_of(confirmation, recorded.len());
    app.dispatch.export(recorded, budget).await;
    app.notify_soon();
    match delivered_again {
        Some(why) => Err(again("TryAgain", &why)),
        None => Ok(Json(answer).into_response()),
    }
}

/// Event Grid delivers again.
fn again(code: &str, message: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
}

/// Whether Event Grid's header names this type of delivery.
fn is_of_type(headers: &HeaderMap, expected: &[u8]) -> bool {
    let kind = headers.get(EVENT_TYPE_HEADER).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(expected))
}

/// Whether a member of an unsubscription says no more than its header.
fn says_unsubscribed(event: &Value) -> bool {
    is_end_of_subscription(event) || event.as_object().is_some_and(Map::is_empty)
}

/// One event or many, in any form; `None` for what cannot be read.
fn events_of(headers: &HeaderMap, body: &[u8]) -> Option<Vec<Value>> {
    match binary::event(headers, body) {
        Some(event) => Some(vec![event]),
        None => events_in(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_alone_in_an_array_with_a_byte_order_mark_and_encoded_twice() {
        for body in [
            "{\"id\":1}",
            "[{\"id\":1}]",
            "\u{feff}[{\"id\":1}]",
            "\"[{\\\"id\\\":1}]\"",
        ] {
            assert_eq!(
                events_of(&HeaderMap::new(), body.as_bytes()),
                Some(vec![json!({"id": 1})]),
                "{body}"
            );
        }
        assert_eq!(events_of(&HeaderMap::new(), b"<html>"), None);
    }
}
