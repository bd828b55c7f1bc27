//! The sweep of running recordings: ends forgotten pauses, and finds recordings that ended without an event.

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tracing::error;

use super::entry::RegisteredRecording;
use super::undone::Decision;
use super::{ControlError, RecordingControl};
use crate::clock::is_ahead;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::store::documents::DocumentError;

/// Interval at which ACS is asked about a running recording: one that ended by itself must leave the list.
pub(super) const ASK_EVERY: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Recordings that are checked at once.
const AT_ONCE: usize = 8;

/// What the sweep did for running recordings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingsReport {
    pub running: u64,
    /// Overdue pauses that were ended.
    pub resumed: u64,
    /// Recordings that had ended without an event.
    pub closed: u64,
    /// Could not be checked, or their accounts cannot be read; and starts whose outcome is unknown that could not be checked.
    pub failed: u64,
}

/// Outcome of the check of one recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckOutcome {
    Fine,
    Resumed,
    Closed,
    Failed,
}

impl RecordingsReport {
    fn count(&mut self, outcome: CheckOutcome) {
        self.running += 1;
        match outcome {
            CheckOutcome::Fine => {}
            CheckOutcome::Resumed => self.resumed += 1,
            CheckOutcome::Closed => self.closed += 1,
            CheckOutcome::Failed => self.failed += 1,
        }
    }
}

impl RecordingControl {
    /// Ends pauses that are due, and asks ACS about recordings that it was not asked about lately.
    ///
    /// # Errors
    /// When the list of running recordings cannot be read, or that of starts whose outcome is unknown.
    pub async fn sweep(&self, budget: Budget) -> Result<RecordingsReport, DocumentError> {
        self.register_late(budget).await;
        let starts = self.sweep_starts(budget).await;
        let mut report = RecordingsReport::default();
        let mut cursor = None;
        loop {
            let page = self.running(cursor.as_ref(), PAGE).await?;
            let now = self.clock.now();
            report.running += page.unreadable as u64;
            report.failed += page.unreadable as u64;
            let unrecorded: Vec<_> = page.unrecorded_since_long(now).cloned().collect();
            // Overdue pauses first: whatever is not recorded meanwhile is lost.
            let (due, rest): (Vec<_>, Vec<_>) = page
                .recordings
                .into_iter()
                .partition(|recording| recording.overdue_pause(now).is_some());
            self.check_recordings(due, budget, &mut report).await;
            report.failed += self.record_unrecorded(unrecorded, budget).await;
            self.check_recordings(rest, budget, &mut report).await;
            cursor = page.next;
            if cursor.is_none() || budget.is_spent() {
                break;
            }
        }
        report.failed += starts?;
        Ok(report)
    }

    async fn check_recordings(
        &self,
        recordings: Vec<RegisteredRecording>,
        budget: Budget,
        report: &mut RecordingsReport,
    ) {
        let looks = futures::stream::iter(recordings)
            .take_while(|_| std::future::ready(!budget.is_spent()))
            .map(|recording| async move { self.check_recording(&recording).await })
            .buffer_unordered(AT_ONCE);
        for looked in looks.collect::<Vec<_>>().await {
            report.count(looked);
        }
    }

    async fn check_recording(&self, recording: &RegisteredRecording) -> CheckOutcome {
        let (id, now) = (&recording.recording_id, self.clock.now());
        let checked = match recording.overdue_pause(now) {
            Some(pause) => self
                .end_overdue_pause(id, pause)
                .await
                .map(|ended| ended.map_or(CheckOutcome::Fine, |_| CheckOutcome::Resumed)),
            None if is_due(recording, now) => self.ask(recording).await,
            None => Ok(CheckOutcome::Fine),
        };
        let error = match checked {
            Ok(outcome) => return outcome,
            Err(ControlError::Ended { .. }) => return CheckOutcome::Closed,
            Err(error) => error,
        };
        let account = self.known(id).await;
        if account.is_some_and(|account| !account.is_running()) {
            return CheckOutcome::Closed;
        }
        error!(recording.id = %id, error = %ErrorChain(&error), "Could not check recording `{id}`");
        CheckOutcome::Failed
    }

    /// Records requests of these recordings that no other process records. Returns for how many recordings that failed.
    async fn record_unrecorded(&self, recordings: Vec<RegisteredRecording>, budget: Budget) -> u64 {
        let now = self.clock.now();
        let failed = futures::stream::iter(recordings)
            .take_while(|_| std::future::ready(!budget.is_spent()))
            .map(|recording| async move {
                let id = &recording.recording_id;
                let recorded = self.register.record_unrecorded(&recording, now).await;
                let recorded = recorded.inspect_err(|error| {
                    error!(recording.id = %id, error = %ErrorChain(error), "Could not check recording `{id}`");
                });
                recorded.is_err()
            })
            .buffer_unordered(AT_ONCE);
        let failed: Vec<bool> = failed.collect().await;
        failed.into_iter().filter(|failed| *failed).count() as u64
    }

    /// Asks ACS for a recording's state, settles unknown outcomes, and sends again what a late request undid.
    async fn ask(&self, recording: &RegisteredRecording) -> Result<CheckOutcome, ControlError> {
        let id = &recording.recording_id;
        if let Some(resume) = recording.late_resume(self.clock.now()) {
            // ACS does not report whether that resume came before the newer pause or after it.
            self.send_again(id, Decision::Pause).await;
            self.register
                .change(id, self.clock.now(), |account| account.give_up(&resume))
                .await?;
        }
        let look = self.look(id).await?;
        if let Some(decision) = look.undone {
            self.send_again(id, decision).await;
        }
        let has_ended = look
            .view
            .account
            .is_some_and(|account| !account.is_running());
        Ok(if has_ended {
            CheckOutcome::Closed
        } else {
            CheckOutcome::Fine
        })
    }
}

/// Whether ACS has not been asked for a while, or the outcome of a request is unknown.
fn is_due(recording: &RegisteredRecording, now: Timestamp) -> bool {
    is_ahead(recording.heard_at, now)
        || now.duration_since(recording.heard_at) >= ASK_EVERY
        || recording.has_unsettled(now)
        || recording.is_to_be_checked(now)
}
