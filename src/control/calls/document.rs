//! The document of a call: its last start, and the recording that it returned. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LastStart, PendingStart, Reservation, StartOrigin};
use crate::acs::client::{StartAttempt, TOTAL_DEADLINE};
use crate::acs::wire::{StartRecordingOptions, StartRecordingRequest};
use crate::control::consent::Consent;
use crate::control::start::Start;
use crate::recording::{CallLocator, RecordedCall, RecordingId};
use crate::store::digest::Sha256Digest;
use crate::store::documents::Keyed;

/// A start without an answer after this long gets none.
const ASKED_FOR: Duration = TOTAL_DEADLINE.saturating_mul(2);
/// How long ACS is asked again for a start whose outcome is unknown; then its call is free.
pub const RESERVED_FOR: Duration = Duration::from_mins(5);
/// Stored starts whose outcome stayed unknown.
const MOST_FREED: usize = 8;

/// `calls/<sha256 of the call>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallDocument {
    pub call: RecordedCall,
    /// The last start, whatever its outcome.
    pub request_id: Uuid,
    pub first_sent: Timestamp,
    /// Until then the process that reserved it may still be asking.
    reserved_until: Timestamp,
    /// What the last start returned.
    pub recording_id: Option<RecordingId>,
    /// Stored before ACS is asked, until the recording's account has it.
    consent: Option<Consent>,
    /// The previous recording, while the last start has not returned another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<RecordingId>,
    /// While the outcome of the last start is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<OpenStart>,
    /// Starts whose outcome stayed unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    freed: Vec<FreedStart>,
}

/// What is needed to ask ACS again for the same start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenStart {
    marker: String,
    /// Without the queries of URLs, which may hold secrets.
    options: StartRecordingOptions,
    started_by: Option<String>,
}

/// A start that was given up with an unknown outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FreedStart {
    pub request_id: Uuid,
    pub first_sent: Timestamp,
    started_by: Option<String>,
    consent: Option<Consent>,
}

impl Keyed for CallDocument {
    fn key(&self) -> Option<String> {
        Some(key(&self.call))
    }
}

impl CallDocument {
    pub fn new(start: &Start, attempt: StartAttempt) -> Self {
        let reserved_until = attempt.first_sent.checked_add(ASKED_FOR);
        Self {
            call: start.request.call.clone(),
            request_id: attempt.request_id,
            first_sent: attempt.first_sent,
            reserved_until: reserved_until.unwrap_or(Timestamp::MAX),
            recording_id: None,
            consent: start.consent.clone(),
            previous: None,
            open: Some(OpenStart {
                marker: String::new(),
                options: start.request.options.without_secrets(),
                started_by: start.started_by.clone(),
            }),
            freed: Vec::new(),
        }
    }

    /// Returns the document with a reservation for this start; `None` when the call is not free. An expired start must be
    /// given up first.
    pub fn reserved(
        known: Option<&Self>,
        start: &Start,
        attempt: StartAttempt,
        over: Option<&RecordingId>,
    ) -> Option<Self> {
        let new = Self::new(start, attempt);
        let Some(known) = known else { return Some(new) };
        let (now, is_same) = (attempt.first_sent, known.request_id == attempt.request_id);
        if known.open.is_some() {
            // A repetition of the start keeps what was written first.
            return (is_same && !known.is_free(now)).then(|| Self {
                reserved_until: new.reserved_until,
                ..known.clone()
            });
        }
        let last = known.last_recording();
        let is_made = is_same && known.recording_id.is_some();
        if is_made || last.is_some() && last != over {
            return None;
        }
        let first_sent = if is_same && !known.is_free(now) {
            known.first_sent
        } else {
            now
        };
        Some(Self {
            previous: last.cloned(),
            freed: known.freed.clone(),
            first_sent,
            ..new
        })
    }

    /// Fills in the marker of a reservation that has none yet.
    pub fn with_marker(mut self, marker: &str) -> Self {
        if let Some(open) = self.open.as_mut().filter(|open| open.marker.is_empty()) {
            marker.clone_into(&mut open.marker);
        }
        self
    }

    pub fn is_open_by(&self, marker: &str) -> bool {
        self.open.as_ref().is_some_and(|open| open.marker == marker)
    }

    /// Whether ACS no longer recognizes a repetition of the last start.
    pub fn is_free(&self, now: Timestamp) -> bool {
        let until = self.first_sent.checked_add(RESERVED_FOR);
        until.is_ok_and(|until| now >= until)
    }

    pub fn last_recording(&self) -> Option<&RecordingId> {
        self.recording_id.as_ref().or(self.previous.as_ref())
    }

    /// Returns the start whose outcome is unknown, without the queries of its URLs: they are not stored.
    pub fn pending(&self, key: &str) -> Option<PendingStart> {
        let open = self.open.as_ref()?;
        Some(PendingStart {
            reservation: Reservation {
                key: key.to_owned(),
                marker: open.marker.clone(),
                attempt: StartAttempt {
                    request_id: self.request_id,
                    first_sent: self.first_sent,
                },
                origin: StartOrigin::Repeated,
            },
            start: Start {
                request: StartRecordingRequest {
                    call: self.call.clone(),
                    options: open.options.clone(),
                },
                consent: self.consent.clone(),
                started_by: open.started_by.clone(),
            },
            asked_until: self.reserved_until,
        })
    }

    pub fn started(&self, id: &RecordingId) -> Self {
        Self {
            recording_id: Some(id.clone()),
            consent: None,
            previous: None,
            open: None,
            ..self.clone()
        }
    }

    pub fn refused(&self) -> Self {
        Self {
            consent: None,
            open: None,
            ..self.clone()
        }
    }

    /// Gives up the last start. Who requested it, and on what ground, is kept.
    pub fn freed(&self) -> Self {
        let mut document = self.refused();
        let Some(open) = &self.open else {
            return document;
        };
        if document.freed.len() >= MOST_FREED {
            document.freed.remove(0);
        }
        document.freed.push(FreedStart {
            request_id: self.request_id,
            first_sent: self.first_sent,
            started_by: open.started_by.clone(),
            consent: self.consent.clone(),
        });
        document
    }

    /// Removes what is stored about people of starts that were given up and sent in this period.
    pub fn without_freed_consent(&self, sent: &RangeInclusive<Timestamp>) -> Self {
        let mut document = self.clone();
        for freed in &mut document.freed {
            if sent.contains(&freed.first_sent) {
                (freed.consent, freed.started_by) = (None, None);
            }
        }
        document
    }

    /// Whether the last start is this one, and ACS answered it.
    pub fn has_settled(&self, attempt: StartAttempt) -> bool {
        let is_last =
            (self.request_id, self.first_sent) == (attempt.request_id, attempt.first_sent);
        is_last && self.last_start() == LastStart::Known
    }

    pub fn last_start(&self) -> LastStart {
        if self.open.is_some() {
            return LastStart::Open;
        }
        let last = (self.request_id, self.first_sent);
        let mut freed = self.freed.iter();
        if freed.any(|freed| (freed.request_id, freed.first_sent) == last) {
            LastStart::GivenUp
        } else {
            LastStart::Known
        }
    }

    pub fn has_open_start(&self) -> bool {
        self.open.is_some()
    }

    /// Whether something is stored about people of a start that was given up.
    pub fn has_freed_consent(&self) -> bool {
        let mut freed = self.freed.iter();
        freed.any(|freed| freed.consent.is_some() || freed.started_by.is_some())
    }

    /// Removes what is stored about people who started this recording, which ended at `ended_at`.
    pub fn without_consent(&self, id: &RecordingId, ended_at: Option<Timestamp>) -> Self {
        let mut document = self.clone();
        // Where the answer to its start was lost, the start was sent before it ended.
        let may_be_its = |sent: Timestamp| ended_at.is_some_and(|ended_at| sent <= ended_at);
        let is_its = match &self.recording_id {
            Some(recorded) => recorded == id,
            None => may_be_its(self.first_sent),
        };
        if is_its {
            document.consent = None;
            if let Some(open) = &mut document.open {
                open.started_by = None;
                open.options.audio_channel_participant_ordering = None;
                open.options.channel_affinity = None;
            }
        }
        for freed in &mut document.freed {
            if may_be_its(freed.first_sent) {
                (freed.consent, freed.started_by) = (None, None);
            }
        }
        document
    }
}

/// Returns the key of a call's document. A server call id is one id in all its spellings.
pub(super) fn key(call: &RecordedCall) -> String {
    format!("calls/{}.json", name(call))
}

/// Returns the key of the document that the rest of a marker, `<seconds>-<sha256>-<start>`, refers to.
pub(super) fn key_of(rest: &str) -> Option<String> {
    let name = rest.split('-').nth(1)?;
    Some(format!("calls/{name}.json"))
}

pub(super) fn name(call: &RecordedCall) -> Sha256Digest {
    let name = match call {
        RecordedCall::Locator(CallLocator::ServerCall { server_call_id }) => {
            format!("serverCall:{}", server_call_id.key())
        }
        RecordedCall::Locator(CallLocator::GroupCall { group_call_id }) => {
            format!("groupCall:{group_call_id}")
        }
        RecordedCall::Locator(CallLocator::RoomCall { room_id }) => format!("room:{room_id}"),
        RecordedCall::Connection(id) => format!("connection:{id}"),
    };
    Sha256Digest::of(name.as_bytes())
}
