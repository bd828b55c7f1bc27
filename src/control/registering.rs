//! Registers what ACS started, and records it in the audit log. Does not ask ACS.

use jiff::Timestamp;
use tracing::info;

use super::auditing::{AuditDraft, InLog};
use super::calls::Reservation;
use super::requester::Requester;
use super::start::Start;
use super::state::RecordingState;
use super::{RecordingControl, RecordingView, best_effort};
use crate::acs::wire::{StartRecordingResponse, StateAtAcs};
use crate::recording::RecordingId;
use crate::store::audit::AuditAction;

/// A start that ACS has answered with a recording.
pub(super) struct StartedAtAcs<'a> {
    pub start: &'a Start,
    /// `None` where the register failed.
    pub reservation: Option<&'a Reservation>,
    pub began: Timestamp,
}

impl RecordingControl {
    /// Registers what ACS started. The recording runs, so no failure here may look like a failed start. What was stored
    /// of the start stays until the recording's account has it. An erased account takes no data about people.
    pub(super) async fn registered(
        &self,
        started: StartedAtAcs<'_>,
        answer: StartRecordingResponse,
        by: &Requester,
    ) -> RecordingView {
        let id = &answer.recording_id;
        info!(recording.id = %id, "Started recording `{id}`");
        let _reported = self.record_start(started.start, id, by).await;
        self.register_start(started, answer).await
    }

    /// Records a start in the audit log, unless it is registered. A recording that was erased meanwhile names nobody.
    pub(super) async fn record_start(
        &self,
        start: &Start,
        id: &RecordingId,
        by: &Requester,
    ) -> InLog {
        let known = self.known(id).await;
        if known
            .as_ref()
            .is_some_and(|known| known.registered_at.is_some())
        {
            return InLog::Recorded;
        }
        let is_erased = known.is_some_and(|known| known.erased.is_some());
        let started_by = start.started_by.clone().filter(|_| !is_erased);
        let draft = AuditDraft::new(AuditAction::Started).with("startedBy", started_by);
        self.record(id, draft, by).await
    }

    /// Registers a start. Its view has no account if the register fails.
    pub(super) async fn register_start(
        &self,
        started: StartedAtAcs<'_>,
        answer: StartRecordingResponse,
    ) -> RecordingView {
        let StartedAtAcs {
            start,
            reservation,
            began,
        } = started;
        let id = answer.recording_id;
        let is_paused = start.request.options.pause_on_start == Some(true);
        let registered = self.register.change(&id, self.clock.now(), |account| {
            account.call = Some(start.request.call.clone());
            account.registered_at = account.registered_at.or(Some(began));
            account.started_at = account.started_at.or(Some(began));
            account.recording_kind.clone_from(&answer.recording_kind);
            if account.erased.is_none() {
                account.options = start.request.options.without_secrets();
                account.started_by = account.started_by.take().or(start.started_by.clone());
                account.consent = account.consent.take().or(start.consent.clone());
            }
            if is_paused {
                account.start_paused(began);
            }
        });
        let account = best_effort("register it", &id, registered.await);
        if let (Some(reservation), Some(_)) = (reservation, &account) {
            best_effort(
                "note it as the recording of its call",
                &id,
                self.calls.started(reservation, &id).await,
            );
        }
        let people = self.add_people_of_call(&id, &start.request.call, began);
        best_effort("note who started its call", &id, people.await);
        let state = match (is_paused, answer.recording_state) {
            (true, _) => RecordingState::Paused,
            (false, StateAtAcs::Active | StateAtAcs::Unknown) => RecordingState::Active,
            (false, StateAtAcs::Inactive) => RecordingState::Inactive,
        };
        RecordingView {
            recording_id: id,
            state,
            recording_kind: answer.recording_kind,
            account,
        }
    }
}
