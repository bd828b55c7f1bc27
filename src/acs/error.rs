//! Errors that ACS answers with.

use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::api_version::Generation;
use super::operation::NoConversation;

/// An error body is a few hundred bytes; more of it is not read.
const BODY_LIMIT: usize = 64 * 1024;
/// "Recording not found": unknown, or ended.
const NOT_FOUND: &str = "8522";
/// Characters of an answer's message that errors and logs include.
const REPEATED_CHARS: usize = 300;

/// Why a recording operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AcsError {
    /// ACS answered with an error of its own.
    #[error("ACS answered {status}{answer}")]
    Answered {
        status: StatusCode,
        answer: Box<AcsErrorAnswer>,
    },
    #[error("ACS answered {status} with a body that its API does not describe")]
    Unreadable {
        status: StatusCode,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("ACS's answer was cut off")]
    Interrupted(#[source] reqwest::Error),
    #[error("ACS's answer is longer than its API allows")]
    TooLong,
    #[error(transparent)]
    NoConversation(#[from] NoConversation),
    /// The error of the last attempt. An earlier one may have taken effect.
    #[error(transparent)]
    AfterLostAnswer(Box<AcsError>),
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error(
        "could not get a Microsoft Entra token for ACS; where there is no managed identity, set ACS_ACCESS_KEY"
    )]
    Token(#[source] azure_core::Error),
    #[error("could not reach `{authority}`")]
    Unreachable {
        authority: String,
        source: reqwest::Error,
    },
}

/// ACS's error object, passed through to our callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcsErrorAnswer {
    /// The subcode, as text: `8522`.
    pub code: Option<String>,
    pub message: Option<String>,
    pub target: Option<String>,
    pub details: Option<Value>,
    /// `X-Microsoft-Skype-Chain-ID`, which Microsoft's support asks for.
    pub chain_id: Option<String>,
    /// `traceId` of a content host's answer.
    pub trace_id: Option<String>,
    /// Whether it has the `instance` of a content host: `/microsoft/ic3/ams///trace-id/…`.
    pub is_of_content_host: bool,
    /// `MS-CV`, the correlation vector.
    pub ms_cv: Option<String>,
    /// The `Date` of the answer: ACS's clock.
    pub server_date: Option<String>,
    /// Whether it has the form of the generation of 2021-04, whose codes are not published.
    pub is_of_2021: bool,
}

#[derive(Deserialize)]
struct Wrapped {
    error: Flat,
}

#[derive(Deserialize)]
struct Flat {
    code: Option<Value>,
    message: Option<String>,
    target: Option<String>,
    details: Option<Value>,
    /// The content hosts' problem object: `{"title","status","instance","message","traceId"}`.
    title: Option<String>,
    #[serde(rename = "traceId")]
    trace_id: Option<String>,
    instance: Option<String>,
}

/// ` (7509: HMAC-SHA256 validation failed; traceId …)`, or nothing.
impl fmt::Display for AcsErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<String> = [&self.code, &self.message]
            .into_iter()
            .flatten()
            .map(|text| repeated(text))
            .collect();
        let ids = [
            ("traceId", &self.trace_id),
            ("MS-CV", &self.ms_cv),
            ("chain id", &self.chain_id),
        ];
        let ids = ids
            .into_iter()
            .filter_map(|(name, id)| Some(format!("{name} {}", repeated(id.as_deref()?))));
        let parts: Vec<String> = std::iter::once(said.join(": "))
            .filter(|said| !said.is_empty())
            .chain(ids)
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", parts.join("; "))
    }
}

/// Returns one line of bounded length, whatever the answer was.
fn repeated(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(REPEATED_CHARS)
        .collect()
}

/// Statuses with which ACS refuses the credential, not the request.
pub fn is_credential_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

impl AcsError {
    /// Reads an error answer, whatever its body is.
    pub(super) async fn from_response(response: Response, generation: Generation) -> Self {
        let status = response.status();
        let mut answer = AcsErrorAnswer::from_response(response).await;
        if answer.is_of_2021 && generation != Generation::Conversations {
            // A gateway's: later versions of ACS wrap their errors.
            answer.code = None;
            answer.is_of_2021 = false;
        }
        Self::Answered {
            status,
            answer: Box::new(answer),
        }
    }

    /// The same error, after an earlier attempt of the same request that may have taken effect.
    #[must_use]
    pub(super) fn after_lost_answer(self) -> Self {
        Self::AfterLostAnswer(Box::new(self))
    }

    /// The error of the last attempt alone.
    #[must_use]
    pub(super) fn of_last_attempt(self) -> Self {
        if let Self::AfterLostAnswer(last) = self {
            *last
        } else {
            self
        }
    }

    /// Adds a hint to the message of ACS's answer.
    pub(super) fn with_hint(
        mut self,
        hint: impl FnOnce(&AcsErrorAnswer) -> Option<String>,
    ) -> Self {
        if let Self::Answered { answer, .. } = &mut self
            && let Some(hint) = hint(answer)
        {
            answer.message = Some(format!(
                "{} ({hint})",
                answer.message.as_deref().unwrap_or_default()
            ));
        }
        self
    }

    /// ACS does not know the recording (`8522`), or no longer knows it. A 404 without ACS's error object says nothing about
    /// a recording: front ends answer so.
    pub fn is_not_found(&self) -> bool {
        self.answer().is_some_and(|(status, answer)| {
            let is_acs_code = |code: &str| code == NOT_FOUND || answer.is_of_2021;
            status == StatusCode::NOT_FOUND && answer.code.as_deref().is_some_and(is_acs_code)
        })
    }

    /// The call is being recorded already: `8553` Duplicate Recording, `8559` Duplicate start recording request.
    pub fn is_duplicate_start(&self) -> bool {
        self.has_code(&["8553", "8559"])
    }

    /// `8501`, "Action is invalid when call is not in Established state".
    pub fn is_call_not_established(&self) -> bool {
        self.has_code(&["8501"])
    }

    /// The recording's state does not allow this: `8571` Recording Operation Conflict,
    /// `8573` Pause Resume Method Not Allowed.
    pub fn is_wrong_state(&self) -> bool {
        self.has_code(&["8571", "8573"])
    }

    /// ACS refused our credential, not the request: the same request may succeed once an operator has fixed it.
    pub fn is_credential_refused(&self) -> bool {
        self.answer()
            .is_some_and(|(status, _)| is_credential_refused(status))
    }

    /// Whether ACS may have done what was asked despite the error, now or at an earlier attempt.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Answered { status, answer } => !is_refusal(*status, answer),
            Self::Unreadable { .. }
            | Self::Interrupted(_)
            | Self::TooLong
            | Self::Exchange(ExchangeError::Unreachable { .. })
            | Self::AfterLostAnswer(_) => true,
            Self::Exchange(ExchangeError::Token(_)) | Self::NoConversation(_) => false,
        }
    }

    /// Whether the same request may have another answer a little later: ACS is busy or fails, or the answer is not its own.
    pub fn is_transient(&self) -> bool {
        let answer = self.answer();
        answer.is_some_and(|(status, _)| is_transient(status)) || self.is_of_front_end()
    }

    /// Whether it is an answer of a front end, which says nothing about the recording: 400 or 404 without ACS's error object.
    pub fn is_of_front_end(&self) -> bool {
        self.answer().is_some_and(|(status, answer)| {
            let may_be = matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
            may_be && answer.code.is_none()
        })
    }

    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.answer()
            .and_then(|(_, answer)| answer.code.as_deref())
            .is_some_and(|code| codes.contains(&code))
    }

    /// Returns ACS's error object, for callers.
    pub fn own_answer(&self) -> Option<Box<AcsErrorAnswer>> {
        self.answer().map(|(_, answer)| Box::new(answer.clone()))
    }

    /// Returns ACS's status and subcode, if ACS answered.
    pub fn answer(&self) -> Option<(StatusCode, &AcsErrorAnswer)> {
        match self {
            Self::Answered { status, answer } => Some((*status, answer)),
            Self::AfterLostAnswer(last) => last.answer(),
            Self::Unreadable { .. }
            | Self::Exchange(_)
            | Self::Interrupted(_)
            | Self::TooLong
            | Self::NoConversation(_) => None,
        }
    }
}

impl AcsErrorAnswer {
    /// Reads an error answer, whatever its body is.
    pub(super) async fn from_response(response: Response) -> Self {
        let headers = Self::from_headers(response.headers());
        let body = limited_body(response).await;
        Self {
            chain_id: headers.chain_id,
            ms_cv: headers.ms_cv,
            server_date: headers.server_date,
            ..Self::parse(&body)
        }
    }

    /// Reads an answer's headers alone.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            chain_id: header("x-microsoft-skype-chain-id"),
            ms_cv: header("ms-cv"),
            server_date: header("date"),
            ..Self::default()
        }
    }

    /// Whether it has a form of ACS: a code of four digits, or the `instance` of a content host.
    pub(super) fn is_of_acs(&self) -> bool {
        let is_subcode =
            |code: &String| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
        self.is_of_content_host || self.code.as_ref().is_some_and(is_subcode)
    }

    /// Reads `{"error":{…}}`, or the flat form of the generation of 2021; returns nothing for anything else.
    pub(super) fn parse(body: &[u8]) -> Self {
        let wrapped = serde_json::from_slice::<Wrapped>(body).map(|wrapped| wrapped.error);
        let is_of_2021 = wrapped.is_err();
        let Ok(flat) = wrapped.or_else(|_| serde_json::from_slice::<Flat>(body)) else {
            return Self::default();
        };
        let code = flat.code.and_then(|code| match code {
            Value::String(code) => Some(code),
            Value::Number(code) => Some(code.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        Self {
            code,
            message: flat.message.or(flat.title),
            target: flat.target,
            details: flat.details,
            trace_id: flat.trace_id,
            is_of_content_host: flat
                .instance
                .is_some_and(|it| it.starts_with("/microsoft/")),
            is_of_2021,
            ..Self::default()
        }
    }
}

/// Whether an answer says that the request was not carried out: the credential was refused, requests were throttled, the
/// service is elsewhere, or ACS refused it with a code of its own. Front ends answer 400 and 404 with web pages.
fn is_refusal(status: StatusCode, answer: &AcsErrorAnswer) -> bool {
    is_credential_refused(status)
        || status == StatusCode::TOO_MANY_REQUESTS
        || status.is_redirection()
        || (!is_transient(status) && answer.code.is_some())
}

/// Statuses that a retry may change (the official SDKs' list).
pub fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

async fn limited_body(response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    // What arrived before a failure may tell enough.
    let _ = read_error_body(response, &mut body).await;
    body
}

/// Reads at most as much of a body as an error has. What arrived before a failure is kept.
pub(super) async fn read_error_body(
    mut response: Response,
    body: &mut Vec<u8>,
) -> reqwest::Result<()> {
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece[..piece.len().min(BODY_LIMIT - body.len())]);
        if body.len() == BODY_LIMIT {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_2021(
        r#"{"code":"8522","message":"x"}"#,
        Generation::Conversations,
        Some("8522")
    )]
    #[case::of_a_gateway(r#"{"code":"BadRequest","message":"x"}"#, Generation::Current, None)]
    #[case::of_acs(r#"{"error":{"code":"8522"}}"#, Generation::Current, Some("8522"))]
    #[tokio::test]
    async fn a_code_counts_only_in_the_form_of_its_generation(
        #[case] body: &'static str,
        #[case] generation: Generation,
        #[case] expected: Option<&str>,
    ) {
        let answer = axum::http::Response::builder().status(400).body(body);
        let error = AcsError::from_response(answer.unwrap().into(), generation).await;
        let (_, answer) = error.answer().unwrap();
        assert_eq!(answer.code.as_deref(), expected);
        assert_eq!(error.is_of_front_end(), expected.is_none());
    }

    #[test]
    fn the_recorded_error_bodies_are_read() {
        let answer =
            AcsErrorAnswer::parse(br#"{"error":{"code":"8522","message":"Recording not found."}}"#);
        assert_eq!(
            (answer.code.as_deref(), answer.message.as_deref()),
            (Some("8522"), Some("Recording not found."))
        );
    }

    #[test]
    fn the_flat_body_of_2021_is_read() {
        let answer = AcsErrorAnswer::parse(
            br#"{"code":"8501","message":"Action is invalid","target":null}"#,
        );
        assert_eq!(answer.code.as_deref(), Some("8501"));
    }

    fn answered(status: u16, body: &str) -> AcsError {
        AcsError::Answered {
            status: StatusCode::from_u16(status).unwrap(),
            answer: Box::new(AcsErrorAnswer::parse(body.as_bytes())),
        }
    }

    #[rstest::rstest]
    #[case::page(404, "<html>", false)]
    #[case::empty(404, "", false)]
    #[case::gateway(404, r#"{"error":{"code":"ResourceNotFound"}}"#, false)]
    #[case::acs(
        404,
        r#"{"error":{"code":"8522","message":"Recording not found."}}"#,
        true
    )]
    #[case::of_2021(404, r#"{"code":"4711","message":"not found"}"#, true)]
    #[case::other_status(400, r#"{"error":{"code":"8522"}}"#, false)]
    fn only_acs_itself_says_that_there_is_no_such_recording(
        #[case] status: u16,
        #[case] body: &str,
        #[case] expected: bool,
    ) {
        let error = answered(status, body);
        assert_eq!(error.is_not_found(), expected);
        assert_eq!(error.after_lost_answer().is_not_found(), expected);
    }

    #[rstest::rstest]
    #[case::throttled(429, "", false)]
    #[case::signature(401, r#"{"error":{"code":"7509"}}"#, false)]
    #[case::firewall(403, "<html>", false)]
    #[case::moved(302, "", false)]
    #[case::acs(400, r#"{"error":{"code":"8501"}}"#, false)]
    #[case::failing(500, r#"{"error":{"code":"9999"}}"#, true)]
    #[case::page(400, "<html>", true)]
    #[case::missing_page(404, "<html>", true)]
    #[case::gateway(502, "", true)]
    fn what_an_answer_says_about_the_effect_of_a_request(
        #[case] status: u16,
        #[case] body: &str,
        #[case] may_have_taken_effect: bool,
    ) {
        let error = answered(status, body);
        assert_eq!(error.may_have_taken_effect(), may_have_taken_effect);
        // The answer to a later attempt does not undo an earlier one.
        assert!(error.after_lost_answer().may_have_taken_effect());
    }

    #[test]
    fn an_html_body_is_no_error_object() {
        assert_eq!(AcsErrorAnswer::parse(b"<html>"), AcsErrorAnswer::default());
    }

    /// The body that the content hosts sent in 2023 (Azure/azure-sdk-for-js#26142).
    #[test]
    fn a_content_hosts_problem_gives_its_trace_id() {
        let body = br#"{"title":"Unauthorized","status":401,"instance":"/microsoft/ic3/ams///trace-id/0fb2","message":"Unauthorized","traceId":"0fb2"}"#;
        let mut headers = HeaderMap::new();
        headers.insert("ms-cv", "abc.0".parse().unwrap());
        let answer = AcsErrorAnswer {
            ms_cv: AcsErrorAnswer::from_headers(&headers).ms_cv,
            ..AcsErrorAnswer::parse(body)
        };
        assert_eq!(
            answer.to_string(),
            " (Unauthorized; traceId 0fb2; MS-CV abc.0)"
        );
    }

    #[test]
    fn a_long_message_is_repeated_in_part_and_on_one_line() {
        let message = format!("first\nsecond {}", "x".repeat(10_000));
        let answer = AcsErrorAnswer {
            message: Some(message),
            ..Default::default()
        };
        let shown = answer.to_string();
        assert!(shown.len() < 400 && !shown.contains('\n'), "{shown}");
    }
}
