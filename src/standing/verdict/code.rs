//! The causes of a verdict as codes: what alert rules, metrics and programs compare. Pure.

use serde::Serialize;
use utoipa::ToSchema;

use crate::standing::Standing;

/// One thing that is wrong, or that was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerdictCode {
    /// The ledger has proofs of copies, and the vault is empty.
    VaultEmpty,
    /// The ledger is empty, and a vault has files or the audit log has records of recordings.
    LedgerEmpty,
    /// Copies that were looked for are not in the vault.
    CopiesMissing,
    Lost,
    Failed,
    AtRisk,
    /// An account or an entry of a recording is not readable.
    UnreadableRecording,
    Missing,
    Incomplete,
    Doubtful,
    /// A chunk's entry is not readable or missing, and no recording of it is known.
    UnreadableChunk,
    /// An event could not be read.
    Poison,
    /// The last complete check found something wrong.
    CheckFindings,
    /// There are more unsettled recordings than were read.
    SurveyCapped,
    VaultUnreadable,
    /// An event is not completely processed.
    KeptEvents,
    /// ACS did not say whether a start began a recording: one may run without an account.
    StartUnknown,
    /// No sweep ended in time, or its time is in the future.
    SweepLate,
    /// No checkpoint covers the newest records of the audit log.
    AuditUncovered,
    /// No complete check ended in time, or its time is in the future.
    CheckLate,
    /// Files in the customer's own storage could not be looked at.
    InPlaceUnseen,
    /// A sweep could not look at chunks, recordings or missing files.
    SweepFailed,
    /// The verdict could not be determined.
    NotDetermined,
    /// A request ran the last sweep, because the timer did not, or whether it did is not known.
    TimerLate,
}

impl VerdictCode {
    pub const ALL: [Self; 24] = [
        Self::VaultEmpty,
        Self::LedgerEmpty,
        Self::CopiesMissing,
        Self::Lost,
        Self::Failed,
        Self::AtRisk,
        Self::UnreadableRecording,
        Self::Missing,
        Self::Incomplete,
        Self::Doubtful,
        Self::UnreadableChunk,
        Self::Poison,
        Self::CheckFindings,
        Self::SurveyCapped,
        Self::VaultUnreadable,
        Self::KeptEvents,
        Self::StartUnknown,
        Self::SweepLate,
        Self::AuditUncovered,
        Self::CheckLate,
        Self::InPlaceUnseen,
        Self::SweepFailed,
        Self::NotDetermined,
        Self::TimerLate,
    ];

    /// Returns the code of a standing that needs a person.
    pub fn of_standing(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Lost => Some(Self::Lost),
            Standing::Failed => Some(Self::Failed),
            Standing::AtRisk => Some(Self::AtRisk),
            Standing::Unknown => Some(Self::UnreadableRecording),
            Standing::Missing => Some(Self::Missing),
            Standing::Incomplete => Some(Self::Incomplete),
            Standing::Doubtful => Some(Self::Doubtful),
            Standing::BackupOnly
            | Standing::Active
            | Standing::Paused
            | Standing::AwaitingFiles
            | Standing::Exporting
            | Standing::Waiting
            | Standing::Acknowledged
            | Standing::Verified
            | Standing::InPlace
            | Standing::Erased
            | Standing::Removed => None,
        }
    }

    /// Returns its name in JSON, in the line of a sweep, in metrics and in alert rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::VaultEmpty => "vaultEmpty",
            Self::LedgerEmpty => "ledgerEmpty",
            Self::CopiesMissing => "copiesMissing",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::AtRisk => "atRisk",
            Self::UnreadableRecording => "unreadableRecording",
            Self::Missing => "missing",
            Self::Incomplete => "incomplete",
            Self::Doubtful => "doubtful",
            Self::UnreadableChunk => "unreadableChunk",
            Self::Poison => "poison",
            Self::CheckFindings => "checkFindings",
            Self::SurveyCapped => "surveyCapped",
            Self::VaultUnreadable => "vaultUnreadable",
            Self::KeptEvents => "keptEvents",
            Self::StartUnknown => "startUnknown",
            Self::SweepLate => "sweepLate",
            Self::AuditUncovered => "auditUncovered",
            Self::CheckLate => "checkLate",
            Self::InPlaceUnseen => "inPlaceUnseen",
            Self::SweepFailed => "sweepFailed",
            Self::NotDetermined => "notDetermined",
            Self::TimerLate => "timerLate",
        }
    }
}

/// A cause of the verdict: a sentence for people, and its code for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) code: VerdictCode,
    pub(super) text: String,
}

impl Cause {
    pub(super) fn new(code: VerdictCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// Whether a deployment that has recorded nothing has it as well: then no sweep and no complete check need have ended,
    /// and there may be no timer yet.
    pub(super) fn is_usual_before_use(&self) -> bool {
        matches!(
            self.code,
            VerdictCode::SweepLate | VerdictCode::CheckLate | VerdictCode::TimerLate
        )
    }
}
