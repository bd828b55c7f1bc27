//! The seam to the source of recordings.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::receipt::ExportReceipt;
use crate::recording::{DeleteLocation, RecordingChunk};
use crate::store::digest::Sha256Digest;

/// Which of a chunk's two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChunkPart {
    Media,
    Metadata,
}

impl ChunkPart {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Metadata => "metadata",
        }
    }

    /// Size limit for copies. ACS's largest recordings have a few GiB, its metadata a few KiB.
    pub fn limit_bytes(self) -> u64 {
        match self {
            Self::Media => 64 << 30,
            Self::Metadata => 4 << 20,
        }
    }
}

/// A file at the source, opened at an offset.
pub struct OpenedContent {
    /// Where `stream` begins; a source that ignores ranges begins at 0.
    pub offset: u64,
    /// Where `stream` ends, exclusive; a source that ignores ranges streams to the end of the file.
    pub end: u64,
    /// Length of the whole file, as the source announced it.
    pub total_bytes: u64,
    /// The version of the file, where the source names one.
    pub validator: Option<Validator>,
    pub stream: BoxStream<'static, Result<Bytes, SourceError>>,
}

/// `ETag` or `Last-Modified`: two responses about one file with different values refer to two versions of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator(String);

/// Longest text that is kept; a longer one is kept as its digest.
const LONGEST_VALIDATOR: usize = 256;

impl Validator {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.len() <= LONGEST_VALIDATOR {
            return Self(text);
        }
        Self(Sha256Digest::of(text.as_bytes()).to_string())
    }
}

/// Failure of a read or deletion at the source. One variant per decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The location may not be used. Nothing was sent; a retry cannot help.
    #[error("refused: {0}")]
    Refused(String),
    /// 404 or 410: it does not exist, or no longer does.
    #[error("there is no such file (HTTP {status})")]
    Gone { status: u16 },
    /// ACS redirected to a location that may not be used, and nothing was sent there. Such an answer may be that of a moment.
    #[error("ACS redirected to a refused location: {0}")]
    RedirectRefused(String),
    /// ACS refuses our credential (401 or 403). It may be accepted later.
    #[error("{what}")]
    CredentialRefused {
        what: String,
        retry_after: Option<Duration>,
    },
    /// Larger than any file of ACS: it is not copied.
    #[error("the file has {total_bytes} bytes, more than the {limit_bytes} that are copied")]
    TooLarge { total_bytes: u64, limit_bytes: u64 },
    /// Can be retried, at the earliest after `retry_after`.
    #[error("{what}")]
    Transient {
        what: String,
        retry_after: Option<Duration>,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl SourceError {
    /// A transient failure without a cause of its own.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::Transient {
            what: what.into(),
            retry_after: None,
            source: None,
        }
    }

    /// Delay that the source asks for before a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Transient { retry_after, .. } | Self::CredentialRefused { retry_after, .. } => {
                *retry_after
            }
            Self::Refused(_)
            | Self::Gone { .. }
            | Self::RedirectRefused(_)
            | Self::TooLarge { .. } => None,
        }
    }
}

/// Outcome of a deletion at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceDeletion {
    Deleted,
    /// The object was already gone, by ACS's expiry or by an attempt whose response was lost.
    WasGone,
}

/// Source that chunks are read from and, with a receipt as proof, deleted at.
#[async_trait]
pub trait RecordingSource: Send + Sync {
    /// Whether requests may be sent to a location that an event names. It sends nothing.
    fn admits(&self, location: &str) -> bool;

    /// Opens a part of a file, in bytes; a range that ends beyond the file is clipped.
    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError>;

    /// As [`RecordingSource::open`]. Calls `is_slow` before it reads the whole file to open it: what was read is lost if the
    /// caller does not wait.
    async fn open_patiently(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
        _is_slow: &(dyn Fn() + Sync),
    ) -> Result<OpenedContent, SourceError> {
        self.open(chunk, part, range).await
    }

    /// The length of a file in bytes, without its content where the source can say that.
    async fn length(&self, chunk: &RecordingChunk, part: ChunkPart) -> Result<u64, SourceError> {
        Ok(self.open(chunk, part, 0..1).await?.total_bytes)
    }

    /// Deletes a chunk's object at the source.
    async fn delete(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError>;
}
