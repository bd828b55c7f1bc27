//! `ExportChunk`: the queue trigger. One message, one chunk, the same `drive` as everywhere else.
//!
//! Remaining work becomes another message that is visible when it is due; the sweep does the work that has no message.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::Value;
use tracing::{error, warn};

use super::invocation::{Invocation, InvocationResponse};
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::{Budget, DriveOutcome};
use crate::export_queue::ChunkMessage;
use crate::intake::dispatch::described;
use crate::recording::DocumentId;

/// A chunk that waits for a slot is due at once: without a delay, its message would return at once until a slot is
/// free.
const NOT_BEFORE: Duration = Duration::from_secs(30);

/// Returns success where a retry of the same message does not help. The host moves a message that fails five times to
/// the poison queue; the sweep still exports its chunk.
pub async fn invoke(State(app): State<Arc<App>>, body: Bytes) -> InvocationResponse {
    let message = Invocation::parse(&body)
        .ok()
        .and_then(|invocation| invocation.binding("message"));
    let Some(message) = message else {
        return InvocationResponse::failure("the invocation has no binding `message`");
    };
    let Ok(ChunkMessage { document_id }) = serde_json::from_value(message.clone()) else {
        return keep(&app, &message).await;
    };
    let outcome = app
        .driver
        .drive(&document_id, Budget::of(app.sweep_budget))
        .await;
    app.notify_soon();
    let again = match &outcome {
        Ok(DriveOutcome::Waiting { until } | DriveOutcome::Failed { until, .. }) => {
            Some(until_then(&app, *until).max(NOT_BEFORE))
        }
        Ok(DriveOutcome::Exported { .. }) => Some(app.driver.delete_delay()),
        Ok(DriveOutcome::OutOfBudget) => Some(Duration::ZERO),
        Ok(
            DriveOutcome::Busy
            | DriveOutcome::ClaimLost
            | DriveOutcome::Settled { .. }
            | DriveOutcome::Unknown,
        ) => None,
        Err(_) => return InvocationResponse::failure(described(&document_id, outcome)),
    };
    if let Some(after) = again {
        send_again(&app, &document_id, after).await;
    }
    InvocationResponse::success(vec![described(&document_id, outcome)])
}

fn until_then(app: &App, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(app.clock.now())).unwrap_or_default()
}

async fn send_again(app: &App, document_id: &DocumentId, after: Duration) {
    let Some(queue) = app.dispatch.queue() else {
        return;
    };
    if let Err(error) = queue.send(document_id, after).await {
        warn!(document.id = %document_id, error = %ErrorChain(&error), "Could not queue chunk `{document_id}` again; the sweep exports it");
    }
}

/// Keeps a message that names no chunk with the unreadable events: it would never succeed.
async fn keep(app: &App, message: &Value) -> InvocationResponse {
    let reason = "a message of the export queue names no chunk";
    match app.ledger.keep_poison(message, reason).await {
        Ok(()) => {
            error!("A message of the export queue names no chunk; it is kept as poison");
            InvocationResponse::success(vec![reason.to_owned()])
        }
        Err(error) => {
            InvocationResponse::failure(format!("the ledger failed: {}", ErrorChain(&error)))
        }
    }
}
