//! `ExportSweep`: the timer trigger. Runs the timer's jobs and reports them in the host's log.

use std::sync::Arc;

use axum::extract::State;

use super::invocation::InvocationResponse;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::timer;

/// Returns success unless the ledger could not be read: then the host counts the invocation as failed.
pub async fn invoke(State(app): State<Arc<App>>) -> InvocationResponse {
    let report = Box::pin(timer::run(&app)).await;
    let recordings = match &report.recordings {
        Ok(report) => serde_json::to_string(report).expect("a report has string keys only"),
        Err(error) => format!("the register failed: {}", ErrorChain(error)),
    };
    match &report.chunks {
        Ok(report) => {
            let text = serde_json::to_string(report).expect("a report has string keys only");
            InvocationResponse::success(vec![
                format!("Sweep: {text}"),
                format!("Recordings: {recordings}"),
            ])
        }
        Err(error) => InvocationResponse::failure(format!(
            "the sweep could not read the ledger: {}",
            ErrorChain(error)
        )),
    }
}
