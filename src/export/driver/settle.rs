//! Writes to the ledger after a step of a drive succeeded or failed.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::copy_report::{count_settled, report_exported};
use super::further::add_people;
use super::next_step::{NextStep, next_step};
use super::obstacle::{obstacle_of, report_obstacle};
use super::run::{ReceiptFile, Run, Step};
use super::{AFTER_VAULT_FAILURE, DriveOutcome, ExportDriver, ProofAge};
use crate::error_chain::ErrorChain;
use crate::export::entry::{LedgerEntry, Obstacle};
use crate::export::intent::Intent;
use crate::export::ledger::{AfterUpdate, Claim, LedgerError};
use crate::export::receipt::ExportReceipt;
use crate::export::source::{SourceDeletion, SourceError};
use crate::export::state::ChunkState;
use crate::export::transfer::chunk::Proved;
use crate::export::transfer::error::TransferError;
use crate::metrics;
use crate::recording::{FileNumber, MetadataSummary};
use crate::store::audit::AuditAction;

/// Which side failed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Blame {
    Source,
    Vault,
}

/// An attempt that failed.
pub(super) struct Failed {
    /// Before the next one.
    pub delay: Duration,
    pub blame: Blame,
    pub reason: String,
    /// What a person has to remove first.
    pub obstacle: Option<Obstacle>,
}

impl Failed {
    /// A failure of the vault. It does not count against the chunk, and the next attempt is soon.
    pub fn of_vault(reason: String) -> Self {
        Self {
            delay: AFTER_VAULT_FAILURE,
            blame: Blame::Vault,
            reason,
            obstacle: None,
        }
    }

    pub fn with(self, obstacle: Option<Obstacle>) -> Self {
        Self { obstacle, ..self }
    }
}

impl Blame {
    fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Vault => "vault",
        }
    }
}

impl ExportDriver {
    /// Makes the export durable before anything may be deleted.
    pub(super) async fn settle_exported(
        &self,
        run: &mut Run<'_>,
        proved: Proved,
        receipt_file: ReceiptFile,
    ) -> Result<Step, LedgerError> {
        let Proved { receipt, metadata } = proved;
        let written = match receipt_file {
            ReceiptFile::InVault => {
                let exported = self.exported(run.claim, &receipt, metadata);
                let keep = AfterUpdate::KeepClaim;
                self.ledger.update(run.claim, keep, exported).await
            }
            ReceiptFile::ToWrite => {
                Box::pin(self.settle_with_receipt(run, &receipt, metadata)).await
            }
        };
        let entry = match written {
            Ok(entry) => entry,
            Err(LedgerError::Receipt(error)) => {
                let error = TransferError::Destination(error);
                return self.settle_failed_export(run, error).await;
            }
            Err(error) => return Err(error),
        };
        run.proof = ProofAge::ThisDrive;
        metrics::EXPORT_DURATION.record(run.began.elapsed().as_secs_f64(), &[]);
        report_exported(&entry, &receipt);
        run.entry = entry;
        Ok(Step::Next)
    }

    /// The change that records a proved copy. `metadata` of `None` keeps what is known. Where the deletion at ACS is due
    /// at once, the intent to delete it is in the same write.
    pub(super) fn exported(
        &self,
        claim: &Claim,
        receipt: &ExportReceipt,
        metadata: Option<MetadataSummary>,
    ) -> impl Fn(&mut LedgerEntry) + Send + Sync {
        let (deletion, now) = (self.policy.deletion, self.clock.now());
        move |entry: &mut LedgerEntry| {
            entry.become_exported(receipt);
            let earlier = entry.metadata.take();
            entry.metadata = metadata.clone().or_else(|| earlier.clone());
            // Further copies stay beside this one, with the people whom they name.
            if entry.further.iter().any(|file| file.receipt().is_some())
                && let Some(earlier) = earlier
            {
                add_people(entry, earlier);
            }
            entry.announce_final_form(now);
            entry.begin_attempts_anew();
            entry.vault_failures = 0;
            let is_deleted_next = matches!(
                next_step(entry, deletion, now),
                NextStep::DeleteSource { .. }
            );
            if is_deleted_next
                && receipt.metadata().is_some()
                && let Ok(location) = self.location_of(entry)
            {
                let intent = claim.intent((&location).into(), now);
                entry.intent = Some(intent.after(entry.intent.as_ref()));
            }
        }
    }

    pub(super) async fn settle_failed_export(
        &self,
        run: &mut Run<'_>,
        error: TransferError,
    ) -> Result<Step, LedgerError> {
        let now = self.clock.now();
        let reason = ErrorChain(&error).to_string();
        let (is_gone, number) = (run.entry.is_surely_gone(now), run.entry.chunk.file_number);
        let has_another_name = run.entry.has_another_name();
        let obstacle = obstacle_of(&error, &run.entry);
        let retry_after = match error {
            TransferError::Ledger(error) => return Err(error),
            TransferError::Source {
                source: SourceError::Refused(_),
                ..
            } => {
                let ended = dead_lettered(now, &reason);
                return self.give_up(run, ended, &reason).await;
            }
            TransferError::Source {
                source: SourceError::Gone { .. },
                ..
            } if is_gone => {
                let expired = ChunkState::Expired {
                    seen_at: now,
                    reason: reason.clone(),
                };
                return self.give_up(run, expired, &reason).await;
            }
            // A file that already has this name is never overwritten, and is no reason to lose the file at ACS.
            TransferError::ForeignBlocks(_) if has_another_name => {
                return self.take_another_name(run, number, &error).await;
            }
            TransferError::Unproved(_) if has_another_name && !is_gone => {
                return self.take_another_name(run, number, &error).await;
            }
            // A failure of the vault does not count against the chunk: no attempt is spent.
            TransferError::Unproved(_) | TransferError::NotAsWritten(_) if !is_gone => {
                let failed = self.unproved_again(&run.entry, reason);
                return self.back_off(run, failed.with(obstacle)).await;
            }
            TransferError::Destination(_)
            | TransferError::Vanished(_)
            | TransferError::ForeignBlocks(_) => {
                let failed = Failed::of_vault(reason).with(obstacle);
                return self.back_off(run, failed).await;
            }
            TransferError::Source { source, .. } => source.retry_after(),
            TransferError::Unproved(_) | TransferError::NotAsWritten(_) => None,
        };
        let attempts = run.entry.attempts + 1;
        // As long as ACS may have it, the chunk is not given up.
        if is_gone && attempts >= self.policy.attempts.max_failures {
            let reason = format!("{attempts} attempts failed, the last: {reason}");
            let ended = dead_lettered(now, &reason);
            return self.give_up(run, ended, &reason).await;
        }
        let failed = self.failed_at_source(&run.entry, retry_after, reason);
        self.back_off(run, failed.with(obstacle)).await
    }

    /// A copy that could not be proved. Each attempt may read the whole file.
    fn unproved_again(&self, entry: &LedgerEntry, reason: String) -> Failed {
        Failed {
            delay: self.delay_after(entry.vault_failures.saturating_add(1), None),
            ..Failed::of_vault(reason)
        }
    }

    /// Moves a file of the chunk to another folder, because what is in the vault under its name prevents a copy.
    pub(super) async fn take_another_name(
        &self,
        run: &mut Run<'_>,
        number: FileNumber,
        why: &TransferError,
    ) -> Result<Step, LedgerError> {
        let id = run.entry.chunk.document_id.clone();
        run.entry = self
            .ledger
            .update(run.claim, AfterUpdate::KeepClaim, |entry| {
                entry.leave_folder(number);
            })
            .await?;
        let folder = run.entry.folder_of(number);
        warn!(document.id = %id, error = %ErrorChain(why), "File {number} of chunk `{id}` cannot be copied under its name; it goes into the folder `{folder}`");
        run.is_first = false;
        Ok(Step::Next)
    }

    /// The delay after this many consecutive failures. Where the policy would give up, the longest delay applies.
    pub(super) fn delay_after(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let attempts = self.policy.attempts;
        let delay = attempts.delay(failures, retry_after, rand::random());
        delay.unwrap_or(attempts.longest_delay)
    }

    /// Records another failed attempt at the source.
    pub(super) fn failed_at_source(
        &self,
        entry: &LedgerEntry,
        retry_after: Option<Duration>,
        reason: String,
    ) -> Failed {
        Failed {
            delay: self.delay_after(entry.attempts + 1, retry_after),
            blame: Blame::Source,
            reason,
            obstacle: None,
        }
    }

    pub(super) async fn back_off(
        &self,
        run: &Run<'_>,
        failed: Failed,
    ) -> Result<Step, LedgerError> {
        let Failed {
            delay,
            blame,
            reason,
            obstacle,
        } = failed;
        metrics::ATTEMPTS_FAILED.increment(&[blame.as_str()]);
        let (now, entry) = (self.clock.now(), &run.entry);
        report_obstacle(entry, obstacle, &reason);
        let until = now
            .checked_add(self.within_retention(entry, delay, now))
            .unwrap_or(Timestamp::MAX);
        let change = |entry: &mut LedgerEntry| {
            match blame {
                Blame::Source => entry.attempts += 1,
                Blame::Vault => entry.vault_failures = entry.vault_failures.saturating_add(1),
            }
            entry.not_before = Some(until);
            entry.obstacle = obstacle.or(entry.obstacle);
            entry.note_failure(now, &reason);
        };
        self.ledger
            .update(run.claim, AfterUpdate::Release, change)
            .await?;
        let (id, cause) = (&entry.chunk.document_id, blame.as_str());
        let attempt = match blame {
            Blame::Source => entry.attempts + 1,
            Blame::Vault => entry.vault_failures.saturating_add(1),
        };
        warn!(document.id = %id, chunk.index = entry.chunk.index, attempt, cause, error = %reason, "Chunk `{id}` will be retried");
        Ok(Step::done(DriveOutcome::Failed { reason, until }))
    }

    /// Ends the attempts. If the media is in the vault and only its metadata is missing, the copy counts. Otherwise the
    /// chunk ends in `state`, without a receipt, and a human must act.
    pub(super) async fn give_up(
        &self,
        run: &mut Run<'_>,
        state: ChunkState,
        reason: &str,
    ) -> Result<Step, LedgerError> {
        if let Some(receipt) = run.entry.state.receipt() {
            let left = ChunkState::SourceLeft {
                receipt: receipt.clone(),
                reason: format!("its metadata could not be archived: {reason}"),
            };
            return Box::pin(self.settle(run, left)).await;
        }
        let now = self.clock.now();
        let note = |entry: &mut LedgerEntry| entry.note_failure(now, reason);
        let ended = Box::pin(self.settle_with(run, state, note)).await?;
        // Its marker stays until the end is reported: if this fails, or a kill comes first, the next sweep reports it.
        // Another file may still become the document's file.
        if matches!(ended, Step::Done(_))
            && let Some(found) = run.claim.latest()
            && !found.entry.is_open()
            && let Err(error) = Box::pin(self.report_end(found)).await
        {
            let id = &run.entry.chunk.document_id;
            warn!(document.id = %id, error = %ErrorChain(&error), "The end of chunk `{id}` is reported, but not noted as reported; the next sweep reports it again");
        }
        Ok(ended)
    }

    /// Ends the chunk in `state`, unless an event has meanwhile added work that is still to be done: then that is next.
    pub(super) async fn settle(
        &self,
        run: &mut Run<'_>,
        state: ChunkState,
    ) -> Result<Step, LedgerError> {
        self.settle_with(run, state, |_| {}).await
    }

    /// Like [`settle`](Self::settle), with another change in the same write.
    pub(super) async fn settle_with(
        &self,
        run: &mut Run<'_>,
        state: ChunkState,
        change: impl Fn(&mut LedgerEntry) + Send + Sync,
    ) -> Result<Step, LedgerError> {
        let (decided_on, token, now) = (&run.entry, run.claim.token(), self.clock.now());
        // A longer form of a file that is copied is another file. One that is only looked at is looked at again.
        let is_in_place = matches!(state, ChunkState::InPlace { .. });
        let settle = |entry: &mut LedgerEntry| {
            let is_as_decided = entry.chunk.file_number == decided_on.chunk.file_number
                && entry.chunk.locations == decided_on.chunk.locations
                && entry.anomaly_accepted_at == decided_on.anomaly_accepted_at
                && (!is_in_place || entry.chunk.is_same_form(&decided_on.chunk));
            if !is_as_decided {
                return AfterUpdate::KeepClaim;
            }
            entry.state = state.clone();
            if let Some(successor) = entry.successor().filter(|_| state.is_loss()) {
                change(entry);
                entry.exchange(successor, now);
                return AfterUpdate::KeepClaim;
            }
            // A request of another holder may still arrive: a caller that adds a hold must see that.
            let is_in_doubt = |intent: &Intent| {
                intent.may_still_act(now) && intent.in_doubt_since(token).is_some()
            };
            entry.intent = entry.intent.take().filter(is_in_doubt);
            change(entry);
            AfterUpdate::Release
        };
        let entry = self.ledger.update_deciding(run.claim, settle).await?;
        if !entry.state.is_settled() {
            run.entry = entry;
            return Ok(Step::Next);
        }
        count_settled(&state);
        Ok(Step::done(DriveOutcome::Settled {
            state,
            proof: run.proof,
        }))
    }

    /// Ends a chunk whose source is deleted, whatever an event has added meanwhile.
    pub(super) async fn settle_deleted(
        &self,
        run: &Run<'_>,
        receipt: ExportReceipt,
        deletion: SourceDeletion,
    ) -> Result<Step, LedgerError> {
        let id = &run.entry.chunk.document_id;
        if deletion == SourceDeletion::WasGone {
            self.ledger
                .audit_step(AuditAction::SourceWasGone, id, serde_json::Value::Null)
                .await?;
        }
        let state = ChunkState::SourceDeleted {
            receipt,
            deleted_at: self.clock.now(),
        };
        let settle = |entry: &mut LedgerEntry| {
            entry.state = state.clone();
            entry.intent = None;
            for further in &mut entry.further {
                further.known_at_deletion = true;
            }
        };
        self.ledger
            .update(run.claim, AfterUpdate::Release, settle)
            .await?;
        count_settled(&state);
        let index = run.entry.chunk.index;
        match deletion {
            SourceDeletion::Deleted => {
                info!(document.id = %id, chunk.index = index, "Deleted chunk `{id}` at ACS");
            }
            SourceDeletion::WasGone => {
                info!(document.id = %id, chunk.index = index, "Chunk `{id}` was gone at ACS already");
            }
        }
        Ok(Step::done(DriveOutcome::Settled {
            state,
            proof: run.proof,
        }))
    }

    pub(super) async fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.ledger
            .update(claim, AfterUpdate::Release, |_| {})
            .await
            .map(drop)
    }

    /// A delay that leaves time for another attempt: at most half of the time that is left at ACS.
    pub(super) fn within_retention(
        &self,
        entry: &LedgerEntry,
        delay: Duration,
        now: Timestamp,
    ) -> Duration {
        if entry.is_external() {
            return delay;
        }
        let left = Duration::try_from(entry.expires_at.duration_since(now)).unwrap_or_default();
        delay.min((left / 2).max(self.policy.attempts.first_delay))
    }
}

pub(super) fn dead_lettered(at: Timestamp, reason: &str) -> ChunkState {
    ChunkState::DeadLettered {
        at,
        reason: reason.to_owned(),
    }
}
