//! The account of a recording in the register: what was asked for, by whom, on what ground, its pauses and its state.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::consent::Consent;
use super::files::Files;
use super::intention::Intention;
pub use super::pause::{Pause, PauseEnd};
use super::sent::SentRequests;
use super::state::RecordingState;
use crate::acs::wire::StartRecordingOptions;
use crate::recording::{
    Acknowledgement, CallId, CallLocator, PersonKey, RecordedCall, RecordingId, identifier,
};
use crate::store::index::{Attention, Listed, listed_time, recording_name};
use crate::store::people::PersonHash;

/// Requesters that are no persons.
const SYSTEMS: [&str; 3] = ["api", "auto-record", "telephony"];
/// People that an account names at most: who started the call, who ended it, and those of the channels.
const MOST_PEOPLE: usize = 64;

/// The account of one recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredRecording {
    pub recording_id: RecordingId,
    /// `None` for a recording that was not started through this app.
    pub call: Option<RecordedCall>,
    pub options: StartRecordingOptions,
    /// Who asked for it: a caller's name, `api`, `auto-record`, `telephony`.
    pub started_by: Option<String>,
    /// The bot's conversation that asked for it; the conversation's other recordings are of the same call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    pub started_at: Option<Timestamp>,
    pub recording_kind: Option<String>,
    pub consent: Option<Consent>,
    pub status: RecordingStatus,
    pub pauses: Vec<Pause>,
    /// Requests that ACS has not answered yet, or whose answer was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intentions: Vec<Intention>,
    /// Requests that were settled otherwise before their own answers came. The process that sent one may be about to record
    /// it; the sweep records what is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Intention>,
    /// Intentions that the change in progress has taken out because ACS answered them. Not stored.
    #[serde(skip)]
    pub answered: Vec<Uuid>,
    /// When ACS was last asked to pause and to resume it.
    #[serde(default, skip_serializing_if = "SentRequests::is_empty")]
    pub sent: SentRequests,
    /// When ACS last reported on it.
    pub heard_at: Timestamp,
    pub files: Files,
    /// The call as events name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// When ACS answered the start that we sent; `None` for a recording that was not started through this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// When its account was opened: it is listed under this time while its start is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// Problems of the recording as a whole that an operator has acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<AcknowledgedProblems>,
    /// People whom the account or an event of its call names, as keys of the index name them. Those of a recording that
    /// is being erased stay until its entries name nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonHash>,
    /// It was erased on request; the account has only what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
    /// How its end is known; `None` where ACS only had no such recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_witness: Option<EndWitness>,
}

/// What shows that a recording ended, besides an answer that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndWitness {
    /// ACS stopped it for us.
    Stop,
    /// An event reported the end, and ACS has no such recording.
    Event,
}

/// That a recording was erased, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    pub at: Timestamp,
    pub reason: String,
}

/// Problems of a recording that an operator has acknowledged; a later problem is not included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedProblems {
    #[serde(flatten)]
    pub said: Acknowledgement,
    pub problems: Vec<String>,
}

impl AcknowledgedProblems {
    /// Whether each of these problems is acknowledged.
    pub fn covers(&self, problems: &[String]) -> bool {
        problems
            .iter()
            .all(|problem| self.problems.contains(problem))
    }
}

/// Whether a recording runs, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum RecordingStatus {
    Running,
    Stopped {
        at: Timestamp,
    },
    /// ACS accepted the start and then reported that it failed.
    Failed {
        at: Timestamp,
        reason: String,
    },
}

impl RegisteredRecording {
    /// A recording of which nothing is known except that it runs.
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
            intentions: Vec::new(),
            unrecorded: Vec::new(),
            answered: Vec::new(),
            sent: SentRequests::default(),
            heard_at: now,
            files: Files::default(),
            call_id: None,
            registered_at: None,
            opened_at: Some(now),
            acknowledged: None,
            people: Vec::new(),
            erased: None,
            end_witness: None,
        }
    }

    /// Returns the ids of people that the account has: who asked for the recording, and whom the start assigns to channels.
    pub fn named_people(&self) -> BTreeSet<PersonKey> {
        let started_by = self.started_by.as_deref();
        let started_by = started_by.filter(|name| !SYSTEMS.contains(name));
        let options = &self.options;
        let ordering = options.audio_channel_participant_ordering.iter().flatten();
        let affinity = options.channel_affinity.iter().flatten();
        let participants = ordering.chain(affinity.filter_map(|one| one.get("participant")));
        let participants = participants.filter_map(identifier::raw_id);
        let ids = started_by
            .map(str::to_owned)
            .into_iter()
            .chain(participants);
        ids.map(|id| PersonKey::of(&id)).collect()
    }

    /// Adds people, unless the recording was erased.
    pub fn add_people(&mut self, people: &[PersonHash]) {
        if self.erased.is_some() {
            return;
        }
        for person in people {
            if !self.people.contains(person) && self.people.len() < MOST_PEOPLE {
                self.people.push(*person);
            }
        }
    }

    pub fn is_running(&self) -> bool {
        self.status == RecordingStatus::Running
    }

    /// Whether the sweep must look at it: it runs, or what was asked for may not be in the audit log.
    pub fn is_swept(&self) -> bool {
        self.is_running() || !self.unrecorded.is_empty()
    }

    /// Whether it ended, and its files are still to be announced.
    pub fn is_awaited(&self) -> bool {
        let has_ended = matches!(self.status, RecordingStatus::Stopped { .. });
        has_ended && self.files.announced_at.is_none() && self.files.missing_since.is_none()
    }

    /// Whether it ran, and ended.
    pub fn was_stopped(&self) -> bool {
        matches!(self.status, RecordingStatus::Stopped { .. })
    }

    /// Whether it ended, and more than a single answer of ACS says so.
    pub fn has_surely_ended(&self) -> bool {
        self.was_stopped() && self.end_witness.is_some()
    }

    /// Whether its start failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.status, RecordingStatus::Failed { .. })
    }

    /// Returns when it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.status {
            RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. } => Some(*at),
            RecordingStatus::Running => None,
        }
    }

    /// Returns its time in the index.
    pub fn filed_at(&self) -> Timestamp {
        let known = self.started_at.or(self.opened_at);
        listed_time(known.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Whether no event announced its files in time.
    pub fn is_missing(&self) -> bool {
        self.files.missing_since.is_some() && self.files.announced_at.is_none()
    }

    /// Returns every name of its call.
    pub fn call_names(&self) -> impl Iterator<Item = &str> {
        let asked_for = self.call.as_ref().map(RecordedCall::id);
        asked_for
            .into_iter()
            .chain(self.call_id.as_ref().map(CallId::as_str))
    }

    /// Returns the keys of all its markers in the index.
    pub fn markers(&self) -> BTreeSet<String> {
        let (at, name) = (self.filed_at(), recording_name(&self.recording_id));
        let calls = self.call_names().map(|id| Listed::Call(id.to_owned()));
        let lists = std::iter::once(Listed::All)
            .chain(calls)
            .chain(self.attention().map(Listed::Attention));
        let people = self
            .people
            .iter()
            .map(|person| Listed::Participant(*person));
        let lists = lists.chain(people);
        lists.map(|list| list.marker(at, &name, None)).collect()
    }

    /// Returns the list of what needs a person that it belongs to, whatever happens to its chunks. Time does not change
    /// it: an incomplete recording may only be awaited still.
    fn attention(&self) -> Option<Attention> {
        let attention = match &self.status {
            RecordingStatus::Running => return None,
            RecordingStatus::Failed { .. } => Attention::Failed,
            RecordingStatus::Stopped { .. } if self.erased.is_some() => return None,
            RecordingStatus::Stopped { .. } if self.is_missing() => Attention::Missing,
            RecordingStatus::Stopped { .. } if self.is_awaited() => return None,
            RecordingStatus::Stopped { .. } if self.files.problems().is_empty() => return None,
            RecordingStatus::Stopped { .. } => Attention::Incomplete,
        };
        let is_covered = self
            .acknowledged
            .as_ref()
            .is_some_and(|acknowledged| acknowledged.covers(&self.problems()));
        Some(if is_covered {
            Attention::Acknowledged
        } else {
            attention
        })
    }

    /// Returns what is wrong with it by its account alone.
    pub fn problems(&self) -> Vec<String> {
        match &self.status {
            RecordingStatus::Running => Vec::new(),
            RecordingStatus::Failed { reason, .. } => {
                vec![format!("ACS could not start it: {reason}")]
            }
            RecordingStatus::Stopped { .. } => self.files.problems(),
        }
    }

    /// Returns its open pause.
    pub fn open_pause(&self) -> Option<&Pause> {
        self.pauses.last().filter(|pause| pause.is_open())
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
                Some(server_call_id.as_str())
            }
            Some(RecordedCall::Locator(
                CallLocator::GroupCall { .. } | CallLocator::RoomCall { .. },
            ))
            | Some(RecordedCall::Connection(_))
            | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::intention::IntendedAction;

    #[test]
    fn a_problem_that_came_after_an_acknowledgement_needs_a_person() {
        let now = Timestamp::UNIX_EPOCH;
        let mut recording = RegisteredRecording::unknown("r".parse().unwrap(), now);
        recording.status = RecordingStatus::Stopped { at: now };
        recording.files.missing_since = Some(now);
        assert_eq!(recording.attention(), Some(Attention::Missing));
        recording.acknowledged = Some(AcknowledgedProblems {
            said: Acknowledgement {
                at: now,
                by: None,
                reason: "r".to_owned(),
            },
            problems: recording.problems(),
        });
        assert_eq!(recording.attention(), Some(Attention::Acknowledged));
        recording.files.announced_at = Some(now);
        recording
            .files
            .chunks
            .insert(2, ["c".parse().unwrap()].into());
        assert_eq!(recording.attention(), Some(Attention::Incomplete));
    }

    #[test]
    fn a_registered_recording_survives_its_json() {
        let now = Timestamp::UNIX_EPOCH;
        let mut recording = RegisteredRecording::unknown("r".parse().unwrap(), now);
        recording.call = Some(RecordedCall::Locator(CallLocator::RoomCall {
            room_id: "x".into(),
        }));
        recording.start_paused(now);
        for action in [
            IntendedAction::Pause {
                resume_at: Some(now),
            },
            IntendedAction::Resume {
                pause: Some(now),
                by: PauseEnd::Guard,
            },
            IntendedAction::Stop,
        ] {
            recording.intend(&Intention::new(now, action));
        }
        let json = serde_json::to_vec(&recording).unwrap();
        assert_eq!(
            serde_json::from_slice::<RegisteredRecording>(&json).unwrap(),
            recording
        );
    }
}
