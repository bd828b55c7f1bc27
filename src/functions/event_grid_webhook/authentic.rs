//! Whether a delivery is authentic, by what is configured: the secret in its query, or Event Grid's token.
//!
//! Event Grid drops an event that is answered with 400, 401, 403 or 413, and repeats one that is answered with 503 for a day.
//! A setting may be wrong, a secret may have been replaced, and a key may have been published a moment ago. So only what is
//! not authentic whatever the settings are gets 401, and a handshake, after which no subscription exists.
//! <https://learn.microsoft.com/azure/event-grid/delivery-and-retry>

use axum::http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode_str;
use tracing::{error, warn};
use url::form_urlencoded;

use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::functions::problem::Problem;
use crate::metrics;
use crate::oidc::InvalidToken;
use crate::secret::SharedSecret;

/// What a request delivers, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    Events,
    /// The validation of a subscription that is being created.
    Handshake,
}

impl Delivered {
    /// The answer to a request that is not authentic by today's settings: a handshake fails, events are delivered again.
    fn refusal_status(self) -> StatusCode {
        match self {
            Self::Events => StatusCode::SERVICE_UNAVAILABLE,
            Self::Handshake => StatusCode::UNAUTHORIZED,
        }
    }

    /// Counts a refused delivery. A handshake is none: it comes before any event.
    fn count_refused(self) {
        match self {
            Self::Events => metrics::DELIVERIES_REFUSED.increment(&[]),
            Self::Handshake => {}
        }
    }
}

/// Authorizes a delivery. Where neither a secret nor tokens are configured, only the host's function key protects us.
pub(super) async fn authorize(
    app: &App,
    delivered: Delivered,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !has_secret(app, query) {
        return Err(secret_problem(app, delivered));
    }
    let Some(tokens) = &app.event_grid.tokens else {
        return Ok(());
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let checked = tokens.validate(authorization, app.clock.now()).await;
    checked.map_err(|error| token_problem(app, delivered, &error))
}

/// Authorizes the handshake of CloudEvents by the secret. Otherwise a subscription with a wrong secret could be created,
/// and each of its deliveries would be refused.
pub(super) fn authorize_handshake(app: &App, query: Option<&str>) -> Result<(), Problem> {
    if has_secret(app, query) {
        return Ok(());
    }
    Err(secret_problem(app, Delivered::Handshake))
}

/// Whether a request shows the secret, or none is configured.
fn has_secret(app: &App, query: Option<&str>) -> bool {
    let secret = app.event_grid.secret.as_ref();
    secret.is_none_or(|secret| shows(secret, query.unwrap_or_default()))
}

/// Reports a request without the secret.
fn secret_problem(app: &App, delivered: Delivered) -> Problem {
    delivered.count_refused();
    match delivered {
        Delivered::Handshake => warn!("Refused a handshake without the right secret"),
        Delivered::Events => {
            if app.event_grid.secret_reports.admits() {
                error!(
                    "Deliveries of events without the right secret are refused, and may be authentic; compare EVENT_GRID_SECRET with the subscription's URL"
                );
            }
        }
    }
    Problem::new(
        delivered.refusal_status(),
        "Unauthorized",
        "The `secret` of the request is missing or is not EVENT_GRID_SECRET. In the URL of a subscription, write `+` as %2B \
         and `&` as %26.",
    )
}

/// Reports a token that is not accepted.
fn token_problem(app: &App, delivered: Delivered, error: &InvalidToken) -> Problem {
    match error {
        InvalidToken::NoKeys(_) => {
            error!(error = %ErrorChain(error), "A delivery's token could not be checked");
            let message = "The token cannot be checked now; deliver again.";
            unavailable("KeysUnavailable", message)
        }
        InvalidToken::NotNow => {
            error!(error = %ErrorChain(error), "A delivery of Event Grid has a token that has expired or is not valid yet");
            let message = "The token has expired, or is not valid yet; deliver again.";
            unavailable("TokenNotCurrent", message)
        }
        // Of other settings, of a subscription without tokens, or of a key that is newer than our last look.
        InvalidToken::Missing
        | InvalidToken::UnknownKey
        | InvalidToken::WrongIssuer { .. }
        | InvalidToken::WrongAudience { .. }
        | InvalidToken::OtherCaller => {
            match delivered {
                Delivered::Handshake => {
                    warn!(error = %ErrorChain(error), "Refused a handshake without the right token");
                }
                Delivered::Events => {
                    if app.event_grid.token_reports.admits() {
                        error!(error = %ErrorChain(error), "Deliveries whose token is not what the settings expect are refused, and may be authentic");
                    }
                }
            }
            refused(delivered, delivered.refusal_status(), error)
        }
        InvalidToken::Invalid(_) | InvalidToken::Unsupported(_) => {
            warn!(error = %ErrorChain(error), "Refused a delivery");
            refused(delivered, StatusCode::UNAUTHORIZED, error)
        }
    }
}

fn refused(delivered: Delivered, status: StatusCode, error: &InvalidToken) -> Problem {
    delivered.count_refused();
    let message = format!("This is not a delivery of our Event Grid subscription: {error}.");
    Problem::new(status, "Unauthorized", message)
}

fn unavailable(code: &str, message: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
}

/// Whether a query shows the secret: encoded as a form does, or with its `+` and `&` as they are.
fn shows(secret: &SharedSecret, query: &str) -> bool {
    let as_form = form_urlencoded::parse(query.as_bytes())
        .any(|(name, given)| name == "secret" && secret.is(&given));
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .is_ok_and(|given| secret.is(&given))
    };
    // Everything behind `secret=`, up to each `&`: a bare one may belong to the secret.
    let verbatim = query
        .match_indices("secret=")
        .filter(|(at, _)| *at == 0 || query.as_bytes()[at - 1] == b'&')
        .map(|(at, name)| &query[at + name.len()..])
        .any(|rest| {
            let ends = rest
                .match_indices('&')
                .map(|(end, _)| end)
                .take(LONGEST_TRIED);
            ends.chain([rest.len()]).any(|end| decoded(&rest[..end]))
        });
    as_form || verbatim
}

/// Bare `&` of one query that are tried as a part of the secret.
const LONGEST_TRIED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::as_a_form("secret=a+b%2Bc%26d-0123456789", true)]
    #[case::with_percent("secret=a%20b%2Bc%26d-0123456789", true)]
    #[case::bare_plus("secret=a%20b+c%26d-0123456789", true)]
    #[case::bare_both("secret=a%20b+c&d-0123456789", true)]
    #[case::with_a_key_before("code=k&secret=a%20b+c&d-0123456789", true)]
    #[case::with_a_key_behind("secret=a%20b+c&d-0123456789&code=k", true)]
    #[case::wrong("secret=a%20b+c&d-012345678", false)]
    #[case::another_name("nosecret=a%20b+c&d-0123456789", false)]
    #[case::none("", false)]
    fn a_secret_is_found_however_the_url_was_written(#[case] query: &str, #[case] expected: bool) {
        let secret = SharedSecret::new("a b+c&d-0123456789");
        assert_eq!(shows(&secret, query), expected);
    }
}
