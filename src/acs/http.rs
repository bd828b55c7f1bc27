//! One signed exchange with ACS. Redirects are off: a caller that follows one signs again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::credentials::TokenCredential;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tracing::field::Empty;
use tracing::{Instrument as _, debug, error, info_span};
use url::{Position, Url};
use uuid::Uuid;

use super::credential::{AccessKey, AcsCredential, EntraCredential, TOKEN_SCOPE};
use super::endpoint::AcsEndpoint;
use super::error::{AcsErrorAnswer, ExchangeError};
use super::hmac::{self, DateHeader, Signed};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::metrics;
use crate::throttle::Throttle;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An exchange without a byte for this long has failed.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait that is honoured: a server hardly means a longer one.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A refused credential fails every request: it is reported at once, and then at this interval.
const REPORT_REFUSED_EVERY: Duration = Duration::from_mins(5);

/// "HMAC-SHA256 validation failed" (recorded in June 2025).
const SIGNATURE_REFUSED: &str = "7509";

/// A request to be signed and sent.
pub struct AcsRequest {
    /// Its purpose in one word, for metrics and traces.
    pub operation: &'static str,
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub date_header: DateHeader,
}

impl AcsRequest {
    /// Creates a request with its own id, which stays the same when the request is sent again.
    pub fn new(operation: &'static str, method: Method, url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("x-ms-client-request-id"),
            text(&Uuid::new_v4().to_string()),
        );
        Self {
            operation,
            method,
            url,
            headers,
            body: Bytes::new(),
            date_header: DateHeader::XMsDate,
        }
    }
}

/// The connection to ACS, with our credential.
#[derive(Clone)]
pub struct AcsHttp {
    client: reqwest::Client,
    endpoint: AcsEndpoint,
    credential: AcsCredential,
    clock: Arc<dyn Clock>,
    refused_reports: Arc<Throttle>,
}

impl AcsHttp {
    /// Sets up the client; sends nothing.
    ///
    /// # Errors
    /// When the platform offers no TLS.
    pub fn new(
        endpoint: AcsEndpoint,
        credential: AcsCredential,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // Each range of a file uses its own connection: streams of one connection share its window.
            .http1_only()
            .user_agent(concat!("recording-vault/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            endpoint,
            credential,
            clock,
            refused_reports: Arc::new(Throttle::new(REPORT_REFUSED_EVERY)),
        })
    }

    pub fn endpoint(&self) -> &AcsEndpoint {
        &self.endpoint
    }

    fn http_date(&self) -> String {
        http_date(self.clock.now())
    }

    /// Explains a signature that ACS refuses: what was signed, and the difference of the clocks. Without the path, which can
    /// name a conversation or a recording.
    pub fn signature_hint(&self, request: &AcsRequest, answer: &AcsErrorAnswer) -> Option<String> {
        if answer.code.as_deref() != Some(SIGNATURE_REFUSED) {
            return None;
        }
        let clocks = answer
            .server_date
            .as_deref()
            .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        let clocks = clocks.map_or_else(
            || "ACS did not say what time it is".to_owned(),
            |theirs| {
                format!(
                    "our clock is {} s ahead of ACS's",
                    self.clock.now().as_second() - theirs.as_second()
                )
            },
        );
        let host = self.endpoint.authority();
        Some(format!(
            "the client signed the request `{}` ({}) for host `{host}` at {}; {clocks}; check ACS_ENDPOINT and ACS_ACCESS_KEY",
            request.operation,
            request.method,
            self.http_date()
        ))
    }

    /// Reports a refused credential: nothing can be recorded, exported or deleted until an operator acts.
    pub(super) fn report_refused(&self, status: StatusCode, host: &str, answer: &AcsErrorAnswer) {
        if !self.refused_reports.admits() {
            return;
        }
        let remedy = match &self.credential {
            AcsCredential::AccessKey(_) => "check ACS_ACCESS_KEY",
            AcsCredential::Entra(_) => {
                "check the role of the identity on the ACS resource, and AZURE_CLIENT_ID"
            }
        };
        error!(
            http.response.status_code = status.as_u16(),
            server.address = host,
            trace_id = answer.trace_id,
            ms_cv = answer.ms_cv,
            chain_id = answer.chain_id,
            code = answer.code,
            "ACS refuses our credential (HTTP {status}){answer}; {remedy}"
        );
    }

    /// Signs and sends; if the token is refused, sends once more with a new one. Returns an answer with any status.
    ///
    /// # Errors
    /// When there is no token, or no answer.
    pub async fn send(&self, request: &AcsRequest) -> Result<Response, ExchangeError> {
        // Not the path: it tells who was called.
        let span = info_span!(
            "acs", otel.name = format!("ACS {}", request.operation), otel.kind = "client", otel.status_code = Empty,
            http.request.method = %request.method, server.address = request.url.host_str(), http.response.status_code = Empty,
        );
        let began = Instant::now();
        let result = self.exchange(request).instrument(span.clone()).await;
        let status = result
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        match status {
            Some(status) => span.record("http.response.status_code", status),
            None => span.record("otel.status_code", "ERROR"),
        };
        metrics::ACS_REQUESTS.increment(&[request.operation, metrics::status_class(status)]);
        metrics::ACS_REQUEST_DURATION.record(began.elapsed().as_secs_f64(), &[request.operation]);
        result
    }

    async fn exchange(&self, request: &AcsRequest) -> Result<Response, ExchangeError> {
        match &self.credential {
            AcsCredential::AccessKey(key) => {
                let headers = self.signature(request, key);
                self.exchange_with(request, headers).await
            }
            AcsCredential::Entra(entra) => self.exchange_with_token(request, entra).await,
        }
    }

    async fn exchange_with_token(
        &self,
        request: &AcsRequest,
        entra: &EntraCredential,
    ) -> Result<Response, ExchangeError> {
        let used = entra.current();
        let headers = token_header(used.as_ref())
            .await
            .map_err(ExchangeError::Token)?;
        let response = self.exchange_with(request, headers).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let renewed = async { token_header(entra.renewed(&used)?.as_ref()).await };
        match renewed.await {
            Ok(headers) => self.exchange_with(request, headers).await,
            Err(error) => {
                // ACS's own answer says more.
                debug!(error = %ErrorChain(&error), "Could not get another token after one was refused");
                Ok(response)
            }
        }
    }

    fn signature(&self, request: &AcsRequest, key: &AccessKey) -> HeaderMap {
        let content_sha256 = hmac::content_sha256(&request.body);
        let date = self.http_date();
        let signed = Signed {
            method: request.method.as_str(),
            path_and_query: &request.url[Position::BeforePath..Position::AfterQuery],
            date: &date,
            date_header: request.date_header,
            host: self.endpoint.authority(),
            content_sha256: &content_sha256,
        };
        let authorization = signed.authorization(key);
        HeaderMap::from_iter([
            (
                HeaderName::from_static(request.date_header.name()),
                text(&date),
            ),
            (
                HeaderName::from_static("x-ms-content-sha256"),
                text(&content_sha256),
            ),
            (AUTHORIZATION, secret(&authorization)),
        ])
    }

    async fn exchange_with(
        &self,
        request: &AcsRequest,
        authorization: HeaderMap,
    ) -> Result<Response, ExchangeError> {
        let mut headers = request.headers.clone();
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        if request.body.is_empty() && request.method != Method::GET {
            // By default the client sends no length for an empty body, and front ends answer that with 411.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        headers.extend(authorization);
        let sending = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(request.body.clone());
        sending
            .send()
            .await
            .map_err(|error| ExchangeError::Unreachable {
                authority: request.url[Position::BeforeHost..Position::AfterPort].to_owned(),
                source: error.without_url(),
            })
    }
}

/// Formats a time for HTTP headers.
pub fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .expect("the years of our clocks have four digits")
}

async fn token_header(credential: &dyn TokenCredential) -> azure_core::Result<HeaderMap> {
    let token = credential.get_token(&[TOKEN_SCOPE], None).await?;
    let bearer = secret(&format!("Bearer {}", token.token.secret()));
    Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("dates and base64 are valid header values")
}

/// Makes a header value that `Debug` does not show.
fn secret(value: &str) -> HeaderValue {
    let mut value =
        HeaderValue::from_str(value).expect("base64 and tokens are valid header values");
    value.set_sensitive(true);
    value
}

/// How long the server asks us to wait: `Retry-After` in seconds (ACS uses no dates), an hour at most.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?;
    value
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
