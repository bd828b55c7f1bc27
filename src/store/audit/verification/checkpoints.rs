//! Follows the chain of checkpoints, and collects the ends of logs that they have. It reads no logs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{AuditReport, is_before, missing};
use crate::store::audit::name::{CheckpointRef, WriterName};
use crate::store::audit::record::{Checkpoint, LogEnd, LogState};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::StoreError;

/// The end of one log, in the first checkpoint that has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckpointedEnd {
    pub sha256: Sha256Digest,
    pub state: LogState,
    pub checkpoint: u64,
    /// When the checkpoint before was written, which did not have it.
    pub not_before: Option<Timestamp>,
}

/// Every end of one log that a checkpoint has, by the number of its document.
pub(super) type Ends = BTreeMap<u64, CheckpointedEnd>;

pub(super) struct CheckpointWalk {
    report: AuditReport,
    now: Timestamp,
    number: u64,
    /// Of the checkpoint before; `None`: it could not be read.
    sha256: Option<Sha256Digest>,
    /// Logs that were open in the checkpoint before.
    open: BTreeSet<WriterName>,
    ends: BTreeMap<WriterName, Ends>,
    /// Checkpoints that are dated before the one before.
    ran_back: u64,
    /// The checkpoint that was noted as the newest before the check.
    hint: Option<CheckpointRef>,
}

impl CheckpointWalk {
    /// `hint`: the document that names the newest checkpoint. It may be behind, and never ahead.
    pub fn new(now: Timestamp, hint: Result<Option<CheckpointRef>, StoreError>) -> Self {
        let mut report = AuditReport::default();
        let hint = hint.unwrap_or_else(|error| {
            let what = "whether the newest checkpoints were removed".to_owned();
            report.not_read(what, &error);
            None
        });
        Self {
            report,
            hint,
            now,
            number: 0,
            sha256: Some(Sha256Digest::ZERO),
            open: BTreeSet::new(),
            ends: BTreeMap::new(),
            ran_back: 0,
        }
    }

    /// How many documents could not be read for now, the one that names the newest among them.
    pub fn not_read(&self) -> usize {
        self.report.not_checked.len()
    }

    pub fn problem(&mut self, problem: String) {
        self.report.problems.push(problem);
    }

    /// Passes a checkpoint that cannot be read: what depends on it is not checked.
    pub fn pass_unread(&mut self, number: u64, error: &StoreError) {
        let expected = self.number + 1;
        if number != expected {
            self.problem(missing("checkpoint", expected, number - 1));
        }
        let what = format!("checkpoint {number} could not be read");
        self.report.not_read(what, error);
        self.report.checkpoints += 1;
        self.number = number;
        self.sha256 = None;
        self.open.clear();
    }

    pub fn follow(&mut self, number: u64, content: &[u8]) {
        let expected = self.number + 1;
        if number != expected {
            self.problem(missing("checkpoint", expected, number - 1));
            self.open.clear();
        }
        match serde_json::from_slice::<Checkpoint>(content) {
            Ok(checkpoint) => {
                self.follow_readable(number, checkpoint);
                self.compare_hint(number, Sha256Digest::of(content));
            }
            Err(error) => {
                self.problem(format!("checkpoint {number} is not readable: {error}"));
                self.open.clear();
            }
        }
        let sha256 = Sha256Digest::of(content);
        self.report.checkpoints += 1;
        self.number = number;
        self.sha256 = Some(sha256);
        self.report.newest = Some(CheckpointRef { number, sha256 });
    }

    fn compare_hint(&mut self, number: u64, sha256: Sha256Digest) {
        let is_another = |hint: CheckpointRef| hint.number == number && hint.sha256 != sha256;
        if self.hint.is_some_and(is_another) {
            self.problem(format!(
                "checkpoint {number} is not the one that was noted as the newest"
            ));
        }
    }

    fn follow_readable(&mut self, number: u64, checkpoint: Checkpoint) {
        if checkpoint.number != number {
            let says = checkpoint.number;
            self.problem(format!("checkpoint {number} says that it is number {says}"));
        }
        let is_next = number == self.number + 1;
        let differs = self
            .sha256
            .is_some_and(|sha256| checkpoint.previous != sha256);
        if is_next && differs {
            let before = number - 1;
            self.problem(format!(
                "checkpoint {before} is not the one that checkpoint {number} was written after"
            ));
        }
        let before = self.report.newest_at.replace(checkpoint.at);
        self.report.first_at.get_or_insert(checkpoint.at);
        let day = checkpoint.at.to_zoned(TimeZone::UTC).date();
        self.report.checkpoint_days.insert(day);
        if before.is_some_and(|before| is_before(checkpoint.at, before)) {
            self.ran_back += 1;
        }
        // A clock that is ahead dates no later document.
        let not_before = before.map(|before| before.min(checkpoint.at).min(self.now));
        for writer in std::mem::take(&mut self.open) {
            if !checkpoint.ends.contains_key(&writer) {
                let before = number - 1;
                self.problem(format!(
                    "checkpoint {number} does not have log {writer}, which was open in checkpoint {before}"
                ));
            }
        }
        for (writer, end) in checkpoint.ends {
            if end.state == LogState::Open {
                self.open.insert(writer.clone());
            }
            self.extend((number, not_before), writer, &end);
        }
    }

    fn extend(
        &mut self,
        (number, not_before): (u64, Option<Timestamp>),
        writer: WriterName,
        end: &LogEnd,
    ) {
        let ends = self.ends.entry(writer.clone()).or_default();
        let last = ends.last_key_value().map_or(0, |(last, _)| *last);
        let first = CheckpointedEnd {
            sha256: end.sha256,
            state: end.state,
            checkpoint: number,
            not_before,
        };
        let known = *ends.entry(end.number).or_insert(first);
        let document = end.number;
        if last > document {
            self.problem(format!(
                "checkpoint {number} has log {writer} end at {document}, and one before has {last}"
            ));
        }
        if known.sha256 != end.sha256 {
            self.problem(format!(
                "checkpoint {number} has another document {document} of log {writer} than one before"
            ));
        } else if known.state != end.state {
            let before = known.checkpoint;
            self.problem(format!(
                "checkpoints {before} and {number} do not agree whether document {document} closes log {writer}"
            ));
        }
    }

    pub fn finish(mut self) -> (AuditReport, BTreeMap<WriterName, Ends>) {
        let end = self.number;
        if let Some(hint) = self.hint.filter(|hint| hint.number > end) {
            let noted = hint.number;
            self.problem(format!(
                "the checkpoints end with {end}, and there was a checkpoint {noted}"
            ));
        }
        if self.ran_back > 0 {
            self.report.not_checked.push(format!(
                "the times of checkpoints: {} of them are dated earlier than the one before; a clock was wrong, or they were added later",
                self.ran_back
            ));
        }
        (self.report, self.ends)
    }
}
