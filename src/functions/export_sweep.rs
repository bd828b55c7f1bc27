//! `ExportSweep`: the timer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;

use super::invocation::InvocationResponse;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::ledger::LastSweep;
use crate::export::{Budget, SweepReport};
use crate::metrics;

/// Bots that do not answer keep no sweep from ending.
const BOTS_BUDGET: Duration = Duration::from_secs(30);

/// Looks after running recordings, and sweeps chunks until nothing is due or `SWEEP_BUDGET` is spent. What the timer says of
/// itself does not matter: the ledger knows what is due.
pub async fn invoke(State(app): State<Arc<App>>) -> InvocationResponse {
    let began = Instant::now();
    let budget = Budget::of(app.sweep_budget);
    let bots = async {
        let Some(door) = &app.telephony else { return };
        if let Err(error) = door
            .telephony
            .sweep(Budget::of(app.sweep_budget.min(BOTS_BUDGET)))
            .await
        {
            tracing::error!(error = %ErrorChain(&error), "The sweep could not look after bots' commands");
        }
    };
    let (chunks, recordings, missing, ()) = futures::join!(
        app.sweep.run(budget),
        app.control.sweep(budget),
        app.control.report_missing(budget),
        bots
    );
    if let Err(error) = missing {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look for missing recordings");
    }
    if let Err(error) = app.control.report_daily(app.driver.ledger()).await {
        tracing::error!(error = %ErrorChain(&error), "The report of yesterday could not be made");
    }
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Err(error) = app
        .driver
        .ledger()
        .note_sweep(LastSweep {
            at: app.clock.now(),
            duration_ms,
        })
        .await
    {
        tracing::debug!(error = %ErrorChain(&error), "It could not be noted when the sweep ended");
    }
    let recordings = match recordings {
        Ok(report) => {
            metrics::RECORDINGS_RUNNING.set_count(report.running, &[]);
            serde_json::to_string(&report).expect("a report has string keys only")
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "The sweep could not read the register");
            format!("the register failed: {}", ErrorChain(&error))
        }
    };
    match chunks {
        Ok(report) => {
            measure(&report, began, &app);
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
            InvocationResponse::success(vec![
                format!("Sweep: {text}"),
                format!("Recordings: {recordings}"),
            ])
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "The sweep could not read the ledger");
            InvocationResponse::failure(format!(
                "the sweep could not read the ledger: {}",
                ErrorChain(&error)
            ))
        }
    }
}

fn measure(report: &SweepReport, began: Instant, app: &App) {
    metrics::SWEEP_DURATION.record(began.elapsed().as_secs_f64(), &[]);
    metrics::SWEEP_FINISHED.set(app.clock.now().as_duration().as_secs_f64(), &[]);
    metrics::SWEEP_SEEN.set_count(report.seen, &[]);
    metrics::SWEEP_DUE.set_count(report.seen.saturating_sub(report.waiting), &[]);
    metrics::SWEEP_DEFERRED.set_count(report.unfinished, &[]);
    metrics::SWEEP_FAILED.set_count(report.failed, &[]);
    for (percent_over, count) in [
        ("50", report.at_risk_50),
        ("75", report.at_risk_75),
        ("90", report.at_risk_90),
    ] {
        metrics::CHUNKS_AT_RISK.set_count(count, &[percent_over]);
    }
    if report.out_of_budget {
        metrics::SWEEPS_CUT_SHORT.increment(&[]);
    }
}
