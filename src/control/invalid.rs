//! A request that is rejected before ACS is asked.

/// What is wrong, where, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// The invalid member of the request, if there is one.
    pub target: Option<String>,
    pub message: String,
}

impl InvalidRequest {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            target: None,
            message: message.into(),
        }
    }

    /// `target` names the invalid member.
    pub fn of(target: &str, message: impl Into<String>) -> Self {
        Self {
            target: Some(target.to_owned()),
            message: message.into(),
        }
    }
}
