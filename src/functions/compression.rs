//! Which responses are compressed: JSON and text of some length. Media is not: it is compressed already, and read by
//! `Range`.

use axum::http::{HeaderMap, StatusCode, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// A smaller response fits into one packet anyway.
const WORTH_IT_BYTES: u64 = 1024;
const COMPRESSED: [&str; 4] = [
    "application/json",
    "application/openmetrics-text",
    "text/html",
    "text/plain",
];

/// Compresses for callers that accept it.
pub fn layer() -> CompressionLayer<And<SizeAbove, OfText>> {
    let worth_it = SizeAbove::new(WORTH_IT_BYTES).and(OfText);
    CompressionLayer::new().gzip(true).compress_when(worth_it)
}

/// Whole answers of a type that compresses well.
#[derive(Debug, Clone, Copy)]
pub struct OfText;

impl OfText {
    fn is_text(headers: &HeaderMap) -> bool {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let is_whole = !headers.contains_key(header::CONTENT_RANGE)
            && !headers.contains_key(header::ACCEPT_RANGES);
        is_whole && kind.is_some_and(|kind| COMPRESSED.iter().any(|text| kind.starts_with(text)))
    }
}

impl Predicate for OfText {
    fn should_compress<B: axum::body::HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        response.status() != StatusCode::PARTIAL_CONTENT && Self::is_text(response.headers())
    }
}
