//! When ACS was last asked to pause a recording, and when to resume it. Pure.
//!
//! ACS's requests name no pause, so a request that arrives late, or a second time, takes effect on whatever the recording is
//! doing by then.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::intention::{IntendedAction, Intention};

/// How late a request may arrive at ACS after it was sent: our own deadline for all its attempts is 20 s, the network
/// between us and ACS keeps a request for a few minutes at most, and a sweep that is killed is followed by another.
const MAY_ARRIVE_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The last pause and the last resume that were sent to ACS, whatever their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentRequests {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pause: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_resume: Option<Timestamp>,
}

impl SentRequests {
    /// Notes a request that is about to be sent.
    pub fn note(&mut self, intention: &Intention) {
        match intention.action {
            IntendedAction::Pause { .. } => self.note_pause(intention.at),
            IntendedAction::Resume { .. } => self.note_resume(intention.at),
            IntendedAction::Stop => {}
        }
    }

    pub fn note_pause(&mut self, at: Timestamp) {
        self.last_pause = self.last_pause.max(Some(at));
    }

    pub fn note_resume(&mut self, at: Timestamp) {
        self.last_resume = self.last_resume.max(Some(at));
    }

    /// Returns when the last of all was sent.
    pub fn last(&self) -> Option<Timestamp> {
        self.last_pause.max(self.last_resume)
    }

    /// Whether a pause may still arrive at ACS, or have arrived late.
    pub fn pause_may_arrive(&self, now: Timestamp) -> bool {
        may_arrive(self.last_pause, now)
    }

    /// Whether a resume may still arrive at ACS, or have arrived late.
    pub fn resume_may_arrive(&self, now: Timestamp) -> bool {
        may_arrive(self.last_resume, now)
    }

    pub fn is_empty(&self) -> bool {
        self.last().is_none()
    }
}

fn may_arrive(sent_at: Option<Timestamp>, now: Timestamp) -> bool {
    sent_at.is_some_and(|sent_at| now.duration_since(sent_at) <= MAY_ARRIVE_FOR)
}
