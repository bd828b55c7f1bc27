//! Recordings that ended and whose files were never announced: reported before ACS drops the files.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use tracing::error;

use super::RecordingControl;
use super::entry::RegisteredRecording;
use super::register::AwaitedAccount;
use crate::export::Budget;
use crate::metrics;
use crate::store::documents::DocumentError;

impl RecordingControl {
    /// Reports every recording whose files are overdue, once. Returns how many were reported.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn report_missing(&self, budget: Budget) -> Result<u64, DocumentError> {
        let now = self.clock.now();
        let mut reported = 0;
        let mut overdue = self.register.overdue(now);
        while let Some(awaited) = overdue.try_next().await? {
            if budget.is_spent() {
                break;
            }
            if let AwaitedAccount::Readable(recording) = &awaited.account {
                reported += u64::from(self.report_one(recording, now).await?);
            }
            self.register.no_longer_awaited(&awaited, now).await?;
        }
        Ok(reported)
    }

    async fn report_one(
        &self,
        recording: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<bool, DocumentError> {
        if !recording.is_awaited() {
            return Ok(false);
        }
        metrics::RECORDINGS_MISSING.increment(&[]);
        let id = &recording.recording_id;
        error!(
            recording.id = %id,
            "Recording `{id}` ended and no file of it was announced; look at the Event Grid subscription and at ACS before its retention ends"
        );
        self.register
            .change(id, now, |account| {
                account.files.missing_since = account.files.missing_since.or(Some(now));
            })
            .await?;
        Ok(true)
    }
}
