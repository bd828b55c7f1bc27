//! The body of a start, checked before ACS is asked.

use serde::Deserialize;
use serde_json::Value;

use crate::acs::wire::{CallLocator, RecordedCall, StartRecordingOptions, StartRecordingRequest};
use crate::functions::problem::Problem;
use crate::functions::recording_control::start_rules;

/// ACS's `StartCallRecordingRequest`; the call's id may also stand at the top, without a `callLocator` around it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartBody {
    call_locator: Option<LocatorBody>,
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
    call_connection_id: Option<String>,
    recording_state_callback_uri: Option<String>,
    recording_content_type: Option<String>,
    recording_channel_type: Option<String>,
    recording_format_type: Option<String>,
    audio_channel_participant_ordering: Option<Vec<Value>>,
    channel_affinity: Option<Vec<Value>>,
    pause_on_start: Option<bool>,
    external_storage: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LocatorBody {
    /// Follows from which id is given; read and not needed.
    #[serde(rename = "kind")]
    _kind: Option<String>,
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
}

/// Reads a start body.
///
/// # Errors
/// 400 that names the field and says what would be right.
pub fn parse(body: &[u8]) -> Result<StartRecordingRequest, Problem> {
    let body: StartBody = serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(None, format!("The body is not a start request: {error}.")))?;
    let options = StartRecordingOptions {
        recording_content_type: kind("recordingContentType", body.recording_content_type.as_deref())?,
        recording_channel_type: kind("recordingChannelType", body.recording_channel_type.as_deref())?,
        recording_format_type: kind("recordingFormatType", body.recording_format_type.as_deref())?,
        recording_state_callback_uri: body.recording_state_callback_uri,
        audio_channel_participant_ordering: body.audio_channel_participant_ordering,
        channel_affinity: body.channel_affinity,
        pause_on_start: body.pause_on_start,
        external_storage: body.external_storage,
    };
    let locator = body.call_locator.unwrap_or_default();
    let calls = [
        [body.server_call_id, locator.server_call_id]
            .map(|id| id.map(|server_call_id| CallLocator::ServerCall { server_call_id })),
        [body.group_call_id, locator.group_call_id].map(|id| id.map(|group_call_id| CallLocator::GroupCall { group_call_id })),
        [body.room_id, locator.room_id].map(|id| id.map(|room_id| CallLocator::RoomCall { room_id })),
    ];
    let locators = calls.into_iter().flatten().flatten().map(RecordedCall::Locator);
    let mut calls: Vec<RecordedCall> = locators.chain(body.call_connection_id.map(RecordedCall::Connection)).collect();
    match (calls.pop(), calls.is_empty()) {
        (Some(call), true) => {
            start_rules::check(&options)?;
            Ok(StartRecordingRequest { call: start_rules::call(call)?, options })
        }
        (Some(_), false) => Err(which_call("The request names more than one call")),
        (None, _) => Err(which_call("The request names no call")),
    }
}

fn which_call(what: &str) -> Problem {
    let message = format!("{what}; give exactly one of `serverCallId`, `groupCallId`, `roomId`, `callConnectionId`.");
    Problem::invalid(Some("callLocator"), message)
}

fn kind<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(str::parse).transpose().map_err(|error| Problem::invalid(Some(field), format!("`{field}`: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(body: Value) -> Result<Value, String> {
        parse(body.to_string().as_bytes())
            .map(|request| serde_json::to_value(request).unwrap())
            .map_err(|problem| format!("{problem:?}"))
    }

    #[rstest::rstest]
    #[case(json!({"serverCallId": "abc"}))]
    #[case(json!({"callLocator": {"serverCallId": "abc", "kind": "serverCallLocator"}}))]
    fn the_call_may_stand_at_the_top_or_in_a_locator(#[case] body: Value) {
        let expected = json!({"callLocator": {"kind": "serverCallLocator", "serverCallId": "abc"}});
        assert_eq!(parsed(body), Ok(expected));
    }

    #[rstest::rstest]
    #[case(json!({}), "names no call")]
    #[case(json!({"serverCallId": "a", "roomId": "b"}), "more than one call")]
    #[case(json!({"serverCallId": "a", "recordingFormat": "mp3"}), "unknown field `recordingFormat`")]
    #[case(json!({"serverCallId": "a", "recordingFormatType": "ogg"}), "`ogg` is not one of `wav` `mp3` `mp4`")]
    #[case(json!({"serverCallId": 7}), "invalid type: integer `7`")]
    #[case(json!("text"), "not a start request")]
    fn a_bad_start_is_refused_with_the_field_named(#[case] body: Value, #[case] expected: &str) {
        let error = parsed(body).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
