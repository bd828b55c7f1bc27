//! What ACS answers when it does not do what was asked.

use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::http::ExchangeError;

/// An error body is a few hundred bytes; more of it is not read.
const BODY_LIMIT: usize = 64 * 1024;

/// Why a recording operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AcsError {
    /// ACS answered with an error of its own.
    #[error("ACS answered {status}{}", described(answer))]
    Answered { status: StatusCode, answer: Box<AcsErrorAnswer> },
    #[error("ACS answered {status} with something that is not what its API describes")]
    Unreadable { status: StatusCode, source: serde_json::Error },
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("ACS broke off its answer")]
    Interrupted(#[source] reqwest::Error),
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
    /// The `Date` of the answer: ACS's clock.
    pub server_date: Option<String>,
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
}

fn described(answer: &AcsErrorAnswer) -> String {
    match (&answer.code, &answer.message) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(text), None) | (None, Some(text)) => format!(" ({text})"),
        (None, None) => String::new(),
    }
}

impl AcsError {
    /// Reads an error answer, whatever its body is.
    pub(super) async fn from_response(response: Response) -> Self {
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (chain_id, server_date) = (header("x-microsoft-skype-chain-id"), header("date"));
        let body = limited_body(response).await;
        let answer = AcsErrorAnswer { chain_id, server_date, ..AcsErrorAnswer::parse(&body) };
        Self::Answered { status, answer: Box::new(answer) }
    }

    /// Adds to the message of ACS's answer what we know and ACS does not say.
    pub(super) fn with_hint(mut self, hint: impl FnOnce(&AcsErrorAnswer) -> Option<String>) -> Self {
        if let Self::Answered { answer, .. } = &mut self
            && let Some(hint) = hint(answer)
        {
            answer.message = Some(format!("{} ({hint})", answer.message.as_deref().unwrap_or_default()));
        }
        self
    }

    /// ACS's status and subcode, if it was ACS that answered.
    pub fn answer(&self) -> Option<(StatusCode, &AcsErrorAnswer)> {
        match self {
            Self::Answered { status, answer } => Some((*status, answer)),
            Self::Unreadable { .. } | Self::Exchange(_) | Self::Interrupted(_) => None,
        }
    }
}

impl AcsErrorAnswer {
    /// `{"error":{…}}`, or flat as in the generation of 2021; nothing for anything else.
    fn parse(body: &[u8]) -> Self {
        let flat = serde_json::from_slice::<Wrapped>(body).map(|wrapped| wrapped.error);
        let Ok(flat) = flat.or_else(|_| serde_json::from_slice::<Flat>(body)) else {
            return Self::default();
        };
        let code = flat.code.and_then(|code| match code {
            Value::String(code) => Some(code),
            Value::Number(code) => Some(code.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        Self { code, message: flat.message, target: flat.target, details: flat.details, chain_id: None, server_date: None }
    }
}

async fn limited_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece[..piece.len().min(BODY_LIMIT - body.len())]);
        if body.len() == BODY_LIMIT {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_error_bodies_are_read() {
        let answer = AcsErrorAnswer::parse(br#"{"error":{"code":"8522","message":"Recording not found."}}"#);
        assert_eq!((answer.code.as_deref(), answer.message.as_deref()), (Some("8522"), Some("Recording not found.")));
    }

    #[test]
    fn the_flat_body_of_2021_is_read() {
        let answer = AcsErrorAnswer::parse(br#"{"code":"8501","message":"Action is invalid","target":null}"#);
        assert_eq!(answer.code.as_deref(), Some("8501"));
    }

    #[test]
    fn an_html_body_is_no_error_object() {
        assert_eq!(AcsErrorAnswer::parse(b"<html>"), AcsErrorAnswer::default());
    }
}
