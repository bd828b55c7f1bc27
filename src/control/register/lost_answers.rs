//! Records, before an account drops a request whose answer never came, what was asked for and by whom. The process that
//! asked ACS records what ACS answered; where it was killed, or the answer was lost, a later change of the account does.

use super::RecordingRegister;
use crate::control::intention::Intention;
use crate::control::recorded::OperationRecord;
use crate::recording::RecordingId;
use crate::store::documents::DocumentError;

impl RecordingRegister {
    /// Records requests that an account is about to drop without an answer.
    ///
    /// # Errors
    /// When the storage fails: the account must not be written then.
    pub(super) async fn record_lost_answers(
        &self,
        id: &RecordingId,
        lost: &[Intention],
    ) -> Result<(), DocumentError> {
        let Some(audit) = &self.audit else {
            return Ok(());
        };
        for intention in lost {
            let Some(record) = OperationRecord::of_lost_answer(intention) else {
                continue;
            };
            if !record.is_recorded(audit, id, intention.at).await? {
                record.append(audit, id, intention.at).await?;
            }
        }
        Ok(())
    }
}
