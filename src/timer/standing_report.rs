//! Reports the verdict after each sweep: as one line that alert rules wait for, as metrics, and as log lines with numbers.
//!
//! The line goes to the host past the log's filter: no value of `LOG` silences an alert. It is written by each sweep that
//! looked, also by one that could not look at everything, and says what is not known. Nothing is written where no sweep
//! looked: alert rules miss the line then.

use std::time::Duration;

use tracing::{error, warn};

use super::SweepTrigger;
use crate::app::App;
use crate::catalogue::summary::Summary;
use crate::error_chain::ErrorChain;
use crate::metrics;
use crate::standing::verdict::line::VerdictLine;
use crate::standing::verdict::{
    CHECK_LASTS, Remains, StorageUse, Verdict, VerdictCode, VerdictKind, is_ahead,
};
use crate::standing::{Concern, Standing};
use crate::telemetry;

/// How long an idle process waits after a report without problems before it reports again, because another process may
/// have detected one. Far less than the time after which the line is missed.
const ALL_CLEAR_LASTS: Duration = Duration::from_mins(5);

/// Result of the sweep before the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing is open or runs, and nothing was due.
    Idle,
    Busy,
}

/// What the report must know of the sweep.
#[derive(Debug, Clone, Copy)]
pub(super) struct SweepOutcome {
    pub(super) activity: Activity,
    /// It could look at everything.
    pub(super) is_complete: bool,
    pub(super) trigger: SweepTrigger,
}

/// Events that this process has taken.
fn events_taken() -> u64 {
    metrics::EVENTS.values().values().sum()
}

/// Looks at what is not settled, and reports it. Returns the line that was written; `None`: nothing happened since a recent
/// report without problems.
pub(super) async fn report(app: &App, sweep: SweepOutcome) -> Option<VerdictLine> {
    let events = events_taken();
    let is_recent =
        sweep.activity == Activity::Idle && app.recent_all_clear.holds(events, ALL_CLEAR_LASTS);
    if is_recent && sweep.trigger == SweepTrigger::Timer {
        return None;
    }
    app.recent_all_clear.clear();
    let verdict = match app.catalogue.summary().await {
        Ok(summary) => {
            measure(&summary.verdict);
            log(&summary);
            VerdictLine::of(&summary.verdict)
        }
        Err(error) => {
            error!(error = %ErrorChain(&error), "Could not determine the standing of recordings");
            forget();
            VerdictLine::undetermined()
        }
    };
    let line = if sweep.is_complete {
        verdict
    } else {
        verdict.of_failed_sweep()
    };
    measure_verdict(&line);
    telemetry::write_past_the_filter(&line);
    if line.is_all_clear() {
        app.recent_all_clear.record(events);
    }
    Some(line)
}

fn measure(verdict: &Verdict) {
    let is_capped = verdict.codes.contains(&VerdictCode::SurveyCapped);
    metrics::RECORDINGS_STANDING.replace_counts(known_counts(verdict, is_capped));
    metrics::SURVEY_CAPPED.set_count(u64::from(is_capped), &[]);
    metrics::STANDING_READ.set(verdict.as_of.as_duration().as_secs_f64(), &[]);
    match &verdict.check {
        Some(check) => metrics::CHECK_BEGAN.set(check.began_at.as_duration().as_secs_f64(), &[]),
        None => metrics::CHECK_BEGAN.clear(),
    }
}

/// Returns how many recordings have each standing that is of interest. Where not everything was read, 0 is no number: it says
/// only that no such recording was read.
fn known_counts(verdict: &Verdict, is_capped: bool) -> Vec<([&'static str; 1], u64)> {
    let of_interest = Standing::ALL
        .into_iter()
        .filter(|standing| standing.concern() != Concern::Safe);
    let counts = of_interest.map(|standing| {
        let count = verdict.recordings.get(&standing).copied();
        let count = u64::try_from(count.unwrap_or_default()).unwrap_or(u64::MAX);
        ([standing.name()], count)
    });
    counts
        .filter(|(_, count)| *count > 0 || !is_capped)
        .collect()
}

/// Removes what an earlier look saw: a look that failed knows no numbers.
fn forget() {
    metrics::RECORDINGS_STANDING.clear();
    metrics::SURVEY_CAPPED.clear();
}

fn measure_verdict(line: &VerdictLine) {
    let kinds = VerdictKind::ALL.map(|kind| ([kind.name()], u64::from(kind == line.kind())));
    metrics::VERDICT.replace_counts(kinds);
    let codes = line.codes().iter().map(|code| ([code.name()], 1));
    metrics::VERDICT_CAUSES.replace_counts(codes);
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
        StorageUse::LedgerEmpty(Remains::Vault) => {
            error!("The vault has files, and the ledger is empty: check LEDGER_URL");
        }
        StorageUse::LedgerEmpty(Remains::BackupVault) => {
            error!("The backup vault has files, and the ledger is empty: check LEDGER_URL");
        }
        StorageUse::LedgerEmpty(Remains::AuditLog) => {
            error!(
                "The audit log has records of recordings, and ledger and vault are empty: check LEDGER_URL and VAULT_URL"
            );
        }
        StorageUse::CopiesMissing { missing, looked_at } => {
            error!("Of {looked_at} copies looked for, the vault lacks {missing}: check VAULT_URL");
        }
        StorageUse::VaultUnreadable { reason, .. } => {
            error!("The vault cannot be read: {reason}");
        }
        // The verdict names it.
        StorageUse::Unused | StorageUse::Used | StorageUse::LogNotRead => {}
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

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::standing::verdict::{Facts, verdict};

    fn of(recordings: &[(Standing, usize)], is_capped: bool) -> Verdict {
        verdict(Facts {
            as_of: Timestamp::UNIX_EPOCH,
            recordings: recordings.iter().copied().collect(),
            is_capped,
            first_deadline: None,
            unreadable_chunks: Vec::new(),
            unwritten_chunks: 0,
            poison: 0,
            kept_events: 0,
            unknown_starts: Vec::new(),
            has_more_starts: false,
            last_sweep: None,
            timer: None,
            sweep_late_after: SignedDuration::from_mins(10),
            audit_uncovered: None,
            check: None,
            storage: StorageUse::Used,
        })
    }

    #[test]
    fn no_0_is_made_up_for_what_was_not_read() {
        let lost = [(Standing::Lost, 2)];
        let all = known_counts(&of(&lost, false), false);
        assert!(all.contains(&(["lost"], 2)) && all.contains(&(["failed"], 0)));
        assert!(!all.iter().any(|([name], _)| *name == "verified"));
        assert_eq!(known_counts(&of(&lost, true), true), [(["lost"], 2)]);
    }
}
