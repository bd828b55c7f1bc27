//! Drives what a delivery announced, and stays with it while there is time: to the end, or not at all when many come.
//!
//! All that was announced is durable before: an export that goes on behind its answer loses nothing if the process is killed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tracing::{Instrument as _, error, warn};

use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::ledger::LedgerError;
use crate::export::{Budget, ChunkState, DriveOutcome};
use crate::recording::DocumentId;

/// Messages that are sent together.
const SENDS_AT_ONCE: usize = 8;

/// Drives what a delivery announced, or has it driven by the queue where there is one; gives a line for each chunk.
pub async fn drive(app: &Arc<App>, recorded: Vec<DocumentId>, budget: Budget) -> Vec<String> {
    let (recorded, mut lines) = queued(app, recorded).await;
    lines.extend(drive_here(app, recorded, budget).await);
    lines
}

/// Sends what it can to the queue; what is left is driven here.
async fn queued(app: &App, recorded: Vec<DocumentId>) -> (Vec<DocumentId>, Vec<String>) {
    let Some(queue) = &app.export_queue else {
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
                warn!(document.id = %id, error = %ErrorChain(&error), "The export queue took no message; chunk `{id}` is exported here");
                left.push(id);
            }
        }
    }
    (left, lines)
}

async fn drive_here(app: &Arc<App>, recorded: Vec<DocumentId>, budget: Budget) -> Vec<String> {
    if recorded.is_empty() {
        return Vec::new();
    }
    let Some(at_work) = app.crowd.begin_work() else {
        return vec![format!(
            "{} chunks are left to the sweep: many deliveries are at work",
            recorded.len()
        )];
    };
    let presence = app.crowd.enter();
    let count = recorded.len();
    let worker = Arc::clone(app);
    let work = async move {
        let drives = recorded.into_iter().map(|document_id| {
            let app = &worker;
            async move { described(&document_id, app.driver.drive(&document_id, budget).await) }
        });
        let lines = futures::future::join_all(drives).await;
        drop(at_work);
        lines
    };
    let exports = tokio::spawn(work.in_current_span());
    let lines = tokio::select! {
        biased;
        lines = exports => lines.unwrap_or_else(|error| vec![format!("an export panicked, the sweep goes on with it: {error}")]),
        () = app.crowd.crowded() => vec![format!("{count} chunks go on behind this answer: many deliveries come")],
    };
    drop(presence);
    lines
}

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
                "Chunk {id} lies in your own storage: SHA-256 {}",
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
        Ok(DriveOutcome::OutOfBudget) => format!("Chunk {id} goes on with the next sweep"),
        Ok(DriveOutcome::Busy | DriveOutcome::ClaimLost) => {
            format!("Chunk {id} is exported by another invocation")
        }
        Ok(DriveOutcome::Unknown) => format!("Chunk {id} is not in the ledger"),
        Err(error) => {
            // It is recorded: the sweep drives it again.
            error!(document.id = %id, error = %ErrorChain(&error), "Chunk `{id}` could not be driven");
            format!("Chunk {id} is left to the sweep: {}", ErrorChain(&error))
        }
    }
}
