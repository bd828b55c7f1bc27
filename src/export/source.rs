//! The seam to where recordings come from.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::receipt::ExportReceipt;
use crate::recording::{DeleteLocation, RecordingChunk};

/// Which of a chunk's two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The largest file that is copied. ACS's largest recordings have a few GiB, its metadata a few KiB.
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
    /// Where `stream` ends, exclusive; a source that ignores ranges goes on to the end of the file.
    pub end: u64,
    /// Length of the whole file, as the source announced it.
    pub total_bytes: u64,
    /// The version of the file, where the source names one.
    pub validator: Option<Validator>,
    pub stream: BoxStream<'static, Result<Bytes, SourceError>>,
}

/// `ETag` or `Last-Modified`: two answers about one file with different ones are about two versions of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator(String);

impl Validator {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Why the source did not give, or not delete. One variant per decision of the caller.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The location may not be used. Nothing was sent; trying again cannot help.
    #[error("refused: {0}")]
    Refused(String),
    /// 404 or 410: not there, or not any more.
    #[error("ACS has no such file (HTTP {status})")]
    Gone { status: u16 },
    /// Larger than anything that ACS makes: it is not copied.
    #[error("the file has {total_bytes} bytes, more than the {limit_bytes} that are copied")]
    TooLarge { total_bytes: u64, limit_bytes: u64 },
    /// Worth another attempt, at the earliest after `retry_after`.
    #[error("{what}")]
    Transient {
        what: String,
        retry_after: Option<Duration>,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl SourceError {
    /// A passing failure without a cause of its own.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::Transient {
            what: what.into(),
            retry_after: None,
            source: None,
        }
    }

    /// How long the source asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Transient { retry_after, .. } => *retry_after,
            Self::Refused(_) | Self::Gone { .. } | Self::TooLarge { .. } => None,
        }
    }
}

/// What a deletion at the source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceDeletion {
    Deleted,
    /// The object was gone already, by ACS's expiry or by an attempt whose answer was lost.
    WasGone,
}

/// Where chunks are read from and, with a receipt in hand, deleted.
#[async_trait]
pub trait RecordingSource: Send + Sync {
    /// Whether something may be sent to a location that an event names. It sends nothing.
    fn admits(&self, location: &str) -> bool;

    /// Opens a part of a file, in bytes; a range that ends beyond the file is clipped.
    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError>;

    /// Deletes a chunk's object at the source.
    async fn delete(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError>;
}
