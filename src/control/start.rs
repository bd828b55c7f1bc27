//! The body of a start, checked before ACS is asked.

mod rules;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::consent::Consent;
use crate::acs::ApiVersion;
use crate::acs::wire::{StartRecordingOptions, StartRecordingRequest};
use crate::recording::{CallLocator, RecordedCall};
use crate::request_body::{self, InvalidRequest};
use crate::suggestion;

pub use rules::{call as checked_call, server_call};

/// The longest name of a caller.
const LONGEST_NAME: usize = 256;

/// What to record, for whom, on what ground.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub request: StartRecordingRequest,
    pub consent: Option<Consent>,
    pub started_by: Option<String>,
}

/// What a start says: ACS's `StartCallRecordingRequest`, with consent evidence and the caller's name.
///
/// The call is named by exactly one of `serverCallId`, `groupCallId`, `roomId`, `callConnectionId`, at the top or in a
/// `callLocator`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartRecording {
    call_locator: Option<Locator>,
    /// As `getServerCallId()` gives it; a conversation URL is encoded for you.
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
    call_connection_id: Option<String>,
    /// https; ACS reports `RecordingStateChanged` there.
    recording_state_callback_uri: Option<String>,
    /// `audio` or `audioVideo`.
    recording_content_type: Option<String>,
    /// `mixed` or `unmixed`.
    recording_channel_type: Option<String>,
    /// `mp4` (audioVideo, mixed), `mp3` (audio, mixed) or `wav` (audio, mixed or unmixed).
    recording_format_type: Option<String>,
    /// `CommunicationIdentifierModel`s.
    #[schema(value_type = Option<Vec<Object>>)]
    audio_channel_participant_ordering: Option<Vec<Value>>,
    /// `{channel, participant}`, for unmixed recordings.
    #[schema(value_type = Option<Vec<Object>>)]
    channel_affinity: Option<Vec<Value>>,
    /// Starts paused.
    pause_on_start: Option<bool>,
    /// `{recordingStorageKind, recordingDestinationContainerUrl}`: ACS writes into your own storage.
    #[schema(value_type = Option<Object>)]
    external_storage: Option<Map<String, Value>>,
    /// Kept with the recording; asked for where `REQUIRE_CONSENT` is set.
    consent: Option<Consent>,
    /// Kept with the recording: a person or a system.
    started_by: Option<String>,
}

/// ACS's `CallLocator`.
#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Locator {
    /// Optional; follows from the id that is given.
    kind: Option<String>,
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
}

/// A start without its call.
#[derive(Debug, Clone, PartialEq)]
pub struct StartOptions {
    options: StartRecordingOptions,
    consent: Option<Consent>,
    started_by: Option<String>,
}

impl Start {
    /// Reads a start's body.
    ///
    /// # Errors
    /// With the member that is wrong, and what would be right.
    pub fn parse(body: &[u8], version: ApiVersion) -> Result<Self, InvalidRequest> {
        let body = StartRecording::read(request_body::object(body)?)?;
        let options = StartOptions::of(&body, version)?;
        options.checked_start(body.call()?, version)
    }
}

impl StartOptions {
    /// Reads the members of a start's body that do not name the call.
    ///
    /// # Errors
    /// With the member that is wrong, and what would be right.
    pub fn parse(members: Map<String, Value>, version: ApiVersion) -> Result<Self, InvalidRequest> {
        let body = StartRecording::read(members)?;
        let options = Self::of(&body, version)?;
        if body.calls().is_empty() {
            return Ok(options);
        }
        let message = "They name a call, although the call is known here; leave out `serverCallId`, `groupCallId`, `roomId`, `callConnectionId` and `callLocator`.";
        Err(InvalidRequest::of("callLocator", message))
    }

    fn of(body: &StartRecording, version: ApiVersion) -> Result<Self, InvalidRequest> {
        if let Some(locator) = &body.call_locator {
            locator.check_kind()?;
        }
        let started_by = body.started_by.clone();
        if started_by
            .as_ref()
            .is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_NAME)
        {
            let message = format!("`startedBy` is empty or has more than {LONGEST_NAME} bytes.");
            return Err(InvalidRequest::of("startedBy", message));
        }
        if let Some(name) = &started_by {
            rules::refuse_control_characters("startedBy", name)?;
        }
        let options = body.options()?;
        rules::check(&options)?;
        rules::options_of_version(&options, version)?;
        Ok(Self {
            options,
            consent: body.consent.clone(),
            started_by,
        })
    }

    pub fn has_consent(&self) -> bool {
        self.consent.is_some()
    }

    /// The start of a call, as ACS names it.
    pub fn start(&self, call: RecordedCall) -> Start {
        Start {
            request: StartRecordingRequest {
                call,
                options: self.options.clone(),
            },
            consent: self.consent.clone(),
            started_by: self.started_by.clone(),
        }
    }

    /// The start of a [checked](checked_call) call.
    ///
    /// # Errors
    /// When the API version in use cannot record a call that is named so.
    pub fn checked_start(
        &self,
        call: RecordedCall,
        version: ApiVersion,
    ) -> Result<Start, InvalidRequest> {
        rules::call_of_version(&call, version)?;
        Ok(self.start(call))
    }
}

impl StartRecording {
    fn read(members: Map<String, Value>) -> Result<Self, InvalidRequest> {
        request_body::check_inside::<Locator>(&members, "callLocator")?;
        request_body::check_inside::<Consent>(&members, "consent")?;
        request_body::from_object(members)
    }

    fn options(&self) -> Result<StartRecordingOptions, InvalidRequest> {
        Ok(StartRecordingOptions {
            recording_state_callback_uri: self.recording_state_callback_uri.clone(),
            recording_content_type: kind(
                "recordingContentType",
                self.recording_content_type.as_deref(),
            )?,
            recording_channel_type: kind(
                "recordingChannelType",
                self.recording_channel_type.as_deref(),
            )?,
            recording_format_type: kind(
                "recordingFormatType",
                self.recording_format_type.as_deref(),
            )?,
            audio_channel_participant_ordering: self.audio_channel_participant_ordering.clone(),
            channel_affinity: self.channel_affinity.clone(),
            pause_on_start: self.pause_on_start,
            external_storage: self.external_storage.clone().map(Value::Object),
        })
    }

    /// The calls that the body names, each checked.
    fn calls(self) -> Vec<Result<RecordedCall, InvalidRequest>> {
        let locator = self.call_locator.unwrap_or_default();
        let server_calls = [self.server_call_id, locator.server_call_id];
        let others = [
            [self.group_call_id, locator.group_call_id]
                .map(|id| id.map(|group_call_id| CallLocator::GroupCall { group_call_id })),
            [self.room_id, locator.room_id]
                .map(|id| id.map(|room_id| CallLocator::RoomCall { room_id })),
        ];
        let locators = others.into_iter().flatten().flatten();
        let others = locators
            .map(RecordedCall::Locator)
            .chain(self.call_connection_id.map(RecordedCall::Connection));
        let server_calls = server_calls.into_iter().flatten();
        server_calls
            .map(|id| server_call(&id))
            .chain(others.map(rules::call))
            .collect()
    }

    fn call(self) -> Result<RecordedCall, InvalidRequest> {
        let mut calls = self.calls();
        match (calls.pop(), calls.is_empty()) {
            (Some(call), true) => call,
            (Some(_), false) => Err(which_call("The request names more than one call")),
            (None, _) => Err(which_call("The request names no call")),
        }
    }
}

impl Locator {
    /// Checks that a kind that is given is that of the id. ACS's SDKs write kinds in different casing.
    fn check_kind(&self) -> Result<(), InvalidRequest> {
        const TARGET: &str = "callLocator.kind";
        let Some(kind) = &self.kind else {
            return Ok(());
        };
        let kinds = [
            ("serverCallLocator", "serverCallId", &self.server_call_id),
            ("groupCallLocator", "groupCallId", &self.group_call_id),
            ("roomCallLocator", "roomId", &self.room_id),
        ];
        let is_it = |(known, _, _): &&(&str, _, _)| known.eq_ignore_ascii_case(kind);
        let Some((known, member, id)) = kinds.iter().find(is_it) else {
            let hint = suggestion::hint(kind, &kinds.map(|(known, _, _)| known));
            let message = format!("`{TARGET}` is `{kind}`{hint}");
            return Err(InvalidRequest::of(TARGET, message));
        };
        if id.is_some() {
            return Ok(());
        }
        let message = format!(
            "`{TARGET}` is `{known}`, and `callLocator` has no `{member}`; leave `kind` out, or give that of the id."
        );
        Err(InvalidRequest::of(TARGET, message))
    }
}

fn which_call(what: &str) -> InvalidRequest {
    let message = format!(
        "{what}; give exactly one of `serverCallId`, `groupCallId`, `roomId`, `callConnectionId`."
    );
    InvalidRequest::of("callLocator", message)
}

fn kind<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: Option<&str>,
) -> Result<Option<T>, InvalidRequest> {
    text.map(str::parse)
        .transpose()
        .map_err(|error| InvalidRequest::of(field, format!("`{field}`: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(body: Value) -> Result<Start, InvalidRequest> {
        Start::parse(body.to_string().as_bytes(), "2026-03-12".parse().unwrap())
    }

    #[rstest::rstest]
    #[case(json!({"serverCallId": "abc"}))]
    #[case(json!({"callLocator": {"serverCallId": "abc", "kind": "serverCallLocator"}}))]
    fn the_call_may_be_at_the_top_or_in_a_locator(#[case] body: Value) {
        let expected = json!({"callLocator": {"kind": "serverCallLocator", "serverCallId": "abc"}});
        assert_eq!(
            serde_json::to_value(parsed(body).unwrap().request).unwrap(),
            expected
        );
    }

    #[rstest::rstest]
    #[case(json!({}), "callLocator", "names no call")]
    #[case(json!({"serverCallId": "a", "roomId": "b"}), "callLocator", "more than one call")]
    #[case(json!({"serverCallId": "a", "recordingFormat": "mp3"}), "recordingFormat", "unknown field `recordingFormat`")]
    #[case(json!({"serverCallId": "a", "recordingFormatType": "ogg"}), "recordingFormatType", "`ogg` is not one of `wav` `mp3` `mp4`")]
    #[case(json!({"callId": "a"}), "callId", "unknown field `callId`; did you mean `serverCallId`?")]
    #[case(json!({"callLocator": {"callId": "a"}}), "callLocator.callId", "did you mean `serverCallId`?")]
    #[case(json!({"serverCallId": 7}), "serverCallId", "`serverCallId`: expected a text.")]
    #[case(json!({"callLocator": {"roomId": []}}), "callLocator.roomId", "`callLocator.roomId`: expected a text.")]
    #[case(json!({"serverCallId": "a", "consent": {"basis": "x"}}), "consent", "missing field `givenBy`")]
    #[case(json!({"serverCallId": "a", "startedBy": " "}), "startedBy", "is empty")]
    #[case(json!({"callLocator": {"kind": "nope", "groupCallId": "x"}}), "callLocator.kind", "is `nope`; expected `serverCallLocator`")]
    #[case(json!({"callLocator": {"kind": "roomLocator", "roomId": "x"}}), "callLocator.kind", "did you mean `roomCallLocator`?")]
    #[case(json!({"callLocator": {"kind": "roomCallLocator", "groupCallId": "x"}}), "callLocator.kind", "has no `roomId`")]
    #[case(json!({"callLocator": {"kind": "groupCallLocator"}, "groupCallId": "x"}), "callLocator.kind", "has no `groupCallId`")]
    #[case(json!({"serverCallId": "a\u{0}b"}), "serverCallId", "the character '\\0'")]
    #[case(json!({"groupCallId": "a\nb"}), "groupCallId", "the character '\\n'")]
    #[case(json!({"callConnectionId": "a\u{7f}"}), "callConnectionId", "which is not allowed")]
    #[case(json!({"serverCallId": "a", "startedBy": "a\u{1b}b"}), "startedBy", "which is not allowed")]
    fn a_bad_start_is_refused_with_the_field_named(
        #[case] body: Value,
        #[case] target: &str,
        #[case] expected: &str,
    ) {
        let error = parsed(body).unwrap_err();
        assert_eq!(error.target.as_deref(), Some(target), "{error}");
        assert!(error.message.contains(expected), "{error}");
    }

    #[rstest::rstest]
    #[case("\"text\"", "not a JSON object")]
    #[case("[null, \"abc\"]", "not a JSON object")]
    #[case(
        "{\"serverCallId\": \"a\", \"consent\": [\"a\", \"b\", \"2026-03-02T10:00:00Z\", null]}",
        "`consent` is not an object"
    )]
    #[case("", "is empty")]
    #[case("{\"serverCallId\":", "not JSON")]
    #[case("{\"serverCallId\": \"a\"} {}", "not JSON")]
    fn what_is_no_start_at_all_is_refused(#[case] body: &str, #[case] expected: &str) {
        let error = Start::parse(body.as_bytes(), "2026-03-12".parse().unwrap()).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(
            error.target.is_some(),
            expected.starts_with('`'),
            "{error:?}"
        );
    }
}
