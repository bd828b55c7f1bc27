//! `ExportSweep`: the timer.

use std::sync::Arc;

use axum::extract::State;

use super::invocation::InvocationResponse;
use crate::app::App;
use crate::export::Budget;
use crate::export::ledger::LastSweep;
use crate::telemetry::ErrorChain;

/// Looks after running recordings, and sweeps chunks until nothing is due or `SWEEP_BUDGET` is spent. What the timer says of itself does not matter: the ledger
/// knows what is due.
pub async fn invoke(State(app): State<Arc<App>>) -> InvocationResponse {
    let budget = Budget::of(app.sweep_budget);
    let began_at = tokio::time::Instant::now();
    let (chunks, recordings, missing) =
        futures::join!(app.sweep.run(budget), app.control.sweep(budget), app.control.tell_missing(budget));
    if let Err(error) = missing {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look for missing recordings");
    }
    if let Err(error) = app.control.report_daily(app.driver.ledger()).await {
        tracing::error!(error = %ErrorChain(&error), "The report of yesterday could not be made");
    }
    let duration_ms = u64::try_from(began_at.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Err(error) = app.driver.ledger().note_sweep(LastSweep { at: app.clock.now(), duration_ms }).await {
        tracing::debug!(error = %ErrorChain(&error), "It could not be noted when the sweep ended");
    }
    let recordings = match recordings {
        Ok(report) => serde_json::to_string(&report).expect("a report has string keys only"),
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "The sweep could not read the register");
            format!("the register failed: {}", ErrorChain(&error))
        }
    };
    match chunks {
        Ok(report) => {
            let text = serde_json::to_string(&report).expect("a report has string keys only");
            tracing::info!(
                seen = report.seen,
                exported = report.exported,
                deleted = report.deleted,
                failed = report.failed,
                at_risk_50 = report.at_risk_50,
                at_risk_75 = report.at_risk_75,
                at_risk_90 = report.at_risk_90,
                "Swept {} open chunks",
                report.seen
            );
            InvocationResponse::success(vec![format!("Sweep: {text}"), format!("Recordings: {recordings}")])
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "The sweep could not read the ledger");
            InvocationResponse::failure(format!("the sweep could not read the ledger: {}", ErrorChain(&error)))
        }
    }
}
