//! Events about calls, which start and end automatic recordings.
//!
//! <https://learn.microsoft.com/azure/event-grid/communication-services-voice-video-events>; `CallLegStateChanged` is the
//! generation of 2021.

use jiff::Timestamp;

use super::id::ServerCallId;
use super::lenient::Fields;
use super::subject;

/// `Microsoft.Communication.CallStarted`, or the first leg of a call in the generation of 2021.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStarted {
    pub event_id: Option<String>,
    /// In the generation of 2021 the conversation id.
    pub server_call_id: ServerCallId,
    pub group_id: Option<String>,
    pub room_id: Option<String>,
    pub event_time: Option<Timestamp>,
}

/// `Microsoft.Communication.CallEnded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnded {
    pub server_call_id: ServerCallId,
    pub ended_at: Option<Timestamp>,
}

pub(super) const CALL_STARTED: &str = "Microsoft.Communication.CallStarted";
pub(super) const CALL_ENDED: &str = "Microsoft.Communication.CallEnded";
pub(super) const CALL_LEG_STATE_CHANGED: &str = "Microsoft.Communication.CallLegStateChanged";

impl CallStarted {
    pub(super) fn from_fields(event: Fields<'_>, data: Fields<'_>) -> Option<Self> {
        let id_of = |name: &str| {
            data.object(name)
                .and_then(|object| object.text("id"))
                .map(str::to_owned)
        };
        Some(Self {
            event_id: event.text("id").map(str::to_owned),
            server_call_id: server_call_id(event, data)?,
            group_id: id_of("group"),
            room_id: id_of("room"),
            event_time: event_time(event),
        })
    }

    /// Returns `None` for a leg that is not being established.
    pub(super) fn from_leg(event: Fields<'_>, data: Fields<'_>) -> Option<Self> {
        let is_established = data
            .text("CallState")
            .is_some_and(|state| state.eq_ignore_ascii_case("Established"));
        let server_call_id = data
            .text("ConversationId")
            .and_then(|id| id.parse().ok())
            .filter(|_| is_established)?;
        Some(Self {
            event_id: event.text("id").map(str::to_owned),
            server_call_id,
            group_id: None,
            room_id: None,
            event_time: event_time(event),
        })
    }
}

impl CallEnded {
    pub(super) fn from_fields(event: Fields<'_>, data: Fields<'_>) -> Option<Self> {
        Some(Self {
            server_call_id: server_call_id(event, data)?,
            ended_at: event_time(event),
        })
    }
}

fn event_time(event: Fields<'_>) -> Option<Timestamp> {
    event.time("eventTime").or_else(|| event.time("time"))
}

/// Reads it from `data`, or from the subject `call/{serverCallId}/startedBy/{rawId}`.
fn server_call_id(event: Fields<'_>, data: Fields<'_>) -> Option<ServerCallId> {
    let in_subject = || subject::server_call_id(event.text("subject")?);
    data.text("serverCallId").or_else(in_subject)?.parse().ok()
}
