//! `EventGridWebhook`: the same events through a plain webhook subscription, with both of Event Grid's handshakes.
//!
//! Event Grid drops an event that is answered with 400, 401, 403 or 413, so an authentic delivery never is.
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>,
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema>

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tracing::{error, info, warn};
use url::{Url, form_urlencoded};

use super::http_envelope;
use super::invocation::InvocationResponse;
use super::problem::Problem;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::intake::Delivery;
use crate::metrics;
use crate::oidc::InvalidToken;

/// Event Grid's batches have 1 MB at most; what is larger is not from there.
const DELIVERY_LIMIT_BYTES: usize = 8 << 20;
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Event Grid in the public, US Government and China clouds.
const EVENT_GRID_DOMAINS: [&str; 3] = [
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
];
const EVENT_TYPE_HEADER: &str = "aeg-event-type";
const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/eventgrid/webhook", post(deliver).options(allow))
        .layer(DefaultBodyLimit::max(DELIVERY_LIMIT_BYTES))
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "eventgrid", &body).await
}

/// Takes a delivery of Event Grid: events, or a handshake.
async fn deliver(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let budget = Budget::of(app.event_budget);
    authorize(&app, query.as_deref(), &headers).await?;
    let kind = headers
        .get(EVENT_TYPE_HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.eq_ignore_ascii_case("Unsubscribe") {
        info!("The Event Grid subscription was removed");
        return Ok((StatusCode::ACCEPTED, Json(json!({"unsubscribed": true}))).into_response());
    }
    let events = events_of(&body);
    if let Some(validation) = events
        .as_deref()
        .unwrap_or_default()
        .iter()
        .find(|event| is_validation(event))
    {
        return Ok(validated(&app, &validation["data"]));
    }
    let mut delivery = app.intake.begin();
    let taken = match &events {
        Some(events) => delivery.take_all(events).await,
        None => {
            delivery
                .take_unreadable(&body, "the delivery is not JSON")
                .await
        }
    };
    if let Err(error) = taken {
        error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
        let message = "The ledger failed; deliver again.";
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "LedgerUnavailable",
            message,
        ));
    }
    let Delivery {
        recorded, again, ..
    } = delivery;
    let count = recorded.len();
    app.dispatch.export(recorded, budget).await;
    match again {
        Some(why) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "TryAgain",
            why,
        )),
        None => Ok(Json(json!({"chunks": count})).into_response()),
    }
}

/// The handshake of CloudEvents: who asks may deliver, as fast as it likes.
async fn allow(headers: HeaderMap) -> Response {
    let origin = headers
        .get(REQUEST_ORIGIN)
        .and_then(|origin| origin.to_str().ok())
        .unwrap_or_default();
    let mut response = Json(json!({})).into_response();
    if !EVENT_GRID_DOMAINS.contains(&origin) {
        warn!(
            origin,
            "Refused the handshake of an origin that is not Event Grid"
        );
        return response;
    }
    let rate = headers
        .get(REQUEST_RATE)
        .cloned()
        .unwrap_or(HeaderValue::from_static("*"));
    let answer = [
        ("webhook-allowed-origin", HeaderValue::from_str(origin).ok()),
        ("webhook-allowed-rate", Some(rate)),
    ];
    for (name, value) in answer {
        if let Some(value) = value {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    response
}

/// Whether a delivery is authentic, by what is configured: the secret in its query, or Event Grid's token. Where neither is,
/// the host's function key stands alone.
async fn authorize(app: &App, query: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = || {
        metrics::DELIVERIES_REFUSED.increment(&[]);
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "This is no delivery of our Event Grid subscription.",
        )
    };
    if let Some(secret) = &app.event_grid.secret {
        let given = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "secret");
        if !given.is_some_and(|(_, given)| secret.is(&given)) {
            warn!("Refused a delivery without the right secret");
            return Err(refused());
        }
    }
    let Some(tokens) = &app.event_grid.tokens else {
        return Ok(());
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match tokens.validate(authorization).await {
        Ok(()) => Ok(()),
        // It may be authentic: Event Grid is to come again.
        Err(error @ InvalidToken::NoKeys(_)) => {
            error!(error = %ErrorChain(&error), "A delivery's token could not be checked");
            let message = "The token cannot be checked now; deliver again.";
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "KeysUnavailable",
                message,
            ))
        }
        Err(
            error @ (InvalidToken::Missing
            | InvalidToken::Invalid(_)
            | InvalidToken::UnknownKey
            | InvalidToken::OtherCaller),
        ) => {
            warn!(error = %ErrorChain(&error), "Refused a delivery");
            Err(refused())
        }
    }
}

/// One event or many; `None` for what is not JSON.
fn events_of(body: &[u8]) -> Option<Vec<Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match super::invocation::unwrapped(serde_json::from_slice(body).ok()?) {
        Value::Array(events) => Some(events),
        event @ (Value::Object(_)
        | Value::String(_)
        | Value::Number(_)
        | Value::Bool(_)
        | Value::Null) => Some(vec![event]),
    }
}

fn is_validation(event: &Value) -> bool {
    let event_type = event
        .get("eventType")
        .or_else(|| event.get("type"))
        .and_then(Value::as_str);
    event_type.is_some_and(|event_type| event_type.eq_ignore_ascii_case(VALIDATION))
}

/// The code at once; where there is only a URL, that is visited.
fn validated(app: &Arc<App>, data: &Value) -> Response {
    if let Some(code) = data["validationCode"].as_str() {
        info!("Confirmed an Event Grid subscription");
        return Json(json!({"validationResponse": code})).into_response();
    }
    match data["validationUrl"].as_str().and_then(event_grid_url) {
        Some(url) => {
            let app = Arc::clone(app);
            tokio::spawn(async move {
                match app
                    .event_grid
                    .client
                    .get(url)
                    .send()
                    .await
                    .and_then(reqwest::Response::error_for_status)
                {
                    Ok(_) => info!("Confirmed an Event Grid subscription by its URL"),
                    Err(error) => {
                        error!(error = %ErrorChain(&error.without_url()), "Could not confirm an Event Grid subscription");
                    }
                }
            });
            Json(json!({})).into_response()
        }
        None => Problem::invalid(
            Some("data.validationCode"),
            "The validation has neither a code nor a URL of Event Grid.",
        )
        .into_response(),
    }
}

/// Anybody may ask for a validation; we visit nobody else's hosts.
fn event_grid_url(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?.to_owned();
    let is_theirs = EVENT_GRID_DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
    });
    (is_theirs && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "https://rp-eastus2.eventgrid.azure.net:553/eventsubscriptions/x/validate?id=1",
        true
    )]
    #[case("http://rp-eastus2.eventgrid.azure.net/x", false)]
    #[case("https://eventgrid.azure.net.evil.example/x", false)]
    #[case("https://evil-eventgrid.azure.net/x", false)]
    #[case("https://a.eventgrid.azure.net@evil.example/x", false)]
    #[case("https://169.254.169.254/x", false)]
    fn only_event_grids_own_urls_are_visited(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(event_grid_url(url).is_some(), expected);
    }

    #[test]
    fn events_come_alone_in_an_array_with_a_byte_order_mark_and_encoded_twice() {
        for body in [
            "{\"id\":1}",
            "[{\"id\":1}]",
            "\u{feff}[{\"id\":1}]",
            "\"[{\\\"id\\\":1}]\"",
        ] {
            assert_eq!(
                events_of(body.as_bytes()),
                Some(vec![json!({"id": 1})]),
                "{body}"
            );
        }
        assert_eq!(events_of(b"<html>"), None);
    }
}
