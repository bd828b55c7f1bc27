//! What ACS reports to `recordingStateCallbackUri`: CloudEvents `RecordingStateChanged` and `StartRecordingFailed`.
//!
//! They are often lost, late or out of order, so they are only a reason to ask ACS for a recording's state.
//! Shapes: `communicationservicescallautomation.json`, stable 2026-03-12.

use jiff::Timestamp;
use serde_json::Value;
use tracing::warn;

use super::{ControlError, RecordingControl};
use crate::error_chain::ErrorChain;
use crate::recording::lenient::Fields;
use crate::recording::{CallLocator, RecordedCall, RecordingId, ServerCallId};

const STATE_CHANGED: &str = "Microsoft.Communication.RecordingStateChanged";
const START_FAILED: &str = "Microsoft.Communication.StartRecordingFailed";

/// A reported event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateCallback {
    StateChanged {
        recording_id: RecordingId,
        server_call_id: Option<ServerCallId>,
        started_at: Option<Timestamp>,
    },
    StartFailed {
        recording_id: RecordingId,
        reason: String,
    },
    /// Of another type, or without a recording's id.
    Other { event_type: String },
}

impl StateCallback {
    /// Reads one event; `None` for anything else.
    pub fn parse(event: &Value) -> Option<Self> {
        let fields = Fields::of(event)?;
        let event_type = fields.text("type").or_else(|| fields.text("eventType"))?;
        let data = fields.object("data");
        let recording_id = data
            .and_then(|data| data.text("recordingId"))
            .and_then(|id| id.parse().ok());
        let (Some(data), Some(recording_id)) = (data, recording_id) else {
            return Some(Self::Other {
                event_type: event_type.to_owned(),
            });
        };
        Some(if event_type.eq_ignore_ascii_case(STATE_CHANGED) {
            let server_call_id = data.text("serverCallId").and_then(|id| id.parse().ok());
            Self::StateChanged {
                recording_id,
                server_call_id,
                started_at: data.time("startDateTime"),
            }
        } else if event_type.eq_ignore_ascii_case(START_FAILED) {
            Self::StartFailed {
                recording_id,
                reason: reason(data),
            }
        } else {
            Self::Other {
                event_type: event_type.to_owned(),
            }
        })
    }
}

/// `code.subCode: message` of `resultInformation`.
fn reason(data: Fields<'_>) -> String {
    let Some(result) = data.object("resultInformation") else {
        return "ACS did not say why".to_owned();
    };
    let [code, sub_code] = ["code", "subCode"].map(|name| result.count(name).unwrap_or_default());
    format!(
        "{code}.{sub_code}: {}",
        result.text("message").unwrap_or("no message")
    )
}

impl RecordingControl {
    /// Registers a report.
    ///
    /// # Errors
    /// When the register fails. An unreachable ACS is no error: the sweep asks again.
    pub async fn reported(&self, callback: StateCallback) -> Result<(), ControlError> {
        let now = self.clock.now();
        match callback {
            StateCallback::StateChanged {
                recording_id,
                server_call_id,
                started_at,
            } => {
                self.register
                    .change(&recording_id, now, |account| {
                        let call = server_call_id
                            .clone()
                            .map(|server_call_id| CallLocator::ServerCall { server_call_id });
                        account.call = account.call.take().or(call.map(RecordedCall::Locator));
                        account.started_at = account.started_at.or(started_at);
                    })
                    .await?;
                match self.state(&recording_id).await {
                    Ok(_) => {}
                    Err(error @ ControlError::Register(_)) => return Err(error),
                    Err(error) => {
                        warn!(recording.id = %recording_id, error = %ErrorChain(&error), "Could not ask ACS about a recording that it reported");
                    }
                }
            }
            StateCallback::StartFailed {
                recording_id,
                reason,
            } => {
                tracing::error!(recording.id = %recording_id, error = reason, "ACS could not start recording `{recording_id}`");
                self.register
                    .change(&recording_id, now, |account| {
                        account.fail(now, reason.clone());
                    })
                    .await?;
            }
            StateCallback::Other { event_type } => {
                tracing::info!(event_type, "Ignored a callback of another type");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_of_state_names_its_recording() {
        let event = json!({"specversion": "1.0", "type": STATE_CHANGED, "data": {
            "recordingId": "r", "state": "active", "startDateTime": "2026-03-02T10:00:00.1Z", "serverCallId": "abc"}});
        let expected = StateCallback::StateChanged {
            recording_id: "r".parse().unwrap(),
            server_call_id: "abc".parse().ok(),
            started_at: "2026-03-02T10:00:00.1Z".parse().ok(),
        };
        assert_eq!(StateCallback::parse(&event), Some(expected));
    }

    #[test]
    fn a_failed_start_says_why() {
        let result = json!({"code": 400, "subCode": 8501, "message": "Call is not established"});
        let event = json!({"type": START_FAILED, "data": {"recordingId": "r", "resultInformation": result}});
        let Some(StateCallback::StartFailed { reason, .. }) = StateCallback::parse(&event) else {
            panic!()
        };
        assert_eq!(reason, "400.8501: Call is not established");
    }

    #[test]
    fn anything_else_is_other_or_nothing() {
        let other = StateCallback::Other {
            event_type: STATE_CHANGED.into(),
        };
        assert_eq!(
            StateCallback::parse(&json!({"type": STATE_CHANGED, "data": {}})),
            Some(other)
        );
        assert_eq!(StateCallback::parse(&json!([])), None);
        assert_eq!(StateCallback::parse(&json!({"data": {}})), None);
    }
}
