//! Adds the proof that the packed records are in the audit log. The files have the same names as in the log;
//! `verify.sh` checks them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use super::package::{PLAIN, Package};
use super::{EvidenceError, PackedRecording};
use crate::catalogue::packing::Content;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::error_chain::ErrorChain;
use crate::store::audit::{AuditRecord, CheckpointRef, InclusionProof};

/// What the newest checkpoint proves.
enum Covers {
    /// Every record that was read before.
    AllRead(CheckpointRef),
    /// A new one could not be written: records may be later than it.
    Earlier(CheckpointRef),
    Nothing,
}

impl Catalogue {
    /// Writes the waiting records of access, so that the package has them.
    pub(super) async fn flush_accesses(&self) {
        if let Err(error) = self.ledger.audit().write_accesses().await {
            tracing::warn!(error = %ErrorChain(&error), "The newest records of access are not in an evidence package: the audit log could not be written");
        }
    }

    /// Writes a checkpoint after all records were read: it covers them, also those of a log that began meanwhile.
    async fn checkpoint_of_now(&self) -> Covers {
        let audit = self.ledger.audit();
        let (newest, is_new) = match audit.checkpoint().await {
            Ok(checkpoint) => (checkpoint.newest(), true),
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "No checkpoint of the audit log could be written for an evidence package; an earlier one is used");
                (audit.anchor().await, false)
            }
        };
        match newest {
            Some(newest) if is_new => Covers::AllRead(newest),
            Some(newest) => Covers::Earlier(newest),
            None => Covers::Nothing,
        }
    }

    /// Appends the documents that prove the records of all packed recordings.
    pub(super) async fn append_proof<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        packed: &[PackedRecording],
    ) -> Result<Package<W>, EvidenceError> {
        let (newest, later) = match self.checkpoint_of_now().await {
            Covers::AllRead(newest) => (newest, String::new()),
            Covers::Earlier(newest) => (
                newest,
                format!(
                    ": no checkpoint could be written after number {}, and they may be later",
                    newest.number
                ),
            ),
            Covers::Nothing => {
                package
                    .problem("the audit log has no checkpoint that proves the records".to_owned());
                return Ok(package);
            }
        };
        package.report.audit_checkpoint = Some(newest);
        let records = packed.iter().flat_map(|recording| &recording.records);
        let positions: BTreeMap<_, _> = records
            .map(|(position, record)| (position.clone(), record.at))
            .collect();
        let proving = self.ledger.audit().prove(&positions, newest);
        let proof = proving.await.map_err(CatalogueError::from)?;
        for recording in packed {
            let records = listed(&proof, recording);
            if records.unproved > 0 {
                package.problem(format!(
                    "{}: {} of {} records are not proved by a checkpoint of the audit log{later}",
                    recording.folder,
                    records.unproved,
                    recording.records.len()
                ));
            }
            let name = format!("{}/records.txt", recording.folder);
            package = package.append_text(name, records.lines).await?;
        }
        append_documents(package, proof).await
    }
}

async fn append_documents<W: Write + Send + 'static>(
    mut package: Package<W>,
    proof: InclusionProof,
) -> Result<Package<W>, EvidenceError> {
    let mut segments = String::new();
    for one in &proof.segments {
        let (writer, first, last) = (&one.writer, one.first, one.last);
        writeln!(segments, "{writer} {first} {last} {}", one.checkpoint)
            .expect("a string can be written to");
    }
    package = package
        .append_text("audit/segments.txt".to_owned(), segments)
        .await?;
    let documents = proof.documents.into_iter();
    let documents = documents.map(|(position, content)| (position.key(), content));
    let checkpoints = proof.checkpoints.into_iter();
    let checkpoints =
        checkpoints.map(|(number, content)| (InclusionProof::checkpoint_name(number), content));
    let stamps = proof.stamps.into_iter();
    let stamps = stamps.map(|stamp| (format!("audit/timestamps/{}", stamp.name), stamp.token));
    for (name, content) in documents.chain(checkpoints).chain(stamps) {
        (package, _) = package.append(name, PLAIN, Content::of(content)).await?;
    }
    Ok(package)
}

/// The lines of `records.txt`.
struct RecordList {
    lines: String,
    unproved: usize,
}

/// Lists each record byte for byte as in its document.
fn listed(proof: &InclusionProof, recording: &PackedRecording) -> RecordList {
    let mut list = RecordList {
        lines: String::new(),
        unproved: 0,
    };
    for (position, record) in &recording.records {
        let text = in_bytes(record);
        let document = proof.documents.get(position);
        if document.is_some_and(|document| contains(document, text.as_bytes())) {
            writeln!(list.lines, "{}\t{text}", position.key()).expect("a string can be written to");
        } else {
            list.unproved += 1;
        }
    }
    list
}

/// A record as the log writes it.
fn in_bytes(record: &AuditRecord) -> String {
    serde_json::to_string(record).expect("a record has string keys only")
}

fn contains(document: &[u8], record: &[u8]) -> bool {
    document.windows(record.len()).any(|part| part == record)
}
