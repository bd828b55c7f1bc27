//! Follows all chains from their beginnings, and reports every break.
//!
//! Checkpoints are read before the logs: the ledger is alive, so a log may have more than a checkpoint says, and never less.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use super::name::{self, AuditPosition, CHECKPOINTS, CheckpointRef, WriterName};
use super::private::CheckedNames;
use super::reading::{AT_ONCE, records_in};
use super::record::{AuditRecord, ChainEnd, Checkpoint, LogContent, LogDocument, LogEnd, LogState};
use super::{AuditLog, StoreError};
use crate::store::digest::Sha256Digest;

const PAGE: usize = 1000;
/// Names and texts that are reported one by one; the others are counted.
const PRIVATE_PROBLEMS_AT_MOST: usize = 1000;

/// Result of a check of the whole log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    pub logs: u64,
    pub documents: u64,
    pub records: u64,
    pub checkpoints: u64,
    /// The newest checkpoint: noted elsewhere, it proves later that nothing before it was changed.
    pub newest: Option<CheckpointRef>,
    /// When it was written, by the clock of its writer.
    pub newest_at: Option<Timestamp>,
    /// Records after the newest checkpoint. Their chains are intact, but a truncation would not be detected.
    pub records_after_newest: u64,
    /// One sentence for each problem; none means that all chains are intact.
    pub problems: Vec<String>,
}

impl AuditReport {
    /// There is no log: no document, no checkpoint, and no trace of one.
    pub fn is_empty(&self) -> bool {
        self.documents == 0 && self.checkpoints == 0 && self.problems.is_empty()
    }
}

impl AuditLog {
    /// The checkpoint of that number, if there is one, and when it was written, if it is readable.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn find_checkpoint(
        &self,
        number: u64,
    ) -> Result<Option<(CheckpointRef, Option<Timestamp>)>, StoreError> {
        let found = self.store.find(&name::checkpoint(number)).await?;
        Ok(found.map(|stored| {
            let sha256 = Sha256Digest::of(&stored.content);
            let read = serde_json::from_slice::<Checkpoint>(&stored.content).ok();
            (CheckpointRef { number, sha256 }, read.map(|read| read.at))
        }))
    }

    /// Reads the whole log and checks for edits, gaps, reorderings, truncations and missing logs, and for names and texts
    /// that were changed, or removed without an erasure.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn verify(&self) -> Result<AuditReport, StoreError> {
        self.verify_each(|_, _| {}).await
    }

    /// The same; calls `visit` with every readable record.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn verify_each(
        &self,
        mut visit: impl FnMut(&AuditPosition, AuditRecord) + Send,
    ) -> Result<AuditReport, StoreError> {
        // Before the checkpoints: it may be behind them, and never ahead.
        let hint = self.hint().await?;
        let mut checkpoints = CheckpointWalk::default();
        self.follow_checkpoints(&mut checkpoints).await?;
        if let Some(hint) = hint.filter(|hint| hint.number > checkpoints.end.number) {
            checkpoints.report.problems.push(format!(
                "the checkpoints end with {}, and there was a checkpoint {}",
                checkpoints.end.number, hint.number
            ));
        }
        let mut logs = LogWalk {
            report: checkpoints.report,
            expected: checkpoints.ends,
            current: None,
        };
        let checked = &CheckedNames::default();
        let contents = self.contents().map_ok(|(key, content)| async move {
            let problems = self
                .private_problems(&key, content.as_deref(), checked)
                .await?;
            Ok((key, content, problems))
        });
        let mut contents = contents.try_buffered(AT_ONCE).boxed();
        let mut private_problems = 0;
        while let Some((key, content, problems)) = contents.try_next().await? {
            logs.follow(&key, content.as_deref(), &mut visit);
            let room = PRIVATE_PROBLEMS_AT_MOST.saturating_sub(private_problems);
            private_problems += problems.len();
            logs.report.problems.extend(problems.into_iter().take(room));
        }
        let unnamed = private_problems.saturating_sub(PRIVATE_PROBLEMS_AT_MOST);
        if unnamed > 0 {
            let problem = format!("{unnamed} more names and texts are missing or do not match");
            logs.report.problems.push(problem);
        }
        Ok(logs.finish())
    }

    async fn private_problems(
        &self,
        key: &str,
        content: Option<&[u8]>,
        checked: &CheckedNames,
    ) -> Result<Vec<String>, StoreError> {
        // Keys and documents that are not readable are reported with the chains.
        let (Some(position), Some(content)) = (AuditPosition::of_key(key), content) else {
            return Ok(Vec::new());
        };
        let place = position.to_string();
        self.check_private(&place, &records_in(content), checked)
            .await
    }

    async fn follow_checkpoints(&self, walk: &mut CheckpointWalk) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.list(CHECKPOINTS, after.as_deref(), PAGE).await?;
            let is_last = keys.len() < PAGE;
            after = keys.last().cloned();
            let mut found = futures::stream::iter(keys)
                .map(|key| async move { self.store.find(&key).await.map(|stored| (key, stored)) })
                .buffered(AT_ONCE);
            while let Some(found) = found.next().await {
                let (key, stored) = found?;
                match (name::checkpoint_of_key(&key), stored) {
                    (Some(number), Some(stored)) => walk.follow(number, &stored.content),
                    (Some(number), None) => {
                        walk.problem(format!("checkpoint {number} disappeared during the check"));
                    }
                    (None, _) => walk.problem(format!("`{key}` is no checkpoint")),
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Every end of one log that a checkpoint has: the number of its document then, and the document's SHA-256.
type Ends = BTreeMap<u64, Sha256Digest>;

struct CheckpointWalk {
    report: AuditReport,
    end: ChainEnd,
    ends: BTreeMap<WriterName, Ends>,
}

impl Default for CheckpointWalk {
    fn default() -> Self {
        Self {
            report: AuditReport::default(),
            end: ChainEnd::START,
            ends: BTreeMap::new(),
        }
    }
}

impl CheckpointWalk {
    fn problem(&mut self, problem: String) {
        self.report.problems.push(problem);
    }

    fn follow(&mut self, number: u64, content: &[u8]) {
        let expected = self.end.number + 1;
        if number != expected {
            self.problem(missing("checkpoint", expected, number - 1));
        }
        match serde_json::from_slice::<Checkpoint>(content) {
            Ok(checkpoint) => {
                if checkpoint.number != number {
                    let says = checkpoint.number;
                    self.problem(format!("checkpoint {number} says that it is number {says}"));
                }
                if number == expected && checkpoint.previous != self.end.sha256 {
                    let before = number - 1;
                    self.problem(format!(
                        "checkpoint {before} is not the one that checkpoint {number} was written after"
                    ));
                }
                self.report.newest_at = Some(checkpoint.at);
                for (writer, end) in checkpoint.ends {
                    self.extend(number, writer, end);
                }
            }
            Err(error) => self.problem(format!("checkpoint {number} is not readable: {error}")),
        }
        self.report.checkpoints += 1;
        self.end = ChainEnd {
            number,
            sha256: Sha256Digest::of(content),
        };
        self.report.newest = Some(CheckpointRef {
            number,
            sha256: self.end.sha256,
        });
    }

    fn extend(&mut self, number: u64, writer: WriterName, end: LogEnd) {
        let ends = self.ends.entry(writer.clone()).or_default();
        let last = ends.last_key_value().map_or(0, |(last, _)| *last);
        let known = *ends.entry(end.number).or_insert(end.sha256);
        let document = end.number;
        if last > document {
            self.problem(format!(
                "checkpoint {number} has log {writer} end at {document}, and one before has {last}"
            ));
        }
        if known != end.sha256 {
            self.problem(format!(
                "checkpoint {number} has another document {document} of log {writer} than one before"
            ));
        }
    }
}

struct LogWalk {
    report: AuditReport,
    /// Ends of logs in checkpoints that were not checked yet.
    expected: BTreeMap<WriterName, Ends>,
    current: Option<CurrentLog>,
}

struct CurrentLog {
    writer: WriterName,
    end: ChainEnd,
    state: LogState,
    expected: Ends,
}

impl LogWalk {
    fn follow(
        &mut self,
        key: &str,
        content: Option<&[u8]>,
        visit: &mut impl FnMut(&AuditPosition, AuditRecord),
    ) {
        let Some(position) = AuditPosition::of_key(key) else {
            let problem = format!("`{key}` is no document of the log");
            self.report.problems.push(problem);
            return;
        };
        if self
            .current
            .as_ref()
            .is_none_or(|log| log.writer != position.writer)
        {
            self.end_log();
            self.report.logs += 1;
            self.current = Some(CurrentLog {
                expected: self.expected.remove(&position.writer).unwrap_or_default(),
                writer: position.writer.clone(),
                end: ChainEnd::START,
                state: LogState::Open,
            });
        }
        let Some(log) = &mut self.current else { return };
        let Some(content) = content else {
            let problem = format!("document {position} disappeared during the check");
            self.report.problems.push(problem);
            return;
        };
        let records = log.follow(&position, content, &mut self.report);
        self.report.documents += 1;
        self.report.records += records.len() as u64;
        if last_of(&log.expected).is_none_or(|last| position.number > last) {
            self.report.records_after_newest += records.len() as u64;
        }
        for record in records {
            visit(&position, record);
        }
    }

    /// Compares the log that was read with the checkpoints.
    fn end_log(&mut self) {
        let Some(log) = self.current.take() else {
            return;
        };
        if let Some(last) = last_of(&log.expected).filter(|last| *last > log.end.number) {
            self.report.problems.push(format!(
                "log {} ends with document {}, and a checkpoint has its document {last}",
                log.writer, log.end.number
            ));
        }
    }

    fn finish(mut self) -> AuditReport {
        self.end_log();
        let gone = self
            .expected
            .iter()
            .filter_map(|(writer, ends)| Some((writer, last_of(ends).filter(|last| *last > 0)?)));
        self.report.problems.extend(gone.map(|(writer, last)| {
            format!("log {writer} is missing; a checkpoint has its document {last}")
        }));
        self.report
    }
}

impl CurrentLog {
    /// Follows one document, and returns its records.
    fn follow(
        &mut self,
        position: &AuditPosition,
        content: &[u8],
        report: &mut AuditReport,
    ) -> Vec<AuditRecord> {
        let (number, writer) = (position.number, &self.writer);
        let mut problem = |problem: String| report.problems.push(problem);
        let expected = self.end.number + 1;
        if number != expected {
            let missing = missing("document", expected, number - 1);
            problem(format!("{missing} in log {writer}"));
        }
        if self.state == LogState::Closed {
            problem(format!(
                "document {position} comes after the end of its log"
            ));
        }
        let sha256 = Sha256Digest::of(content);
        let of_checkpoint = self.expected.get(&number);
        if of_checkpoint.is_some_and(|expected| *expected != sha256) {
            problem(format!(
                "document {position} is not the one that a checkpoint has"
            ));
        }
        let mut records = Vec::new();
        match serde_json::from_slice::<LogDocument>(content) {
            Ok(document) => {
                if document.sequence != number || document.writer != *writer {
                    let says = format!("{}/{}", document.writer, document.sequence);
                    problem(format!(
                        "document {position} says that it is document {says}"
                    ));
                }
                if number == expected && document.previous != self.end.sha256 {
                    let before = number - 1;
                    problem(format!(
                        "document {before} is not the one that document {position} was written after"
                    ));
                }
                match document.content {
                    LogContent::Records(found) => records = found,
                    LogContent::Closed { .. } => self.state = LogState::Closed,
                }
            }
            Err(error) => problem(format!("document {position} is not readable: {error}")),
        }
        self.end = ChainEnd { number, sha256 };
        records
    }
}

fn last_of(ends: &Ends) -> Option<u64> {
    ends.last_key_value().map(|(last, _)| *last)
}

fn missing(what: &str, from: u64, to: u64) -> String {
    if from == to {
        format!("{what} {from} is missing")
    } else {
        format!("{what}s {from} to {to} are missing")
    }
}
