//! The expiry alarm: reports chunks that near their expiry at 50, 75 and 90 % of their time, and each loss once.

use tracing::{error, warn};

use crate::error_chain::ErrorChain;
use crate::export::budget::Budget;
use crate::export::driver::ExportDriver;
use crate::export::entry::{LedgerEntry, Risk};
use crate::export::ledger::{Found, LedgerError};
use crate::export::state::ChunkState;

/// Chunks that are checked in one batch.
const PAGE: usize = 100;

impl ExportDriver {
    /// Reports a chunk whose risk of expiry has grown. Returns the entry as it is now.
    pub(super) async fn watch(&self, found: Found) -> Result<Option<Found>, LedgerError> {
        let entry = &found.entry;
        let Some(risk) = entry
            .risk(self.clock.now())
            .filter(|risk| entry.reported_risk.is_none_or(|reported| reported < *risk))
        else {
            return Ok(Some(found));
        };
        report_risk(entry, risk);
        let note = |entry: &mut LedgerEntry| entry.reported_risk = Some(risk);
        match self.ledger.note_reported(found.clone(), note).await {
            // An entry that cannot be written, for a lease or another reason, is reported by every sweep.
            Err(LedgerError::Store(_)) => Ok(Some(found)),
            noted => noted,
        }
    }

    /// Turns chunks that were given up into losses when ACS has dropped their files, and reports each once.
    ///
    /// # Errors
    /// When the list of such chunks cannot be read.
    pub async fn report_losses(&self, budget: Budget) -> Result<(), LedgerError> {
        let mut after = None;
        loop {
            let (doomed, next) = self.ledger.doomed(after.as_ref(), PAGE).await?;
            for chunk in doomed {
                if budget.is_spent() {
                    return Ok(());
                }
                let document_id = chunk.document_id.clone();
                let reported = match self.ledger.lose(chunk).await {
                    Ok(Some(lost)) => self.report_end(lost).await,
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = reported {
                    error!(document.id = %document_id, error = %ErrorChain(&error), "Could not check whether chunk `{document_id}`, which was given up, is lost");
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reports a chunk that ended without a copy, unless already reported: a kill may have come after its settlement.
    pub(super) async fn report_end(&self, found: Found) -> Result<(), LedgerError> {
        if found.entry.reported_end || !alarm(&found.entry) {
            return Ok(());
        }
        self.ledger
            .note_reported(found, |entry| entry.reported_end = true)
            .await
            .map(drop)
    }
}

fn report_risk(entry: &LedgerEntry, risk: Risk) {
    let id = &entry.chunk.document_id;
    let expires_at = entry.deadline().unwrap_or(entry.expires_at);
    let percent_elapsed = risk.share() * 100.0;
    let last = entry
        .failures
        .last()
        .map(|failure| failure.reason.as_str())
        .unwrap_or_default();
    match risk {
        Risk::Half => {
            warn!(document.id = %id, chunk.index = entry.chunk.index, percent_elapsed, %expires_at, error = last, "Chunk `{id}` is at risk: {percent_elapsed} % of its time has passed, ACS drops it at {expires_at}, and a file of it is not in the vault");
        }
        Risk::ThreeQuarters | Risk::NinetyPercent => {
            error!(document.id = %id, chunk.index = entry.chunk.index, percent_elapsed, %expires_at, error = last, "Chunk `{id}` is at risk: {percent_elapsed} % of its time has passed, ACS drops it at {expires_at}, and a file of it is not in the vault");
        }
    }
}

/// Reports a chunk if it ended without a copy. Returns whether it did.
pub(super) fn alarm(entry: &LedgerEntry) -> bool {
    let id = &entry.chunk.document_id;
    let (index, attempts) = (entry.chunk.index, entry.failures.len());
    match &entry.state {
        ChunkState::Expired { reason, seen_at } => {
            error!(document.id = %id, chunk.index = index, state = entry.state.name(), error = reason, "Chunk `{id}` is LOST: ACS has dropped it, seen at {seen_at} after {attempts} failed attempts (`recording-vault show {id}`)");
        }
        ChunkState::DeadLettered { reason, .. } => {
            error!(document.id = %id, chunk.index = index, state = entry.state.name(), error = reason, "Chunk `{id}` was not exported and will not be retried automatically (`recording-vault retry {id}`)");
        }
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. } => return false,
    }
    true
}
