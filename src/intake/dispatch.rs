//! Exports the chunks of a delivery. Waits for them unless too many deliveries are in flight.
//!
//! Everything announced is durable before: an export that continues after the response loses nothing if the process is
//! killed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tracing::{Instrument as _, error, warn};

use super::backpressure::DeliveryBackpressure;
use crate::counted::counted;
use crate::error_chain::ErrorChain;
use crate::export::ledger::LedgerError;
use crate::export::{Budget, ChunkState, DriveOutcome, ExportDriver};
use crate::export_queue::ExportQueue;
use crate::recording::DocumentId;

/// Messages that are sent to the queue at once.
const SENDS_AT_ONCE: usize = 8;

/// Has recorded chunks exported: by the queue where there is one, else in this process.
pub struct Dispatch {
    driver: Arc<ExportDriver>,
    queue: Option<ExportQueue>,
    backpressure: DeliveryBackpressure,
}

impl Dispatch {
    /// `comfortable`: as many deliveries as this may wait for their exports at once.
    pub fn new(
        driver: Arc<ExportDriver>,
        queue: Option<ExportQueue>,
        comfortable: usize,
    ) -> Arc<Self> {
        let backpressure = DeliveryBackpressure::new(comfortable);
        Arc::new(Self {
            driver,
            queue,
            backpressure,
        })
    }

    /// The queue that drives chunks; `None` where events and the timer do.
    pub fn queue(&self) -> Option<&ExportQueue> {
        self.queue.as_ref()
    }

    /// Exports the chunks of a delivery, or queues them; returns a line for each.
    pub async fn export(
        self: &Arc<Self>,
        recorded: Vec<DocumentId>,
        budget: Budget,
    ) -> Vec<String> {
        let (recorded, mut lines) = self.enqueue(recorded).await;
        lines.extend(self.export_here(recorded, budget).await);
        lines
    }

    /// Sends each chunk to the queue; returns those that the queue did not take.
    async fn enqueue(&self, recorded: Vec<DocumentId>) -> (Vec<DocumentId>, Vec<String>) {
        let Some(queue) = &self.queue else {
            return (recorded, Vec::new());
        };
        let sends = futures::stream::iter(recorded).map(|id| async move {
            let sent = queue.send(&id, Duration::ZERO).await;
            (id, sent)
        });
        let (mut left, mut lines) = (Vec::new(), Vec::new());
        for (id, sent) in sends.buffered(SENDS_AT_ONCE).collect::<Vec<_>>().await {
            match sent {
                Ok(()) => lines.push(format!("Chunk {id} is in the export queue")),
                Err(error) => {
                    warn!(document.id = %id, error = %ErrorChain(&error), "The export queue took no message; this process exports chunk `{id}`");
                    left.push(id);
                }
            }
        }
        (left, lines)
    }

    async fn export_here(
        self: &Arc<Self>,
        recorded: Vec<DocumentId>,
        budget: Budget,
    ) -> Vec<String> {
        if recorded.is_empty() {
            return Vec::new();
        }
        let chunks = counted(recorded.len(), "chunk", "chunks");
        let Some(at_work) = self.backpressure.begin_work() else {
            self.driver.give_back(&recorded).await;
            return vec![format!(
                "The next sweep exports {chunks}: too many deliveries are in flight"
            )];
        };
        let presence = self.backpressure.enter();
        let worker = Arc::clone(self);
        let work = async move {
            let drives = recorded.into_iter().map(|document_id| {
                let driver = &worker.driver;
                async move { described(&document_id, driver.drive(&document_id, budget).await) }
            });
            let lines = futures::future::join_all(drives).await;
            drop(at_work);
            lines
        };
        let exports = tokio::spawn(work.in_current_span());
        let lines = tokio::select! {
            biased;
            lines = exports => lines.unwrap_or_else(|error| vec![format!("an export panicked; the next sweep continues it: {error}")]),
            () = self.backpressure.exceeded() => vec![format!("To be exported after this response: {chunks}. Many deliveries are in flight.")],
        };
        drop(presence);
        lines
    }
}

/// Describes the outcome of a drive in one sentence.
pub fn described(id: &DocumentId, outcome: Result<DriveOutcome, LedgerError>) -> String {
    match outcome {
        Ok(DriveOutcome::Exported { receipt }) => {
            format!(
                "Exported chunk {id}: {} bytes, SHA-256 {}",
                receipt.media().size_bytes(),
                receipt.media().sha256()
            )
        }
        Ok(DriveOutcome::Settled { state, .. }) => match state {
            ChunkState::SourceDeleted { .. } => {
                format!("Chunk {id} is in the vault and deleted at ACS")
            }
            ChunkState::InPlace { files, .. } => format!(
                "Chunk {id} is in your own storage: SHA-256 {}",
                files.media.sha256
            ),
            ChunkState::SourceLeft { reason, .. } => {
                format!("Chunk {id} is in the vault; at ACS: {reason}")
            }
            ChunkState::Removing { .. } | ChunkState::Removed { .. } => {
                format!("Chunk {id} was in the vault, and is deleted there by policy")
            }
            ChunkState::Expired { reason, .. } => {
                format!("Chunk {id} is LOST, ACS had dropped it: {reason}")
            }
            ChunkState::DeadLettered { reason, .. } => {
                format!("Chunk {id} is dead-lettered: {reason}")
            }
            ChunkState::Pending | ChunkState::Exported { .. } => {
                format!("Chunk {id} is {}", state.name())
            }
        },
        Ok(DriveOutcome::Waiting { until }) => format!("Chunk {id} waits until {until}"),
        Ok(DriveOutcome::Failed { reason, until }) => {
            format!("Chunk {id} is tried again at {until}: {reason}")
        }
        Ok(DriveOutcome::OutOfBudget) => format!("The next sweep continues chunk {id}"),
        Ok(DriveOutcome::Busy | DriveOutcome::ClaimLost) => {
            format!("Chunk {id} is exported by another invocation")
        }
        Ok(DriveOutcome::Unknown) => format!("Chunk {id} is not in the ledger"),
        Err(error) => {
            // It is recorded: the sweep drives it again.
            error!(document.id = %id, error = %ErrorChain(&error), "Chunk `{id}` could not be exported");
            format!("Chunk {id} is left to the sweep: {}", ErrorChain(&error))
        }
    }
}
