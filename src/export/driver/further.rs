//! Exports a file of a document beside its own: one that an event announced elsewhere, or a longer form of it.
//!
//! It is exported to the home vault only. Its outcome does not affect the document's own copy.

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::copy_report::{count_copy, report_doubt};
use super::obstacle::{obstacle_of, report_obstacle};
use super::run::{Run, Step};
use super::{AFTER_VAULT_FAILURE, DriveOutcome, ExportDriver, ProofAge};
use crate::error_chain::ErrorChain;
use crate::export::entry::{FurtherFile, FurtherState, LedgerEntry};
use crate::export::fence::Fence;
use crate::export::ledger::{AfterUpdate, LedgerError};
use crate::export::receipt::VaultName;
use crate::export::source::SourceError;
use crate::export::transfer::chunk::{Attempt, ChunkExport, Proved};
use crate::export::transfer::error::TransferError;
use crate::metrics;
use crate::recording::{FileNumber, MetadataSummary};

/// Consequence of a failed attempt.
enum Failed {
    Ends(FurtherState),
    TriedAgain {
        until: Timestamp,
        attempts: u32,
        unproved: u32,
    },
}

impl ExportDriver {
    pub(super) async fn export_further(
        &self,
        run: &mut Run<'_>,
        number: FileNumber,
    ) -> Result<Step, LedgerError> {
        if let Some(over) = self.out_of_budget(run).await? {
            return Ok(over);
        }
        self.leave_begun_import(run, number).await?;
        self.note_begun(run, number).await?;
        let Some(entry) = run.entry.with_further(number) else {
            return Ok(Step::Next);
        };
        let exported = match run.attempt(&self.ledger, VaultName::Home) {
            None => return Ok(Step::Next),
            Some(attempt) => {
                let attempt = Attempt {
                    entry: &entry,
                    is_first: false,
                    ..attempt
                };
                self.exporter.export(attempt).await
            }
        };
        match exported {
            Ok(ChunkExport::Proved(proved)) => {
                self.settle_further(run, number, &entry, *proved).await
            }
            Ok(ChunkExport::OutOfTime) => {
                run.end_turn();
                Ok(Step::Next)
            }
            Err(TransferError::Ledger(error)) => Err(error),
            // What is under its name may be a shorter form that another process copied.
            Err(error @ (TransferError::ForeignBlocks(_) | TransferError::Unproved(_)))
                if run.entry.has_another_name() =>
            {
                self.take_another_name(run, number, &error).await
            }
            Err(error) => self.settle_failed_further(run, number, error).await,
        }
    }

    /// Durably notes that an attempt at the file begins: what an event announces from then on may be longer than what the
    /// attempt finds.
    async fn note_begun(&self, run: &mut Run<'_>, number: FileNumber) -> Result<(), LedgerError> {
        if run.entry.further(number).is_none_or(|known| known.is_begun) {
            return Ok(());
        }
        let begin = |entry: &mut LedgerEntry| {
            if let Some(further) = entry.further_mut(number) {
                further.is_begun = true;
            }
        };
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, begin)
            .await?;
        Ok(())
    }

    /// Makes the copy durable, and makes it the document's file where it is the better one.
    async fn settle_further(
        &self,
        run: &mut Run<'_>,
        number: FileNumber,
        of_file: &LedgerEntry,
        proved: Proved,
    ) -> Result<Step, LedgerError> {
        let Proved { receipt, metadata } = proved;
        let home = Fence::new(&self.ledger, run.claim).around(self.vaults().home());
        let writing = self.exporter.put_receipt(&home, of_file, &receipt);
        let receipt = match writing.await {
            Ok(receipt) => receipt,
            Err(error) => {
                let error = TransferError::Destination(error);
                return self.settle_failed_further(run, number, error).await;
            }
        };
        let now = self.clock.now();
        let settle = |entry: &mut LedgerEntry| {
            if let Some(further) = entry.further_mut(number) {
                further.state = FurtherState::Proved {
                    receipt: Box::new(receipt.clone()),
                };
            }
            entry.obstacle = None;
            if let Some(metadata) = metadata.clone() {
                add_people(entry, metadata);
            }
            if let Some(successor) = entry.successor() {
                entry.exchange(successor, now);
            }
        };
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, settle)
            .await?;
        count_copy(&receipt);
        report_doubt(of_file, &receipt);
        let id = &run.entry.chunk.document_id;
        info!(document.id = %id, chunk.index = run.entry.chunk.index, blob = %receipt.media().name(), size_bytes = receipt.media().size_bytes(), sha256 = %receipt.media().sha256(), "Exported another file of chunk `{id}` beside the first");
        if run.entry.chunk.file_number == number {
            run.proof = ProofAge::ThisDrive;
            warn!(document.id = %id, chunk.index = run.entry.chunk.index, blob = %receipt.media().name(), "File {number} of chunk `{id}` is now the document's file");
        }
        Ok(Step::Next)
    }

    async fn settle_failed_further(
        &self,
        run: &mut Run<'_>,
        number: FileNumber,
        error: TransferError,
    ) -> Result<Step, LedgerError> {
        let now = self.clock.now();
        let reason = ErrorChain(&error).to_string();
        let Some(further) = run.entry.further(number) else {
            return Ok(Step::Next);
        };
        let id = run.entry.chunk.document_id.clone();
        // A location that is not used, or a file that was deleted with its source, is expected.
        let is_expected = is_gone(&error) && !is_form_at_acs(&run.entry, further);
        match self.what_follows(&run.entry, further, &error, now) {
            Failed::Ends(state) => {
                if is_expected {
                    warn!(document.id = %id, error = %reason, "File {number} of chunk `{id}` is missing");
                } else {
                    error!(document.id = %id, error = %reason, "File {number} of chunk `{id}` was not exported and will not be retried");
                }
                let end = |entry: &mut LedgerEntry| {
                    entry.note_failure(now, &format!("file {number}: {reason}"));
                    if let Some(further) = entry.further_mut(number) {
                        further.state = state.clone();
                    }
                };
                run.entry = self
                    .ledger
                    .update(run.claim, AfterUpdate::KeepClaim, end)
                    .await?;
                Ok(Step::Next)
            }
            Failed::TriedAgain {
                until,
                attempts,
                unproved,
            } => {
                let obstacle = obstacle_of(&error, &run.entry);
                report_obstacle(&run.entry, obstacle, &reason);
                let back_off = |entry: &mut LedgerEntry| {
                    entry.obstacle = obstacle.or(entry.obstacle);
                    entry.note_failure(now, &format!("file {number}: {reason}"));
                    if let Some(further) = entry.further_mut(number) {
                        further.not_before = Some(until);
                        further.attempts = attempts;
                        further.unproved = unproved;
                    }
                };
                self.ledger
                    .update(run.claim, AfterUpdate::Release, back_off)
                    .await?;
                metrics::ATTEMPTS_FAILED.increment(&["source"]);
                warn!(document.id = %id, attempts, error = %reason, "File {number} of chunk `{id}` will be retried");
                Ok(Step::done(DriveOutcome::Failed { reason, until }))
            }
        }
    }

    fn what_follows(
        &self,
        entry: &LedgerEntry,
        further: &FurtherFile,
        error: &TransferError,
        now: Timestamp,
    ) -> Failed {
        let reason = ErrorChain(error).to_string();
        let is_over = now >= further.surely_gone_at;
        let missing = || {
            Failed::Ends(FurtherState::Missing {
                at: now,
                reason: reason.clone(),
            })
        };
        let attempts = further.attempts.saturating_add(1);
        let (mut unproved, earlier) = (further.unproved, further.attempts);
        let (delay, attempts) = match error {
            TransferError::Source {
                source: SourceError::Refused(_),
                ..
            } => {
                return Failed::Ends(FurtherState::Refused { at: now, reason });
            }
            TransferError::Unproved(_)
            | TransferError::NotAsWritten(_)
            | TransferError::ForeignBlocks(_)
                if is_over =>
            {
                return missing();
            }
            // Each attempt may read the whole file.
            TransferError::Unproved(_) | TransferError::NotAsWritten(_) => {
                unproved = unproved.saturating_add(1);
                (self.delay_after(unproved, None), earlier)
            }
            TransferError::Source {
                source: SourceError::Gone { .. },
                ..
            } if is_over || entry.went_with_its_source(further) => return missing(),
            TransferError::Source { source, .. } => {
                if is_over && attempts >= self.policy.attempts.max_failures {
                    return missing();
                }
                (self.delay_after(attempts, source.retry_after()), attempts)
            }
            TransferError::Destination(_)
            | TransferError::ForeignBlocks(_)
            | TransferError::Vanished(_)
            | TransferError::Ledger(_) => (AFTER_VAULT_FAILURE, earlier),
        };
        Failed::TriedAgain {
            until: now.checked_add(delay).unwrap_or(Timestamp::MAX),
            attempts,
            unproved,
        }
    }
}

/// Whether it is another form of the document's file, which ACS had when the source was deleted, or has: its end is a loss.
fn is_form_at_acs(entry: &LedgerEntry, further: &FurtherFile) -> bool {
    let is_same_place = entry.chunk.locations.is_same_place(&further.file.locations);
    is_same_place && (further.known_at_deletion || !entry.went_with_its_source(further))
}

fn is_gone(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Source {
            source: SourceError::Gone { .. } | SourceError::Refused(_),
            ..
        }
    )
}

/// Adds the people that one of its files names, so that the document is found by all of them.
pub(super) fn add_people(entry: &mut LedgerEntry, told: MetadataSummary) {
    let Some(known) = &mut entry.metadata else {
        entry.metadata = Some(told);
        return;
    };
    known.participants_omitted = known.participants_omitted.max(told.participants_omitted);
    for participant in told.participants {
        known.add_participant(participant);
    }
}
