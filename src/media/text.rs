//! Tells a text of any kind, such as an error page, from media. It knows no media.

use crate::media::Looked;
use crate::media::found::{Container, ProbedMedia};
use crate::media::seen::Seen;

/// How much of a file must be text before it counts as one, in bytes.
pub(super) const HEAD_BYTES: usize = 1024;
/// What pages and answers of services begin with, in lower case.
const BEGINNINGS: [&[u8]; 4] = [b"<!doctype", b"<html", b"<?xml", b"{\""];
/// Share of a text in an encoding of one byte that is ASCII, in percent.
const ASCII_PERCENT: usize = 90;

/// Recognises a text; media has bytes that no text has.
pub(super) fn look(seen: &Seen) -> Option<Looked> {
    let head = seen.head(HEAD_BYTES);
    let is_text = is_wide(head) || is_utf8(head) || is_of_single_bytes(head) || is_page(head);
    is_text.then(|| (ProbedMedia::of(Container::Text), Ok(())))
}

/// UTF-16 with a mark.
fn is_wide(head: &[u8]) -> bool {
    matches!(
        head,
        [0xff, 0xfe, b'\t' | b'\n' | b'\r' | 0x20..0x7f, 0, ..]
            | [0xfe, 0xff, 0, b'\t' | b'\n' | b'\r' | 0x20..0x7f, ..]
    )
}

fn is_utf8(head: &[u8]) -> bool {
    // A character of several bytes may be cut at the end.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => "",
    };
    let is_plain = |character: char| !character.is_control() || character.is_whitespace();
    !text.is_empty() && text.chars().all(is_plain)
}

/// ASCII with a few letters of Latin-1 or a similar encoding.
fn is_of_single_bytes(head: &[u8]) -> bool {
    let is_ascii = |byte: &&u8| matches!(byte, b'\t'..=b'\r' | 0x20..0x7f);
    let ascii = head.iter().filter(is_ascii).count();
    let is_letter = |byte: &u8| is_ascii(&byte) || *byte >= 0xa0;
    !head.is_empty() && head.iter().all(is_letter) && ascii * 100 >= head.len() * ASCII_PERCENT
}

/// A page or an answer in any encoding of one or two bytes.
fn is_page(head: &[u8]) -> bool {
    let halves = [0, 1].map(|first| head.iter().skip(first).step_by(2).copied().collect());
    let [even, odd]: [Vec<u8>; 2] = halves;
    let narrow = match (is_empty(&even), is_empty(&odd)) {
        (true, false) => &odd,
        (false, true) => &even,
        (true, true) | (false, false) => head,
    };
    let text = narrow.trim_ascii_start();
    let begins_with = |beginning: &[u8]| {
        let begin = text.get(..beginning.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(beginning))
    };
    BEGINNINGS.iter().any(|beginning| begins_with(beginning))
}

/// Whether the first bytes are zeros.
fn is_empty(half: &[u8]) -> bool {
    half.iter().take(16).all(|byte| *byte == 0)
}
