//! Checks files in the customer's own storage. ACS keeps none, so nothing expires and nothing is deleted. The check is
//! retried as often as the policy says, however long that takes.

use tracing::{error, info};

use super::run::{Run, Step};
use super::settle::dead_lettered;
use super::{ExportDriver, ProofAge};
use crate::error_chain::ErrorChain;
use crate::export::entry::{CutShort, LedgerEntry};
use crate::export::in_place::{self, Look};
use crate::export::ledger::LedgerError;
use crate::export::source::SourceError;
use crate::export::state::ChunkState;
use crate::recording::ChunkEnd;

impl ExportDriver {
    pub(super) async fn look_in_place(&self, run: &mut Run<'_>) -> Result<Step, LedgerError> {
        let now = self.clock.now();
        let error = match in_place::look(&*self.external, &run.entry.chunk, run.budget()).await {
            Ok(Look::Whole { files, metadata }) => {
                let (id, media) = (&run.entry.chunk.document_id, &files.media);
                info!(document.id = %id, chunk.index = run.entry.chunk.index, size_bytes = media.size_bytes, sha256 = %media.sha256, "Chunk `{id}` is in your own storage");
                run.proof = ProofAge::ThisDrive;
                let state = ChunkState::InPlace {
                    files: *files,
                    seen_at: now,
                };
                report_part(&run.entry);
                let is_growing = run.entry.chunk.end() == ChunkEnd::BeingRecorded;
                let note = |entry: &mut LedgerEntry| {
                    entry.metadata.clone_from(&metadata);
                    // What an earlier look saw of it no longer counts.
                    entry.copied_unfinished = is_growing;
                };
                return self.settle_with(run, state, note).await;
            }
            Ok(Look::OutOfTime) => {
                SourceError::transient("reading it in place takes longer than there was time")
            }
            Err(error) => error,
        };
        let reason = ErrorChain(&error).to_string();
        let attempts = run.entry.attempts + 1;
        if attempts >= self.policy.attempts.max_failures {
            let reason = format!("{attempts} attempts failed, the last: {reason}");
            return self
                .give_up(run, dead_lettered(now, &reason), &reason)
                .await;
        }
        if matches!(error, SourceError::Refused(_)) {
            return self
                .give_up(run, dead_lettered(now, &reason), &reason)
                .await;
        }
        let failed = self.failed_at_source(&run.entry, error.retry_after(), reason);
        self.back_off(run, failed).await
    }
}

/// Reports a file that may grow, or of which ACS could not store all.
fn report_part(entry: &LedgerEntry) {
    let (id, chunk) = (&entry.chunk.document_id, &entry.chunk);
    let why = match chunk.end() {
        ChunkEnd::Final => return,
        ChunkEnd::BeingRecorded => CutShort::CopiedUnfinished,
        ChunkEnd::Failed => CutShort::NotStoredWhole,
    };
    error!(document.id = %id, chunk.index = chunk.index, error = %why, "Chunk `{id}` in your own storage is not whole");
}
