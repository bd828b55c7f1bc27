//! What a content host's answer says: how much of which version of the file it has, or why it has nothing.

use std::ops::Range;

use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use reqwest::{Response, StatusCode};

use super::gateway::{self, READING_DEADLINE, check_origin, header};
use crate::acs::error::{AcsErrorAnswer, is_credential_refused};
use crate::acs::http::{AcsHttp, retry_after};
use crate::export::source::{SourceError, Validator};

/// The bytes that an answer has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub first: u64,
    /// Exclusive.
    pub end: u64,
    pub total_bytes: u64,
}

/// Checks that an answer has unencoded bytes of the file, and returns which.
pub(super) fn range_of(response: &Response) -> Result<ContentRange, SourceError> {
    check(response)?;
    announced_range(response)
}

/// Checks that an answer is one of ACS's, and has unencoded bytes.
pub(super) fn check(response: &Response) -> Result<(), SourceError> {
    check_origin(response)?;
    check_encoding(response)
}

/// Whether an answer to a request for a range may have only a part of it, although it is called whole: a gateway may pass on a
/// part as `200` without its `Content-Range`. An answer that is longer than the range has the whole file.
pub(super) fn may_be_part(response: &Response, range: &Range<u64>) -> bool {
    let is_for_all = range.start == 0 && range.end == u64::MAX;
    let asked_bytes = range.end - range.start;
    !is_for_all
        && response.status() == StatusCode::OK
        && !response.headers().contains_key(CONTENT_RANGE)
        && response
            .content_length()
            .is_some_and(|length| length <= asked_bytes)
}

/// Refuses an encoded body.
fn check_encoding(response: &Response) -> Result<(), SourceError> {
    let status = response.status();
    // We ask for no encoding, and the archive is byte for byte: an encoded body would be stored as it is on the wire.
    if let Some(encoding) = header(response, &CONTENT_ENCODING).filter(|it| !is_identity(it)) {
        let encoding: String = encoding.chars().take(40).collect();
        return Err(SourceError::transient(format!(
            "ACS answered {status} in the content encoding `{encoding}`, which was not asked for"
        )));
    }
    Ok(())
}

/// Whether an answer has a part of a file, and does not tell which, or how long the file is (`bytes 0-99/*`, RFC 9110 §14.4).
pub(super) fn hides_total(response: &Response) -> bool {
    let is_part = response.status() == StatusCode::PARTIAL_CONTENT
        || response.headers().contains_key(CONTENT_RANGE);
    is_part && content_range(response).is_none()
}

fn content_range(response: &Response) -> Option<ContentRange> {
    header(response, &CONTENT_RANGE).and_then(parse_content_range)
}

fn announced_range(response: &Response) -> Result<ContentRange, SourceError> {
    let status = response.status();
    let is_whole = status == StatusCode::OK && !hides_total(response);
    match (content_range(response), response.content_length()) {
        (Some(range), Some(length)) if length > range.end - range.first => {
            Err(SourceError::transient("ACS sends more than its range"))
        }
        (Some(range), _) => Ok(range),
        (None, Some(length)) if is_whole => Ok(ContentRange {
            first: 0,
            end: length,
            total_bytes: length,
        }),
        (None, _) => Err(SourceError::transient(
            "ACS did not say how long the file is",
        )),
    }
}

/// Returns the version of the file: `ETag`, or else `Last-Modified`. ACS has never been seen to send an `ETag`.
pub(super) fn validator_of(response: &Response) -> Option<Validator> {
    [ETAG, LAST_MODIFIED]
        .iter()
        .find_map(|name| header(response, name))
        .map(|value| Validator::new(value.trim()))
}

/// No status but 404 and 410 is final, and neither is with a web page or a gateway's error: the service is known to answer
/// 400 with HTML and mean "later".
pub(super) async fn failure(http: &AcsHttp, response: Response) -> SourceError {
    let status = response.status();
    if !is_credential_refused(status)
        && let Err(error) = check_origin(&response)
    {
        return error;
    }
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        if let Some(error) = gateway::error_of_gateway(response).await {
            return error;
        }
        return SourceError::Gone {
            status: status.as_u16(),
        };
    }
    let retry_after = retry_after(&response);
    let host = response.url().host_str().unwrap_or_default().to_owned();
    // The headers are available before the body.
    let known = AcsErrorAnswer::from_headers(response.headers());
    let reading = AcsErrorAnswer::from_response(response);
    let answer = tokio::time::timeout(READING_DEADLINE, reading)
        .await
        .unwrap_or(known);
    if is_credential_refused(status) {
        http.report_refused(status, &host, &answer);
        let what = format!(
            "ACS refuses our credential (HTTP {status}){answer}; check ACS_ACCESS_KEY or the identity's role on the ACS resource"
        );
        return SourceError::CredentialRefused { what, retry_after };
    }
    SourceError::Transient {
        what: format!("ACS answered {status}{answer}"),
        retry_after,
        source: None,
    }
}

fn is_identity(encoding: &str) -> bool {
    let encoding = encoding.trim();
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

/// `bytes 0-3018/3019`.
fn parse_content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total_bytes): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total_bytes).then_some(ContentRange {
        first,
        end: last + 1,
        total_bytes,
    })
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Response {
        let mut response = axum::http::Response::builder().status(206);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body("abc").unwrap().into()
    }

    #[rstest::rstest]
    #[case("bytes 0-3018/3019", Some((0, 3019, 3019)))]
    #[case("bytes 100-149/160", Some((100, 150, 160)))]
    #[case("bytes */10", None)]
    #[case("bytes 5-4/10", None)]
    #[case("bytes 0-10/10", None)]
    #[case("bytes 0-9/*", None)]
    #[case("items 0-9/10", None)]
    fn content_ranges_are_read_strictly(
        #[case] text: &str,
        #[case] expected: Option<(u64, u64, u64)>,
    ) {
        let expected = expected.map(|(first, end, total_bytes)| ContentRange {
            first,
            end,
            total_bytes,
        });
        assert_eq!(parse_content_range(text), expected);
    }

    #[rstest::rstest]
    #[case::none(&[], true)]
    #[case::identity(&[("content-encoding", "Identity")], true)]
    #[case::gzip(&[("content-encoding", "gzip")], false)]
    #[case::brotli(&[("content-encoding", "br")], false)]
    #[case::several(&[("content-encoding", "identity, gzip")], false)]
    #[case::made_up(&[("content-encoding", "x-made-up")], false)]
    #[case::page(&[("content-type", "text/html; charset=utf-8")], false)]
    fn an_encoded_answer_is_no_part_of_the_file(
        #[case] headers: &[(&str, &str)],
        #[case] is_part: bool,
    ) {
        let headers = [headers, &[("content-range", "bytes 0-2/3")]].concat();
        let range = range_of(&answer(&headers));
        assert_eq!(range.is_ok(), is_part, "{range:?}");
        assert!(!matches!(
            range,
            Err(SourceError::Refused(_) | SourceError::Gone { .. })
        ));
    }

    #[rstest::rstest]
    #[case::part(0..6, Some("6"), None, true)]
    #[case::later_part(6..12, Some("6"), None, true)]
    #[case::rest(6..u64::MAX, Some("4"), None, true)]
    #[case::short(0..6, Some("4"), None, true)]
    #[case::whole_file(0..6, Some("10"), None, false)]
    #[case::whole_file_again(6..10, Some("10"), None, false)]
    #[case::all(0..u64::MAX, Some("10"), None, false)]
    #[case::with_its_range(0..6, Some("6"), Some("bytes 0-5/10"), false)]
    #[case::without_length(0..6, None, None, false)]
    fn a_part_that_is_called_whole_is_recognised(
        #[case] range: Range<u64>,
        #[case] length: Option<&str>,
        #[case] content_range: Option<&str>,
        #[case] expected: bool,
    ) {
        let mut response = axum::http::Response::builder().status(200);
        if let Some(content_range) = content_range {
            response = response.header("content-range", content_range);
        }
        let body = length.map_or_else(
            || reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("abc")])),
            |length| "x".repeat(length.parse().unwrap()).into(),
        );
        let response = Response::from(response.body(body).unwrap());
        assert_eq!(may_be_part(&response, &range), expected);
    }

    #[test]
    fn the_etag_is_the_version_before_the_time_is() {
        let tag = ("etag", "\"1\"");
        let time = ("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT");
        assert_eq!(
            validator_of(&answer(&[time, tag])),
            Some(Validator::new("\"1\""))
        );
        assert_eq!(validator_of(&answer(&[time])), Some(Validator::new(time.1)));
        assert_eq!(validator_of(&answer(&[])), None);
    }
}
