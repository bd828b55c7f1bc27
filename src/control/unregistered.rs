//! Recordings that ACS started while the register failed. This process registers them as soon as the register works again.
//! If the process ends before that, only its log and their events name them.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tracing::{error, info};

use super::registering::StartedAtAcs;
use super::requester::Requester;
use super::start::Start;
use super::{RecordingControl, RecordingView};
use crate::acs::wire::StartRecordingResponse;

/// More than a process starts while its ledger fails; the memory for them stays small.
const KEPT: usize = 1000;

/// A start that ACS carried out, with everything that is needed to register it.
#[derive(Debug, Clone)]
pub(super) struct UnregisteredStart {
    pub start: Start,
    pub answer: StartRecordingResponse,
    pub began: Timestamp,
    pub by: Requester,
}

/// The starts of this process that are still to be registered.
#[derive(Debug, Default)]
pub(super) struct UnregisteredStarts(Mutex<Vec<UnregisteredStart>>);

impl UnregisteredStarts {
    fn keep(&self, start: UnregisteredStart) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(start);
        }
    }

    fn take(&self) -> Vec<UnregisteredStart> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RecordingControl {
    /// Registers a start for which no reservation could be written. If the register still fails, it is kept.
    pub(super) async fn register_unreserved(
        &self,
        unregistered: UnregisteredStart,
    ) -> RecordingView {
        let view = self.register_kept(&unregistered).await;
        if view.account.is_none() {
            let id = &view.recording_id;
            error!(recording.id = %id, "Recording `{id}` runs and is not registered: the ledger fails; this process tries again");
            self.unregistered.keep(unregistered);
        }
        view
    }

    /// Registers what could not be registered before.
    pub(super) async fn register_late(&self) {
        for unregistered in self.unregistered.take() {
            let view = self.register_kept(&unregistered).await;
            if view.account.is_some() {
                let id = &view.recording_id;
                info!(recording.id = %id, "Registered recording `{id}`, which was started while the ledger failed");
            } else {
                self.unregistered.keep(unregistered);
            }
        }
    }

    async fn register_kept(&self, unregistered: &UnregisteredStart) -> RecordingView {
        let UnregisteredStart {
            start,
            answer,
            began,
            by,
        } = unregistered;
        let started = StartedAtAcs {
            start,
            reservation: None,
            began: *began,
        };
        self.registered(started, answer.clone(), by).await
    }
}
