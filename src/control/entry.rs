//! What the register keeps of a recording: what was asked for, by whom, on what ground, when it paused, how it stands.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::consent::Consent;
use super::files::Files;
use super::state::RecordingState;
use crate::acs::wire::{CallLocator, RecordedCall, StartRecordingOptions};
use crate::recording::{CallId, RecordingId};
use crate::store::index::{Attention, Listed, recording_name};

/// The account of one recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredRecording {
    pub recording_id: RecordingId,
    /// `None` for a recording that was started past us.
    pub call: Option<RecordedCall>,
    pub options: StartRecordingOptions,
    /// Who asked for it: a caller's name, `api`, `auto-record`, `telephony`.
    pub started_by: Option<String>,
    /// The bot's conversation that asked for it; its other recordings are those of the same call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    pub started_at: Option<Timestamp>,
    pub recording_kind: Option<String>,
    pub consent: Option<Consent>,
    pub status: RecordingStatus,
    pub pauses: Vec<Pause>,
    /// When ACS was last heard of it.
    pub heard_at: Timestamp,
    pub files: Files,
    /// The call as events name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// When its account was opened: it is listed under this time while its start is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// It was erased on request; what stands here is what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

/// That a recording was erased, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub at: Timestamp,
    pub reason: String,
}

/// Whether a recording runs, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum RecordingStatus {
    Running,
    Stopped {
        at: Timestamp,
    },
    /// ACS took the start and then reported that it failed.
    Failed {
        at: Timestamp,
        reason: String,
    },
}

/// An interval in which nothing was recorded, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When the pause guard ends it, unless somebody does so before.
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
    /// Somebody resumed the recording through us.
    Caller,
    /// `resumeAfter` was over, and the sweep resumed it.
    Guard,
    /// ACS says that it is recording: somebody resumed it past us.
    Observed,
    /// The recording ended while it was paused.
    Stop,
}

impl RegisteredRecording {
    /// A recording of which nothing is known but that it runs.
    pub fn unknown(recording_id: RecordingId, now: Timestamp) -> Self {
        Self {
            recording_id,
            call: None,
            options: StartRecordingOptions::default(),
            started_by: None,
            conversation: None,
            started_at: None,
            recording_kind: None,
            consent: None,
            status: RecordingStatus::Running,
            pauses: Vec::new(),
            heard_at: now,
            files: Files::default(),
            call_id: None,
            opened_at: Some(now),
            erased: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.status == RecordingStatus::Running
    }

    /// It ended, and its files are still to be announced.
    pub fn is_awaited(&self) -> bool {
        let has_ended = matches!(self.status, RecordingStatus::Stopped { .. });
        has_ended && self.files.announced_at.is_none() && self.files.missing_since.is_none()
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.status {
            RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. } => Some(*at),
            RecordingStatus::Running => None,
        }
    }

    /// The time that the index has it under.
    pub fn filed_at(&self) -> Timestamp {
        self.started_at
            .or(self.opened_at)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// No event announced its files in time.
    pub fn is_missing(&self) -> bool {
        self.files.missing_since.is_some() && self.files.announced_at.is_none()
    }

    /// Every name that its call is known by.
    pub fn call_names(&self) -> impl Iterator<Item = &str> {
        let asked_for = self.call.as_ref().map(|call| match call {
            RecordedCall::Locator(
                CallLocator::ServerCall { server_call_id: id }
                | CallLocator::GroupCall { group_call_id: id }
                | CallLocator::RoomCall { room_id: id },
            )
            | RecordedCall::Connection(id) => id.as_str(),
        });
        asked_for
            .into_iter()
            .chain(self.call_id.as_ref().map(CallId::as_str))
    }

    /// The keys of all its markers in the index.
    pub fn markers(&self) -> BTreeSet<String> {
        let (at, name) = (self.filed_at(), recording_name(&self.recording_id));
        let calls = self.call_names().map(|id| Listed::Call(id.to_owned()));
        let missing = self
            .is_missing()
            .then_some(Listed::Attention(Attention::Missing));
        let failed = matches!(self.status, RecordingStatus::Failed { .. })
            .then_some(Listed::Attention(Attention::Failed));
        let lists = std::iter::once(Listed::All)
            .chain(calls)
            .chain(missing)
            .chain(failed);
        lists.map(|list| list.marker(at, &name, None)).collect()
    }

    /// The pause it is in.
    pub fn open_pause(&self) -> Option<&Pause> {
        self.pauses.last().filter(|pause| pause.ended_at.is_none())
    }

    /// Active, paused, stopped or failed.
    pub fn state(&self) -> RecordingState {
        match (&self.status, self.open_pause()) {
            (RecordingStatus::Stopped { .. }, _) => RecordingState::Stopped,
            (RecordingStatus::Failed { .. }, _) => RecordingState::Failed,
            (RecordingStatus::Running, Some(_)) => RecordingState::Paused,
            (RecordingStatus::Running, None) => RecordingState::Active,
        }
    }

    /// The conversation that the generation of 2021-04 finds a recording by.
    pub fn conversation_id(&self) -> Option<&str> {
        match &self.call {
            Some(RecordedCall::Locator(CallLocator::ServerCall { server_call_id })) => {
                Some(server_call_id)
            }
            Some(RecordedCall::Locator(
                CallLocator::GroupCall { .. } | CallLocator::RoomCall { .. },
            ))
            | Some(RecordedCall::Connection(_))
            | None => None,
        }
    }

    /// It is paused; a pause within a pause only sets when it is to end.
    pub fn pause(&mut self, at: Timestamp, resume_at: Option<Timestamp>) {
        self.heard_at = at;
        self.status = RecordingStatus::Running;
        match self
            .pauses
            .last_mut()
            .filter(|pause| pause.ended_at.is_none())
        {
            Some(pause) => pause.resume_at = resume_at.or(pause.resume_at),
            None => self.pauses.push(Pause {
                started_at: at,
                resume_at,
                ended_at: None,
                ended_by: None,
            }),
        }
    }

    /// The pause that was about to begin at this time did not; the one it would have gone on with is as it was.
    pub fn take_back_pause(&mut self, at: Timestamp, before: Option<Pause>) {
        match (
            self.pauses
                .last_mut()
                .filter(|pause| pause.ended_at.is_none()),
            before,
        ) {
            (Some(open), Some(before)) if open.started_at == before.started_at => *open = before,
            (Some(open), None) if open.started_at == at => drop(self.pauses.pop()),
            (Some(_) | None, _) => {}
        }
    }

    /// It records (again).
    pub fn resume(&mut self, at: Timestamp, by: PauseEnd) {
        self.heard_at = at;
        self.status = RecordingStatus::Running;
        self.end_pause(at, by);
    }

    /// It is over. What ended first stays the end.
    pub fn stop(&mut self, at: Timestamp) {
        self.heard_at = at;
        self.end_pause(at, PauseEnd::Stop);
        if self.is_running() {
            self.status = RecordingStatus::Stopped { at };
        }
    }

    /// ACS reported that it never came to be.
    pub fn fail(&mut self, at: Timestamp, reason: String) {
        self.heard_at = at;
        if self.is_running() {
            self.status = RecordingStatus::Failed { at, reason };
        }
    }

    /// Removes personal data. What is left keeps the recording from coming back with its next event.
    pub fn erase(&mut self, erased: Erased) {
        self.started_by = None;
        self.conversation = None;
        self.consent = None;
        self.options.audio_channel_participant_ordering = None;
        self.options.channel_affinity = None;
        // A text of ACS may name somebody.
        if let RecordingStatus::Failed { reason, .. } = &mut self.status {
            "erased".clone_into(reason);
        }
        self.erased.get_or_insert(erased);
    }

    fn end_pause(&mut self, at: Timestamp, by: PauseEnd) {
        if let Some(pause) = self
            .pauses
            .last_mut()
            .filter(|pause| pause.ended_at.is_none())
        {
            pause.ended_at = Some(at);
            pause.ended_by = Some(by);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn recording() -> RegisteredRecording {
        RegisteredRecording::unknown("r".parse().unwrap(), at(0))
    }

    #[test]
    fn every_pause_is_kept_with_its_end() {
        let mut recording = recording();
        recording.pause(at(1), Some(at(5)));
        assert_eq!(recording.state(), RecordingState::Paused);
        recording.resume(at(5), PauseEnd::Guard);
        recording.pause(at(7), None);
        recording.stop(at(9));
        let ends: Vec<_> = recording
            .pauses
            .iter()
            .map(|pause| (pause.started_at, pause.ended_at, pause.ended_by))
            .collect();
        assert_eq!(
            ends,
            [
                (at(1), Some(at(5)), Some(PauseEnd::Guard)),
                (at(7), Some(at(9)), Some(PauseEnd::Stop))
            ]
        );
        assert_eq!(recording.state(), RecordingState::Stopped);
    }

    #[test]
    fn a_pause_within_a_pause_is_one_pause_and_may_set_its_end() {
        let mut recording = recording();
        recording.pause(at(1), None);
        recording.pause(at(2), Some(at(9)));
        recording.pause(at(3), None);
        assert_eq!(recording.pauses.len(), 1);
        assert_eq!(recording.open_pause().unwrap().resume_at, Some(at(9)));
    }

    #[test]
    fn a_pause_that_did_not_come_to_be_leaves_no_trace() {
        let mut recording = recording();
        recording.pause(at(1), Some(at(9)));
        recording.take_back_pause(at(1), None);
        assert!(recording.pauses.is_empty());
        recording.pause(at(2), Some(at(9)));
        let before = recording.open_pause().cloned();
        recording.pause(at(3), Some(at(99)));
        recording.take_back_pause(at(3), before);
        assert_eq!(recording.open_pause().unwrap().resume_at, Some(at(9)));
    }

    #[test]
    fn the_first_end_is_the_end() {
        let mut recording = recording();
        recording.stop(at(1));
        recording.stop(at(2));
        recording.fail(at(3), "late".into());
        assert_eq!(recording.status, RecordingStatus::Stopped { at: at(1) });
    }

    #[test]
    fn a_registered_recording_survives_its_json() {
        let mut recording = recording();
        recording.call = Some(RecordedCall::Locator(CallLocator::RoomCall {
            room_id: "x".into(),
        }));
        recording.pause(at(1), None);
        let json = serde_json::to_vec(&recording).unwrap();
        assert_eq!(
            serde_json::from_slice::<RegisteredRecording>(&json).unwrap(),
            recording
        );
    }
}
