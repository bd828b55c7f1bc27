//! What Event Grid announces of recordings and calls, taken over into the register.

use jiff::Timestamp;
use tracing::info;

use super::RecordingControl;
use super::entry::RegisteredRecording;
use crate::acs::wire::{CallLocator, RecordedCall};
use crate::recording::{RecordingChunk, RecordingFileStatusUpdated, RecordingId};
use crate::store::documents::DocumentError;

/// What a recording's account makes of the files that an event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    Registered,
    /// The recording was erased on request: its chunks must not be exported.
    OfErasedRecording,
}

impl RecordingControl {
    /// Takes over what an event says about a recording's files.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn announced(
        &self,
        update: &RecordingFileStatusUpdated,
    ) -> Result<Announcement, DocumentError> {
        let Some(id) = &account_of(update) else {
            return Ok(Announcement::Registered);
        };
        let now = self.clock.now();
        let account = self
            .register
            .change(id, now, |account| {
                let server_call_id = update.server_call_id.as_ref().map(ToString::to_string);
                let call =
                    server_call_id.map(|server_call_id| CallLocator::ServerCall { server_call_id });
                account.call = account.call.take().or(call.map(RecordedCall::Locator));
                account.call_id = account
                    .call_id
                    .take()
                    .or_else(|| update.chunks.iter().find_map(|chunk| chunk.call_id.clone()));
                account.started_at = account.started_at.or(update.started_at);
                account.files.add(update, now);
                if update.is_last {
                    account.stop(update.event_time.unwrap_or(now).min(now));
                }
            })
            .await?;
        for problem in account.files.problems() {
            tracing::warn!(recording.id = %id, "Recording `{id}` is not complete: {problem}");
        }
        Ok(announcement_of(&account))
    }

    /// Whether the recording of an event was erased, where its account could not be changed.
    ///
    /// # Errors
    /// When the register fails. An account that is not readable is no error: nothing says that the recording was erased.
    pub async fn look_up_announced(
        &self,
        update: &RecordingFileStatusUpdated,
    ) -> Result<Announcement, DocumentError> {
        let Some(id) = account_of(update) else {
            return Ok(Announcement::Registered);
        };
        match self.register.find(&id).await {
            Ok(account) => Ok(account
                .as_ref()
                .map_or(Announcement::Registered, announcement_of)),
            Err(DocumentError::Corrupt { .. }) => Ok(Announcement::Registered),
            Err(error) => Err(error),
        }
    }

    /// Whether the register has the recording of a chunk, and the chunk among its files. An account that is not readable is
    /// there: reports say what is wrong with it.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn has_recording_of(&self, chunk: &RecordingChunk) -> Result<bool, DocumentError> {
        match self.register.find(&chunk.filed_under()).await {
            Ok(account) => {
                let files = account.map(|account| account.files);
                Ok(files.is_some_and(|files| {
                    files
                        .documents()
                        .any(|(_, document)| *document == chunk.document_id)
                }))
            }
            Err(DocumentError::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The call is over, and with it its recording.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn call_ended(
        &self,
        server_call_id: &str,
        at: Timestamp,
    ) -> Result<Option<RecordingId>, DocumentError> {
        let call = RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: server_call_id.to_owned(),
        });
        let Some(id) = self.calls.recording_of(&call).await? else {
            return Ok(None);
        };
        self.register
            .change(&id, self.clock.now(), |account| account.stop(at))
            .await?;
        info!(recording.id = %id, "The call of recording `{id}` ended");
        Ok(Some(id))
    }
}

/// The recording whose account an event changes. Events of 2021 name none: then it is what its chunks are filed under.
fn account_of(update: &RecordingFileStatusUpdated) -> Option<RecordingId> {
    let filed_under = || update.chunks.first().map(RecordingChunk::filed_under);
    update.recording_id.clone().or_else(filed_under)
}

fn announcement_of(account: &RegisteredRecording) -> Announcement {
    match account.erased {
        Some(_) => Announcement::OfErasedRecording,
        None => Announcement::Registered,
    }
}
