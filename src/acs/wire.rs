//! ACS's JSON. Field names and values: `communicationservicescallautomation.json`, stable 2026-03-12
//! (<https://github.com/Azure/azure-rest-api-specs/tree/main/specification/communication/data-plane/CallAutomation>).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::recording::media::ChannelKind;
use crate::recording::{ContentKind, FormatKind, RecordedCall, RecordingId};

/// `StartCallRecordingRequest`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRecordingRequest {
    #[serde(flatten)]
    pub call: RecordedCall,
    #[serde(flatten)]
    pub options: StartRecordingOptions,
}

impl StartRecordingRequest {
    /// Returns the request without its callback, whose query may hold a key that is not stored.
    #[must_use]
    pub fn without_callback(&self) -> Self {
        let mut request = self.clone();
        request.options.recording_state_callback_uri = None;
        request
    }
}

/// All options of a start except the call. `None` is not sent, and ACS uses its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRecordingOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_state_callback_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_content_type: Option<ContentKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_channel_type: Option<ChannelKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_format_type: Option<FormatKind>,
    /// `CommunicationIdentifierModel`s, passed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_channel_participant_ordering: Option<Vec<Value>>,
    /// `{channel, participant}`, passed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_affinity: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_on_start: Option<bool>,
    /// `{recordingStorageKind, recordingDestinationContainerUrl}`, passed through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_storage: Option<Value>,
}

impl StartRecordingOptions {
    /// Removes what must not be stored: the query of a URL may hold a function key or a SAS.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let without_query = |text: &str| {
            let path = text.split(['?', '#']).next().unwrap_or_default();
            // A user name or a password may precede the `@`.
            match path.split_once("://") {
                Some((scheme, rest)) => format!(
                    "{scheme}://{}",
                    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
                ),
                None => path.to_owned(),
            }
        };
        let mut kept = self.clone();
        kept.recording_state_callback_uri = self
            .recording_state_callback_uri
            .as_deref()
            .map(without_query);
        if let Some(Value::String(url)) = kept
            .external_storage
            .as_mut()
            .and_then(|storage| storage.get_mut("recordingDestinationContainerUrl"))
        {
            *url = without_query(url);
        }
        kept
    }
}

/// State of a recording in ACS's words. A paused recording is `inactive`, and so is a recording in its first seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StateAtAcs {
    Active,
    Inactive,
    /// ACS did not say, or answered with a state that its API does not describe.
    #[default]
    Unknown,
}

impl<'de> Deserialize<'de> for StateAtAcs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(if word.eq_ignore_ascii_case("active") {
            Self::Active
        } else if word.eq_ignore_ascii_case("inactive") {
            Self::Inactive
        } else {
            Self::Unknown
        })
    }
}

/// `RecordingStateResponse`, as the answer to a start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRecordingResponse {
    pub recording_id: RecordingId,
    /// Absent in the versions of 2021.
    #[serde(default)]
    pub recording_state: StateAtAcs,
    /// Since 2024-04-15.
    pub recording_kind: Option<String>,
}

/// `RecordingStateResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingStateResponse {
    #[serde(default)]
    pub recording_state: StateAtAcs,
    pub recording_kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::CallLocator;
    use serde_json::json;

    #[test]
    fn a_start_by_server_call_id_has_the_shape_the_sdks_send() {
        let request = StartRecordingRequest {
            call: RecordedCall::Locator(CallLocator::ServerCall {
                server_call_id: "abc".parse().unwrap(),
            }),
            options: StartRecordingOptions {
                recording_format_type: Some(FormatKind::Mp4),
                recording_content_type: Some(ContentKind::AudioVideo),
                recording_channel_type: Some(ChannelKind::Mixed),
                ..StartRecordingOptions::default()
            },
        };
        let expected = json!({
            "callLocator": {"kind": "serverCallLocator", "serverCallId": "abc"},
            "recordingContentType": "audioVideo", "recordingChannelType": "mixed", "recordingFormatType": "mp4",
        });
        assert_eq!(serde_json::to_value(request).unwrap(), expected);
    }

    #[test]
    fn a_start_by_connection_has_no_locator() {
        let call = RecordedCall::Connection("6a1f6b00".into());
        let request = StartRecordingRequest {
            call,
            options: StartRecordingOptions::default(),
        };
        assert_eq!(
            serde_json::to_value(request).unwrap(),
            json!({"callConnectionId": "6a1f6b00"})
        );
    }

    #[test]
    fn a_call_is_another_only_if_its_name_of_the_same_kind_is() {
        let server = |id: &str| {
            RecordedCall::Locator(CallLocator::ServerCall {
                server_call_id: id.parse().unwrap(),
            })
        };
        let room = RecordedCall::Locator(CallLocator::RoomCall {
            room_id: "99".into(),
        });
        assert!(server("abc").is_another(&server("xyz")));
        assert!(
            !server("abc").is_another(&server("abc=="))
                && !server("abc").is_another(&room)
                && !room.is_another(&room)
        );
    }

    /// A conversation URL has a `?`, which base64 writes as `/` or as `_`.
    #[rstest::rstest]
    #[case::alphabets("aHR0cHM6Ly9jL2E/aT02", "aHR0cHM6Ly9jL2E_aT02", false)]
    #[case::alphabet_and_padding("aHR0cHM6Ly9jP2E+aQ==", "aHR0cHM6Ly9jP2E-aQ", false)]
    #[case::letters("aHR0cHM6Ly9jL2E_aT02", "ahr0chm6Ly9jL2E_aT02", true)]
    fn a_server_call_id_is_one_id_in_both_base64_alphabets(
        #[case] one: &str,
        #[case] other: &str,
        #[case] is_another: bool,
    ) {
        let call = |id: &str| {
            let server_call_id = id.parse().unwrap();
            RecordedCall::Locator(CallLocator::ServerCall { server_call_id })
        };
        assert_eq!(call(one).is_another(&call(other)), is_another);
        assert_eq!(call(one) != call(other), is_another);
    }

    #[test]
    fn what_is_kept_of_a_start_has_no_secrets() {
        let options = StartRecordingOptions {
            recording_state_callback_uri: Some(
                "https://user:SECRET@app/api/recordings/callbacks?code=SECRET".into(),
            ),
            external_storage: Some(
                json!({"recordingDestinationContainerUrl": "https://a.blob.core.windows.net/c?sig=SECRET"}),
            ),
            ..StartRecordingOptions::default()
        };
        let kept = serde_json::to_string(&options.without_secrets()).unwrap();
        assert!(
            !kept.contains("SECRET")
                && kept.contains("recordings/callbacks")
                && kept.contains("windows.net/c"),
            "{kept}"
        );
    }
}
