//! What becomes of an event: a chunk is recorded in the ledger, a call is recorded by the policy, what cannot be read is kept.

pub mod backpressure;
pub mod dispatch;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tracing::{error, info, warn};

use crate::app::App;
use crate::control::ControlError;
use crate::error_chain::ErrorChain;
use crate::export::ledger::{LedgerError, Recorded};
use crate::functions::invocation::Invocation;
use crate::metrics;
use crate::recording::call_event::{CallEnded, CallStarted};
use crate::recording::{DocumentId, IncomingEvent, RecordingChunk, RecordingFileStatusUpdated};

/// Takes the events of one delivery in, one after the other.
pub struct Intake<'a> {
    app: &'a App,
    /// Chunks that are in the ledger now, to be driven.
    pub recorded: Vec<DocumentId>,
    /// For the host's log of this invocation.
    pub logs: Vec<String>,
    /// What could not be read, each with its reason.
    pub unreadable: Vec<String>,
    /// Why the delivery is to come again, although all that it announced is durable.
    pub again: Option<String>,
}

impl<'a> Intake<'a> {
    pub fn new(app: &'a App) -> Self {
        Self {
            app,
            recorded: Vec::new(),
            logs: Vec::new(),
            unreadable: Vec::new(),
            again: None,
        }
    }

    /// The events of an Event Grid trigger's envelope, one or many.
    ///
    /// # Errors
    /// When the ledger fails: the delivery must then come again.
    pub async fn take_envelope(&mut self, body: &[u8]) -> Result<(), LedgerError> {
        match Invocation::parse(body).map(|invocation| invocation.binding("event")) {
            Ok(Some(Value::Array(events))) => self.take_all(&events).await,
            Ok(Some(event)) => self.take(&event).await,
            Ok(None) => {
                self.keep_poison(&text_of(body), "the invocation has no binding `event`")
                    .await
            }
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                self.keep_poison(&text_of(body), &reason).await
            }
        }
    }

    /// A delivery that is no events at all, kept whole.
    ///
    /// # Errors
    /// As [`Intake::take_envelope`].
    pub async fn take_unreadable(&mut self, body: &[u8], reason: &str) -> Result<(), LedgerError> {
        self.keep_poison(&text_of(body), reason).await
    }

    /// Events as Event Grid delivers them.
    ///
    /// # Errors
    /// As [`Intake::take_envelope`].
    pub async fn take_all(&mut self, events: &[Value]) -> Result<(), LedgerError> {
        let mut failed = None;
        for event in events {
            // One that fails must not keep the others from being recorded.
            failed = self.take(event).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn take(&mut self, event: &Value) -> Result<(), LedgerError> {
        match IncomingEvent::parse(event) {
            Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.record(event, update).await
            }
            Ok(IncomingEvent::CallStarted(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.auto_record(&call).await;
                Ok(())
            }
            Ok(IncomingEvent::CallEnded(call)) => {
                metrics::EVENTS.increment(&["taken"]);
                self.close(&call).await;
                Ok(())
            }
            Ok(IncomingEvent::Other { event_type }) => {
                metrics::EVENTS.increment(&["ignored"]);
                info!(event_type, "Ignored an event of another type");
                self.logs
                    .push(format!("Ignored an event of type {event_type}"));
                Ok(())
            }
            Err(error) => self.keep_poison(event, &error.to_string()).await,
        }
    }

    async fn record(
        &mut self,
        event: &Value,
        update: RecordingFileStatusUpdated,
    ) -> Result<(), LedgerError> {
        if let Err(error) = self.app.control.announced(&update).await {
            // The chunks are what matters, and are recorded all the same; the event is to come again for the report's sake.
            warn!(error = %ErrorChain(&error), "A recording's files could not be registered");
            self.again
                .get_or_insert(format!("the register failed: {}", ErrorChain(&error)));
        }
        if update.chunks.is_empty() && update.refused.is_empty() {
            warn!(
                event_id = update.event_id,
                "An event announced no chunk at all"
            );
            self.logs.push("The event announced no chunk".to_owned());
        }
        for refused in &update.refused {
            let reason = format!(
                "chunk {} of the event: {}",
                refused.position, refused.reason
            );
            self.keep_poison(event, &reason).await?;
        }
        let mut failed = None;
        for chunk in update.chunks {
            failed = self.record_chunk(event, chunk).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn record_chunk(
        &mut self,
        event: &Value,
        chunk: RecordingChunk,
    ) -> Result<(), LedgerError> {
        let (id, index) = (chunk.document_id.clone(), chunk.index);
        let recording_id = chunk.recording_id.clone();
        let recording_id = recording_id.as_ref().map_or("", |id| id.as_str());
        match self.app.driver.ledger().record(chunk).await? {
            Recorded::New => {
                metrics::CHUNKS_ANNOUNCED.increment(&["new"]);
                info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Recorded chunk `{id}`");
            }
            Recorded::AlreadyKnown => {
                metrics::CHUNKS_ANNOUNCED.increment(&["duplicate"]);
                info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Chunk `{id}` is known already");
            }
            Recorded::Conflicting => {
                metrics::CHUNKS_ANNOUNCED.increment(&["conflicting"]);
                let reason =
                    format!("chunk `{id}` is known already, and lies elsewhere by this event");
                self.keep_poison(event, &reason).await?;
            }
        }
        if !self.recorded.contains(&id) {
            self.recorded.push(id);
        }
        Ok(())
    }

    /// A start that may succeed later makes the event come again: a call that is not recorded is a loss as well.
    async fn auto_record(&mut self, call: &CallStarted) {
        let started = match &self.app.auto_record {
            Some(policy) => self.app.control.auto_record(policy, call).await,
            None => None,
        };
        let text = match started {
            None => "The policy records nothing of this call".to_owned(),
            Some(Ok(view)) => format!("Recording {} of the call", view.recording_id),
            Some(Err(ControlError::AlreadyInProgress { .. })) => {
                "The call is being recorded already".to_owned()
            }
            Some(Err(error)) => {
                let text = format!("the call could not be recorded: {}", ErrorChain(&error));
                error!(error = %ErrorChain(&error), "A call that is to be recorded could not be");
                if error.may_succeed_later() {
                    self.again.get_or_insert(text.clone());
                }
                text
            }
        };
        self.logs.push(text);
    }

    async fn close(&mut self, call: &CallEnded) {
        let at = call.ended_at.unwrap_or_else(|| self.app.clock.now());
        match self
            .app
            .control
            .call_ended(call.server_call_id.as_str(), at)
            .await
        {
            Ok(Some(id)) => self.logs.push(format!("The call of recording {id} ended")),
            Ok(None) => self
                .logs
                .push("A call ended that was not recorded through us".to_owned()),
            // The sweep asks ACS, and closes it then.
            Err(error) => {
                warn!(error = %ErrorChain(&error), "The end of a call could not be registered")
            }
        }
    }

    /// What cannot be read is kept whole and acknowledged: delivering it again would not make it readable.
    async fn keep_poison(&mut self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        self.app.driver.ledger().keep_poison(event, reason).await?;
        metrics::EVENTS.increment(&["poison"]);
        error!(
            error = reason,
            "Kept an event that cannot be read as poison"
        );
        self.logs.push(format!(
            "Kept an event that cannot be read as poison: {reason}"
        ));
        self.unreadable.push(reason.to_owned());
        Ok(())
    }
}

fn text_of(body: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(body).into_owned())
}

/// The events of a document, whatever it is wrapped in.
pub fn events_in(content: &[u8]) -> Option<Vec<Value>> {
    let content = content
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(content)
        .trim_ascii();
    let parsed = serde_json::from_slice(content).ok().or_else(|| {
        let decoded = BASE64_STANDARD.decode(content).ok()?;
        serde_json::from_slice(&decoded).ok()
    })?;
    Some(match parsed {
        Value::Array(events) => events,
        // Poison keeps the event beside its reason; one that was not JSON is kept as text.
        Value::Object(mut document) if document.contains_key("keptAt") => {
            match document.remove("event").unwrap_or_default() {
                Value::String(text) => return events_in(text.as_bytes()),
                Value::Array(events) => events,
                event @ (Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_)) => {
                    vec![event]
                }
            }
        }
        event @ (Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)) => vec![event],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_found_in_whatever_kept_them() {
        let event = json!({"id": 1});
        let forms = [
            event.to_string(),
            json!([event]).to_string(),
            format!("\u{feff}{event}\n"),
            BASE64_STANDARD.encode(event.to_string()),
            json!({"reason": "x", "keptAt": "t", "sha256": "s", "event": event}).to_string(),
            json!({"reason": "x", "keptAt": "t", "sha256": "s", "event": event.to_string()})
                .to_string(),
        ];
        for form in forms {
            assert_eq!(
                events_in(form.as_bytes()),
                Some(vec![event.clone()]),
                "{form}"
            );
        }
        assert_eq!(events_in(b"<html>"), None);
    }
}
