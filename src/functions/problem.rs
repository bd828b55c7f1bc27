//! Errors as our HTTP callers get them: ACS's own shape, ACS's own code where it gave one.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::acs::AcsError;
use crate::acs::error::AcsErrorAnswer;
use crate::telemetry::ErrorChain;

/// `{"error":{"code","message","target?","details?"}}` with a status.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    status: StatusCode,
    error: Value,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, error: json!({"code": code, "message": message.into()}) }
    }

    /// Something in the request is wrong; `target` names it.
    pub fn invalid(target: Option<&str>, message: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message);
        if let Some(target) = target {
            problem.error["target"] = target.into();
        }
        problem
    }
}

impl From<AcsError> for Problem {
    fn from(error: AcsError) -> Self {
        match error.answer() {
            Some((status, answer)) => from_answer(status, answer),
            None => {
                tracing::error!(error = %ErrorChain(&error), "ACS could not be asked");
                Self::new(StatusCode::BAD_GATEWAY, "AcsUnavailable", format!("ACS could not be asked: {error}."))
            }
        }
    }
}

fn from_answer(status: StatusCode, answer: &AcsErrorAnswer) -> Problem {
    let message = answer.message.clone().unwrap_or_else(|| format!("ACS answered {status} without saying why."));
    let mut problem = Problem::new(status, answer.code.as_deref().unwrap_or("AcsError"), message);
    let members = [
        ("target", answer.target.clone().map(Value::from)),
        ("details", answer.details.clone()),
        ("chainId", answer.chain_id.clone().map(Value::from)),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            problem.error[name] = value;
        }
    }
    problem
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}
