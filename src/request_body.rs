//! The body of a request: one JSON object, in which each member is known and given once. Pure.

mod unique_members;

use jiff::Timestamp;
use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::suggestion;

/// A request that is rejected before anything is done: what is wrong, where, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// The invalid member of the request, if there is one.
    pub target: Option<String>,
    pub message: String,
}

impl InvalidRequest {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            target: None,
            message: message.into(),
        }
    }

    /// `target` names the invalid member.
    pub fn of(target: &str, message: impl Into<String>) -> Self {
        Self {
            target: Some(target.to_owned()),
            message: message.into(),
        }
    }
}

/// Reads a body.
///
/// # Errors
/// With the member that is wrong, and what would be right.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, InvalidRequest> {
    from_object(object(body)?)
}

/// Reads a body as a JSON object.
///
/// # Errors
/// When it is empty, no JSON, another kind of JSON, or has a member twice.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, InvalidRequest> {
    if body.trim_ascii().is_empty() {
        return Err(InvalidRequest::new(
            "The body is empty; send a JSON object.",
        ));
    }
    match unique_members::parse(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(InvalidRequest::new("The body is not a JSON object.")),
        Err(error) => Err(InvalidRequest::new(not_json(&error))),
    }
}

/// Where the text stops being JSON; or what is wrong with JSON that is well-formed.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(&*text, |(why, _)| why);
    match error.classify() {
        Category::Data => format!("{why}."),
        Category::Io | Category::Syntax | Category::Eof => {
            let (line, column) = (error.line(), error.column());
            format!("The body is not JSON from line {line}, column {column} on: {why}.")
        }
    }
}

/// Reads a time of a body.
///
/// # Errors
/// When the text is not a time with its zone.
pub fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let time = text.parse();
    time.map_err(|_| {
        D::Error::custom("expected a time with its zone, such as 2026-03-02T10:00:00Z")
    })
}

/// What `serde` expected, in the words of a caller who knows JSON, not Rust.
fn in_words(error: &serde_json::Error) -> String {
    const OF_SERDE: [&str; 4] = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
    ];
    let text = error.to_string();
    let expected = text
        .rsplit_once(", expected ")
        .filter(|_| OF_SERDE.iter().any(|beginning| text.starts_with(beginning)));
    let Some((_, expected)) = expected else {
        return text;
    };
    let expected = match expected {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number within its limits",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    format!("expected {expected}")
}

/// Reads `T` from the members of a body.
///
/// # Errors
/// With the member that is wrong, and what would be right.
pub fn from_object<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, InvalidRequest> {
    refuse_unknown::<T>("", &members)?;
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." | "?" => InvalidRequest::new(format!(
                "The body is not what is expected here: {}.",
                error.inner()
            )),
            path => InvalidRequest::of(path, format!("`{path}`: {}.", in_words(error.inner()))),
        }
    })
}

/// Rejects an object inside a body that is no object, or has a member that `T` has not. `serde` would also read a struct
/// from a list.
///
/// # Errors
/// With the member, and the one that is probably meant.
pub fn check_inside<T: DeserializeOwned>(
    body: &Map<String, Value>,
    name: &str,
) -> Result<(), InvalidRequest> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(members)) => refuse_unknown::<T>(&format!("{name}."), members),
        Some(_) => Err(InvalidRequest::of(
            name,
            format!("`{name}` is not an object."),
        )),
    }
}

fn refuse_unknown<T: DeserializeOwned>(
    path: &str,
    members: &Map<String, Value>,
) -> Result<(), InvalidRequest> {
    let known = members_of::<T>();
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("unknown field `{name}`{}", suggestion::hint(name, known));
            Err(InvalidRequest::of(&format!("{path}{name}"), message))
        }
    }
}

/// The names of a struct's members, as `serde` reads them.
fn members_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut members: &'static [&'static str] = &[];
    // It ends with an error: nothing is read.
    let _ended = T::deserialize(Members(&mut members)).err();
    members
}

/// A source of data that only takes the names of the members it is asked for.
struct Members<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Members<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("this is no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("only the names are wanted"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Wish {
        #[serde(rename = "because")]
        reason: String,
        resume_after: Option<u32>,
    }

    #[test]
    fn the_names_of_the_members_are_those_that_serde_reads() {
        assert_eq!(members_of::<Wish>(), ["because", "resumeAfter"]);
        assert!(members_of::<String>().is_empty());
    }

    #[test]
    fn a_right_body_is_read() {
        let wish: Wish = read(br#" {"because": "x", "resumeAfter": 7} "#).unwrap();
        assert_eq!((wish.reason.as_str(), wish.resume_after), ("x", Some(7)));
    }

    #[rstest::rstest]
    #[case("", None, "is empty")]
    #[case("{", None, "not JSON")]
    #[case(r#"["x", 7]"#, None, "not a JSON object")]
    #[case("{\n\"because\" 7}", None, "from line 2, column 11 on: expected `:`")]
    #[case(
        r#"{"because": "x", "because": "y"}"#,
        None,
        "`because` is given twice; give it once."
    )]
    #[case(r#"{"because": 7}"#, Some("because"), "`because`: expected a text.")]
    #[case(r#"{"resumeAfter": 7}"#, None, "missing field `because`")]
    #[case(
        r#"{"because": "x", "resumeafter": 7}"#,
        Some("resumeafter"),
        "did you mean `resumeAfter`?"
    )]
    #[case(
        r#"{"because": "x", "resumeAfter": -1}"#,
        Some("resumeAfter"),
        "`resumeAfter`: expected a whole number within its limits."
    )]
    fn a_wrong_body_is_refused_with_the_member_named(
        #[case] body: &str,
        #[case] target: Option<&str>,
        #[case] expected: &str,
    ) {
        let error = read::<Wish>(body.as_bytes()).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(error.target.as_deref(), target, "{error}");
    }

    #[rstest::rstest]
    #[case("[]", "is not an object")]
    #[case(r#"{"Because": "x"}"#, "did you mean `because`?")]
    fn an_object_inside_a_body_is_checked_too(#[case] inside: &str, #[case] expected: &str) {
        let body = object(format!(r#"{{"wish": {inside}}}"#).as_bytes()).unwrap();
        let error = check_inside::<Wish>(&body, "wish").unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
}
