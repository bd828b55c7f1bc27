//! An archive of a person's recordings: a tar, written while it is read; no media file is ever in memory as a whole.
//!
//! ```text
//! manifest.json                            what is in it, with the SHA-256 of every file, and what is not; comes last
//! 0001/recording.json                      all that is known of a recording, with what happened
//! 0001/audit.json                          the audit log's records of it
//! 0001/0000-audiowav.<documentId>.wav      its files, byte for byte as in the vault
//! 0001/0000-audiowav.<documentId>.2.wav    a further file of the same document
//! ```

use std::io::{self, Read as _, Write};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::known::KnownRecording;
use super::list_filter::ListFilter;
use super::media::ProvedFile;
use super::not_searched::NotSearched;
use super::packing::{Content, PackedFile, PackingError, pack};
use super::people::RecordingsOf;
use super::person::Person;
use super::timeline::{FoundRecord, FoundRecords, not_read_of};
use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::export::entry::{FurtherFile, FurtherState};
use crate::export::layout;
use crate::recording::DocumentId;
use crate::standing::KnownChunk;
use crate::store::audit::{AuditAction, CheckpointRef, Operator};
use crate::store::digest::Sha256Digest;

/// Says that not all records of a recording are in an archive.
const LEFT_OUT: &str = "the audit log has more records about this recording than an archive takes; `recording-vault audit show` prints them";

/// A file that should be in the archive and is missing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotArchived {
    pub recording_id: String,
    pub document_id: DocumentId,
    pub reason: String,
}

/// Why a recording in the archive is not whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IncompleteRecording {
    pub recording_id: String,
    pub reason: String,
}

/// The content of the archive.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub participant: String,
    pub made_at: Timestamp,
    /// The newest checkpoint of the audit log at that time.
    pub audit_checkpoint: Option<CheckpointRef>,
    /// In the order of their folders.
    pub recordings: Vec<String>,
    pub files: Vec<PackedFile>,
    pub missing: Vec<NotArchived>,
    /// Why recordings of the person are not whole: files that no event announced, that are not exported yet, or are lost;
    /// or a history that could not be read, or not all of it. A copy that was imported by hand is whole.
    pub incomplete: Vec<IncompleteRecording>,
    /// What may be of the person, and could not be looked into.
    pub not_searched: NotSearched,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
    #[error(transparent)]
    Packing(#[from] PackingError),
    #[error("`{name}` has {found} bytes in the vault, and {expected} in its receipt")]
    Length {
        name: String,
        expected: u64,
        found: u64,
    },
    #[error("`{name}` has SHA-256 {found} in the vault, and {expected} in its receipt")]
    Changed {
        name: String,
        expected: Sha256Digest,
        found: Sha256Digest,
    },
}

/// The archive while it is written; moves into a blocking task and back for every file.
struct Archive<W: Write> {
    tar: tar::Builder<W>,
    manifest: Manifest,
}

impl<W: Write + Send + 'static> Archive<W> {
    /// Appends a file while it is read, and lists it in the manifest. Returns the archive.
    async fn append(self, name: &str, content: Content) -> Result<Self, ArchiveError> {
        let size_bytes = content.size_bytes;
        let path = name.to_owned();
        let (mut archive, packed) = pack(self, content, move |archive, reader| {
            let mut header = tar::Header::new_gnu();
            header.set_size(size_bytes);
            header.set_mode(0o600);
            let made_at = archive.manifest.made_at.as_second();
            header.set_mtime(u64::try_from(made_at).unwrap_or_default());
            archive
                .tar
                .append_data(&mut header, path, reader.take(size_bytes))
        })
        .await?;
        // The header has the size, so the archive would be broken.
        if packed.size_bytes != size_bytes {
            return Err(ArchiveError::Length {
                name: name.to_owned(),
                expected: size_bytes,
                found: packed.size_bytes,
            });
        }
        archive.manifest.files.push(PackedFile {
            name: name.to_owned(),
            size_bytes,
            sha256: packed.sha256,
        });
        Ok(archive)
    }

    async fn append_document(
        self,
        name: &str,
        document: &impl Serialize,
    ) -> Result<Self, ArchiveError> {
        let content = Bytes::from(
            serde_json::to_vec_pretty(document)
                .expect("the archive's documents have string keys only"),
        );
        self.append(name, Content::of(content)).await
    }

    /// Lists a file that is not in the archive.
    fn miss(&mut self, recorded: &KnownRecording, document_id: &DocumentId, reason: String) {
        self.manifest.missing.push(NotArchived {
            recording_id: recorded.account.recording_id.to_string(),
            document_id: document_id.clone(),
            reason,
        });
    }

    /// Appends the manifest, and returns the writer.
    async fn finish(self) -> Result<(Manifest, W), ArchiveError> {
        let content = Bytes::from(
            serde_json::to_vec_pretty(&self.manifest).expect("a manifest has string keys only"),
        );
        let mut archive = self.append("manifest.json", Content::of(content)).await?;
        // The manifest does not list itself.
        archive.manifest.files.pop();
        let Self { tar, manifest } = archive;
        let finishing = tokio::task::spawn_blocking(move || tar.into_inner());
        let writer = finishing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(PackingError::Write)?;
        Ok((manifest, writer))
    }
}

impl Catalogue {
    /// Writes the archive of a person's recordings for an operator. Returns the manifest and the writer when all of it is written.
    ///
    /// # Errors
    /// When a file cannot be read, does not match its receipt, or cannot be written: the archive is then incomplete.
    pub async fn archive<W: Write + Send + 'static>(
        &self,
        person: &Person,
        operator: &Operator,
        into: W,
    ) -> Result<(Manifest, W), ArchiveError> {
        let sought = self.sought(person).await?;
        let RecordingsOf {
            found,
            not_searched,
        } = self.recordings_of(&sought, &ListFilter::default()).await?;
        let detail = serde_json::json!({"recordings": found.len()});
        self.ledger
            .audit_operator(
                AuditAction::PersonExported,
                &self.pseudonym(person).await?,
                operator,
                detail,
            )
            .await
            .map_err(CatalogueError::from)?;
        let mut archive = Archive {
            tar: tar::Builder::new(into),
            manifest: Manifest {
                participant: person.id().to_owned(),
                made_at: self.clock.now(),
                audit_checkpoint: self.ledger.audit().anchor().await,
                recordings: Vec::new(),
                files: Vec::new(),
                missing: Vec::new(),
                incomplete: Vec::new(),
                not_searched,
            },
        };
        for (number, recorded) in (1..).zip(&found) {
            archive = self
                .append_recording(archive, &format!("{number:04}"), recorded)
                .await?;
        }
        archive.finish().await
    }

    async fn append_recording<W: Write + Send + 'static>(
        &self,
        mut archive: Archive<W>,
        folder: &str,
        recorded: &KnownRecording,
    ) -> Result<Archive<W>, ArchiveError> {
        let recording_id = recorded.account.recording_id.to_string();
        archive.manifest.recordings.push(recording_id.clone());
        let mut detail = self.detail_of(recorded).await?;
        let FoundRecords {
            records,
            are_all,
            not_read,
        } = self.records_found(recorded).await?;
        let notes: Vec<String> = recorded
            .chunks
            .iter()
            .flat_map(KnownChunk::import_notes)
            .collect();
        let mut reasons = detail.reasons_not_whole();
        reasons.retain(|reason| !notes.contains(reason));
        reasons.extend((!are_all).then(|| LEFT_OUT.to_owned()));
        reasons.extend(not_read_of(not_read));
        let incomplete = reasons.into_iter().map(|reason| IncompleteRecording {
            recording_id: recording_id.clone(),
            reason,
        });
        archive.manifest.incomplete.extend(incomplete);
        // The archive is for the person: it does not name who listened.
        detail.timeline.retain(|happening| !happening.is_access);
        archive = archive
            .append_document(&format!("{folder}/recording.json"), &detail)
            .await?;
        let of_chunks = records.into_iter().filter(FoundRecord::is_of_chunk);
        let records = of_chunks.map(|found| found.record).collect();
        let records = self.revealed(records).await?;
        archive = archive
            .append_document(&format!("{folder}/audit.json"), &records)
            .await?;
        for chunk in &recorded.chunks {
            archive = self.append_chunk(archive, folder, recorded, chunk).await?;
        }
        Ok(archive)
    }

    /// Appends a chunk's files byte for byte as in the vault, and its receipt.
    async fn append_chunk<W: Write + Send + 'static>(
        &self,
        mut archive: Archive<W>,
        folder: &str,
        recorded: &KnownRecording,
        chunk: &KnownChunk,
    ) -> Result<Archive<W>, ArchiveError> {
        let id = &chunk.document_id;
        let files = self.proved_files(id).await?;
        if let Some(reason) = files.absent {
            archive.miss(recorded, id, reason);
        }
        for media in files.proved {
            archive = self
                .append_file(archive, folder, (recorded, id), &media)
                .await?;
        }
        let Some(entry) = chunk.entry.found() else {
            return Ok(archive);
        };
        // A removal concerns all files of a chunk.
        let is_there = entry.state.receipt().is_some();
        for further in entry.further.iter().filter(|_| is_there) {
            archive = self
                .append_further(archive, folder, (recorded, id), further)
                .await?;
        }
        for (chunk, receipt) in entry.copies() {
            let document = serde_json::json!({"receipt": receipt, "chunk": chunk, "recordedAt": entry.recorded_at});
            let name = layout::receipt(folder, &chunk);
            archive = archive.append_document(name.as_str(), &document).await?;
        }
        Ok(archive)
    }

    /// Appends a further file of a chunk. One that is still exported is listed as missing. Of one that could not be read,
    /// `recording.json` has the reason: it may be no file of the document.
    async fn append_further<W: Write + Send + 'static>(
        &self,
        mut archive: Archive<W>,
        folder: &str,
        of: (&KnownRecording, &DocumentId),
        further: &FurtherFile,
    ) -> Result<Archive<W>, ArchiveError> {
        let number = further.file.number;
        let missing = match &further.state {
            FurtherState::Proved { receipt } => {
                for file in ProvedFile::all_of(receipt) {
                    archive = self.append_file(archive, folder, of, &file).await?;
                }
                return Ok(archive);
            }
            FurtherState::Pending => format!("file {number} is not in the vault yet"),
            FurtherState::Missing { .. } | FurtherState::Refused { .. } => return Ok(archive),
        };
        archive.miss(of.0, of.1, missing);
        Ok(archive)
    }

    /// Appends a proved file, byte for byte as in the vault.
    async fn append_file<W: Write + Send + 'static>(
        &self,
        mut archive: Archive<W>,
        folder: &str,
        (recorded, id): (&KnownRecording, &DocumentId),
        file: &ProvedFile,
    ) -> Result<Archive<W>, ArchiveError> {
        let size_bytes = file.size_bytes();
        let Some(stream) = self.stream(file, None, 0..size_bytes).await? else {
            let reason = format!("`{}` is no longer in the vault", file.file_name());
            archive.miss(recorded, id, reason);
            return Ok(archive);
        };
        let name = format!("{folder}/{}", file.file_name());
        let archive = archive.append(&name, Content { size_bytes, stream });
        let archive = archive.await?;
        archive.manifest.check_last(file)?;
        Ok(archive)
    }
}

impl Manifest {
    /// Whether everything that may be of the person is in the archive.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.incomplete.is_empty() && self.not_searched.is_nothing()
    }

    /// Compares the last appended file with its receipt.
    fn check_last(&self, media: &ProvedFile) -> Result<(), ArchiveError> {
        match self.files.last() {
            Some(file) if file.sha256 != media.sha256() => Err(ArchiveError::Changed {
                name: file.name.clone(),
                expected: media.sha256(),
                found: file.sha256,
            }),
            Some(_) | None => Ok(()),
        }
    }
}
