//! Events about calls, which start and end automatic recordings.
//!
//! <https://learn.microsoft.com/azure/event-grid/communication-services-voice-video-events>; `CallLegStateChanged` is the
//! generation of 2021.

use jiff::Timestamp;

use super::id::ServerCallId;
use super::lenient::Fields;
use super::{identifier, subject};

/// `Microsoft.Communication.CallStarted`, or the first leg of a call in the generation of 2021.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStarted {
    pub event_id: Option<String>,
    /// In the generation of 2021 the conversation id.
    pub server_call_id: ServerCallId,
    pub group_id: Option<String>,
    pub room_id: Option<String>,
    pub event_time: Option<Timestamp>,
    /// Ids of people that the event names: who started the call.
    pub people: Vec<String>,
}

/// `Microsoft.Communication.CallEnded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnded {
    pub server_call_id: ServerCallId,
    pub ended_at: Option<Timestamp>,
    /// Ids of people that the event names: who started the call, and who ended it.
    pub people: Vec<String>,
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
            people: people(event, data),
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
            people: Vec::new(),
        })
    }
}

impl CallEnded {
    pub(super) fn from_fields(event: Fields<'_>, data: Fields<'_>) -> Option<Self> {
        Some(Self {
            server_call_id: server_call_id(event, data)?,
            ended_at: event_time(event),
            people: people(event, data),
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

/// Reads `startedBy` and `endedBy`: `{communicationIdentifier, role}`, in older events the identifier itself, and in the
/// subject its raw id.
fn people(event: Fields<'_>, data: Fields<'_>) -> Vec<String> {
    let named = |name: &str| {
        let person = data.value(name)?;
        let identifier = Fields::of(person)?.value("communicationIdentifier");
        identifier::raw_id(identifier.unwrap_or(person))
    };
    let of_subject = || Some(subject::started_by(event.text("subject")?)?.to_owned());
    let started_by = named("startedBy").or_else(of_subject);
    started_by.into_iter().chain(named("endedBy")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn started(event: &Value) -> CallStarted {
        let event = Fields::of(event).expect("it is an object");
        let data = event.object("data").expect("it has data");
        CallStarted::from_fields(event, data).expect("it names a call")
    }

    #[rstest::rstest]
    #[case(json!({"serverCallId": "c", "startedBy": {"communicationIdentifier": {"rawId": "4:+15551230001"}, "role": "x"}}), "")]
    #[case(json!({"serverCallId": "c", "startedBy": {"rawId": "4:+15551230001"}}), "")]
    #[case(json!({"serverCallId": "c", "startedBy": {"phoneNumber": {"value": "4:+15551230001"}}}), "")]
    #[case(json!({"serverCallId": "c"}), "call/c/startedBy/4:+15551230001")]
    #[case(json!({}), "/call/c/startedBy/4:+15551230001")]
    fn who_started_a_call_is_read_from_every_generation_of_events(
        #[case] data: Value,
        #[case] subject: &str,
    ) {
        let call = started(&json!({"data": data, "subject": subject}));
        assert_eq!(call.people, ["4:+15551230001"]);
    }

    #[test]
    fn who_ended_a_call_is_read_too() {
        let data = json!({"serverCallId": "c", "startedBy": {"rawId": "8:acs:a"}, "endedBy": {"rawId": "8:acs:b"}});
        let event = json!({"data": data});
        let event = Fields::of(&event).expect("it is an object");
        let data = event.object("data").expect("it has data");
        let call = CallEnded::from_fields(event, data).expect("it names a call");
        assert_eq!(call.people, ["8:acs:a", "8:acs:b"]);
    }
}
