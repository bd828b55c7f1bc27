//! Records who accessed recordings. They are written a moment later, so that no caller waits, and those of that moment
//! may be lost when the process ends. Other dropped records are counted, and the count becomes a record.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::AuditAction;
use super::record::{Actor, AuditRecord};
use super::{AuditLog, StoreError};
use crate::error_chain::ErrorChain;

/// How long records wait for others.
const DELAY: Duration = Duration::from_secs(1);
/// Records in one document.
const RECORDS_AT_ONCE: usize = 1000;
/// Records beyond this number are dropped, and counted.
const WAITING_AT_MOST: usize = 10_000;
/// A player requests a file in many parts: within this time, repeated access by the same caller is one record.
const SAME_ACCESS: Duration = Duration::from_mins(10);
/// Accesses that are remembered to detect repeated ones; beyond this number all are dropped at once.
const REMEMBERED_AT_MOST: usize = 10_000;

/// Records of access on their way.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    waiting: VecDeque<AuditRecord>,
    /// Records whose document could not be written, or may exist without an answer: they are written again unchanged, so that
    /// none is in the log twice.
    unwritten: Vec<Vec<AuditRecord>>,
    dropped: u64,
    is_writing: bool,
    recent: HashMap<(String, String), Timestamp>,
}

/// Records that are being written. Those whose writing fails or is cut off wait again.
struct Writing<'a> {
    log: &'a AuditLog,
    records: Vec<AuditRecord>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.records.is_empty() {
            let records = std::mem::take(&mut self.records);
            self.log.accesses().unwritten.push(records);
        }
    }
}

impl Accesses {
    fn add(&mut self, record: AuditRecord) {
        if self.waiting.len() < WAITING_AT_MOST {
            self.waiting.push_back(record);
            return;
        }
        if self.dropped == 0 {
            tracing::error!(
                "The audit log cannot be written; records of access are dropped and counted"
            );
        }
        self.dropped += 1;
    }

    /// The records of the next document; none if all are written.
    fn next(&mut self, now: Timestamp) -> Vec<AuditRecord> {
        if let Some(records) = self.unwritten.pop() {
            return records;
        }
        let dropped = std::mem::take(&mut self.dropped);
        let gap = (dropped > 0).then(|| AuditRecord {
            at: now,
            actor: Actor::Handler,
            action: AuditAction::AccessesDropped,
            subject: "access".to_owned(),
            detail: json!({"count": dropped}),
        });
        let count = self.waiting.len().min(RECORDS_AT_ONCE);
        self.waiting.drain(..count).chain(gap).collect()
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.unwritten.is_empty() && self.dropped == 0
    }

    /// Whether the same access was recorded a moment ago.
    fn is_repeated(&mut self, record: &AuditRecord) -> bool {
        if !matches!(record.action, AuditAction::Played | AuditAction::Downloaded) {
            return false;
        }
        let who = format!("{} {}", record.action, record.detail);
        let key = (record.subject.clone(), who);
        let before = self.recent.get(&key);
        if before.is_some_and(|at| record.at.duration_since(*at).unsigned_abs() < SAME_ACCESS) {
            return true;
        }
        if self.recent.len() >= REMEMBERED_AT_MOST {
            self.recent.clear();
        }
        self.recent.insert(key, record.at);
        false
    }
}

impl AuditLog {
    /// Records an access. Returns at once; the record is written at most a second later, unless the storage fails.
    pub fn note_access(self: &Arc<Self>, action: AuditAction, subject: &str, detail: Value) {
        let record = AuditRecord {
            at: self.clock.now(),
            actor: Actor::Operator,
            action,
            subject: subject.to_owned(),
            detail,
        };
        let mut accesses = self.accesses();
        if accesses.is_repeated(&record) {
            return;
        }
        accesses.add(record);
        if !std::mem::replace(&mut accesses.is_writing, true) {
            let log = Arc::clone(self);
            // One task at a time. It ends when no record waits. If it is cut off, the records of that moment may be
            // lost.
            tokio::spawn(async move { log.write_accesses_as_they_come().await });
        }
    }

    async fn write_accesses_as_they_come(&self) {
        loop {
            tokio::time::sleep(DELAY).await;
            if let Err(error) = self.write_accesses().await {
                tracing::debug!(error = %ErrorChain(&error), "Could not write records of access; they wait");
            }
            let mut accesses = self.accesses();
            if accesses.is_done() {
                accesses.is_writing = false;
                return;
            }
        }
    }

    /// Writes the waiting records of access, and a record of the number that was dropped before.
    ///
    /// # Errors
    /// When the storage fails; the records that are not written wait again then.
    pub async fn write_accesses(&self) -> Result<(), StoreError> {
        loop {
            let mut writing = Writing {
                log: self,
                records: self.accesses().next(self.clock.now()),
            };
            if writing.records.is_empty() {
                return Ok(());
            }
            self.append_document(&writing.records).await?;
            writing.records.clear();
        }
    }

    fn accesses(&self) -> std::sync::MutexGuard<'_, Accesses> {
        self.accesses.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures::{StreamExt as _, TryStreamExt as _};

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::document_store::{
        DocumentRemoval, DocumentStore, Precondition, PutOutcome, Version, Versioned,
    };
    use crate::vault::memory::MemoryDocumentStore;

    /// Fails from one write of a log document on, after it was written, until it is repaired.
    struct LostAnswers {
        store: MemoryDocumentStore,
        documents_until_failure: AtomicUsize,
    }

    impl LostAnswers {
        fn is_failing(&self) -> bool {
            self.documents_until_failure.load(Ordering::SeqCst) == 0
        }

        fn failure(key: &str) -> StoreError {
            StoreError {
                action: "write",
                key: key.to_owned(),
                source: "no answer".into(),
            }
        }
    }

    #[async_trait::async_trait]
    impl DocumentStore for LostAnswers {
        async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
            if self.is_failing() {
                return Err(Self::failure(key));
            }
            self.store.find(key).await
        }

        async fn put(
            &self,
            key: &str,
            content: Bytes,
            condition: Precondition,
        ) -> Result<PutOutcome, StoreError> {
            if self.is_failing() {
                return Err(Self::failure(key));
            }
            let written = self.store.put(key, content, condition).await?;
            if key.starts_with("audit/2") {
                self.documents_until_failure.fetch_sub(1, Ordering::SeqCst);
            }
            if self.is_failing() {
                return Err(Self::failure(key));
            }
            Ok(written)
        }

        async fn remove(&self, key: &str) -> Result<(), StoreError> {
            self.store.remove(key).await
        }

        async fn remove_unchanged(
            &self,
            key: &str,
            version: &Version,
        ) -> Result<DocumentRemoval, StoreError> {
            self.store.remove_unchanged(key, version).await
        }

        async fn list(
            &self,
            prefix: &str,
            after: Option<&str>,
            limit: usize,
        ) -> Result<Vec<String>, StoreError> {
            self.store.list(prefix, after, limit).await
        }
    }

    #[tokio::test(start_paused = true)]
    #[rstest::rstest]
    async fn an_access_is_in_the_log_once_where_its_document_was_written_without_an_answer(
        #[values(1, 2, 3)] documents_until_failure: usize,
        #[values(false, true)] another_writes_first: bool,
    ) {
        const COUNT: usize = 2 * RECORDS_AT_ONCE + 500;
        let store = Arc::new(LostAnswers {
            store: MemoryDocumentStore::default(),
            documents_until_failure: AtomicUsize::new(documents_until_failure),
        });
        let clock = ManualClock::starting_at("2026-03-02T10:00:00Z".parse().unwrap());
        let log = Arc::new(AuditLog::new(store.clone(), Arc::new(clock)));
        for number in 0..COUNT {
            log.note_access(AuditAction::Played, &format!("chunk-{number}"), json!({}));
        }
        log.write_accesses().await.unwrap_err();
        store
            .documents_until_failure
            .store(usize::MAX, Ordering::SeqCst);
        if another_writes_first {
            log.append(
                Actor::Operator,
                AuditAction::Held,
                "recording r",
                Value::Null,
            )
            .await
            .unwrap();
        }
        log.note_access(AuditAction::Played, "chunk-later", json!({}));
        log.write_accesses().await.unwrap();
        log.write_accesses().await.unwrap();

        let documents: Vec<_> = log.documents().boxed().try_collect().await.unwrap();
        let records = documents.into_iter().flat_map(|(_, records)| records);
        let mut played: Vec<String> = records
            .filter(|record| record.action == AuditAction::Played)
            .map(|record| record.subject)
            .collect();
        assert_eq!(played.len(), COUNT + 1);
        played.sort();
        played.dedup();
        assert_eq!(played.len(), COUNT + 1);
        assert!(log.verify().await.unwrap().problems.is_empty());
    }
}
