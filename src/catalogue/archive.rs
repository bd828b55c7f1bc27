//! One archive of a person's recordings: a tar, written as it is read; no media is ever whole in memory.
//!
//! ```text
//! manifest.json                            what is in it, with the SHA-256 of every file, and what is not; comes last
//! 0001/recording.json                      all that is known of a recording, with what happened
//! 0001/audit.json                          the audit log's records of it
//! 0001/0000-audiowav.<documentId>.wav      its files as they lie in the vault
//! ```

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes};
use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::media::{File, Found, Media};
use super::person::Person;
use super::row::Recorded;
use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::export::layout;
use crate::recording::DocumentId;
use crate::store::digest::Sha256Digest;

/// Pieces on their way into the archive.
const PIECES: usize = 4;

/// A file of the archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedFile {
    pub name: String,
    pub size_bytes: u64,
    pub sha256: Sha256Digest,
}

/// What should be in the archive and is not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotArchived {
    pub recording_id: String,
    pub document_id: DocumentId,
    pub reason: String,
}

/// What the archive holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub participant: String,
    pub made_at: Timestamp,
    /// In the order of their folders.
    pub recordings: Vec<String>,
    pub files: Vec<ArchivedFile>,
    pub missing: Vec<NotArchived>,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
    #[error("could not write the archive")]
    Write(#[source] io::Error),
    #[error("`{name}` is {found} in the vault, and was proved as {expected}")]
    Changed {
        name: String,
        expected: Sha256Digest,
        found: Sha256Digest,
    },
}

/// The archive while it is written; moves into a blocking task and back with every file.
struct Archive<W: Write> {
    tar: tar::Builder<W>,
    made_at: Timestamp,
}

/// What comes from an async stream, for who reads in a blocking way.
struct Pipe {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pipe {
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

impl<W: Write + Send + 'static> Archive<W> {
    /// Appends a file as it comes; gives the archive back with the digest of what came.
    async fn append(
        self,
        name: &str,
        size_bytes: u64,
        mut content: BoxStream<'static, Result<Bytes, DestinationError>>,
    ) -> Result<(Self, ArchivedFile), ArchiveError> {
        let (sender, pieces) = mpsc::channel(PIECES);
        let path = name.to_owned();
        let writing = tokio::task::spawn_blocking(move || {
            let Self { mut tar, made_at } = self;
            let mut header = tar::Header::new_gnu();
            header.set_size(size_bytes);
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(made_at.as_second()).unwrap_or_default());
            tar.append_data(
                &mut header,
                path,
                Pipe {
                    pieces,
                    current: Bytes::new(),
                }
                .take(size_bytes),
            )?;
            Ok(Self { tar, made_at })
        });
        let (mut digest, mut read_bytes) = (Sha256::new(), 0);
        while let Some(piece) = content.next().await {
            let piece = piece?;
            digest.update(&piece);
            read_bytes += piece.len() as u64;
            // Whoever writes has failed, and says so below.
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        let written = writing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        let archive = written.map_err(ArchiveError::Write)?;
        if read_bytes != size_bytes {
            let what = format!("`{name}` has {read_bytes} bytes, and {size_bytes} were expected");
            return Err(ArchiveError::Write(io::Error::other(what)));
        }
        let sha256 = Sha256Digest::from_bytes(digest.finalize().into());
        Ok((
            archive,
            ArchivedFile {
                name: name.to_owned(),
                size_bytes,
                sha256,
            },
        ))
    }

    async fn append_document(
        self,
        name: &str,
        document: &impl Serialize,
    ) -> Result<(Self, ArchivedFile), ArchiveError> {
        let content = Bytes::from(
            serde_json::to_vec_pretty(document)
                .expect("the archive's documents have string keys only"),
        );
        let size_bytes = content.len() as u64;
        self.append(
            name,
            size_bytes,
            futures::stream::iter([Ok(content)]).boxed(),
        )
        .await
    }

    async fn finish(self) -> Result<W, ArchiveError> {
        let finishing = tokio::task::spawn_blocking(move || self.tar.into_inner());
        finishing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(ArchiveError::Write)
    }
}

impl Catalogue {
    /// Writes the archive of a person's recordings; gives the writer back when all is written.
    ///
    /// # Errors
    /// When something cannot be read, is not what was proved, or cannot be written: the archive is then not whole.
    pub async fn archive<W: Write + Send + 'static>(
        &self,
        person: &Person,
        into: W,
    ) -> Result<(Manifest, W), ArchiveError> {
        let made_at = self.clock.now();
        let found = self.of_person(person).await?;
        let detail = serde_json::json!({"recordings": found.len()});
        self.ledger
            .audit_operator("personExported", &self.pseudonym(person).await?, detail)
            .await
            .map_err(CatalogueError::from)?;
        let mut archive = Archive {
            tar: tar::Builder::new(into),
            made_at,
        };
        let participant = person.id().to_owned();
        let mut manifest = Manifest {
            participant,
            made_at,
            recordings: Vec::new(),
            files: Vec::new(),
            missing: Vec::new(),
        };
        for (number, recorded) in (1..).zip(&found) {
            manifest
                .recordings
                .push(recorded.account.recording_id.to_string());
            archive = self
                .append_recording(archive, &format!("{number:04}"), recorded, &mut manifest)
                .await?;
        }
        let (archive, _) = archive.append_document("manifest.json", &manifest).await?;
        Ok((manifest, archive.finish().await?))
    }

    async fn append_recording<W: Write + Send + 'static>(
        &self,
        archive: Archive<W>,
        folder: &str,
        recorded: &Recorded,
        manifest: &mut Manifest,
    ) -> Result<Archive<W>, ArchiveError> {
        let detail = self.detail_of(recorded).await?;
        let (archive, file) = archive
            .append_document(&format!("{folder}/recording.json"), &detail)
            .await?;
        manifest.files.push(file);
        let records = self.audit_records(recorded).await?;
        let (mut archive, file) = archive
            .append_document(&format!("{folder}/audit.json"), &records)
            .await?;
        manifest.files.push(file);
        for chunk in &recorded.chunks {
            let id = &chunk.document_id;
            for which in [File::Media, File::Metadata] {
                let media = match self.media(id, which).await? {
                    Found::Media(media) => media,
                    Found::None => continue,
                    absent if which == File::Media => {
                        let recording_id = recorded.account.recording_id.to_string();
                        let reason = why(&absent);
                        manifest.missing.push(NotArchived {
                            recording_id,
                            document_id: id.clone(),
                            reason,
                        });
                        break;
                    }
                    Found::Unknown
                    | Found::NotYet
                    | Found::Removed { .. }
                    | Found::GivenUp { .. }
                    | Found::Lost { .. }
                    | Found::InPlace { .. } => break,
                };
                let Some(stream) = self.stream(&media, 0..media.size_bytes()).await? else {
                    let recording_id = recorded.account.recording_id.to_string();
                    let reason = format!("`{}` is not in the vault any more", media.file_name());
                    manifest.missing.push(NotArchived {
                        recording_id,
                        document_id: id.clone(),
                        reason,
                    });
                    continue;
                };
                let name = format!("{folder}/{}", media.file_name());
                let appended = archive.append(&name, media.size_bytes(), stream).await?;
                archive = appended.0;
                manifest.files.push(proved(appended.1, &media)?);
            }
            if let Some(entry) = chunk
                .entry
                .as_ref()
                .filter(|entry| entry.state.receipt().is_some())
            {
                let receipt = serde_json::json!({"receipt": entry.state.receipt(), "chunk": entry.chunk, "recordedAt": entry.recorded_at});
                let name = layout::receipt(folder, &entry.chunk);
                let (with_receipt, file) = archive.append_document(name.as_str(), &receipt).await?;
                archive = with_receipt;
                manifest.files.push(file);
            }
        }
        Ok(archive)
    }
}

fn proved(file: ArchivedFile, media: &Media) -> Result<ArchivedFile, ArchiveError> {
    if file.sha256 == media.sha256() {
        return Ok(file);
    }
    Err(ArchiveError::Changed {
        name: file.name,
        expected: media.sha256(),
        found: file.sha256,
    })
}

fn why(absent: &Found) -> String {
    match absent {
        Found::Media(_) | Found::None => String::new(),
        Found::Unknown => "it is not in the ledger".to_owned(),
        Found::NotYet => "it is not in the vault yet".to_owned(),
        Found::Removed { reason } => format!("it is in the vault no more: {reason}"),
        Found::GivenUp { reason } => format!("it was given up: {reason}"),
        Found::Lost { reason } => format!("it is lost: {reason}"),
        Found::InPlace { location } => format!("it lies in your own storage, at {location}"),
    }
}
