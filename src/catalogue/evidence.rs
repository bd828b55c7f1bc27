//! The evidence package of recordings: a ZIP, written while it is read, that can be checked with `sha256sum` alone.
//!
//! ```text
//! 0001/0000-audiowav.<documentId>.wav      media, ACS's metadata and receipt, byte for byte as in the vault; of a document
//!                                          with several places, those of each place
//! 0001/recording.json                      everything known about the recording
//! 0001/history.json                        the audit log's records of it
//! 0001/records.txt                         the same records, each with the document of the log that has it
//! audit/<log>/<number>.json                these documents, up to one that a checkpoint names
//! audit/checkpoints/<number>.json          these checkpoints, up to the newest
//! audit/timestamps/<day>-<number>.tst      timestamps of these checkpoints
//! audit/segments.txt                       which checkpoint covers which documents
//! index.html                               the sheet for people: times, lengths, digests, history, how to verify
//! PROBLEMS.txt                             what is missing or does not match, if anything
//! verify.sh                                checks the package offline
//! SHA256SUMS                               of all files before it
//! ```
//! A file that does not match its receipt is packed as it is, and reported as a problem.

mod inclusion;
mod package;
mod sheet;

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;

use self::package::{PLAIN, Package};
use super::detail::RecordingDetail;
use super::known::KnownRecording;
use super::media::ProvedFile;
pub use super::packing::PackedFile;
use super::packing::{Content, PackingError};
use super::timeline::{FoundRecords, not_read_of};
use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::export::layout;
use crate::export::{ExportReceipt, LedgerEntry};
use crate::recording::{RecordingChunk, RecordingId};
use crate::standing::KnownChunk;
use crate::store::audit::{AuditAction, AuditPosition, AuditRecord, CheckpointRef};

/// Checks a package offline.
const VERIFY: &str = include_str!("evidence/verify.sh");
/// No receipt is larger.
const RECEIPT_BYTES: u64 = 1 << 20;

/// Who requests a package, and how its times are shown.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// As the sheet names them, such as `ada@laptop`.
    pub made_by: String,
    /// Times are shown in UTC and in this zone.
    pub time_zone: TimeZone,
    /// For the audit log: the door and the principal.
    pub detail: serde_json::Value,
    pub absent: AbsentRecording,
    /// Recordings that may belong to what was requested, and are not in the package: a sentence for each.
    pub left_out: Vec<String>,
}

/// How a package handles a requested recording that is unknown or was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentRecording {
    /// There is no package.
    Refused,
    /// The package lists it as a problem.
    Listed,
}

/// The content of the package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceReport {
    pub made_at: Timestamp,
    pub made_by: String,
    /// The newest checkpoint of the audit log, written after the packed records were read.
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
    #[error("the account `{key}` of the recording `{recording_id}` is not readable")]
    Unreadable {
        recording_id: RecordingId,
        key: String,
    },
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Vault(#[from] DestinationError),
    #[error(transparent)]
    Packing(#[from] PackingError),
}

/// A copy of one of a document's files.
struct PackedCopy<'a> {
    entry: &'a LedgerEntry,
    chunk: &'a RecordingChunk,
    receipt: &'a ExportReceipt,
}

impl<'a> PackedCopy<'a> {
    fn of(entry: &'a LedgerEntry, chunk: &'a RecordingChunk, receipt: &'a ExportReceipt) -> Self {
        Self {
            entry,
            chunk,
            receipt,
        }
    }
}

/// A recording as the sheet shows it.
struct PackedRecording {
    folder: String,
    detail: RecordingDetail,
    /// As the audit log stores them.
    records: Vec<(AuditPosition, AuditRecord)>,
    /// The same, with names and texts.
    history: Vec<AuditRecord>,
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
        let (found, mut problems) = self.known(recordings, request.absent).await?;
        problems.extend(request.left_out.iter().cloned());
        self.note_evidence(&found, request).await?;
        self.flush_accesses().await;
        let report = EvidenceReport {
            made_at: self.clock.now(),
            made_by: request.made_by.clone(),
            audit_checkpoint: None,
            recordings: Vec::new(),
            files: Vec::new(),
            problems,
        };
        let mut package = Package::new(into, report);
        let mut packed = Vec::new();
        for (number, recorded) in (1..).zip(&found) {
            let folder = format!("{number:04}");
            let recording;
            (package, recording) = Box::pin(self.append_all_of(package, folder, recorded)).await?;
            packed.push(recording);
        }
        package = Box::pin(self.append_proof(package, &packed)).await?;
        let sheet = sheet::html(&package.report, &packed, &request.time_zone);
        package = package
            .append_text("verify.sh".to_owned(), VERIFY.to_owned())
            .await?;
        package = package.append_text("index.html".to_owned(), sheet).await?;
        if !package.report.problems.is_empty() {
            let problems = package.report.problems.join("\n") + "\n";
            package = package
                .append_text("PROBLEMS.txt".to_owned(), problems)
                .await?;
        }
        let sums = package.sums();
        package = package.append_text("SHA256SUMS".to_owned(), sums).await?;
        package.finish().await
    }

    /// The requested recordings, and a problem for each one that is absent.
    async fn known(
        &self,
        recordings: &[RecordingId],
        absent: AbsentRecording,
    ) -> Result<(Vec<KnownRecording>, Vec<String>), EvidenceError> {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for id in recordings {
            let error = match self.find(id).await {
                Ok(None) => EvidenceError::Unknown(id.clone()),
                Ok(Some(recorded)) if recorded.account.erased.is_some() => {
                    EvidenceError::Erased(id.clone())
                }
                Ok(Some(recorded)) => {
                    found.push(recorded);
                    continue;
                }
                Err(CatalogueError::Unreadable { key }) => EvidenceError::Unreadable {
                    recording_id: id.clone(),
                    key,
                },
                Err(error) => return Err(error.into()),
            };
            match absent {
                AbsentRecording::Refused => return Err(error),
                AbsentRecording::Listed => problems.push(error.to_string()),
            }
        }
        Ok((found, problems))
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
        let FoundRecords {
            records,
            are_all,
            not_read,
        } = self.records_found(recorded).await?;
        let records = records.into_iter();
        let records: Vec<_> = records
            .map(|found| (found.position, found.record))
            .collect();
        let stored: Vec<AuditRecord> = records.iter().map(|(_, record)| record.clone()).collect();
        let history = self.revealed(stored).await?;
        let recordings = &mut package.report.recordings;
        recordings.push(recorded.account.recording_id.to_string());
        if !are_all {
            package.problem(format!(
                "{folder}: the audit log has more records about this recording than a package takes; `recording-vault audit show` prints them"
            ));
        }
        if let Some(problem) = not_read_of(not_read) {
            package.problem(format!("{folder}: {problem}"));
        }
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
            package = Box::pin(self.append_chunk_of(package, &folder, chunk)).await?;
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
                records,
                history,
            },
        ))
    }

    /// Appends a chunk's media, metadata and receipt, and those of its other places.
    async fn append_chunk_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        chunk: &KnownChunk,
    ) -> Result<Package<W>, EvidenceError> {
        let files = self.proved_files(&chunk.document_id).await?;
        if let Some(reason) = files.absent {
            package.problem(format!("chunk {}: {reason}", chunk.document_id));
        }
        for file in files.proved {
            package = Box::pin(self.append_proved(package, folder, file)).await?;
        }
        let Some(entry) = chunk.entry.found() else {
            return Ok(package);
        };
        if let Some(receipt) = entry.state.receipt() {
            let copy = PackedCopy::of(entry, &entry.chunk, receipt);
            package = Box::pin(self.append_receipt(package, folder, copy)).await?;
        }
        Box::pin(self.append_further_of(package, folder, entry)).await
    }

    /// Appends the files of a document's other places.
    async fn append_further_of<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        entry: &LedgerEntry,
    ) -> Result<Package<W>, EvidenceError> {
        let id = &entry.chunk.document_id;
        for further in &entry.further {
            let place = further.file.number;
            match (further.receipt(), further.problem()) {
                (Some(_), _) => {}
                (None, Some(reason)) => package.problem(format!(
                    "chunk {id}: the file of place {place} is not in the vault: {reason}"
                )),
                (None, None) => package.problem(format!(
                    "chunk {id}: the file of place {place} is not in the vault yet"
                )),
            }
        }
        let further = entry.copies();
        let further = further.filter(|(of, _)| of.file_number != entry.chunk.file_number);
        for (of, receipt) in further {
            for file in ProvedFile::all_of(receipt) {
                package = Box::pin(self.append_proved(package, folder, file)).await?;
            }
            let copy = PackedCopy::of(entry, &of, receipt);
            package = Box::pin(self.append_receipt(package, folder, copy)).await?;
        }
        Ok(package)
    }

    /// Appends a file that a receipt proves.
    async fn append_proved<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        file: ProvedFile,
    ) -> Result<Package<W>, EvidenceError> {
        let size_bytes = file.size_bytes();
        let name = format!("{folder}/{}", file.file_name());
        let Some(stream) = self.stream(&file, 0..size_bytes).await? else {
            package.problem(format!("{name} is no longer in the vault"));
            return Ok(package);
        };
        let content = Content { size_bytes, stream };
        let (mut package, sha256) = package.append(name.clone(), PLAIN, content).await?;
        if sha256 != file.sha256() {
            let proved = file.sha256();
            package.problem(format!("{name} has SHA-256 {sha256}, its receipt {proved}"));
        }
        Ok(package)
    }

    /// Appends the receipt as it is in the vault, or the ledger's if it is missing there.
    async fn append_receipt<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        folder: &str,
        copy: PackedCopy<'_>,
    ) -> Result<Package<W>, EvidenceError> {
        let PackedCopy {
            entry,
            chunk,
            receipt,
        } = copy;
        let in_vault = layout::receipt(entry.folder_of(chunk.file_number), chunk);
        let name = layout::receipt(folder, chunk).to_string();
        let vault = self.vaults.get(receipt.vault(), &in_vault)?;
        if vault.inspect(&in_vault).await?.is_some() {
            let content = vault.read(&in_vault, 0..RECEIPT_BYTES).await?;
            let (package, _) = package.append(name, PLAIN, Content::of(content)).await?;
            return Ok(package);
        }
        package.problem(format!(
            "{in_vault} is not in the vault; the package has the ledger's copy"
        ));
        let document = json!({"receipt": receipt, "chunk": chunk, "recordedAt": entry.recorded_at});
        let content = Bytes::from(document.to_string());
        let (package, _) = package.append(name, PLAIN, Content::of(content)).await?;
        Ok(package)
    }
}

impl EvidenceReport {
    /// Files by name.
    fn by_name(&self) -> BTreeMap<&str, &PackedFile> {
        let files = self.files.iter();
        files.map(|file| (&file.name[..], file)).collect()
    }
}
