//! The timer's work: drives every chunk that is due, nearest expiry first, through the same `drive` as everything else.

mod stale_claims;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde::Serialize;

use super::budget::Budget;
use super::driver::{DriveOutcome, Driven, ExportDriver, ProofAge};
use super::entry::Risk;
use super::ledger::{LedgerError, OpenChunk};
use super::state::ChunkState;
use crate::error_chain::ErrorChain;
use crate::recording::DocumentId;
use stale_claims::{AfterWait, StaleClaims};

/// Open chunks read per batch.
const PAGE: usize = 500;
/// Chunks driven concurrently; the driver's own slots limit how many of them transfer.
const AT_ONCE: usize = 16;
/// Losses are reported for at least this long, also by a sweep that spends its budget on exports.
pub const LOSSES_BUDGET: Duration = Duration::from_secs(10);

/// Drives what is due until nothing is, or the budget is spent.
pub struct ExportSweep {
    driver: Arc<ExportDriver>,
}

/// How to handle chunks that another drive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnBusy {
    LeaveToNext,
    WaitForStaleClaims,
}

/// Result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Open chunks that were checked.
    pub seen: u64,
    /// Of these, chunks that are not in the vault although 50, 75 and 90 % of their time has passed.
    pub at_risk_50: u64,
    pub at_risk_75: u64,
    pub at_risk_90: u64,
    pub exported: u64,
    pub deleted: u64,
    /// Not due yet, or held by another instance.
    pub waiting: u64,
    pub failed: u64,
    pub dead_lettered: u64,
    pub expired: u64,
    /// Begun and stopped at a block boundary when the budget was spent.
    pub unfinished: u64,
    pub out_of_budget: bool,
}

/// One check of a chunk.
struct Looked {
    document_id: DocumentId,
    /// `None` when the ledger failed.
    outcome: Option<DriveOutcome>,
    risk: Option<Risk>,
}

impl ExportSweep {
    pub fn new(driver: Arc<ExportDriver>) -> Self {
        Self { driver }
    }

    /// Passes over the open chunks for as long as they make progress, or until the budget is spent: chunks are
    /// announced, and become due, while others are exported. One whose entry is unreadable is reported and does not
    /// stop the others.
    ///
    /// # Errors
    /// When the list of open chunks cannot be read.
    pub async fn run(&self, budget: Budget) -> Result<SweepReport, LedgerError> {
        self.run_with(budget, OnBusy::LeaveToNext).await
    }

    /// Like [`run`](Self::run), and if time is left, waits for claims that are about to expire: their holders died.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_patiently(&self, budget: Budget) -> Result<SweepReport, LedgerError> {
        self.run_with(budget, OnBusy::WaitForStaleClaims).await
    }

    async fn run_with(&self, budget: Budget, on_busy: OnBusy) -> Result<SweepReport, LedgerError> {
        // Concurrently with the drives: a sweep that spends its budget on them still checks, and no failure there
        // affects its report.
        let removals = self.driver.removals();
        let (report, ()) =
            tokio::join!(self.drive_all(budget, on_busy), removals.look_again(budget));
        // After the drives, which report losses too: each is reported once.
        let budget = Budget::of(budget.remaining().max(LOSSES_BUDGET));
        // On the heap: it holds an entry and its change.
        Box::pin(self.driver.report_losses(budget)).await?;
        report
    }

    async fn drive_all(&self, budget: Budget, on_busy: OnBusy) -> Result<SweepReport, LedgerError> {
        let mut report = SweepReport::default();
        let mut looked_at = HashSet::new();
        let mut stale = StaleClaims::default();
        loop {
            let before = report.progress();
            let busy = self.pass(budget, &mut looked_at, &mut report).await?;
            if report.out_of_budget {
                return Ok(report);
            }
            if report.progress() > before {
                continue;
            }
            let after = match on_busy {
                OnBusy::LeaveToNext => AfterWait::Done,
                OnBusy::WaitForStaleClaims => {
                    stale.wait(self.driver.ledger(), &busy, budget).await?
                }
            };
            if after == AfterWait::Done {
                return Ok(report);
            }
        }
    }

    /// Drives every open chunk once. Returns those that another drive holds.
    async fn pass(
        &self,
        budget: Budget,
        looked_at: &mut HashSet<DocumentId>,
        report: &mut SweepReport,
    ) -> Result<Vec<DocumentId>, LedgerError> {
        let (mut cursor, mut busy) = (None, Vec::new());
        loop {
            let (chunks, next) = self
                .driver
                .ledger()
                .open_chunks(cursor.as_ref(), PAGE)
                .await?;
            let mut drives = futures::stream::iter(chunks)
                .take_while(|_| std::future::ready(!budget.is_spent()))
                .map(|chunk| self.drive(chunk, budget))
                .buffer_unordered(AT_ONCE);
            while let Some(looked) = drives.next().await {
                let is_first_look = looked_at.insert(looked.document_id.clone());
                report.count(&looked, u64::from(is_first_look));
                if looked.outcome == Some(DriveOutcome::Busy) {
                    busy.push(looked.document_id);
                }
            }
            report.out_of_budget = budget.is_spent();
            cursor = next;
            if cursor.is_none() || report.out_of_budget {
                return Ok(busy);
            }
        }
    }

    async fn drive(&self, chunk: OpenChunk, budget: Budget) -> Looked {
        let document_id = &chunk.document_id;
        let Driven { outcome, risk } = self.driver.drive_watched(document_id, budget).await;
        let outcome = match outcome {
            // A kill between the last write and the removal of the marker, or between the marker and the first write.
            Ok(outcome @ (DriveOutcome::Settled { .. } | DriveOutcome::Unknown)) => {
                self.driver.ledger().clear(&chunk).await.map(|()| outcome)
            }
            outcome => outcome,
        };
        if let Err(error) = &outcome {
            tracing::error!(document.id = %document_id, error = %ErrorChain(error), "The sweep could not process chunk `{document_id}`");
        }
        Looked {
            document_id: chunk.document_id,
            outcome: outcome.ok(),
            risk,
        }
    }
}

impl SweepReport {
    /// Whether anything was done, failed, was left undone or is at risk.
    pub fn is_eventful(&self) -> bool {
        self.progress()
            + self.failed
            + self.unfinished
            + self.at_risk_50
            + self.at_risk_75
            + self.at_risk_90
            > 0
            || self.out_of_budget
    }

    /// Count that grows only when something was done.
    fn progress(&self) -> u64 {
        self.exported + self.deleted + self.dead_lettered + self.expired
    }

    /// Adds one check. A chunk that is checked again counts only for what was done: `once` is then 0, else 1.
    fn count(&mut self, looked: &Looked, once: u64) {
        self.seen += once;
        match looked.risk {
            Some(Risk::Half) => self.at_risk_50 += once,
            Some(Risk::ThreeQuarters) => self.at_risk_75 += once,
            Some(Risk::NinetyPercent) => self.at_risk_90 += once,
            None => {}
        }
        match &looked.outcome {
            None | Some(DriveOutcome::Failed { .. }) => self.failed += once,
            Some(DriveOutcome::Unknown | DriveOutcome::Busy | DriveOutcome::Waiting { .. }) => {
                self.waiting += once;
            }
            Some(DriveOutcome::ClaimLost) => self.waiting += once,
            Some(DriveOutcome::OutOfBudget) => self.unfinished += once,
            Some(DriveOutcome::Exported { .. }) => self.exported += 1,
            Some(DriveOutcome::Settled { state, proof }) => {
                self.exported += u64::from(*proof == ProofAge::ThisDrive);
                match state {
                    ChunkState::SourceDeleted { .. } => self.deleted += 1,
                    ChunkState::Expired { .. } => self.expired += 1,
                    ChunkState::DeadLettered { .. } => self.dead_lettered += 1,
                    ChunkState::SourceLeft { .. }
                    | ChunkState::Removing { .. }
                    | ChunkState::Removed { .. }
                    | ChunkState::InPlace { .. }
                    | ChunkState::Pending
                    | ChunkState::Exported { .. } => {}
                }
            }
        }
    }
}
