//! A recording as callers see it: its state, and what the register knows. Knows no HTTP.

use super::entry::RegisteredRecording;
use super::state::RecordingState;
use crate::recording::RecordingId;

/// A recording and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingView {
    pub recording_id: RecordingId,
    pub state: RecordingState,
    pub recording_kind: Option<String>,
    /// What the register knows, if it has the recording.
    pub account: Option<RegisteredRecording>,
}

impl RecordingView {
    /// Shows a recording as the register has it.
    pub fn of(account: RegisteredRecording) -> Self {
        Self {
            recording_id: account.recording_id.clone(),
            state: account.state(),
            recording_kind: account.recording_kind.clone(),
            account: Some(account),
        }
    }

    /// Shows a recording in a state that ACS has just confirmed.
    pub fn in_state(
        id: &RecordingId,
        state: RecordingState,
        account: Option<RegisteredRecording>,
    ) -> Self {
        Self {
            recording_id: id.clone(),
            state,
            recording_kind: account
                .as_ref()
                .and_then(|account| account.recording_kind.clone()),
            account,
        }
    }
}
