//! Recording control: start, state, pause, resume, stop.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use super::api_version::{ApiVersion, Generation};
use super::error::{AcsError, ExchangeError};
use super::failed_start::{SentBefore, StartError};
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
    /// When ACS refuses, or cannot be reached in time: with what is known of a recording that may have begun.
    pub async fn start(
        &self,
        request: &StartRecordingRequest,
        attempt: StartAttempt,
        sent_before: SentBefore,
    ) -> Result<StartRecordingResponse, StartError> {
        let is_repeatable = self.api_version.generation() == Generation::Current;
        let started = self.start_once(request, attempt).await;
        started.map_err(|error| StartError::of(error, sent_before, is_repeatable))
    }

    async fn start_once(
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
        match self.operation(recording, Action::Stop).await {
            // An earlier attempt stopped the recording, and its answer was lost.
            Err(AcsError::AfterLostAnswer(last)) if last.is_not_found() => Ok(()),
            answer => answer.map(drop),
        }
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

    /// Sends until ACS gives a final answer. Signs each attempt again. An error says whether any attempt may have taken
    /// effect, not only the last one.
    async fn exchange(
        &self,
        operation: Operation,
        headers: HeaderMap,
    ) -> Result<Response, AcsError> {
        let request = self.request(&operation, headers);
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let (mut failures, mut may_have_taken_effect) = (0, false);
        loop {
            let FailedAttempt { error, retry_after } = match self.attempt(&request, deadline).await
            {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            failures += 1;
            let may_repeat = operation.is_repeatable || !error.may_have_taken_effect();
            let delay = RetryPolicy::REQUEST
                .delay(failures, retry_after, rand::random())
                .filter(|delay| {
                    let is_in_time = Instant::now() + *delay < deadline;
                    is_in_time && may_repeat && is_worth_repeating(&error)
                });
            let Some(delay) = delay else {
                let error = error.with_hint(|answer| self.http.signature_hint(&request, answer));
                return Err(if may_have_taken_effect {
                    error.after_lost_answer()
                } else {
                    error
                });
            };
            may_have_taken_effect |= error.may_have_taken_effect();
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends once.
    async fn attempt(
        &self,
        request: &AcsRequest,
        deadline: Instant,
    ) -> Result<Response, FailedAttempt> {
        let response = match tokio::time::timeout_at(deadline, self.http.send(request)).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(response),
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(AcsError::from(error).into()),
            Err(_) => return Err(timed_out().into()),
        };
        let retry_after = retry_after(&response);
        let reading = AcsError::from_response(response, self.api_version.generation());
        let Ok(error) = tokio::time::timeout_at(deadline, reading).await else {
            return Err(timed_out().into());
        };
        if let (true, Some((status, answer))) = (error.is_credential_refused(), error.answer()) {
            let host = self.http.endpoint().authority();
            self.http.report_refused(status, host, answer);
        }
        Err(FailedAttempt { error, retry_after })
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

/// An attempt without a good answer.
struct FailedAttempt {
    error: AcsError,
    /// How long ACS asks to wait.
    retry_after: Option<Duration>,
}

impl From<AcsError> for FailedAttempt {
    fn from(error: AcsError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

fn is_worth_repeating(error: &AcsError) -> bool {
    let is_unreachable = matches!(error, AcsError::Exchange(ExchangeError::Unreachable { .. }));
    is_unreachable || error.is_transient()
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
