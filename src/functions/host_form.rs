//! How the host passes HTTP requests on: by proxying them, by forwarding them, or not at all. Knows no route.
//!
//! A host that forwards (host.json without `enableProxyingHttpRequest`, or a host from before 2025) buffers each
//! response in memory and never frees that memory.

use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::Serialize;
use tracing::warn;

use super::origin::INVOCATION_ID;

/// What a host that forwards appends to the caller's user agent.
const FORWARDING_AGENT: &str = "Azure-Functions-Host/";
/// Tells `doctor` how its own request arrived.
pub const FORM_HEADER: HeaderName = HeaderName::from_static("x-recording-vault-host");

/// How a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HostForm {
    /// Without a host: from a program on this machine, from Lambda, or unfolded from an envelope.
    Direct,
    Forwarded,
    Proxied,
}

/// How the last request of a caller with a key arrived; one process has one host. An anonymous caller sends any user agent.
static LAST: AtomicU8 = AtomicU8::new(0);
static WARNED: Once = Once::new();

impl HostForm {
    pub fn of(headers: &HeaderMap) -> Self {
        let agents = headers.get_all(header::USER_AGENT).iter();
        let mut agents = agents.filter_map(|agent| agent.to_str().ok());
        if !headers.contains_key(INVOCATION_ID) {
            Self::Direct
        } else if agents.any(|agent| agent.contains(FORWARDING_AGENT)) {
            Self::Forwarded
        } else {
            Self::Proxied
        }
    }

    /// How the last request of a caller with a key arrived that a host passed on; `Direct` before the first.
    pub fn last() -> Self {
        match LAST.load(Ordering::Relaxed) {
            1 => Self::Forwarded,
            2 => Self::Proxied,
            _ => Self::Direct,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Forwarded => "forwarding",
            Self::Proxied => "proxying",
        }
    }

    /// Records how a request arrived; warns at the first one of the process that was forwarded.
    fn note(self) {
        match self {
            Self::Direct => {}
            Self::Forwarded => {
                LAST.store(1, Ordering::Relaxed);
                WARNED.call_once(|| {
                    warn!(
                        "The Functions host forwards HTTP requests: it buffers each response in memory, so parts of media are limited to 8 MiB and whole files to 64 MiB. Set `enableProxyingHttpRequest` in host.json and update the host."
                    );
                });
            }
            Self::Proxied => LAST.store(2, Ordering::Relaxed),
        }
    }
}

/// Records how each HTTP request arrived, for functions that require a key.
pub async fn noted(request: Request, next: Next) -> Response {
    HostForm::of(request.headers()).note();
    next.run(request).await
}

/// Reports in the response how an HTTP request arrived. An envelope is the host's own request.
pub async fn reported(request: Request, next: Next) -> Response {
    let path = request.uri().path().as_bytes();
    let is_envelope = !path
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"/api/"));
    if is_envelope {
        return next.run(request).await;
    }
    let form = HostForm::of(request.headers());
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static(form.name());
    response.headers_mut().insert(FORM_HEADER, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::proxied(&[(INVOCATION_ID, "1"), ("user-agent", "curl/8")], HostForm::Proxied)]
    #[case::proxied_without_agent(&[(INVOCATION_ID, "1")], HostForm::Proxied)]
    #[case::forwarded(&[(INVOCATION_ID, "1"), ("user-agent", "curl/8 Azure-Functions-Host/4.1037.0")], HostForm::Forwarded)]
    #[case::forwarded_without_agent(&[(INVOCATION_ID, "1"), ("user-agent", "Azure-Functions-Host/4.1037.0")], HostForm::Forwarded)]
    #[case::program(&[("user-agent", "curl/8")], HostForm::Direct)]
    fn the_form_is_told_by_what_the_host_adds(
        #[case] headers: &[(&'static str, &'static str)],
        #[case] expected: HostForm,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(HostForm::of(&headers), expected);
    }
}
