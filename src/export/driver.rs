//! The one way a chunk moves: for the event, for the timer, for the operator.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::budget::Budget;
use super::catalogue;
use super::destination::ExportDestination;
use super::entry::LedgerEntry;
use super::exporter::{Attempt, ChunkExporter};
use super::ledger::{AfterUpdate, ChunkLedger, Claim, Found, LedgerError};
use super::receipt::ExportReceipt;
use super::slots::{Slot, Slots, Turn};
use super::source::{RecordingSource, SourceError};
use super::state::{ChunkState, NextStep, next_step};
use super::transfer::{BlockPolicy, TransferError};
use crate::clock::Clock;
use crate::recording::DocumentId;
use crate::retry::RetryPolicy;
use crate::telemetry::ErrorChain;

/// How soon a chunk is tried again after the vault, not the source, failed.
const AFTER_VAULT_FAILURE: Duration = Duration::from_secs(15);

/// What the driver decides by.
#[derive(Debug, Clone, Copy)]
pub struct ExportPolicy {
    pub blocks: BlockPolicy,
    /// Chunks that are transferred at once in this process.
    pub chunks_in_flight: usize,
    /// Pause between the proof and the deletion at ACS.
    pub delete_delay: Duration,
    /// Attempts at the source, and the delays between them; a chunk that has spent them is dead-lettered.
    pub attempts: RetryPolicy,
}

/// Moves chunks, any number at once, each under its claim.
pub struct ExportDriver {
    ledger: ChunkLedger,
    source: Arc<dyn RecordingSource>,
    /// The customer's own storage.
    external: Arc<dyn RecordingSource>,
    exporter: ChunkExporter,
    clock: Arc<dyn Clock>,
    policy: ExportPolicy,
    slots: Arc<Slots>,
}

/// Where a drive left the chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum DriveOutcome {
    /// The ledger has no such chunk.
    Unknown,
    /// Another instance is at it.
    Busy,
    /// Nothing is due before `until`.
    Waiting { until: Timestamp },
    /// In the vault and proved; the deletion is not due yet.
    Exported { receipt: ExportReceipt },
    /// At its end.
    Settled { state: ChunkState, exported_now: bool },
    /// Progress is kept; the next drive goes on.
    OutOfBudget,
    /// This attempt failed; the next is due at `until`.
    Failed { reason: String, until: Timestamp },
    /// Another instance took over while we were at it.
    ClaimLost,
}

/// Whether a chunk can be driven now.
enum Ready {
    Due(Box<Found>, Slot),
    NotDue(DriveOutcome),
}

impl ExportDriver {
    pub fn new(
        ledger: ChunkLedger,
        source: Arc<dyn RecordingSource>,
        external: Arc<dyn RecordingSource>,
        destination: Arc<dyn ExportDestination>,
        clock: Arc<dyn Clock>,
        policy: ExportPolicy,
    ) -> Self {
        let exporter =
            ChunkExporter { source: Arc::clone(&source), destination, clock: Arc::clone(&clock), blocks: policy.blocks };
        Self { ledger, source, external, exporter, clock, policy, slots: Slots::new(policy.chunks_in_flight) }
    }

    pub fn ledger(&self) -> &ChunkLedger {
        &self.ledger
    }

    /// Claims the chunk and takes every step that is due, until nothing is or the budget is spent.
    ///
    /// Cancel-safe: what was done is durable, and the claim runs out.
    ///
    /// # Errors
    /// When the ledger fails. A failure of the source or the vault is an outcome, not an error.
    pub async fn drive(&self, document_id: &DocumentId, budget: Budget) -> Result<DriveOutcome, LedgerError> {
        let (found, slot) = match self.ready(document_id, budget).await? {
            Ready::Due(found, slot) => (*found, slot),
            Ready::NotDue(outcome) => return Ok(outcome),
        };
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(DriveOutcome::Busy);
        };
        let outcome = tokio::select! {
            biased;
            outcome = self.advance(&claim, found.entry, Turn::new(slot, budget)) => outcome,
            lost = self.ledger.keep_claimed(&claim) => Err(lost),
        };
        match outcome {
            Err(LedgerError::ClaimLost { .. }) => {
                warn!(document.id = %document_id, "Lost the claim on chunk `{document_id}`; whoever holds it now goes on");
                Ok(DriveOutcome::ClaimLost)
            }
            outcome => outcome,
        }
    }

    /// The entry, if something is due for it, and a slot to do it in.
    async fn ready(&self, document_id: &DocumentId, budget: Budget) -> Result<Ready, LedgerError> {
        let mut slot = None;
        loop {
            let Some(found) = self.ledger.find(document_id).await? else {
                return Ok(Ready::NotDue(DriveOutcome::Unknown));
            };
            match next_step(&found.entry, self.policy.delete_delay, self.clock.now()) {
                NextStep::Wait { until } => return Ok(Ready::NotDue(DriveOutcome::Waiting { until })),
                NextStep::Nothing => {
                    // Whoever settled it may have been killed before it could say so.
                    alarm(&found.entry);
                    let state = found.entry.state;
                    return Ok(Ready::NotDue(DriveOutcome::Settled { state, exported_now: false }));
                }
                NextStep::Export | NextStep::Catalogue | NextStep::DeleteSource { .. } | NextStep::LeaveSource { .. } => {}
            }
            if let Some(slot) = slot.or_else(|| self.slots.try_acquire()) {
                return Ok(Ready::Due(Box::new(found), slot));
            }
            let waiting = self.slots.acquire(found.entry.expires_at);
            // What was found may have changed while we waited: it is looked at again.
            match tokio::time::timeout_at(budget.deadline(), waiting).await {
                Ok(granted) => slot = Some(granted),
                Err(_) => return Ok(Ready::NotDue(DriveOutcome::OutOfBudget)),
            }
        }
    }

    async fn advance(&self, claim: &Claim, mut entry: LedgerEntry, turn: Turn) -> Result<DriveOutcome, LedgerError> {
        let budget = turn.budget();
        let mut turn = Some(turn);
        let mut exported_now = false;
        let mut is_first = entry.claims == 0;
        loop {
            match next_step(&entry, self.policy.delete_delay, self.clock.now()) {
                NextStep::Export => {
                    let Some(current) = self.turn(&mut turn, &entry, budget).await else {
                        self.release(claim).await?;
                        return Ok(DriveOutcome::OutOfBudget);
                    };
                    match self.exporter.export(Attempt { entry: &entry, turn: current, is_first }).await {
                        Ok(Some(receipt)) => {
                            exported_now = true;
                            entry = self.settle_exported(claim, receipt).await?;
                        }
                        // Another chunk's turn, or the end of the budget.
                        Ok(None) => {
                            turn = None;
                            is_first = false;
                        }
                        Err(error) => return self.settle_failed_export(claim, &entry, &error).await,
                    }
                }
                NextStep::Catalogue => return self.catalogue(claim, &entry, budget).await,
                NextStep::DeleteSource { receipt } => {
                    return self.delete_source(claim, &entry, receipt, exported_now).await;
                }
                NextStep::LeaveSource { receipt } => {
                    let reason = format!("the event named no deleteLocation; ACS drops it by itself at {}", entry.expires_at);
                    return self.settle(claim, ChunkState::SourceLeft { receipt, reason }, exported_now).await;
                }
                NextStep::Wait { until } => {
                    self.release(claim).await?;
                    if let (true, ChunkState::Exported { receipt }) = (exported_now, entry.state) {
                        return Ok(DriveOutcome::Exported { receipt });
                    }
                    return Ok(DriveOutcome::Waiting { until });
                }
                NextStep::Nothing => {
                    self.release(claim).await?;
                    return Ok(DriveOutcome::Settled { state: entry.state, exported_now });
                }
            }
        }
    }

    /// The turn that goes on, or the next one. `None` when the budget is spent.
    async fn turn<'a>(&self, turn: &'a mut Option<Turn>, entry: &LedgerEntry, budget: Budget) -> Option<&'a Turn> {
        if turn.is_none() {
            let waiting = self.slots.acquire(entry.expires_at);
            let slot = tokio::time::timeout_at(budget.deadline(), waiting).await.ok()?;
            *turn = Some(Turn::new(slot, budget));
        }
        if budget.is_spent() { None } else { turn.as_ref() }
    }

    /// Looks at files in the customer's own storage. ACS keeps none, so there is nothing to expire and nothing to delete.
    async fn catalogue(&self, claim: &Claim, entry: &LedgerEntry, budget: Budget) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let error = match catalogue::look(&*self.external, &entry.chunk, budget).await {
            Ok(Some(files)) => {
                let id = &entry.chunk.document_id;
                let media = &files.media;
                info!(document.id = %id, chunk.index = entry.chunk.index, size_bytes = media.size_bytes, sha256 = %media.sha256, "Chunk `{id}` lies in your own storage");
                return self.settle(claim, ChunkState::InPlace { files, seen_at: now }, true).await;
            }
            Ok(None) => SourceError::transient("reading it where it lies takes longer than there was time"),
            Err(error) => error,
        };
        let reason = ErrorChain(&error).to_string();
        let is_final = matches!(error, SourceError::Refused(_)) || entry.is_surely_gone(now);
        if is_final {
            return self.settle_unexported(claim, ChunkState::DeadLettered { at: now, reason: reason.clone() }, &reason).await;
        }
        let delay = self.policy.attempts.delay(entry.attempts + 1, error.retry_after(), rand::random());
        self.back_off(claim, entry, delay.unwrap_or(self.policy.attempts.longest_delay), true, reason).await
    }

    /// Durable before anything may be deleted.
    async fn settle_exported(&self, claim: &Claim, receipt: ExportReceipt) -> Result<LedgerEntry, LedgerError> {
        let entry = self
            .ledger
            .update(claim, AfterUpdate::KeepClaim, |entry| {
                entry.state = ChunkState::Exported { receipt: receipt.clone() };
                entry.attempts = 0;
                entry.not_before = None;
            })
            .await?;
        let id = &entry.chunk.document_id;
        info!(
            document.id = %id, chunk.index = entry.chunk.index, blob = %receipt.media().name(),
            size_bytes = receipt.media().size_bytes(), sha256 = %receipt.media().sha256(), "Exported chunk `{id}`"
        );
        Ok(entry)
    }

    async fn settle_failed_export(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        error: &TransferError,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let reason = ErrorChain(error).to_string();
        let end = match error {
            TransferError::Source { source: SourceError::Refused(_), .. } | TransferError::Unproved(_) => {
                Some(ChunkState::DeadLettered { at: now, reason: reason.clone() })
            }
            TransferError::Source { source: SourceError::Gone { .. }, .. } if entry.is_surely_gone(self.clock.now()) => {
                Some(ChunkState::Expired { seen_at: now, reason: reason.clone() })
            }
            TransferError::Source { .. } | TransferError::Destination(_) | TransferError::Vanished(_) => None,
        };
        if let Some(state) = end {
            return self.settle_unexported(claim, state, &reason).await;
        }
        let TransferError::Source { source, .. } = error else {
            // The vault's trouble is not the chunk's: it spends no attempt.
            return self.back_off(claim, entry, AFTER_VAULT_FAILURE, false, reason).await;
        };
        let delay = self.policy.attempts.delay(entry.attempts + 1, source.retry_after(), rand::random());
        match delay {
            Some(delay) => self.back_off(claim, entry, delay, true, reason).await,
            // As long as ACS may have it, nothing is given up.
            None if !entry.is_surely_gone(self.clock.now()) => {
                self.back_off(claim, entry, self.policy.attempts.longest_delay, true, reason).await
            }
            None => {
                let reason = format!("{} attempts failed, the last: {reason}", entry.attempts + 1);
                self.settle_unexported(claim, ChunkState::DeadLettered { at: now, reason: reason.clone() }, &reason).await
            }
        }
    }

    async fn delete_source(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        receipt: ExportReceipt,
        exported_now: bool,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        if let Some(reason) = self.objection(entry, &receipt).await? {
            warn!(document.id = %entry.chunk.document_id, error = reason, "Chunk `{}` is not deleted at ACS", entry.chunk.document_id);
            return self.settle(claim, ChunkState::SourceLeft { receipt, reason }, exported_now).await;
        }
        // A proof that is not from this moment is looked at again: what lies in a vault may be moved or replaced.
        let holds = if exported_now { Ok(true) } else { self.exporter.still_holds(&receipt).await };
        match holds {
            Ok(true) => {}
            Ok(false) => return self.export_again(claim).await,
            Err(error) => {
                let reason = ErrorChain(&error).to_string();
                return self.back_off(claim, entry, AFTER_VAULT_FAILURE, false, reason).await;
            }
        }
        let error = match self.source.delete(&entry.chunk, &receipt).await {
            Ok(()) => {
                let outcome = self.settle(claim, ChunkState::SourceDeleted { receipt, deleted_at: now }, exported_now).await?;
                let id = &entry.chunk.document_id;
                info!(document.id = %id, chunk.index = entry.chunk.index, "Deleted chunk `{id}` at ACS");
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let retry_after = match &error {
            SourceError::Transient { retry_after, .. } if !entry.is_surely_gone(self.clock.now()) => *retry_after,
            // Refused, or past its retention: the copy is safe, ACS drops its own by itself.
            SourceError::Transient { .. } | SourceError::Refused(_) | SourceError::Gone { .. } => {
                let reason = ErrorChain(&error).to_string();
                warn!(document.id = %entry.chunk.document_id, error = %reason, "Chunk `{}` is safe, but is not deleted at ACS", entry.chunk.document_id);
                return self.settle(claim, ChunkState::SourceLeft { receipt, reason }, exported_now).await;
            }
        };
        let delay = self.policy.attempts.delay(entry.attempts + 1, retry_after, rand::random());
        let delay = delay.unwrap_or(self.policy.attempts.longest_delay);
        let reason = ErrorChain(&error).to_string();
        self.back_off(claim, entry, delay, true, reason).await
    }

    async fn export_again(&self, claim: &Claim) -> Result<DriveOutcome, LedgerError> {
        let reason = "the vault no longer holds what was proved".to_owned();
        let change = |entry: &mut LedgerEntry| entry.state = ChunkState::Pending;
        let entry = self.ledger.update(claim, AfterUpdate::KeepClaim, change).await?;
        let id = &entry.chunk.document_id;
        error!(document.id = %id, chunk.index = entry.chunk.index, "The copy of chunk `{id}` is not in the vault as it was proved; it is exported again");
        self.back_off(claim, &entry, AFTER_VAULT_FAILURE, false, reason).await
    }

    /// Why this receipt is no right to this deletion, if it is none.
    async fn objection(&self, entry: &LedgerEntry, receipt: &ExportReceipt) -> Result<Option<String>, LedgerError> {
        if receipt.metadata().is_none() && entry.chunk.locations.metadata.is_none() && !entry.is_surely_gone(self.clock.now()) {
            let until = entry.expires_at;
            return Ok(Some(format!(
                "its metadata is not in the vault, and would be deleted with it; ACS drops it by itself at {until}"
            )));
        }
        let Some(other) = entry.chunk.deletes_another() else {
            return Ok(None);
        };
        let is_unsafe = match self.ledger.find(&other).await? {
            Some(found) => match found.entry.state {
                ChunkState::Pending | ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } => true,
                ChunkState::Exported { .. }
                | ChunkState::SourceDeleted { .. }
                | ChunkState::SourceLeft { .. }
                | ChunkState::InPlace { .. } => false,
            },
            None => false,
        };
        Ok(is_unsafe.then(|| format!("its deleteLocation is that of chunk `{other}`, which is not in the vault")))
    }

    async fn back_off(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        delay: Duration,
        count: bool,
        reason: String,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let until = now.checked_add(self.within_retention(entry, delay, now)).unwrap_or(Timestamp::MAX);
        self.ledger
            .update(claim, AfterUpdate::Release, |entry| {
                entry.attempts += u32::from(count);
                entry.not_before = Some(until);
                entry.note_failure(now, reason.clone());
            })
            .await?;
        let (id, attempt) = (&entry.chunk.document_id, entry.attempts + 1);
        if entry.is_at_risk(now) {
            error!(document.id = %id, chunk.index = entry.chunk.index, attempt, error = %reason, expires_at = %entry.expires_at, "Chunk `{id}` is at risk: ACS drops it at {} and it is not in the vault", entry.expires_at);
        } else {
            warn!(document.id = %id, chunk.index = entry.chunk.index, attempt, error = %reason, "Chunk `{id}` has to be tried again");
        }
        Ok(DriveOutcome::Failed { reason, until })
    }

    /// The two ends without a receipt: a human must act.
    async fn settle_unexported(&self, claim: &Claim, state: ChunkState, reason: &str) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let change = |entry: &mut LedgerEntry| {
            entry.state = state.clone();
            entry.note_failure(now, reason.to_owned());
        };
        let entry = self.ledger.update(claim, AfterUpdate::Release, change).await?;
        alarm(&entry);
        Ok(DriveOutcome::Settled { state, exported_now: false })
    }

    async fn settle(&self, claim: &Claim, state: ChunkState, exported_now: bool) -> Result<DriveOutcome, LedgerError> {
        self.ledger.update(claim, AfterUpdate::Release, |entry| entry.state = state.clone()).await?;
        Ok(DriveOutcome::Settled { state, exported_now })
    }

    async fn release(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.ledger.update(claim, AfterUpdate::Release, |_| {}).await.map(drop)
    }

    /// A delay that leaves time for another attempt: never more than half of what is left.
    fn within_retention(&self, entry: &LedgerEntry, delay: Duration, now: Timestamp) -> Duration {
        let left = Duration::try_from(entry.expires_at.duration_since(now)).unwrap_or_default();
        delay.min((left / 2).max(self.policy.attempts.first_delay))
    }
}

/// The two ends without a receipt: a human must act.
fn alarm(entry: &LedgerEntry) {
    let (ChunkState::Expired { reason, .. } | ChunkState::DeadLettered { reason, .. }) = &entry.state else {
        return;
    };
    let id = &entry.chunk.document_id;
    error!(document.id = %id, chunk.index = entry.chunk.index, state = entry.state.name(), error = reason, "Chunk `{id}` was not exported");
}
