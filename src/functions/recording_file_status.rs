//! `RecordingFileStatusUpdated`: the Event Grid trigger. Record first, then drive within the budget.
//!
//! Event Grid waits 30 s and then delivers again while the first run goes on: so what is not done within `EVENT_BUDGET`
//! is left to the sweep, which goes on from the staged blocks.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use tracing::error;

use super::event_intake::Intake;
use super::invocation::InvocationResponse;
use crate::app::App;
use crate::export::ledger::LedgerError;
use crate::export::{Budget, ChunkState, DriveOutcome};
use crate::recording::DocumentId;
use crate::telemetry::ErrorChain;

/// Answers success once every chunk is in the ledger and every unreadable event is kept; 500 where another delivery helps:
/// the ledger failed, or a call that is to be recorded could not be.
pub async fn invoke(State(app): State<Arc<App>>, body: Bytes) -> InvocationResponse {
    let budget = Budget::of(app.event_budget);
    let mut intake = Intake::new(&app);
    if let Err(error) = intake.take_envelope(&body).await {
        error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
        return InvocationResponse::failure(format!("the ledger failed: {}", ErrorChain(&error)));
    }
    let Intake { recorded, mut logs, again, .. } = intake;
    let drives = recorded.into_iter().map(|document_id| {
        let app = &app;
        async move {
            let outcome = app.driver.drive(&document_id, budget).await;
            described(&document_id, outcome)
        }
    });
    logs.extend(futures::future::join_all(drives).await);
    match again {
        Some(why) => InvocationResponse::failure(why),
        None => InvocationResponse::success(logs),
    }
}

fn described(id: &DocumentId, outcome: Result<DriveOutcome, LedgerError>) -> String {
    match outcome {
        Ok(DriveOutcome::Exported { receipt }) => {
            format!("Exported chunk {id}: {} bytes, SHA-256 {}", receipt.media().size_bytes(), receipt.media().sha256())
        }
        Ok(DriveOutcome::Settled { state, .. }) => match state {
            ChunkState::SourceDeleted { .. } => format!("Chunk {id} is in the vault and deleted at ACS"),
            ChunkState::SourceLeft { reason, .. } => format!("Chunk {id} is in the vault; at ACS: {reason}"),
            ChunkState::Expired { reason, .. } => format!("Chunk {id} is LOST, ACS had dropped it: {reason}"),
            ChunkState::DeadLettered { reason, .. } => format!("Chunk {id} is dead-lettered: {reason}"),
            ChunkState::Pending | ChunkState::Exported { .. } => format!("Chunk {id} is {}", state.name()),
        },
        Ok(DriveOutcome::Waiting { until }) => format!("Chunk {id} waits until {until}"),
        Ok(DriveOutcome::Failed { reason, until }) => format!("Chunk {id} is tried again at {until}: {reason}"),
        Ok(DriveOutcome::OutOfBudget) => format!("Chunk {id} goes on with the next sweep"),
        Ok(DriveOutcome::Busy | DriveOutcome::ClaimLost) => format!("Chunk {id} is exported by another invocation"),
        Ok(DriveOutcome::Unknown) => format!("Chunk {id} is not in the ledger"),
        Err(error) => {
            // It is recorded: the sweep drives it again.
            error!(document.id = %id, error = %ErrorChain(&error), "Chunk `{id}` could not be driven");
            format!("Chunk {id} is left to the sweep: {}", ErrorChain(&error))
        }
    }
}
