//! Shared parts of archives of recordings: the list of packed files, and a hashed stream that feeds a blocking archive
//! writer. Knows no archive format.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use futures::{StreamExt as _, stream::BoxStream};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::export::destination::DestinationError;
use crate::store::digest::Sha256Digest;

/// Pieces between the stream and the writer.
const PIECES: usize = 4;

/// A file of an archive, as its manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackedFile {
    pub name: String,
    pub size_bytes: u64,
    pub sha256: Sha256Digest,
}

/// A file's content on its way into an archive.
pub struct Content {
    pub size_bytes: u64,
    pub stream: BoxStream<'static, Result<Bytes, DestinationError>>,
}

/// Why a file could not be added to the archive.
#[derive(Debug, thiserror::Error)]
pub enum PackingError {
    #[error(transparent)]
    Read(#[from] DestinationError),
    #[error("could not write the archive")]
    Write(#[source] io::Error),
}

/// The reading end for a blocking writer.
struct BlockingReader {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Content {
    /// A small file in memory.
    pub fn of(bytes: Bytes) -> Self {
        Self {
            size_bytes: bytes.len() as u64,
            stream: futures::stream::iter([Ok(bytes)]).boxed(),
        }
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// What was written of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedContent {
    /// Differs from the announced size if the file has changed since.
    pub size_bytes: u64,
    pub sha256: Sha256Digest,
}

/// Writes a file into `archive` while it is read. Returns the archive and what was written.
///
/// # Errors
/// When the file cannot be read, or the archive cannot be written.
pub async fn pack<A, F>(
    archive: A,
    mut content: Content,
    write: F,
) -> Result<(A, PackedContent), PackingError>
where
    A: Send + 'static,
    F: FnOnce(&mut A, &mut dyn Read) -> io::Result<()> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || {
        let mut archive = archive;
        let mut reader = BlockingReader {
            pieces,
            current: Bytes::new(),
        };
        write(&mut archive, &mut reader)?;
        Ok(archive)
    });
    let (mut digest, mut size_bytes) = (Sha256::new(), 0);
    while let Some(piece) = content.stream.next().await {
        let piece = piece?;
        digest.update(&piece);
        size_bytes += piece.len() as u64;
        // The writer failed; its error is returned below.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let written = writing
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    let archive = written.map_err(PackingError::Write)?;
    let sha256 = Sha256Digest::from_bytes(digest.finalize().into());
    Ok((archive, PackedContent { size_bytes, sha256 }))
}
