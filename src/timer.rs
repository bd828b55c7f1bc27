//! What the timer does: sweep open chunks, look after running recordings and bots' commands, report what is missing, and
//! make the report of yesterday.
//!
//! It knows no HTTP. What the timer's own message says does not matter: the ledger knows what is due.

pub mod overdue;

use std::time::{Duration, Instant};

use crate::app::App;
use crate::control::sweep::RecordingsReport;
use crate::error_chain::ErrorChain;
use crate::export::ledger::{LastSweep, LedgerError};
use crate::export::{Budget, SweepReport};
use crate::metrics;
use crate::store::DocumentError;

/// A bot that does not answer keeps no sweep from ending.
const BOTS_BUDGET: Duration = Duration::from_secs(30);

/// What one run of the timer did.
#[derive(Debug)]
pub struct TimerReport {
    pub chunks: Result<SweepReport, LedgerError>,
    pub recordings: Result<RecordingsReport, DocumentError>,
}

/// Runs every job until nothing is due or `SWEEP_BUDGET` is spent. A job that fails does not stop the others.
pub async fn run(app: &App) -> TimerReport {
    let began = Instant::now();
    let budget = Budget::of(app.sweep_budget);
    let (chunks, recordings, missing, (), ()) = futures::join!(
        app.sweep.run_patiently(budget),
        app.control.sweep(budget),
        app.control.report_missing(budget),
        sweep_bots(app),
        sweep_events(app, budget)
    );
    if let Err(error) = missing {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look for missing recordings");
    }
    if let Err(error) = app.control.report_daily(&app.ledger).await {
        tracing::error!(error = %ErrorChain(&error), "Could not make the report of yesterday");
    }
    note_sweep(app, began).await;
    match &chunks {
        Ok(report) => {
            measure(report, began, app);
            log(report);
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(error), "The sweep could not read the ledger");
        }
    }
    match &recordings {
        Ok(report) => metrics::RECORDINGS_RUNNING.set_count(report.running, &[]),
        Err(error) => {
            tracing::error!(error = %ErrorChain(error), "The sweep could not read the register");
        }
    }
    TimerReport { chunks, recordings }
}

/// Goes on with events that one delivery could not take.
async fn sweep_events(app: &App, budget: Budget) {
    if let Err(error) = app.intake.continue_events(budget).await {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look for kept events");
    }
    if let Err(error) = app.intake.housekeep(app.poison_retention).await {
        tracing::warn!(error = %ErrorChain(&error), "The sweep could not look through old poison");
    }
}

/// One line where something happened. An idle app is quiet: `last-sweep.json` and the host's own account of invocations say
/// that sweeps run.
fn log(report: &SweepReport) {
    if !report.is_eventful() {
        tracing::debug!(seen = report.seen, "A sweep had nothing to do");
        return;
    }
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
}

async fn sweep_bots(app: &App) {
    let Some(door) = &app.telephony else { return };
    let budget = Budget::of(app.sweep_budget.min(BOTS_BUDGET));
    if let Err(error) = door.telephony.sweep(budget).await {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look after the commands of bots");
    }
}

/// Writes down when the sweep ended, for those who ask whether it runs.
async fn note_sweep(app: &App, began: Instant) {
    let sweep = LastSweep {
        at: app.clock.now(),
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    if let Err(error) = app.ledger.note_sweep(sweep).await {
        tracing::debug!(error = %ErrorChain(&error), "Could not write down when the sweep ended");
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
