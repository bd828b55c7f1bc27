//! The log that one process extends. No other process writes into it, except for the one document that closes it.
//!
//! ```text
//! live marker ─▶ document 1 ─▶ document 2 ─▶ … ─▶ closed, by a sweep: the writer begins another log
//! ```
//! Each document is created on the condition that its number is free. So a number that is taken is either an earlier
//! attempt of ours, whose response was lost, or the end.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;

use super::name::{AuditPosition, WriterName};
use super::record::{AuditRecord, ChainEnd, LiveMarker, LogContent, LogDocument};
use super::subjects;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError};

/// Earlier attempts that may have been written after all; a process makes one attempt at a time.
const LOST_ANSWERS_TOLERATED: u32 = 64;

/// Attempts that were reported as failed and may be repeated: records of access only, which are few.
const FOUND_AT_MOST: usize = 4;

/// The log of this process.
#[derive(Debug)]
pub(super) struct OwnLog {
    name: WriterName,
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
        let marker =
            serde_json::to_vec(&LiveMarker { began: now }).expect("it has string keys only");
        // A conflict is our own write whose response was lost: no other process has this name.
        store
            .put(&name.live_marker(), marker.into(), Precondition::Absent)
            .await?;
        Ok(Self {
            name,
            end: ChainEnd::START,
            found: VecDeque::new(),
        })
    }

    /// Appends a document. After a failure it may exist: the next append finds it, and a repeat with the same records does
    /// not write them again.
    pub async fn append(
        &mut self,
        store: &dyn DocumentStore,
        now: Timestamp,
        records: &[AuditRecord],
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

fn end_at(number: u64, content: &[u8]) -> ChainEnd {
    ChainEnd {
        number,
        sha256: Sha256Digest::of(content),
    }
}
