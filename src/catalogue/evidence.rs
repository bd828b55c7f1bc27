//! The evidence package of recordings: a ZIP, written while it is read, that can be checked without this program.
//!
//! ```text
//! 0001/0000-audiowav.<documentId>.wav      media, ACS's metadata and receipt, byte for byte as in the vault; of a document
//!                                          with several places, those of each place
//! 0001/recording.json                      everything known about the recording
//! 0001/history.json                        the audit log's records of it
//! 0001/records.txt                         the same records, each with the document of the log that has it
//! audit/<log>/<number>.json                these documents, up to one that a checkpoint names
//! audit/checkpoints/<number>.json          these checkpoints, and all up to the newest
//! audit/timestamps/<day>-<number>.tst      timestamps of these checkpoints
//! audit/segments.txt                       which checkpoint covers which documents
//! index.html                               the sheet for people: times, lengths, digests, history, how to verify
//! PROBLEMS.txt                             what is missing, doubtful or does not match, if anything
//! verify.sh                                checks the package offline
//! SHA256SUMS                               of all files before it
//! ```
//! A file that does not match its receipt is packed as it is, and reported as a problem.

mod copies;
mod files;
mod inclusion;
mod package;
mod requested;
mod selection;
mod sheet;

use std::collections::BTreeSet;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use self::copies::ProvedCopy;
use self::package::Package;
pub use self::requested::{AbsenceError, AbsentRecording, RequestedRecordings};
pub use self::selection::{EvidenceSelection, left_out};
use self::sheet::SheetContent;
use super::detail::RecordingDetail;
use super::known::{KnownRecording, Registration};
pub use super::packing::PackedFile;
use super::packing::PackingError;
use super::timeline::{DescribedRecord, FoundRecord, FoundRecords, not_read_of};
use super::{Catalogue, CatalogueError};
use crate::export::destination::DestinationError;
use crate::store::audit::{AuditAction, CheckpointRef, Operator};
use crate::store::digest::Sha256Digest;

/// Checks a package offline.
const VERIFY: &str = include_str!("evidence/verify.sh");

/// Who requests a package, and how its times are shown.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// As the sheet names them, such as `ada@laptop`.
    pub made_by: String,
    /// Times are shown in UTC and in this zone.
    pub time_zone: TimeZone,
    /// For the audit log.
    pub operator: Operator,
    /// Recordings that may belong to what was requested, and are not in the package: a sentence for each.
    pub left_out: Vec<String>,
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
    /// What is missing, doubtful or does not match its receipt.
    pub problems: Vec<String>,
    /// Of the package's list of digests: noted elsewhere, it proves later that no file was changed.
    pub sums_sha256: Option<Sha256Digest>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
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
    /// As the audit log stores them, oldest first.
    records: Vec<FoundRecord>,
    /// The same, with names and texts.
    history: Vec<DescribedRecord>,
    /// The files that its receipts name.
    copies: Vec<ProvedCopy>,
}

impl Catalogue {
    /// Writes the evidence package of recordings. Returns its content, and the writer when all of it is written.
    ///
    /// # Errors
    /// When the storage fails, or the package cannot be written: it is then incomplete.
    pub async fn evidence<W: Write + Send + 'static>(
        &self,
        recordings: RequestedRecordings,
        request: &EvidenceRequest,
        into: W,
    ) -> Result<(EvidenceReport, W), EvidenceError> {
        let RequestedRecordings {
            found,
            absent: mut problems,
        } = recordings;
        problems.extend(request.left_out.iter().cloned());
        Box::pin(self.note_evidence(&found, request)).await?;
        Box::pin(self.flush_accesses()).await;
        let report = EvidenceReport {
            made_at: self.clock.now(),
            made_by: request.made_by.clone(),
            audit_checkpoint: None,
            recordings: Vec::new(),
            files: Vec::new(),
            problems,
            sums_sha256: None,
        };
        let mut package = Package::new(into, report);
        let mut packed = Vec::new();
        for (number, recorded) in (1..).zip(&found) {
            let folder = format!("{number:04}");
            let recording;
            (package, recording) = Box::pin(self.append_all_of(package, folder, recorded)).await?;
            packed.push(recording);
        }
        let coverage;
        (package, coverage) = Box::pin(self.append_proof(package, &mut packed)).await?;
        let sheet = sheet::html(&SheetContent {
            report: &package.report,
            recordings: &packed,
            zone: &request.time_zone,
            coverage,
            vaults: &self.vaults,
        });
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
        package.report.sums_sha256 = Some(Sha256Digest::of(sums.as_bytes()));
        package = package.append_text("SHA256SUMS".to_owned(), sums).await?;
        package.finish().await
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
                    &request.operator,
                    serde_json::Value::Null,
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
        let detail = Box::pin(self.detail_of(recorded)).await?;
        let FoundRecords {
            records,
            are_all,
            not_read,
        } = Box::pin(self.records_found(recorded)).await?;
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
        match recorded.registration {
            Registration::Registered => {}
            Registration::Unregistered => package.problem(format!(
                "{folder}: its account is missing: it may have more chunks than this package; its consent, its pauses and who started it are unknown"
            )),
        }
        // What is missing from the recording is missing from its evidence, also if an operator acknowledged it.
        for reason in detail.reasons_not_whole() {
            package.problem(format!("{folder}: {reason}"));
        }
        let (mut copies, mut packed_documents) = (Vec::new(), BTreeSet::new());
        for chunk in &recorded.chunks {
            if packed_documents.insert(&chunk.document_id) {
                let of_chunk;
                (package, of_chunk) =
                    Box::pin(self.append_chunk_of(package, &folder, chunk)).await?;
                copies.extend(of_chunk);
            }
        }
        package = package
            .append_document(format!("{folder}/recording.json"), &detail)
            .await?;
        Ok((
            package,
            PackedRecording {
                folder,
                detail,
                records,
                history: Vec::new(),
                copies,
            },
        ))
    }
}
