//! The log that one process extends. No other process writes into it, except for the one document that closes it.
//!
//! ```text
//! live marker ─▶ document 1 ─▶ document 2 ─▶ … ─▶ closed, by a sweep: the writer begins another log
//! ```
//! Each document is created on the condition that its number is free. So a number that is taken is either an earlier
//! attempt of ours, whose response was lost, or the end.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::name::{AuditPosition, WriterName};
use super::record::{AuditRecord, ChainEnd, LiveMarker, LogContent, LogDocument};
use super::runs::{self, RunKey};
use super::subjects;
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError};

/// Earlier attempts that may have been written after all; a process makes one attempt at a time.
const LOST_ANSWERS_TOLERATED: u32 = 64;

/// Attempts that were reported as failed and may be repeated: records of access only, which are few.
const FOUND_AT_MOST: usize = 4;

/// Appends in a row that fail before another log is begun: what has the next number may be unreadable for good.
const FAILURES_TOLERATED: u32 = 3;

/// How often the writer makes sure of the marker of its log.
const MARK_EVERY: Duration = Duration::from_mins(1);

/// The log of this process.
#[derive(Debug)]
pub(super) struct OwnLog {
    name: WriterName,
    began: Timestamp,
    marked_at: Instant,
    failures: u32,
    end: ChainEnd,
    /// The newest attempts that were reported as failed, and were found to be written.
    found: VecDeque<(AuditPosition, Vec<AuditRecord>)>,
}

/// Outcome of an append.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    At(AuditPosition),
    /// The log is closed. Nothing was written.
    Closed,
}

impl OwnLog {
    /// Begins a log. Its marker comes first, so that a sweep finds all that is written.
    pub async fn begin(store: &dyn DocumentStore, now: Timestamp) -> Result<Self, StoreError> {
        let name = WriterName::beginning_at(now);
        write_marker(store, &name, now).await?;
        Ok(Self {
            name,
            began: now,
            marked_at: Instant::now(),
            failures: 0,
            end: ChainEnd::START,
            found: VecDeque::new(),
        })
    }

    /// Whether so many appends in a row failed that another log is worth a try.
    pub fn is_stuck(&self) -> bool {
        self.failures >= FAILURES_TOLERATED
    }

    /// Appends a document. After a failure it may exist: the next append finds it, and a repeat with the same records does
    /// not write them again.
    pub async fn append(
        &mut self,
        store: &dyn DocumentStore,
        now: Timestamp,
        records: &[AuditRecord],
        runs: &[RunKey],
    ) -> Result<Appended, StoreError> {
        let appended = self.try_append(store, now, records, runs).await;
        self.failures = if appended.is_ok() {
            0
        } else {
            self.failures + 1
        };
        if matches!(appended, Ok(Appended::At(_))) {
            self.mark_again(store).await;
        }
        appended
    }

    /// Writes the marker again if it was removed: without it a sweep may not find the log. What fails is repeated by
    /// the next append.
    async fn mark_again(&mut self, store: &dyn DocumentStore) {
        if self.marked_at.elapsed() < MARK_EVERY {
            return;
        }
        match write_marker(store, &self.name, self.began).await {
            Ok(()) => self.marked_at = Instant::now(),
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "Could not make sure of the marker of the audit log");
            }
        }
    }

    async fn try_append(
        &mut self,
        store: &dyn DocumentStore,
        now: Timestamp,
        records: &[AuditRecord],
        runs: &[RunKey],
    ) -> Result<Appended, StoreError> {
        if let Some(position) = self.position_of_earlier(records) {
            return Ok(Appended::At(position));
        }
        for _ in 0..LOST_ANSWERS_TOLERATED {
            let number = self.end.number + 1;
            let position = AuditPosition {
                writer: self.name.clone(),
                number,
            };
            subjects::mark(store, &position, records).await?;
            runs::mark(store, &position, runs).await?;
            let document = LogDocument {
                writer: self.name.clone(),
                sequence: number,
                previous: self.end.sha256,
                at: now,
                content: LogContent::Records(records.to_vec()),
            };
            let content =
                Bytes::from(serde_json::to_vec(&document).expect("a record has string keys only"));
            match self.create(store, number, content).await? {
                Created::Ours => return Ok(Appended::At(position)),
                Created::EarlierAttempt { records: earlier } if earlier == records => {
                    return Ok(Appended::At(position));
                }
                Created::EarlierAttempt { records: earlier } => {
                    self.found.truncate(FOUND_AT_MOST - 1);
                    self.found.push_front((position, earlier));
                }
                Created::Closed => return Ok(Appended::Closed),
            }
        }
        Ok(Appended::Closed)
    }

    fn position_of_earlier(&self, records: &[AuditRecord]) -> Option<AuditPosition> {
        let mut found = self.found.iter();
        let same = found.find(|(_, earlier)| earlier == records);
        same.map(|(position, _)| position.clone())
    }

    async fn create(
        &mut self,
        store: &dyn DocumentStore,
        number: u64,
        content: Bytes,
    ) -> Result<Created, StoreError> {
        let key = self.name.document(number);
        let failure = match store.put(&key, content.clone(), Precondition::Absent).await {
            Ok(PutOutcome::Written(_)) => {
                self.end = end_at(number, &content);
                return Ok(Created::Ours);
            }
            Ok(PutOutcome::Conflict) => None,
            Err(error) => Some(error),
        };
        let found = match (store.find(&key).await, failure) {
            (Ok(Some(found)), _) => found.content,
            (_, Some(failure)) | (Err(failure), None) => return Err(failure),
            // It was removed: a check will find the gap. We continue in another log.
            (Ok(None), None) => return Ok(Created::Closed),
        };
        let end = end_at(number, &found);
        if found == content {
            self.end = end;
            return Ok(Created::Ours);
        }
        let document = serde_json::from_slice::<LogDocument>(&found).ok();
        let document = document.filter(|document| document.previous == self.end.sha256);
        let records = match document.map(|document| document.content) {
            Some(LogContent::Records(records)) => records,
            Some(LogContent::Closed { .. }) | None => return Ok(Created::Closed),
        };
        self.end = end;
        Ok(Created::EarlierAttempt { records })
    }
}

/// Who wrote the document with the number.
enum Created {
    Ours,
    /// Also ours, from an append that was reported as failed.
    EarlierAttempt {
        records: Vec<AuditRecord>,
    },
    /// A sweep's, or a stranger's.
    Closed,
}

/// A conflict is our own earlier write: no other process has this name.
async fn write_marker(
    store: &dyn DocumentStore,
    name: &WriterName,
    began: Timestamp,
) -> Result<(), StoreError> {
    let marker = serde_json::to_vec(&LiveMarker { began }).expect("it has string keys only");
    let key = name.live_marker();
    let put = store.put(&key, marker.into(), Precondition::Absent);
    put.await.map(drop)
}

fn end_at(number: u64, content: &[u8]) -> ChainEnd {
    ChainEnd {
        number,
        sha256: Sha256Digest::of(content),
    }
}
