//! `RecordingFileStatusUpdated`: the Event Grid trigger. Records first, then exports within the budget.
//!
//! Event Grid waits 30 s and then delivers again while the first run continues. So the next sweep does what is not done within
//! `EVENT_BUDGET`, from the staged blocks; and each delivery of a burst gets its response at once (`intake::dispatch`).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use tracing::error;

use super::invocation::{Invocation, InvocationResponse};
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::Budget;
use crate::export::ledger::LedgerError;
use crate::intake::{Delivery, Origin};
use serde_json::Value;

/// Returns success once every chunk is in the ledger and every unreadable event is kept; 500 where another delivery
/// helps: the ledger failed, or the recording of a call could not be started.
pub async fn invoke(State(app): State<Arc<App>>, body: Bytes) -> InvocationResponse {
    let budget = Budget::of(app.event_budget);
    let mut delivery = app.intake.begin(Origin::EventGrid);
    if let Err(error) = Box::pin(take_envelope(&mut delivery, &body)).await {
        error!(error = %ErrorChain(&error), "An event could not be recorded; it will be delivered again");
        app.driver.give_back(&delivery.recorded).await;
        return InvocationResponse::failure(format!("the ledger failed: {}", ErrorChain(&error)));
    }
    // The exports may take a while and do not need the request body.
    drop(body);
    let Delivery {
        recorded,
        mut logs,
        again,
        ..
    } = delivery;
    logs.extend(app.dispatch.export(recorded, budget).await);
    app.notify_soon();
    match again {
        Some(why) => InvocationResponse::failure(why),
        None => InvocationResponse::success(logs),
    }
}

/// Takes the events of an Event Grid trigger's envelope, one or many.
///
/// # Errors
/// When the ledger fails: the delivery must then be retried.
async fn take_envelope(delivery: &mut Delivery<'_>, body: &[u8]) -> Result<(), LedgerError> {
    match Invocation::parse(body).map(|invocation| invocation.binding("event")) {
        Ok(Some(Value::Array(events))) => Box::pin(delivery.take_all(&events)).await,
        Ok(Some(event)) => Box::pin(delivery.take_all(&[event])).await,
        Ok(None) => {
            let reason = "the invocation has no binding `event`";
            delivery.take_unreadable(body, reason).await
        }
        Err(error) => {
            let reason = ErrorChain(&error).to_string();
            delivery.take_unreadable(body, &reason).await
        }
    }
}
