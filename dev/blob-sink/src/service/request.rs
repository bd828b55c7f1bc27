//! A request and its incoming content: counted, and kept only when small.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::store::{Block, Conditions, Refusal};

/// A request without its content.
#[derive(Debug, Default)]
pub struct Call {
    method: String,
    pub container: String,
    pub blob: String,
    pub comp: String,
    pub block_id: String,
    pub block_list_type: String,
    pub prefix: String,
    pub marker: String,
    pub max_results: Option<usize>,
    /// Begin and end.
    pub range: Option<(u64, u64)>,
    pub conditions: Conditions,
    pub content_md5: Option<String>,
    content_crc64: Option<String>,
    pub blob_headers: Vec<(String, String)>,
}

impl Call {
    pub fn of(parts: &Parts) -> Self {
        let mut segments = parts
            .uri
            .path()
            .trim_start_matches('/')
            .splitn(3, '/')
            .skip(1)
            .map(decoded);
        let text = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut call = Self {
            method: parts.method.to_string(),
            container: segments.next().unwrap_or_default(),
            blob: segments.next().unwrap_or_default(),
            range: text("x-ms-range")
                .or_else(|| text("range"))
                .and_then(|range| parse_range(&range)),
            conditions: Conditions {
                if_match: text("if-match"),
                if_none_match: text("if-none-match"),
            },
            content_md5: text("content-md5"),
            content_crc64: text("x-ms-content-crc64"),
            blob_headers: blob_headers(&parts.headers),
            ..Self::default()
        };
        for (name, value) in
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            let value = value.into_owned();
            match name.as_ref() {
                "comp" => call.comp = value,
                "blockid" => call.block_id = value,
                "blocklisttype" => call.block_list_type = value,
                "prefix" => call.prefix = value,
                "marker" => call.marker = value,
                "maxresults" => call.max_results = value.parse().ok(),
                _ => {}
            }
        }
        call
    }

    /// The operation's name, as the statistics show it.
    pub fn operation(&self) -> &'static str {
        match (
            self.method.as_str(),
            self.blob.is_empty(),
            self.comp.as_str(),
        ) {
            ("PUT", true, "") => "create container",
            ("GET" | "HEAD", true, "") => "head container",
            ("GET", true, "list") => "list blobs",
            ("PUT", false, "") => "put blob",
            ("PUT", false, "block") => "put block",
            ("PUT", false, "blocklist") => "put block list",
            ("GET", false, "blocklist") => "get block list",
            ("GET", false, "") => "get blob",
            ("HEAD", false, _) => "head blob",
            ("DELETE", false, "") => "delete blob",
            _ => "other",
        }
    }

    /// Whether the content arrived as its checksums say.
    pub fn verify(&self, received: &Received) -> Result<(), Refusal> {
        if self.content_md5.is_some() && self.content_md5 != received.md5 {
            return Err(Refusal::Md5Mismatch);
        }
        match &self.content_crc64 {
            Some(crc64) if *crc64 != base64_crc64(received.block.crc64) => {
                Err(Refusal::Crc64Mismatch)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A request's content.
pub struct Received {
    pub block: Block,
    /// Base64, if it is needed: computing it costs more than all the rest.
    md5: Option<String>,
}

/// Reads a body to its end; no more than its first `keep_bytes` are kept.
pub async fn receive(
    body: Body,
    keep_bytes: usize,
    with_md5: bool,
) -> Result<Received, axum::Error> {
    let mut crc64 = crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut md5 = with_md5.then(Md5::new);
    let mut size_bytes = 0;
    let mut kept = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        size_bytes += piece.len() as u64;
        crc64.update(&piece);
        if let Some(md5) = &mut md5 {
            md5.update(&piece);
        }
        kept.extend_from_slice(&piece[..piece.len().min(keep_bytes - kept.len())]);
    }
    let block = Block {
        size_bytes,
        crc64: crc64.finalize(),
        content: kept.into(),
    };
    Ok(Received {
        block,
        md5: md5.map(|md5| BASE64_STANDARD.encode(md5.finalize())),
    })
}

/// As the service writes it: the bytes of the number, least one first.
pub fn base64_crc64(crc64: u64) -> String {
    BASE64_STANDARD.encode(crc64.to_le_bytes())
}

/// The ids in a block list, whichever of its three elements they are in.
pub fn listed_ids(xml: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(xml);
    let elements = text
        .split('<')
        .filter_map(|element| element.split_once('>'));
    let ids = elements.filter(|(name, _)| matches!(*name, "Latest" | "Committed" | "Uncommitted"));
    ids.map(|(_, id)| id.trim().to_owned()).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `bytes=a-`, `bytes=a-b` as (begin, end).
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (begin, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() {
        u64::MAX
    } else {
        last.parse::<u64>().ok()?.saturating_add(1)
    };
    Some((begin.parse().ok()?, end))
}

/// What a blob keeps of its request's headers: type and metadata.
fn blob_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = |name: &str| match name {
        "x-ms-blob-content-type" => Some("content-type".to_owned()),
        name if name.starts_with("x-ms-meta-") => Some(name.to_owned()),
        _ => None,
    };
    headers
        .iter()
        .filter_map(|(name, value)| Some((kept(name.as_str())?, value.to_str().ok()?.to_owned())))
        .collect()
}
