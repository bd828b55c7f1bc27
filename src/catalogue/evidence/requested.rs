//! The recordings of a package. They are read before the package is begun, so that a refusal comes before its first byte.

use crate::catalogue::known::KnownRecording;
use crate::catalogue::{Catalogue, CatalogueError};
use crate::error_chain::ErrorChain;
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
#[derive(Debug)]
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
        let mut requested = RequestedRecordings {
            found: Vec::new(),
            absent: Vec::new(),
        };
        for id in recordings {
            match (Box::pin(self.requested_one(id)).await, absent) {
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

    async fn requested_one(&self, id: &RecordingId) -> Result<KnownRecording, AbsenceError> {
        match self.find(id).await {
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
