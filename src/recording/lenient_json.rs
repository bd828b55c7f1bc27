//! Reads JSON that `serde_json` refuses and other libraries write: half of a surrogate pair, numbers beyond every float,
//! control characters, bytes that are not UTF-8. It knows no event.
//!
//! ACS copies names of people into its events, and one name must not make an event, or a whole delivery, unreadable.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use super::json_memory;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What a JSON number consists of.
const NUMBER_CHARACTERS: &[u8] = b"0123456789+-.eE";
/// Numbers of other libraries that JSON does not have.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
const TOO_DENSE: &str =
    "it has more values than events have in its length, and is not read, to save memory";

/// How many values a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As many as events of ACS have in that length, and more: memory stays in proportion to the text.
    ByLength,
    /// Any number. For files of ACS, and for what is already kept.
    None,
}

impl Bound {
    /// The most memory that the values of a text of this length may take.
    fn room(self, length: usize) -> usize {
        match self {
            Self::ByLength => json_memory::allowed(length),
            Self::None => usize::MAX,
        }
    }

    fn excludes(self, text: &[u8]) -> bool {
        self == Self::ByLength && has_too_many_values(text)
    }
}

/// Whether a text has more values than events of ACS have in that length.
pub fn has_too_many_values(text: &[u8]) -> bool {
    json_memory::of_values(text) > json_memory::allowed(text.len())
}

/// Reads a text. If an array cannot be read as a whole, each of its elements is read alone; those that cannot be read are
/// its last element, as text. Returns `None` if nothing of the text can be read.
pub fn read(text: &[u8], bound: Bound) -> Option<Value> {
    let text = without_mark(text).trim_ascii();
    let elements = || read_elements(text.strip_prefix(b"[")?, bound).map(Value::Array);
    from_slice(text, bound).ok().or_else(elements)
}

/// As [`serde_json::from_slice`]; a text that it refuses is repaired first.
///
/// # Errors
/// When the repaired text cannot be read either, or has too many values.
pub fn from_slice<T: DeserializeOwned>(text: &[u8], bound: Bound) -> serde_json::Result<T> {
    let text = without_mark(text);
    if bound.excludes(text) {
        return Err(serde_json::Error::custom(TOO_DENSE));
    }
    serde_json::from_slice(text).or_else(|_| serde_json::from_str(&repaired(text)))
}

/// Undoes the encoding of a host or forwarder: a string that holds a JSON object or array is that object or array.
pub fn unwrapped(value: Value, bound: Bound) -> Value {
    match value {
        Value::String(text) => match read(text.as_bytes(), bound) {
            Some(decoded @ (Value::Object(_) | Value::Array(_))) => decoded,
            // `"\"text\""`: a string that was encoded twice.
            Some(Value::String(inner)) if inner.len() < text.len() => {
                unwrapped(Value::String(inner), bound)
            }
            Some(Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_)) | None => {
                Value::String(text)
            }
        },
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => value,
    }
}

/// Bytes as a JSON string that loses none of them: text as it is, anything else in base64.
pub fn kept(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => BASE64_STANDARD.encode(bytes).into(),
    }
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Reads elements of an array. Those with few values for their length are read in any case, the others while there is room.
fn read_elements(text: &[u8], bound: Bound) -> Option<Vec<Value>> {
    let is_usual =
        |element: &[u8]| json_memory::of_element(element) <= json_memory::usual(element.len());
    let of_usual = elements(text)
        .filter(|element| is_usual(element))
        .map(json_memory::of_element)
        .fold(0, usize::saturating_add);
    let mut room = bound.room(text.len()).saturating_sub(of_usual);
    let mut values = Vec::new();
    let mut unreadable = b"[".to_vec();
    for element in elements(text) {
        let needed = if is_usual(element) {
            0
        } else {
            json_memory::of_element(element)
        };
        let value = (needed <= room).then(|| from_slice(element, bound).ok());
        if let Some(value) = value.flatten() {
            room -= needed;
            values.push(value);
            continue;
        }
        if unreadable.len() > 1 {
            unreadable.push(b',');
        }
        unreadable.extend_from_slice(element);
    }
    if values.is_empty() {
        return None;
    }
    if unreadable.len() > 1 {
        values.push(kept(&unreadable));
    }
    Some(values)
}

/// The elements of an array, without its opening bracket. What follows the closing bracket is one more, and so is what has
/// no closing bracket.
fn elements(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    let next = move || {
        let text = rest?;
        let end = element_length(text);
        rest = text.get(end + 1..);
        Some(&text[..end])
    };
    std::iter::from_fn(next).filter(|element| !element.trim_ascii().is_empty())
}

/// Length of the first element, up to its comma, the closing bracket or the end.
fn element_length(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at += string_length(&text[at..]);
                continue;
            }
            b',' | b']' if depth == 0 => return at,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The text with everything replaced that `serde_json` refuses inside strings, and as a number.
fn repaired(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut into = String::with_capacity(text.len());
    let mut rest = &*text;
    while !rest.is_empty() {
        let (token, after) = rest.split_at(token_length(rest.as_bytes()));
        if token.starts_with('"') {
            push_string(token, &mut into);
        } else if is_refused_number(token) {
            into.extend(["\"", token, "\""]);
        } else {
            into.push_str(token);
        }
        rest = after;
    }
    into
}

/// Length of the first token: a string, a word, or everything up to the next of them.
fn token_length(text: &[u8]) -> usize {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let first = text[0];
    if first == b'"' {
        return string_length(text);
    }
    let is_end = |byte: &u8| *byte == b'"' || is_word(byte) != is_word(&first);
    text.iter().position(is_end).unwrap_or(text.len())
}

fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn is_refused_number(word: &str) -> bool {
    let is_number = word.bytes().all(|byte| NUMBER_CHARACTERS.contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_digit());
    NO_NUMBERS.contains(&word) || is_number && serde_json::from_str::<Value>(word).is_err()
}

fn push_string(token: &str, into: &mut String) {
    let mut rest = token;
    while let Some(at) = rest.find(|character| character == '\\' || character < ' ') {
        let (before, from) = rest.split_at(at);
        into.push_str(before);
        rest = push_escape(from, into);
    }
    into.push_str(rest);
}

/// Appends what `text` begins with, a backslash or a control character; returns the rest.
fn push_escape<'a>(text: &'a str, into: &mut String) -> &'a str {
    let split = |length| text.split_at(length);
    let (valid, rest) = match (unit(text), text.as_bytes()) {
        (Some(0xd800..0xdc00), _) if is_low_half(unit(&text[6..])) => split(12),
        (Some(0xd800..0xe000), _) => ("\\ufffd", &text[6..]),
        (Some(_), _) => split(6),
        (
            None,
            [
                b'\\',
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                ..,
            ],
        ) => split(2),
        // JSON has no such escape: the backslash is one.
        (None, [b'\\', ..]) => ("\\\\", &text[1..]),
        (None, control) => {
            into.extend(["\\u00", &hex::encode(&control[..1])]);
            return &text[1..];
        }
    };
    into.push_str(valid);
    rest
}

/// The UTF-16 unit of `\uXXXX` at the beginning.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

fn is_low_half(unit: Option<u16>) -> bool {
    unit.is_some_and(|unit| (0xdc00..0xe000).contains(&unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[rstest::rstest]
    #[case::high_half(r#"{"a": "Ann \ud83d"}"#, json!({"a": "Ann \u{fffd}"}))]
    #[case::low_half(r#"{"a": "\ude00 Ann"}"#, json!({"a": "\u{fffd} Ann"}))]
    #[case::two_high_halves(r#"{"a": "\ud83d\uD83D\ude00"}"#, json!({"a": "\u{fffd}\u{1f600}"}))]
    #[case::half_before_an_escape(r#"["\ud83d\n", "\ud83d\u0041"]"#, json!(["\u{fffd}\n", "\u{fffd}A"]))]
    #[case::half_in_a_name(r#"{"\ud83d": 1}"#, json!({"\u{fffd}": 1}))]
    #[case::escaped_backslash(r#"["\\ud83d", 1e999]"#, json!(["\\ud83d", "1e999"]))]
    #[case::number_out_of_range(r#"{"a": -1e999, "b": 1.5e3}"#, json!({"a": "-1e999", "b": 1500.0}))]
    #[case::leading_zero("[007]", json!(["007"]))]
    #[case::no_number("[NaN, Infinity,-Infinity]", json!(["NaN", "Infinity", "-Infinity"]))]
    #[case::no_number_in_text(r#"["NaN", "1e999", NaN]"#, json!(["NaN", "1e999", "NaN"]))]
    #[case::control_characters("[\"a\tb\u{0}\"]", json!(["a\tb\u{0}"]))]
    #[case::no_escape(r#"["\x41\'\u12"]"#, json!(["\\x41\\'\\u12"]))]
    #[case::beyond_ascii("{\"é\": \"日\t\", \"n\": 1e999}", json!({"é": "日\t", "n": "1e999"}))]
    fn what_other_libraries_write_is_read(#[case] text: &str, #[case] expected: Value) {
        assert!(serde_json::from_str::<Value>(text).is_err());
        assert_eq!(read(text.as_bytes(), Bound::ByLength), Some(expected));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let read = read(b"{\"a\": \"x\xff\"}", Bound::ByLength);
        assert_eq!(read, Some(json!({"a": "x\u{fffd}"})));
    }

    #[rstest::rstest]
    #[case::no_json("<html>")]
    #[case::word("hello")]
    #[case::base64("eyJpZCI6MX0")]
    #[case::cut_off("{\"a\": \"b")]
    #[case::array_of_nothing("[<html>, x")]
    #[case::empty("")]
    fn anything_else_is_not(#[case] text: &str) {
        assert_eq!(read(text.as_bytes(), Bound::ByLength), None);
    }

    #[rstest::rstest]
    #[case::no_json(r#"[{"id": 1}, {"a": <}, {"id": 2}]"#, r#"[ {"a": <}"#)]
    #[case::first(r#"[{"a" "b"}, {"id": 1}, {"id": 2}]"#, r#"[{"a" "b"}"#)]
    #[case::brackets_in_text(
        r#"[{"id": 1}, {"a": "]},{", x}, {"id": 2}]"#,
        r#"[ {"a": "]},{", x}"#
    )]
    #[case::two(r#"[x, {"id": 1}, {"id": 2}, [y, z]]"#, "[x, [y, z]")]
    #[case::cut_off(r#"[{"id": 1}, {"id": 2}, {"id": 3"#, r#"[ {"id": 3"#)]
    #[case::trailing(r#"[{"id": 1}, {"id": 2}] x"#, "[ x")]
    fn an_unreadable_element_leaves_the_others(#[case] text: &str, #[case] unreadable: &str) {
        let expected = json!([{"id": 1}, {"id": 2}, unreadable]);
        assert_eq!(read(text.as_bytes(), Bound::ByLength), Some(expected));
    }

    #[test]
    fn an_element_that_is_nested_too_deep_leaves_the_others() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let text = format!(r#"[{deep}, {{"id": 1}}]"#);
        let read = read(text.as_bytes(), Bound::ByLength);
        assert_eq!(read, Some(json!([{"id": 1}, format!("[{deep}")])));
    }

    #[test]
    fn a_text_with_more_values_than_any_event_is_not_read() {
        let dense = r#"{"":0},"#.repeat(40_000);
        let event = json!({"id": "x".repeat(100)});
        let batch = format!("[{event},{dense}{event}]");
        let Some(Value::Array(values)) = read(batch.as_bytes(), Bound::ByLength) else {
            panic!("its events are readable");
        };
        let events = values.iter().filter(|value| **value == event);
        assert_eq!(events.count(), 2, "the last one too");
        assert!(values.len() < 40_000, "{} values", values.len());
        let rest = values.last().and_then(Value::as_str);
        assert!(rest.is_some_and(|text| text.starts_with("[{\"\":0}")));
        let one = format!("{{\"a\": [{dense}0]}}");
        assert!(read(one.as_bytes(), Bound::ByLength).is_none());
        assert!(read(one.as_bytes(), Bound::None).is_some());
        let sparse = format!("[{}0]", format!("{event},").repeat(60_000));
        assert!(read(sparse.as_bytes(), Bound::ByLength).is_some());
    }

    #[test]
    fn an_unreadable_element_that_is_not_text_is_kept_in_base64() {
        let Some(Value::Array(values)) = read(b"[{\"id\": 1}, {\xff}]", Bound::ByLength) else {
            panic!("the first element is readable");
        };
        assert_eq!(values[1], BASE64_STANDARD.encode(b"[ {\xff}"));
    }

    #[rstest::rstest]
    #[case(json!("[{\"a\": 1}]"), json!([{"a": 1}]))]
    #[case(json!("\"{\\\"a\\\": 1}\""), json!({"a": 1}))]
    #[case(json!("{\"a\": \"\\ud83d\"}"), json!({"a": "\u{fffd}"}))]
    #[case(json!("1e999"), json!("1e999"))]
    #[case(json!("\"NaN\""), json!("NaN"))]
    #[case(json!("text"), json!("text"))]
    fn a_string_that_holds_json_is_that_json(#[case] value: Value, #[case] expected: Value) {
        assert_eq!(unwrapped(value, Bound::ByLength), expected);
    }
}
