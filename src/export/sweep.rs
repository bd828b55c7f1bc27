//! The timer's work: whatever is due, nearest expiry first, through the same `drive` as everything else.

use std::sync::Arc;

use futures::StreamExt as _;
use serde::Serialize;

use super::budget::Budget;
use super::driver::{DriveOutcome, ExportDriver};
use super::ledger::{LedgerError, OpenChunk};
use super::state::ChunkState;
use crate::telemetry::ErrorChain;

/// Open chunks looked at in one go.
const PAGE: usize = 500;
/// Chunks driven at once; the driver's own slots bound how many of them transfer.
const AT_ONCE: usize = 16;

/// Drives what is due until nothing is, or the budget is spent.
pub struct ExportSweep {
    driver: Arc<ExportDriver>,
}

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Open chunks that were looked at.
    pub seen: u64,
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

impl ExportSweep {
    pub fn new(driver: Arc<ExportDriver>) -> Self {
        Self { driver }
    }

    /// One sweep. A chunk whose entry is unreadable is reported and does not stop the others.
    ///
    /// # Errors
    /// When the list of open chunks cannot be read.
    pub async fn run(&self, budget: Budget) -> Result<SweepReport, LedgerError> {
        let mut report = SweepReport::default();
        let mut cursor = None;
        loop {
            let (chunks, next) = self.driver.ledger().open_chunks(cursor.as_ref(), PAGE).await?;
            let mut drives = futures::stream::iter(chunks)
                .take_while(|_| std::future::ready(!budget.is_spent()))
                .map(|chunk| self.drive(chunk, budget))
                .buffer_unordered(AT_ONCE);
            while let Some(outcome) = drives.next().await {
                report.count(outcome.as_ref());
            }
            report.out_of_budget = budget.is_spent();
            cursor = next;
            if cursor.is_none() || report.out_of_budget {
                return Ok(report);
            }
        }
    }

    async fn drive(&self, chunk: OpenChunk, budget: Budget) -> Option<DriveOutcome> {
        let document_id = &chunk.document_id;
        let outcome = match self.driver.drive(document_id, budget).await {
            // Whatever its marker is called.
            Ok(outcome @ DriveOutcome::Settled { .. }) => self.driver.ledger().clear(&chunk).await.map(|()| outcome),
            outcome => outcome,
        };
        match outcome {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                tracing::error!(document.id = %document_id, error = %ErrorChain(&error), "Chunk `{document_id}` could not be driven");
                None
            }
        }
    }
}

impl SweepReport {
    fn count(&mut self, outcome: Option<&DriveOutcome>) {
        self.seen += 1;
        match outcome {
            None | Some(DriveOutcome::Failed { .. }) => self.failed += 1,
            Some(DriveOutcome::Unknown | DriveOutcome::Busy | DriveOutcome::Waiting { .. }) => self.waiting += 1,
            Some(DriveOutcome::ClaimLost) => self.waiting += 1,
            Some(DriveOutcome::OutOfBudget) => self.unfinished += 1,
            Some(DriveOutcome::Exported { .. }) => self.exported += 1,
            Some(DriveOutcome::Settled { state, exported_now }) => {
                self.exported += u64::from(*exported_now);
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
