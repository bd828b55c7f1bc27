//! Previews what a drive would do with a source now, by the same rules in the same order.

use std::fmt;

use jiff::Timestamp;

use crate::error_chain::ErrorChain;
use crate::export::destination::DestinationError;
use crate::export::driver::ExportDriver;
use crate::export::driver::deletion::DeletionPermission;
use crate::export::driver::next_step::{NextStep, next_step};
use crate::export::driver::objection::Objection;
use crate::export::entry::LedgerEntry;
use crate::export::ledger::LedgerError;
use crate::export::recheck::{Depth, Rechecked};
use crate::export::state::{ChunkState, SourceEnd};
use crate::export::transfer::verify::Mismatch;
use crate::store::holds::{self, Case};

/// Whether a chunk would be deleted at ACS by a drive that began now.
#[derive(Debug)]
pub enum Preview {
    Deletes,
    /// Not now, or never, with the reason.
    Keeps {
        why: WhyKept,
    },
}

/// Why a drive that began now would not delete a source.
#[derive(Debug)]
pub enum WhyKept {
    NotProved,
    MetadataNotInVault,
    /// Another file of the document is still to be exported.
    FurtherNotInVault,
    InOwnStorage,
    InBackupVault,
    /// Another process holds its claim.
    Claimed,
    /// Never by this product.
    Objection(Objection),
    Held(Vec<Case>),
    /// Nothing is due before `until`.
    Waits {
        cause: WaitCause,
        until: Timestamp,
    },
    /// The copy is not the one that was proved: the chunk is exported again.
    CopyLost(Mismatch),
    /// The vault could not be asked about the copy.
    CopyNotChecked(DestinationError),
    /// The chunk is in a final state.
    Ended(Box<ChunkState>),
}

/// What a chunk waits for.
#[derive(Debug)]
pub enum WaitCause {
    Held(Vec<Case>),
    /// Its next attempt to be exported.
    Export,
    /// Its next attempt to be deleted, after this failure.
    Deletion {
        last_failure: String,
    },
    /// It was held at the last check.
    WasHeld,
    /// An operator has to accept it.
    Acceptance(Objection),
    /// `DELETE_DELAY`.
    Delay,
}

impl ExportDriver {
    /// Changes nothing. A drive checks again, and its result counts.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn preview(&self, entry: &LedgerEntry) -> Result<Preview, LedgerError> {
        let now = self.clock.now();
        let keeps = |why| Ok(Preview::Keeps { why });
        let receipt = match next_step(entry, self.policy.deletion, now) {
            NextStep::DeleteSource { receipt } => receipt,
            NextStep::Export if entry.state.receipt().is_some() => {
                return keeps(WhyKept::MetadataNotInVault);
            }
            NextStep::ExportFurther { .. } => {
                return keeps(WhyKept::FurtherNotInVault);
            }
            NextStep::Export => return keeps(WhyKept::NotProved),
            NextStep::Catalogue => return keeps(WhyKept::InOwnStorage),
            NextStep::MoveHome { .. } | NextStep::ClearBackup { .. } => {
                return keeps(WhyKept::InBackupVault);
            }
            NextStep::ReplaceDamaged { .. } => {
                return keeps(WhyKept::Objection(Objection::Damaged));
            }
            NextStep::LeaveSource { objection, .. } => return keeps(WhyKept::Objection(objection)),
            NextStep::Wait { until } => {
                let cases = self.cases_on(entry).await?;
                let cause = if cases.is_empty() {
                    self.waits_for(entry)
                } else {
                    WaitCause::Held(cases)
                };
                return keeps(WhyKept::Waits { cause, until });
            }
            NextStep::Nothing => return keeps(WhyKept::Ended(Box::new(entry.state.clone()))),
        };
        if entry.is_claimed(now) {
            return keeps(WhyKept::Claimed);
        }
        match self.permission_by_copies(entry, &receipt).await? {
            DeletionPermission::Granted(_) => {}
            DeletionPermission::Denied(objection) | DeletionPermission::NotYet(objection) => {
                return keeps(WhyKept::Objection(objection));
            }
        }
        let cases = self.cases_on(entry).await?;
        if !cases.is_empty() {
            return keeps(WhyKept::Held(cases));
        }
        match self.vaults().recheck(&receipt, Depth::Described).await {
            Rechecked::Same(_) => Ok(Preview::Deletes),
            Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                keeps(WhyKept::CopyLost(mismatch))
            }
            Rechecked::NotChecked(error) => keeps(WhyKept::CopyNotChecked(error)),
        }
    }

    fn waits_for(&self, entry: &LedgerEntry) -> WaitCause {
        if matches!(entry.state, ChunkState::Pending) {
            return WaitCause::Export;
        }
        let backs_off = entry
            .not_before
            .is_some_and(|until| self.clock.now() < until);
        if backs_off {
            return match entry.failures.last() {
                Some(failure) => WaitCause::Deletion {
                    last_failure: failure.reason.clone(),
                },
                None => WaitCause::WasHeld,
            };
        }
        let receipt = entry.state.receipt();
        let objection = receipt.and_then(|receipt| self.policy.deletion.objection(entry, receipt));
        objection.map_or(WaitCause::Delay, WaitCause::Acceptance)
    }
}

impl WhyKept {
    /// Whether the chunk stays as it is now, and a later drive decides.
    pub fn is_for_now(&self) -> bool {
        match self {
            Self::Claimed | Self::Held(_) | Self::Waits { .. } | Self::CopyNotChecked(_) => true,
            Self::NotProved
            | Self::MetadataNotInVault
            | Self::FurtherNotInVault
            | Self::InOwnStorage
            | Self::InBackupVault
            | Self::Objection(_)
            | Self::CopyLost(_)
            | Self::Ended(_) => false,
        }
    }
}

impl fmt::Display for WhyKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProved => f.write_str("it is not proved to be in the vault"),
            Self::MetadataNotInVault => f.write_str("its metadata is not in the vault yet"),
            Self::FurtherNotInVault => f.write_str("another file of it is not in the vault yet"),
            Self::InOwnStorage => {
                f.write_str("it is in your own storage, where nothing is ever deleted")
            }
            Self::InBackupVault => {
                f.write_str("its copy has to be moved home from the backup vault first")
            }
            Self::Claimed => f.write_str("another process works on it"),
            Self::Objection(objection) => write!(f, "{objection}"),
            Self::Held(cases) => write!(f, "it is held for {}", holds::tags(cases)),
            Self::Waits { cause, until } => {
                write!(f, "{cause}; its next check is due at {until:.0}")
            }
            Self::CopyLost(mismatch) => {
                write!(
                    f,
                    "the vault no longer holds what was proved ({mismatch}); it is exported again"
                )
            }
            Self::CopyNotChecked(error) => {
                write!(f, "its copy could not be checked: {}", ErrorChain(error))
            }
            Self::Ended(state) => write_end(f, state),
        }
    }
}

impl fmt::Display for WaitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(cases) => write!(f, "it is held for {}", holds::tags(cases)),
            Self::Export => {
                f.write_str("it is not proved to be in the vault, and waits for its next attempt")
            }
            Self::Deletion { last_failure } => write!(
                f,
                "it waits for its next attempt; the last failure: {last_failure}"
            ),
            Self::WasHeld => f.write_str("it was held at the last check"),
            Self::Acceptance(objection) => write!(f, "{objection}; `accept` allows its deletion"),
            Self::Delay => f.write_str("DELETE_DELAY has not passed"),
        }
    }
}

fn write_end(f: &mut fmt::Formatter<'_>, state: &ChunkState) -> fmt::Result {
    match state {
        ChunkState::SourceDeleted { .. } => f.write_str("it is deleted already"),
        ChunkState::SourceLeft { reason, .. } => write!(f, "it was left: {reason}"),
        ChunkState::InPlace { .. } => write!(f, "{}", WhyKept::InOwnStorage),
        ChunkState::Removing { source, .. } => write_source_end(f, source),
        ChunkState::Removed { source: None, .. } => {
            f.write_str("its copy was deleted from the vault; whether ACS has it is unknown")
        }
        ChunkState::Removed {
            source: Some(source),
            ..
        } => {
            f.write_str("its copy was deleted from the vault; ")?;
            write_source_end(f, source)
        }
        ChunkState::Expired { reason, .. } => write!(f, "it is lost: {reason}"),
        ChunkState::DeadLettered { reason, .. } => {
            write!(f, "it is not in the vault, and was given up: {reason}")
        }
        ChunkState::Pending | ChunkState::Exported { .. } => f.write_str("nothing is due"),
    }
}

fn write_source_end(f: &mut fmt::Formatter<'_>, source: &SourceEnd) -> fmt::Result {
    match source {
        SourceEnd::Deleted { .. } => f.write_str("it is deleted already"),
        SourceEnd::Left { reason } => write!(f, "it was left: {reason}"),
        SourceEnd::Expired { reason, .. } => write!(f, "it is lost: {reason}"),
        SourceEnd::GivenUp { reason, .. } => write!(f, "it was given up: {reason}"),
        SourceEnd::Open => f.write_str("its recording is erased, and it was not exported"),
    }
}
