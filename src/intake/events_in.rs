//! Finds the events in a document: a delivery, a dead letter, an export of either, or our own poison.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::recording::lenient_json::{self, Bound};

/// Returns the events of a document, in any wrapping; `None` if nothing of it can be read. What cannot be read beside
/// readable events is the last of them, as text.
pub fn events_in(content: &[u8]) -> Option<Vec<Value>> {
    let bound = Bound::ByLength;
    let parsed = lenient_json::read(content, bound).or_else(|| {
        let decoded = BASE64_STANDARD.decode(content.trim_ascii()).ok()?;
        lenient_json::read(&decoded, bound)
    })?;
    Some(match lenient_json::unwrapped(parsed, bound) {
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
        let encoded = Value::from(event.to_string()).to_string();
        let forms = [
            event.to_string(),
            json!([event]).to_string(),
            format!("\u{feff}{event}\n"),
            encoded.clone(),
            BASE64_STANDARD.encode(event.to_string()),
            BASE64_STANDARD.encode(&encoded),
            json!({"reason": "x", "keptAt": "t", "sha256": "s", "event": event}).to_string(),
            json!({"reason": "x", "keptAt": "t", "sha256": "s", "event": event.to_string()})
                .to_string(),
            json!({"reason": "x", "keptAt": "t", "sha256": "s", "event": encoded}).to_string(),
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

    #[test]
    fn a_whole_delivery_that_was_kept_gives_its_readable_events() {
        let delivery = "[{\"id\": 1}, {\"a\": <}]";
        let kept = json!({"keptAt": "t", "event": delivery}).to_string();
        let expected = vec![json!({"id": 1}), json!("[ {\"a\": <}")];
        assert_eq!(events_in(kept.as_bytes()), Some(expected));
    }
}
