//! Does the timer run? By when the last sweep ended, not by how often it was called.

use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::standing::verdict::SWEEP_IS_LATE;

use super::Check;

const NAME: &str = "sweep";

pub(super) async fn check(app: &App) -> Check {
    let last = match app.ledger.last_sweep().await {
        Ok(last) => last,
        // The check of the ledger reports the reason.
        Err(error) => return Check::not_checked(NAME, ErrorChain(&error).to_string()),
    };
    let Some(last) = last else {
        return Check::not_checked(NAME, "no sweep has ended yet");
    };
    let age = app.clock.now().duration_since(last.at);
    let says = format!("the last one ended at {:.0}", last.at);
    if age <= SWEEP_IS_LATE {
        return Check::fine(NAME, says);
    }
    let remedy = "check that the app runs, that EXPORT_SWEEP_SCHEDULE is set, and the invocations of ExportSweep (`func azure functionapp logstream <app>`)";
    Check::failed(NAME, format!("{says}, {} min ago", age.as_mins()), remedy)
}
