//! Follows all chains from their beginnings, and reports every break, and what could not be checked.
//!
//! Checkpoints are read before the logs: the ledger is alive, so a log may have more than a checkpoint says, and never less.
//! A document that cannot be read stops nothing else.

mod checkpoints;
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use super::gaps::LogGaps;
use super::name::{self, AuditPosition, CHECKPOINTS, CheckpointRef, WriterName};
use super::private::{CheckedNames, PrivateCheck};
use super::reading::{AT_ONCE, ReadDocument, records_in};
use super::record::{AuditRecord, Checkpoint};
use super::{AuditLog, StoreError};
use crate::counted::counted;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Damage;
use crate::store::listing::keys;
use checkpoints::CheckpointWalk;
use logs::LogWalk;

/// Names and texts that are reported one by one; the others are counted.
const PRIVATE_PROBLEMS_AT_MOST: usize = 1000;
/// Documents that could not be read and are reported one by one; the others are counted.
const UNREAD_AT_MOST: usize = 100;
/// The clocks of a writer and of a sweep may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_mins(10);

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
    /// When the first checkpoint was written.
    pub first_at: Option<Timestamp>,
    /// When the first document of all logs was written.
    pub began_at: Option<Timestamp>,
    /// Records that no checkpoint has. Their chains are intact, but a truncation would not be detected.
    pub records_after_newest: u64,
    /// When the first of them was written.
    pub uncovered_since: Option<Timestamp>,
    /// One sentence for each problem; none means that all chains are intact.
    pub problems: Vec<String>,
    /// What could not be checked, and why.
    #[serde(skip)]
    pub not_checked: Vec<String>,
    /// Documents that could not be read.
    #[serde(skip)]
    pub unread: BTreeSet<AuditPosition>,
    /// The last document of each log that was followed.
    #[serde(skip)]
    pub ends: BTreeMap<WriterName, u64>,
    /// The days (UTC) on which checkpoints were written.
    #[serde(skip)]
    pub checkpoint_days: BTreeSet<jiff::civil::Date>,
    /// Markers of open logs.
    #[serde(skip)]
    pub markers: u64,
}

impl AuditReport {
    /// There is no log: no document, no checkpoint, and no trace of one.
    pub fn is_empty(&self) -> bool {
        self.has_no_chain()
            && self.markers == 0
            && self.problems.is_empty()
            && self.not_checked.is_empty()
    }

    /// Neither a document of a log nor a checkpoint was found.
    pub fn has_no_chain(&self) -> bool {
        self.documents == 0 && self.checkpoints == 0 && self.unread.is_empty()
    }

    fn unread(&mut self, position: AuditPosition, reason: &StoreError) {
        if self.unread.len() < UNREAD_AT_MOST {
            let what = format!("document {position} could not be read");
            self.not_read(what, reason);
        }
        self.unread.insert(position);
    }

    /// Reports what could not be read. What this program cannot have written is a problem.
    fn not_read(&mut self, what: String, error: &StoreError) {
        let reason = ErrorChain(error);
        let sentence = format!("{what}: {reason}");
        let damage = error.damaged().map(|damaged| damaged.damage);
        match damage {
            Some(Damage::TooLarge) => self.problems.push(sentence),
            Some(Damage::Archived) | None => self.not_checked.push(sentence),
        }
    }
}

/// The documents of logs that checkpoints have.
#[derive(Debug)]
pub struct CheckpointedDocuments {
    /// The last one of each log.
    last: Vec<AuditPosition>,
    /// Checkpoints that are missing or not readable.
    unread: usize,
}

impl CheckpointedDocuments {
    /// Adds those that are missing, after the log was read.
    pub fn add_to(&self, gaps: &mut LogGaps) {
        gaps.add(self.unread as u64);
        for place in &self.last {
            gaps.expect(place);
        }
    }
}

/// A document of the log, with its place in the order of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedDocument {
    pub position: AuditPosition,
    /// The first checkpoint that covers it; the number after the newest one if none does.
    pub checkpoint: u64,
}

/// How many documents have names and texts that could not be checked, by the reason.
type UncheckedTexts = BTreeMap<String, u64>;

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

    /// Reads the whole log and checks for edits, gaps, reorderings, truncations and missing logs, for logs that were added
    /// later, and for names and texts that were changed, or removed without an erasure.
    ///
    /// # Errors
    /// When the storage cannot be listed.
    pub async fn verify(&self) -> Result<AuditReport, StoreError> {
        self.verify_each(|_, _| {}).await
    }

    /// The same; calls `visit` with every readable record.
    ///
    /// # Errors
    /// When the storage cannot be listed.
    pub async fn verify_each(
        &self,
        visit: impl FnMut(&FollowedDocument, AuditRecord) + Send,
    ) -> Result<AuditReport, StoreError> {
        // Before the checkpoints: the hint may be behind them, and a log without a marker has been in one of them.
        let marked: BTreeSet<WriterName> = self.live().await?.into_iter().collect();
        let hint = self.readable_hint().await;
        let mut checkpoints = CheckpointWalk::new(self.clock.now(), hint);
        self.follow_checkpoints(&mut checkpoints).await?;
        let (mut report, expected) = checkpoints.finish();
        report.markers = marked.len() as u64;
        let logs = LogWalk::new(report, expected, marked, self.clock.now());
        let logs = self.follow_logs(logs, visit).await?;
        let (mut report, suspects) = logs.finish();
        for suspect in suspects {
            // Its log may have begun during the check.
            let found = self.store.find(&suspect.writer.live_marker()).await;
            match found {
                Ok(None) => report.problems.push(suspect.problem()),
                Ok(Some(_)) | Err(_) => report.not_checked.push(suspect.not_checked()),
            }
        }
        let unnamed = report.unread.len().saturating_sub(UNREAD_AT_MOST);
        if unnamed > 0 {
            let reason = format!("{unnamed} more documents could not be read");
            report.not_checked.push(reason);
        }
        Ok(report)
    }

    /// Reads all checkpoints, and returns which documents of logs they have.
    ///
    /// # Errors
    /// When the storage cannot be listed.
    pub async fn checkpointed_documents(&self) -> Result<CheckpointedDocuments, StoreError> {
        let hint = self.readable_hint().await;
        let mut checkpoints = CheckpointWalk::new(self.clock.now(), hint);
        self.follow_checkpoints(&mut checkpoints).await?;
        let not_read = checkpoints.not_read();
        let (report, ends) = checkpoints.finish();
        let last = ends.into_iter().filter_map(|(writer, ends)| {
            let (number, _) = ends.last_key_value()?;
            let number = *number;
            Some(AuditPosition { writer, number })
        });
        Ok(CheckpointedDocuments {
            last: last.collect(),
            unread: report.problems.len() + not_read,
        })
    }

    async fn follow_logs(
        &self,
        mut logs: LogWalk,
        mut visit: impl FnMut(&FollowedDocument, AuditRecord) + Send,
    ) -> Result<LogWalk, StoreError> {
        let checked = &CheckedNames::default();
        let contents = self.contents().map_ok(|(key, document)| async move {
            let private = self.check_texts(&key, &document, checked).await;
            Ok((key, document, private))
        });
        let mut contents = contents.try_buffered(AT_ONCE).boxed();
        let mut private_problems = 0;
        let mut unchecked = UncheckedTexts::new();
        while let Some((key, document, private)) = contents.try_next().await? {
            logs.follow(&key, document, &mut visit);
            let PrivateCheck {
                problems,
                not_checked,
            } = private;
            let room = PRIVATE_PROBLEMS_AT_MOST.saturating_sub(private_problems);
            private_problems += problems.len();
            logs.report.problems.extend(problems.into_iter().take(room));
            if let Some(error) = not_checked {
                let reason = ErrorChain(&error).to_string();
                *unchecked.entry(reason).or_default() += 1;
            }
        }
        let unnamed = private_problems.saturating_sub(PRIVATE_PROBLEMS_AT_MOST);
        if unnamed > 0 {
            let problem = format!("{unnamed} more names and texts are missing or do not match");
            logs.report.problems.push(problem);
        }
        let unchecked = unchecked.into_iter().map(|(reason, documents)| {
            let documents = counted(documents, "document", "documents");
            format!("names and texts of {documents} could not be checked: {reason}")
        });
        logs.report.not_checked.extend(unchecked);
        Ok(logs)
    }

    async fn check_texts(
        &self,
        key: &str,
        document: &ReadDocument,
        checked: &CheckedNames,
    ) -> PrivateCheck {
        // Keys and documents that are not readable are reported with the chains.
        let (Some(position), ReadDocument::Content(content)) =
            (AuditPosition::of_key(key), document)
        else {
            return PrivateCheck::default();
        };
        let place = position.to_string();
        self.check_private(&place, &records_in(content), checked)
            .await
    }

    async fn follow_checkpoints(&self, walk: &mut CheckpointWalk) -> Result<(), StoreError> {
        let keys = keys(&*self.store, CHECKPOINTS, None);
        let reads = keys.map_ok(|key| async move {
            let stored = self.store.find(&key).await;
            Ok((key, stored))
        });
        let mut reads = reads.try_buffered(AT_ONCE);
        while let Some((key, stored)) = reads.try_next().await? {
            match (name::checkpoint_of_key(&key), stored) {
                (Some(number), Ok(Some(stored))) => walk.follow(number, &stored.content),
                (Some(number), Ok(None)) => {
                    walk.problem(format!("checkpoint {number} disappeared during the check"));
                }
                (Some(number), Err(error)) => walk.pass_unread(number, &error),
                (None, _) => walk.problem(format!("`{key}` is no checkpoint")),
            }
        }
        Ok(())
    }
}

/// Whether a time is earlier than another, by clocks that may differ.
fn is_before(time: Timestamp, other: Timestamp) -> bool {
    other
        .checked_sub(CLOCKS_DIFFER)
        .is_ok_and(|other| time < other)
}

fn missing(what: &str, from: u64, to: u64) -> String {
    if from == to {
        format!("{what} {from} is missing")
    } else {
        format!("{what}s {from} to {to} are missing")
    }
}
