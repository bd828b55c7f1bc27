//! `ExportSweep`: the timer trigger. Runs the timer's jobs and reports them to the host.

use std::sync::Arc;

use axum::extract::State;

use super::invocation::InvocationResponse;
use crate::app::App;
use crate::timer::{self, SweepTrigger, TimerReport};

/// Returns success only if the sweep could look at everything: else the host counts the invocation as failed, and alert
/// rules on failed invocations fire.
pub async fn invoke(State(app): State<Arc<App>>) -> InvocationResponse {
    let report = Box::pin(timer::run(&app, SweepTrigger::Timer)).await;
    match report.failure() {
        Some(why) => InvocationResponse::failure(why),
        None => InvocationResponse::success(lines(&report)),
    }
}

fn lines(report: &TimerReport) -> Vec<String> {
    let chunks = report.chunks.as_ref().ok().map(serde_json::to_string);
    let recordings = report.recordings.as_ref().ok().map(serde_json::to_string);
    let lines = [("Sweep", chunks), ("Recordings", recordings)].map(|(name, text)| {
        let text = text?.expect("a report has string keys only");
        Some(format!("{name}: {text}"))
    });
    let verdict = report.verdict.as_ref().map(ToString::to_string);
    lines.into_iter().chain([verdict]).flatten().collect()
}
