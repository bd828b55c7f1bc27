//! Records, before an account drops an intention whose answer never came, what was asked for and by whom. The process that
//! asked ACS records what ACS answered; where it was killed, or the answer was lost, the next change of the account does.

use super::RecordingRegister;
use crate::control::entry::RegisteredRecording;
use crate::control::recorded::OperationRecord;
use crate::store::documents::DocumentError;

impl RecordingRegister {
    /// Records the intentions that `changed` no longer has, and without an answer.
    ///
    /// # Errors
    /// When the storage fails: the account must not be written then.
    pub(super) async fn record_lost_answers(
        &self,
        known: Option<&RegisteredRecording>,
        changed: &mut RegisteredRecording,
    ) -> Result<(), DocumentError> {
        let answered = changed.take_answered();
        let (Some(audit), Some(known)) = (&self.audit, known) else {
            return Ok(());
        };
        for intention in &known.intentions {
            if answered.contains(&intention.id) || changed.intended(intention.id).is_some() {
                continue;
            }
            let Some(record) = OperationRecord::of_lost_answer(intention) else {
                continue;
            };
            let id = &known.recording_id;
            if !record.is_recorded(audit, id, intention.at).await? {
                record.append(audit, id, intention.at).await?;
            }
        }
        Ok(())
    }
}
