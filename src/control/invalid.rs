//! A request that is refused before ACS is asked.

/// What is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// The member of the request that is wrong, if it is one.
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

    /// `target` names the member that is wrong.
    pub fn of(target: &str, message: impl Into<String>) -> Self {
        Self {
            target: Some(target.to_owned()),
            message: message.into(),
        }
    }
}
