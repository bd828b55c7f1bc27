//! The sweep of running recordings: forgotten pauses are ended, and ends that nobody reported are found.

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tracing::error;

use super::entry::{PauseEnd, RegisteredRecording};
use super::{ControlError, RecordingControl};
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::store::documents::DocumentError;

/// A running recording is asked for this often, so that one that ended by itself does not stay in the list.
pub(super) const ASK_EVERY: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Recordings that are looked after at once.
const AT_ONCE: usize = 8;

/// What the sweep did for running recordings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingsReport {
    pub running: u64,
    /// Forgotten pauses that were ended.
    pub resumed: u64,
    /// Recordings that had ended without a word.
    pub closed: u64,
    pub failed: u64,
}

/// What the check of one recording found.
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

/// Its pause is over, and nobody has ended it.
fn is_due(recording: &RegisteredRecording, now: Timestamp) -> bool {
    recording
        .open_pause()
        .and_then(|pause| pause.resume_at)
        .is_some_and(|resume_at| resume_at <= now)
}

impl RecordingControl {
    /// Ends pauses whose time is over, and asks for recordings not heard of for a while.
    ///
    /// # Errors
    /// When the list of running recordings cannot be read.
    pub async fn sweep(&self, budget: Budget) -> Result<RecordingsReport, DocumentError> {
        let mut report = RecordingsReport::default();
        let mut cursor = None;
        loop {
            let (page, next) = self.register.running(cursor.as_ref(), PAGE).await?;
            // Forgotten pauses first: what is not recorded meanwhile is lost.
            let (due, rest): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|recording| is_due(recording, self.clock.now()));
            let looks = futures::stream::iter(due.into_iter().chain(rest))
                .take_while(|_| std::future::ready(!budget.is_spent()))
                .map(|recording| async move { self.look_after(&recording).await })
                .buffer_unordered(AT_ONCE);
            for looked in looks.collect::<Vec<_>>().await {
                report.count(looked);
            }
            cursor = next;
            if cursor.is_none() || budget.is_spent() {
                return Ok(report);
            }
        }
    }

    async fn look_after(&self, recording: &RegisteredRecording) -> CheckOutcome {
        let (id, now) = (&recording.recording_id, self.clock.now());
        let is_due = is_due(recording, now);
        let result = if is_due {
            self.resume(id, PauseEnd::Guard).await
        } else if now.duration_since(recording.heard_at) >= ASK_EVERY {
            self.state(id).await
        } else {
            return CheckOutcome::Fine;
        };
        match result {
            Ok(_) if is_due => CheckOutcome::Resumed,
            Ok(view)
                if view
                    .account
                    .as_ref()
                    .is_some_and(|account| !account.is_running()) =>
            {
                CheckOutcome::Closed
            }
            Ok(_) => CheckOutcome::Fine,
            Err(ControlError::NotStarted { .. }) => CheckOutcome::Closed,
            Err(error) => {
                error!(recording.id = %id, error = %ErrorChain(&error), "Recording `{id}` could not be looked after");
                CheckOutcome::Failed
            }
        }
    }
}
