//! The recordings of a package. They are read before the package is begun, so that a refusal comes before its first byte.

use crate::catalogue::known::KnownRecording;
use crate::catalogue::lookup::UnregisteredLeads;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::error_chain::ErrorChain;
use crate::export::ExportReceipt;
use crate::export::entry::FurtherFile;
use crate::recording::RecordingId;

/// How a package handles a requested recording that is unknown, not readable, or was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentRecording {
    /// There is no package.
    Refused,
    /// The package lists it as a problem.
    Listed,
}

/// The recordings of a package, as they were read.
#[derive(Debug, Default)]
pub struct RequestedRecordings {
    pub(super) found: Vec<KnownRecording>,
    /// A sentence for each recording that is absent.
    pub(super) absent: Vec<String>,
}

/// Why a recording cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum AbsenceError {
    #[error("there is no recording `{0}` here")]
    Unknown(RecordingId),
    #[error("the recording `{0}` was erased")]
    Erased(RecordingId),
    #[error("the recording `{recording_id}` could not be read")]
    NotRead {
        recording_id: RecordingId,
        source: CatalogueError,
    },
}

impl AbsenceError {
    /// Whether a repeat has the same outcome until somebody changes the ledger. A storage that fails is no answer.
    fn is_answer(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Erased(_) => true,
            Self::NotRead { source, .. } => match source {
                CatalogueError::Unreadable { .. }
                | CatalogueError::AccountMissing { .. }
                | CatalogueError::NotAllRead => true,
                CatalogueError::Ledger(_)
                | CatalogueError::Register(_)
                | CatalogueError::Store(_)
                | CatalogueError::Vault(_) => false,
            },
        }
    }
}

impl RequestedRecordings {
    /// Returns the size of all copies, as far as the entries of their chunks are readable.
    pub fn size_of_copies(&self) -> u64 {
        let entries = self.found.iter().flat_map(KnownRecording::entries);
        let receipts = entries.flat_map(|entry| {
            let further = entry.further.iter().filter_map(FurtherFile::receipt);
            entry.state.receipt().into_iter().chain(further)
        });
        let files = receipts.flat_map(ExportReceipt::files);
        files.fold(0_u64, |sum, file| sum.saturating_add(file.size_bytes()))
    }

    /// Removes a recording that was found.
    fn take(&mut self, id: &RecordingId) -> Option<KnownRecording> {
        let mut found = self.found.iter();
        let at = found.position(|recorded| recorded.account.recording_id == *id)?;
        Some(self.found.swap_remove(at))
    }
}

impl Catalogue {
    /// Reads the recordings of a package. One whose account is lost is found by its chunks.
    ///
    /// # Errors
    /// When a recording is absent and must not be, or the storage fails.
    pub async fn requested(
        &self,
        recordings: &[RecordingId],
        absent: AbsentRecording,
    ) -> Result<RequestedRecordings, AbsenceError> {
        let nothing_read = RequestedRecordings::default();
        Box::pin(self.requested_beside(nothing_read, recordings, absent)).await
    }

    /// As `requested`; what was found before is not read again.
    ///
    /// # Errors
    /// As [`Catalogue::requested`].
    pub async fn requested_beside(
        &self,
        mut read: RequestedRecordings,
        recordings: &[RecordingId],
        absent: AbsentRecording,
    ) -> Result<RequestedRecordings, AbsenceError> {
        let mut requested = RequestedRecordings::default();
        let leads = UnregisteredLeads::default();
        for id in recordings {
            if let Some(recorded) = read.take(id) {
                requested.found.push(recorded);
                continue;
            }
            match (Box::pin(self.requested_one(&leads, id)).await, absent) {
                (Ok(recorded), _) => requested.found.push(recorded),
                (Err(error), AbsentRecording::Listed) if error.is_answer() => {
                    requested.absent.push(ErrorChain(&error).to_string());
                }
                (Err(error), AbsentRecording::Listed | AbsentRecording::Refused) => {
                    return Err(error);
                }
            }
        }
        Ok(requested)
    }

    async fn requested_one(
        &self,
        leads: &UnregisteredLeads,
        id: &RecordingId,
    ) -> Result<KnownRecording, AbsenceError> {
        match self.find_with(leads, id).await {
            Ok(Some(recorded)) if recorded.account.erased.is_some() => {
                Err(AbsenceError::Erased(id.clone()))
            }
            Ok(Some(recorded)) => Ok(recorded),
            Ok(None) => Err(AbsenceError::Unknown(id.clone())),
            Err(source) => Err(AbsenceError::NotRead {
                recording_id: id.clone(),
                source,
            }),
        }
    }
}
