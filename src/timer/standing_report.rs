//! Reports the standing of recordings after each sweep: as metrics, and as a log line for each standing that needs a person. Alerts
//! wait for these lines; they end when the standing does.

use std::time::Duration;

use tracing::{error, warn};

use crate::app::App;
use crate::catalogue::summary::Summary;
use crate::error_chain::ErrorChain;
use crate::metrics;
use crate::standing::verdict::{CHECK_LASTS, StorageUse, VerdictKind, is_ahead};
use crate::standing::{Concern, Standing};

/// How long an idle process waits after a report without problems before it reports again, because another process may
/// have detected one.
const CALM_LASTS: Duration = Duration::from_mins(5);

/// Result of the sweep before the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing is open or runs, and nothing was due.
    Idle,
    Busy,
}

/// Events that this process has taken.
fn events_taken() -> u64 {
    metrics::EVENTS.values().values().sum()
}

/// Looks at what is not settled, and reports it.
pub(super) async fn report(app: &App, activity: Activity) {
    let events = events_taken();
    if activity == Activity::Idle && app.calm.lasts(events, CALM_LASTS) {
        return;
    }
    app.calm.end();
    match app.catalogue.summary().await {
        Ok(summary) => {
            measure(&summary);
            log(&summary);
            if matches!(
                summary.verdict.kind,
                VerdictKind::Safe | VerdictKind::NoData
            ) {
                app.calm.begin(events);
            }
        }
        Err(error) => {
            error!(error = %ErrorChain(&error), "Could not determine the standing of recordings");
        }
    }
}

fn measure(summary: &Summary) {
    let verdict = &summary.verdict;
    for standing in Standing::ALL {
        if standing.concern() != Concern::Safe {
            let count = verdict.recordings.get(&standing).copied();
            let count = u64::try_from(count.unwrap_or_default()).unwrap_or(u64::MAX);
            metrics::RECORDINGS_STANDING.set_count(count, &[standing.name()]);
        }
    }
    if let Some(check) = &verdict.check {
        metrics::CHECK_BEGAN.set(check.began_at.as_duration().as_secs_f64(), &[]);
    }
}

fn log(summary: &Summary) {
    let verdict = &summary.verdict;
    for (standing, count) in &verdict.recordings {
        log_standing(*standing, *count);
    }
    if verdict.poison > 0 {
        let count = verdict.poison;
        warn!(count, "Events that cannot be read need attention: {count}");
    }
    match &verdict.check {
        Some(check) if check.findings > 0 => {
            let count = check.findings;
            warn!(
                count,
                "Findings of the complete check need attention: {count} (`recording-vault status`)"
            );
        }
        Some(check) if is_ahead(check.began_at, verdict.as_of) => {
            let began_at = check.began_at;
            warn!(%began_at, "The complete check is late: the last one began in the future, at {began_at}; check the clocks");
        }
        Some(check) if verdict.as_of.duration_since(check.began_at) > CHECK_LASTS => {
            let began_at = check.began_at;
            warn!(%began_at, "The complete check is late: the last one began at {began_at}");
        }
        Some(_) => {}
        None if verdict.kind == VerdictKind::NoData => {}
        None => warn!("The complete check is late: none has ended yet"),
    }
    match &summary.storage {
        StorageUse::VaultEmpty => {
            error!("The ledger has proofs of copies, but the vault is empty: check VAULT_URL");
        }
        StorageUse::LedgerEmpty => {
            error!("The vault has files, and the ledger is empty: check LEDGER_URL");
        }
        StorageUse::CopiesMissing { missing, looked_at } => {
            error!(
                "{missing} of {looked_at} copies looked for are not in the vault: check VAULT_URL"
            );
        }
        StorageUse::VaultUnreadable { reason, .. } => {
            error!("The vault cannot be read: {reason}");
        }
        StorageUse::Unused | StorageUse::Used => {}
    }
}

/// One line for a standing that needs a person.
fn log_standing(standing: Standing, count: usize) {
    match standing {
        Standing::Lost => warn!(count, "Recordings are lost: {count}"),
        Standing::Failed => warn!(count, "Recordings have failed: {count}"),
        Standing::AtRisk => warn!(count, "Recordings are at risk: {count}"),
        Standing::Unknown => warn!(count, "Recordings are not readable: {count}"),
        Standing::Missing => warn!(count, "Recordings are without files: {count}"),
        Standing::Incomplete => warn!(count, "Recordings are incomplete: {count}"),
        Standing::Doubtful => warn!(count, "Recordings are doubtful: {count}"),
        Standing::BackupOnly
        | Standing::Active
        | Standing::Paused
        | Standing::AwaitingFiles
        | Standing::Exporting
        | Standing::Waiting
        | Standing::Acknowledged
        | Standing::Verified
        | Standing::InPlace
        | Standing::Erased
        | Standing::Removed => {}
    }
}
