//! Recording control: start, state, pause, resume, stop.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use super::api_version::{ApiVersion, Generation};
use super::error::{AcsError, ExchangeError, is_transient};
use super::hmac::DateHeader;
use super::http::{AcsHttp, AcsRequest, http_date, retry_after};
use super::operation::{Action, Operation, RecordingAddress};
use super::wire::{RecordingStateResponse, StartRecordingRequest, StartRecordingResponse};
use crate::retry::RetryPolicy;

/// Deadline for all attempts of one operation together; the host's caller waits for it.
pub const TOTAL_DEADLINE: Duration = Duration::from_secs(20);

/// An answer is a few hundred bytes.
const LONGEST_ANSWER: usize = 1 << 20;
const READING_DEADLINE: Duration = Duration::from_secs(5);

/// Client of ACS's recording operations.
#[derive(Clone)]
pub struct CallRecordingClient {
    http: AcsHttp,
    api_version: ApiVersion,
}

/// Identifies a start: the same for all its repetitions, both our retries and those of our caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartAttempt {
    /// `Repeatability-Request-ID`.
    pub request_id: Uuid,
    /// `Repeatability-First-Sent`.
    pub first_sent: Timestamp,
}

impl CallRecordingClient {
    pub fn new(http: AcsHttp, api_version: ApiVersion) -> Self {
        Self { http, api_version }
    }

    pub fn api_version(&self) -> ApiVersion {
        self.api_version
    }

    /// Starts a recording. Repeat-safe since the versions of 2022: ACS gives a repeated request its first answer.
    ///
    /// # Errors
    /// When ACS refuses, or cannot be reached in time.
    pub async fn start(
        &self,
        request: &StartRecordingRequest,
        attempt: StartAttempt,
    ) -> Result<StartRecordingResponse, AcsError> {
        let mut headers = HeaderMap::new();
        if self.api_version.generation() == Generation::Current {
            headers.insert(
                HeaderName::from_static("repeatability-request-id"),
                header(&attempt.request_id.to_string()),
            );
            headers.insert(
                HeaderName::from_static("repeatability-first-sent"),
                header(&http_date(attempt.first_sent)),
            );
        }
        let response = self
            .exchange(Operation::start(self.api_version, request)?, headers)
            .await?;
        read(response).await
    }

    /// Returns the state of a recording.
    ///
    /// # Errors
    /// As [`CallRecordingClient::start`]; 404 `8522` for a recording that is unknown or stopped.
    pub async fn state(
        &self,
        recording: RecordingAddress<'_>,
    ) -> Result<RecordingStateResponse, AcsError> {
        read(self.operation(recording, Action::State).await?).await
    }

    /// Pauses a recording.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn pause(&self, recording: RecordingAddress<'_>) -> Result<(), AcsError> {
        self.operation(recording, Action::Pause).await.map(drop)
    }

    /// Resumes a paused recording.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn resume(&self, recording: RecordingAddress<'_>) -> Result<(), AcsError> {
        self.operation(recording, Action::Resume).await.map(drop)
    }

    /// Ends a recording; does not touch its files.
    ///
    /// # Errors
    /// As [`CallRecordingClient::state`].
    pub async fn stop(&self, recording: RecordingAddress<'_>) -> Result<(), AcsError> {
        self.operation(recording, Action::Stop).await.map(drop)
    }

    async fn operation(
        &self,
        recording: RecordingAddress<'_>,
        action: Action,
    ) -> Result<Response, AcsError> {
        self.exchange(
            Operation::on(self.api_version, recording, action)?,
            HeaderMap::new(),
        )
        .await
    }

    /// Sends until ACS gives a final answer. Signs each attempt again.
    async fn exchange(
        &self,
        operation: Operation,
        headers: HeaderMap,
    ) -> Result<Response, AcsError> {
        let is_repeatable = operation.is_repeatable;
        let request = self.request(&operation, headers);
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let mut failures = 0;
        loop {
            let (error, asked) =
                match tokio::time::timeout_at(deadline, self.http.send(&request)).await {
                    Ok(Ok(response)) if response.status().is_success() => return Ok(response),
                    // An earlier attempt stopped the recording, and its answer was lost.
                    Ok(Ok(response)) if failures > 0 && is_gone(&operation, response.status()) => {
                        return Ok(response);
                    }
                    Ok(Ok(response)) => {
                        let (status, asked) = (response.status(), retry_after(&response));
                        let reading =
                            tokio::time::timeout_at(deadline, AcsError::from_response(response));
                        let Ok(error) = reading.await else {
                            return Err(timed_out());
                        };
                        if let (true, Some((status, answer))) =
                            (error.is_credential_refused(), error.answer())
                        {
                            let host = self.http.endpoint().authority();
                            self.http.report_refused(status, host, answer);
                        }
                        let was_not_carried_out = status == StatusCode::TOO_MANY_REQUESTS;
                        if !is_transient(status) || !(is_repeatable || was_not_carried_out) {
                            return Err(error
                                .with_hint(|answer| self.http.signature_hint(&request, answer)));
                        }
                        (error, asked)
                    }
                    Ok(Err(error @ ExchangeError::Token(_))) => return Err(error.into()),
                    Ok(Err(error @ ExchangeError::Unreachable { .. })) if !is_repeatable => {
                        return Err(error.into());
                    }
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

    fn request(&self, operation: &Operation, headers: HeaderMap) -> AcsRequest {
        let url = self.http.endpoint().join(&operation.path_and_query);
        let mut request = AcsRequest::new(operation.name, operation.method.clone(), url);
        request.body = operation.body.clone();
        request.headers.extend(headers);
        if !operation.body.is_empty() {
            request
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.api_version.generation() == Generation::Conversations {
            request.date_header = DateHeader::Date;
        }
        request
    }
}

fn is_gone(operation: &Operation, status: StatusCode) -> bool {
    operation.method == Method::DELETE && status == StatusCode::NOT_FOUND
}

/// ACS did not answer before the deadline; the caller gets the status of a gateway timeout.
fn timed_out() -> AcsError {
    let message = format!("no answer within {TOTAL_DEADLINE:?}");
    let answer = super::error::AcsErrorAnswer {
        message: Some(message),
        ..Default::default()
    };
    AcsError::Answered {
        status: StatusCode::GATEWAY_TIMEOUT,
        answer: Box::new(answer),
    }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T, AcsError> {
    let status = response.status();
    let reading = async {
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| AcsError::Interrupted(error.without_url()))?
        {
            if body.len() + piece.len() > LONGEST_ANSWER {
                return Err(AcsError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    };
    let body = tokio::time::timeout(READING_DEADLINE, reading)
        .await
        .map_err(|_| timed_out())??;
    serde_json::from_slice(&body).map_err(|source| AcsError::Unreadable { status, source })
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("ids and dates are valid header values")
}
