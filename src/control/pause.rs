//! A pause of a recording, kept as evidence. Its start identifies it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An interval in which nothing was recorded, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When the pause guard ends it, unless it is resumed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resume_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<PauseEnd>,
}

/// What ended a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PauseEnd {
    /// A caller resumed the recording through this API.
    Caller,
    /// `resumeAfter` had passed, and the sweep resumed it.
    Guard,
    /// ACS reports that it is recording: it was resumed by other means.
    Observed,
    /// The recording ended while it was paused.
    Stop,
}

impl Pause {
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Ends the pause, unless it has ended already.
    pub fn end(&mut self, at: Timestamp, by: PauseEnd) {
        if self.is_open() {
            self.ended_at = Some(at);
            self.ended_by = Some(by);
        }
    }
}
