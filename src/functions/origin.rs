//! Refuses requests of web pages at the loopback listener: a browser on this machine sends what a page of any site asks
//! for.
//!
//! Behind the host every request carries an invocation id, which a page can only add after a preflight, and nothing
//! here answers one. `Host` and `Origin` are not compared: behind the proxying host `Host` is `127.0.0.1:port`, and the
//! `Origin` of the operator's page is the site's.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

pub const INVOCATION_ID: &str = "x-azure-functions-invocationid";
/// Content types that a page may send to another site without a preflight.
const SIMPLE_TYPES: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

/// Refuses a request that changes something if a page of another site may have sent it.
pub(super) async fn refuse_pages(request: Request, next: Next) -> Response {
    if is_refused(request.method(), request.headers()) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "CrossOriginRefused",
            "A request that changes something comes through the Functions host, or from a program on this machine that sends JSON and no Origin.",
        )
        .into_response();
    }
    next.run(request).await
}

fn is_refused(method: &Method, headers: &HeaderMap) -> bool {
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || headers.contains_key(INVOCATION_ID) {
        return false;
    }
    headers.contains_key(header::ORIGIN)
        || headers
            .get_all(header::CONTENT_TYPE)
            .iter()
            .any(|value| is_simple(value.as_bytes()))
}

fn is_simple(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    SIMPLE_TYPES
        .iter()
        .any(|simple| essence.eq_ignore_ascii_case(simple.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::program("POST", &[("content-type", "application/json")], false)]
    #[case::no_type("POST", &[], false)]
    #[case::page("POST", &[("origin", "https://evil.example")], true)]
    #[case::sandboxed_page("DELETE", &[("origin", "null")], true)]
    #[case::form("POST", &[("content-type", "application/x-www-form-urlencoded")], true)]
    #[case::file_form("PUT", &[("content-type", "Multipart/Form-Data; boundary=x")], true)]
    #[case::text("PATCH", &[("content-type", " text/plain;charset=UTF-8")], true)]
    #[case::read("GET", &[("origin", "https://evil.example")], false)]
    #[case::handshake("OPTIONS", &[("origin", "https://evil.example")], false)]
    #[case::through_the_host("POST", &[("origin", "https://app.azurewebsites.net"), (INVOCATION_ID, "1")], false)]
    #[case::form_through_the_host("POST", &[("content-type", "text/plain"), (INVOCATION_ID, "1")], false)]
    fn what_a_page_of_another_site_may_send_is_refused(
        #[case] method: Method,
        #[case] headers: &[(&'static str, &'static str)],
        #[case] expected: bool,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(is_refused(&method, &headers), expected);
    }
}
