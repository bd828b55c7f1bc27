//! JSON as text: its members keep their order, which a parsed `serde_json::Map` loses. Knows nothing of the host.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A piece of JSON, as it is sent.
pub type Raw = Box<RawValue>;

/// Any value as a piece of JSON.
pub fn raw(value: &Value) -> Raw {
    to_raw_value(value).expect("a value has string keys only")
}

/// JSON without white space, with every text that looks like a date written as the Event Grid extension writes it: without
/// trailing zeros, and with an offset turned into UTC.
pub fn normalised(json: &RawValue) -> Raw {
    let text = json.get();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_whitespace() {
            rest = &rest[1..];
        } else if first == '"' {
            let (string, after) = rest.split_at(string_length(rest));
            let is_name = after.trim_start().starts_with(':');
            match Some(string).filter(|_| !is_name).and_then(normalised_date) {
                Some(date) => out.extend(["\"", &date, "\""]),
                None => out.push_str(string),
            }
            rest = after;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    RawValue::from_string(out).expect("white space and dates do not make JSON anything else")
}

/// Bytes of the string that a text begins with, both quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn normalised_date(quoted: &str) -> Option<String> {
    let text = quoted.trim_matches('"');
    let bytes = text.as_bytes();
    let looks_like_a_date = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T';
    if !looks_like_a_date {
        return None;
    }
    let at = text.parse::<Timestamp>().ok()?;
    if text.ends_with('Z') {
        return Some(at.to_string());
    }
    Some(at.to_string().replace('Z', "+00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_lose_their_trailing_zeros_and_offsets_and_nothing_else_changes() {
        let event = r#"{"eventTime": "2026-03-02T10:16:05.7650000Z", "id": "a \" b", "at": "2026-03-02T12:16:05+02:00",
            "2026-03-02T10:16:05.7650000Z": [{"n": 1.0}]}"#;
        let event: Raw = serde_json::from_str(event).unwrap();
        let expected = r#"{"eventTime":"2026-03-02T10:16:05.765Z","id":"a \" b","at":"2026-03-02T10:16:05+00:00","2026-03-02T10:16:05.7650000Z":[{"n":1.0}]}"#;
        assert_eq!(normalised(&event).get(), expected);
    }
}
