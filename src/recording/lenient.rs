//! Reads JSON as ACS and Event Grid write it: any key casing, numbers as number, float or string, null as absent.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A JSON object whose keys are found whatever their casing; `null` counts as absent.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    pub(crate) fn value(self, name: &str) -> Option<&'a Value> {
        self.0
            .get(name)
            .or_else(|| {
                self.0
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            })
            .filter(|value| !value.is_null())
    }

    /// Returns the members that are not `known`, with `prefix` before their names.
    pub(crate) fn others(
        self,
        known: &'a [&str],
        prefix: &'a str,
    ) -> impl Iterator<Item = (String, Value)> + use<'a> {
        let is_known = |key: &str| known.iter().any(|known| key.eq_ignore_ascii_case(known));
        let others = self
            .0
            .iter()
            .filter(move |(key, value)| !is_known(key) && !value.is_null());
        others.map(move |(key, value)| (format!("{prefix}{key}"), value.clone()))
    }

    pub(crate) fn object(self, name: &str) -> Option<Fields<'a>> {
        self.value(name).and_then(Fields::of)
    }

    pub(crate) fn array(self, name: &str) -> Option<&'a [Value]> {
        self.value(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
    }

    /// Returns a non-empty text.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.value(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// Returns a number written as `0`, `0.0` or `"0"`.
    pub(crate) fn number(self, name: &str) -> Option<f64> {
        match self.value(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
        .filter(|number| number.is_finite())
    }

    /// Returns a whole, non-negative number that fits 32 bits, in any of the forms of [`Fields::number`].
    pub(crate) fn count(self, name: &str) -> Option<u32> {
        let number = self.number(name)?;
        let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "range and wholeness are checked"
        )]
        whole.then_some(number as u32)
    }

    pub(crate) fn time(self, name: &str) -> Option<Timestamp> {
        self.text(name)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_whatever_their_casing() {
        let value = json!({"DocumentID": "x"});
        assert_eq!(Fields::of(&value).unwrap().text("documentId"), Some("x"));
    }

    #[rstest::rstest]
    #[case(json!(3), Some(3))]
    #[case(json!(3.0), Some(3))]
    #[case(json!("3"), Some(3))]
    #[case(json!("3.0"), Some(3))]
    #[case(json!(3.5), None)]
    #[case(json!(-1), None)]
    #[case(json!(1e300), None)]
    #[case(json!("NaN"), None)]
    #[case(json!(null), None)]
    fn a_count_is_read_from_any_spelling_of_a_whole_number(
        #[case] value: Value,
        #[case] expected: Option<u32>,
    ) {
        assert_eq!(
            Fields::of(&json!({ "n": value })).unwrap().count("n"),
            expected
        );
    }
}
