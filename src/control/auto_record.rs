//! Which calls are recorded automatically: a policy in the settings, applied at `CallStarted`.
//!
//! <https://learn.microsoft.com/azure/communication-services/how-tos/call-automation/record-every-call>

use std::collections::BTreeSet;

use uuid::Uuid;

use super::requester::Requester;
use super::start::{Start, StartOptions};
use super::{ControlError, RecordingControl, RecordingView};
use crate::acs::ApiVersion;
use crate::recording::call_event::CallStarted;
use crate::recording::{CallLocator, RecordedCall};

/// Namespace of request ids that are derived from events.
const EVENTS: Uuid = Uuid::from_u128(0x1f2a_6c3b_74d5_5e86_97a8_b9ca_db0e_cf11);

/// Off, or which calls, and how.
#[derive(Debug, Clone)]
pub struct AutoRecord {
    scope: Scope,
    options: StartOptions,
}

/// Which calls are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    Only {
        groups: CallSelection,
        rooms: CallSelection,
    },
}

/// Which calls of one kind are recorded: none, some, all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallSelection {
    every: bool,
    ids: BTreeSet<String>,
}

impl CallSelection {
    fn has(&self, id: &str) -> bool {
        self.every || self.ids.contains(&id.to_ascii_lowercase())
    }
}

impl AutoRecord {
    /// Reads which calls, and how: `options` are a start's body without its call.
    ///
    /// # Errors
    /// With what is wrong with the options.
    pub fn new(scope: Scope, options: &str, version: ApiVersion) -> Result<Self, String> {
        Ok(Self {
            scope,
            options: Self::options(options, version)?,
        })
    }

    /// Whether its starts carry consent evidence.
    pub fn has_consent(&self) -> bool {
        self.options.has_consent()
    }

    fn options(text: &str, version: ApiVersion) -> Result<StartOptions, String> {
        let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
            .map_err(|error| format!("are not a JSON object: {error}"))?;
        members.entry("startedBy").or_insert("auto-record".into());
        StartOptions::parse(members, version)
            .map_err(|error| format!("are not options of a start: {error}"))
    }

    /// Whether this call is recorded.
    pub fn records(&self, call: &CallStarted) -> bool {
        self.start_of(call).is_some()
    }

    /// Returns the start for this call, if the policy records it.
    fn start_of(&self, call: &CallStarted) -> Option<Start> {
        let is_wanted = match &self.scope {
            Scope::All => true,
            Scope::Only { groups, rooms } => {
                call.room_id.as_ref().is_some_and(|id| rooms.has(id))
                    || call.group_id.as_ref().is_some_and(|id| groups.has(id))
            }
        };
        let locator = CallLocator::ServerCall {
            server_call_id: call.server_call_id.clone(),
        };
        is_wanted.then(|| self.options.start(RecordedCall::Locator(locator)))
    }
}

impl Scope {
    /// Reads `AUTO_RECORD`: `all`, or a list of `groups`, `rooms`, `group:<id>`, `room:<id>`; `None` for `off`.
    ///
    /// # Errors
    /// With what would be right.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        match text.trim() {
            "off" => return Ok(None),
            "all" => return Ok(Some(Self::All)),
            _ => {}
        }
        let (mut groups, mut rooms) = (CallSelection::default(), CallSelection::default());
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.split_once(':') {
                None if part == "groups" => groups.every = true,
                None if part == "rooms" => rooms.every = true,
                Some(("group", id)) if !id.is_empty() => {
                    groups.ids.insert(id.to_ascii_lowercase());
                }
                Some(("room", id)) if !id.is_empty() => {
                    rooms.ids.insert(id.to_ascii_lowercase());
                }
                Some(_) | None => {
                    return Err(format!(
                        "has `{part}`; expected off, all, or a list of groups, rooms, group:<id>, room:<id>"
                    ));
                }
            }
        }
        Ok(Some(Self::Only { groups, rooms }))
    }
}

impl RecordingControl {
    /// Starts the recording of a call that the policy covers; else `None`. The same event again is the same start.
    ///
    /// # Errors
    /// As [`RecordingControl::start`].
    pub async fn auto_record(
        &self,
        policy: &AutoRecord,
        call: &CallStarted,
    ) -> Option<Result<RecordingView, ControlError>> {
        let start = policy.start_of(call)?;
        let name = format!(
            "{}/{}",
            call.server_call_id,
            call.event_id.as_deref().unwrap_or_default()
        );
        Some(
            self.start(
                &start,
                Uuid::new_v5(&EVENTS, name.as_bytes()),
                &Requester::AutoRecord,
            )
            .await,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(scope: &str) -> AutoRecord {
        let scope = Scope::parse(scope).unwrap().unwrap();
        AutoRecord::new(
            scope,
            r#"{"recordingFormatType": "mp3"}"#,
            "2026-03-12".parse().unwrap(),
        )
        .unwrap()
    }

    fn call(group: Option<&str>, room: Option<&str>) -> CallStarted {
        CallStarted {
            event_id: None,
            server_call_id: "abc".parse().unwrap(),
            group_id: group.map(str::to_owned),
            room_id: room.map(str::to_owned),
            event_time: None,
            people: Vec::new(),
        }
    }

    #[rstest::rstest]
    #[case("all", None, None, true)]
    #[case("groups", None, None, false)]
    #[case("groups", Some("g1"), None, true)]
    #[case("rooms", Some("g1"), None, false)]
    #[case("group:G1,rooms", Some("g1"), None, true)]
    #[case("group:g2, rooms", Some("g1"), None, false)]
    #[case("room:99", None, Some("99"), true)]
    fn the_policy_says_which_calls(
        #[case] scope: &str,
        #[case] group: Option<&str>,
        #[case] room: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(
            policy(scope).start_of(&call(group, room)).is_some(),
            expected
        );
    }

    #[test]
    fn a_start_has_the_options_and_the_events_call() {
        let start = policy("all").start_of(&call(None, None)).unwrap();
        let body = serde_json::to_value(&start.request).unwrap();
        assert_eq!(
            (
                &body["callLocator"]["serverCallId"],
                &body["recordingFormatType"]
            ),
            (&"abc".into(), &"mp3".into())
        );
        assert_eq!(start.started_by.as_deref(), Some("auto-record"));
    }

    #[rstest::rstest]
    #[case("[]", "not a JSON object")]
    #[case(r#"{"recordingFormatType": "ogg"}"#, "`ogg` is not one of")]
    #[case(r#"{"roomId": "1"}"#, "the call is known")]
    fn options_that_cannot_be_say_why(#[case] options: &str, #[case] expected: &str) {
        let error =
            AutoRecord::new(Scope::All, options, "2026-03-12".parse().unwrap()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn off_is_off_and_what_is_not_known_is_named() {
        assert_eq!(Scope::parse("off"), Ok(None));
        assert!(Scope::parse("some").unwrap_err().contains("has `some`"));
    }
}
