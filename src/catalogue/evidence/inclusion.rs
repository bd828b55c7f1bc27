//! Adds the proof that the packed records are in the audit log. The files have the same names as in the log;
//! `verify.sh` checks them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use futures::TryStreamExt as _;

use super::copies::Compared;
use super::package::Package;
use super::{EvidenceError, PackedRecording};
use crate::catalogue::timeline::FoundRecord;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::audit::{
    AuditAction, AuditPosition, AuditRecord, CheckpointGap, CheckpointRef, InclusionProof,
    MOST_CHECKPOINTS,
};

/// What the newest checkpoint of a package proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckpointCoverage {
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
    async fn checkpoint_of_now(&self) -> CheckpointCoverage {
        let audit = self.ledger.audit();
        let (newest, is_new) = match audit.checkpoint().await {
            Ok(checkpoint) => (checkpoint.newest(), true),
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "No checkpoint of the audit log could be written for an evidence package; an earlier one is used");
                (audit.anchor().await, false)
            }
        };
        match newest {
            Some(newest) if is_new => CheckpointCoverage::AllRead(newest),
            Some(newest) => CheckpointCoverage::Earlier(newest),
            None => CheckpointCoverage::Nothing,
        }
    }

    /// Appends the history of all packed recordings, and the documents that prove it.
    pub(super) async fn append_proof<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        packed: &mut [PackedRecording],
    ) -> Result<(Package<W>, CheckpointCoverage), EvidenceError> {
        let coverage = Box::pin(self.checkpoint_of_now()).await;
        let (proof, later) = match coverage {
            CheckpointCoverage::AllRead(newest) => (
                Box::pin(self.proof_of(packed, newest)).await?,
                String::new(),
            ),
            CheckpointCoverage::Earlier(newest) => (
                Box::pin(self.proof_of(packed, newest)).await?,
                format!(
                    ": no checkpoint could be written after number {}, and they may be later",
                    newest.number
                ),
            ),
            CheckpointCoverage::Nothing => {
                package
                    .problem("the audit log has no checkpoint that proves the records".to_owned());
                (InclusionProof::default(), String::new())
            }
        };
        let logged = LoggedRecords::of(&proof);
        for recording in packed {
            logged.add_to(recording);
            recording.history = Box::pin(self.described(recording.records.clone())).await?;
            let history = recording.history.iter().map(|described| &described.record);
            let history: Vec<&AuditRecord> = history.collect();
            let name = format!("{}/history.json", recording.folder);
            package = Box::pin(package.append_document(name, &history)).await?;
            let listed = listed(&proof, recording);
            if listed.unproved > 0 {
                package.problem(format!(
                    "{}: {} of {} records are not proved by a checkpoint of the audit log{later}",
                    recording.folder,
                    listed.unproved,
                    recording.records.len()
                ));
            }
            let compared = Compared {
                folder: &recording.folder,
                records: &listed.records,
                copies: &recording.copies,
                files: &package.report.files,
                reported: &package.report.problems,
            };
            let problems = compared.problems();
            package.report.problems.extend(problems);
            let name = format!("{}/records.txt", recording.folder);
            package = Box::pin(package.append_text(name, listed.lines)).await?;
        }
        package = Box::pin(self.append_documents(package, proof, coverage)).await?;
        Ok((package, coverage))
    }

    async fn proof_of(
        &self,
        packed: &[PackedRecording],
        newest: CheckpointRef,
    ) -> Result<InclusionProof, CatalogueError> {
        let records = packed.iter().flat_map(|recording| &recording.records);
        let positions: BTreeMap<_, _> = records
            .map(|found| (found.position.clone(), found.record.at))
            .collect();
        Ok(Box::pin(self.ledger.audit().prove(&positions, newest)).await?)
    }

    async fn append_documents<W: Write + Send + 'static>(
        &self,
        mut package: Package<W>,
        proof: InclusionProof,
        coverage: CheckpointCoverage,
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
        for (position, content) in proof.documents {
            package = Box::pin(package.append_bytes(position.key(), content)).await?;
        }
        let (CheckpointCoverage::AllRead(newest) | CheckpointCoverage::Earlier(newest)) = coverage
        else {
            return Ok(package);
        };
        package.report.audit_checkpoint = Some(newest);
        let checkpoints = self.ledger.audit();
        let checkpoints = checkpoints.packed_checkpoints(&proof.checkpoints, newest);
        let mut checkpoints = std::pin::pin!(checkpoints);
        while let Some(checkpoint) = checkpoints.try_next().await.map_err(CatalogueError::from)? {
            checkpoint
                .problem
                .into_iter()
                .for_each(|problem| package.problem(problem));
            if let Some(content) = checkpoint.content {
                let name = InclusionProof::checkpoint_name(checkpoint.number);
                package = Box::pin(package.append_bytes(name, content)).await?;
            }
        }
        let stamped: BTreeSet<u64> = proof.stamps.iter().filter_map(|one| one.number).collect();
        for gap in proof.checkpoints.gaps() {
            package.problem(gap_in_words(&gap, stamped.contains(&gap.last_before)));
        }
        for stamp in proof.stamps {
            let name = format!("audit/timestamps/{}", stamp.name);
            package = Box::pin(package.append_bytes(name, stamp.token)).await?;
        }
        Ok(package)
    }
}

fn gap_in_words(gap: &CheckpointGap, is_stamped: bool) -> String {
    let (from, to) = (gap.left_out.start(), gap.left_out.end());
    let before = gap.last_before;
    let rests = if is_stamped {
        format!("only its timestamp proves checkpoint {before} and those before it")
    } else {
        format!("nothing in this package proves checkpoint {before} and those before it")
    };
    format!(
        "checkpoints {from} to {to} of the audit log are not in this package, which has {MOST_CHECKPOINTS} up to the newest at most: {rests}"
    )
}

/// The records of the proof's documents.
#[derive(Default)]
struct LoggedRecords {
    of_subject: BTreeMap<String, Vec<(AuditPosition, AuditRecord)>>,
    /// By recording id: its chunks with their index, as they were recorded.
    chunks: BTreeMap<RecordingId, BTreeMap<String, u32>>,
}

impl LoggedRecords {
    fn of(proof: &InclusionProof) -> Self {
        let mut logged = Self::default();
        for (position, record) in proof.records() {
            let recording_id = record.detail["recordingId"].as_str();
            let recording_id = recording_id.and_then(|id| id.parse::<RecordingId>().ok());
            if let Some(id) = recording_id.filter(|_| record.action == AuditAction::Recorded) {
                let index = record.detail["index"].as_u64();
                let index = index.and_then(|index| u32::try_from(index).ok());
                let chunks = logged.chunks.entry(id).or_default();
                chunks.insert(record.subject.clone(), index.unwrap_or_default());
            }
            let of_subject = logged.of_subject.entry(record.subject.clone());
            of_subject.or_default().push((position.clone(), record));
        }
        logged
    }

    /// Adds the records of a recording's chunks that no index named, so that the package leaves out nothing about them
    /// that its documents have.
    fn add_to(&self, recording: &mut PackedRecording) {
        let chunks = recording.detail.chunk_list.iter();
        let mut chunks: BTreeMap<&String, u32> = chunks
            .map(|chunk| (&chunk.document_id, chunk.index))
            .collect();
        let recording_id = recording.detail.row.recording_id.parse().ok();
        let recorded = recording_id.and_then(|id: RecordingId| self.chunks.get(&id));
        for (id, index) in recorded.into_iter().flatten() {
            chunks.entry(id).or_insert(*index);
        }
        let records = recording.records.iter();
        let known: BTreeSet<_> = records
            .map(|found| (found.position.clone(), in_bytes(&found.record)))
            .collect();
        for (id, index) in chunks {
            for (position, record) in self.of_subject.get(id).into_iter().flatten() {
                if !known.contains(&(position.clone(), in_bytes(record))) {
                    let added = FoundRecord::of_chunk(position.clone(), record.clone(), index);
                    recording.records.push(added);
                }
            }
        }
        recording.records.sort_by_key(|found| found.record.at);
    }
}

/// The lines of `records.txt`.
struct RecordList {
    lines: String,
    records: Vec<AuditRecord>,
    unproved: usize,
}

/// Lists each record byte for byte as in its document.
fn listed(proof: &InclusionProof, recording: &PackedRecording) -> RecordList {
    let mut list = RecordList {
        lines: String::new(),
        records: Vec::new(),
        unproved: 0,
    };
    for found in &recording.records {
        let (position, record) = (&found.position, &found.record);
        let text = in_bytes(record);
        let document = proof.documents.get(position);
        if document.is_some_and(|document| contains(document, text.as_bytes())) {
            writeln!(list.lines, "{}\t{text}", position.key()).expect("a string can be written to");
            list.records.push(record.clone());
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
