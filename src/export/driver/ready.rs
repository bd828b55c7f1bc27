//! Whether a chunk can be driven now: a step is due, and a slot is free for it.

use std::time::Duration;

use super::next_step::{NextStep, next_step};
use super::{DriveOutcome, ExportDriver, ProofAge};
use crate::export::budget::Budget;
use crate::export::entry::{LedgerEntry, Risk, SourceKeeper};
use crate::export::ledger::{Found, LedgerError};
use crate::export::slots::Slot;
use crate::recording::DocumentId;

/// How long a safe chunk waits for a slot for its deletion before it lets others go first.
const DELETION_PATIENCE: Duration = Duration::from_secs(1);

/// Turns that a safe chunk counts as having had: it waits until everything else has had its turns.
const SAFE: u32 = u32::MAX;

/// Whether a chunk can be driven now.
pub(super) enum Ready {
    Due {
        found: Box<Found>,
        slot: Slot,
        risk: Option<Risk>,
    },
    NotDue {
        outcome: Box<DriveOutcome>,
        risk: Option<Risk>,
    },
}

impl Ready {
    fn not_due(outcome: DriveOutcome, risk: Option<Risk>) -> Self {
        Self::NotDue {
            outcome: Box::new(outcome),
            risk,
        }
    }
}

fn patience_of(turns: u32) -> Duration {
    match turns {
        SAFE => DELETION_PATIENCE,
        _ => Duration::MAX,
    }
}

impl ExportDriver {
    /// Whether ACS keeps the files of a chunk that is reported to be in the customer's own storage.
    fn is_kept_by_acs(&self, entry: &LedgerEntry) -> bool {
        let Some(location) = entry.chunk.locations.content.as_deref() else {
            return false;
        };
        entry.chunk.is_external() && !self.external.admits(location) && self.source.admits(location)
    }

    /// Returns the entry and a slot, if a step is due for it. `known` saves the first read.
    pub(super) async fn ready(
        &self,
        document_id: &DocumentId,
        known: Option<Found>,
        budget: Budget,
    ) -> Result<Ready, LedgerError> {
        let was_just_recorded = known.is_some();
        let (mut slot, mut known) = (None, known);
        loop {
            let found = match known.take() {
                Some(found) => Some(found),
                None => self.ledger.find(document_id).await?,
            };
            let Some(mut found) = found else {
                return Ok(Ready::not_due(DriveOutcome::Unknown, None));
            };
            // Durable with the claim.
            if self.is_kept_by_acs(&found.entry) {
                found.entry.source_keeper = SourceKeeper::Acs;
            }
            let risk = found.entry.risk(self.clock.now());
            let Some(found) = self.watch(found).await? else {
                return Ok(Ready::not_due(DriveOutcome::Unknown, risk));
            };
            let turns = match next_step(&found.entry, self.policy.deletion, self.clock.now()) {
                NextStep::Wait { until } => {
                    return Ok(Ready::not_due(DriveOutcome::Waiting { until }, risk));
                }
                NextStep::Nothing => {
                    let state = found.entry.state.clone();
                    self.report_end(found).await?;
                    let proof = ProofAge::Earlier;
                    return Ok(Ready::not_due(DriveOutcome::Settled { state, proof }, risk));
                }
                NextStep::Export
                | NextStep::ExportFurther { .. }
                | NextStep::Catalogue
                | NextStep::MoveHome { .. }
                | NextStep::ReplaceDamaged { .. } => 0,
                NextStep::ClearBackup { .. }
                | NextStep::DeleteSource { .. }
                | NextStep::LeaveSource { .. } => SAFE,
            };
            if let Some(slot) = slot.or_else(|| self.slots.try_acquire()) {
                return Ok(Ready::Due {
                    found: Box::new(found),
                    slot,
                    risk,
                });
            }
            tokio::select! {
                biased;
                granted = self.slots.acquire(turns, found.entry.expires_at) => {
                    slot = Some(granted);
                    // Other processes rarely change a new entry, and the claim fails if one did. Every other entry is read again.
                    known = was_just_recorded.then_some(found);
                }
                () = budget.spent() => return Ok(Ready::not_due(DriveOutcome::OutOfBudget, risk)),
                // While it queues it keeps the sweep from chunks behind it, which may not be safe.
                () = tokio::time::sleep(patience_of(turns)) => {
                    let until = self.clock.now();
                    return Ok(Ready::not_due(DriveOutcome::Waiting { until }, risk));
                }
            }
        }
    }
}
