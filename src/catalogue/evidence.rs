//! The evidence package of recordings: a ZIP, written while it is read, that can be checked with `sha256sum` alone.
//!
//! ```text
//! 0001/0000-audiowav.<documentId>.wav      media, ACS's metadata and receipt, byte for byte as in the vault
//! 0001/recording.json                      everything known about the recording
//! 0001/history.json                        the audit log's records of it
//! index.html                               the sheet for people: times, lengths, digests, history, how to verify
//! verify.sh                                checks the package offline
//! SHA256SUMS                               of all files before it
//! ```
//! A file that does not match its receipt is packed as it is, and reported as a problem.

mod sheet;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::archive::reason_of;
use super::detail::RecordingDetail;
use super::known::KnownRecording;
use super::media::{ChunkFile, FileKind};
use super::packing::{Content, PackingError, pack};
use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::export::layout;
use crate::recording::RecordingId;
use crate::standing::KnownChunk;
use crate::store::audit::{AuditAction, AuditRecord, CheckpointRef};
use crate::store::digest::Sha256Digest;

/// Checks a package offline.
const VERIFY: &str = include_str!("evidence/verify.sh");
/// No receipt is larger.
const RECEIPT_BYTES: u64 = 1 << 20;
const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// Who requests a package, and how its times are shown.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// As the sheet names them, such as `ada@laptop`.
    pub made_by: String,
    /// Times are shown in UTC and in this zone.
    pub time_zone: TimeZone,
    /// For the audit log: the door and the principal.
    pub detail: serde_json::Value,
}

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackedFile {
    pub name: String,
    pub size_bytes: u64,
    pub sha256: Sha256Digest,
}

/// The content of the package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceReport {
    pub made_at: Timestamp,
    pub made_by: String,
    /// The newest checkpoint of the audit log at that time.
    pub audit_checkpoint: Option<CheckpointRef>,
    /// In the order of their folders.
    pub recordings: Vec<String>,
    pub files: Vec<PackedFile>,
    /// What is missing or does not match its receipt.
    pub problems: Vec<String>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error("there is no recording `{0}` here")]
    Unknown(RecordingId),
    #[error("the recording `{0}` was erased")]
    Erased(RecordingId),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
    #[error(transparent)]
    Packing(#[from] PackingError),
}

/// A recording as the sheet shows it.
struct PackedRecording {
    folder: String,
    detail: RecordingDetail,
    history: Vec<AuditRecord>,
}

/// The package while it is written.
struct Package<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    report: EvidenceReport,
}

impl<W: Write + Send + 'static> Package<W> {
    async fn append(
        self,
        name: String,
        mode: u32,
        content: Content,
    ) -> Result<(Self, Sha256Digest), EvidenceError> {
        let size_bytes = content.size_bytes;
        let (mut package, sha256) = pack(self, content, {
            let name = name.clone();
            move |package: &mut Self, reader| {
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Stored)
                    .last_modified_time(DateTime::default())
                    .large_file(size_bytes >= u64::from(u32::MAX))
                    .unix_permissions(mode);
                package
                    .zip
                    .start_file(name, options)
                    .map_err(io::Error::other)?;
                io::copy(reader, &mut package.zip)?;
                Ok(())
            }
        })
        .await?;
        package.report.files.push(PackedFile {
            name,
            size_bytes,
            sha256,
        });
        Ok((package, sha256))
    }

    async fn append_text(self, name: String, text: String) -> Result<Self, EvidenceError> {
        let mode = if name.ends_with(".sh") {
            EXECUTABLE
        } else {
            PLAIN
        };
        let (package, _) = self.append(name, mode, Content::of(text.into())).await?;
        Ok(package)
    }

    async fn append_document(
        self,
        name: String,
        document: &impl Serialize,
    ) -> Result<Self, EvidenceError> {
        let text = serde_json::to_string_pretty(document)
            .expect("the package's documents have string keys only");
        self.append_text(name, text + "\n").await
    }

    /// `sha256sum`'s own format.
    fn sums(&self) -> String {
        let mut sums = String::new();
        for file in &self.report.files {
            let _ = writeln!(sums, "{}  {}", file.sha256, file.name);
        }
        sums
    }

    async fn finish(self) -> Result<(EvidenceReport, W), EvidenceError> {
        let Self { zip, report } = self;
        let finishing = tokio::task::spawn_blocking(move || {
            let mut writer = zip.finish()?.into_inner();
            writer.flush()?;
            Ok(writer)
        });
        let writer = finishing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(PackingError::Write)?;
        Ok((report, writer))
    }
}

impl Catalogue {
    /// Writes the evidence package of recordings. Returns its content, and the writer when all of it is written.
    ///
    /// # Errors
    /// When a recording is unknown or erased, a file cannot be read, or the package cannot be written: it is then
    /// incomplete.
    pub async fn evidence<W: Write + Send + 'static>(
        &self,
        recordings: &[RecordingId],
        request: &EvidenceRequest,
        into: W,
    ) -> Result<(EvidenceReport, W), EvidenceError> {
        let found = self.known(recordings).await?;
        self.note_evidence(&found, request).await?;
        let mut package = Package {
            zip: ZipWriter::new_stream(into),
            report: EvidenceReport {
                made_at: self.clock.now(),
                made_by: request.made_by.clone(),
                audit_checkpoint: self.ledger.audit().anchor().await,
                recordings: Vec::new(),
                files: Vec::new(),
                problems: Vec::new(),
            },
        };
        let mut packed = Vec::new();
        for (number, recorded) in (1..).zip(&found) {
            let folder = format!("{number:04}");
            let recording;
            (package, recording) = self.append_all_of(package, folder, recorded).await?;
            packed.push(recording);
        }
        let sheet = sheet::html(&package.report, &packed, &request.time_zone);
        package = package
            .append_text("verify.sh".to_owned(), VERIFY.to_owned())
            .await?;
        package = package.append_text("index.html".to_owned(), sheet).await?;
        let sums = package.sums();
        package = package.append_text("SHA256SUMS".to_owned(), sums).await?;
        package.finish().await
    }

    async fn known(
        &self,
        recordings: &[RecordingId],
    ) -> Result<Vec<KnownRecording>, EvidenceError> {
        let mut found = Vec::new();
        for id in recordings {
            match self.find(id).await? {
                None => return Err(EvidenceError::Unknown(id.clone())),
                Some(recorded) if recorded.account.erased.is_some() => {
                    return Err(EvidenceError::Erased(id.clone()));
                }
                Some(recorded) => found.push(recorded),
            }
        }
        Ok(found)
    }

    /// Records in the audit log, for each recording, that its evidence was packaged, and for whom.
    async fn note_evidence(
        &self,
        found: &[KnownRecording],
        request: &EvidenceRequest,
    ) -> Result<(), CatalogueError> {
        for recorded in found {
            let recording_id = recorded.account.recording_id.to_string();
            self.ledger
                .audit_operator(
                    AuditAction::EvidenceExported,
                    &recording_id,
                    request.detail.clone(),
                )
                .await?;
        }
        Ok(())
    }

    async fn append_all_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: String,
        recorded: &KnownRecording,
    ) -> Result<(Package<W>, PackedRecording), EvidenceError> {
        let detail = self.detail_of(recorded).await?;
        let history = self.audit_records(recorded).await?;
        let recordings = &mut package.report.recordings;
        recordings.push(recorded.account.recording_id.to_string());
        // What is missing from the recording is missing from its evidence.
        for problem in &detail.problems {
            package.problem(format!("{folder}: {problem}"));
        }
        if recorded.chunks.is_empty() {
            package.problem(format!(
                "{folder}: no event announced a file of this recording"
            ));
        }
        for chunk in &recorded.chunks {
            let further = chunk.entry.found().map_or(0, |entry| entry.further.len());
            if further > 0 {
                let id = &chunk.document_id;
                package.problem(format!(
                    "chunk {id}: {further} further files of it are not in this package"
                ));
            }
            package = self.append_chunk_of(package, &folder, chunk).await?;
        }
        package = package
            .append_document(format!("{folder}/recording.json"), &detail)
            .await?;
        package = package
            .append_document(format!("{folder}/history.json"), &history)
            .await?;
        Ok((
            package,
            PackedRecording {
                folder,
                detail,
                history,
            },
        ))
    }

    /// Appends a chunk's media, metadata and receipt.
    async fn append_chunk_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        chunk: &KnownChunk,
    ) -> Result<Package<W>, EvidenceError> {
        for which in [FileKind::Media, FileKind::Metadata] {
            let file = match self.media(&chunk.document_id, which).await? {
                ChunkFile::Proved(file) => file,
                ChunkFile::None => continue,
                absent @ (ChunkFile::Unknown
                | ChunkFile::NotYet
                | ChunkFile::Removed { .. }
                | ChunkFile::GivenUp { .. }
                | ChunkFile::Lost { .. }
                | ChunkFile::InPlace { .. }) => {
                    let reason = reason_of(&absent);
                    package.problem(format!("chunk {}: {reason}", chunk.document_id));
                    return Ok(package);
                }
            };
            let size_bytes = file.size_bytes();
            let name = format!("{folder}/{}", file.file_name());
            let Some(stream) = self.stream(&file, 0..size_bytes).await? else {
                package.problem(format!("{name} is no longer in the vault"));
                continue;
            };
            let content = Content { size_bytes, stream };
            let sha256;
            (package, sha256) = package.append(name.clone(), PLAIN, content).await?;
            if sha256 != file.sha256() {
                let proved = file.sha256();
                package.problem(format!("{name} has SHA-256 {sha256}, its receipt {proved}"));
            }
        }
        self.append_receipt(package, folder, chunk).await
    }

    /// Appends the receipt as it is in the vault, or the ledger's if it is missing there.
    async fn append_receipt<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        chunk: &KnownChunk,
    ) -> Result<Package<W>, EvidenceError> {
        let Some(entry) = chunk.entry.found() else {
            return Ok(package);
        };
        let Some(receipt) = entry.state.receipt() else {
            return Ok(package);
        };
        let in_vault = layout::receipt(&entry.folder, &entry.chunk);
        let name = layout::receipt(folder, &entry.chunk).to_string();
        let vault = self.vaults.get(receipt.vault(), &in_vault)?;
        if vault.inspect(&in_vault).await?.is_some() {
            let content = vault.read(&in_vault, 0..RECEIPT_BYTES).await?;
            let (package, _) = package.append(name, PLAIN, Content::of(content)).await?;
            return Ok(package);
        }
        package.problem(format!(
            "{in_vault} is not in the vault; the package has the ledger's copy"
        ));
        let document =
            json!({"receipt": receipt, "chunk": entry.chunk, "recordedAt": entry.recorded_at});
        let content = Bytes::from(document.to_string());
        let (package, _) = package.append(name, PLAIN, Content::of(content)).await?;
        Ok(package)
    }
}

impl<W: Write> Package<W> {
    fn problem(&mut self, problem: String) {
        self.report.problems.push(problem);
    }
}

impl EvidenceReport {
    /// Files by name.
    fn by_name(&self) -> BTreeMap<&str, &PackedFile> {
        let files = self.files.iter();
        files.map(|file| (&file.name[..], file)).collect()
    }
}
