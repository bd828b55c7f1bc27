//! Which part of a file is wanted (RFC 9110 §14): one range, or the whole. Pure.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// What to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<u64>),
    /// Nothing of the file lies in the range.
    Unsatisfiable,
    /// The caller has it already.
    NotModified,
}

/// What the headers ask for of a file of this length and `ETag`.
pub fn wanted(headers: &HeaderMap, size_bytes: u64, etag: &str) -> Wanted {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
    };
    let is_ours = |one: &str| one.trim().strip_prefix("W/").unwrap_or(one.trim()) == etag;
    if text(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.trim() == "*" || tags.split(',').any(is_ours))
    {
        return Wanted::NotModified;
    }
    // By its strong ETag only: dates are not given out.
    if text(header::IF_RANGE).is_some_and(|condition| condition.trim() != etag) {
        return Wanted::Whole;
    }
    text(header::RANGE).map_or(Wanted::Whole, |range| parse(range, size_bytes))
}

/// A header that is not understood, or has more than one range, is ignored, as the RFC allows.
fn parse(range: &str, size_bytes: u64) -> Wanted {
    let Some((unit, spec)) = range.split_once('=') else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Wanted::Whole;
    }
    // Digits only: `+5` is a number to a parser.
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    let part = match (number(first), number(last)) {
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(size_bytes),
        (Some(from), None) if last.is_empty() => from..size_bytes,
        (None, Some(suffix)) if first.is_empty() => size_bytes.saturating_sub(suffix)..size_bytes,
        (Some(_) | None, _) => return Wanted::Whole,
    };
    if part.start >= part.end {
        Wanted::Unsatisfiable
    } else {
        Wanted::Part(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<header::HeaderName>().unwrap(),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[rstest::rstest]
    #[case("bytes=0-9", Wanted::Part(0..10))]
    #[case("bytes=5-", Wanted::Part(5..100))]
    #[case("bytes=-5", Wanted::Part(95..100))]
    #[case("bytes=-500", Wanted::Part(0..100))]
    #[case("bytes=90-500", Wanted::Part(90..100))]
    #[case("bytes=99-99", Wanted::Part(99..100))]
    #[case("BYTES= 0 - 0 ", Wanted::Part(0..1))]
    #[case("bytes=0-99999999999999999999999999", Wanted::Part(0..100))]
    #[case("bytes=100-", Wanted::Unsatisfiable)]
    #[case("bytes=99999999999999999999999999-", Wanted::Unsatisfiable)]
    #[case("bytes=100-200", Wanted::Unsatisfiable)]
    #[case("bytes=-0", Wanted::Unsatisfiable)]
    #[case("bytes=9-5", Wanted::Whole)]
    #[case("bytes=0-1,5-6", Wanted::Whole)]
    #[case("bytes=a-b", Wanted::Whole)]
    #[case("bytes=+1-2", Wanted::Whole)]
    #[case("bytes=-", Wanted::Whole)]
    #[case("bytes", Wanted::Whole)]
    #[case("lines=0-1", Wanted::Whole)]
    fn a_range_is_read_as_the_rfc_says(#[case] range: &str, #[case] expected: Wanted) {
        assert_eq!(wanted(&with(&[("range", range)]), 100, ETAG), expected);
    }

    #[test]
    fn nothing_lies_in_an_empty_file() {
        assert_eq!(
            wanted(&with(&[("range", "bytes=0-")]), 0, ETAG),
            Wanted::Unsatisfiable
        );
        assert_eq!(wanted(&with(&[]), 0, ETAG), Wanted::Whole);
    }

    #[rstest::rstest]
    #[case(&[("range", "bytes=0-9"), ("if-range", "\"abc\"")], Wanted::Part(0..10))]
    #[case(&[("range", "bytes=0-9"), ("if-range", "\"other\"")], Wanted::Whole)]
    #[case(&[("range", "bytes=0-9"), ("if-range", "W/\"abc\"")], Wanted::Whole)]
    #[case(&[("range", "bytes=0-9"), ("if-range", "Mon, 02 Mar 2026 10:00:00 GMT")], Wanted::Whole)]
    #[case(&[("if-none-match", "\"x\", W/\"abc\"")], Wanted::NotModified)]
    #[case(&[("if-none-match", "*")], Wanted::NotModified)]
    #[case(&[("if-none-match", "\"x\"")], Wanted::Whole)]
    fn conditions_are_kept(#[case] headers: &[(&'static str, &str)], #[case] expected: Wanted) {
        assert_eq!(wanted(&with(headers), 100, ETAG), expected);
    }
}
