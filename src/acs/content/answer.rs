//! What a content host's answer says: how much of which version of the file it has, or why it has nothing.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED,
};
use reqwest::{Response, StatusCode};

use crate::acs::error::{AcsErrorAnswer, is_credential_refused, limited_body};
use crate::acs::http::{AcsHttp, retry_after};
use crate::export::source::{ChunkPart, OpenedContent, SourceError, Validator};
use crate::recording::metadata::{has_a_member, without_byte_order_mark};

/// An error's body is a few hundred bytes; a host that does not send it in this time is not waited for.
const READING_DEADLINE: Duration = Duration::from_secs(5);

/// Longer than any error that a service words as JSON, XML or text. A recording this short is not worth a wrong copy.
const LONGEST_ERROR_BYTES: u64 = 64 * 1024;

/// A member of problem details (RFC 9457). Of the answers to a deletion, one that says what was done may have it too.
const STATUS: &str = "status";
/// Words of errors, in the forms of Azure and in the texts of gateways.
const ERROR_WORDS: [&str; 9] = [
    "error",
    "timeout",
    "timed out",
    "unavailable",
    "upstream",
    "overloaded",
    "too many requests",
    "denied",
    "forbidden",
];

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

/// Whether an answer to a request for a range may have only that part of the file, although it is called whole: a gateway
/// may pass on a part as `200` without its `Content-Range`. A whole file is longer than the range that was asked for, or it
/// begins with it and is shorter.
pub(super) fn may_be_part(response: &Response, range: &Range<u64>) -> bool {
    let asked_bytes = range.end - range.start;
    let is_in_range = |length| length == asked_bytes || (range.start > 0 && length < asked_bytes);
    response.status() == StatusCode::OK
        && !response.headers().contains_key(CONTENT_RANGE)
        && response.content_length().is_some_and(is_in_range)
}

/// Whether the type of an answer is one in which services word errors. Files have the type `application/octet-stream`.
pub(super) fn is_called_document(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(is_document)
}

/// Refuses what is called a text, JSON or XML, is short, and words an error. A recording has bytes that no text has, and a
/// metadata file has members that no error has.
pub(super) async fn without_worded_error(
    mut opened: OpenedContent,
    part: ChunkPart,
) -> Result<OpenedContent, SourceError> {
    let total_bytes = opened.total_bytes;
    if total_bytes > LONGEST_ERROR_BYTES {
        return Ok(opened);
    }
    let pieces = all_before_an_end(&mut opened).await;
    let read: Vec<Bytes> = pieces
        .iter()
        .filter_map(|piece| piece.as_ref().ok().cloned())
        .collect();
    let bytes = read.concat();
    let is_metadata = part == ChunkPart::Metadata && is_metadata(&bytes);
    if words_an_error(&bytes, Some(STATUS)) && !is_metadata {
        return Err(SourceError::transient(format!(
            "ACS answered with a text of {total_bytes} bytes instead of the file"
        )));
    }
    Ok(OpenedContent {
        stream: stream::iter(pieces).chain(opened.stream).boxed(),
        ..opened
    })
}

fn is_metadata(bytes: &[u8]) -> bool {
    serde_json::from_slice(without_byte_order_mark(bytes)).is_ok_and(|object| has_a_member(&object))
}

/// Reads to the announced end, or to a failure, which is the last item then.
async fn all_before_an_end(opened: &mut OpenedContent) -> Vec<Result<Bytes, SourceError>> {
    let mut left = opened.end.saturating_sub(opened.offset);
    let mut pieces = Vec::new();
    while left > 0
        && let Some(piece) = opened.stream.next().await
    {
        left = piece
            .as_ref()
            .map_or(0, |piece| left.saturating_sub(piece.len() as u64));
        pieces.push(piece);
    }
    pieces
}

/// Whether bytes are a text with a word of an error, or with one that is given.
fn words_an_error(bytes: &[u8], given: Option<&str>) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let mut words = ERROR_WORDS.into_iter().chain(given);
    let has_word = words.any(|word| text.contains(word));
    has_word && !bytes.iter().any(is_control)
}

/// Refuses an answer to a deletion that a gateway words: ACS answers with an empty body, or with an error of its own.
pub(super) async fn check_deletion(response: Response) -> Result<(), SourceError> {
    check_origin(&response)?;
    let status = response.status();
    if is_worded_by_gateway(response).await {
        return Err(of_gateway(status));
    }
    Ok(())
}

/// Whether an answer is an error in a form that is not ACS's: API Management, for example, answers 404 with
/// `{"statusCode": 404, "message": "Resource not found"}` where it has no such route.
async fn is_worded_by_gateway(response: Response) -> bool {
    if !is_called_document(&response) {
        return false;
    }
    let is_error = !response.status().is_success();
    let reading = tokio::time::timeout(READING_DEADLINE, limited_body(response));
    let bytes = reading.await.unwrap_or_default();
    let is_of_acs = is_error && AcsErrorAnswer::parse(&bytes).is_of_acs();
    words_an_error(&bytes, is_error.then_some(STATUS)) && !is_of_acs
}

fn of_gateway(status: StatusCode) -> SourceError {
    SourceError::transient(format!(
        "ACS answered {status} with an error that is not its own"
    ))
}

/// Refuses a web page, whatever its status: ACS sends none, so a gateway before it answered.
pub(super) fn check_origin(response: &Response) -> Result<(), SourceError> {
    if !header(response, &CONTENT_TYPE).is_some_and(is_page) {
        return Ok(());
    }
    let status = response.status();
    Err(SourceError::Transient {
        what: format!("ACS answered {status} with a web page"),
        retry_after: retry_after(response),
        source: None,
    })
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
        if is_worded_by_gateway(response).await {
            return of_gateway(status);
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

fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

fn is_page(content_type: &str) -> bool {
    media_type(content_type) == "text/html"
}

fn is_document(content_type: &str) -> bool {
    let kind = media_type(content_type);
    let is_one_of = |formats: [&str; 2]| {
        formats.iter().any(|format| {
            kind == format!("application/{format}") || kind.ends_with(&format!("+{format}"))
        })
    };
    kind.starts_with("text/") || is_one_of(["json", "xml"])
}

/// A `Content-Type` without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
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
    use futures::TryStreamExt as _;

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
    #[case::json("application/json; charset=utf-8", true)]
    #[case::problem("application/problem+json", true)]
    #[case::xml("application/xml", true)]
    #[case::xml_text("TEXT/XML", true)]
    #[case::text("text/plain", true)]
    #[case::bytes("application/octet-stream", false)]
    #[case::media("audio/wav", false)]
    fn types_of_documents_are_known(#[case] content_type: &str, #[case] expected: bool) {
        let headers = [("content-type", content_type)];
        assert_eq!(is_called_document(&answer(&headers)), expected);
    }

    fn opened(pieces: &[&'static [u8]], total_bytes: u64) -> OpenedContent {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece)))
            .collect();
        OpenedContent {
            offset: 0,
            end: total_bytes,
            total_bytes,
            validator: None,
            stream: stream::iter(pieces).boxed(),
        }
    }

    #[rstest::rstest]
    #[case::json(b"{\"error\": {\"code\": \"503\"}}", 28, false)]
    #[case::in_pieces(b"{|\"message\": \"Zur\xc3|\xbcck\", \"error\": 1}", 37, false)]
    #[case::problem(b"{\"title\": \"Unavailable\", \"status\": 503}", 41, false)]
    #[case::xml(
        b"<?xml version='1.0'?><Error><Code>ServerBusy</Code></Error>",
        58,
        false
    )]
    #[case::text(b"upstream request timeout", 24, false)]
    #[case::other_json(b"{\"recordingState\": \"active\"}", 29, true)]
    #[case::long(b"{\"error\": {\"code\": \"503\"}}", 1_000_000, true)]
    #[case::wav(b"RIFF\x24\0\0\0WAVEfmt |error", 44, true)]
    #[case::mp3(b"\xff\xfb\x90\x64", 400, true)]
    #[tokio::test]
    async fn a_short_error_is_no_recording(
        #[case] pieces: &'static [u8],
        #[case] total_bytes: u64,
        #[case] is_recording: bool,
    ) {
        let pieces: Vec<&[u8]> = pieces.split(|byte| *byte == b'|').collect();
        let answer = opened(&pieces, total_bytes);
        let answer = without_worded_error(answer, ChunkPart::Media).await;
        assert_eq!(answer.is_ok(), is_recording);
        if let Ok(answer) = answer {
            let all: Vec<Bytes> = answer.stream.try_collect().await.unwrap();
            assert_eq!(all.concat(), pieces.concat());
        }
    }

    #[rstest::rstest]
    #[case::error(b"{\"error\": {\"code\": \"503\"}}", false)]
    #[case::metadata(
        b"{\"chunkIndex\": 0, \"participants\": [{\"participantId\": \"8:acs:error\"}]}",
        true
    )]
    #[case::another_object(b"{\"version\": 1}", true)]
    #[tokio::test]
    async fn a_short_error_is_no_metadata(
        #[case] content: &'static [u8],
        #[case] is_metadata: bool,
    ) {
        let answer = opened(&[content], content.len() as u64);
        let answer = without_worded_error(answer, ChunkPart::Metadata).await;
        assert_eq!(answer.is_ok(), is_metadata);
    }

    #[tokio::test]
    async fn what_follows_a_broken_connection_is_not_waited_for() {
        let broken = || SourceError::transient("the connection broke");
        let answer = OpenedContent {
            stream: stream::iter([Ok(Bytes::from_static(b"ID3")), Err(broken())])
                .chain(stream::pending())
                .boxed(),
            ..opened(&[], 400)
        };
        let answer = without_worded_error(answer, ChunkPart::Media)
            .await
            .unwrap();
        let all: Result<Vec<Bytes>, _> = answer.stream.try_collect().await;
        assert!(all.is_err());
    }

    #[rstest::rstest]
    #[case::part(0..6, Some("6"), None, true)]
    #[case::later_part(6..12, Some("6"), None, true)]
    #[case::rest(6..u64::MAX, Some("4"), None, true)]
    #[case::shorter_file(0..6, Some("4"), None, false)]
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

    #[rstest::rstest]
    #[case::empty(404, "", "application/json", true)]
    #[case::of_acs(
        404,
        r#"{"error": {"code": "8522", "message": "Recording not found."}}"#,
        "application/json",
        true
    )]
    #[case::problem_of_acs(
        404,
        r#"{"title": "Not Found", "status": 404, "traceId": "1"}"#,
        "application/problem+json",
        true
    )]
    #[case::done(200, "{}", "application/json", true)]
    #[case::done_in_words(200, r#"{"status": "deleted"}"#, "application/json", true)]
    #[case::gateway(
        404,
        r#"{"statusCode": 404, "message": "Resource not found"}"#,
        "application/json",
        false
    )]
    #[case::busy(
        200,
        r#"{"error": {"code": "ServiceUnavailable"}}"#,
        "application/json",
        false
    )]
    #[case::text(200, "upstream request timeout", "text/plain", false)]
    #[case::page(410, "<html>", "text/html", false)]
    #[tokio::test]
    async fn the_error_of_a_gateway_is_no_deletion(
        #[case] status: u16,
        #[case] body: &'static str,
        #[case] content_type: &str,
        #[case] is_deletion: bool,
    ) {
        let response = axum::http::Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(body);
        let checked = check_deletion(response.unwrap().into()).await;
        assert_eq!(checked.is_ok(), is_deletion, "{checked:?}");
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
