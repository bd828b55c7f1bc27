//! The custom-handler envelope, in the host's own terms.
//!
//! The host writes strings, numbers and arrays as JSON *in a string*, objects as objects; both are read. An answer must be
//! a JSON object: an empty 2xx makes the host wait until its timeout and then kill the process.

use std::borrow::Cow;
use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::recording::lenient_json::{self, Bound, unwrapped};

/// What the host sent to a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    data: Map<String, Value>,
}

/// Error for a body that is not an invocation.
#[derive(Debug, thiserror::Error)]
pub enum InvalidInvocation {
    #[error("the body is not JSON, or not an object")]
    NotJson(#[source] serde_json::Error),
    #[error("the body has no `Data` object")]
    NoData,
}

impl Invocation {
    /// Reads the envelope, with keys in any casing, with or without a byte order mark.
    ///
    /// # Errors
    /// When the body cannot be read, or has no `Data`.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidInvocation> {
        let envelope: Envelope =
            lenient_json::from_slice(body, Bound::ByLength).map_err(InvalidInvocation::NotJson)?;
        match envelope.data.map(|data| unwrapped(data, Bound::ByLength)) {
            Some(Value::Object(data)) => Ok(Self { data }),
            Some(_) | None => Err(InvalidInvocation::NoData),
        }
    }

    /// The value of a binding, decoded if the host encoded it: by its name, or the only one there is.
    pub fn binding(mut self, name: &str) -> Option<Value> {
        let value = match self.data.remove(name) {
            Some(value) => value,
            None if self.data.len() == 1 => self.data.into_iter().next()?.1,
            None => return None,
        };
        Some(unwrapped(value, Bound::ByLength))
    }
}

/// `Data` alone: `Metadata` holds the event once more, and is skipped without being built.
struct Envelope {
    data: Option<Value>,
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an invocation of the Functions host")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let mut data = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if data.is_none() && name.eq_ignore_ascii_case("data") {
                data = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Envelope { data })
    }
}

/// Response of a function to the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InvocationResponse {
    #[serde(skip)]
    status: StatusCode,
    outputs: Value,
    /// Shown by the host in the invocation's own log.
    logs: Vec<String>,
    return_value: Value,
}

impl InvocationResponse {
    /// The invocation did its work. The report is for callers without a host: no binding takes it, and the host would
    /// write `Logs` in addition to log lines with the same content.
    pub fn success(report: Vec<String>) -> Self {
        Self {
            status: StatusCode::OK,
            outputs: json!({}),
            logs: Vec::new(),
            return_value: json!({ "report": report }),
        }
    }

    /// A retry may help: the host reports a failure, and Event Grid delivers again.
    pub fn failure(why: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            outputs: json!({}),
            logs: vec![why.into()],
            return_value: Value::Null,
        }
    }

    /// With a value for an output binding.
    #[must_use]
    pub fn with_output(mut self, name: &str, value: Value) -> Self {
        self.outputs[name] = value;
        self
    }
}

impl IntoResponse for InvocationResponse {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::object(json!({"Data": {"event": {"id": 1}}}))]
    #[case::encoded(json!({"Data": {"event": "{\"id\": 1}"}}))]
    #[case::encoded_twice(json!({"Data": {"event": "\"{\\\"id\\\": 1}\""}}))]
    #[case::data_encoded(json!({"Data": "{\"event\": {\"id\": 1}}"}))]
    #[case::lower_case(json!({"data": {"event": {"id": 1}}}))]
    #[case::other_name(json!({"Data": {"eventGridEvent": {"id": 1}}, "Metadata": {}}))]
    fn a_binding_is_read_however_the_host_wrote_it(#[case] envelope: Value) {
        let invocation = Invocation::parse(envelope.to_string().as_bytes()).unwrap();
        assert_eq!(invocation.binding("event"), Some(json!({"id": 1})));
    }

    #[rstest::rstest]
    #[case::as_it_is(r#"{"Data": {"event": {"a": "\ud83d", "b": 1e999}}}"#)]
    #[case::encoded(r#"{"Data": {"event": "{\"a\": \"\\ud83d\", \"b\": 1e999}"}}"#)]
    #[case::beside_it(
        r#"{"Data": {"event": {"a": "\ufffd", "b": "1e999"}}, "Metadata": {"c": "\ude00"}}"#
    )]
    fn a_binding_that_other_libraries_wrote_is_read(#[case] envelope: &str) {
        let invocation = Invocation::parse(envelope.as_bytes()).unwrap();
        let expected = json!({"a": "\u{fffd}", "b": "1e999"});
        assert_eq!(invocation.binding("event"), Some(expected));
    }

    #[test]
    fn a_byte_order_mark_does_not_matter() {
        assert!(Invocation::parse(b"\xef\xbb\xbf{\"Data\":{}}").is_ok());
    }

    #[rstest::rstest]
    #[case("")]
    #[case("[]")]
    #[case("{}")]
    #[case(r#"{"Data": 7}"#)]
    fn anything_else_is_no_invocation(#[case] body: &str) {
        assert!(Invocation::parse(body.as_bytes()).is_err());
    }

    #[test]
    fn an_answer_has_the_hosts_three_members() {
        let answer =
            serde_json::to_value(InvocationResponse::success(vec!["done".into()])).unwrap();
        assert_eq!(
            answer,
            json!({"Outputs": {}, "Logs": [], "ReturnValue": {"report": ["done"]}})
        );
    }
}
