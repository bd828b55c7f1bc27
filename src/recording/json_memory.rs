//! Memory that JSON takes when it is read, estimated from its text before it is. It knows no budget.

/// Size of an object in memory, whatever it contains: `serde_json` keeps members in nodes of eleven.
const OBJECT_BYTES: usize = 700;
/// Size of a value in memory.
const VALUE_BYTES: usize = 80;
/// Memory that every text may take.
const ALWAYS_BYTES: usize = 24 << 20;
/// Beyond that, the times of its own length that a text may take. An event of ACS takes five times its length.
const DENSEST: usize = 20;
/// The times of its own length that any text takes at most: `{"":0},`.
const DENSEST_POSSIBLE: usize = 100;
/// A member of `CloudEvents` that holds a document in base64.
const ENCODED_MEMBER: &[u8] = b"data_base64";

/// The most memory that the values of a text take.
pub(super) fn of_values(text: &[u8]) -> usize {
    let plain = text.iter().fold(0, |bytes: usize, byte| {
        bytes.saturating_add(of_structure(*byte))
    });
    // In a text within a string.
    let escaped = text.windows(5).filter(|part| part.starts_with(b"u00"));
    escaped.fold(plain, |bytes, escape| {
        let mut byte = [0];
        let is_hex = hex::decode_to_slice(&escape[3..], &mut byte).is_ok();
        bytes.saturating_add(if is_hex { of_structure(byte[0]) } else { 0 })
    })
}

fn of_structure(byte: u8) -> usize {
    match byte {
        b'{' => OBJECT_BYTES,
        b'[' | b',' => VALUE_BYTES,
        _ => 0,
    }
}

/// The most memory that the values of a text of this length may take. What takes more is no event, and is not read.
pub(super) fn allowed(length: usize) -> usize {
    length.saturating_mul(DENSEST).max(ALWAYS_BYTES)
}

/// The most memory that [`lenient_json`](super::lenient_json) takes to read a text, with its repair and with what it may hold
/// in base64. The text itself and copies of it are not counted.
pub fn to_read(text: &[u8]) -> usize {
    let allowed = allowed(text.len());
    let is_encoded = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_encoded = is_encoded.is_some_and(|first| !b"{[\"\xef".contains(first));
    let may_be_encoded = is_encoded
        || text
            .windows(ENCODED_MEMBER.len())
            .any(|part| part == ENCODED_MEMBER);
    let encoded = if may_be_encoded {
        text.len().saturating_mul(DENSEST_POSSIBLE).min(allowed)
    } else {
        0
    };
    let repaired: usize = text.iter().map(|byte| when_repaired(*byte)).sum();
    let values = of_values(text).min(allowed);
    values.saturating_add(encoded).saturating_add(repaired)
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
        assert_eq!(plain, 2 * OBJECT_BYTES + 2 * VALUE_BYTES);
        assert_eq!(
            of_values(br#""\u005b\u007B\"a\": 1}\u002c {\"a\": 1}]""#),
            plain
        );
        assert_eq!(of_values(b"\"{}u00zz\""), OBJECT_BYTES);
    }

    #[test]
    fn what_may_be_base64_counts_as_the_densest_json() {
        let text = [b'e'; 1000];
        assert_eq!(to_read(&text), 100_000);
        assert_eq!(to_read(&[&b"\""[..], &text].concat()), 0);
        let event = format!("{{\"data_base64\": \"{}\"}}", "e".repeat(1000));
        assert_eq!(
            to_read(event.as_bytes()),
            event.len() * DENSEST_POSSIBLE + OBJECT_BYTES
        );
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
