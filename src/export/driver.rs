//! The one way a chunk moves: for the event, for the timer, for the operator.

mod backup;
mod deletion;
mod expiry_alarm;
mod move_home;
pub mod preview;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument as _, info, info_span, warn};

pub use self::preview::Preview;
use self::settle::Blame;
use super::budget::Budget;
use super::destination::DestinationError;
use super::entry::{LedgerEntry, Risk};
use super::ledger::{AfterUpdate, ChunkLedger, Claim, Found, LedgerError};
use super::receipt::{ExportReceipt, VaultName};
use super::removal::Removals;
use super::slots::{Slot, Slots, Turn};
use super::source::{RecordingSource, SourceError};
use super::state::{ChunkState, DeletionPolicy, NextStep, next_step};
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::export::block::BlockPolicy;
use crate::export::in_place;
use crate::export::transfer::chunk::{Attempt, ChunkExporter};

use crate::metrics;
use crate::recording::DocumentId;
use crate::retry::RetryPolicy;

/// How soon a chunk is tried again after the vault, not the source, failed.
const AFTER_VAULT_FAILURE: Duration = Duration::from_secs(15);

/// How long a chunk that is safe waits for a slot to be deleted in, before it lets others go first.
const DELETION_PATIENCE: Duration = Duration::from_secs(1);

/// What the driver decides by.
#[derive(Debug, Clone, Copy)]
pub struct ExportPolicy {
    pub blocks: BlockPolicy,
    /// Chunks that are transferred at once in this process.
    pub chunks_in_flight: usize,
    pub deletion: DeletionPolicy,
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
    Settled {
        state: ChunkState,
        exported_now: bool,
    },
    /// Progress is kept; the next drive goes on.
    OutOfBudget,
    /// This attempt failed; the next is due at `until`.
    Failed { reason: String, until: Timestamp },
    /// Another instance took over while we were at it.
    ClaimLost,
}

impl DriveOutcome {
    /// In one word, for metrics and traces; `None` is a ledger that failed.
    fn name_of(outcome: Option<&Self>) -> &'static str {
        match outcome {
            None => "ledger_failed",
            Some(Self::Unknown) => "unknown",
            Some(Self::Busy) => "busy",
            Some(Self::Waiting { .. }) => "waiting",
            Some(Self::Exported { .. }) => "exported",
            Some(Self::Settled { .. }) => "settled",
            Some(Self::OutOfBudget) => "out_of_budget",
            Some(Self::Failed { .. }) => "failed",
            Some(Self::ClaimLost) => "claim_lost",
        }
    }
}

/// The turns of one drive.
struct Turns {
    budget: Budget,
    taken: u32,
    current: Option<Turn>,
}

/// Whether a chunk can be driven now.
enum Ready {
    Due(Box<Found>, Slot),
    NotDue(Box<DriveOutcome>),
}

impl ExportDriver {
    /// How long a copy is kept proved before its source is deleted.
    pub fn delete_delay(&self) -> Duration {
        self.policy.deletion.delay
    }

    pub fn new(
        ledger: ChunkLedger,
        source: Arc<dyn RecordingSource>,
        external: Arc<dyn RecordingSource>,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
        policy: ExportPolicy,
    ) -> Self {
        let exporter = ChunkExporter {
            source: Arc::clone(&source),
            vaults,
            clock: Arc::clone(&clock),
            blocks: policy.blocks,
        };
        Self {
            ledger,
            source,
            external,
            exporter,
            clock,
            policy,
            slots: Slots::new(policy.chunks_in_flight),
        }
    }

    pub fn ledger(&self) -> &ChunkLedger {
        &self.ledger
    }

    /// Where the copies lie.
    pub fn vaults(&self) -> &Vaults {
        &self.exporter.vaults
    }

    /// What removes files from these vaults.
    pub(super) fn removals(&self) -> Removals {
        let (ledger, vaults) = (self.ledger.clone(), self.vaults().clone());
        Removals::new(ledger, vaults, Arc::clone(&self.clock))
    }

    /// Whether the vault still has both files of a receipt as they were proved.
    ///
    /// # Errors
    /// When the vault cannot be asked.
    pub async fn still_holds(&self, receipt: &ExportReceipt) -> Result<bool, DestinationError> {
        self.exporter.still_holds(receipt).await
    }

    /// Claims the chunk and takes every step that is due, until nothing is or the budget is spent.
    ///
    /// Cancel-safe: what was done is durable, and the claim runs out.
    ///
    /// # Errors
    /// When the ledger fails. A failure of the source or the vault is an outcome, not an error.
    pub async fn drive(
        &self,
        document_id: &DocumentId,
        budget: Budget,
    ) -> Result<DriveOutcome, LedgerError> {
        self.drive_watched(document_id, budget, &mut None).await
    }

    /// The same, and tells what risk the chunk was at when it was looked at.
    ///
    /// # Errors
    /// As [`drive`](Self::drive).
    pub async fn drive_watched(
        &self,
        document_id: &DocumentId,
        budget: Budget,
        risk: &mut Option<Risk>,
    ) -> Result<DriveOutcome, LedgerError> {
        let outcome = match self.ready(document_id, budget, risk).await {
            Ok(Ready::Due(found, slot)) => {
                let chunk = &found.entry.chunk;
                let span = info_span!("drive", document.id = %document_id, recording.id = chunk.recording_id.as_ref().map(tracing::field::display), chunk.index = chunk.index, outcome = tracing::field::Empty);
                // On the heap: who waits for drives keeps many of them, and most do not get this far.
                let advancing = Box::pin(self.claim_and_advance(*found, Turn::new(slot, budget)));
                let outcome = advancing.instrument(span.clone()).await;
                span.record("outcome", DriveOutcome::name_of(outcome.as_ref().ok()));
                outcome
            }
            Ok(Ready::NotDue(outcome)) => Ok(*outcome),
            Err(error) => Err(error),
        };
        metrics::DRIVES.increment(&[DriveOutcome::name_of(outcome.as_ref().ok())]);
        outcome
    }

    async fn claim_and_advance(
        &self,
        found: Found,
        turn: Turn,
    ) -> Result<DriveOutcome, LedgerError> {
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(DriveOutcome::Busy);
        };
        let document_id = claim.document_id();
        let outcome = tokio::select! {
            biased;
            outcome = Box::pin(self.advance(&claim, found.entry, turn)) => outcome,
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
    async fn ready(
        &self,
        document_id: &DocumentId,
        budget: Budget,
        risk: &mut Option<Risk>,
    ) -> Result<Ready, LedgerError> {
        let mut slot = None;
        loop {
            let Some(found) = self.ledger.find(document_id).await? else {
                return Ok(Ready::NotDue(Box::new(DriveOutcome::Unknown)));
            };
            *risk = found.entry.risk(self.clock.now());
            let Some(found) = self.watch(found).await? else {
                return Ok(Ready::NotDue(Box::new(DriveOutcome::Unknown)));
            };
            let turns = match next_step(&found.entry, self.policy.deletion, self.clock.now()) {
                NextStep::Wait { until } => {
                    return Ok(Ready::NotDue(Box::new(DriveOutcome::Waiting { until })));
                }
                NextStep::Nothing => {
                    self.tell_end(&found).await?;
                    let state = found.entry.state;
                    return Ok(Ready::NotDue(Box::new(DriveOutcome::Settled {
                        state,
                        exported_now: false,
                    })));
                }
                NextStep::Export | NextStep::Catalogue | NextStep::MoveHome { .. } => 0,
                // What is safe waits until everything else has had its turns.
                NextStep::ClearBackup { .. }
                | NextStep::DeleteSource { .. }
                | NextStep::LeaveSource { .. } => u32::MAX,
            };
            if let Some(slot) = slot.or_else(|| self.slots.try_acquire()) {
                return Ok(Ready::Due(Box::new(found), slot));
            }
            let waiting = self.slots.acquire(turns, found.entry.expires_at);
            let is_safe = turns == u32::MAX;
            let until = if is_safe {
                budget.deadline().min(Instant::now() + DELETION_PATIENCE)
            } else {
                budget.deadline()
            };
            // What was found may have changed while we waited: it is looked at again.
            match tokio::time::timeout_at(until, waiting).await {
                Ok(granted) => slot = Some(granted),
                // While it queues it keeps the sweep from what is behind it, and that may not be safe.
                Err(_) if is_safe && !budget.is_spent() => {
                    return Ok(Ready::NotDue(Box::new(DriveOutcome::Waiting {
                        until: self.clock.now(),
                    })));
                }
                Err(_) => return Ok(Ready::NotDue(Box::new(DriveOutcome::OutOfBudget))),
            }
        }
    }

    async fn advance(
        &self,
        claim: &Claim,
        mut entry: LedgerEntry,
        turn: Turn,
    ) -> Result<DriveOutcome, LedgerError> {
        let mut turns = Turns {
            budget: turn.budget(),
            taken: 1,
            current: Some(turn),
        };
        let began = Instant::now();
        let mut exported_now = false;
        let mut is_first = entry.claims == 0;
        let mut vault = if entry.uses_backup && entry.vault_failures > 0 {
            VaultName::Backup
        } else {
            VaultName::Home
        };
        loop {
            match next_step(&entry, self.policy.deletion, self.clock.now()) {
                NextStep::Export => {
                    let Some(current) = self.turn(&mut turns, &entry).await else {
                        self.release(claim).await?;
                        return Ok(DriveOutcome::OutOfBudget);
                    };
                    let (exported, into) = self
                        .export(
                            claim,
                            Attempt {
                                entry: &entry,
                                turn: current,
                                is_first,
                                vault,
                            },
                        )
                        .await?;
                    match exported {
                        Ok(Some(proved)) => {
                            exported_now = true;
                            metrics::EXPORT_DURATION.record(began.elapsed().as_secs_f64(), &[]);
                            entry = self.settle_exported(claim, proved).await?;
                        }
                        // Another chunk's turn, or the end of the budget.
                        Ok(None) => {
                            (turns.current, is_first, vault) = (None, false, into);
                        }
                        Err(error) => {
                            return self.settle_failed_export(claim, &entry, &error).await;
                        }
                    }
                }
                NextStep::MoveHome { receipt } => {
                    let Some(current) = self.turn(&mut turns, &entry).await else {
                        self.release(claim).await?;
                        return Ok(DriveOutcome::OutOfBudget);
                    };
                    // A move that was interrupted may have begun.
                    let attempt = Attempt {
                        entry: &entry,
                        turn: current,
                        is_first: false,
                        vault: VaultName::Home,
                    };
                    match self.exporter.move_home(attempt, &receipt).await {
                        Ok(Some(moved)) => entry = self.settle_moved(claim, moved).await?,
                        Ok(None) => turns.current = None,
                        Err(error) => {
                            return self
                                .settle_failed_move(claim, &entry, &receipt, &error)
                                .await;
                        }
                    }
                }
                NextStep::ClearBackup { receipt } => {
                    match self.clear_backup(claim, &entry, &receipt).await? {
                        // Something was removed: the copy is looked at before its source is deleted.
                        Ok(cleared) => (entry, exported_now) = (cleared, false),
                        Err(outcome) => return Ok(outcome),
                    }
                }
                NextStep::Catalogue => return self.catalogue(claim, &entry, turns.budget).await,
                NextStep::DeleteSource { receipt } => {
                    return self
                        .delete_source(claim, &entry, receipt, exported_now)
                        .await;
                }
                NextStep::LeaveSource { receipt, reason } => {
                    return self
                        .settle(
                            claim,
                            ChunkState::SourceLeft { receipt, reason },
                            exported_now,
                        )
                        .await;
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
                    return Ok(DriveOutcome::Settled {
                        state: entry.state,
                        exported_now,
                    });
                }
            }
        }
    }

    /// The turn that goes on, or the next one. `None` when the budget is spent.
    async fn turn<'a>(&self, turns: &'a mut Turns, entry: &LedgerEntry) -> Option<&'a Turn> {
        if turns.current.is_none() {
            let waiting = self.slots.acquire(turns.taken, entry.expires_at);
            let slot = tokio::time::timeout_at(turns.budget.deadline(), waiting)
                .await
                .ok()?;
            turns.current = Some(Turn::new(slot, turns.budget));
            turns.taken += 1;
        }
        if turns.budget.is_spent() {
            None
        } else {
            turns.current.as_ref()
        }
    }

    /// Looks at files in the customer's own storage. ACS keeps none, so there is nothing to expire and nothing to delete.
    async fn catalogue(
        &self,
        claim: &Claim,
        entry: &LedgerEntry,
        budget: Budget,
    ) -> Result<DriveOutcome, LedgerError> {
        let now = self.clock.now();
        let error = match in_place::look(&*self.external, &entry.chunk, budget).await {
            Ok(Some((files, metadata))) => {
                let id = &entry.chunk.document_id;
                let media = &files.media;
                info!(document.id = %id, chunk.index = entry.chunk.index, size_bytes = media.size_bytes, sha256 = %media.sha256, "Chunk `{id}` lies in your own storage");
                let settle = |entry: &mut LedgerEntry| {
                    entry.state = ChunkState::InPlace {
                        files: files.clone(),
                        seen_at: now,
                    };
                    entry.metadata.clone_from(&metadata);
                };
                let state = self
                    .ledger
                    .update(claim, AfterUpdate::Release, settle)
                    .await?
                    .state;
                return Ok(DriveOutcome::Settled {
                    state,
                    exported_now: true,
                });
            }
            Ok(None) => {
                SourceError::transient("reading it where it lies takes longer than there was time")
            }
            Err(error) => error,
        };
        let reason = ErrorChain(&error).to_string();
        let is_final = matches!(error, SourceError::Refused(_)) || entry.is_surely_gone(now);
        if is_final {
            return self
                .settle_unexported(
                    claim,
                    ChunkState::DeadLettered {
                        at: now,
                        reason: reason.clone(),
                    },
                    &reason,
                )
                .await;
        }
        let delay =
            self.policy
                .attempts
                .delay(entry.attempts + 1, error.retry_after(), rand::random());
        self.back_off(
            claim,
            entry,
            delay.unwrap_or(self.policy.attempts.longest_delay),
            Blame::Source,
            reason,
        )
        .await
    }
}
