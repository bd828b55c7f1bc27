//! Answers in the service's form.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{Error, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::request::{Call, base64_crc64};
use crate::store::{Blob, Block, Refusal, Slot};

const XML: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
/// The service's own page size.
const MAX_RESULTS: usize = 5000;

/// An answer whose headers came from a request.
pub fn built(answer: Result<Response, Error>) -> Response {
    answer.expect("headers that came in a request go out in an answer")
}

fn with(status: StatusCode) -> Builder {
    Response::builder()
        .status(status)
        .header("x-ms-version", "2024-08-04")
        .header("x-ms-request-id", "0")
}

pub fn done(status: StatusCode) -> Response {
    let now = Timestamp::now();
    built(
        with(status)
            .header("etag", "\"0x8DD\"")
            .header("last-modified", http_date(now))
            .body(Body::empty()),
    )
}

pub fn staged(crc64: u64) -> Response {
    built(
        with(StatusCode::CREATED)
            .header("x-ms-content-crc64", base64_crc64(crc64))
            .body(Body::empty()),
    )
}

/// The answer to a blob that was put whole has the checksum of what is stored.
pub fn put(blob: &Blob, crc64: u64) -> Response {
    let mut answer = committed(blob);
    let crc64 = base64_crc64(crc64).try_into();
    answer.headers_mut().insert(
        "x-ms-content-crc64",
        crc64.expect("base64 fits into a header"),
    );
    answer
}

pub fn committed(blob: &Blob) -> Response {
    let answer = with(StatusCode::CREATED)
        .header("etag", &blob.etag)
        .header("last-modified", http_date(blob.modified_at));
    built(answer.body(Body::empty()))
}

/// A blob's properties; length and content are the caller's.
pub fn blob(status: StatusCode, blob: &Blob) -> Builder {
    let modified_at = http_date(blob.modified_at);
    let answer = with(status)
        .header("etag", &blob.etag)
        .header("x-ms-creation-time", &modified_at)
        .header("last-modified", modified_at)
        .header("accept-ranges", "bytes")
        .header("x-ms-blob-type", "BlockBlob");
    blob.headers
        .iter()
        .fold(answer, |answer, (name, value)| answer.header(name, value))
}

pub fn refused(refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::NotModified => StatusCode::NOT_MODIFIED,
        Refusal::ContainerNotFound | Refusal::BlobNotFound => StatusCode::NOT_FOUND,
        Refusal::ContainerAlreadyExists | Refusal::BlobAlreadyExists => StatusCode::CONFLICT,
        Refusal::ConditionNotMet => StatusCode::PRECONDITION_FAILED,
        Refusal::InvalidRange => StatusCode::RANGE_NOT_SATISFIABLE,
        Refusal::InvalidBlockList
        | Refusal::Md5Mismatch
        | Refusal::Crc64Mismatch
        | Refusal::UnsupportedRequest => StatusCode::BAD_REQUEST,
        Refusal::ContentDropped => StatusCode::NOT_IMPLEMENTED,
    };
    let code = format!("{refusal:?}");
    let mut body = String::new();
    if refusal != Refusal::NotModified {
        body = format!("{XML}<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    }
    built(
        with(status)
            .header("content-type", "application/xml")
            .header("x-ms-error-code", code)
            .body(Body::from(body)),
    )
}

/// `kind` is `committed`, `uncommitted` or `all`; the first unless given.
pub fn block_list(slot: &Slot, kind: &str) -> Response {
    let element = |name: &str, blocks: &mut dyn Iterator<Item = (&String, &Block)>| {
        let rows =
            blocks
                .filter(|(id, _)| !id.is_empty())
                .fold(String::new(), |rows, (id, block)| {
                    rows + &format!(
                        "<Block><Name>{}</Name><Size>{}</Size></Block>",
                        escaped(id),
                        block.size_bytes
                    )
                });
        format!("<{name}>{rows}</{name}>")
    };
    let mut xml = format!("{XML}<BlockList>");
    if kind != "uncommitted" {
        let committed = slot
            .blob
            .iter()
            .flat_map(|blob| &blob.blocks)
            .map(|(id, block)| (id, block));
        xml += &element("CommittedBlocks", &mut { committed });
    }
    if matches!(kind, "uncommitted" | "all") {
        xml += &element("UncommittedBlocks", &mut slot.staged.iter());
    }
    xml += "</BlockList>";
    let mut answer = with(StatusCode::OK).header("content-type", "application/xml");
    if let Some(blob) = &slot.blob {
        answer = answer.header("x-ms-blob-content-length", blob.size_bytes());
        // Only with committed blocks, says https://learn.microsoft.com/rest/api/storageservices/get-block-list.
        if blob.blocks.iter().any(|(id, _)| !id.is_empty()) {
            answer = answer
                .header("etag", &blob.etag)
                .header("last-modified", http_date(blob.modified_at));
        }
    }
    built(answer.body(Body::from(xml)))
}

pub fn blob_list(container: &str, call: &Call, slots: &BTreeMap<String, Slot>) -> Response {
    let from = call.marker.clone().max(call.prefix.clone());
    let mut found = slots
        .range(from..)
        .take_while(|(name, _)| name.starts_with(&call.prefix))
        .filter_map(|(name, slot)| Some((name, slot.blob.as_ref()?)));
    let mut rows = String::new();
    for (name, blob) in found.by_ref().take(call.max_results.unwrap_or(MAX_RESULTS)) {
        let _ = write!(
            rows,
            "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
             <Content-Length>{}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>",
            escaped(name),
            http_date(blob.modified_at),
            blob.etag.trim_matches('"'),
            blob.size_bytes()
        );
    }
    let next = found
        .next()
        .map(|(name, _)| escaped(name))
        .unwrap_or_default();
    let xml = format!(
        "{XML}<EnumerationResults ContainerName=\"{}\"><Blobs>{rows}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>",
        escaped(container)
    );
    built(
        with(StatusCode::OK)
            .header("content-type", "application/xml")
            .body(Body::from(xml)),
    )
}

fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .expect("the years of our clocks have four digits")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
