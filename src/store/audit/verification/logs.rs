//! Follows the logs, and compares them with the ends that checkpoints have.
//!
//! A log has a marker until a checkpoint has its closed end, so each document is in a checkpoint a sweep after it was written.
//! What is older and in none was added later, or a sweep was kept from finding it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::checkpoints::Ends;
use super::{AuditReport, FollowedDocument, is_before, missing};
use crate::store::audit::name::{AuditPosition, WriterName};
use crate::store::audit::reading::ReadDocument;
use crate::store::audit::record::{AuditRecord, LogContent, LogDocument, LogState};
use crate::store::digest::Sha256Digest;

pub(super) struct LogWalk {
    pub report: AuditReport,
    /// Ends of logs in checkpoints that were not checked yet.
    expected: BTreeMap<WriterName, Ends>,
    /// Logs that had a marker before the checkpoints were read.
    marked: BTreeSet<WriterName>,
    now: Timestamp,
    current: Option<CurrentLog>,
    suspects: Vec<SuspectLog>,
}

/// A log that no checkpoint has although it is older than the newest.
pub(super) struct SuspectLog {
    pub writer: WriterName,
    since: Timestamp,
}

struct CurrentLog {
    writer: WriterName,
    number: u64,
    /// Of the document before; `None`: it could not be read.
    sha256: Option<Sha256Digest>,
    state: LogState,
    expected: Ends,
    /// The oldest time in its documents that no checkpoint has.
    uncovered_since: Option<Timestamp>,
    /// Documents that are dated before a checkpoint that does not have them, and the first of them.
    backdated: u64,
    first_backdated: Option<AuditPosition>,
}

/// What one document has.
struct Followed {
    records: Vec<AuditRecord>,
    /// The oldest time in it.
    at: Option<Timestamp>,
}

impl SuspectLog {
    pub fn problem(&self) -> String {
        let Self { writer, since } = self;
        format!(
            "log {writer} has records of {since}, before the newest checkpoint, and neither a checkpoint nor a marker has it: it was added later, or its marker was removed"
        )
    }

    pub fn not_checked(&self) -> String {
        let Self { writer, since } = self;
        format!(
            "log {writer} has records of {since}, before the newest checkpoint, and no checkpoint has them: a sweep could not read it, a clock was wrong, or they were added later"
        )
    }
}

impl LogWalk {
    pub fn new(
        report: AuditReport,
        expected: BTreeMap<WriterName, Ends>,
        marked: BTreeSet<WriterName>,
        now: Timestamp,
    ) -> Self {
        Self {
            report,
            expected,
            marked,
            now,
            current: None,
            suspects: Vec::new(),
        }
    }

    pub fn follow(
        &mut self,
        key: &str,
        document: ReadDocument,
        visit: &mut impl FnMut(&FollowedDocument, AuditRecord),
    ) {
        let Some(position) = AuditPosition::of_key(key) else {
            let problem = format!("`{key}` is no document of the log");
            self.report.problems.push(problem);
            return;
        };
        let is_of_another = |log: &CurrentLog| log.writer != position.writer;
        if self.current.as_ref().is_none_or(is_of_another) {
            self.end_log();
            self.report.logs += 1;
            let expected = self.expected.remove(&position.writer).unwrap_or_default();
            self.current = Some(CurrentLog::new(position.writer.clone(), expected));
        }
        let Some(log) = &mut self.current else { return };
        let content = match document {
            ReadDocument::Content(content) => content,
            ReadDocument::Gone => {
                let problem = format!("document {position} disappeared during the check");
                self.report.problems.push(problem);
                return;
            }
            ReadDocument::Unreadable(error) => {
                let gap = log.gap_before(position.number);
                self.report.problems.extend(gap);
                log.pass_unread(position.number);
                self.report.unread(position, &error);
                return;
            }
        };
        let Followed { records, at } = log.follow(&position, &content, &mut self.report);
        self.report.documents += 1;
        self.report.records += records.len() as u64;
        self.report.began_at = earlier(self.report.began_at, at);
        if last_of(&log.expected).is_none_or(|last| position.number > last) {
            self.report.records_after_newest += records.len() as u64;
            log.uncovered_since = earlier(log.uncovered_since, at);
        }
        let newest = self.report.newest.map_or(0, |newest| newest.number);
        let checkpoint = log.covering(position.number).unwrap_or(newest + 1);
        let document = FollowedDocument {
            position,
            checkpoint,
        };
        for record in records {
            visit(&document, record);
        }
    }

    /// Compares the log that was read with the checkpoints.
    fn end_log(&mut self) {
        let Some(log) = self.current.take() else {
            return;
        };
        let report = &mut self.report;
        report.ends.insert(log.writer.clone(), log.number);
        if let Some(last) = last_of(&log.expected).filter(|last| *last > log.number) {
            report.problems.push(format!(
                "log {} ends with document {}, and a checkpoint has its document {last}",
                log.writer, log.number
            ));
        }
        if let Some(first) = &log.first_backdated {
            let count = log.backdated;
            report.not_checked.push(format!(
                "the times of {count} documents of log {}, from {first} on: they are dated before a checkpoint that does not have them; a clock was wrong, a sweep could not read them, or they were added later",
                log.writer
            ));
        }
        let Some(since) = log.uncovered_since else {
            return;
        };
        let newest_at = report.newest_at.map(|at| at.min(self.now));
        if newest_at.is_some_and(|newest| is_before(since, newest)) {
            let suspect = SuspectLog {
                writer: log.writer,
                since,
            };
            if log.expected.is_empty() && !self.marked.contains(&suspect.writer) {
                self.suspects.push(suspect);
            } else {
                report.not_checked.push(suspect.not_checked());
            }
        } else {
            report.uncovered_since = earlier(report.uncovered_since, Some(since));
        }
    }

    pub fn finish(mut self) -> (AuditReport, Vec<SuspectLog>) {
        self.end_log();
        let gone = self
            .expected
            .iter()
            .filter_map(|(writer, ends)| Some((writer, last_of(ends).filter(|last| *last > 0)?)));
        self.report.problems.extend(gone.map(|(writer, last)| {
            format!("log {writer} is missing; a checkpoint has its document {last}")
        }));
        (self.report, self.suspects)
    }
}

impl CurrentLog {
    fn new(writer: WriterName, expected: Ends) -> Self {
        Self {
            writer,
            number: 0,
            sha256: Some(Sha256Digest::ZERO),
            state: LogState::Open,
            expected,
            uncovered_since: None,
            backdated: 0,
            first_backdated: None,
        }
    }

    /// The first checkpoint that covers a document.
    fn covering(&self, number: u64) -> Option<u64> {
        let (_, covering) = self.expected.range(number..).next()?;
        Some(covering.checkpoint)
    }

    /// What is missing between the document that was followed last and this one.
    fn gap_before(&self, number: u64) -> Option<String> {
        let expected = self.number + 1;
        (number != expected).then(|| {
            let missing = missing("document", expected, number - 1);
            format!("{missing} in log {}", self.writer)
        })
    }

    /// Passes a document that cannot be read: what depends on it is not checked.
    fn pass_unread(&mut self, number: u64) {
        self.number = number;
        self.sha256 = None;
    }

    /// Follows one document.
    fn follow(
        &mut self,
        position: &AuditPosition,
        content: &[u8],
        report: &mut AuditReport,
    ) -> Followed {
        let (number, writer) = (position.number, &self.writer);
        report.problems.extend(self.gap_before(number));
        let mut problem = |problem: String| report.problems.push(problem);
        let expected = self.number + 1;
        if self.state == LogState::Closed {
            problem(format!(
                "document {position} comes after the end of its log"
            ));
        }
        let sha256 = Sha256Digest::of(content);
        let mut followed = Followed {
            records: Vec::new(),
            at: None,
        };
        let mut state = LogState::Open;
        match serde_json::from_slice::<LogDocument>(content) {
            Ok(document) => {
                if document.sequence != number || document.writer != *writer {
                    let says = format!("{}/{}", document.writer, document.sequence);
                    problem(format!(
                        "document {position} says that it is document {says}"
                    ));
                }
                let differs = self
                    .sha256
                    .is_some_and(|sha256| document.previous != sha256);
                if number == expected && differs {
                    let before = number - 1;
                    problem(format!(
                        "document {before} is not the one that document {position} was written after"
                    ));
                }
                followed.at = Some(document.at);
                match document.content {
                    LogContent::Records(found) => followed.records = found,
                    LogContent::Closed { .. } => state = LogState::Closed,
                }
            }
            Err(error) => problem(format!("document {position} is not readable: {error}")),
        }
        let of_records = followed.records.iter().map(|record| record.at).min();
        followed.at = earlier(followed.at, of_records);
        if state == LogState::Closed {
            self.state = state;
        }
        self.compare(position, (sha256, state), followed.at, report);
        self.number = number;
        self.sha256 = Some(sha256);
        followed
    }

    /// Compares a document with the checkpoints: the one that has it as an end, and the first that covers it.
    fn compare(
        &mut self,
        position: &AuditPosition,
        (sha256, state): (Sha256Digest, LogState),
        at: Option<Timestamp>,
        report: &mut AuditReport,
    ) {
        let Some((end, covering)) = self.expected.range(position.number..).next() else {
            return;
        };
        if *end == position.number && covering.sha256 != sha256 {
            report.problems.push(format!(
                "document {position} is not the one that a checkpoint has"
            ));
        } else if *end == position.number && covering.state != state {
            let (checkpoint, says) = (covering.checkpoint, state_name(covering.state));
            report.problems.push(format!(
                "checkpoint {checkpoint} says that the log is {says} with document {position}, and the document does not"
            ));
        }
        let is_backdated = at
            .zip(covering.not_before)
            .is_some_and(|(at, not_before)| is_before(at, not_before));
        if is_backdated {
            self.backdated += 1;
            self.first_backdated.get_or_insert_with(|| position.clone());
        }
    }
}

fn state_name(state: LogState) -> &'static str {
    match state {
        LogState::Open => "open",
        LogState::Closed => "closed",
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn last_of(ends: &Ends) -> Option<u64> {
    ends.last_key_value().map(|(last, _)| *last)
}
