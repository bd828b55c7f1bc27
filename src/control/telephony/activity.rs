//! What a bot sends: an activity of the Bot Framework, read as far as recording is concerned.
//!
//! Activities: <https://github.com/microsoft/botframework-sdk/blob/main/specs/botframework-activity/botframework-activity.md>
//! (commands: A6300 to A6331). Names of the commands:
//! <https://github.com/microsoft/botframework-telephony/blob/main/CallRecording.md>.

use serde_json::{Map, Value};

use super::command::{Action, Command};
use crate::acs::ApiVersion;
use crate::control::start::{self, StartOptions};
use crate::recording::{CallLocator, RecordedCall};

/// Prefix of every command of the Telephony channel.
const RECORDING: &str = "channel/vnd.microsoft.telephony.recording.";
/// A bot that transfers a call leaves it:
/// <https://github.com/microsoft/botframework-telephony/blob/main/TransferCallOut.md>.
const TRANSFER: &str = "handoff.initiate";
/// Limit for ids and URLs, which are opaque.
const LONGEST_ID: usize = 2048;
/// Members of a start's body that a bot may give in `value.data`.
const START_MEMBERS: [&str; 6] = [
    "recordingContentType",
    "recordingChannelType",
    "recordingFormatType",
    "pauseOnStart",
    "consent",
    "startedBy",
];

/// An activity, and the call of its conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    pub id: Option<String>,
    pub kind: ActivityKind,
    /// The call that the conversation belongs to from now on.
    pub call: Option<RecordedCall>,
    /// The result is wanted in the response (`deliveryMode: expectReplies`), not at the bot's endpoint.
    pub expects_replies: bool,
    pub addresses: Addresses,
}

/// Sender and recipient; a result swaps them.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Value>,
    /// The channel's URL as the bot knows it; returned to the bot, and never called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_url: Option<String>,
}

/// What the activity asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityKind {
    Command(Command),
    /// The bot leaves the call: its recording ends.
    End,
    /// Irrelevant for recording.
    Other,
}

/// An error in a request, in the Bot Connector's words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidActivity {
    /// `BadSyntax`, `BadArgument` or `MissingProperty`.
    pub code: &'static str,
    pub message: String,
}

impl InvalidActivity {
    pub fn argument(message: impl Into<String>) -> Self {
        Self {
            code: "BadArgument",
            message: message.into(),
        }
    }

    fn missing(name: &str) -> Self {
        Self {
            code: "MissingProperty",
            message: format!("The activity has no `{name}`."),
        }
    }
}

impl Activity {
    /// Reads the body of a request to a conversation.
    ///
    /// # Errors
    /// With what is wrong. No part of an invalid activity takes effect.
    pub fn parse(
        conversation_id: &str,
        body: &[u8],
        version: ApiVersion,
    ) -> Result<Self, InvalidActivity> {
        if conversation_id.trim().is_empty() || conversation_id.len() > LONGEST_ID {
            return Err(InvalidActivity::argument(format!(
                "The conversation's id is empty or longer than {LONGEST_ID} bytes."
            )));
        }
        let syntax = |what: String| InvalidActivity {
            code: "BadSyntax",
            message: format!("The body is not an activity: {what}."),
        };
        let body: Value =
            serde_json::from_slice(body).map_err(|error| syntax(error.to_string()))?;
        let Value::Object(body) = body else {
            return Err(syntax("it is not a JSON object".to_owned()));
        };
        if object(&body, "conversation")?
            .map(|conversation| text(conversation, "id"))
            .transpose()?
            .flatten()
            .is_some_and(|id| id != conversation_id)
        {
            return Err(InvalidActivity::argument(
                "`conversation.id` is another conversation than the path names.",
            ));
        }
        let kind = text(&body, "type")?.ok_or_else(|| InvalidActivity::missing("type"))?;
        let addresses = Addresses {
            from: object(&body, "from")?.cloned().map(Value::Object),
            recipient: object(&body, "recipient")?.cloned().map(Value::Object),
            service_url: text(&body, "serviceUrl")?.map(str::to_owned),
        };
        let is_transfer = kind == "event" && text(&body, "name")? == Some(TRANSFER);
        // Irrelevant activities are never rejected.
        let lenient = kind != "command";
        let (call, kind) = match kind {
            "command" => command(&body, version)?,
            "endOfConversation" => (None, ActivityKind::End),
            _ if is_transfer => (None, ActivityKind::End),
            _ => (None, ActivityKind::Other),
        };
        let call = match call {
            None => object(&body, "channelData")
                .and_then(|data| data.map(call_of).transpose().map(Option::flatten)),
            call => Ok(call),
        };
        let call = if lenient {
            call.unwrap_or_default()
        } else {
            call?
        };
        let expects_replies = text(&body, "deliveryMode")? == Some("expectReplies");
        Ok(Self {
            id: text(&body, "id")?.map(str::to_owned),
            kind,
            call,
            expects_replies,
            addresses,
        })
    }
}

fn command(
    body: &Map<String, Value>,
    version: ApiVersion,
) -> Result<(Option<RecordedCall>, ActivityKind), InvalidActivity> {
    let name = text(body, "name")?.ok_or_else(|| InvalidActivity::missing("name"))?;
    // The library's pause and resume carry no value at all.
    let value = object(body, "value")?;
    let data = value
        .map(|value| object(value, "data"))
        .transpose()?
        .flatten();
    let action = match name.strip_prefix(RECORDING) {
        Some("start") => Action::Start {
            options: start_options(data, version)?,
        },
        Some("pause") => Action::Pause,
        Some("resume") => Action::Resume,
        Some("stop") => Action::Stop,
        Some(_) | None => Action::Unsupported,
    };
    let id = value
        .map(|value| text(value, "commandId"))
        .transpose()?
        .flatten()
        .map(str::to_owned);
    let call = data.map(call_of).transpose()?.flatten();
    Ok((
        call,
        ActivityKind::Command(Command {
            id,
            name: name.to_owned(),
            action,
        }),
    ))
}

/// Returns the members of a start that the bot gives, checked.
fn start_options(
    data: Option<&Map<String, Value>>,
    version: ApiVersion,
) -> Result<Map<String, Value>, InvalidActivity> {
    let given = data
        .into_iter()
        .flatten()
        .filter(|(name, _)| START_MEMBERS.contains(&name.as_str()));
    let options: Map<String, Value> = given
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    start_of(&options, version)?;
    Ok(options)
}

/// Returns the start that a bot's options describe, without its call.
///
/// # Errors
/// With the invalid member.
pub fn start_of(
    options: &Map<String, Value>,
    version: ApiVersion,
) -> Result<StartOptions, InvalidActivity> {
    let mut members = options.clone();
    members.entry("startedBy").or_insert("telephony".into());
    StartOptions::parse(members, version)
        .map_err(|error| InvalidActivity::argument(format!("In `value.data`: {error}")))
}

/// Returns the call of a conversation, if this text names it.
fn call_of(data: &Map<String, Value>) -> Result<Option<RecordedCall>, InvalidActivity> {
    let mut server_call = None;
    // The server call id is the conversation's URL in base64; the first generation called it the conversation's id.
    for name in ["serverCallId", "conversationUrl", "conversationId"] {
        server_call = server_call.or(text(data, name)?);
    }
    let server_call = server_call.map(start::server_call).transpose();
    let server_call = server_call.map_err(|error| InvalidActivity::argument(error.message))?;
    let group = text(data, "groupCallId")?.map(|id| {
        RecordedCall::Locator(CallLocator::GroupCall {
            group_call_id: id.to_owned(),
        })
    });
    let room = text(data, "roomId")?.map(|id| {
        RecordedCall::Locator(CallLocator::RoomCall {
            room_id: id.to_owned(),
        })
    });
    let connection =
        text(data, "callConnectionId")?.map(|id| RecordedCall::Connection(id.to_owned()));
    let call = server_call.or(group).or(room).or(connection);
    call.map(start::checked_call)
        .transpose()
        .map_err(|error| InvalidActivity::argument(error.message))
}

fn object<'a>(
    body: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, InvalidActivity> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => Err(
            InvalidActivity::argument(format!("`{name}` is not an object.")),
        ),
    }
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, InvalidActivity> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(InvalidActivity::argument(format!("`{name}` is empty.")))
        }
        Some(Value::String(text)) if text.len() > LONGEST_ID => Err(InvalidActivity::argument(
            format!("`{name}` is longer than {LONGEST_ID} bytes."),
        )),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_)) => Err(
            InvalidActivity::argument(format!("`{name}` is not a string.")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(activity: &Value) -> Result<Activity, InvalidActivity> {
        Activity::parse(
            "c",
            activity.to_string().as_bytes(),
            "2026-03-12".parse().unwrap(),
        )
    }

    fn server_call(id: &str) -> RecordedCall {
        RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: id.parse().unwrap(),
        })
    }

    #[test]
    fn commands_as_the_channels_library_makes_them_are_read() {
        // As CommandActivity and TelephonyExtensions make them: start with a value, pause and resume without any.
        let start = json!({"type": "command", "name": "channel/vnd.microsoft.telephony.recording.start", "value": {"commandId": "1"}});
        let command = Command {
            id: Some("1".to_owned()),
            name: start["name"].as_str().unwrap().to_owned(),
            action: Action::Start {
                options: Map::new(),
            },
        };
        assert_eq!(parsed(&start).unwrap().kind, ActivityKind::Command(command));
        for (name, action) in [
            ("pause", Action::Pause),
            ("resume", Action::Resume),
            ("stop", Action::Stop),
        ] {
            let name = format!("channel/vnd.microsoft.telephony.recording.{name}");
            let command = Command {
                id: None,
                name: name.clone(),
                action,
            };
            assert_eq!(
                parsed(&json!({"type": "command", "name": name}))
                    .unwrap()
                    .kind,
                ActivityKind::Command(command)
            );
        }
    }

    #[rstest::rstest]
    #[case(json!({"type": "command"}), "MissingProperty", "no `name`")]
    #[case(json!({"name": "x"}), "MissingProperty", "no `type`")]
    #[case(json!({"type": 7}), "BadArgument", "`type` is not a string")]
    #[case(json!({"type": "command", "name": ["x"]}), "BadArgument", "`name` is not a string")]
    #[case(json!({"type": "command", "name": "x", "value": "text"}), "BadArgument", "`value` is not an object")]
    #[case(json!({"type": "command", "name": "x", "value": {"commandId": 1}}), "BadArgument", "`commandId` is not a string")]
    #[case(json!({"type": "command", "name": "x", "value": {"data": []}}), "BadArgument", "`data` is not an object")]
    #[case(json!({"type": "command", "name": "x", "channelData": 1}), "BadArgument", "`channelData` is not an object")]
    #[case(json!({"type": "command", "name": "x", "value": {"data": {"serverCallId": "0b1a9a3e-2c7d-4d51-9d4e-0f4f8c1f2a3b"}}}), "BadArgument", "plain call id")]
    #[case(json!({"type": "message", "conversation": {"id": "other"}}), "BadArgument", "another conversation")]
    #[case(json!([]), "BadSyntax", "not a JSON object")]
    #[case(
        json!({"type": "command", "name": "channel/vnd.microsoft.telephony.recording.start", "value": {"data": {"recordingFormatType": "ogg"}}}),
        "BadArgument", "`ogg` is not one of"
    )]
    fn what_is_wrong_is_named(#[case] activity: Value, #[case] code: &str, #[case] expected: &str) {
        let error = parsed(&activity).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }

    #[rstest::rstest]
    #[case(json!({"value": {"data": {"serverCallId": "abc"}}, "channelData": {"serverCallId": "other"}}), Some(server_call("abc")))]
    #[case(json!({"channelData": {"conversationId": "abc"}}), Some(server_call("abc")))]
    #[case(json!({"channelData": {"conversationUrl": "https://conv.skype.com/conv/1"}}), Some(server_call("aHR0cHM6Ly9jb252LnNreXBlLmNvbS9jb252LzE")))]
    #[case(json!({"channelData": {"callConnectionId": "x"}}), Some(RecordedCall::Connection("x".to_owned())))]
    #[case(json!({}), None)]
    fn the_call_is_in_the_value_or_in_the_channels_data(
        #[case] mut activity: Value,
        #[case] call: Option<RecordedCall>,
    ) {
        activity["type"] = "command".into();
        activity["name"] = "channel/vnd.microsoft.telephony.recording.pause".into();
        assert_eq!(parsed(&activity).unwrap().call, call);
    }

    #[test]
    fn a_bot_that_leaves_or_hands_over_ends_and_everything_else_is_ignored() {
        for (activity, kind) in [
            (json!({"type": "endOfConversation"}), ActivityKind::End),
            (
                json!({"type": "event", "name": "handoff.initiate", "value": {"TargetPhoneNumber": "+1"}}),
                ActivityKind::End,
            ),
            (
                json!({"type": "event", "name": "other"}),
                ActivityKind::Other,
            ),
            (
                json!({"type": "message", "text": "hello", "channelData": "odd"}),
                ActivityKind::Other,
            ),
            (
                json!({"type": "typing", "channelData": {"serverCallId": 7}}),
                ActivityKind::Other,
            ),
            (json!({"type": "unheard of"}), ActivityKind::Other),
        ] {
            assert_eq!(parsed(&activity).unwrap().kind, kind, "{activity}");
        }
    }
}
