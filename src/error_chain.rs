//! An error printed with its causes, for logs and reports, and a text from outside cut to what is kept of it. Knows no
//! error type.

use std::error::Error;
use std::fmt;

/// Longest error with its causes: the answer of a gateway may be a whole page.
const PRINTED_BYTES: usize = 4096;
/// Ends a text that was cut.
const CUT: &str = "…";

/// An error and all its causes, separated by `: `; of a long one, the beginning.
pub struct ErrorChain<'a>(pub &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        let mut chain = last.clone();
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Transparent errors repeat what they wrap.
            if text != last {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            last = text;
            source = error.source();
        }
        cut(&mut chain, PRINTED_BYTES);
        f.write_str(&chain)
    }
}

/// Returns a text from outside on one line, without control characters and at most this long: of a longer one, the
/// beginning.
pub fn excerpt(text: &str, most_bytes: usize) -> String {
    let is_between = |character: char| character.is_whitespace() || character.is_control();
    let mut excerpt = String::new();
    for word in text.split(is_between).filter(|word| !word.is_empty()) {
        if !excerpt.is_empty() {
            excerpt.push(' ');
        }
        excerpt.push_str(word);
        if excerpt.len() > most_bytes {
            break;
        }
    }
    cut(&mut excerpt, most_bytes);
    excerpt
}

/// Cuts a text that is longer than this, between two characters.
fn cut(text: &mut String, most_bytes: usize) {
    if text.len() > most_bytes {
        text.truncate(text.floor_char_boundary(most_bytes.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn the_whole_chain_is_printed_once() {
        assert_eq!(ErrorChain(&Outer(Inner)).to_string(), "outer: inner");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the gateway answered: {0}")]
    struct Page(String);

    #[test]
    fn of_a_page_the_beginning_is_printed() {
        let printed = ErrorChain(&Page("é".repeat(1 << 20))).to_string();
        assert!(printed.starts_with("the gateway answered: é") && printed.ends_with("é…"));
        assert!((PRINTED_BYTES - 1..=PRINTED_BYTES).contains(&printed.len()));
    }

    #[rstest::rstest]
    #[case::short("503: busy", "503: busy")]
    #[case::lines("a\r\n  b\u{0}\u{1b}c\t", "a b c")]
    #[case::exact("0123456789", "0123456789")]
    #[case::word("0123456789a", "0123456…")]
    #[case::words("01234 6789 b", "01234 6…")]
    #[case::between_characters("012345éé9", "012345…")]
    #[case::nothing("", "")]
    fn an_excerpt_is_one_line_of_at_most_its_length(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(excerpt(text, 10), expected);
    }
}
