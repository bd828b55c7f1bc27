//! Bring-your-own storage: files that ACS wrote into the customer's own storage are checked where they are, never moved
//! and never deleted.

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::export::budget::Budget;
use crate::export::source::{ChunkPart, RecordingSource, SourceError};
use crate::recording::{MetadataSummary, RecordingChunk, RecordingMetadata};
use crate::store::digest::Sha256Digest;

/// Bytes of a metadata file that are parsed; the rest is only hashed.
const METADATA_READ_LIMIT: usize = 4 * 1024 * 1024;

/// A file in the customer's own storage, read from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInPlace {
    /// Without the query, which would hold a SAS.
    pub location: String,
    pub size_bytes: u64,
    pub sha256: Sha256Digest,
}

/// A chunk's files in the customer's own storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InPlace {
    pub media: FileInPlace,
    /// `None` when the event named no metadata.
    pub metadata: Option<FileInPlace>,
}

/// Outcome of a check without an error.
#[derive(Debug)]
pub enum Look {
    /// Both files were read from end to end. Includes what the metadata says.
    Whole {
        files: Box<InPlace>,
        metadata: Option<MetadataSummary>,
    },
    OutOfTime,
}

/// Reads both files of a chunk.
///
/// # Errors
/// When one does not exist, is not in a configured container, or cannot be read whole.
pub async fn look(
    source: &dyn RecordingSource,
    chunk: &RecordingChunk,
    budget: Budget,
) -> Result<Look, SourceError> {
    let reading = async {
        let Some(media) = &chunk.locations.content else {
            return Err(SourceError::Refused(
                "the event names no location of the file".to_owned(),
            ));
        };
        let (media, _) = read(source, chunk, ChunkPart::Media, media, 0).await?;
        let metadata = match &chunk.locations.metadata {
            Some(location) => Some(
                read(
                    source,
                    chunk,
                    ChunkPart::Metadata,
                    location,
                    METADATA_READ_LIMIT,
                )
                .await?,
            ),
            None => None,
        };
        let (metadata, content) = metadata.unzip();
        Ok(Look::Whole {
            files: Box::new(InPlace { media, metadata }),
            metadata: content.map(|content| RecordingMetadata::parse(&content).summary()),
        })
    };
    tokio::select! {
        biased;
        looked = reading => looked,
        () = budget.spent() => Ok(Look::OutOfTime),
    }
}

async fn read(
    source: &dyn RecordingSource,
    chunk: &RecordingChunk,
    part: ChunkPart,
    location: &str,
    keep_bytes: usize,
) -> Result<(FileInPlace, Vec<u8>), SourceError> {
    let mut opened = source.open(chunk, part, 0..u64::MAX).await?;
    let (mut digest, mut size_bytes, mut kept) = (Sha256::new(), 0, Vec::new());
    while let Some(piece) = opened.stream.next().await {
        let piece = piece?;
        digest.update(&piece);
        kept.extend_from_slice(&piece[..piece.len().min(keep_bytes - kept.len())]);
        size_bytes += piece.len() as u64;
    }
    if size_bytes != opened.total_bytes || size_bytes == 0 {
        let what = format!(
            "the {} has {} bytes, and {size_bytes} were read",
            part.as_str(),
            opened.total_bytes
        );
        return Err(SourceError::transient(what));
    }
    let location = location
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned();
    Ok((
        FileInPlace {
            location,
            size_bytes,
            sha256: Sha256Digest::from_bytes(digest.finalize().into()),
        },
        kept,
    ))
}
