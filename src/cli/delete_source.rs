//! `recording-vault delete-source`: deletes due sources at ACS, as a sweep does, and reports why others stay.

use std::fmt;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::driver::Preview;
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::{
    Budget, ChunkState, DriveOutcome, LedgerEntry, SourceEnd, StateKind,
};
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::AuditAction;
use recording_vault::visible;
use serde::Serialize;
use serde_json::json;

use super::deletion::{DeletionArgs, DeletionMode, is_confirmed};
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};
use super::progress;
use super::shell_user;
use super::table::Table;
use super::unreadable;

/// Chunks that are read, or driven, at once.
const AT_ONCE: usize = 8;

/// The arguments of `delete-source`.
#[derive(Args)]
pub struct DeleteSource {
    #[command(flatten)]
    deletion: DeletionArgs,
}

/// Whether anything is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    DryRun,
    Delete,
}

impl DeleteSource {
    /// # Errors
    /// When the ledger cannot be listed, or, before anything is deleted, the audit log cannot be written.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let budget = config.limits.sweep_budget;
        let app = existing::open(config).await?;
        let mode = match self.deletion.mode() {
            DeletionMode::DryRun => Mode::DryRun,
            DeletionMode::Delete => Mode::Delete,
            DeletionMode::Ask => {
                let preview = delete_sources(&app, Mode::DryRun, budget).await?;
                let about_to = format!("{preview}\nThese sources are deleted at ACS.");
                if !preview.would_delete.is_empty() && !is_confirmed(&about_to, "delete")? {
                    return Ok(output.decline(NoReport::NotConfirmed, "nothing was deleted")?);
                }
                Mode::Delete
            }
        };
        let report = delete_sources(&app, mode, budget).await?;
        output.report(&report)?;
        let exit = Exit::fine_if(report.failed.is_empty());
        Ok(unreadable::exit(exit, &report.unreadable))
    }
}

/// Outcome, or expected outcome, for the sources that ACS may still have.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletionReport {
    /// Nothing was deleted: these are the ones that would have been.
    pub would_delete: Vec<DocumentId>,
    pub deleted: Vec<DocumentId>,
    /// They were due, and are not deleted.
    pub failed: Vec<KeptSource>,
    /// They were not due.
    pub kept: Vec<KeptSource>,
    /// Their entries are not readable: whether ACS has their sources is unknown.
    pub unreadable: Vec<DocumentId>,
}

/// What is past the retention was not looked for: ACS may keep files longer.
const NONE_KNOWN: &str = "No chunk in the ledger is known to have a source at ACS. Sources that are older than SOURCE_RETENTION were not looked for.";

/// A source that stays.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptSource {
    pub document_id: DocumentId,
    pub state: StateKind,
    pub why: String,
}

impl fmt::Display for DeletionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            would_delete,
            deleted,
            failed,
            kept,
            unreadable,
        } = self;
        if would_delete.is_empty() && deleted.is_empty() && failed.is_empty() && kept.is_empty() {
            if unreadable.is_empty() {
                return f.write_str(NONE_KNOWN);
            }
            return unreadable::write(f, unreadable);
        }
        let mut table = Table::new(&["chunk", "at ACS"]);
        for id in would_delete {
            table.row([id.as_str(), "would be deleted"]);
        }
        for id in deleted {
            table.row([id.as_str(), "is deleted"]);
        }
        for source in failed {
            table
                .row([source.document_id.as_str(), "FAILED"])
                .note(source.why.as_str());
        }
        for source in kept {
            table
                .row([source.document_id.as_str(), "stays"])
                .note(source.why.as_str());
        }
        let due = if deleted.is_empty() && failed.is_empty() {
            format!("{} would be deleted", would_delete.len())
        } else {
            format!("{} deleted, {} failed", deleted.len(), failed.len())
        };
        table.fmt(f)?;
        visible::write_line(f, format_args!("{due}, {} stay", kept.len()))?;
        if unreadable.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        unreadable::write(f, unreadable)
    }
}

/// Reads every chunk that ACS may still have, and drives the due ones unless it is a dry run.
async fn delete_sources(
    app: &App,
    mode: Mode,
    budget: Duration,
) -> Result<DeletionReport, LedgerError> {
    let (mut report, mut due) = (DeletionReport::default(), Vec::new());
    let now = app.clock.now();
    let entries = app.ledger.entries(|entry| may_be_at_acs(entry, now));
    let entries = entries.await?;
    report.unreadable = entries.unreadable;
    for (entry, preview) in previews(app, entries.found).await? {
        let (state, document_id) = (entry.state.kind(), entry.chunk.document_id);
        match preview {
            Preview::Deletes => due.push(document_id),
            Preview::Keeps { why } => report.kept.push(KeptSource {
                document_id,
                state,
                why: why.to_string(),
            }),
        }
    }
    if mode == Mode::DryRun || due.is_empty() {
        report.would_delete = due;
        return Ok(report);
    }
    let driver = &app.driver;
    let detail = json!({"chunks": due.len()});
    driver
        .ledger()
        .audit_operator(
            AuditAction::DeletesSources,
            "due",
            &shell_user::operator(),
            detail,
        )
        .await?;
    let bar = progress::bar(due.len(), "sources deleted");
    let budget = Budget::of(budget);
    let deletions = futures::stream::iter(due).map(|id| async move {
        let outcome = driver.drive(&id, budget).await;
        (id, outcome)
    });
    let mut deletions = deletions.buffered(AT_ONCE).inspect(|_| bar.inc(1));
    while let Some((document_id, outcome)) = deletions.next().await {
        match failure(outcome) {
            None => report.deleted.push(document_id),
            Some((state, why)) => report.failed.push(KeptSource {
                document_id,
                state,
                why,
            }),
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Previews the deletion of each of these chunks, which ACS may still have.
async fn previews(
    app: &App,
    entries: Vec<LedgerEntry>,
) -> Result<Vec<(LedgerEntry, Preview)>, LedgerError> {
    let driver = &app.driver;
    let bar = progress::bar(entries.len(), "chunks looked at");
    let looking = futures::stream::iter(entries).map(|entry| async move {
        let preview = driver.preview(&entry).await?;
        Ok::<_, LedgerError>((entry, preview))
    });
    let previews = looking
        .buffered(AT_ONCE)
        .inspect(|_| bar.inc(1))
        .try_collect()
        .await?;
    bar.finish_and_clear();
    Ok(previews)
}

/// The state of a chunk whose source was not deleted, and why; `None` if it was.
fn failure(outcome: Result<DriveOutcome, LedgerError>) -> Option<(StateKind, String)> {
    match outcome {
        Ok(DriveOutcome::Settled {
            state: ChunkState::SourceDeleted { .. },
            ..
        }) => None,
        Ok(DriveOutcome::Settled { state, .. }) => {
            let why = if let ChunkState::SourceLeft { reason, .. } = &state {
                reason.clone()
            } else {
                format!("it is {}", state.kind())
            };
            Some((state.kind(), why))
        }
        Ok(outcome) => Some((StateKind::Exported, undone(&outcome))),
        Err(error) => Some((StateKind::Exported, ErrorChain(&error).to_string())),
    }
}

/// Whether a chunk is listed: its source is neither deleted nor certainly expired.
fn may_be_at_acs(entry: &LedgerEntry, now: Timestamp) -> bool {
    match &entry.state {
        ChunkState::Pending | ChunkState::Exported { .. } => true,
        ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::DeadLettered { .. } => !entry.is_surely_gone(now),
        ChunkState::Removing { source, .. } => source.may_be_at_acs() && !entry.is_surely_gone(now),
        ChunkState::Removed { source, .. } => {
            let may_be = source.as_ref().is_none_or(SourceEnd::may_be_at_acs);
            may_be && !entry.is_surely_gone(now)
        }
        ChunkState::SourceDeleted { .. } | ChunkState::Expired { .. } => false,
    }
}

fn undone(outcome: &DriveOutcome) -> String {
    match outcome {
        DriveOutcome::Failed { reason, until } => {
            format!("{reason}; the next attempt is due at {until:.0}")
        }
        DriveOutcome::Waiting { until } => format!("it waits until {until:.0}"),
        DriveOutcome::Busy | DriveOutcome::ClaimLost => "another process works on it".to_owned(),
        DriveOutcome::OutOfBudget => "there was no time left; repeat the command".to_owned(),
        DriveOutcome::Unknown => "it is not in the ledger any more".to_owned(),
        DriveOutcome::Exported { .. } | DriveOutcome::Settled { .. } => {
            "its deletion is not due any more".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recording_vault::recording::RecordingChunk;

    #[test]
    fn a_removed_copy_says_whether_acs_may_have_its_source() {
        let recorded_at: Timestamp = "2026-03-02T10:00:00Z".parse().expect("it is a time");
        let may_be = |source: Option<SourceEnd>, after: Duration| {
            let (id, recording) = ("a".parse(), "r".parse());
            let chunk = RecordingChunk::unannounced(
                id.expect("it is a document"),
                0,
                recording.expect("it is a recording"),
            );
            let mut entry = LedgerEntry::new(chunk, recorded_at, Duration::from_hours(24));
            entry.state = ChunkState::Removed {
                receipt: None,
                source,
                removed_at: recorded_at,
                reason: "asked".to_owned(),
            };
            let now = recorded_at.checked_add(after).expect("it is a time");
            may_be_at_acs(&entry, now)
        };
        let soon = Duration::from_hours(1);
        let reason = "no location".to_owned();
        assert!(may_be(None, soon), "it is unknown");
        assert!(may_be(Some(SourceEnd::Open), soon));
        let left = || SourceEnd::Left {
            reason: reason.clone(),
        };
        assert!(may_be(Some(left()), soon));
        assert!(!may_be(Some(left()), Duration::from_hours(24)));
        let deleted_at = recorded_at;
        assert!(!may_be(Some(SourceEnd::Deleted { deleted_at }), soon));
    }
}
