//! Errors of gateways: what arrives in place of a file, or of ACS's answer to a deletion, from a service before ACS.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Response, StatusCode};

use crate::acs::error::{AcsErrorAnswer, read_error_body};
use crate::acs::http::retry_after;
use crate::export::source::{ChunkPart, OpenedContent, SourceError};
use crate::recording::metadata::{has_a_member, without_byte_order_mark};

/// An error's body is a few hundred bytes; a host that does not send it in this time is not waited for.
pub(super) const READING_DEADLINE: Duration = Duration::from_secs(5);

/// Longer than the body of any error. A recording this short is not worth a wrong copy.
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

/// Whether the type of an answer is one in which services word errors. Files have the type `application/octet-stream`.
pub(super) fn is_called_document(response: &Response) -> bool {
    header(response, &CONTENT_TYPE).is_some_and(is_document)
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

/// Refuses a short text with a word of an error. A recording has bytes that no text has, and a metadata file has members that
/// no error has.
pub(super) async fn without_error_text(
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
    if is_error_text(&bytes, Some(STATUS)) && !is_metadata {
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
fn is_error_text(bytes: &[u8], given: Option<&str>) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let mut words = ERROR_WORDS.into_iter().chain(given);
    let has_word = words.any(|word| text.contains(word));
    has_word && !bytes.iter().any(is_control)
}

/// Refuses an answer to a deletion that has the error of a gateway. ACS answers with an empty body, or with an error in a form
/// of its own.
pub(super) async fn check_deletion(response: Response) -> Result<(), SourceError> {
    check_origin(&response)?;
    if !response.status().is_success() {
        return error_of_gateway(response).await.map_or(Ok(()), Err);
    }
    let (status, is_document) = (response.status(), is_called_document(&response));
    match body_of(response).await {
        Some(body) if is_document && is_error_text(&body, None) => {
            let answer = AcsErrorAnswer::parse(&body);
            Err(SourceError::transient(format!(
                "ACS answered {status} with an error{answer}"
            )))
        }
        Some(_) => Ok(()),
        None => Err(without_its_body(status)),
    }
}

/// The failure behind an answer that nothing is there, if it is not ACS's: a body that is neither empty nor an error in a form
/// of ACS. API Management, for example, answers 404 with `{"statusCode": 404, "message": "Resource not found"}` where it has no
/// such route.
pub(super) async fn error_of_gateway(response: Response) -> Option<SourceError> {
    let (status, retry_after) = (response.status(), retry_after(&response));
    let Some(body) = body_of(response).await else {
        return Some(without_its_body(status));
    };
    let answer = AcsErrorAnswer::parse(&body);
    let is_gateways = !body.trim_ascii().is_empty() && !answer.is_of_acs();
    is_gateways.then(|| SourceError::Transient {
        what: format!("a gateway answered {status} in place of ACS{answer}"),
        retry_after,
        source: None,
    })
}

/// Reads as much of a body as an error has; `None` where it did not arrive, or not in time.
async fn body_of(response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let reading = tokio::time::timeout(READING_DEADLINE, read_error_body(response, &mut body));
    reading.await.is_ok_and(|read| read.is_ok()).then_some(body)
}

fn without_its_body(status: StatusCode) -> SourceError {
    SourceError::transient(format!(
        "ACS answered {status}, and the body did not arrive"
    ))
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

fn is_page(content_type: &str) -> bool {
    media_type(content_type) == "text/html"
}

/// A `Content-Type` without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

pub(super) fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    #[rstest::rstest]
    #[case::json("application/json; charset=utf-8", true)]
    #[case::problem("application/problem+json", true)]
    #[case::xml("application/xml", true)]
    #[case::xml_text("TEXT/XML", true)]
    #[case::text("text/plain", true)]
    #[case::bytes("application/octet-stream", false)]
    #[case::media("audio/wav", false)]
    fn types_of_documents_are_known(#[case] content_type: &str, #[case] expected: bool) {
        let answer = axum::http::Response::builder().header("content-type", content_type);
        assert_eq!(
            is_called_document(&answer.body("").unwrap().into()),
            expected
        );
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
        let answer = without_error_text(answer, ChunkPart::Media).await;
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
        let answer = without_error_text(answer, ChunkPart::Metadata).await;
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
        let answer = without_error_text(answer, ChunkPart::Media).await.unwrap();
        let all: Result<Vec<Bytes>, _> = answer.stream.try_collect().await;
        assert!(all.is_err());
    }

    #[rstest::rstest]
    #[case::empty(404, "", "application/json", true)]
    #[case::of_acs(
        404,
        r#"{"error": {"code": "8522", "message": "Recording not found."}}"#,
        "application/json",
        true
    )]
    #[case::code_of_another_form(
        404,
        r#"{"error": {"code": 404, "message": "Not Found"}}"#,
        "application/json",
        false
    )]
    #[case::empty_code(404, r#"{"code": ""}"#, "application/json", false)]
    #[case::problem_of_a_gateway(
        404,
        r#"{"title": "Not Found", "status": 404, "traceId": "00-1-2-00"}"#,
        "application/problem+json",
        false
    )]
    #[case::problem_of_acs(
        404,
        r#"{"title": "Not Found", "status": 404, "instance": "/microsoft/ic3/ams///trace-id/1"}"#,
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

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_proves_nothing() {
        for status in [200, 404] {
            let never = || stream::pending::<std::io::Result<Bytes>>().boxed();
            let broken = || stream::iter([Err(std::io::Error::other("reset"))]).boxed();
            for body in [never(), broken()] {
                let response = axum::http::Response::builder()
                    .status(status)
                    .body(reqwest::Body::wrap_stream(body));
                let checked = check_deletion(response.unwrap().into()).await;
                assert!(checked.is_err(), "{status}");
            }
        }
    }
}
