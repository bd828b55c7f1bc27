//! Errors of recording control.

use std::time::Duration;

use crate::acs::AcsError;
use crate::acs::error::AcsErrorAnswer;
use crate::recording::RecordingId;
use crate::request_body::InvalidRequest;
use crate::store::DocumentError;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    #[error("recording needs consent evidence")]
    ConsentRequired,
    #[error("recording is already in progress")]
    AlreadyInProgress {
        recording_id: Option<RecordingId>,
        acs: Option<Box<AcsErrorAnswer>>,
    },
    /// A start of this call was sent, and its answer was lost or has not arrived. ACS is asked again.
    #[error("whether the recording of this call was started is not known yet")]
    StartUnknown {
        retry_after: Duration,
        source: Option<AcsError>,
    },
    /// The `Idempotency-Key` was used for another call; ACS answered with its recording. This call is not recorded.
    #[error("the idempotency key belongs to the start of another call")]
    KeyReused { recording_id: RecordingId },
    #[error("recording has not started")]
    NotStarted {
        recording_id: RecordingId,
        acs: Option<Box<AcsErrorAnswer>>,
    },
    /// It ran, and ended.
    #[error("recording has ended")]
    Ended {
        recording_id: RecordingId,
        acs: Option<Box<AcsErrorAnswer>>,
    },
    #[error(transparent)]
    Acs(#[from] AcsError),
    #[error("the register failed")]
    Register(#[from] DocumentError),
}

impl ControlError {
    /// Whether the same request may succeed a little later: ACS or the register fails at the moment, ACS does not
    /// accept our credential (an operator can fix that while events are delivered again), or the call is not
    /// established yet.
    pub fn may_succeed_later(&self) -> bool {
        match self {
            Self::Acs(AcsError::NoConversation(_)) => false,
            Self::Acs(error) => error.answer().is_none_or(|_| {
                error.is_transient()
                    || error.may_have_taken_effect()
                    || error.is_call_not_established()
                    || error.is_credential_refused()
            }),
            Self::Register(_) | Self::StartUnknown { .. } => true,
            Self::Invalid(_)
            | Self::ConsentRequired
            | Self::AlreadyInProgress { .. }
            | Self::KeyReused { .. }
            | Self::NotStarted { .. }
            | Self::Ended { .. } => false,
        }
    }
}
