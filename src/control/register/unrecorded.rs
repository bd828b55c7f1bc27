//! Records what was asked for and by whom where the answer never came. The process that asked ACS records what ACS answered;
//! where it was killed, or the answer was lost, the sweep does.

use jiff::Timestamp;
use tracing::warn;

use super::RecordingRegister;
use crate::control::entry::RegisteredRecording;
use crate::control::intention::Intention;
use crate::control::recorded::OperationRecord;
use crate::error_chain::ErrorChain;
use crate::recording::RecordingId;
use crate::store::documents::DocumentError;

impl RecordingRegister {
    /// Records requests of a recording that no process can be about to record, and then drops them from its account.
    ///
    /// # Errors
    /// When the storage fails: they stay in the account.
    pub async fn record_unrecorded(
        &self,
        recording: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<(), DocumentError> {
        let (id, lost) = (
            &recording.recording_id,
            recording.unrecorded_since_long(now),
        );
        if lost.is_empty() || self.audit.is_none() {
            return Ok(());
        }
        self.record_lost_answers(id, &lost).await?;
        let forget = |account: &mut RegisteredRecording| {
            for request in &lost {
                account.forget_unrecorded(request.id);
            }
        };
        self.change(id, now, forget).await.map(drop)
    }

    /// Records requests, each once.
    pub(super) async fn record_lost_answers(
        &self,
        id: &RecordingId,
        lost: &[Intention],
    ) -> Result<(), DocumentError> {
        let Some(audit) = &self.audit else {
            return Ok(());
        };
        for intention in lost {
            if let Some(record) = OperationRecord::of_lost_answer(intention)
                && !record.is_recorded(audit, id, intention.at).await?
            {
                record.append(audit, id, intention.at).await?;
            }
        }
        Ok(())
    }

    /// Returns those of the requests that are not in the audit log, neither with their answers nor repeated by the same
    /// requester. Without an answer of the log it returns them all.
    pub(super) async fn not_recorded(
        &self,
        id: &RecordingId,
        dropped: Vec<Intention>,
    ) -> Vec<Intention> {
        let Some(audit) = &self.audit else {
            return dropped;
        };
        let mut unrecorded = Vec::new();
        for intention in dropped {
            let Some(record) = OperationRecord::of_lost_answer(&intention) else {
                continue;
            };
            let is_repeated = record.is_repeated(audit, id, intention.at).await;
            let is_repeated = is_repeated.unwrap_or_else(|error| {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not read the audit log of recording `{id}`");
                false
            });
            if !is_repeated {
                unrecorded.push(intention);
            }
        }
        unrecorded
    }
}
