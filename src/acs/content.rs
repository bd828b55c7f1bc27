//! Recording files at ACS: the [`RecordingSource`] of production.
//!
//! Every location, also each redirect's, passes the [`ContentGuard`] before anything is sent, and every hop is signed anew.

use std::ops::Range;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{
    CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Method, Response, StatusCode};

use super::guard::{AdmittedUrl, ContentGuard, Refusal};
use super::hmac::DateHeader;
use super::http::{AcsHttp, AcsRequest, retry_after};
use crate::export::receipt::ExportReceipt;
use crate::export::source::{ChunkPart, OpenedContent, RecordingSource, SourceError};
use crate::recording::RecordingChunk;

/// Hops that are followed; the service is known to make one, to a regional host.
const REDIRECTS: usize = 5;
/// The version whose events name no locations.
const LEGACY_API_VERSION: &str = "2021-04-15-preview1";

/// ACS's content hosts, behind the guard.
#[derive(Clone)]
pub struct AcsContent {
    http: AcsHttp,
    guard: ContentGuard,
}

/// Where a file is, and how that host wants to be signed to.
struct Target {
    url: AdmittedUrl,
    date_header: DateHeader,
}

impl AcsContent {
    pub fn new(http: AcsHttp, guard: ContentGuard) -> Self {
        Self { http, guard }
    }

    fn target(&self, chunk: &RecordingChunk, part: ChunkPart) -> Result<Target, SourceError> {
        let location = match part {
            ChunkPart::Media => &chunk.locations.content,
            ChunkPart::Metadata => &chunk.locations.metadata,
        };
        if let Some(location) = location {
            let url = self.guard.admit(location).map_err(refused)?;
            return Ok(Target {
                url,
                date_header: DateHeader::XMsDate,
            });
        }
        // The generation of 2021 keeps its files at the resource's own endpoint.
        let suffix = match part {
            ChunkPart::Media => "",
            ChunkPart::Metadata => "/metadata",
        };
        let path = format!(
            "/recording/download/{}{suffix}?api-version={LEGACY_API_VERSION}",
            chunk.document_id
        );
        Ok(Target {
            url: AdmittedUrl::own_endpoint(self.http.endpoint(), &path),
            date_header: DateHeader::Date,
        })
    }

    /// Sends, following redirects within the guard.
    async fn send(
        &self,
        method: Method,
        target: Target,
        range: Option<&Range<u64>>,
    ) -> Result<Response, SourceError> {
        let operation = if method == Method::DELETE {
            "delete"
        } else {
            "read"
        };
        let mut url = target.url;
        for _ in 0..=REDIRECTS {
            let mut request = AcsRequest::new(operation, method.clone(), url.url().clone());
            request.date_header = target.date_header;
            request.headers.extend(self.headers(range));
            let response =
                self.http
                    .send(&request)
                    .await
                    .map_err(|error| SourceError::Transient {
                        what: format!(
                            "{method} at `{}` failed",
                            url.url().host_str().unwrap_or_default()
                        ),
                        retry_after: None,
                        source: Some(error.into()),
                    })?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = self.redirected(&url, &response)?;
        }
        Err(SourceError::transient(format!(
            "ACS redirected more than {REDIRECTS} times"
        )))
    }

    fn headers(&self, range: Option<&Range<u64>>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // The content host has to be told whose key or token this is (.NET and JavaScript SDKs).
        let host = HeaderValue::from_str(self.http.endpoint().authority())
            .expect("a parsed host is a valid header value");
        headers.insert(HeaderName::from_static("x-ms-host"), host);
        if let Some(range) = range {
            // The last byte is named, not the one behind it.
            let last = if range.end == u64::MAX {
                String::new()
            } else {
                range.end.saturating_sub(1).to_string()
            };
            let range = HeaderValue::from_str(&format!("bytes={}-{last}", range.start))
                .expect("digits are a valid header value");
            headers.insert(RANGE, range);
        }
        headers
    }

    fn redirected(
        &self,
        from: &AdmittedUrl,
        response: &Response,
    ) -> Result<AdmittedUrl, SourceError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let Some(location) = location else {
            return Err(SourceError::transient(format!(
                "ACS answered {} without a location",
                response.status()
            )));
        };
        let url = from
            .url()
            .join(location)
            .map_err(|error| refused(Refusal::NotAUrl(error)))?;
        self.guard.admit_url(url).map_err(refused)
    }
}

#[async_trait]
impl RecordingSource for AcsContent {
    /// Always asks by `Range`: the answer's `Content-Range` is the only statement of the total the service makes.
    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let mut response = self
            .send(Method::GET, self.target(chunk, part)?, Some(&range))
            .await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && range.start > 0 {
            // The file has become shorter than what was read of it: its new length is in the answer from the beginning.
            response = self
                .send(
                    Method::GET,
                    self.target(chunk, part)?,
                    Some(&(0..range.end - range.start)),
                )
                .await?;
        }
        let status = response.status();
        if !matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Err(failure(&response));
        }
        if is_page(&response) {
            return Err(SourceError::transient(format!(
                "ACS answered {status} with a web page"
            )));
        }
        let range = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(parse_content_range);
        let (offset, end, total_bytes) = match (range, response.content_length()) {
            (Some(range), Some(length)) if length > range.end - range.first => {
                return Err(SourceError::transient("ACS sends more than it says"));
            }
            (Some(range), _) => (range.first, range.end, range.total_bytes),
            (None, Some(length)) if status == StatusCode::OK => (0, length, length),
            (None, _) => {
                return Err(SourceError::transient(
                    "ACS did not say how long the file is",
                ));
            }
        };
        let stream = response
            .bytes_stream()
            .map_err(|error| SourceError::Transient {
                what: "the connection broke".to_owned(),
                retry_after: None,
                source: Some(error.without_url().into()),
            });
        Ok(OpenedContent {
            offset,
            end,
            total_bytes,
            stream: stream.boxed(),
        })
    }

    async fn delete(
        &self,
        chunk: &RecordingChunk,
        _receipt: &ExportReceipt,
    ) -> Result<(), SourceError> {
        let Some(location) = &chunk.locations.delete else {
            return Err(SourceError::Refused(
                "the event named no deleteLocation".to_owned(),
            ));
        };
        let url = self.guard.admit(location).map_err(refused)?;
        let response = self
            .send(
                Method::DELETE,
                Target {
                    url,
                    date_header: DateHeader::XMsDate,
                },
                None,
            )
            .await?;
        match response.status() {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(()),
            // What is gone already is deleted.
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            _ => Err(failure(&response)),
        }
    }
}

/// Files come as `application/octet-stream`; a page for people is an error of the front end, whatever its status.
fn is_page(response: &Response) -> bool {
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type
        .is_some_and(|content_type| content_type.to_ascii_lowercase().starts_with("text/html"))
}

fn refused(refusal: Refusal) -> SourceError {
    SourceError::Refused(refusal.to_string())
}

/// No status but 404 and 410 is final: the service is known to answer 400 with HTML and mean "later".
fn failure(response: &Response) -> SourceError {
    let status = response.status();
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => SourceError::Gone {
            status: status.as_u16(),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SourceError::transient(format!(
            "ACS refused our credential (HTTP {status}); check ACS_ACCESS_KEY or the identity's role on the ACS resource"
        )),
        _ => SourceError::Transient {
            what: format!("ACS answered {status}"),
            retry_after: retry_after(response),
            source: None,
        },
    }
}

/// `bytes 0-3018/3019`.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    first: u64,
    /// Exclusive.
    end: u64,
    total_bytes: u64,
}

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
    use super::{ContentRange, parse_content_range};

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
}
