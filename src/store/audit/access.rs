//! Records who accessed recordings. They are written a moment later, so that no caller waits, and those of that moment
//! may be lost when the process ends. Other dropped records are counted, and the count becomes a record. A record whose
//! name the storage refuses waits apart, so that it delays no other.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
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
/// Records that wait because the storage refuses their names; those beyond this number are dropped, and counted.
const REFUSED_AT_MOST: usize = 10_000;
/// A record whose name is refused for so long is dropped, and counted, if the log itself can be written.
const NAME_PATIENCE: Duration = Duration::from_mins(10);
/// Accesses that are remembered to detect repeated ones; beyond this number all are dropped at once.
const REMEMBERED_AT_MOST: usize = 10_000;

/// Records of access on their way.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    waiting: VecDeque<AuditRecord>,
    /// Records whose document could not be written, or may exist without an answer: they are written again unchanged, so that
    /// none is in the log twice.
    unwritten: VecDeque<Vec<AuditRecord>>,
    /// Records whose names the storage refused. No document has them.
    refused: VecDeque<AuditRecord>,
    dropped: u64,
    is_writing: bool,
    recent: HashMap<(String, String), Timestamp>,
}

/// Records that were taken out of the queues. Whatever is left when the writing fails or is cut off goes back.
struct Taken<'a> {
    log: &'a AuditLog,
    records: Vec<AuditRecord>,
    goes_back: GoesBack,
}

/// Where records wait again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoesBack {
    /// No document has them.
    Waiting,
    /// A document may have them.
    Unwritten,
    /// The storage refused their names.
    Refused,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            return;
        }
        let mut accesses = self.log.accesses();
        match self.goes_back {
            GoesBack::Waiting => records
                .into_iter()
                .rev()
                .for_each(|record| accesses.waiting.push_front(record)),
            GoesBack::Unwritten => accesses.unwritten.push_back(records),
            GoesBack::Refused => accesses.refuse(records),
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

    /// The oldest waiting records, as many as one document has.
    fn next_waiting(&mut self) -> Vec<AuditRecord> {
        let count = self.waiting.len().min(RECORDS_AT_ONCE);
        self.waiting.drain(..count).collect()
    }

    /// Records whose names were refused, as many as one document has.
    fn next_refused(&mut self) -> Vec<AuditRecord> {
        let count = self.refused.len().min(RECORDS_AT_ONCE);
        self.refused.drain(..count).collect()
    }

    /// Whether there are records, or a number of dropped ones, that were not tried yet.
    fn has_new(&self) -> bool {
        !self.waiting.is_empty() || self.dropped > 0
    }

    /// The record of what was dropped since the last one.
    fn gap(&mut self, now: Timestamp) -> Option<AuditRecord> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| gap_of(dropped, now))
    }

    fn refuse(&mut self, records: Vec<AuditRecord>) {
        let room = REFUSED_AT_MOST.saturating_sub(self.refused.len());
        self.dropped += records.len().saturating_sub(room) as u64;
        self.refused.extend(records.into_iter().take(room));
    }

    /// Records whose names were refused for too long.
    fn overdue(&mut self, now: Timestamp) -> Vec<AuditRecord> {
        let all = std::mem::take(&mut self.refused);
        let (overdue, rest): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|record| is_overdue(record, now));
        self.refused = rest;
        overdue.into()
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty()
            && self.unwritten.is_empty()
            && self.refused.is_empty()
            && self.dropped == 0
    }

    /// Whether the same access was recorded a moment ago.
    fn is_repeated(&mut self, record: &AuditRecord) -> bool {
        let is_of_parts = matches!(
            record.action,
            AuditAction::Played | AuditAction::Downloaded | AuditAction::PersonSearched
        );
        if !is_of_parts {
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
    /// When the storage fails, or refuses names; the records that are not written wait again then.
    pub async fn write_accesses(&self) -> Result<(), StoreError> {
        let mut refusal = self.write_unwritten().await?;
        while self.accesses().has_new() {
            let records = self.accesses().next_waiting();
            if let Some(error) = self.write_new(records).await? {
                refusal = Some(error);
                break;
            }
        }
        let refused = self.accesses().next_refused();
        refusal = self.write_new(refused).await?.or(refusal);
        self.drop_overdue().await?;
        refusal.map_or(Ok(()), Err)
    }

    /// Writes again the documents that may exist, each once. Returns the last refusal of a name.
    async fn write_unwritten(&self) -> Result<Option<StoreError>, StoreError> {
        let mut refusal = None;
        let count = self.accesses().unwritten.len();
        for _ in 0..count {
            let Some(records) = self.accesses().unwritten.pop_front() else {
                break;
            };
            let mut taken = self.taken(records, GoesBack::Unwritten);
            match self.private.seal(&taken.records).await {
                Ok(sealed) => {
                    self.append_document(&sealed).await?;
                    taken.records.clear();
                }
                Err(error) => {
                    let now = self.clock.now();
                    if taken.records.iter().all(|record| is_overdue(record, now)) {
                        taken.goes_back = GoesBack::Refused;
                    }
                    refusal = Some(error);
                }
            }
        }
        Ok(refusal)
    }

    /// Writes records of which no document exists, but for those whose names are refused. Returns the last refusal.
    async fn write_new(&self, records: Vec<AuditRecord>) -> Result<Option<StoreError>, StoreError> {
        let mut taken = self.taken(records, GoesBack::Waiting);
        let kept = self.private.keep_names_of(taken.records.clone()).await;
        taken.records.clear();
        // In this order the names that were not tried are the first of the next turn.
        drop(self.taken(kept.untried, GoesBack::Waiting));
        drop(self.taken(kept.refused, GoesBack::Refused));
        let gap = self.accesses().gap(self.clock.now());
        let document = kept.stored.into_iter().chain(gap).collect();
        let mut writing = self.taken(document, GoesBack::Unwritten);
        if !writing.records.is_empty() {
            let sealed = self.private.seal(&writing.records).await?;
            self.append_document(&sealed).await?;
            writing.records.clear();
        }
        Ok(kept.error)
    }

    /// Drops the records whose names were refused for too long, after the log has their number: where it cannot be
    /// written either, the storage may be unavailable, and they wait.
    async fn drop_overdue(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let overdue = self.accesses().overdue(now);
        if overdue.is_empty() {
            return Ok(());
        }
        let mut taken = self.taken(overdue, GoesBack::Refused);
        let count = taken.records.len() as u64;
        self.append_document(&[gap_of(count, now)]).await?;
        taken.records.clear();
        tracing::error!(
            count,
            "Dropped records of access: the storage refused their names for 10 minutes; the audit log has their number"
        );
        Ok(())
    }

    fn taken(&self, records: Vec<AuditRecord>, goes_back: GoesBack) -> Taken<'_> {
        Taken {
            log: self,
            records,
            goes_back,
        }
    }

    fn accesses(&self) -> std::sync::MutexGuard<'_, Accesses> {
        self.accesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_overdue(record: &AuditRecord, now: Timestamp) -> bool {
    let age = now.duration_since(record.at);
    age.is_positive() && age.unsigned_abs() > NAME_PATIENCE
}

fn gap_of(count: u64, now: Timestamp) -> AuditRecord {
    AuditRecord {
        at: now,
        actor: Actor::Handler,
        action: AuditAction::AccessesDropped,
        subject: "access".to_owned(),
        detail: json!({"count": count}),
    }
}

#[cfg(test)]
mod refused_names;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::faulty_store::{Faults, FaultyStore, Request};

    /// Fails from one write of a log document on, after it was written, until it is repaired.
    struct LostAnswers {
        documents_until_failure: AtomicUsize,
    }

    impl Faults for LostAnswers {
        fn fails(&self, request: Request<'_>, key: &str) -> bool {
            if request == Request::PutAnswer && key.starts_with("audit/2") {
                self.documents_until_failure.fetch_sub(1, Ordering::SeqCst);
            }
            self.documents_until_failure.load(Ordering::SeqCst) == 0
        }
    }

    #[tokio::test(start_paused = true)]
    #[rstest::rstest]
    async fn an_access_is_in_the_log_once_where_its_document_was_written_without_an_answer(
        #[values(1, 2, 3)] documents_until_failure: usize,
        #[values(false, true)] another_writes_first: bool,
    ) {
        const COUNT: usize = 2 * RECORDS_AT_ONCE + 500;
        let store = FaultyStore::new(LostAnswers {
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

        let records = log.all_records().await;
        let mut played: Vec<String> = records
            .into_iter()
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
