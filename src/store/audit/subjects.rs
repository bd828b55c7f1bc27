//! Finds records by their subject, where no document of the ledger has their positions: who verified, played or held a
//! recording, and what was done to it at ACS. Knows no chains.
//!
//! ```text
//! audit-subjects/<sha256 of the subject>/<5 digits>/<8 digits>-<log>-<12 digits>
//! ```
//! A marker: this document of the log has such a record. The first 13 digits are the time of the newest one, counted
//! backwards, so that one request lists the newest. A marker is written before its document, so that no record lacks its
//! marker. Readers skip a marker without a record.

mod beyond;
mod expected;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::name::{AuditPosition, number_of_key};
use super::record::AuditRecord;
use super::{AuditLog, StoreError};
use crate::recording::{CallId, RecordingId};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition};
use crate::store::index::{DIGITS, DIGITS_OF_FOLDER, back_ms};

pub use expected::{ExpectedMarkers, MarkerCheck};

pub(super) const SUBJECTS: &str = "audit-subjects/";
/// Markers of one document that are written at once.
const AT_ONCE: usize = 32;
const DIGITS_OF_NUMBER: usize = 12;

/// A document of the log that may have records of a subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkedDocument {
    /// The smaller, the newer.
    back_ms: i64,
    pub position: AuditPosition,
}

/// A subject of records, however its id is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectKey(Sha256Digest);

impl SubjectKey {
    /// `subject`: as records have it.
    pub fn of(subject: &str) -> Self {
        let id = |kind: &str| subject.strip_prefix(kind);
        let recording = id("recording ").and_then(|id| id.parse::<RecordingId>().ok());
        let call = id("call ").and_then(|id| id.parse::<CallId>().ok());
        let name = match (&recording, &call) {
            (Some(id), _) => format!("recording {}", id.key()),
            (None, Some(id)) => format!("call {}", id.key()),
            (None, None) => subject.to_owned(),
        };
        Self(Sha256Digest::of(name.as_bytes()))
    }

    /// Returns the name of the subject in keys.
    pub fn name(self) -> Sha256Digest {
        self.0
    }

    fn prefix(self) -> String {
        format!("{SUBJECTS}{}/", self.0)
    }

    fn marker(self, at: Timestamp, position: &AuditPosition) -> String {
        let AuditPosition { writer, number } = position;
        let back = format!("{:0DIGITS$}", back_ms(at));
        let (folder, rest) = back.split_at(DIGITS_OF_FOLDER);
        let prefix = self.prefix();
        format!("{prefix}{folder}/{rest}-{writer}-{number:0DIGITS_OF_NUMBER$}")
    }

    fn marked(self, key: &str) -> Option<MarkedDocument> {
        MarkedDocument::of(key.strip_prefix(&self.prefix())?)
    }
}

impl MarkedDocument {
    /// `rest`: a marker's key without its subject.
    fn of(rest: &str) -> Option<Self> {
        let (folder, name) = rest.split_once('/')?;
        let (rest, document) = name.split_once('-')?;
        let (writer, number) = document.rsplit_once('-')?;
        Some(Self {
            back_ms: format!("{folder}{rest}").parse().ok()?,
            position: AuditPosition {
                writer: writer.parse().ok()?,
                number: number_of_key(number)?,
            },
        })
    }

    /// The document of a marker of any subject.
    fn of_key(key: &str) -> Option<Self> {
        let (_, rest) = key.strip_prefix(SUBJECTS)?.split_once('/')?;
        Self::of(rest)
    }

    /// Whether its record was made at this time or later.
    pub fn is_from(&self, at: Timestamp) -> bool {
        self.back_ms <= back_ms(at)
    }

    /// Whether its record was made after this time.
    pub fn is_after(&self, at: Timestamp) -> bool {
        self.back_ms < back_ms(at)
    }
}

/// The time of the newest marked record of each subject, in one document.
#[derive(Debug, Default)]
struct NewestOfSubjects(BTreeMap<SubjectKey, Timestamp>);

impl NewestOfSubjects {
    fn add(&mut self, record: &AuditRecord) {
        if !record.action.is_marked() {
            return;
        }
        let subject = SubjectKey::of(&record.subject);
        let at = self.0.entry(subject).or_insert(record.at);
        *at = record.at.max(*at);
    }

    /// The keys of the document's markers.
    fn markers(self, position: &AuditPosition) -> impl Iterator<Item = String> {
        let newest = self.0.into_iter();
        newest.map(|(subject, at)| subject.marker(at, position))
    }
}

impl AuditLog {
    /// Returns at most `limit` documents that may have records of a subject, newest first, with one request.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn newest_of(
        &self,
        subject: SubjectKey,
        limit: usize,
    ) -> Result<Vec<MarkedDocument>, StoreError> {
        let keys = self.store.list(&subject.prefix(), None, limit).await?;
        Ok(keys.iter().filter_map(|key| subject.marked(key)).collect())
    }

    /// Writes the markers of a document again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn mark_again(
        &self,
        position: &AuditPosition,
        records: &[AuditRecord],
    ) -> Result<(), StoreError> {
        mark(&*self.store, position, records).await
    }
}

/// Writes the markers of a document that is about to be written.
pub(super) async fn mark(
    store: &dyn DocumentStore,
    position: &AuditPosition,
    records: &[AuditRecord],
) -> Result<(), StoreError> {
    let mut newest = NewestOfSubjects::default();
    for record in records {
        newest.add(record);
    }
    let keys: Vec<String> = newest.markers(position).collect();
    futures::stream::iter(keys)
        .map(|key| async move {
            // A conflict is an earlier attempt of ours: no other process writes into this log.
            let put = store.put(&key, Bytes::from_static(b"{}"), Precondition::Absent);
            put.await.map(drop)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::audit::{Actor, AuditAction};
    use crate::vault::memory::MemoryDocumentStore;

    fn log(store: &Arc<MemoryDocumentStore>) -> Arc<AuditLog> {
        let clock = ManualClock::starting_at("2026-03-02T10:00:00Z".parse().unwrap());
        Arc::new(AuditLog::new(store.clone(), Arc::new(clock)))
    }

    #[test]
    fn every_spelling_of_an_id_is_one_subject_and_a_call_is_no_recording() {
        let of = SubjectKey::of;
        assert_eq!(of("recording aHR0cHM6="), of("recording aHR0cHM6"));
        assert_eq!(of("call aHR0cHM6="), of("call aHR0cHM6"));
        assert_ne!(of("call r"), of("recording r"));
        assert_ne!(of("recordings of r"), of("recording s of r"));
    }

    #[tokio::test]
    async fn records_are_found_by_their_subject_in_the_logs_of_all_processes() {
        let store = Arc::new(MemoryDocumentStore::default());
        let (one, other) = (log(&store), log(&store));
        let append = async |log: &AuditLog, action, subject: &str| {
            let appending = log.append(Actor::Operator, action, subject, Value::Null);
            appending.await.unwrap()
        };
        let held = append(&one, AuditAction::Held, "recording r").await;
        append(&one, AuditAction::Held, "recording s").await;
        append(&one, AuditAction::Exported, "recording r").await;
        let paused = append(&other, AuditAction::Paused, "recording r").await;
        let mut expected = vec![held, paused];
        expected.sort();
        let found = one.newest_of(SubjectKey::of("recording r"), 10).await;
        let mut found: Vec<_> = found.unwrap().into_iter().map(|of| of.position).collect();
        found.sort();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn the_newest_documents_come_first_also_where_an_older_log_wrote_them() {
        let store = Arc::new(MemoryDocumentStore::default());
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::starting_at(start));
        let older = AuditLog::new(store.clone(), clock.clone());
        let newer = AuditLog::new(store.clone(), clock.clone());
        let mut written = Vec::new();
        for turn in 0..6 {
            let log = if turn % 2 == 0 { &older } else { &newer };
            let appending = log.append(
                Actor::Operator,
                AuditAction::Held,
                "recording r",
                Value::Null,
            );
            written.push(appending.await.unwrap());
            clock.advance(std::time::Duration::from_hours(11));
        }
        let subject = SubjectKey::of("recording r");
        let found = newer.newest_of(subject, 4).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|of| of.position).collect();
        let expected: Vec<_> = written.iter().rev().take(4).cloned().collect();
        assert_eq!(found, expected);
        let all = newer.newest_of(subject, 10).await.unwrap();
        for of in &all {
            let records = newer.records(&of.position).await.unwrap();
            newer.mark_again(&of.position, &records).await.unwrap();
        }
        let again = newer.newest_of(subject, 10).await.unwrap();
        assert_eq!(again, all, "a marker that is written again is the same");
    }
}
