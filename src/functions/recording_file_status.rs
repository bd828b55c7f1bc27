//! `RecordingFileStatusUpdated`: the Event Grid trigger. Record first, then drive within the budget.
//!
//! Event Grid waits 30 s and then delivers again while the first run goes on: so what is not done within `EVENT_BUDGET`
//! is left to the sweep, which goes on from the staged blocks.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use tracing::{error, info, warn};

use super::invocation::{Invocation, InvocationResponse};
use crate::app::App;
use crate::export::ledger::{LedgerError, Recorded};
use crate::export::{Budget, ChunkState, DriveOutcome};
use crate::recording::{DocumentId, IncomingEvent, RecordingChunk, RecordingFileStatusUpdated};
use crate::telemetry::ErrorChain;

/// Answers success once every chunk is in the ledger and every unreadable event is kept; 500 if the ledger fails, so that
/// Event Grid delivers again.
pub async fn invoke(State(app): State<Arc<App>>, body: Bytes) -> InvocationResponse {
    let budget = Budget::of(app.event_budget);
    let mut logs = Vec::new();
    let recorded = match record_all(&app, &body, &mut logs).await {
        Ok(recorded) => recorded,
        Err(error) => {
            error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
            return InvocationResponse::failure(format!("the ledger failed: {}", ErrorChain(&error)));
        }
    };
    let drives = recorded.into_iter().map(|document_id| {
        let app = &app;
        async move {
            let outcome = app.driver.drive(&document_id, budget).await;
            described(&document_id, outcome)
        }
    });
    logs.extend(futures::future::join_all(drives).await);
    InvocationResponse::success(logs)
}

async fn record_all(app: &App, body: &[u8], logs: &mut Vec<String>) -> Result<Vec<DocumentId>, LedgerError> {
    let events = match Invocation::parse(body).map(|invocation| invocation.binding("event")) {
        Ok(Some(Value::Array(events))) => events,
        Ok(Some(event)) => vec![event],
        Ok(None) => {
            keep_poison(app, &text_of(body), "the invocation has no binding `event`", logs).await?;
            return Ok(Vec::new());
        }
        Err(error) => {
            let reason = ErrorChain(&error).to_string();
            keep_poison(app, &text_of(body), &reason, logs).await?;
            return Ok(Vec::new());
        }
    };
    let mut recorded = Vec::new();
    for event in &events {
        match IncomingEvent::parse(event) {
            Ok(IncomingEvent::RecordingFileStatusUpdated(update)) => {
                recorded.extend(record(app, event, update, logs).await?);
            }
            Ok(IncomingEvent::Other { event_type }) => {
                info!(event_type, "Ignored an event of another type");
                logs.push(format!("Ignored an event of type {event_type}"));
            }
            Err(error) => keep_poison(app, event, &error.to_string(), logs).await?,
        }
    }
    Ok(recorded)
}

async fn record(
    app: &App,
    event: &Value,
    update: RecordingFileStatusUpdated,
    logs: &mut Vec<String>,
) -> Result<Vec<DocumentId>, LedgerError> {
    if update.chunks.is_empty() && update.refused.is_empty() {
        warn!(event_id = update.event_id, "An event announced no chunk at all");
        logs.push("The event announced no chunk".to_owned());
    }
    for refused in &update.refused {
        let reason = format!("chunk {} of the event: {}", refused.position, refused.reason);
        keep_poison(app, event, &reason, logs).await?;
    }
    let mut recorded = Vec::with_capacity(update.chunks.len());
    for chunk in update.chunks {
        recorded.push(chunk.document_id.clone());
        record_chunk(app, chunk).await?;
    }
    Ok(recorded)
}

async fn record_chunk(app: &App, chunk: RecordingChunk) -> Result<(), LedgerError> {
    let (id, index) = (chunk.document_id.clone(), chunk.index);
    let recording_id = chunk.recording_id.clone();
    let recording_id = recording_id.as_ref().map_or("", |id| id.as_str());
    match app.driver.ledger().record(chunk).await? {
        Recorded::New => info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Recorded chunk `{id}`"),
        Recorded::AlreadyKnown => {
            info!(document.id = %id, chunk.index = index, recording.id = recording_id, "Chunk `{id}` is known already");
        }
    }
    Ok(())
}

/// What cannot be read is kept whole and acknowledged: delivering it again would not make it readable.
async fn keep_poison(app: &App, event: &Value, reason: &str, logs: &mut Vec<String>) -> Result<(), LedgerError> {
    app.driver.ledger().keep_poison(event, reason).await?;
    error!(error = reason, "Kept an event that cannot be read as poison");
    logs.push(format!("Kept an event that cannot be read as poison: {reason}"));
    Ok(())
}

fn text_of(body: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(body).into_owned())
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
