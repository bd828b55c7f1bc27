//! `RecordingFileStatusUpdated`: the Event Grid trigger. Record first, then drive within the budget.
//!
//! Event Grid waits 30 s and then delivers again while the first run goes on: so what is not done within `EVENT_BUDGET`
//! is left to the sweep, which goes on from the staged blocks; and of a burst all is answered at once (`deliveries`).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use tracing::error;

use super::invocation::InvocationResponse;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::intake::Intake;
use crate::intake::dispatch;

/// Answers success once every chunk is in the ledger and every unreadable event is kept; 500 where another delivery helps:
/// the ledger failed, or a call that is to be recorded could not be.
pub async fn invoke(State(app): State<Arc<App>>, body: Bytes) -> InvocationResponse {
    let budget = Budget::of(app.event_budget);
    let mut intake = Intake::new(&app);
    if let Err(error) = intake.take_envelope(&body).await {
        error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
        return InvocationResponse::failure(format!("the ledger failed: {}", ErrorChain(&error)));
    }
    let Intake {
        recorded,
        mut logs,
        again,
        ..
    } = intake;
    logs.extend(dispatch::drive(&app, recorded, budget).await);
    match again {
        Some(why) => InvocationResponse::failure(why),
        None => InvocationResponse::success(logs),
    }
}
