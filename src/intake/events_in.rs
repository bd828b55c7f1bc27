//! Finds the events in a document that kept them: a delivery, a dead letter, an export of either, or our own poison.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Returns the events of a document, in any wrapping; `None` if it has none.
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
