//! JSON in which no object has a member twice. Of two values `serde_json` keeps the last: a request that says two things would
//! be carried out as one of them. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads JSON.
///
/// # Errors
/// When the text is not JSON, or an object has a member twice.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Unique.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Unique)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                let problem = format_args!("`{name}` is given twice; give it once");
                return Err(A::Error::custom(problem));
            }
            let value = members.next_value_seed(Unique)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(r#"{"a": 1, "b": [true, null, -2, 1.5, "x"], "c": {"a": {}}}"#)]
    #[case("[]")]
    #[case(" 7 ")]
    fn other_json_is_read_as_usual(#[case] text: &str) {
        let usual: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes()).unwrap(), usual);
    }

    #[rstest::rstest]
    #[case(r#"{"a": 1, "a": 1}"#, "`a` is given twice")]
    #[case(r#"{"x": [{"a": 1, "b": 2, "a": 3}]}"#, "`a` is given twice")]
    #[case(r#"{"a": 1} x"#, "trailing characters")]
    #[case("{", "EOF")]
    fn what_says_two_things_or_is_no_json_is_refused(#[case] text: &str, #[case] part: &str) {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
