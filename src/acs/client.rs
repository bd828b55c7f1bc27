//! Recording control: start, state, pause, resume, stop.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;
use uuid::Uuid;

use super::error::AcsError;
use super::http::{AcsHttp, AcsRequest, ExchangeError, is_transient, retry_after};
use super::wire::{RecordingStateResponse, StartRecordingRequest};
use crate::recording::RecordingId;
use crate::retry::RetryPolicy;

/// All attempts of one operation together; the host's caller waits for it.
const TOTAL_DEADLINE: Duration = Duration::from_secs(20);
/// RFC 3986 unreserved characters stay; everything else of an id is encoded, as both official SDKs do.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Client of ACS's recording operations.
#[derive(Clone)]
pub struct CallRecordingClient {
    http: AcsHttp,
    api_version: String,
}

impl CallRecordingClient {
    pub fn new(http: AcsHttp, api_version: String) -> Self {
        Self { http, api_version }
    }

    /// `POST /calling/recordings`. Repeat-safe: `request_id` and the time of the first attempt stay the same over our
    /// retries, and ACS answers a repeat with what it answered first.
    ///
    /// # Errors
    /// When ACS refuses, or cannot be reached in time.
    pub async fn start(&self, request: &StartRecordingRequest, request_id: Uuid) -> Result<RecordingStateResponse, AcsError> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("repeatability-request-id"), header(&request_id.to_string()));
        headers.insert(HeaderName::from_static("repeatability-first-sent"), header(&self.http.http_date()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(serde_json::to_vec(request).expect("a start request has string keys only"));
        let response = self.exchange(Method::POST, "", headers, body).await?;
        read(response).await
    }

    /// `GET /calling/recordings/{recordingId}`.
    ///
    /// # Errors
    /// As [`CallRecordingClient::start`]; 404 `8522` for a recording that is unknown or stopped.
    pub async fn state(&self, id: &RecordingId) -> Result<RecordingStateResponse, AcsError> {
        read(self.operation(Method::GET, id, "").await?).await
    }

    /// `POST /calling/recordings/{recordingId}:pause`.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn pause(&self, id: &RecordingId) -> Result<(), AcsError> {
        self.operation(Method::POST, id, ":pause").await.map(drop)
    }

    /// `POST /calling/recordings/{recordingId}:resume`.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn resume(&self, id: &RecordingId) -> Result<(), AcsError> {
        self.operation(Method::POST, id, ":resume").await.map(drop)
    }

    /// `DELETE /calling/recordings/{recordingId}`: ends the recording; its files are not touched.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn stop(&self, id: &RecordingId) -> Result<(), AcsError> {
        self.operation(Method::DELETE, id, "").await.map(drop)
    }

    async fn operation(&self, method: Method, id: &RecordingId, action: &str) -> Result<Response, AcsError> {
        let path = format!("/{}{action}", utf8_percent_encode(id.as_str(), SEGMENT));
        self.exchange(method, &path, HeaderMap::new(), Bytes::new()).await
    }

    /// Sends until ACS gives a final answer, each attempt signed anew.
    async fn exchange(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Response, AcsError> {
        let url = self.http.endpoint().join(&format!("/calling/recordings{path}?api-version={}", self.api_version));
        let mut request = AcsRequest { body, ..AcsRequest::new(method, url) };
        request.headers.extend(headers);
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let mut failures = 0;
        loop {
            let (error, asked) = match tokio::time::timeout_at(deadline, self.http.send(&request)).await {
                Ok(Ok(response)) if response.status().is_success() => return Ok(response),
                Ok(Ok(response)) => {
                    let (status, asked) = (response.status(), retry_after(&response));
                    let error = AcsError::from_response(response).await;
                    if !is_transient(status) {
                        return Err(error.with_hint(|answer| self.http.signature_hint(&request, answer)));
                    }
                    (error, asked)
                }
                Ok(Err(error @ ExchangeError::Token(_))) => return Err(error.into()),
                Ok(Err(error @ ExchangeError::Unreachable { .. })) => (error.into(), None),
                Err(_) => return Err(timed_out()),
            };
            failures += 1;
            let Some(delay) = RetryPolicy::REQUEST.delay(failures, asked, rand::random()) else {
                return Err(error);
            };
            if Instant::now() + delay >= deadline {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
        }
    }
}

/// ACS did not answer before the deadline; the caller is told so as by a gateway.
fn timed_out() -> AcsError {
    let message = format!("no answer within {TOTAL_DEADLINE:?}");
    let answer = super::error::AcsErrorAnswer { message: Some(message), ..Default::default() };
    AcsError::Answered { status: StatusCode::GATEWAY_TIMEOUT, answer: Box::new(answer) }
}

async fn read(response: Response) -> Result<RecordingStateResponse, AcsError> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| AcsError::Interrupted(error.without_url()))?;
    serde_json::from_slice(&body).map_err(|source| AcsError::Unreadable { status, source })
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("ids and dates are valid header values")
}
