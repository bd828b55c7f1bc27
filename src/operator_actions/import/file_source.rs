//! Files on this machine as a source of one chunk. It deletes nothing.

use std::io::SeekFrom;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{ImportError, ImportFile};
use crate::export::ExportReceipt;
use crate::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use crate::recording::metadata::chunk_of;
use crate::recording::{DeleteLocation, DocumentId, RecordingChunk};
use crate::store::digest::Sha256Digest;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// The files of one chunk.
pub struct FileSource {
    media: ImportFile,
    metadata: Option<ImportFile>,
}

impl FileSource {
    /// # Errors
    /// When a file cannot be opened, or the media is empty.
    pub async fn open(
        media: &ImportFile,
        metadata: Option<&ImportFile>,
    ) -> Result<Self, ImportError> {
        if size_of(media).await? == 0 {
            return Err(ImportError::Empty(media.name.clone()));
        }
        if let Some(metadata) = metadata {
            let size_bytes = size_of(metadata).await?;
            if size_bytes > ChunkPart::Metadata.limit_bytes() || !is_json_object(metadata).await? {
                return Err(ImportError::NotMetadata(metadata.name.clone()));
            }
        }
        Ok(Self {
            media: media.clone(),
            metadata: metadata.cloned(),
        })
    }

    /// The digest of the media.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn sha256(&self) -> Result<Sha256Digest, ImportError> {
        let failed = |source| unreadable(&self.media, source);
        let mut file = File::open(&self.media.path).await.map_err(failed)?;
        let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
        loop {
            let count = file.read(&mut piece).await.map_err(failed)?;
            if count == 0 {
                return Ok(Sha256Digest::from_bytes(hasher.finalize().into()));
            }
            hasher.update(&piece[..count]);
        }
    }

    /// The metadata, and the chunk at ACS of which it is, if it names one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn chunk_of_metadata(
        &self,
    ) -> Result<Option<(&ImportFile, DocumentId)>, ImportError> {
        let Some(file) = &self.metadata else {
            return Ok(None);
        };
        let read = tokio::fs::read(&file.path).await;
        let content = read.map_err(|source| unreadable(file, source))?;
        Ok(chunk_of(&content).map(|id| (file, id)))
    }
}

async fn is_json_object(file: &ImportFile) -> Result<bool, ImportError> {
    let read = tokio::fs::read(&file.path).await;
    let content = read.map_err(|source| unreadable(file, source))?;
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    Ok(serde_json::from_slice::<serde_json::Map<String, Value>>(content).is_ok())
}

async fn size_of(file: &ImportFile) -> Result<u64, ImportError> {
    let found = tokio::fs::metadata(&file.path).await;
    let found = found.map_err(|source| unreadable(file, source))?;
    if found.is_file() {
        return Ok(found.len());
    }
    Err(unreadable(
        file,
        std::io::Error::other("it is not a regular file"),
    ))
}

fn unreadable(file: &ImportFile, source: std::io::Error) -> ImportError {
    ImportError::File {
        name: file.name.clone(),
        source,
    }
}

fn failed(error: std::io::Error) -> SourceError {
    SourceError::Transient {
        what: "could not read the file".to_owned(),
        retry_after: None,
        source: Some(error.into()),
    }
}

#[async_trait]
impl RecordingSource for FileSource {
    fn admits(&self, _location: &str) -> bool {
        false
    }

    async fn open(
        &self,
        _chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let file = match part {
            ChunkPart::Media => Some(&self.media),
            ChunkPart::Metadata => self.metadata.as_ref(),
        };
        let no_file = || SourceError::Refused("no metadata is imported".to_owned());
        let mut file = File::open(&file.ok_or_else(no_file)?.path)
            .await
            .map_err(failed)?;
        let total_bytes = file.metadata().await.map_err(failed)?.len();
        let limit_bytes = part.limit_bytes();
        if total_bytes > limit_bytes {
            return Err(SourceError::TooLarge {
                total_bytes,
                limit_bytes,
            });
        }
        let end = range.end.min(total_bytes);
        let offset = range.start.min(end);
        file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
        let stream = futures::stream::try_unfold((file, end - offset), next_piece);
        Ok(OpenedContent {
            offset,
            end,
            total_bytes,
            validator: None,
            stream: stream.boxed(),
        })
    }

    async fn delete(
        &self,
        _location: &DeleteLocation,
        _receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        Err(SourceError::Refused(
            "nothing is deleted at ACS for an import".to_owned(),
        ))
    }
}

/// Reads the next part of the rest of a range.
async fn next_piece(
    (mut file, left): (File, u64),
) -> Result<Option<(Bytes, (File, u64))>, SourceError> {
    if left == 0 {
        return Ok(None);
    }
    let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; size];
    let count = file.read(&mut piece).await.map_err(failed)?;
    if count == 0 {
        return Ok(None);
    }
    piece.truncate(count);
    Ok(Some((Bytes::from(piece), (file, left - count as u64))))
}
