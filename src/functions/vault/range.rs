//! Which part of a file a request asks for (RFC 9110 §14): one range, or the whole. Pure.

use std::ops::Range;

use axum::http::{HeaderMap, header};

use super::conditions;
use crate::functions::host_form::HostForm;

/// What to respond with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedRange {
    Whole,
    Part(Range<u64>),
    /// No byte of the file is in the range.
    Unsatisfiable,
    /// The caller has it already.
    NotModified,
    /// The caller asks for another version only.
    AnotherVersion,
}

/// The most that a host that forwards gets in one response: it buffers the whole response in memory.
const FORWARDED_PART_BYTES: u64 = 8 << 20;
pub const FORWARDED_WHOLE_BYTES: u64 = 64 << 20;

/// Response where the host cannot take all of the requested bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    As(RequestedRange),
    /// The caller must request parts.
    TooLargeForHost,
}

impl RequestedRange {
    /// Shortens a part, as RFC 9110 §14.2 allows: a player requests the next one. A whole file cannot be shortened.
    pub fn within_host(self, form: HostForm, size_bytes: u64) -> Served {
        match (form, self) {
            (HostForm::Forwarded, Self::Part(part)) => {
                let end = part
                    .end
                    .min(part.start.saturating_add(FORWARDED_PART_BYTES));
                Served::As(Self::Part(part.start..end))
            }
            (HostForm::Forwarded, Self::Whole) if size_bytes > FORWARDED_WHOLE_BYTES => {
                Served::TooLargeForHost
            }
            (HostForm::Forwarded | HostForm::Proxied | HostForm::Direct, range) => {
                Served::As(range)
            }
        }
    }
}

/// What the headers request of a whole file with this `ETag`; a range is ignored.
pub fn requested_whole(headers: &HeaderMap, etag: &str) -> RequestedRange {
    // In the order of RFC 9110 §13.2.2.
    if conditions::is_for_another_version(headers, etag) {
        RequestedRange::AnotherVersion
    } else if conditions::is_known(headers, etag) {
        RequestedRange::NotModified
    } else {
        RequestedRange::Whole
    }
}

/// What the headers request of a file with this length and `ETag`.
pub fn requested(headers: &HeaderMap, size_bytes: u64, etag: &str) -> RequestedRange {
    let whole = requested_whole(headers, etag);
    if whole != RequestedRange::Whole || conditions::is_range_of_another_version(headers, etag) {
        return whole;
    }
    let range = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok());
    range.map_or(RequestedRange::Whole, |range| parse(range, size_bytes))
}

/// A header that is not understood, or has more than one range, is ignored, as the RFC allows.
fn parse(range: &str, size_bytes: u64) -> RequestedRange {
    let Some((unit, spec)) = range.split_once('=') else {
        return RequestedRange::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return RequestedRange::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return RequestedRange::Whole;
    }
    // Digits only: the parser would accept `+5`.
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    let part = match (number(first), number(last)) {
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(size_bytes),
        (Some(from), None) if last.is_empty() => from..size_bytes,
        (None, Some(suffix)) if first.is_empty() => size_bytes.saturating_sub(suffix)..size_bytes,
        (Some(_) | None, _) => return RequestedRange::Whole,
    };
    if part.start >= part.end {
        RequestedRange::Unsatisfiable
    } else {
        RequestedRange::Part(part)
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
    #[case("bytes=0-9", RequestedRange::Part(0..10))]
    #[case("bytes=5-", RequestedRange::Part(5..100))]
    #[case("bytes=-5", RequestedRange::Part(95..100))]
    #[case("bytes=-500", RequestedRange::Part(0..100))]
    #[case("bytes=90-500", RequestedRange::Part(90..100))]
    #[case("bytes=99-99", RequestedRange::Part(99..100))]
    #[case("BYTES= 0 - 0 ", RequestedRange::Part(0..1))]
    #[case("bytes=0-99999999999999999999999999", RequestedRange::Part(0..100))]
    #[case("bytes=100-", RequestedRange::Unsatisfiable)]
    #[case("bytes=99999999999999999999999999-", RequestedRange::Unsatisfiable)]
    #[case("bytes=100-200", RequestedRange::Unsatisfiable)]
    #[case("bytes=-0", RequestedRange::Unsatisfiable)]
    #[case("bytes=9-5", RequestedRange::Whole)]
    #[case("bytes=0-1,5-6", RequestedRange::Whole)]
    #[case("bytes=a-b", RequestedRange::Whole)]
    #[case("bytes=+1-2", RequestedRange::Whole)]
    #[case("bytes=-", RequestedRange::Whole)]
    #[case("bytes", RequestedRange::Whole)]
    #[case("lines=0-1", RequestedRange::Whole)]
    fn a_range_is_read_as_the_rfc_says(#[case] range: &str, #[case] expected: RequestedRange) {
        assert_eq!(requested(&with(&[("range", range)]), 100, ETAG), expected);
    }

    #[rstest::rstest]
    #[case(HostForm::Forwarded, RequestedRange::Part(5..100_000_000), Served::As(RequestedRange::Part(5..8_388_613)))]
    #[case(HostForm::Forwarded, RequestedRange::Part(5..9), Served::As(RequestedRange::Part(5..9)))]
    #[case(HostForm::Forwarded, RequestedRange::Whole, Served::TooLargeForHost)]
    #[case(
        HostForm::Forwarded,
        RequestedRange::NotModified,
        Served::As(RequestedRange::NotModified)
    )]
    #[case(HostForm::Proxied, RequestedRange::Part(5..100_000_000), Served::As(RequestedRange::Part(5..100_000_000)))]
    #[case(
        HostForm::Proxied,
        RequestedRange::Whole,
        Served::As(RequestedRange::Whole)
    )]
    fn a_host_that_forwards_gets_no_more_than_it_can_hold(
        #[case] form: HostForm,
        #[case] range: RequestedRange,
        #[case] expected: Served,
    ) {
        assert_eq!(range.clone().within_host(form, 100_000_000), expected);
        let whole = RequestedRange::Whole.within_host(form, 64 << 20);
        assert_eq!(whole, Served::As(RequestedRange::Whole), "64 MiB pass");
    }

    #[test]
    fn an_empty_file_has_no_range() {
        assert_eq!(
            requested(&with(&[("range", "bytes=0-")]), 0, ETAG),
            RequestedRange::Unsatisfiable
        );
        assert_eq!(requested(&with(&[]), 0, ETAG), RequestedRange::Whole);
    }

    #[rstest::rstest]
    #[case(&[("range", "bytes=0-9"), ("if-range", "\"abc\"")], RequestedRange::Part(0..10))]
    #[case(&[("range", "bytes=0-9"), ("if-range", "\"other\"")], RequestedRange::Whole)]
    #[case(&[("range", "bytes=0-9"), ("if-range", "W/\"abc\"")], RequestedRange::Whole)]
    #[case(&[("range", "bytes=0-9"), ("if-range", "Mon, 02 Mar 2026 10:00:00 GMT")], RequestedRange::Whole)]
    #[case(&[("if-none-match", "\"x\", W/\"abc\"")], RequestedRange::NotModified)]
    #[case(&[("if-none-match", "*")], RequestedRange::NotModified)]
    #[case(&[("if-none-match", "\"x\"")], RequestedRange::Whole)]
    #[case(&[("range", "bytes=0-9"), ("if-match", "\"abc\"")], RequestedRange::Part(0..10))]
    #[case(&[("range", "bytes=0-9"), ("if-match", "\"x\"")], RequestedRange::AnotherVersion)]
    #[case(&[("if-match", "\"x\""), ("if-none-match", "\"abc\"")], RequestedRange::AnotherVersion)]
    #[case(&[("if-unmodified-since", "Mon, 02 Mar 2026 10:00:00 GMT")], RequestedRange::Whole)]
    fn conditions_are_kept(
        #[case] headers: &[(&'static str, &str)],
        #[case] expected: RequestedRange,
    ) {
        assert_eq!(requested(&with(headers), 100, ETAG), expected);
    }
}
