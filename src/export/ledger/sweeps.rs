//! The last sweep, and which process takes an overdue one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ChunkLedger;
use crate::clock::is_ahead;
use crate::store::audit::CheckpointRef;
use crate::store::document_store::{Precondition, PutOutcome, StoreError, Version, unless_damaged};

const LAST_SWEEP: &str = "last-sweep.json";
const TAKEN_SWEEP: &str = "taken-sweep.json";

/// The last sweep by the timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSweep {
    pub at: Timestamp,
    pub duration_ms: u64,
    /// The newest checkpoint of the audit log at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_checkpoint: Option<CheckpointRef>,
    /// Why that checkpoint does not cover all records; `None`: it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_uncovered: Option<String>,
    /// The newest timestamp of a checkpoint, as far as the process of the sweep knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_stamp: Option<String>,
}

/// A sweep that a process took over, because the timer did not start one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TakenSweep {
    at: Timestamp,
}

/// The version of `last-sweep.json` as this process wrote it.
#[derive(Debug, Default)]
pub(super) struct NotedSweep(Mutex<Option<Version>>);

impl NotedSweep {
    fn version(&self) -> Option<Version> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, version: Option<Version>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

/// Outcome of the check for an overdue sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverdueSweep {
    NotOverdue,
    TakenByAnother,
    /// This process takes it.
    Taken,
}

impl ChunkLedger {
    /// Notes when a sweep ended and how long it took. Of two concurrent ones, one is noted.
    ///
    /// # Errors
    /// When the storage fails: nothing depends on it.
    pub async fn note_sweep(&self, sweep: LastSweep) -> Result<(), StoreError> {
        let content = Bytes::from(serde_json::to_vec(&sweep).expect("it has string keys only"));
        // Usually one process sweeps, and no other has written since.
        if let Some(version) = self.noted_sweep.version() {
            let condition = Precondition::Unchanged(version);
            let put = self.store.put(LAST_SWEEP, content.clone(), condition);
            if let PutOutcome::Written(version) = put.await? {
                self.noted_sweep.note(Some(version));
                return Ok(());
            }
        }
        let stored = match self.store.find(LAST_SWEEP).await {
            Err(error) if error.damaged().is_some() => {
                self.store.remove(LAST_SWEEP).await?;
                None
            }
            found => found?,
        };
        let condition = stored.map_or(Precondition::Absent, |stored| {
            Precondition::Unchanged(stored.version)
        });
        let written = match self.store.put(LAST_SWEEP, content, condition).await? {
            PutOutcome::Written(version) => Some(version),
            PutOutcome::Conflict => None,
        };
        self.noted_sweep.note(written);
        Ok(())
    }

    /// The last sweep that was noted.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn last_sweep(&self) -> Result<Option<LastSweep>, StoreError> {
        let stored = unless_damaged(self.store.find(LAST_SWEEP).await)?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.content).ok()))
    }

    /// The same, for a check: an unreadable note is an error, not a missing one.
    ///
    /// # Errors
    /// When the storage fails, or the note is not readable.
    pub async fn readable_last_sweep(&self) -> Result<Option<LastSweep>, StoreError> {
        let Some(stored) = self.store.find(LAST_SWEEP).await? else {
            return Ok(None);
        };
        let sweep = serde_json::from_slice(&stored.content);
        sweep.map(Some).map_err(|error| StoreError {
            action: "read",
            key: LAST_SWEEP.to_owned(),
            source: error.into(),
        })
    }

    /// Takes the sweep if none ended and none was taken within `overdue_after`. Only one process gets it: the write is
    /// conditional on what was read. If none was ever noted, it is overdue once this process has waited that long.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn take_overdue_sweep(
        &self,
        overdue_after: Duration,
        waited_for: Duration,
    ) -> Result<OverdueSweep, StoreError> {
        let now = self.clock.now();
        let is_recent = |at: Timestamp| {
            let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            // A clock that was ahead wrote it: nothing is known of the last sweep.
            !is_ahead(at, now) && age < overdue_after
        };
        let is_awaited = match self.last_sweep().await? {
            Some(last) => is_recent(last.at),
            None => waited_for < overdue_after,
        };
        if is_awaited {
            return Ok(OverdueSweep::NotOverdue);
        }
        let stored = self.store.find(TAKEN_SWEEP).await?;
        let taken = stored
            .as_ref()
            .and_then(|stored| serde_json::from_slice::<TakenSweep>(&stored.content).ok());
        if taken.is_some_and(|taken| is_recent(taken.at)) {
            return Ok(OverdueSweep::TakenByAnother);
        }
        let condition = stored.map_or(Precondition::Absent, |stored| {
            Precondition::Unchanged(stored.version)
        });
        let content = serde_json::to_vec(&TakenSweep { at: now }).expect("it has string keys only");
        let put = self
            .store
            .put(TAKEN_SWEEP, content.into(), condition)
            .await?;
        Ok(if put.is_written() {
            OverdueSweep::Taken
        } else {
            OverdueSweep::TakenByAnother
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::vault::memory::MemoryDocumentStore;

    const OVERDUE: Duration = Duration::from_mins(5);
    const HOUR: Duration = Duration::from_hours(1);

    async fn take(ledger: &ChunkLedger, waited_for: Duration) -> OverdueSweep {
        ledger
            .take_overdue_sweep(OVERDUE, waited_for)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn an_overdue_sweep_is_taken_by_one_process_every_five_minutes() {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let store = Arc::new(MemoryDocumentStore::default());
        let new = || ChunkLedger::new(store.clone(), clock.clone(), HOUR, Duration::from_mins(1));
        let (one, other) = (new(), new());
        assert_eq!(
            take(&one, Duration::from_secs(299)).await,
            OverdueSweep::NotOverdue
        );
        assert_eq!(take(&one, OVERDUE).await, OverdueSweep::Taken);
        assert_eq!(take(&other, OVERDUE).await, OverdueSweep::TakenByAnother);
        let sweep = LastSweep {
            at: one.clock.now(),
            duration_ms: 1,
            audit_checkpoint: None,
            audit_uncovered: None,
            audit_stamp: None,
        };
        one.note_sweep(sweep).await.unwrap();
        clock.advance(Duration::from_secs(299));
        assert_eq!(take(&other, HOUR).await, OverdueSweep::NotOverdue);
        clock.advance(Duration::from_secs(1));
        let both = tokio::join!(take(&one, HOUR), take(&other, HOUR));
        assert!(
            matches!(
                both,
                (OverdueSweep::Taken, OverdueSweep::TakenByAnother)
                    | (OverdueSweep::TakenByAnother, OverdueSweep::Taken)
            ),
            "{both:?}"
        );
    }

    #[tokio::test]
    async fn a_sweep_that_a_clock_noted_in_the_future_does_not_count() {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let store = Arc::new(MemoryDocumentStore::default());
        let ledger = ChunkLedger::new(store, clock.clone(), HOUR, Duration::from_mins(1));
        for (ahead, expected) in [
            (Duration::from_mins(4), OverdueSweep::NotOverdue),
            (3 * HOUR, OverdueSweep::Taken),
        ] {
            let sweep = LastSweep {
                at: clock.now() + ahead,
                duration_ms: 1,
                audit_checkpoint: None,
                audit_uncovered: None,
                audit_stamp: None,
            };
            ledger.note_sweep(sweep).await.unwrap();
            assert_eq!(take(&ledger, HOUR).await, expected, "{ahead:?}");
        }
    }
}
