//! What a drive would do about a source now, without doing it: by the same rules, in the same order.

use crate::error_chain::ErrorChain;
use crate::export::driver::ExportDriver;
use crate::export::driver::deletion::DeletionPermission;
use crate::export::driver::next_step::{NextStep, next_step};
use crate::export::entry::LedgerEntry;
use crate::export::ledger::LedgerError;
use crate::export::state::{ChunkState, SourceEnd};
use crate::store::holds::{self, Case};

/// Whether a chunk would be deleted at ACS by a drive that began now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    Deletes,
    /// Not now, or never; and why.
    Keeps {
        why: String,
    },
}

impl ExportDriver {
    /// Looks; changes nothing. A drive looks again, and what it finds counts.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn preview(&self, entry: &LedgerEntry) -> Result<Preview, LedgerError> {
        let now = self.clock.now();
        let keeps = |why: String| Ok(Preview::Keeps { why });
        let receipt = match next_step(entry, self.policy.deletion, now) {
            NextStep::DeleteSource { receipt } => receipt,
            NextStep::Export if entry.state.receipt().is_some() => {
                return keeps("its metadata is not in the vault yet".to_owned());
            }
            NextStep::ExportFurther { .. } => {
                return keeps("another file of it is not in the vault yet".to_owned());
            }
            NextStep::Export => return keeps("it is not proved to be in the vault".to_owned()),
            NextStep::Catalogue => {
                return keeps(
                    "it lies in your own storage, where nothing is ever deleted".to_owned(),
                );
            }
            NextStep::MoveHome { .. } | NextStep::ClearBackup { .. } => {
                return keeps("its copy has to come home from the backup vault first".to_owned());
            }
            NextStep::LeaveSource { reason, .. } => return keeps(reason),
            NextStep::Wait { until } => {
                let cases = self.cases_on(entry).await?;
                let why = if cases.is_empty() {
                    self.waits_for(entry)
                } else {
                    held(&cases)
                };
                return keeps(format!("{why}; it is looked at again at {until:.0}"));
            }
            NextStep::Nothing => return keeps(ended(&entry.state)),
        };
        if entry.is_claimed(now) {
            return keeps("somebody is at work on it".to_owned());
        }
        if let DeletionPermission::Denied { reason } = self.permission(entry, &receipt).await? {
            return keeps(reason);
        }
        let cases = self.cases_on(entry).await?;
        if !cases.is_empty() {
            return keeps(held(&cases));
        }
        match self.vaults().still_hold(&receipt).await {
            Ok(true) => Ok(Preview::Deletes),
            Ok(false) => {
                keeps("the vault no longer holds what was proved; it is exported again".to_owned())
            }
            Err(error) => keeps(ErrorChain(&error).to_string()),
        }
    }

    fn waits_for(&self, entry: &LedgerEntry) -> String {
        let backs_off = entry
            .not_before
            .is_some_and(|until| self.clock.now() < until);
        match (&entry.state, backs_off) {
            (ChunkState::Pending, _) => {
                "it is not proved to be in the vault, and waits for its next attempt".to_owned()
            }
            (_, true) => match entry.failures.last() {
                Some(failure) => format!(
                    "it waits for its next attempt; the last failure: {}",
                    failure.reason
                ),
                None => "it was held when it was looked at last".to_owned(),
            },
            (state, false) => {
                let objection = state
                    .receipt()
                    .and_then(|receipt| self.policy.deletion.objection(entry, receipt));
                objection.map_or_else(
                    || "DELETE_DELAY is not over".to_owned(),
                    |objection| format!("{objection}; `accept` lets it go"),
                )
            }
        }
    }
}

fn held(cases: &[Case]) -> String {
    format!("it is held for {}", holds::tags(cases))
}

fn ended(state: &ChunkState) -> String {
    match state {
        ChunkState::SourceDeleted { .. } => "it is deleted already".to_owned(),
        ChunkState::SourceLeft { reason, .. } => format!("it was left: {reason}"),
        ChunkState::InPlace { .. } => {
            "it lies in your own storage, where nothing is ever deleted".to_owned()
        }
        ChunkState::Removing { source, .. } => match source {
            SourceEnd::Deleted { .. } => "it is deleted already".to_owned(),
            SourceEnd::Left { reason } => format!("it was left: {reason}"),
            SourceEnd::Expired { reason, .. } => format!("it is lost: {reason}"),
            SourceEnd::GivenUp { reason, .. } => format!("it was given up: {reason}"),
            SourceEnd::Open => "its recording is being erased".to_owned(),
        },
        ChunkState::Removed { .. } => "its copy was deleted by policy".to_owned(),
        ChunkState::Expired { reason, .. } => format!("it is lost: {reason}"),
        ChunkState::DeadLettered { reason, .. } => {
            format!("it is not in the vault, and was given up: {reason}")
        }
        ChunkState::Pending | ChunkState::Exported { .. } => "nothing is due".to_owned(),
    }
}
