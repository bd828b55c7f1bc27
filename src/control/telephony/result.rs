//! The activity that reports the result of a command.

use serde_json::{Value, json};

use super::command::Outcome;
use super::queued_command::QueuedCommand;

/// The sender, if the bot's activity named no recipient.
const OWN_ID: &str = "recording-vault";

/// Builds the `commandResult` activity; always the same for the same outcome.
pub(super) fn result(conversation_id: &str, command: &QueuedCommand, outcome: &Outcome) -> Value {
    let addresses = &command.addresses;
    let mut activity = json!({
        "type": "commandResult",
        "id": command.result_id,
        "timestamp": command.received_at,
        "channelId": "telephony",
        "conversation": {"id": conversation_id},
        "from": addresses.recipient.clone().unwrap_or_else(|| json!({"id": OWN_ID})),
        "replyToId": command.activity_id,
        "name": command.name,
        "value": outcome.value(&command.command_id),
    });
    for (name, value) in [
        ("recipient", addresses.from.clone()),
        ("serviceUrl", addresses.service_url.clone().map(Value::from)),
    ] {
        if let Some(value) = value {
            activity[name] = value;
        }
    }
    activity
}
