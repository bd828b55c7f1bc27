//! The last sweep, and which process takes an overdue one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ChunkLedger;
use crate::clock::is_ahead;
use crate::store::audit::CheckpointRef;
use crate::store::document_store::{Precondition, PutOutcome, StoreError, Version, unless_damaged};

const LAST_SWEEP: &str = "last-sweep.json";
const TAKEN_SWEEP: &str = "taken-sweep.json";

/// The last sweep that ended, by the timer or behind a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSweep {
    pub at: Timestamp,
    pub duration_ms: u64,
    /// The last sweep that the timer triggered: this one, or an earlier one.
    #[serde(default)]
    pub timer: TimerSweep,
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

/// The last sweep that the timer triggered, as far as the note of a sweep says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimerSweep {
    /// An earlier version wrote the note, which does not say it.
    #[default]
    NotNoted,
    /// None is known.
    Unseen,
    EndedAt(Timestamp),
}

/// Whether the timer triggers sweeps, by the last sweep that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerState {
    /// It triggered the last sweep, or one that ended while the last one ran, or not long before.
    Fires,
    /// A request ran the last sweep, because none had ended for a long time. `last`: when the last one that the timer triggered
    /// ended, if one is known.
    Late { last: Option<Timestamp> },
    /// The note of the last sweep does not say what triggered it.
    Unknown,
}

/// A sweep that a process took over, because the timer did not start one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TakenSweep {
    at: Timestamp,
}

impl LastSweep {
    /// Returns whether the timer triggers sweeps. One of them may end while a slower one runs behind a request, or may still
    /// run when that one ends: a timer that triggered none for longer than `late_after` is late.
    pub fn timer_state(&self, late_after: SignedDuration) -> TimerState {
        let took = Duration::from_millis(self.duration_ms);
        let began = self.at.checked_sub(took).unwrap_or(self.at);
        match self.timer {
            TimerSweep::EndedAt(at) if at >= began => TimerState::Fires,
            TimerSweep::EndedAt(at) if self.at.duration_since(at) <= late_after => {
                TimerState::Fires
            }
            TimerSweep::EndedAt(at) => TimerState::Late { last: Some(at) },
            TimerSweep::Unseen => TimerState::Late { last: None },
            TimerSweep::NotNoted => TimerState::Unknown,
        }
    }

    /// Adds when the last sweep of the timer ended, if this one is behind a request: the note that it replaces says it.
    fn following(mut self, replaced: TimerSweep) -> Self {
        self.timer = match (self.timer, replaced) {
            (TimerSweep::EndedAt(at), _) => TimerSweep::EndedAt(at),
            // A clock that was ahead wrote a later one.
            (TimerSweep::Unseen | TimerSweep::NotNoted, TimerSweep::EndedAt(at))
                if !is_ahead(at, self.at) =>
            {
                TimerSweep::EndedAt(at)
            }
            (
                TimerSweep::Unseen | TimerSweep::NotNoted,
                TimerSweep::EndedAt(_) | TimerSweep::Unseen | TimerSweep::NotNoted,
            ) => TimerSweep::Unseen,
        };
        self
    }

    fn content(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).expect("it has string keys only"))
    }
}

/// `last-sweep.json` as this process wrote it.
#[derive(Debug, Clone)]
struct Noted {
    version: Version,
    timer: TimerSweep,
}

/// What this process wrote last into `last-sweep.json`, unless another process was first.
#[derive(Debug, Default)]
pub(super) struct NotedSweep(Mutex<Option<Noted>>);

impl NotedSweep {
    fn last(&self) -> Option<Noted> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, noted: Option<Noted>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = noted;
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
    /// Notes when a sweep ended and how long it took. Of two concurrent ones, one is noted. One behind a request has
    /// [`TimerSweep::Unseen`], and keeps what the replaced note says of the timer.
    ///
    /// # Errors
    /// When the storage fails: nothing depends on it.
    pub async fn note_sweep(&self, sweep: LastSweep) -> Result<(), StoreError> {
        // Usually one process sweeps, and no other has written since.
        if let Some(Noted { version, timer }) = self.noted_sweep.last() {
            let sweep = sweep.clone().following(timer);
            let condition = Precondition::Unchanged(version);
            let put = self.store.put(LAST_SWEEP, sweep.content(), condition);
            if let PutOutcome::Written(version) = put.await? {
                let timer = sweep.timer;
                self.noted_sweep.note(Some(Noted { version, timer }));
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
        let replaced = stored
            .as_ref()
            .and_then(|stored| serde_json::from_slice::<LastSweep>(&stored.content).ok());
        let sweep = sweep.following(replaced.map_or(TimerSweep::Unseen, |last| last.timer));
        let condition = stored.map_or(Precondition::Absent, |stored| {
            Precondition::Unchanged(stored.version)
        });
        let put = self.store.put(LAST_SWEEP, sweep.content(), condition);
        let written = match put.await? {
            PutOutcome::Written(version) => Some(Noted {
                version,
                timer: sweep.timer,
            }),
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
    const LATE_AFTER: SignedDuration = SignedDuration::from_mins(10);
    const HOUR: Duration = Duration::from_hours(1);

    fn swept(at: Timestamp, timer: TimerSweep) -> LastSweep {
        LastSweep {
            at,
            duration_ms: 1,
            timer,
            audit_checkpoint: None,
            audit_uncovered: None,
            audit_stamp: None,
        }
    }

    /// Notes a sweep that ends now, and returns what the note says of the timer.
    async fn noted(ledger: &ChunkLedger, timer: TimerSweep) -> TimerState {
        let sweep = swept(ledger.clock.now(), timer);
        ledger.note_sweep(sweep).await.unwrap();
        let last = ledger.last_sweep().await.unwrap();
        last.unwrap().timer_state(LATE_AFTER)
    }

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
        let sweep = swept(one.clock.now(), TimerSweep::Unseen);
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
            let sweep = swept(clock.now() + ahead, TimerSweep::Unseen);
            ledger.note_sweep(sweep).await.unwrap();
            assert_eq!(take(&ledger, HOUR).await, expected, "{ahead:?}");
        }
    }

    #[tokio::test]
    async fn a_sweep_behind_a_request_keeps_when_the_timer_triggered_the_last_one() {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let store = Arc::new(MemoryDocumentStore::default());
        let new = || ChunkLedger::new(store.clone(), clock.clone(), HOUR, Duration::from_mins(1));
        let (one, other) = (new(), new());
        let none = noted(&one, TimerSweep::Unseen).await;
        assert_eq!(none, TimerState::Late { last: None });
        let at = clock.now();
        let by_timer = || TimerSweep::EndedAt(clock.now());
        assert_eq!(noted(&one, by_timer()).await, TimerState::Fires);
        let late = TimerState::Late { last: Some(at) };
        // The timer's own sweep may take that long.
        for (ledger, expected) in [
            (&other, TimerState::Fires),
            (&other, TimerState::Fires),
            (&one, late),
            (&other, late),
        ] {
            clock.advance(OVERDUE);
            let found = noted(ledger, TimerSweep::Unseen).await;
            assert_eq!(found, expected);
        }
        clock.advance(OVERDUE);
        assert_eq!(noted(&other, by_timer()).await, TimerState::Fires);
    }

    #[tokio::test]
    async fn a_note_of_an_earlier_version_does_not_say_what_the_timer_does() {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        let store = Arc::new(MemoryDocumentStore::default());
        let ledger = ChunkLedger::new(store, clock, HOUR, Duration::from_mins(1));
        let old = Bytes::from_static(br#"{"at": "1970-01-01T00:00:00Z", "durationMs": 5}"#);
        let put = ledger.store.put(LAST_SWEEP, old, Precondition::Absent);
        assert!(put.await.unwrap().is_written());
        let last = ledger.readable_last_sweep().await.unwrap().unwrap();
        assert_eq!(last.timer_state(LATE_AFTER), TimerState::Unknown);
        let behind_a_request = noted(&ledger, TimerSweep::Unseen).await;
        assert_eq!(behind_a_request, TimerState::Late { last: None });
        let at = ledger.clock.now();
        let by_timer = noted(&ledger, TimerSweep::EndedAt(at)).await;
        assert_eq!(by_timer, TimerState::Fires);
    }

    #[rstest::rstest]
    #[case::before_it_began(-61, TimerState::Late { last: Some(Timestamp::constant(39, 0)) })]
    #[case::while_it_ran(-30, TimerState::Fires)]
    #[case::on_a_clock_that_differs(60, TimerState::Fires)]
    #[case::on_a_clock_that_was_ahead(600, TimerState::Late { last: None })]
    fn the_timer_is_late_unless_one_of_its_sweeps_ended_since_the_last_one_began(
        #[case] after_seconds: i64,
        #[case] expected: TimerState,
    ) {
        let at = Timestamp::constant(100, 0);
        let sweep = LastSweep {
            duration_ms: 60_000,
            ..swept(at, TimerSweep::Unseen)
        };
        let by_timer = at + SignedDuration::from_secs(after_seconds);
        let sweep = sweep.following(TimerSweep::EndedAt(by_timer));
        assert_eq!(sweep.timer_state(SignedDuration::ZERO), expected);
    }
}
