//! The state of a recording, in the words of our API. Knows neither ACS nor the register.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// State of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RecordingState {
    Active,
    /// In its first seconds.
    Inactive,
    Paused,
    Stopped,
    /// ACS accepted the start and then reported that it failed.
    Failed,
    /// Neither ACS nor the register knows its state.
    Unknown,
}

impl RecordingState {
    /// The JSON name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RecordingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_the_word_in_json() {
        for state in [
            RecordingState::Active,
            RecordingState::Inactive,
            RecordingState::Paused,
            RecordingState::Stopped,
            RecordingState::Failed,
            RecordingState::Unknown,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
