//! The only code that moves a chunk: for the event, for the timer and for the operator.

mod advance;
mod backup;
mod copy_report;
mod deletion;
mod expiry_alarm;
mod further;
mod held;
pub mod import;
mod look_in_place;
mod move_home;
pub mod next_step;
pub mod objection;
mod obstacle;
pub mod preview;
mod ready;
mod run;
mod settle;
mod written_receipt;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Instrument as _, Span, info_span, warn};

pub use self::objection::Objection;
pub use self::preview::{Preview, WhyKept};
use self::ready::Ready;
use super::budget::Budget;
use super::entry::{LedgerEntry, Risk};
use super::ledger::{AfterUpdate, ChunkLedger, Claim, Found, Fresh, LedgerError};
use super::receipt::ExportReceipt;
use super::removal::Removals;
use super::slots::{ClaimAhead, Slots, Turn};
use super::source::RecordingSource;
use super::state::ChunkState;
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::export::block::BlockPolicy;
use crate::export::driver::next_step::DeletionPolicy;
use crate::export::transfer::chunk::ChunkExporter;
use crate::in_flight::InFlight;
use crate::metrics;
use crate::recording::DocumentId;
use crate::retry::RetryPolicy;

/// Delay before the next attempt after a failure of the vault, not of the source.
const AFTER_VAULT_FAILURE: Duration = Duration::from_secs(15);

/// Settings that the driver's decisions depend on.
#[derive(Debug, Clone, Copy)]
pub struct ExportPolicy {
    pub blocks: BlockPolicy,
    /// Chunks that are transferred concurrently in this process.
    pub chunks_in_flight: usize,
    pub deletion: DeletionPolicy,
    /// Attempts at the source, and the delays between them. A chunk without attempts left is dead-lettered.
    pub attempts: RetryPolicy,
}

/// Moves chunks, any number concurrently, each under its claim.
pub struct ExportDriver {
    ledger: ChunkLedger,
    source: Arc<dyn RecordingSource>,
    /// The customer's own storage.
    external: Arc<dyn RecordingSource>,
    exporter: ChunkExporter,
    clock: Arc<dyn Clock>,
    policy: ExportPolicy,
    slots: Arc<Slots>,
    /// Drives that hold a claim.
    claimed: InFlight,
}

/// Where chunks are read from.
pub struct Sources {
    pub acs: Arc<dyn RecordingSource>,
    /// The customer's own storage.
    pub external: Arc<dyn RecordingSource>,
}

/// State in which a drive left the chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum DriveOutcome {
    /// The ledger has no such chunk.
    Unknown,
    /// Another instance is working on it.
    Busy,
    /// Nothing is due before `until`.
    Waiting { until: Timestamp },
    /// In the vault and proved. The deletion is not due yet.
    Exported { receipt: ExportReceipt },
    /// In a final state.
    Settled { state: ChunkState, proof: ProofAge },
    /// Progress is kept. The next drive continues.
    OutOfBudget,
    /// This attempt failed; the next is due at `until`.
    Failed { reason: String, until: Timestamp },
    /// Another instance took over during the drive.
    ClaimLost,
}

/// When the copy was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofAge {
    ThisDrive,
    /// In an earlier drive, or never.
    Earlier,
}

/// One drive of a chunk, as an observer sees it.
#[derive(Debug)]
pub struct Driven {
    pub outcome: Result<DriveOutcome, LedgerError>,
    /// The risk of the chunk when the drive checked it.
    pub risk: Option<Risk>,
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

impl ExportDriver {
    /// Delay between the proof of a copy and the deletion of its source.
    pub fn delete_delay(&self) -> Duration {
        self.policy.deletion.delay
    }

    pub fn new(
        ledger: ChunkLedger,
        Sources { acs, external }: Sources,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
        policy: ExportPolicy,
    ) -> Self {
        let exporter = ChunkExporter {
            audit: ledger.audit_log(),
            source: Arc::clone(&acs),
            vaults,
            clock: Arc::clone(&clock),
            blocks: policy.blocks,
            imported: None,
        };
        Self {
            ledger,
            source: acs,
            external,
            exporter,
            clock,
            policy,
            slots: Slots::new(policy.chunks_in_flight),
            claimed: InFlight::default(),
        }
    }

    /// Waits until no drive of this process holds a claim.
    pub async fn all_released(&self) {
        self.claimed.none().await;
    }

    /// The slots for chunks that are exported concurrently.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    pub fn ledger(&self) -> &ChunkLedger {
        &self.ledger
    }

    /// The vaults with the copies.
    pub fn vaults(&self) -> &Vaults {
        &self.exporter.vaults
    }

    /// Removes files from these vaults.
    pub(super) fn removals(&self) -> Removals {
        let (ledger, vaults) = (self.ledger.clone(), self.vaults().clone());
        Removals::new(ledger, vaults, Arc::clone(&self.clock))
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
        self.drive_watched(document_id, budget).await.outcome
    }

    /// Like [`drive`](Self::drive), and also returns the risk of the chunk.
    pub async fn drive_watched(&self, document_id: &DocumentId, budget: Budget) -> Driven {
        if let Some(Fresh { found, claim, .. }) = self.ledger.take_fresh(document_id) {
            if let Some((claim, ahead)) = claim.filter(|(claim, _)| !claim.remaining().is_zero()) {
                let driving = self.drive_claimed(&claim, ahead, found.entry, budget);
                return driving.await;
            }
            let driven = self.drive_known(document_id, Some(found), budget).await;
            // Its entry may have changed since it was recorded.
            if !matches!(driven.outcome, Ok(DriveOutcome::Busy)) {
                return driven;
            }
        }
        self.drive_known(document_id, None, budget).await
    }

    /// Drives a chunk whose entry may be known.
    async fn drive_known(
        &self,
        document_id: &DocumentId,
        known: Option<Found>,
        budget: Budget,
    ) -> Driven {
        let (risk, outcome) = match Box::pin(self.ready(document_id, known, budget)).await {
            Ok(Ready::Due { found, slot, risk }) => {
                let span = span_of(&found.entry);
                // On the heap: a caller waits for many drives at once, and most do not get this far.
                let advancing = Box::pin(self.claim_and_advance(*found, Turn::new(slot, budget)));
                (risk, observed(advancing, span).await)
            }
            Ok(Ready::NotDue { outcome, risk }) => (risk, Ok(*outcome)),
            Err(error) => (None, Err(error)),
        };
        metrics::DRIVES.increment(&[DriveOutcome::name_of(outcome.as_ref().ok())]);
        Driven { outcome, risk }
    }

    /// Drives a chunk that was claimed when it was recorded. The claim is renewed while the drive waits for a slot.
    async fn drive_claimed(
        &self,
        claim: &Claim,
        ahead: ClaimAhead,
        entry: LedgerEntry,
        budget: Budget,
    ) -> Driven {
        let _counted = self.claimed.begin();
        let span = span_of(&entry);
        let advancing = async {
            let slot = match self.slots.try_acquire() {
                Some(slot) => slot,
                None => tokio::select! {
                    biased;
                    slot = self.slots.acquire(0, entry.expires_at) => slot,
                    () = budget.spent() => {
                        self.release(claim).await?;
                        return Ok(DriveOutcome::OutOfBudget);
                    }
                },
            };
            drop(ahead);
            // It may have waited while other chunks were recorded.
            self.ledger.ensure_time(claim).await?;
            // What was written meanwhile, such as what an event that came again added.
            let entry = claim.entry().unwrap_or(entry);
            self.advance(claim, entry, Turn::new(slot, budget)).await
        };
        let outcome = observed(Box::pin(self.while_claimed(claim, advancing)), span).await;
        metrics::DRIVES.increment(&[DriveOutcome::name_of(outcome.as_ref().ok())]);
        Driven {
            outcome,
            risk: None,
        }
    }

    /// Gives back the claims of chunks that were recorded, and that this process does not export now.
    pub async fn give_back(&self, recorded: &[DocumentId]) {
        for document_id in recorded {
            let fresh = self.ledger.take_fresh(document_id);
            let Some((claim, _ahead)) = fresh.and_then(|fresh| fresh.claim) else {
                continue;
            };
            // Nothing was done under it: the chunk counts as never claimed.
            let undo = |entry: &mut LedgerEntry| entry.claims = entry.claims.saturating_sub(1);
            let undoing = self.ledger.update(&claim, AfterUpdate::Release, undo);
            if let Err(error) = undoing.await {
                warn!(document.id = %document_id, error = %ErrorChain(&error), "Could not give back the claim on chunk `{document_id}`; it expires on its own");
            }
        }
    }

    async fn claim_and_advance(
        &self,
        found: Found,
        turn: Turn,
    ) -> Result<DriveOutcome, LedgerError> {
        let _counted = self.claimed.begin();
        let Some(claim) = self.ledger.claim(&found).await? else {
            return Ok(DriveOutcome::Busy);
        };
        let entry = claim.entry().unwrap_or(found.entry);
        self.while_claimed(&claim, self.advance(&claim, entry, turn))
            .await
    }

    /// Renews the claim during `advancing`, and cancels that when the claim is lost.
    async fn while_claimed(
        &self,
        claim: &Claim,
        advancing: impl Future<Output = Result<DriveOutcome, LedgerError>>,
    ) -> Result<DriveOutcome, LedgerError> {
        let document_id = claim.document_id();
        let outcome = tokio::select! {
            biased;
            outcome = Box::pin(advancing) => outcome,
            lost = self.ledger.keep_claimed(claim) => Err(lost),
        };
        match outcome {
            Err(LedgerError::ClaimLost { .. }) => {
                warn!(document.id = %document_id, "Lost the claim on chunk `{document_id}`; its new holder continues");
                Ok(DriveOutcome::ClaimLost)
            }
            outcome => outcome,
        }
    }
}

fn span_of(entry: &LedgerEntry) -> Span {
    let chunk = &entry.chunk;
    info_span!("drive", document.id = %chunk.document_id, recording.id = chunk.recording_id.as_ref().map(tracing::field::display), chunk.index = chunk.index, outcome = tracing::field::Empty)
}

/// Awaits a drive in its span, which gets its outcome.
async fn observed(
    driving: impl Future<Output = Result<DriveOutcome, LedgerError>>,
    span: Span,
) -> Result<DriveOutcome, LedgerError> {
    let outcome = driving.instrument(span.clone()).await;
    span.record("outcome", DriveOutcome::name_of(outcome.as_ref().ok()));
    outcome
}
