//! Recording files at ACS: the [`RecordingSource`] of production.
//!
//! Every location, including each redirect's, passes the [`ContentGuard`] before a request is sent. Every hop is signed
//! separately.

mod answer;
mod gateway;
mod unannounced;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};

use self::answer::ContentRange;
use self::unannounced::Content;
use super::guard::{AdmittedUrl, ContentGuard, Refusal};
use super::hmac::DateHeader;
use super::http::{AcsHttp, AcsRequest};
use crate::export::receipt::ExportReceipt;
use crate::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use crate::recording::{DeleteLocation, RecordingChunk, leads_to_other_object};

/// Redirects that are followed; the service is known to make one, to a regional host.
const REDIRECTS: usize = 5;
/// Deadline of a deletion: its requests are sent while the claim that they were decided under is valid.
const DELETION_DEADLINE: Duration = Duration::from_secs(20);
/// All of a file.
const ALL: Range<u64> = 0..u64::MAX;
/// The version whose events name no locations.
const LEGACY_API_VERSION: &str = "2021-04-15-preview1";

/// ACS's content hosts, behind the guard.
#[derive(Clone)]
pub struct AcsContent {
    http: AcsHttp,
    guard: ContentGuard,
}

/// Where a file is, and how requests to that host are signed.
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

    /// Reads, and follows redirects within the guard, to the same object only: another one's bytes would be proved as
    /// this file's, and its source deleted. Such a redirect may be temporary.
    async fn read(
        &self,
        target: Target,
        range: Option<&Range<u64>>,
    ) -> Result<Response, SourceError> {
        let first = target.url.url().clone();
        let mut url = target.url;
        for _ in 0..=REDIRECTS {
            let response = self
                .send_once(Method::GET, &url, target.date_header, range)
                .await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            url = self.redirected(&url, &response)?;
            if leads_to_other_object(&first, url.url()) {
                return Err(SourceError::transient(
                    "ACS redirected the read to another object",
                ));
            }
        }
        Err(too_many_redirects())
    }

    async fn send_once(
        &self,
        method: Method,
        url: &AdmittedUrl,
        date_header: DateHeader,
        range: Option<&Range<u64>>,
    ) -> Result<Response, SourceError> {
        let operation = if method == Method::DELETE {
            "delete"
        } else {
            "read"
        };
        let mut request = AcsRequest::new(operation, method, url.url().clone());
        request.date_header = date_header;
        request.headers.extend(self.headers(range));
        self.http
            .send(&request)
            .await
            .map_err(|error| SourceError::Transient {
                what: format!(
                    "{} at `{}` failed",
                    request.method,
                    url.url().host_str().unwrap_or_default()
                ),
                retry_after: None,
                source: Some(error.into()),
            })
    }

    fn headers(&self, range: Option<&Range<u64>>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // The content host needs to know whose key or token this is (.NET and JavaScript SDKs).
        let host = HeaderValue::from_str(self.http.endpoint().authority())
            .expect("a parsed host is a valid header value");
        headers.insert(HeaderName::from_static("x-ms-host"), host);
        // What is read is archived byte for byte, and without this header a gateway may encode it (RFC 9110 §12.5.3).
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(range) = range {
            // The end is inclusive: the last byte, not the one behind it.
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

    /// The target of a redirect. Nothing is sent to one that the guard refuses. Such an answer may be that of a moment, like
    /// a maintenance page, so it says nothing of the file: only the event's own location is refused for good.
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
        let url = from.url().join(location).map_err(Refusal::NotAUrl);
        url.and_then(|url| self.guard.admit_url(url))
            .map_err(|refusal| SourceError::RedirectRefused(refusal.to_string()))
    }
}

#[async_trait]
impl RecordingSource for AcsContent {
    fn admits(&self, location: &str) -> bool {
        self.guard.admit(location).is_ok()
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        self.open_patiently(chunk, part, range, &|| ()).await
    }

    /// Requests a `Range`, because only the answer's `Content-Range` states the total size; where it does not, or may be lost,
    /// the whole file.
    async fn open_patiently(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
        is_slow: &(dyn Fn() + Sync),
    ) -> Result<OpenedContent, SourceError> {
        let mut response = self.opened(chunk, part, Some(&range)).await?;
        let mut whole = Some(&ALL);
        if answer::hides_total(&response) || answer::may_be_part(&response, &range) {
            whole = None;
            response = self.opened(chunk, part, whole).await?;
        }
        let is_unannounced = unannounced::shows_its_end(&response);
        if is_unannounced {
            is_slow();
            // An answer that hides its length may hide that it is a part.
            response = self.opened(chunk, part, whole).await?;
        }
        let may_be_error = gateway::is_called_document(&response);
        let opened = if is_unannounced && unannounced::shows_its_end(&response) {
            self.open_again(chunk, part, whole, response).await?
        } else {
            let range = answer::range_of(&response)?;
            content_of(response, range)
        };
        if may_be_error && opened.offset == 0 {
            gateway::without_error_text(opened, part).await
        } else {
            Ok(opened)
        }
    }

    async fn delete(
        &self,
        location: &DeleteLocation,
        _receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        let deleting = self.delete_object(location);
        let deleted = tokio::time::timeout(DELETION_DEADLINE, deleting).await;
        deleted.unwrap_or_else(|_| {
            Err(SourceError::transient(format!(
                "ACS did not answer the deletion within {DELETION_DEADLINE:?}"
            )))
        })
    }
}

impl AcsContent {
    /// Requests a file, or a range of it, and returns an answer that has some of it.
    async fn opened(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Option<&Range<u64>>,
    ) -> Result<Response, SourceError> {
        let mut response = self.read(self.target(chunk, part)?, range).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE
            && let Some(range) = range.filter(|range| range.start > 0)
        {
            // The file is now shorter than what was already read: an answer from the beginning has its new length.
            let from_the_beginning = 0..range.end - range.start;
            response = self
                .read(self.target(chunk, part)?, Some(&from_the_beginning))
                .await?;
        }
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            _ => Err(answer::failure(&self.http, response).await),
        }
    }

    /// Reads a file whose length no header announces to its end, and opens it again with the length that it had. `whole`:
    /// the range by which all of it is requested.
    async fn open_again(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        whole: Option<&Range<u64>>,
        first: Response,
    ) -> Result<OpenedContent, SourceError> {
        answer::check(&first)?;
        let total_bytes = unannounced::length_of(bytes_of(first), part).await?;
        let again = self.opened(chunk, part, whole).await?;
        if !unannounced::shows_its_end(&again) {
            let range = answer::range_of(&again)?;
            return Ok(content_of(again, range));
        }
        answer::check(&again)?;
        let range = ContentRange {
            first: 0,
            end: total_bytes,
            total_bytes,
        };
        let opened = content_of(again, range);
        Ok(OpenedContent {
            stream: unannounced::ending_after(opened.stream, total_bytes),
            ..opened
        })
    }

    /// Sends exactly the URL that was decided on; follows a redirect to the same object only.
    async fn delete_object(
        &self,
        location: &DeleteLocation,
    ) -> Result<SourceDeletion, SourceError> {
        let mut url = self
            .guard
            .admit_deletion(location.url().clone())
            .map_err(refused)?;
        for _ in 0..=REDIRECTS {
            let response = self
                .send_once(Method::DELETE, &url, DateHeader::XMsDate, None)
                .await?;
            let status = response.status();
            if status.is_redirection() {
                url = self.redirected(&url, &response)?;
                if !location.is_same_object(url.url()) {
                    return Err(SourceError::transient(
                        "ACS redirected the deletion to another object",
                    ));
                }
                continue;
            }
            let deletion = match status {
                StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                    SourceDeletion::Deleted
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => SourceDeletion::WasGone,
                _ => {
                    gateway::check_origin(&response)?;
                    return Err(answer::failure(&self.http, response).await);
                }
            };
            gateway::check_deletion(response).await?;
            return Ok(deletion);
        }
        Err(too_many_redirects())
    }
}

fn content_of(response: Response, range: ContentRange) -> OpenedContent {
    OpenedContent {
        offset: range.first,
        end: range.end,
        total_bytes: range.total_bytes,
        validator: answer::validator_of(&response),
        stream: bytes_of(response),
    }
}

fn bytes_of(response: Response) -> Content {
    let stream = response
        .bytes_stream()
        .map_err(|error| SourceError::Transient {
            what: "the connection broke".to_owned(),
            retry_after: None,
            source: Some(error.without_url().into()),
        });
    stream.boxed()
}

fn too_many_redirects() -> SourceError {
    SourceError::transient(format!("ACS redirected more than {REDIRECTS} times"))
}

fn refused(refusal: Refusal) -> SourceError {
    SourceError::Refused(refusal.to_string())
}
