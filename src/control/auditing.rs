//! Records in the audit log what was done to a recording at ACS.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tracing::error;

use super::RecordingControl;
use super::calls::PendingStart;
use super::noting::Target;
use super::recorded::OperationRecord;
use super::requester::{REQUEST_ID, Requester};
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::StoreError;
use crate::store::audit::AuditAction;

/// After this long without an answer, another process may have recorded the request as lost. It waits far longer, but its
/// clock may be ahead, and an account keeps a limited number of requests.
const MAY_BE_RECORDED_AFTER: SignedDuration = SignedDuration::from_secs(2);

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
            .with(REQUEST_ID, attempt.request_id.to_string())
            .at("firstSent", Some(attempt.first_sent))
            .with("startedBy", started_by);
        let subject = format!("start {}", attempt.request_id);
        self.audit
            .append(by.actor(), draft.action, &subject, by.sign(draft.detail))
            .await
            .map(drop)
    }

    /// Like [`record`](Self::record), for an intention. Where ACS's answer took long, another process may have recorded
    /// that it is lost.
    pub(super) async fn record_answered(
        &self,
        id: &RecordingId,
        target: &Target,
        draft: AuditDraft,
        by: &Requester,
    ) -> InLog {
        let intention = target.noted.intention();
        let by_clock = self.clock.now().duration_since(intention.at);
        let waited = SignedDuration::try_from(target.noted_at.elapsed());
        let waited = by_clock.max(waited.unwrap_or(SignedDuration::MAX));
        if waited >= MAY_BE_RECORDED_AFTER
            && let Some(lost) = OperationRecord::of_lost_answer(intention)
            && let Ok(true) = lost.is_recorded(&self.audit, id, intention.at).await
        {
            return InLog::Recorded;
        }
        let draft = draft.with(REQUEST_ID, intention.id.to_string());
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
