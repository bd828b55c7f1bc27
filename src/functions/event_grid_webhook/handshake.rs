//! Event Grid's handshakes: the validation event of its own schema, and the `OPTIONS` request of CloudEvents.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::{error, info, warn};
use url::Url;

use super::authentic;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::functions::problem::Problem;

const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Event Grid in the public, US Government and China clouds.
const EVENT_GRID_DOMAINS: [&str; 3] = [
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
];
const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";

/// Handshake of CloudEvents: allows the origin to deliver, without a rate limit.
#[utoipa::path(
    options, path = "/api/eventgrid/webhook", operation_id = "allowDeliveries", tag = "events",
    params(
        ("secret" = Option<String>, Query, description = "The value of `EVENT_GRID_SECRET`, where that is set"),
        ("WebHook-Request-Origin" = String, Header, description = "Origin of the sender"),
    ),
    responses(
        (status = 200, description = "`WebHook-Allowed-Origin` names who may", body = Object),
        (status = 401, description = "The secret is wrong", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn allow(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    authentic::authorize_handshake(&app, query.as_deref())?;
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
        return Ok(response);
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
    Ok(response)
}

pub(super) fn is_validation(event: &Value) -> bool {
    let event_type = event
        .get("eventType")
        .or_else(|| event.get("type"))
        .and_then(Value::as_str);
    event_type.is_some_and(|event_type| event_type.eq_ignore_ascii_case(VALIDATION))
}

/// Confirms a subscription: returns its code, or, where there is only a URL, visits that. `None` where there is neither.
pub(super) fn confirmed(app: &Arc<App>, data: &Value) -> Option<Value> {
    if let Some(code) = data["validationCode"].as_str() {
        info!("Confirmed an Event Grid subscription");
        return Some(json!({"validationResponse": code}));
    }
    let url = data["validationUrl"].as_str().and_then(event_grid_url)?;
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let visit = app.event_grid.client.get(url).send().await;
        match visit.and_then(reqwest::Response::error_for_status) {
            Ok(_) => info!("Confirmed an Event Grid subscription by its URL"),
            Err(error) => {
                error!(error = %ErrorChain(&error.without_url()), "Could not confirm an Event Grid subscription");
            }
        }
    });
    Some(json!({}))
}

/// The URL, if it is one of Event Grid's hosts: anyone can send a validation event, and no other host is visited.
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
}
