//! The body of a start, checked before ACS is asked.

mod rules;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::consent::Consent;
use super::invalid::InvalidRequest;
use crate::acs::ApiVersion;
use crate::acs::wire::{CallLocator, RecordedCall, StartRecordingOptions, StartRecordingRequest};
use crate::suggestion;

pub use rules::call as checked_call;

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
    #[serde(rename = "kind")]
    _kind: Option<String>,
    server_call_id: Option<String>,
    group_call_id: Option<String>,
    room_id: Option<String>,
}

impl Start {
    /// Reads a start's body.
    ///
    /// # Errors
    /// With the member that is wrong, and what would be right.
    pub fn parse(body: &[u8], version: ApiVersion) -> Result<Self, InvalidRequest> {
        let body = StartRecording::read(body)?;
        let (consent, started_by) = (body.consent.clone(), body.started_by.clone());
        if started_by
            .as_ref()
            .is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_NAME)
        {
            let message = format!("`startedBy` is empty or has more than {LONGEST_NAME} bytes.");
            return Err(InvalidRequest::of("startedBy", message));
        }
        let options = body.options()?;
        rules::check(&options)?;
        let request = StartRecordingRequest {
            call: rules::call(body.call()?)?,
            options,
        };
        rules::version(&request, version)?;
        Ok(Self {
            request,
            consent,
            started_by,
        })
    }

    /// Builds the start of a known call from the other members of a start's body.
    ///
    /// # Errors
    /// As [`Start::parse`].
    pub fn of(
        call: RecordedCall,
        mut body: Map<String, Value>,
        version: ApiVersion,
    ) -> Result<Self, InvalidRequest> {
        body.insert("serverCallId".to_owned(), "stands for the call".into());
        let body = serde_json::to_vec(&body).expect("a map has string keys");
        let mut start = Self::parse(&body, version)?;
        start.request.call = rules::call(call)?;
        rules::version(&start.request, version)?;
        Ok(start)
    }
}

impl Locator {
    /// Returns the members that a body may have.
    const MEMBERS: [&str; 4] = ["kind", "serverCallId", "groupCallId", "roomId"];
}

/// Rejects the first unknown member, and suggests the one that is probably meant.
fn refuse_unknown(path: &str, body: &Value, members: &[&str]) -> Result<(), InvalidRequest> {
    let names = body.as_object().into_iter().flat_map(Map::keys);
    let Some(name) = names
        .into_iter()
        .find(|name| !members.contains(&name.as_str()))
    else {
        return Ok(());
    };
    let message = format!("unknown field `{name}`{}", suggestion::hint(name, members));
    Err(InvalidRequest::of(&format!("{path}{name}"), message))
}

impl StartRecording {
    /// Returns the members that a body may have.
    const MEMBERS: [&str; 15] = [
        "serverCallId",
        "groupCallId",
        "roomId",
        "callConnectionId",
        "callLocator",
        "recordingStateCallbackUri",
        "recordingContentType",
        "recordingChannelType",
        "recordingFormatType",
        "audioChannelParticipantOrdering",
        "channelAffinity",
        "pauseOnStart",
        "externalStorage",
        "consent",
        "startedBy",
    ];

    fn read(body: &[u8]) -> Result<Self, InvalidRequest> {
        if body.trim_ascii().is_empty() {
            return Err(InvalidRequest::new(
                "The body is empty; give at least {\"serverCallId\": \"…\"}.",
            ));
        }
        let not_json = |error| InvalidRequest::new(format!("The body is not JSON: {error}."));
        let body = crate::unique_members::parse(body).map_err(not_json)?;
        // Accepts objects only: serde would also read a struct from an array.
        let nested = ["callLocator", "consent"]
            .into_iter()
            .find(|name| body.get(name).is_some_and(Value::is_array));
        if let Some(name) = nested {
            return Err(InvalidRequest::of(
                name,
                format!("`{name}` is not an object."),
            ));
        }
        if !body.is_object() {
            return Err(InvalidRequest::new("The body is not a JSON object."));
        }
        refuse_unknown("", &body, &Self::MEMBERS)?;
        if let Some(locator) = body.get("callLocator") {
            refuse_unknown("callLocator.", locator, &Locator::MEMBERS)?;
        }
        serde_path_to_error::deserialize(body).map_err(|error| {
            let path = error.path().to_string();
            match path.as_str() {
                "." | "?" => InvalidRequest::new(format!(
                    "The body is not a start request: {}.",
                    error.inner()
                )),
                path => InvalidRequest::of(path, format!("`{path}`: {}.", error.inner())),
            }
        })
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

    fn call(self) -> Result<RecordedCall, InvalidRequest> {
        let locator = self.call_locator.unwrap_or_default();
        let calls = [
            [self.server_call_id, locator.server_call_id]
                .map(|id| id.map(|server_call_id| CallLocator::ServerCall { server_call_id })),
            [self.group_call_id, locator.group_call_id]
                .map(|id| id.map(|group_call_id| CallLocator::GroupCall { group_call_id })),
            [self.room_id, locator.room_id]
                .map(|id| id.map(|room_id| CallLocator::RoomCall { room_id })),
        ];
        let locators = calls
            .into_iter()
            .flatten()
            .flatten()
            .map(RecordedCall::Locator);
        let mut calls: Vec<RecordedCall> = locators
            .chain(self.call_connection_id.map(RecordedCall::Connection))
            .collect();
        match (calls.pop(), calls.is_empty()) {
            (Some(call), true) => Ok(call),
            (Some(_), false) => Err(which_call("The request names more than one call")),
            (None, _) => Err(which_call("The request names no call")),
        }
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
    fn the_call_may_stand_at_the_top_or_in_a_locator(#[case] body: Value) {
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
    #[case(json!({"serverCallId": 7}), "serverCallId", "invalid type: integer `7`")]
    #[case(json!({"callLocator": {"roomId": []}}), "callLocator.roomId", "invalid type: sequence")]
    #[case(json!({"serverCallId": "a", "consent": {"basis": "x"}}), "consent", "missing field `givenBy`")]
    #[case(json!({"serverCallId": "a", "startedBy": " "}), "startedBy", "is empty")]
    fn a_bad_start_is_refused_with_the_field_named(
        #[case] body: Value,
        #[case] target: &str,
        #[case] expected: &str,
    ) {
        let error = parsed(body).unwrap_err();
        assert_eq!(error.target.as_deref(), Some(target), "{error}");
        assert!(error.message.contains(expected), "{error}");
    }

    #[test]
    fn every_member_of_a_start_is_known() {
        let known = |body: Value, members: &[&str]| {
            for name in members {
                let mut body = body.clone();
                body[*name] = json!({});
                // Wrong as a value, and not as a name.
                let problem = serde_json::from_value::<StartRecording>(body.clone()).err();
                let text = problem
                    .map(|problem| problem.to_string())
                    .unwrap_or_default();
                assert!(!text.contains("unknown field"), "{name}: {text}");
            }
        };
        known(json!({}), &StartRecording::MEMBERS);
        let unknown = serde_json::from_value::<StartRecording>(json!({"x": 1})).err();
        let expected = unknown.map(|error| error.to_string()).unwrap_or_default();
        for name in expected.split('`').skip(3).step_by(2) {
            assert!(StartRecording::MEMBERS.contains(&name), "{name}");
        }
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
