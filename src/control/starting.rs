//! A start: checked, reserved for its call, carried out at ACS, registered. A start whose answer was lost is sent again as it
//! was, by the next start of the call or by the sweep, until ACS says what became of it.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::calls::{Marked, PendingStart, RESERVED_FOR, Reservation, ReserveError, Reserved};
use super::entry::RegisteredRecording;
use super::registering::StartedAtAcs;
use super::requester::Requester;
use super::start::Start;
use super::state::RecordingState;
use super::{ControlError, RecordingControl, RecordingView};
use crate::acs::AcsError;
use crate::acs::client::StartAttempt;
use crate::acs::error::AcsErrorAnswer;
use crate::acs::failed_start::{NotBegun, SentBefore, StartError};
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::recording::RecordingId;
use crate::store::DocumentError;

/// Times, within five seconds, that a start checks whether another start of the same call has ended.
const LOOKS_AT_OTHERS: u32 = 25;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The question whether the call's last recording runs must not delay a start for longer.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// When a caller may ask again about a start whose outcome is unknown.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Whether the call's last recording runs.
#[derive(Debug, PartialEq, Eq)]
enum LastRecording {
    Runs,
    Over,
    /// ACS does not say; its answer to a start decides.
    Unknown,
}

/// ACS's answer about a start whose outcome was unknown.
#[derive(Debug)]
enum Resolved {
    Recording(RecordingId),
    /// It began no recording.
    Refused,
    /// The call is being recorded; ACS does not say by which start.
    Duplicate(Option<Box<AcsErrorAnswer>>),
    Unknown,
}

impl RecordingControl {
    /// Starts the recording of a call. A repetition with the same `request_id` is the same start.
    ///
    /// A failing register does not prevent a recording, unless there is evidence that must be stored.
    ///
    /// # Errors
    /// When consent is missing, when the call is being recorded already, when ACS refuses, or when the outcome of this
    /// start or of another one is still unknown.
    pub async fn start(
        &self,
        start: &Start,
        request_id: Uuid,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let now = self.clock.now();
        match &start.consent {
            None if self.policy.requires_consent => return Err(ControlError::ConsentRequired),
            None => {}
            Some(consent) => consent.check(now)?,
        }
        let (mut over, mut may_run) = (None, None);
        let mut looks_left = LOOKS_AT_OTHERS;
        loop {
            let attempt = StartAttempt {
                request_id,
                first_sent: self.clock.now(),
            };
            match self.reserve(start, attempt, over.as_ref(), by).await {
                Ok(Reserved::Yes(reservation)) => {
                    return self.send_start(start, reservation, may_run, by).await;
                }
                Ok(Reserved::AlreadyMade(id)) => return self.already_made(start, id).await,
                Ok(Reserved::Recorded(id)) => match self.last_recording(&id).await {
                    LastRecording::Runs => return Err(in_progress(Some(id), None)),
                    LastRecording::Over => over = Some(id),
                    LastRecording::Unknown => {
                        may_run = Some(id.clone());
                        over = Some(id);
                    }
                },
                // It was given up a moment ago.
                Ok(Reserved::Expired(_)) => return Err(start_unknown(None)),
                Ok(Reserved::Pending(pending)) => {
                    let may_be_asking = self.clock.now() < pending.asked_until;
                    if may_be_asking && looks_left > 0 {
                        looks_left -= 1;
                        self.clock.sleep(LOOK_EVERY).await;
                        continue;
                    }
                    self.settle_pending(&pending).await?;
                }
                Err(error) if start.consent.is_none() => {
                    error!(error = %ErrorChain(&error), "The register failed; the call is recorded nevertheless");
                    return self.send_unreserved(start, attempt, by).await;
                }
                Err(ReserveError::NotWritten(error)) => return Err(error.into()),
                Err(ReserveError::MayBeWritten(error)) => {
                    error!(error = %ErrorChain(&error), "The register did not confirm the reservation of a start; the sweep may send the start");
                    return Err(start_unknown(None));
                }
            }
        }
    }

    /// Reserves the start of a call's recording. A start whose outcome stayed unknown is given up first.
    async fn reserve(
        &self,
        start: &Start,
        attempt: StartAttempt,
        over: Option<&RecordingId>,
        by: &Requester,
    ) -> Result<Reserved, ReserveError> {
        match self.calls.reserve(start, attempt, over).await? {
            Reserved::Expired(lost) => {
                self.give_up(&lost, by).await?;
                self.calls.reserve(start, attempt, over).await
            }
            reserved @ (Reserved::Yes(_)
            | Reserved::AlreadyMade(_)
            | Reserved::Recorded(_)
            | Reserved::Pending(_)) => Ok(reserved),
        }
    }

    /// Gives up a start whose outcome stayed unknown, and reports it once. The audit log has it first: its recording may
    /// run, and no other record says who asked for it.
    async fn give_up(&self, lost: &PendingStart, by: &Requester) -> Result<(), DocumentError> {
        self.record_unknown_start(lost, by).await?;
        if self.calls.give_up(lost).await? {
            let attempt = lost.reservation.attempt;
            let call = serde_json::to_string(&lost.start.request.call).unwrap_or_default();
            let (request_id, first_sent) = (attempt.request_id, attempt.first_sent);
            error!(
                request.id = %request_id, call,
                "It is unknown whether start {request_id} of {first_sent} began a recording; its call can be recorded again"
            );
        }
        Ok(())
    }

    /// Asks ACS again about starts whose outcome is unknown, and frees calls whose reservation has expired. Returns how many
    /// starts could not be checked: they do not keep the others waiting.
    ///
    /// # Errors
    /// When the starts cannot be listed.
    pub(super) async fn sweep_starts(&self, budget: Budget) -> Result<u64, DocumentError> {
        if let Err(error) = self.calls.forget_old_starts(self.clock.now()).await {
            warn!(error = %ErrorChain(&error), "Could not remove old markers of starts; the next sweep tries again");
        }
        let (mut after, mut failed): (Option<String>, u64) = (None, 0);
        loop {
            let markers = self.calls.marked(after.as_deref()).await?;
            let Some(last) = markers.last().cloned() else {
                return Ok(failed);
            };
            for marker in markers {
                if budget.is_spent() {
                    return Ok(failed);
                }
                if let Err(error) = self.sweep_start(&marker).await {
                    error!(key = marker, error = %ErrorChain(&error), "Could not check a start whose outcome is unknown");
                    failed += 1;
                }
            }
            after = Some(last);
        }
    }

    async fn sweep_start(&self, marker: &str) -> Result<(), DocumentError> {
        let now = self.clock.now();
        match self.calls.look(marker, now).await? {
            Marked::Pending(pending) if now < pending.asked_until => Ok(()),
            Marked::Pending(pending) => {
                let resolved = self.resolve(&pending).await?;
                info!(request.id = %pending.reservation.attempt.request_id, ?resolved, "Asked ACS again for a start whose outcome was unknown");
                Ok(())
            }
            Marked::Expired(lost) => self.give_up(&lost, &Requester::Sweep).await,
            Marked::Settled => self.calls.unmark(marker).await,
            Marked::Elsewhere if is_older_than_any_start(marker, now) => {
                self.calls.unmark(marker).await
            }
            Marked::Elsewhere => Ok(()),
        }
    }

    /// Finds the outcome of another start of the same call. Returns if it began no recording, and its call is free.
    async fn settle_pending(&self, pending: &PendingStart) -> Result<(), ControlError> {
        match self.resolve(pending).await? {
            Resolved::Recording(id) => Err(in_progress(Some(id), None)),
            Resolved::Duplicate(acs) => Err(in_progress(None, acs)),
            Resolved::Refused => Ok(()),
            Resolved::Unknown => Err(start_unknown(None)),
        }
    }

    /// Sends a start again, without its callback: ACS gives its first answer again.
    ///
    /// # Errors
    /// When it began no recording, and that cannot be stored.
    async fn resolve(&self, pending: &PendingStart) -> Result<Resolved, DocumentError> {
        let PendingStart {
            reservation, start, ..
        } = pending;
        let request = start.request.without_callback();
        let answer = self
            .client
            .start(&request, reservation.attempt, SentBefore::Maybe);
        match answer.await {
            Ok(answer) => {
                if let Some((_, proof)) = self.key_reused(start, &answer.recording_id).await {
                    self.calls.refused(reservation, &proof).await?;
                    return Ok(Resolved::Refused);
                }
                let started = StartedAtAcs {
                    start,
                    reservation: Some(reservation),
                    began: reservation.attempt.first_sent,
                };
                let view = self.registered(started, answer, &Requester::Sweep).await;
                Ok(Resolved::Recording(view.recording_id))
            }
            Err(StartError::Duplicate { error, .. }) => Ok(Resolved::Duplicate(error.own_answer())),
            Err(StartError::Unknown(error)) => {
                warn!(error = %ErrorChain(&error), "The outcome of a start is still unknown: ACS did not report it");
                Ok(Resolved::Unknown)
            }
            Err(StartError::NotBegun { proof, .. }) => {
                self.calls.refused(reservation, &proof).await?;
                Ok(Resolved::Refused)
            }
        }
    }

    async fn send_start(
        &self,
        start: &Start,
        reservation: Reservation,
        may_run: Option<RecordingId>,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let sent_before = reservation.origin.sent_before();
        let answer = self
            .client
            .start(&start.request, reservation.attempt, sent_before);
        let (error, proof) = match answer.await {
            Ok(answer) => match self.key_reused(start, &answer.recording_id).await {
                Some((reused, proof)) => (reused, Some(proof)),
                None => {
                    let started = StartedAtAcs {
                        start,
                        reservation: Some(&reservation),
                        began: self.clock.now(),
                    };
                    return Ok(self.registered(started, answer, by).await);
                }
            },
            Err(StartError::Unknown(error)) => (start_unknown(Some(error)), None),
            // The recording that a repetition conflicts with may be its own.
            Err(StartError::Duplicate { error, proof }) => {
                (in_progress(may_run, error.own_answer()), proof)
            }
            Err(StartError::NotBegun { error, proof }) => (error.into(), Some(proof)),
        };
        if let Some(proof) = proof
            && let Err(error) = self.calls.refused(&reservation, &proof).await
        {
            warn!(error = %ErrorChain(&error), "Could not note that ACS refused a start; the next start of its call or the sweep asks ACS again");
        }
        Err(error)
    }

    async fn send_unreserved(
        &self,
        start: &Start,
        attempt: StartAttempt,
        by: &Requester,
    ) -> Result<RecordingView, ControlError> {
        let answer = self
            .client
            .start(&start.request, attempt, SentBefore::Maybe);
        match answer.await {
            Ok(answer) => Ok(self.register_unreserved(start, answer, by).await),
            Err(StartError::Duplicate { error, .. }) => Err(in_progress(None, error.own_answer())),
            // Nothing is stored that would ask ACS again: the caller has to.
            Err(StartError::NotBegun { error, .. } | StartError::Unknown(error)) => {
                Err(error.into())
            }
        }
    }

    /// Returns an error if ACS has answered the request id with the recording of another call.
    async fn key_reused(
        &self,
        start: &Start,
        id: &RecordingId,
    ) -> Option<(ControlError, NotBegun)> {
        let call = self.known(id).await?.call?;
        let proof = NotBegun::by_another_call(&start.request.call, &call)?;
        let recording_id = id.clone();
        Some((ControlError::KeyReused { recording_id }, proof))
    }

    async fn last_recording(&self, id: &RecordingId) -> LastRecording {
        let state = tokio::time::timeout(LOOK_WITHIN, self.state(id)).await;
        match state {
            Ok(Ok(view)) => match view.state {
                RecordingState::Stopped | RecordingState::Failed => LastRecording::Over,
                RecordingState::Active
                | RecordingState::Inactive
                | RecordingState::Paused
                | RecordingState::Unknown => LastRecording::Runs,
            },
            Ok(Err(ControlError::Acs(error))) if error.is_not_found() => LastRecording::Over,
            Ok(Err(error)) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not ask whether recording `{id}` still runs; ACS's answer to the start decides");
                LastRecording::Unknown
            }
            Err(_) => LastRecording::Unknown,
        }
    }

    /// Returns the recording of an earlier start with the same key, unless that start asked for something else.
    async fn already_made(
        &self,
        start: &Start,
        id: RecordingId,
    ) -> Result<RecordingView, ControlError> {
        let account = self.register.find(&id).await?;
        let kept = account.as_ref().filter(|account| account.erased.is_none());
        if kept.is_some_and(|account| account.options != start.request.options.without_secrets()) {
            return Err(ControlError::KeyReused { recording_id: id });
        }
        let state = account
            .as_ref()
            .map_or(RecordingState::Active, RegisteredRecording::state);
        Ok(RecordingView::in_state(&id, state, account))
    }
}

fn in_progress(
    recording_id: Option<RecordingId>,
    acs: Option<Box<AcsErrorAnswer>>,
) -> ControlError {
    ControlError::AlreadyInProgress { recording_id, acs }
}

pub(super) fn start_unknown(source: Option<AcsError>) -> ControlError {
    ControlError::StartUnknown {
        retry_after: ASK_AGAIN_AFTER,
        source,
    }
}

/// Returns `starting/<seconds>-…`: a start that has not written its reservation by then begins again.
fn is_older_than_any_start(marker: &str, now: Timestamp) -> bool {
    let seconds = marker
        .split('/')
        .nth(1)
        .and_then(|rest| rest.split('-').next());
    let seconds = seconds.and_then(|seconds| seconds.parse::<i64>().ok());
    let lasts = i64::try_from(RESERVED_FOR.as_secs()).unwrap_or(i64::MAX);
    seconds.is_none_or(|seconds| now.as_second() - seconds > lasts)
}
