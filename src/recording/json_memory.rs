//! Memory that JSON takes when it is read, estimated from its text before it is. It knows no budget.

/// Size of an object in memory, whatever it contains: `serde_json` keeps members in nodes of eleven.
const OBJECT_BYTES: usize = 700;
/// Size of an array, which has room for four values at first.
const ARRAY_BYTES: usize = 180;
/// Size of a value in memory.
const VALUE_BYTES: usize = 80;
/// Memory that every text may take.
const ALWAYS_BYTES: usize = 16 << 20;
/// Beyond that, the times of its own length that a text may take. An event of ACS takes five times its length.
const DENSEST: usize = 16;
/// The times of its own length that any text takes at most: `{"":0},`.
const DENSEST_POSSIBLE: usize = 100;
/// What the names of members that hold a document in base64 have in common: `data_base64` of `CloudEvents`; `keptAt` stands
/// beside such a member in our own poison.
const NAMES_BESIDE_ENCODED: [&[u8]; 2] = [b"base64", b"keptat"];

/// The most memory that the values of a text take.
pub(super) fn of_values(text: &[u8]) -> usize {
    let plain = text.iter().fold(0, |bytes: usize, byte| {
        bytes.saturating_add(of_structure(*byte))
    });
    // In a text within a string.
    escaped(text).fold(plain, |bytes, byte| {
        bytes.saturating_add(of_structure(byte))
    })
}

/// The most memory that an element of an array takes: its comma is not a part of it.
pub(super) fn of_element(text: &[u8]) -> usize {
    of_values(text).saturating_add(VALUE_BYTES)
}

fn of_structure(byte: u8) -> usize {
    match byte {
        b'{' => OBJECT_BYTES,
        b'[' => ARRAY_BYTES,
        b',' => VALUE_BYTES,
        _ => 0,
    }
}

/// The bytes that a text has as escapes, such as `\u007b`, however often the escape itself is escaped.
fn escaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let escapes = text.windows(5).filter(|part| part.starts_with(b"u00"));
    escapes.filter_map(|escape| {
        let mut byte = [0];
        hex::decode_to_slice(&escape[3..], &mut byte).ok()?;
        Some(byte[0])
    })
}

/// The most memory that the values of a text of this length may take. What takes more is no event, and is not read.
pub(super) fn allowed(length: usize) -> usize {
    usual(length).max(ALWAYS_BYTES)
}

/// The most memory that the values of an event of this length take.
pub(super) fn usual(length: usize) -> usize {
    length.saturating_mul(DENSEST)
}

/// The most memory that [`lenient_json`](super::lenient_json) takes to read a text from outside, with its repair and with what
/// it may hold in base64. The text itself and copies of it are not counted.
pub fn to_read(text: &[u8]) -> usize {
    let allowed = allowed(text.len());
    let encoded = if may_be_encoded(text) {
        text.len().saturating_mul(DENSEST_POSSIBLE).min(allowed)
    } else {
        0
    };
    let repaired: usize = text.iter().map(|byte| when_repaired(*byte)).sum();
    let values = of_values(text).min(allowed);
    values.saturating_add(encoded).saturating_add(repaired)
}

/// Whether a text may hold another one in which nothing of the structure of JSON can be seen.
fn may_be_encoded(text: &[u8]) -> bool {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_json = first.is_none_or(|first| b"{[\"\xef".contains(first));
    let names_it = NAMES_BESIDE_ENCODED.iter().any(|name| {
        text.windows(name.len())
            .any(|part| part.eq_ignore_ascii_case(name))
    });
    // No library escapes these, so it may be one of those names, or an escape of an escape.
    let is_odd = |byte: u8| byte.is_ascii_alphanumeric() || b"_\\".contains(&byte);
    !is_json || names_it || escaped(text).any(is_odd)
}

/// Length of what replaces a byte that JSON does not allow where it is; 0 for one that is never replaced by more.
fn when_repaired(byte: u8) -> usize {
    match byte {
        0..b' ' => "\\u0000".len(),
        b'\\' => "\\\\".len(),
        0x80.. => "\u{fffd}".len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_counts_also_when_it_is_escaped() {
        let plain = of_values(br#"[{"a": 1}, {"a": 1}]"#);
        assert_eq!(plain, 2 * OBJECT_BYTES + ARRAY_BYTES + VALUE_BYTES);
        assert_eq!(
            of_values(br#""\u005b\u007B\"a\": 1}\u002c {\"a\": 1}]""#),
            plain
        );
        assert_eq!(of_values(b"\"{}u00zz\""), OBJECT_BYTES);
    }

    #[rstest::rstest]
    #[case::base64("eyJhIjogMX0", true)]
    #[case::member(r#"{"data_base64": "eyJhIjogMX0"}"#, true)]
    #[case::its_other_spelling(r#"{"DATA_Base64": "eyJhIjogMX0"}"#, true)]
    #[case::its_escaped_name(r#"{"data\u005fb\u0061se64": "eyJhIjogMX0"}"#, true)]
    #[case::poison(r#"{"keptAt": 0, "event": "eyJhIjogMX0"}"#, true)]
    #[case::an_escaped_escape(r#""\\\u0075007b\\\u0075007d""#, true)]
    #[case::text_of_json(r#""{\"a\": 1}""#, false)]
    #[case::event(
        "\u{feff}[{\"data\": {\"displayName\": \"A\\u00e9\\u0027 \\u002B1\"}}]",
        false
    )]
    fn what_may_hide_json_counts_as_the_densest(#[case] text: &str, #[case] expected: bool) {
        let hidden = text.len() * DENSEST_POSSIBLE;
        let all = to_read(text.as_bytes());
        assert_eq!(all >= hidden, expected, "{all}");
    }

    #[test]
    fn a_repair_counts() {
        assert_eq!(to_read(b"\"\x01\xff\\x\""), 6 + 3 + 2);
    }

    #[test]
    fn a_long_text_may_take_a_multiple_of_its_length() {
        assert_eq!(allowed(1 << 20), ALWAYS_BYTES);
        assert_eq!(allowed(8 << 20), (8 << 20) * DENSEST);
        let bomb = r#"{"":0},"#.repeat(1 << 20);
        assert_eq!(to_read(bomb.as_bytes()), bomb.len() * DENSEST);
    }
}
