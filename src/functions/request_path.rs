//! Normalizes the path of a request as it arrives: in any case, with or without a trailing slash, with ids encoded once
//! or, by a host that proxies, twice. The result has the one form of our routes. Pure; knows no route's handler.
//!
//! The path is split before it is decoded, and each segment is decoded once: an encoded slash does not end a segment,
//! so a path that the host passed to an anonymous function never reaches one with a key.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::response::IntoResponse as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tower::ServiceExt as _;

use super::host_form::HostForm;
use super::problem::Problem;

/// All but the unreserved characters of RFC 3986 §2.3 and those that our routes contain unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    #[error("The path holds bytes that are not UTF-8.")]
    NotUtf8,
    #[error("A segment of the path is `.` or `..`.")]
    Dots,
    #[error(
        "An id in the path holds `%` after it was decoded. Encode an id once: `/` as `%2F`, `+` as `%2B`, `=` as `%3D`."
    )]
    EncodedTwice,
    #[error("The path is too long.")]
    TooLong,
}

/// Serves `routes` with the normalized path of every request.
pub fn with_one_form(routes: Router) -> Router {
    Router::new().fallback(move |mut request: Request| {
        let routes = routes.clone();
        async move {
            let form = HostForm::of(request.headers());
            match one_form(request.uri(), form) {
                Ok(uri) => {
                    *request.uri_mut() = uri;
                    // The router's error type is `Infallible`.
                    let answered = routes.oneshot(request).await;
                    answered.unwrap_or_else(|never| match never {})
                }
                Err(error) => Problem::invalid(None, error.to_string()).into_response(),
            }
        }
    })
}

fn one_form(uri: &Uri, form: HostForm) -> Result<Uri, InvalidPath> {
    let Some(path) = uri.path().strip_prefix('/') else {
        return Ok(uri.clone());
    };
    let raw: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    if !raw[0].eq_ignore_ascii_case("api") {
        // An envelope: the host sends the function's name exactly.
        return Ok(uri.clone());
    }
    let mut segments: Vec<String> = Vec::with_capacity(raw.len());
    for text in raw {
        let decoded = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| InvalidPath::NotUtf8)?;
        if matches!(&*decoded, "." | "..") {
            return Err(InvalidPath::Dots);
        }
        let segment = if is_id(&segments, &decoded) {
            id(decoded, form)?
        } else {
            decoded.to_ascii_lowercase()
        };
        segments.push(segment);
    }
    let encoded = segments
        .iter()
        .map(|segment| utf8_percent_encode(segment, ENCODED).to_string());
    let path = encoded.collect::<Vec<_>>().join("/");
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let path: PathAndQuery = format!("/{path}{query}")
        .parse()
        // Encoded segments and a query that was one are a path and a query; only their length can be refused.
        .map_err(|_| InvalidPath::TooLong)?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Ok(Uri::from_parts(parts).expect("only the path is another"))
}

/// Whether the segment after these is an id or a ticket. Every other segment is a word of a route, in any case.
fn is_id(before: &[String], segment: &str) -> bool {
    let second = before.get(1).map_or("", String::as_str);
    match (second, before.len()) {
        ("recordings", 2) => !segment.eq_ignore_ascii_case("callbacks"),
        ("vault", 3) | ("telephony", 4 | 6) => true,
        _ => false,
    }
}

/// A host that proxies encodes the `%` of `%2F` again, and no other `%`.
fn id(decoded: Cow<'_, str>, form: HostForm) -> Result<String, InvalidPath> {
    let id = match form {
        HostForm::Proxied => decoded.replace("%2F", "/").replace("%2f", "/"),
        HostForm::Forwarded | HostForm::Direct => decoded.into_owned(),
    };
    if id.contains('%') {
        return Err(InvalidPath::EncodedTwice);
    }
    if matches!(&*id, "." | "..") {
        return Err(InvalidPath::Dots);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(path: &str, form: HostForm) -> Result<String, InvalidPath> {
        one_form(&path.parse().unwrap(), form).map(|uri| uri.to_string())
    }

    #[rstest::rstest]
    #[case("/api/Vault/Summary", "/api/vault/summary")]
    #[case("/API/metrics/", "/api/metrics")]
    #[case("/api/vault/", "/api/vault")]
    #[case("/api/Recordings/CallBacks", "/api/recordings/callbacks")]
    #[case(
        "/api/recordings/AbC=/STOP/?code=X%2F",
        "/api/recordings/AbC%3D/stop?code=X%2F"
    )]
    #[case("/api/recordings/a%2Bb%2fc", "/api/recordings/a%2Bb%2Fc")]
    #[case("/api/recordings/a+b", "/api/recordings/a%2Bb")]
    #[case("/api/vault/chunks/0-eus-A/media", "/api/vault/chunks/0-eus-A/media")]
    #[case("/api/vault/play/Ticket.1.aB", "/api/vault/play/Ticket.1.aB")]
    #[case(
        "/api/Telephony/v3/Conversations/A%20b;c/Activities/X",
        "/api/telephony/v3/conversations/A%20b%3Bc/activities/X"
    )]
    // A route word must not be assembled from parts.
    #[case("/api/vault%2Fsummary", "/api/vault%2Fsummary")]
    #[case("/api/vault//summary", "/api/vault//summary")]
    #[case("/RecordingControl", "/RecordingControl")]
    fn a_path_gets_its_one_form(#[case] path: &str, #[case] expected: &str) {
        for form in [HostForm::Direct, HostForm::Forwarded, HostForm::Proxied] {
            assert_eq!(arrived(path, form).unwrap(), expected);
        }
    }

    #[test]
    fn a_slash_that_a_proxying_host_encoded_twice_is_a_slash() {
        let path = "/api/recordings/a%252Fb%252fc/stop";
        let expected = "/api/recordings/a%2Fb%2Fc/stop";
        assert_eq!(arrived(path, HostForm::Proxied).unwrap(), expected);
        for form in [HostForm::Direct, HostForm::Forwarded] {
            assert_eq!(arrived(path, form), Err(InvalidPath::EncodedTwice));
        }
    }

    #[test]
    fn a_path_that_is_too_long_once_it_is_encoded_is_refused() {
        let path = format!("/api/recordings/{}", "+".repeat(30_000));
        assert_eq!(arrived(&path, HostForm::Direct), Err(InvalidPath::TooLong));
    }

    #[rstest::rstest]
    #[case("/api/recordings/a%253Fx", InvalidPath::EncodedTwice)]
    #[case("/api/recordings/a%25", InvalidPath::EncodedTwice)]
    #[case("/api/vault/recordings/%252E%252E", InvalidPath::EncodedTwice)]
    #[case("/api/vault/play/%2e%2e/summary", InvalidPath::Dots)]
    #[case("/api/vault/play/../summary", InvalidPath::Dots)]
    #[case("/api/./vault", InvalidPath::Dots)]
    #[case("/api/recordings/.", InvalidPath::Dots)]
    #[case("/api/recordings/%ff", InvalidPath::NotUtf8)]
    fn a_path_that_could_mean_another_is_refused(
        #[case] path: &str,
        #[case] expected: InvalidPath,
    ) {
        for form in [HostForm::Direct, HostForm::Forwarded, HostForm::Proxied] {
            assert_eq!(arrived(path, form), Err(expected), "{path}");
        }
    }
}
