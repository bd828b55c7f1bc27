//! Records in the audit log what was done to a recording at ACS.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::error;

use super::RecordingControl;
use super::calls::PendingStart;
use super::intention::Intention;
use super::recorded::OperationRecord;
use super::requester::Requester;
use super::transitions::SETTLES;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::StoreError;
use crate::store::audit::AuditAction;

/// A record to write: an operation that ACS carried out, with its details.
#[derive(Debug)]
pub(super) struct AuditDraft {
    action: AuditAction,
    detail: Map<String, Value>,
}

impl AuditDraft {
    pub(super) fn new(action: AuditAction) -> Self {
        let detail = Map::new();
        Self { action, detail }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a time, if there is one.
    pub(super) fn at(self, name: &str, time: Option<Timestamp>) -> Self {
        match time {
            Some(time) => self.with(name, time.to_string()),
            None => self,
        }
    }
}

/// Whether the audit log has what ACS did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum InLog {
    Recorded,
    NotRecorded,
}

impl RecordingControl {
    /// Records that it is unknown whether a start began a recording. After a kill it may be recorded twice.
    ///
    /// # Errors
    /// When the storage fails: the start must then not be given up.
    pub(super) async fn record_unknown_start(
        &self,
        lost: &PendingStart,
        by: &Requester,
    ) -> Result<(), StoreError> {
        let attempt = lost.reservation.attempt;
        let started_by = lost.start.started_by.clone();
        let draft = AuditDraft::new(AuditAction::StartUnknown)
            .with("requestId", attempt.request_id.to_string())
            .at("firstSent", Some(attempt.first_sent))
            .with("startedBy", started_by);
        let subject = format!("start {}", attempt.request_id);
        self.audit
            .append(by.actor(), draft.action, &subject, by.sign(draft.detail))
            .await
            .map(drop)
    }

    /// Like [`record`](Self::record), for an operation whose intention is in the account. After this long without an answer
    /// another process may have recorded it.
    pub(super) async fn record_answered(
        &self,
        id: &RecordingId,
        intention: &Intention,
        draft: AuditDraft,
        by: &Requester,
    ) -> InLog {
        let waited = self.clock.now().duration_since(intention.at);
        if waited >= SETTLES
            && let Some(lost) = OperationRecord::of_lost_answer(intention)
            && let Ok(true) = lost
                .is_recorded_as_lost(&self.audit, id, intention.at)
                .await
        {
            return InLog::Recorded;
        }
        self.record(id, draft, by).await
    }

    /// Records what ACS did, before the register and the caller know of it: after a kill it may be recorded twice. ACS
    /// has done it, so a failure of the log is reported and does not stop the operation.
    pub(super) async fn record(
        &self,
        id: &RecordingId,
        draft: AuditDraft,
        by: &Requester,
    ) -> InLog {
        let AuditDraft { action, detail } = draft;
        let word = action.to_string();
        let asked_by = by.asks(detail);
        let record = OperationRecord { action, asked_by };
        match record.append(&self.audit, id, self.clock.now()).await {
            Ok(()) => InLog::Recorded,
            Err(error) => {
                error!(recording.id = %id, error = %ErrorChain(&error), "Could not record in the audit log that recording `{id}` was {word}");
                InLog::NotRecorded
            }
        }
    }
}
