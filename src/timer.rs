//! What the timer does: sweep open chunks, look after running recordings and bots' commands, report what is missing, and
//! make the report of yesterday.
//!
//! It knows no HTTP. The content of the timer's message does not matter: the ledger knows what is due.

pub mod overdue;
mod standing_report;

use std::time::{Duration, Instant};

use crate::app::App;
use crate::catalogue::check::{CheckStart, SliceOutcome};
use crate::catalogue::nightly_report::REPORTS_BUDGET;
use crate::control::sweep::RecordingsReport;
use crate::counted::counted;
use crate::error_chain::ErrorChain;
use crate::export::ledger::{LastSweep, LedgerError, TimerSweep};
use crate::export::sweep::LOSSES_BUDGET;
use crate::export::{Budget, SweepReport};
use crate::metrics;
use crate::standing::verdict::line::VerdictLine;
use crate::store::audit::{AuditLog, CheckpointRef, Checkpointed, SweptLog, UnreadLog};
use crate::store::{DocumentError, StoreError};
use crate::timestamps::{self, StampError, TimestampAuthority};
use standing_report::{Activity, SweepOutcome};

/// A slice of the complete check takes at most this long.
const CHECK_BUDGET: Duration = Duration::from_secs(20);
/// A bot that does not respond must not delay the end of a sweep.
const BOTS_BUDGET: Duration = Duration::from_secs(30);
/// Nor must a receiver of notifications.
const NOTIFICATIONS_BUDGET: Duration = Duration::from_secs(30);
/// What has no budget of its own: a piece that was under way when a budget ended, the checkpoint of the audit log, the verdict.
const UNBUDGETED: Duration = Duration::from_mins(1);
/// How long a sweep may take after `SWEEP_BUDGET`: the sum of the budgets of the jobs that follow one another then.
pub const AFTER_BUDGET: Duration = LOSSES_BUDGET
    .saturating_add(REPORTS_BUDGET)
    .saturating_add(NOTIFICATIONS_BUDGET)
    .saturating_add(timestamps::TIMEOUT)
    .saturating_add(CHECK_BUDGET)
    .saturating_add(UNBUDGETED);

/// What runs a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepTrigger {
    Timer,
    /// A request, because no sweep ended in time.
    Request,
}

/// What one sweep did.
#[derive(Debug)]
pub struct TimerReport {
    pub chunks: Result<SweepReport, LedgerError>,
    pub recordings: Result<RecordingsReport, DocumentError>,
    /// How many recordings are newly missing.
    pub missing: Result<u64, DocumentError>,
    /// The verdict, unless nothing happened since a recent one.
    pub verdict: Option<VerdictLine>,
}

/// What a sweep looked at.
struct SweepFindings {
    chunks: Result<SweepReport, LedgerError>,
    recordings: Result<RecordingsReport, DocumentError>,
    missing: Result<u64, DocumentError>,
}

impl SweepFindings {
    /// Whether it could look at everything. If not, it is no sweep: the next one is then overdue, and the invocation fails.
    fn is_complete(&self) -> bool {
        self.chunks.is_ok() && self.recordings.is_ok() && self.missing.is_ok()
    }
}

impl TimerReport {
    /// Returns what the sweep could not look at; `None`: it could look at everything.
    pub fn failure(&self) -> Option<String> {
        let chunks = self.chunks.as_ref().err();
        let chunks = chunks
            .map(|error| format!("the sweep could not read the ledger: {}", ErrorChain(error)));
        let recordings = self.recordings.as_ref().err().map(|error| {
            let error = ErrorChain(error);
            format!("the sweep could not read the register: {error}")
        });
        let missing = self.missing.as_ref().err().map(|error| {
            let error = ErrorChain(error);
            format!("the sweep could not look for missing recordings: {error}")
        });
        let failures: Vec<String> = [chunks, recordings, missing]
            .into_iter()
            .flatten()
            .collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

/// Why today's stamp of the audit log is missing.
#[derive(Debug, thiserror::Error)]
enum StampingError {
    #[error(transparent)]
    Ledger(#[from] StoreError),
    #[error(transparent)]
    Authority(#[from] StampError),
}

/// What the newest checkpoint of the audit log covers.
struct AuditCoverage {
    newest: Option<CheckpointRef>,
    /// Why it does not cover all records; `None`: it does.
    uncovered: Option<String>,
}

/// Runs every job until nothing is due or `SWEEP_BUDGET` is spent. A job that fails does not stop the others.
pub async fn run(app: &App, trigger: SweepTrigger) -> TimerReport {
    let began = Instant::now();
    let budget = Budget::of(app.sweep_budget);
    let (chunks, recordings, missing, (), ()) = futures::join!(
        app.sweep.run_patiently(budget),
        app.control.sweep(budget),
        app.control.report_missing(budget),
        sweep_bots(app),
        sweep_events(app, budget)
    );
    let looked = SweepFindings {
        chunks,
        recordings,
        missing,
    };
    report_looked(&looked, app, began);
    if let Err(error) = app.catalogue.report_daily().await {
        tracing::error!(error = %ErrorChain(&error), "Not all reports of days that are due could be made");
    }
    send_notifications(app).await;
    stamp_audit_log(app).await;
    let checkpoint = checkpoint_audit_log(app).await;
    if looked.is_complete() {
        note_sweep(app, began, trigger, checkpoint).await;
    }
    let checked = check(app).await;
    let sweep = SweepOutcome {
        activity: Activity::of(&looked, checked),
        is_complete: looked.is_complete(),
        trigger,
    };
    let verdict = standing_report::report(app, sweep).await;
    let SweepFindings {
        chunks,
        recordings,
        missing,
    } = looked;
    TimerReport {
        chunks,
        recordings,
        missing,
        verdict,
    }
}

/// Logs and measures what the sweep looked at. What it could not look at has no numbers.
fn report_looked(looked: &SweepFindings, app: &App, began: Instant) {
    match &looked.chunks {
        Ok(report) => {
            measure(report, began);
            log(report);
        }
        Err(error) => {
            forget_chunks();
            tracing::error!(error = %ErrorChain(error), "The sweep could not read the ledger");
        }
    }
    match &looked.recordings {
        Ok(report) => metrics::RECORDINGS_RUNNING.set_count(report.running, &[]),
        Err(error) => {
            metrics::RECORDINGS_RUNNING.clear();
            tracing::error!(error = %ErrorChain(error), "The sweep could not read the register");
        }
    }
    if let Err(error) = &looked.missing {
        tracing::error!(error = %ErrorChain(error), "The sweep could not look for missing recordings");
    }
    if looked.is_complete() {
        metrics::SWEEP_FINISHED.set(app.clock.now().as_duration().as_secs_f64(), &[]);
    }
}

/// A slice of the complete check; it ends before the next sweep begins. `None`: it failed.
async fn check(app: &App) -> Option<SliceOutcome> {
    let budget = Budget::of(app.sweep_budget.min(CHECK_BUDGET));
    match app.catalogue.check(CheckStart::WhenDue, budget).await {
        Ok(outcome) => {
            if outcome == SliceOutcome::Finished {
                tracing::info!("Finished the complete check");
            }
            Some(outcome)
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "Could not continue the complete check; the next sweep does");
            None
        }
    }
}

impl Activity {
    /// Whether a sweep found nothing at all.
    fn of(looked: &SweepFindings, checked: Option<SliceOutcome>) -> Self {
        let is_idle = matches!(&looked.chunks, Ok(report) if report.seen == 0 && !report.is_eventful())
            && matches!(&looked.recordings, Ok(report) if *report == RecordingsReport::default())
            && matches!(looked.missing, Ok(0))
            && checked == Some(SliceOutcome::NotDue);
        if is_idle { Self::Idle } else { Self::Busy }
    }
}

/// Continues events that one delivery could not take.
async fn sweep_events(app: &App, budget: Budget) {
    if let Err(error) = app.intake.continue_events(budget).await {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not look for kept events");
    }
    if let Err(error) = app.intake.housekeep(app.poison_retention).await {
        tracing::warn!(error = %ErrorChain(&error), "The sweep could not remove old poison");
    }
}

/// Logs one line if something happened. An idle app logs nothing: `last-sweep.json` and the host's list of invocations
/// show that sweeps run.
fn log(report: &SweepReport) {
    if !report.is_eventful() {
        tracing::debug!(seen = report.seen, "A sweep had nothing to do");
        return;
    }
    let chunks = counted(report.seen, "open chunk", "open chunks");
    tracing::info!(
        seen = report.seen,
        exported = report.exported,
        deleted = report.deleted,
        failed = report.failed,
        at_risk_50 = report.at_risk_50,
        at_risk_75 = report.at_risk_75,
        at_risk_90 = report.at_risk_90,
        "Swept {chunks}"
    );
}

async fn sweep_bots(app: &App) {
    let Some(door) = &app.telephony else { return };
    let budget = Budget::of(app.sweep_budget.min(BOTS_BUDGET));
    if let Err(error) = door.telephony.sweep(budget).await {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not continue the commands of bots");
    }
}

/// Sends notifications that were not sent right after the events.
async fn send_notifications(app: &App) {
    let Some(notifier) = &app.notifier else {
        return;
    };
    let budget = Budget::of(app.sweep_budget.min(NOTIFICATIONS_BUDGET));
    if let Err(error) = notifier.send(budget).await {
        tracing::error!(error = %ErrorChain(&error), "The sweep could not send notifications");
    }
}

/// Has the newest checkpoint of the audit log stamped, once a day and before the day's first: so it is the last of the day before.
async fn stamp_audit_log(app: &App) {
    let Some(authority) = &app.timestamps else {
        return;
    };
    match stamp_newest(app.ledger.audit(), authority).await {
        Ok(None) => {}
        Ok(Some(newest)) => {
            tracing::info!(
                checkpoint.number = newest.number,
                "Checkpoint {newest} of the audit log was stamped"
            );
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "Could not get a timestamp for the audit log");
        }
    }
}

/// Returns what was stamped now.
async fn stamp_newest(
    log: &AuditLog,
    authority: &TimestampAuthority,
) -> Result<Option<CheckpointRef>, StampingError> {
    let Some(unstamped) = log.unstamped().await? else {
        return Ok(None);
    };
    let newest = unstamped.checkpoint;
    let token = authority.stamp(newest.sha256).await?;
    log.keep_stamp(unstamped, token).await?;
    Ok(Some(newest))
}

/// Writes a checkpoint of the audit log if something is new in it.
async fn checkpoint_audit_log(app: &App) -> AuditCoverage {
    let audit = app.ledger.audit();
    let last = app.ledger.last_sweep().await;
    let named = last.map(|last| last.and_then(|last| last.audit_checkpoint));
    let kept = named.as_ref().ok().copied().flatten();
    let swept = match named {
        Ok(named) => audit.sweep_logs(named).await,
        Err(error) => Err(error),
    };
    let coverage = match swept {
        Ok(swept) => {
            if let Checkpointed::Written(newest) = swept.checkpointed {
                tracing::info!(
                    checkpoint.number = newest.number,
                    checkpoint.sha256 = %newest.sha256,
                    "Wrote checkpoint {newest} of the audit log"
                );
            }
            AuditCoverage {
                newest: swept.checkpointed.newest(),
                uncovered: uncovered(app, &swept).await,
            }
        }
        Err(error) => {
            tracing::error!(error = %ErrorChain(&error), "Could not write a checkpoint of the audit log");
            AuditCoverage {
                // What the last sweep names may be missing, which the next sweep can only find by it.
                newest: match kept {
                    Some(kept) => Some(kept),
                    None => audit.anchor().await,
                },
                uncovered: Some(format!(
                    "no checkpoint could be written: {}",
                    ErrorChain(&error)
                )),
            }
        }
    };
    let uncovered = u64::from(coverage.uncovered.is_some());
    metrics::AUDIT_UNCOVERED.set_count(uncovered, &[]);
    coverage
}

/// Returns why the newest checkpoint does not cover all records, if it does not, and reports it.
async fn uncovered(app: &App, swept: &SweptLog) -> Option<String> {
    let unread = unread_logs(&swept.unread);
    if let Some(lost) = &swept.lost {
        tracing::error!(checkpoint.number = lost.checkpoint.number, reason = %lost, "A checkpoint of the audit log is missing");
        return Some(lost.to_string());
    }
    if unread.is_some() || swept.checkpointed.newest().is_some() {
        return unread;
    }
    match app.ledger.is_without_entries().await {
        Ok(true) => None,
        Ok(false) => {
            tracing::error!("There is no audit log beside the entries of the ledger");
            Some("there is no audit log beside the entries of the ledger".to_owned())
        }
        Err(error) => Some(format!(
            "whether there are entries without an audit log: {}",
            ErrorChain(&error)
        )),
    }
}

/// Reports logs that the checkpoint does not cover, because they cannot be read.
fn unread_logs(unread: &[UnreadLog]) -> Option<String> {
    for UnreadLog { log, reason } in unread {
        tracing::error!(%log, reason, "The checkpoint does not cover the newest records of an audit log that cannot be read");
    }
    let UnreadLog { log, reason } = unread.first()?;
    let others = match unread.len() - 1 {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    Some(format!("log {log} cannot be read{others}: {reason}"))
}

/// Stores when the sweep ended and whether the timer triggered it, for checks of whether it runs.
async fn note_sweep(app: &App, began: Instant, trigger: SweepTrigger, audit: AuditCoverage) {
    let at = app.clock.now();
    let sweep = LastSweep {
        at,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        timer: match trigger {
            SweepTrigger::Timer => TimerSweep::EndedAt(at),
            SweepTrigger::Request => TimerSweep::Unseen,
        },
        audit_checkpoint: audit.newest,
        audit_uncovered: audit.uncovered,
        audit_stamp: app.ledger.audit().newest_stamp(),
    };
    if let Err(error) = app.ledger.note_sweep(sweep).await {
        tracing::debug!(error = %ErrorChain(&error), "Could not write down when the sweep ended");
    }
}

/// Removes the numbers of an earlier sweep.
fn forget_chunks() {
    for gauge in [
        &metrics::SWEEP_SEEN,
        &metrics::SWEEP_DUE,
        &metrics::SWEEP_DEFERRED,
        &metrics::SWEEP_FAILED,
        &metrics::CHUNKS_AT_RISK,
    ] {
        gauge.clear();
    }
}

fn measure(report: &SweepReport, began: Instant) {
    metrics::SWEEP_DURATION.record(began.elapsed().as_secs_f64(), &[]);
    metrics::SWEEP_SEEN.set_count(report.seen, &[]);
    metrics::SWEEP_DUE.set_count(report.seen.saturating_sub(report.waiting), &[]);
    metrics::SWEEP_DEFERRED.set_count(report.unfinished, &[]);
    metrics::SWEEP_FAILED.set_count(report.failed, &[]);
    for (percent_elapsed, count) in [
        ("50", report.at_risk_50),
        ("75", report.at_risk_75),
        ("90", report.at_risk_90),
    ] {
        metrics::CHUNKS_AT_RISK.set_count(count, &[percent_elapsed]);
    }
    if report.out_of_budget {
        metrics::SWEEPS_CUT_SHORT.increment(&[]);
    }
}
