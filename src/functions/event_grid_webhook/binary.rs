//! CloudEvents in the binary mode of HTTP: the event's attributes are headers, and the body is its data.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode>

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use crate::recording::lenient_json::{self, Bound};

const PREFIX: &str = "ce-";

/// The whole event in structured form: an unreadable one is also kept with its attributes, for a replay. `None` for a
/// delivery in another form.
pub(super) fn event(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    if !headers.contains_key("ce-type") || !headers.contains_key("ce-specversion") {
        return None;
    }
    let mut event: Map<String, Value> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(PREFIX)?;
            let value = percent_decode(value.as_bytes()).decode_utf8_lossy();
            Some((name.to_owned(), value.into_owned().into()))
        })
        .collect();
    let (name, data) = match (
        lenient_json::read(body, Bound::ByLength),
        str::from_utf8(body),
    ) {
        (Some(data), _) => ("data", data),
        (None, Ok(text)) => ("data", Value::from(text)),
        (None, Err(_)) => ("data_base64", BASE64_STANDARD.encode(body).into()),
    };
    event.insert(name.to_owned(), data);
    Some(Value::Object(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn attributes_are_headers_and_the_body_is_data() {
        let headers = headers(&[
            ("ce-specversion", "1.0"),
            ("Ce-Type", "T"),
            ("ce-subject", "/recording/call/%C3%A9"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(
            event(&headers, b"\xef\xbb\xbf{\"a\":1}"),
            Some(
                json!({"specversion": "1.0", "type": "T", "subject": "/recording/call/\u{e9}", "data": {"a": 1}})
            )
        );
        assert_eq!(event(&headers, b"<html>").unwrap()["data"], "<html>");
        assert_eq!(event(&headers, b"\xff").unwrap()["data_base64"], "/w==");
    }

    #[test]
    fn another_form_is_none_of_it() {
        assert_eq!(event(&headers(&[("ce-type", "T")]), b"{}"), None);
        assert_eq!(
            event(&headers(&[("content-type", "application/json")]), b"[]"),
            None
        );
    }
}
