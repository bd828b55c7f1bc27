//! Makes text from outside visible: a note, a participant's id or a file's name must not begin a line of its own, move the
//! cursor, or change the order of what is read. Pure.

use std::borrow::Cow;
use std::fmt;

/// Returns a text in which control characters, line breaks and characters that change the direction of text are escaped.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Returns the same of a text that has lines of its own.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_hidden(character))
}

/// Writes a part of a line of a report: nothing in it begins another line.
///
/// # Errors
/// When the formatter fails.
pub fn write_part(f: &mut fmt::Formatter<'_>, part: fmt::Arguments<'_>) -> fmt::Result {
    f.write_str(&one_line(&part.to_string()))
}

/// Begins a line of a report, and writes it: nothing in it begins another line.
///
/// # Errors
/// When the formatter fails.
pub fn write_line(f: &mut fmt::Formatter<'_>, line: fmt::Arguments<'_>) -> fmt::Result {
    f.write_str("\n")?;
    write_part(f, line)
}

/// Writes lines, each escaped on its own.
///
/// # Errors
/// When the formatter fails.
pub fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[String]) -> fmt::Result {
    f.write_str(&joined(lines))
}

/// Joins lines, each escaped on its own.
pub fn joined(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| one_line(line)).collect();
    lines.join("\n")
}

/// Whether a character is not seen as itself: it is a control character, separates lines, or formats bidirectional text.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            visible.extend(character.escape_default());
        } else {
            visible.push(character);
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("Complaint 2026/17, für Ada", "Complaint 2026/17, für Ada")]
    #[case("ok\n2026-11-28 the app: forged", r"ok\n2026-11-28 the app: forged")]
    #[case("a\r\nb\tc", r"a\r\nb\tc")]
    #[case("\u{1b}[2J\u{9b}1m", r"\u{1b}[2J\u{9b}1m")]
    #[case("a\u{202e}gpj\u{2066}b\u{200f}", r"a\u{202e}gpj\u{2066}b\u{200f}")]
    #[case("a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c")]
    #[case("日本\u{202f}語 👩‍💻", "日本\u{202f}語 👩‍💻")]
    fn what_is_not_seen_is_escaped(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(one_line(text), expected);
    }

    #[test]
    fn a_text_of_lines_keeps_its_lines_and_nothing_else() {
        assert_eq!(lines("a\nb\r\n\u{1b}c"), "a\nb\\r\n\\u{1b}c");
    }
}
