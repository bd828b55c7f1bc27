//! A recording operation on the wire, for each generation of the API. Pure.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::json;

use super::api_version::{ApiVersion, Generation};
use super::wire::StartRecordingRequest;
use crate::recording::{CallLocator, RecordedCall, RecordingId};

/// RFC 3986 unreserved characters stay; everything else in an id is encoded, as both official SDKs do.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The generation of 2021-04 requires a context with every operation, and returns it in its callbacks.
const OPERATION_CONTEXT: &str = "recording-vault";

/// A recording, with what the generation of 2021-04 needs to find it.
#[derive(Debug, Clone, Copy)]
pub struct RecordingAddress<'a> {
    pub recording_id: &'a RecordingId,
    /// The call's conversation id; later generations do not need it.
    pub conversation_id: Option<&'a str>,
}

/// An operation on an existing recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    State,
    Pause,
    Resume,
    Stop,
}

/// Method, path with query, and body; ready to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// One word, for metrics and traces.
    pub name: &'static str,
    pub method: Method,
    pub path_and_query: String,
    /// JSON, or empty.
    pub body: Bytes,
    /// Whether sending it twice has the same effect as sending it once.
    pub is_repeatable: bool,
}

/// The generation of 2021-04 addresses a recording by its conversation, and the conversation is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this version of ACS's API finds a recording by its conversation, which is not known")]
pub struct NoConversation;

impl Operation {
    /// `POST …/recordings`.
    ///
    /// # Errors
    /// When the generation starts by conversation id and the call is named in another way.
    pub fn start(
        version: ApiVersion,
        request: &StartRecordingRequest,
    ) -> Result<Self, NoConversation> {
        let (path, body) = match version.generation() {
            Generation::Conversations => {
                let RecordedCall::Locator(CallLocator::ServerCall { server_call_id }) =
                    &request.call
                else {
                    return Err(NoConversation);
                };
                let mut body = json!({"operationContext": OPERATION_CONTEXT});
                if let Some(uri) = &request.options.recording_state_callback_uri {
                    body["recordingStateCallbackUri"] = uri.as_str().into();
                }
                (
                    format!(
                        "/conversations/{}/Recordings",
                        encoded(server_call_id.as_str())
                    ),
                    body,
                )
            }
            Generation::SlashColon | Generation::Current => (
                "/calling/recordings".to_owned(),
                serde_json::to_value(request).expect("a start request has string keys only"),
            ),
        };
        Ok(Self {
            name: "start",
            method: Method::POST,
            path_and_query: with_version(&path, version),
            body: Bytes::from(body.to_string()),
            // `Repeatability-Request-ID` came with the versions of 2022.
            is_repeatable: version.generation() == Generation::Current,
        })
    }

    /// An operation on an existing recording.
    ///
    /// # Errors
    /// When the generation needs the conversation and it is not known.
    pub fn on(
        version: ApiVersion,
        address: RecordingAddress<'_>,
        action: Action,
    ) -> Result<Self, NoConversation> {
        let id = encoded(address.recording_id.as_str());
        let (name, method) = match action {
            Action::State => ("state", Method::GET),
            Action::Pause => ("pause", Method::POST),
            Action::Resume => ("resume", Method::POST),
            Action::Stop => ("stop", Method::DELETE),
        };
        let (path, body) = match version.generation() {
            Generation::Conversations => {
                let conversation = encoded(address.conversation_id.ok_or(NoConversation)?);
                let suffix = match action {
                    Action::State | Action::Stop => "",
                    Action::Pause => "/Pause",
                    Action::Resume => "/Resume",
                };
                let context = json!({"operationContext": OPERATION_CONTEXT}).to_string();
                let body = if action == Action::State {
                    Bytes::new()
                } else {
                    Bytes::from(context)
                };
                (
                    format!("/conversations/{conversation}/recordings/{id}{suffix}"),
                    body,
                )
            }
            generation @ (Generation::SlashColon | Generation::Current) => {
                let slash = if generation == Generation::SlashColon {
                    "/"
                } else {
                    ""
                };
                let suffix = match action {
                    Action::State | Action::Stop => String::new(),
                    Action::Pause => format!("{slash}:pause"),
                    Action::Resume => format!("{slash}:resume"),
                };
                (format!("/calling/recordings/{id}{suffix}"), Bytes::new())
            }
        };
        Ok(Self {
            name,
            method,
            path_and_query: with_version(&path, version),
            body,
            is_repeatable: true,
        })
    }
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

fn with_version(path: &str, version: ApiVersion) -> String {
    format!("{path}?api-version={}", version.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(version: &str, action: Action) -> String {
        let recording_id = "a/b".parse().unwrap();
        let address = RecordingAddress {
            recording_id: &recording_id,
            conversation_id: Some("c"),
        };
        Operation::on(version.parse().unwrap(), address, action)
            .unwrap()
            .path_and_query
    }

    #[test]
    fn each_generation_has_its_own_paths() {
        assert_eq!(
            path("2026-03-12", Action::Pause),
            "/calling/recordings/a%2Fb:pause?api-version=2026-03-12"
        );
        assert_eq!(
            path("2021-11-15-preview", Action::Pause),
            "/calling/recordings/a%2Fb/:pause?api-version=2021-11-15-preview"
        );
        let legacy = "/conversations/c/recordings/a%2Fb/Pause?api-version=2021-04-15-preview1";
        assert_eq!(path("2021-04-15-preview1", Action::Pause), legacy);
    }

    #[test]
    fn without_its_conversation_a_recording_of_2021_cannot_be_addressed() {
        let recording_id = "a".parse().unwrap();
        let address = RecordingAddress {
            recording_id: &recording_id,
            conversation_id: None,
        };
        assert_eq!(
            Operation::on(
                "2021-04-15-preview1".parse().unwrap(),
                address,
                Action::Stop
            ),
            Err(NoConversation)
        );
        assert!(Operation::on("2026-03-12".parse().unwrap(), address, Action::Stop).is_ok());
    }
}
