//! Recordings that ACS started while the register failed. This process registers them once the register works again: by
//! itself, with a sweep, or behind a request. If the process ends before that, only its log and their events name them.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tracing::{error, info};

use super::auditing::InLog;
use super::registering::StartedAtAcs;
use super::requester::Requester;
use super::start::Start;
use super::{RecordingControl, RecordingView};
use crate::acs::wire::StartRecordingResponse;
use crate::export::Budget;
use crate::recording::RecordingId;

/// More than a process starts while its ledger fails; the memory for them stays small.
const KEPT: usize = 1000;

/// Until it is registered, no other process knows of such a recording.
const TRY_EVERY: Duration = Duration::from_secs(15);

/// A start that ACS carried out, with everything that is needed to register it.
#[derive(Debug, Clone)]
pub(super) struct UnregisteredStart {
    pub start: Start,
    pub answer: StartRecordingResponse,
    pub began: Timestamp,
    pub by: Requester,
    pub in_log: InLog,
}

/// The starts of this process that are still to be registered.
#[derive(Debug, Default)]
pub(super) struct UnregisteredStarts {
    kept: Mutex<Vec<UnregisteredStart>>,
    /// Rung when one is kept.
    one_more: Notify,
    /// Held while they are registered: of two at a time, each would record the same start.
    registering: tokio::sync::Mutex<()>,
}

impl UnregisteredStarts {
    /// Returns whether there is room for it.
    fn keep(&self, start: UnregisteredStart) -> bool {
        let mut kept = self.kept();
        let has_room = kept.len() < KEPT;
        kept.extend(Some(start).filter(|_| has_room));
        self.one_more.notify_one();
        has_room
    }

    /// The next. It stays until it is removed: its registration may be stopped.
    fn first(&self) -> Option<UnregisteredStart> {
        self.kept().first().cloned()
    }

    /// Lets the others come first: the account of the oldest may be damaged.
    fn move_first_behind(&self) {
        let mut kept = self.kept();
        if !kept.is_empty() {
            kept.rotate_left(1);
        }
    }

    fn note_in_log(&self, id: &RecordingId) {
        for start in self.kept().iter_mut() {
            if start.answer.recording_id == *id {
                start.in_log = InLog::Recorded;
            }
        }
    }

    fn remove(&self, id: &RecordingId) {
        self.kept().retain(|start| start.answer.recording_id != *id);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<UnregisteredStart>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordingControl {
    /// Registers a start for which no reservation could be written. If the register still fails, it is kept.
    pub(super) async fn register_unreserved(
        &self,
        start: &Start,
        answer: StartRecordingResponse,
        by: &Requester,
    ) -> RecordingView {
        let id = answer.recording_id.clone();
        info!(recording.id = %id, "Started recording `{id}`");
        let unregistered = UnregisteredStart {
            start: start.clone(),
            answer,
            began: self.clock.now(),
            by: by.clone(),
            in_log: self.record_start(start, &id, by).await,
        };
        let view = self.register_kept(&unregistered).await;
        if view.account.is_some() {
            return view;
        }
        if self.unregistered.keep(unregistered) {
            error!(recording.id = %id, "Recording `{id}` runs and is not registered, because the ledger fails; this process tries again");
        } else {
            error!(recording.id = %id, "Recording `{id}` runs and is not registered, because the ledger fails; too many others wait for it");
        }
        view
    }

    /// Registers what could not be registered before as soon as the register works again. Never ends.
    pub async fn keep_registering(&self) -> Infallible {
        loop {
            self.unregistered.one_more.notified().await;
            while self.unregistered.first().is_some() {
                self.clock.sleep(TRY_EVERY).await;
                self.register_late(Budget::of(TRY_EVERY)).await;
            }
        }
    }

    /// Registers what could not be registered before, until the register fails again or the budget is spent; nothing while
    /// another call does. Not to be dropped midway: the audit log would have a start twice.
    pub async fn register_late(&self, budget: Budget) {
        let Ok(_registering) = self.unregistered.registering.try_lock() else {
            return;
        };
        while !budget.is_spent()
            && let Some(unregistered) = self.unregistered.first()
        {
            let id = &unregistered.answer.recording_id;
            if unregistered.in_log == InLog::NotRecorded {
                let UnregisteredStart { start, by, .. } = &unregistered;
                if self.record_start(start, id, by).await == InLog::Recorded {
                    self.unregistered.note_in_log(id);
                }
            }
            if self.register_kept(&unregistered).await.account.is_none() {
                self.unregistered.move_first_behind();
                return;
            }
            self.unregistered.remove(id);
            info!(recording.id = %id, "Registered recording `{id}`, which was started while the ledger failed");
        }
    }

    async fn register_kept(&self, unregistered: &UnregisteredStart) -> RecordingView {
        let UnregisteredStart {
            start,
            answer,
            began,
            ..
        } = unregistered;
        let started = StartedAtAcs {
            start,
            reservation: None,
            began: *began,
        };
        self.register_start(started, answer.clone()).await
    }
}
