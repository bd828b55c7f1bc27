//! Records who accessed recordings. They are written a moment later, so that no caller waits, and those of that moment
//! may be lost when the process ends. Other dropped records are counted, and the count becomes a record.

use std::collections::HashMap;
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
/// Records beyond this number are dropped, and counted.
const WAITING_AT_MOST: usize = 10_000;
/// A player requests a file in many parts: within this time, repeated access by the same caller is one record.
const SAME_ACCESS: Duration = Duration::from_mins(10);
/// Accesses that are remembered to detect repeated ones; beyond this number all are dropped at once.
const REMEMBERED_AT_MOST: usize = 10_000;

/// Records of access on their way.
#[derive(Debug, Default)]
pub(super) struct Accesses {
    waiting: Vec<AuditRecord>,
    dropped: u64,
    is_writing: bool,
    recent: HashMap<(String, String), Timestamp>,
}

impl Accesses {
    fn add(&mut self, record: AuditRecord) {
        if self.waiting.len() < WAITING_AT_MOST {
            self.waiting.push(record);
            return;
        }
        if self.dropped == 0 {
            tracing::error!(
                "The audit log cannot be written; records of access are dropped and counted"
            );
        }
        self.dropped += 1;
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
            if accesses.waiting.is_empty() && accesses.dropped == 0 {
                accesses.is_writing = false;
                return;
            }
        }
    }

    /// Writes the waiting records of access, and a record of the number that was dropped before.
    ///
    /// # Errors
    /// When the storage fails; they wait again then.
    pub async fn write_accesses(&self) -> Result<(), StoreError> {
        let (records, dropped) = {
            let mut accesses = self.accesses();
            let dropped = std::mem::take(&mut accesses.dropped);
            (std::mem::take(&mut accesses.waiting), dropped)
        };
        let gap = (dropped > 0).then(|| AuditRecord {
            at: self.clock.now(),
            actor: Actor::Handler,
            action: AuditAction::AccessesDropped,
            subject: "access".to_owned(),
            detail: json!({"count": dropped}),
        });
        let records: Vec<AuditRecord> = records.into_iter().chain(gap).collect();
        if records.is_empty() {
            return Ok(());
        }
        let writing = self.append_all(&records).await;
        if writing.is_err() {
            let mut accesses = self.accesses();
            let newer = std::mem::take(&mut accesses.waiting);
            let gap_at = records.len() - usize::from(dropped > 0);
            accesses.dropped += dropped;
            for record in records.into_iter().take(gap_at).chain(newer) {
                accesses.add(record);
            }
        }
        writing
    }

    fn accesses(&self) -> std::sync::MutexGuard<'_, Accesses> {
        self.accesses.lock().expect("no holder of this lock panics")
    }
}
