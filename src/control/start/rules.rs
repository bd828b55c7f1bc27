//! Rejects what ACS would refuse or, worse, misunderstand, with a text that says what is expected.
//!
//! Combinations: <https://learn.microsoft.com/azure/communication-services/concepts/voice-video-calling/call-recording>.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::acs::ApiVersion;
use crate::acs::api_version::Generation;
use crate::acs::wire::StartRecordingOptions;
use crate::recording::id::{InvalidId, canonical};
use crate::recording::media::ChannelKind;
use crate::recording::{CallLocator, ContentKind, FormatKind, RecordedCall};
use crate::request_body::InvalidRequest;

/// What ACS can record: content, channels, format.
const OFFERED: [(ContentKind, ChannelKind, FormatKind); 4] = [
    (ContentKind::AudioVideo, ChannelKind::Mixed, FormatKind::Mp4),
    (ContentKind::Audio, ChannelKind::Mixed, FormatKind::Mp3),
    (ContentKind::Audio, ChannelKind::Mixed, FormatKind::Wav),
    (ContentKind::Audio, ChannelKind::Unmixed, FormatKind::Wav),
];
/// Channels 0 to 4 of an unmixed recording.
const CHANNELS: usize = 5;

/// Checks a call that is named by another id than a server call id.
///
/// # Errors
/// For an empty id, and for a server call id.
pub fn call(call: RecordedCall) -> Result<RecordedCall, InvalidRequest> {
    let (field, id) = match &call {
        RecordedCall::Locator(CallLocator::ServerCall { .. }) => return Ok(call),
        RecordedCall::Locator(CallLocator::GroupCall { group_call_id }) => {
            ("groupCallId", group_call_id)
        }
        RecordedCall::Locator(CallLocator::RoomCall { room_id }) => ("roomId", room_id),
        RecordedCall::Connection(id) => ("callConnectionId", id),
    };
    refuse_invalid(field, id)?;
    if is_server_call_id(id) {
        let message =
            format!("`{field}` is a server call id; give it as `serverCallId`, and no `{field}`.");
        return Err(InvalidRequest::of(field, message));
    }
    Ok(call)
}

fn refuse_invalid(field: &str, id: &str) -> Result<(), InvalidRequest> {
    if id.trim().is_empty() {
        return Err(InvalidRequest::of(field, format!("`{field}` is empty.")));
    }
    refuse_control_characters(field, id)
}

/// # Errors
/// When a text contains a character that no name has.
pub fn refuse_control_characters(field: &str, text: &str) -> Result<(), InvalidRequest> {
    match text.chars().find(|character| character.is_control()) {
        Some(character) => {
            let message =
                format!("`{field}` contains the character {character:?}, which is not allowed.");
            Err(InvalidRequest::of(field, message))
        }
        None => Ok(()),
    }
}

/// Returns the call of a server call id in the form ACS takes: encodes a conversation URL for the caller.
///
/// # Errors
/// For an empty or invalid id, and for a call id where a server call id is needed.
pub fn server_call(id: &str) -> Result<RecordedCall, InvalidRequest> {
    let field = "serverCallId";
    refuse_invalid(field, id)?;
    if Uuid::try_parse(id).is_ok() {
        let message = "`serverCallId` is a plain call id. The server call id is the long text that `getServerCallId()` of the \
                       calling SDK gives, and that the events CallConnected and CallStarted carry as `serverCallId`; for a \
                       group call's id use `groupCallId`, for a call connection's `callConnectionId`.";
        return Err(InvalidRequest::of(field, message));
    }
    let is_conversation = id.starts_with("https://") || id.starts_with("http://");
    let server_call_id = if is_conversation {
        BASE64_URL_SAFE_NO_PAD.encode(id).parse()
    } else {
        id.parse()
    };
    let server_call_id = server_call_id
        .map_err(|error: InvalidId| InvalidRequest::of(field, format!("The {error}.")))?;
    Ok(RecordedCall::Locator(CallLocator::ServerCall {
        server_call_id,
    }))
}

/// Whether a text is a call's conversation URL, plain or in base64, as a server call id is.
fn is_server_call_id(text: &str) -> bool {
    let is_url = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let canonical = canonical(text.trim());
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(canonical.as_bytes()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    is_url(text) || decoded.is_some_and(|decoded| is_url(&decoded))
}

/// Checks everything in a start except the call.
///
/// # Errors
/// With the invalid field, and what is expected.
pub fn check(options: &StartRecordingOptions) -> Result<(), InvalidRequest> {
    combination(options)?;
    channels(options)?;
    storage(options)?;
    match &options.recording_state_callback_uri {
        Some(uri) if Url::parse(uri).is_ok_and(|uri| uri.scheme() == "https") => Ok(()),
        Some(_) => {
            let field = "recordingStateCallbackUri";
            Err(InvalidRequest::of(
                field,
                format!("`{field}` is not an https URL; ACS calls back over https only."),
            ))
        }
        None => Ok(()),
    }
}

/// Checks that the API version in use takes these options.
///
/// # Errors
/// With the member it lacks, and the version that has it.
pub fn options_of_version(
    options: &StartRecordingOptions,
    version: ApiVersion,
) -> Result<(), InvalidRequest> {
    let members = serde_json::to_value(options).unwrap_or_default();
    let mut names = members.as_object().into_iter().flat_map(Map::keys);
    match names.find(|name| !version.takes(name)) {
        Some(name) => Err(lacking(name, version)),
        None => Ok(()),
    }
}

/// Checks that the API version in use can record a call that is named so.
///
/// # Errors
/// With the member it lacks, and the version that has it.
pub fn call_of_version(call: &RecordedCall, version: ApiVersion) -> Result<(), InvalidRequest> {
    // The generation of 2021-04 names the call in the path.
    let is_in_path = version.generation() == Generation::Conversations;
    match call {
        RecordedCall::Connection(_) if !version.takes("callConnectionId") => {
            Err(lacking("callConnectionId", version))
        }
        RecordedCall::Locator(CallLocator::ServerCall { .. }) if is_in_path => Ok(()),
        RecordedCall::Locator(_) | RecordedCall::Connection(_) if is_in_path => {
            Err(conversation_needed(version))
        }
        RecordedCall::Locator(_) if !version.takes("callLocator") => {
            Err(lacking("callLocator", version))
        }
        RecordedCall::Locator(_) | RecordedCall::Connection(_) => Ok(()),
    }
}

fn lacking(field: &str, version: ApiVersion) -> InvalidRequest {
    let since = ApiVersion::that_takes(field).unwrap_or("a later version");
    let message = format!(
        "ACS_API_VERSION {} does not take `{field}`; it came with {since}.",
        version.as_str()
    );
    InvalidRequest::of(field, message)
}

fn conversation_needed(version: ApiVersion) -> InvalidRequest {
    let message = format!(
        "ACS_API_VERSION {} records by conversation; give its URL or its id as `serverCallId`.",
        version.as_str()
    );
    InvalidRequest::of("serverCallId", message)
}

fn storage(options: &StartRecordingOptions) -> Result<(), InvalidRequest> {
    let Some(storage) = &options.external_storage else {
        return Ok(());
    };
    let text = |name: &str| storage.get(name).and_then(Value::as_str);
    let kind = text("recordingStorageKind").unwrap_or_default();
    let container = text("recordingDestinationContainerUrl");
    if kind.eq_ignore_ascii_case("azureCommunicationServices") {
        return Ok(());
    }
    if !kind.eq_ignore_ascii_case("azureBlobStorage") {
        let field = "externalStorage.recordingStorageKind";
        let message = format!("`{field}` is azureBlobStorage or azureCommunicationServices.");
        return Err(InvalidRequest::of(field, message));
    }
    match container.map(Url::parse) {
        Some(Ok(url)) if url.scheme() == "https" && url.path().len() > 1 => Ok(()),
        Some(_) | None => {
            let field = "externalStorage.recordingDestinationContainerUrl";
            let message = format!(
                "`{field}` must be the https URL of a container, such as https://<account>.blob.core.windows.net/<container>."
            );
            Err(InvalidRequest::of(field, message))
        }
    }
}

fn combination(options: &StartRecordingOptions) -> Result<(), InvalidRequest> {
    let content = options.recording_content_type;
    let channel = options.recording_channel_type;
    let format = options.recording_format_type;
    let is_offered = OFFERED.iter().any(|offered| {
        content.is_none_or(|content| content == offered.0)
            && channel.is_none_or(|channel| channel == offered.1)
            && format.is_none_or(|format| format == offered.2)
    });
    if is_offered {
        return Ok(());
    }
    let message = "This combination of `recordingContentType`, `recordingChannelType` and `recordingFormatType` is not supported; \
                   mp4 is audioVideo and mixed, mp3 is audio and mixed, wav is audio and mixed or unmixed.";
    Err(InvalidRequest::of("recordingFormatType", message))
}

fn channels(options: &StartRecordingOptions) -> Result<(), InvalidRequest> {
    let is_unmixed = options.recording_channel_type == Some(ChannelKind::Unmixed);
    let affinity = options.channel_affinity.as_deref().unwrap_or_default();
    if !is_unmixed && !affinity.is_empty() {
        let message =
            "`channelAffinity` is for unmixed recordings; set `recordingChannelType` to unmixed.";
        return Err(InvalidRequest::of("channelAffinity", message));
    }
    let ordering = options
        .audio_channel_participant_ordering
        .as_deref()
        .unwrap_or_default();
    if ordering.iter().any(|participant| !participant.is_object()) {
        let field = "audioChannelParticipantOrdering";
        return Err(InvalidRequest::of(
            field,
            format!("`{field}` is a list of participants, such as {{\"rawId\": \"8:acs:…\"}}."),
        ));
    }
    for (field, list) in [
        ("audioChannelParticipantOrdering", ordering),
        ("channelAffinity", affinity),
    ] {
        if is_unmixed && list.len() > CHANNELS {
            let message = format!(
                "`{field}` has {} entries; an unmixed recording has {CHANNELS} channels.",
                list.len()
            );
            return Err(InvalidRequest::of(field, message));
        }
    }
    let mut taken = [false; CHANNELS];
    for entry in affinity {
        let field = "channelAffinity";
        let channel = entry
            .get("channel")
            .and_then(Value::as_u64)
            .and_then(|channel| usize::try_from(channel).ok());
        let Some(slot) = channel.and_then(|channel| taken.get_mut(channel)) else {
            return Err(InvalidRequest::of(
                field,
                format!("`{field}` needs a `channel` from 0 to {}.", CHANNELS - 1),
            ));
        };
        if std::mem::replace(slot, true) {
            return Err(InvalidRequest::of(
                field,
                format!("`{field}` names a channel twice."),
            ));
        }
        if !entry.get("participant").is_some_and(Value::is_object) {
            return Err(InvalidRequest::of(
                field,
                format!("`{field}` needs a `participant` for each channel."),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plain_call_id_gets_the_hint_where_the_right_one_is() {
        let problem = server_call("7c62cca0-0000-4444-8888-000000000001").unwrap_err();
        assert!(
            format!("{problem:?}").contains("getServerCallId()"),
            "{problem:?}"
        );
    }

    #[test]
    fn a_conversation_url_is_encoded_for_the_caller() {
        let url = "https://api.flightproxy.skype.com/api/v2/cp/conv/conv/d1A7?i=6&e=638";
        assert_eq!(
            server_call(url),
            server_call(&BASE64_URL_SAFE_NO_PAD.encode(url))
        );
    }

    #[rstest::rstest]
    #[case("https://api.flightproxy.skype.com/api/v2/cp/conv/d1A7?i=6")]
    #[case("aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29tL2FwaQ==")]
    #[case("aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29tL2FwaQ")]
    fn a_server_call_id_in_the_place_of_another_id_is_refused(#[case] id: &str) {
        let id = || id.to_owned();
        for other in [
            RecordedCall::Locator(CallLocator::GroupCall {
                group_call_id: id(),
            }),
            RecordedCall::Locator(CallLocator::RoomCall { room_id: id() }),
            RecordedCall::Connection(id()),
        ] {
            let problem = call(other).unwrap_err();
            assert!(
                problem.message.contains("give it as `serverCallId`"),
                "{problem}"
            );
        }
    }

    #[test]
    fn other_ids_go_as_they_are() {
        let group = RecordedCall::Locator(CallLocator::GroupCall {
            group_call_id: Uuid::nil().to_string(),
        });
        assert_eq!(call(group.clone()), Ok(group));
        assert_eq!(server_call("aHR0cHM6").unwrap().id(), "aHR0cHM6");
        assert!(server_call(" ").is_err() && server_call(&"a".repeat(5000)).is_err());
    }

    fn options(
        content: Option<ContentKind>,
        channel: Option<ChannelKind>,
        format: Option<FormatKind>,
    ) -> StartRecordingOptions {
        StartRecordingOptions {
            recording_content_type: content,
            recording_channel_type: channel,
            recording_format_type: format,
            ..StartRecordingOptions::default()
        }
    }

    #[test]
    fn what_acs_records_passes_also_in_part() {
        assert_eq!(check(&options(None, None, None)), Ok(()));
        for (content, channel, format) in OFFERED {
            assert_eq!(
                check(&options(Some(content), Some(channel), Some(format))),
                Ok(())
            );
            assert_eq!(check(&options(None, None, Some(format))), Ok(()));
        }
    }

    #[rstest::rstest]
    #[case(Some(ContentKind::AudioVideo), None, Some(FormatKind::Wav))]
    #[case(Some(ContentKind::Audio), None, Some(FormatKind::Mp4))]
    #[case(None, Some(ChannelKind::Unmixed), Some(FormatKind::Mp3))]
    #[case(Some(ContentKind::AudioVideo), Some(ChannelKind::Unmixed), None)]
    fn what_acs_does_not_record_is_refused(
        #[case] content: Option<ContentKind>,
        #[case] channel: Option<ChannelKind>,
        #[case] format: Option<FormatKind>,
    ) {
        assert!(check(&options(content, channel, format)).is_err());
    }

    fn affinity(entries: Value) -> Result<(), InvalidRequest> {
        let channel_affinity = entries.as_array().cloned();
        check(&StartRecordingOptions {
            channel_affinity,
            ..options(None, Some(ChannelKind::Unmixed), None)
        })
    }

    #[rstest::rstest]
    #[case::twice(json!([{"channel": 0, "participant": {}}, {"channel": 0, "participant": {}}]), "twice")]
    #[case::beyond(json!([{"channel": 5, "participant": {}}]), "from 0 to 4")]
    #[case::nobody(json!([{"channel": 0}]), "participant")]
    #[case::many(json!([{}, {}, {}, {}, {}, {}]), "6 entries")]
    fn bad_channels_are_refused(#[case] entries: Value, #[case] expected: &str) {
        let problem = format!("{:?}", affinity(entries).unwrap_err());
        assert!(problem.contains(expected), "{problem}");
    }

    #[test]
    fn channels_are_for_unmixed_recordings() {
        let entries = json!([{"channel": 0, "participant": {}}]);
        assert_eq!(affinity(entries.clone()), Ok(()));
        let mixed = StartRecordingOptions {
            channel_affinity: entries.as_array().cloned(),
            ..options(None, None, None)
        };
        assert!(format!("{:?}", check(&mixed).unwrap_err()).contains("unmixed"));
    }

    #[test]
    fn a_callback_is_https() {
        let with = |uri: &str| StartRecordingOptions {
            recording_state_callback_uri: Some(uri.to_owned()),
            ..options(None, None, None)
        };
        assert_eq!(check(&with("https://contoso.example/cb?x=1")), Ok(()));
        assert!(check(&with("http://contoso.example/cb")).is_err());
        assert!(check(&with("nonsense")).is_err());
    }

    #[rstest::rstest]
    #[case::kind(json!({"recordingStorageKind": "s3"}), "recordingStorageKind")]
    #[case::no_kind(json!({}), "recordingStorageKind")]
    #[case::no_container(json!({"recordingStorageKind": "azureBlobStorage"}), "https URL of a container")]
    #[case::http(json!({"recordingStorageKind": "azureBlobStorage", "recordingDestinationContainerUrl": "http://a/b"}), "https URL")]
    fn a_storage_that_cannot_be_is_refused(#[case] storage: Value, #[case] expected: &str) {
        let options = StartRecordingOptions {
            external_storage: Some(storage),
            ..options(None, None, None)
        };
        let problem = check(&options).unwrap_err();
        assert!(problem.message.contains(expected), "{problem}");
    }

    #[rstest::rstest]
    #[case("2026-03-12", None)]
    #[case(
        "2023-10-15",
        Some("does not take `pauseOnStart`; it came with 2024-04-15")
    )]
    #[case("2021-04-15-preview1", Some("does not take `pauseOnStart`"))]
    fn what_the_version_in_use_lacks_is_refused(
        #[case] api_version: ApiVersion,
        #[case] expected: Option<&str>,
    ) {
        let options = StartRecordingOptions {
            pause_on_start: Some(true),
            ..options(None, None, None)
        };
        let result = options_of_version(&options, api_version);
        match expected {
            None => assert_eq!(result, Ok(())),
            Some(expected) => assert!(result.unwrap_err().message.contains(expected)),
        }
    }

    #[test]
    fn the_oldest_version_records_by_conversation_only() {
        let oldest = "2021-04-15-preview1".parse().unwrap();
        let group = RecordedCall::Locator(CallLocator::GroupCall {
            group_call_id: "g".into(),
        });
        let error = call_of_version(&group, oldest).unwrap_err();
        assert!(error.message.contains("by conversation"), "{error}");
        let connection = RecordedCall::Connection("c".into());
        let error = call_of_version(&connection, oldest).unwrap_err();
        assert_eq!(error.target.as_deref(), Some("callConnectionId"), "{error}");
        assert_eq!(
            call_of_version(&server_call("abc").unwrap(), oldest),
            Ok(())
        );
    }
}
