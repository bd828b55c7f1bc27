//! Recordings that ended and whose files were never announced: reported before ACS drops the files.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use tracing::{error, warn};

use super::RecordingControl;
use super::entry::RegisteredRecording;
use super::register::{Awaited, AwaitedAccount};
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::metrics;
use crate::store::documents::DocumentError;

impl RecordingControl {
    /// Reports every recording whose files are overdue, once. Returns how many were reported. A recording with a damaged
    /// account does not keep the others waiting.
    ///
    /// # Errors
    /// When the register fails, or an account is damaged: then not all were reported.
    pub async fn report_missing(&self, budget: Budget) -> Result<u64, DocumentError> {
        let now = self.clock.now();
        let (mut reported, mut failure) = (0, None);
        let mut overdue = self.register.overdue(now);
        while let Some(awaited) = overdue.try_next().await? {
            if budget.is_spent() {
                break;
            }
            let marker = awaited.marker.clone();
            match self.report_awaited(awaited, now).await {
                Ok(is_reported) => reported += u64::from(is_reported),
                Err(error) if !error.is_of_one_document() => return Err(error),
                Err(error) => {
                    warn!(key = marker, error = %ErrorChain(&error), "Could not check whether a recording's files are missing; the sweep tries again");
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(reported),
        }
    }

    async fn report_awaited(
        &self,
        mut awaited: Awaited,
        now: Timestamp,
    ) -> Result<bool, DocumentError> {
        let is_reported = match &awaited.account {
            AwaitedAccount::Readable(recording) if self.register.is_overdue(recording, now) => {
                let reported = self.report_one(recording, now).await?;
                awaited.account = AwaitedAccount::Readable(Box::new(reported));
                true
            }
            AwaitedAccount::Readable(_) | AwaitedAccount::Gone | AwaitedAccount::Unreadable => {
                false
            }
        };
        self.register.no_longer_awaited(&awaited, now).await?;
        Ok(is_reported)
    }

    async fn report_one(
        &self,
        recording: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<RegisteredRecording, DocumentError> {
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
            .await
    }
}
