//! Refuses query parameters that a route does not know: a filter with a misspelt name would list everything, as if all
//! of it matched. Knows the parameters of each route, and no value.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{MatchedPath, Query, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::problem::Problem;
use crate::suggestion;

/// Parameters that the Functions host, or its caller, may add to every request.
const ALWAYS: [&str; 3] = ["code", "clientId", "secret"];
/// Routes that accept any parameter: those for ACS and bots, and the page, which is opened in a browser.
const ANYTHING: [&str; 5] = [
    "/api/recordings/callbacks",
    "/api/telephony/v3/conversations/{conversationId}/activities",
    "/api/telephony/v3/conversations/{conversationId}/activities/{activityId}",
    "/api/vault",
    "/api/vault/",
];
/// Parameters by the route of a GET. The other routes have none.
const PARAMETERS: [(&str, &[&str]); 7] = [
    (
        "/api/recordings",
        &["state", "conversation", "continuation", "top"],
    ),
    (
        "/api/vault/recordings",
        &[
            "from",
            "to",
            "call",
            "person",
            "participant",
            "state",
            "format",
            "q",
            "top",
            "continuation",
        ],
    ),
    (
        "/api/vault/recordings/{recording_id}/evidence",
        &["timeZone"],
    ),
    ("/api/vault/evidence", &["recordings", "timeZone"]),
    ("/api/vault/days", &["from", "to"]),
    ("/api/vault/deadlines", &["hours"]),
    ("/api/vault/deadlines/recordings", &["top"]),
];

/// Responds with 400 to a parameter that is unknown to the route, or is given twice.
pub async fn refuse_unknown(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let query = request.uri().query().unwrap_or_default();
    match route.map(MatchedPath::as_str) {
        Some(route) => match problem(request.method(), route, query) {
            Some(problem) => problem.into_response(),
            None => next.run(request).await,
        },
        None => next.run(request).await,
    }
}

fn problem(method: &Method, route: &str, query: &str) -> Option<Problem> {
    if ANYTHING.contains(&route) {
        return None;
    }
    let of_route = PARAMETERS.iter().find(|(known, _)| *known == route);
    let known = match (method, of_route) {
        (&Method::GET | &Method::HEAD, Some((_, known))) => *known,
        (_, _) => &[],
    };
    let mut seen = BTreeSet::new();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        // The host compares names without regard to case.
        if ALWAYS
            .iter()
            .any(|always| always.eq_ignore_ascii_case(&name))
        {
            continue;
        }
        if !known.contains(&&*name) {
            let hint = suggestion::hint(&name, known);
            let message = format!("This route has no query parameter `{name}`{hint}");
            return Some(Problem::invalid(Some(&name), message));
        }
        if !seen.insert(name.clone()) {
            let message = format!("`{name}` is given twice; give it once.");
            return Some(Problem::invalid(Some(&name), message));
        }
    }
    None
}

/// Returns the parameters of a route.
///
/// # Errors
/// When one is missing, or a number is not one.
pub fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(unreadable(&rejection.body_text())),
    }
}

/// `Failed to deserialize query string: <parameter>: <why>`, in our words.
fn unreadable(rejection: &str) -> Problem {
    let why = rejection
        .split_once("query string: ")
        .map_or(rejection, |(_, why)| why);
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match why.split_once(": ") {
        Some((name, _)) if is_name(name) => {
            let message = format!("`{name}` is not a whole number within its limits.");
            Problem::invalid(Some(name), message)
        }
        Some(_) | None => Problem::invalid(None, format!("The query is not complete: {why}.")),
    }
}

/// A parameter whose value may contain an unencoded `+`, which is decoded as a space: ids have no spaces.
pub fn with_plus(text: &str) -> String {
    text.replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_cannot_be_read_is_named() {
        let number = "Failed to deserialize query string: top: invalid digit found in string";
        let problem = format!("{:?}", unreadable(number));
        assert!(problem.contains("`top` is not a whole number"), "{problem}");
        let missing = "Failed to deserialize query string: missing field `recordings`";
        let problem = format!("{:?}", unreadable(missing));
        assert!(
            problem.contains("not complete: missing field `recordings`"),
            "{problem}"
        );
    }

    #[rstest::rstest]
    #[case("GET", "/api/vault/recordings", "from=2026-03-01&code=x&clientId=y")]
    #[case("HEAD", "/api/vault/recordings", "q=x")]
    #[case("POST", "/api/recordings", "code=x")]
    #[case("POST", "/api/recordings/callbacks", "anything=x&anything=y")]
    #[case("GET", "/api/vault/", "utm_source=mail")]
    fn what_a_route_knows_passes(#[case] method: Method, #[case] route: &str, #[case] query: &str) {
        assert_eq!(problem(&method, route, query), None);
    }

    #[rstest::rstest]
    #[case(
        "GET",
        "/api/vault/recordings",
        "form=2026-03-01",
        "did you mean `from`?"
    )]
    #[case("GET", "/api/vault/recordings", "limit=5", "did you mean `top`?")]
    #[case("GET", "/api/vault/days", "x=1", "expected `from` or `to`.")]
    #[case("GET", "/api/vault/days", "from=a&from=b", "given twice")]
    #[case("POST", "/api/recordings", "top=5", "there are none here.")]
    #[case("GET", "/api/recordings/{recording_id}", "x", "there are none here.")]
    fn anything_else_is_refused_with_what_is_probably_meant(
        #[case] method: Method,
        #[case] route: &str,
        #[case] query: &str,
        #[case] expected: &str,
    ) {
        let problem = problem(&method, route, query).map(|problem| format!("{problem:?}"));
        assert!(
            problem
                .as_ref()
                .is_some_and(|problem| problem.contains(expected)),
            "{problem:?}"
        );
    }
}
