//! HTTP triggers in the envelope form: unwraps the request, serves it by the same routes, and wraps the response.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use super::invocation::{Invocation, InvocationResponse};
use super::principal;
use super::problem::Problem;
use crate::error_chain::ErrorChain;

/// The largest response of our own routes that an envelope carries.
const ANSWER_LIMIT_BYTES: usize = 4 << 20;
/// Characters that the host's text of a URL may contain and a URL may not.
const NOT_IN_A_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// The caller's headers that our routes read.
const READ_HEADERS: [HeaderName; 20] = [
    header::IF_NONE_MATCH,
    header::AUTHORIZATION,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-functions-key"),
    HeaderName::from_static(principal::CLAIMS),
    HeaderName::from_static(principal::NAME),
    HeaderName::from_static(principal::ID),
    HeaderName::from_static(principal::CLAIMED_NAME),
    HeaderName::from_static("aeg-event-type"),
    HeaderName::from_static("webhook-request-origin"),
    HeaderName::from_static("webhook-request-rate"),
    // CloudEvents in binary mode.
    HeaderName::from_static("ce-id"),
    HeaderName::from_static("ce-source"),
    HeaderName::from_static("ce-specversion"),
    HeaderName::from_static("ce-subject"),
    HeaderName::from_static("ce-time"),
    HeaderName::from_static("ce-type"),
    HeaderName::from_static("ce-dataschema"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Marks a request that came in an envelope.
#[derive(Debug, Clone, Copy)]
struct InEnvelope;

/// Refuses requests in an envelope before they run: it cannot carry what the route returns.
pub async fn refuse_envelope(request: Request<Body>, next: Next) -> Response {
    if request.extensions().get::<InEnvelope>().is_some() {
        return not_in_this_form();
    }
    next.run(request).await
}

fn not_in_this_form() -> Response {
    let message = "This Functions host wraps requests in JSON, which cannot carry a file. Set `enableProxyingHttpRequest` in host.json.";
    Problem::new(StatusCode::NOT_IMPLEMENTED, "NotInThisForm", message).into_response()
}

/// Answers the request in an envelope; one that cannot be read gets 400.
pub async fn invoke(routes: Router, first_segment: &str, body: &[u8]) -> InvocationResponse {
    match request_in(body, first_segment) {
        Ok(request) => answer(routes, request).await,
        Err(reason) => {
            let message = format!("The host's request cannot be read: {reason}.");
            answered(Problem::invalid(None, message).into_response()).await
        }
    }
}

/// The request in `Data.req`. In its URL, our routes begin at `first_segment`.
///
/// # Errors
/// With what is wrong with it.
pub fn request_in(body: &[u8], first_segment: &str) -> Result<Request<Body>, String> {
    let invocation = Invocation::parse(body).map_err(|error| ErrorChain(&error).to_string())?;
    let request = invocation
        .binding("req")
        .ok_or("the invocation has no binding `req`")?;
    unfolded(&request, first_segment)
}

/// Serves a request of an envelope.
pub async fn answer(routes: Router, request: Request<Body>) -> InvocationResponse {
    let response = routes.oneshot(request).await;
    // The router's error type is `Infallible`.
    answered(response.unwrap_or_else(|never| match never {})).await
}

/// `Outputs.res` takes the response.
async fn answered(response: Response) -> InvocationResponse {
    InvocationResponse::success(Vec::new()).with_output("res", folded(response).await)
}

/// The HTTP request that `{"Url","Method","Headers","Body"}` describes.
fn unfolded(request: &Value, first_segment: &str) -> Result<Request<Body>, String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let url = text("Url").ok_or("it has no `Url`")?;
    // The path only: a host name may equal a route.
    let from = url.find("://").map_or(0, |scheme| scheme + 3);
    let url = &url[from + url[from..].find('/').ok_or("its `Url` has no path")?..];
    let url = url.split('#').next().unwrap_or_default();
    // The host decodes the path for display, but for `%2F`.
    let url: String = utf8_percent_encode(url, NOT_IN_A_URL).collect();
    let path_end = url.find('?').unwrap_or(url.len());
    let at = url[..path_end]
        .to_ascii_lowercase()
        .find(&format!("/{first_segment}"))
        .ok_or_else(|| format!("its `Url` has no /{first_segment}"))?;
    let method: Method = text("Method")
        .unwrap_or("GET")
        .parse()
        .map_err(|_| "its `Method` is no HTTP method")?;
    let body = match request.get("Body") {
        Some(Value::String(body)) => body.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(format!("/api{}", &url[at..]));
    for name in READ_HEADERS {
        if let Some(value) = header_of(request, &name) {
            builder = builder.header(name, value);
        }
    }
    builder
        .header(header::CONTENT_TYPE, "application/json")
        .extension(InEnvelope)
        .body(Body::from(body))
        .map_err(|error| error.to_string())
}

/// The host gives a list of values for each header.
fn header_of<'a>(request: &'a Value, wanted: &HeaderName) -> Option<&'a str> {
    let headers = request.get("Headers")?.as_object()?;
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_str()))?;
    value.as_str().or_else(|| value.get(0)?.as_str())
}

/// Whether the response is a file, whose bytes text in JSON does not keep.
fn is_file(response: &Response) -> bool {
    let begins = |name: HeaderName, with: &[&[u8]]| {
        let value = response.headers().get(name);
        value.is_some_and(|value| with.iter().any(|text| value.as_bytes().starts_with(text)))
    };
    let kinds: [&[u8]; 4] = [
        b"audio/",
        b"video/",
        b"application/zip",
        b"application/octet-",
    ];
    response.status().is_success()
        && (begins(header::CONTENT_TYPE, &kinds)
            || begins(header::CONTENT_DISPOSITION, &[b"attachment"])
            || response.headers().contains_key(header::ACCEPT_RANGES))
}

/// The response in the form of the host's HTTP output binding.
async fn folded(response: Response) -> Value {
    let response = if is_file(&response) {
        not_in_this_form()
    } else {
        response
    };
    let status = response.status().as_u16();
    let headers: Map<String, Value> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != header::CONTENT_LENGTH)
        .filter_map(|(name, value)| Some((name.to_string(), Value::from(value.to_str().ok()?))))
        .collect();
    let Ok(body) = axum::body::to_bytes(response.into_body(), ANSWER_LIMIT_BYTES).await else {
        let error = json!({"code": "AnswerIncomplete", "message": "The answer broke off, or is too large for this form."});
        return json!({"statusCode": 502, "headers": {"content-type": "application/json"}, "body": {"error": error}});
    };
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    json!({"statusCode": status, "headers": headers, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("http://localhost:7071/api/recordings", "/api/recordings")]
    #[case(
        "https://app.azurewebsites.net/api/recordings/a%2Fb/pause",
        "/api/recordings/a%2Fb/pause"
    )]
    #[case(
        "https://app.azurewebsites.net/api/recordings?state=active",
        "/api/recordings?state=active"
    )]
    #[case("http://localhost/custom/prefix/recordings/x", "/api/recordings/x")]
    #[case("http://localhost/API/Recordings/a b", "/api/Recordings/a%20b")]
    #[case(
        "https://recordings-prod.azurewebsites.net/api/recordings/x",
        "/api/recordings/x"
    )]
    fn an_envelope_is_unfolded_to_the_route_it_came_by(#[case] url: &str, #[case] path: &str) {
        let request = unfolded(&json!({"Url": url, "Method": "POST"}), "recordings").unwrap();
        assert_eq!(request.uri(), path);
    }

    #[rstest::rstest]
    #[case(json!({}), "it has no `Url`")]
    #[case(json!({"Url": "https://recordings.example"}), "its `Url` has no path")]
    #[case(json!({"Url": "http://localhost/api/other?x=/recordings"}), "its `Url` has no /recordings")]
    fn an_envelope_without_our_url_says_so(#[case] request: Value, #[case] expected: &str) {
        assert_eq!(unfolded(&request, "recordings").unwrap_err(), expected);
    }

    #[rstest::rstest]
    #[case::zip(&[("content-type", "application/zip")])]
    #[case::media(&[("content-type", "audio/wav")])]
    #[case::download(&[("content-type", "application/json"), ("content-disposition", "attachment; filename=\"a.json\"")])]
    #[case::in_parts(&[("content-type", "application/json"), ("accept-ranges", "bytes")])]
    #[tokio::test]
    async fn a_file_is_not_turned_into_text(#[case] headers: &[(&str, &str)]) {
        let mut response = axum::http::Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let answer = folded(response.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer["statusCode"], 501);
        assert_eq!(answer["body"]["error"]["code"], "NotInThisForm");
    }

    #[test]
    fn the_signed_in_caller_comes_along() {
        let names = [
            principal::CLAIMS,
            principal::NAME,
            principal::ID,
            principal::CLAIMED_NAME,
        ];
        let headers: Map<String, Value> = names
            .iter()
            .map(|name| (name.to_uppercase(), json!([format!("of {name}")])))
            .collect();
        let request = json!({"Url": "http://h/api/vault/summary", "Headers": headers});
        let request = unfolded(&request, "vault").unwrap();
        for name in names {
            let value = request.headers().get(name).unwrap();
            assert_eq!(value.to_str().unwrap(), format!("of {name}"));
        }
    }

    #[test]
    fn headers_that_our_routes_read_come_along() {
        let headers =
            json!({"authorization": ["Bearer x"], "Idempotency-Key": "k", "Cookie": ["c"]});
        let request = unfolded(
            &json!({"Url": "http://h/api/recordings", "Headers": headers}),
            "recordings",
        )
        .unwrap();
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(
            (
                header("authorization"),
                header("idempotency-key"),
                header("cookie")
            ),
            (Some("Bearer x"), Some("k"), None)
        );
    }
}
