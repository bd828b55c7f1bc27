//! Quotes a text for a POSIX shell. Pure.

use std::borrow::Cow;

/// Returns a text as one word of a command, in quotes only where it needs them.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("aGVsbG8=", "aGVsbG8=")]
    #[case("4:+15551230001", "4:+15551230001")]
    #[case("", "''")]
    #[case("Complaint 2026/17", "'Complaint 2026/17'")]
    #[case("O'Neill $x", r"'O'\''Neill $x'")]
    fn a_text_is_quoted_where_a_shell_would_read_it_otherwise(
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(quoted(text), expected);
    }
}
