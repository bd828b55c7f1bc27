//! Whether a delivery is authentic, by what is configured: the secret in its query, or Event Grid's token.

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

/// Authorizes a delivery. Where neither a secret nor tokens are configured, only the host's function key protects us.
///
/// Event Grid drops an event that is answered with 401, so only a delivery that cannot be genuine gets one.
pub(super) async fn authorize(
    app: &App,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !has_secret(app, query) {
        warn!("Refused a delivery without the right secret");
        metrics::DELIVERIES_REFUSED.increment(&[]);
        return Err(no_secret());
    }
    let Some(tokens) = &app.event_grid.tokens else {
        return Ok(());
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match tokens.validate(authorization, app.clock.now()).await {
        Ok(()) => Ok(()),
        // It may be authentic: Event Grid must retry.
        Err(error @ InvalidToken::NoKeys(_)) => {
            error!(error = %ErrorChain(&error), "A delivery's token could not be checked");
            let message = "The token cannot be checked now; deliver again.";
            Err(unavailable("KeysUnavailable", message))
        }
        Err(error @ InvalidToken::NotNow) => {
            error!(error = %ErrorChain(&error), "A delivery of Event Grid has a token that has expired or is not valid yet");
            let message = "The token has expired, or is not valid yet; deliver again.";
            Err(unavailable("TokenNotCurrent", message))
        }
        Err(
            error @ (InvalidToken::Missing
            | InvalidToken::Invalid(_)
            | InvalidToken::Unsupported(_)
            | InvalidToken::UnknownKey
            | InvalidToken::WrongIssuer { .. }
            | InvalidToken::OtherCaller),
        ) => {
            warn!(error = %ErrorChain(&error), "Refused a delivery");
            Err(refused(&format!(
                "This is not a delivery of our Event Grid subscription: {error}."
            )))
        }
    }
}

/// Authorizes the handshake of CloudEvents by the secret. Otherwise a subscription with a wrong secret could be created,
/// and Event Grid would drop each of its events.
pub(super) fn authorize_handshake(app: &App, query: Option<&str>) -> Result<(), Problem> {
    if has_secret(app, query) {
        return Ok(());
    }
    warn!("Refused a handshake without the right secret");
    Err(no_secret())
}

/// Whether a request shows the secret, or none is configured.
fn has_secret(app: &App, query: Option<&str>) -> bool {
    let secret = app.event_grid.secret.as_ref();
    secret.is_none_or(|secret| shows(secret, query.unwrap_or_default()))
}

fn no_secret() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "The `secret` of the request is missing or is not EVENT_GRID_SECRET. In the URL of a subscription, write `+` as %2B \
         and `&` as %26.",
    )
}

fn refused(message: &str) -> Problem {
    metrics::DELIVERIES_REFUSED.increment(&[]);
    Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
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
