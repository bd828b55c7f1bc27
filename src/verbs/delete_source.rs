//! `recording-vault delete-source`: what may be deleted at ACS now, and why the rest may not. Deletes by driving, as a sweep does.

use std::fmt;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::json;

use super::progress;
use super::table::Table;
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::driver::Preview;
use crate::export::ledger::LedgerError;
use crate::export::{Budget, ChunkState, DriveOutcome, LedgerEntry};
use crate::recording::DocumentId;

/// Chunks that are looked at, or driven, together.
const AT_ONCE: usize = 8;

/// Whether anything is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    DryRun,
    Delete,
}

/// What became, or would become, of what ACS may still have.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionReport {
    /// Nothing was deleted: these are the ones that would have been.
    pub would_delete: Vec<DocumentId>,
    pub deleted: Vec<DocumentId>,
    /// They were due, and are not deleted.
    pub failed: Vec<KeptSource>,
    /// They were not due.
    pub kept: Vec<KeptSource>,
}

/// A source that stays.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptSource {
    pub document_id: DocumentId,
    pub state: &'static str,
    pub why: String,
}

impl fmt::Display for DeletionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            would_delete,
            deleted,
            failed,
            kept,
        } = self;
        if would_delete.is_empty() && deleted.is_empty() && failed.is_empty() && kept.is_empty() {
            return f.write_str("There is nothing that ACS may still have.");
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
        write!(f, "{table}\n{due}, {} stay", kept.len())
    }
}

/// Looks at everything that ACS may still have, and, unless it is a dry run, drives what is due.
///
/// # Errors
/// When the ledger cannot be listed, or, before anything is deleted, the audit log not be written.
pub async fn run(app: &App, mode: Mode, budget: Duration) -> Result<DeletionReport, LedgerError> {
    let (driver, now) = (&app.driver, app.clock.now());
    let entries = driver
        .ledger()
        .entries(|entry| may_be_at_acs(entry, entry.is_surely_gone(now)))
        .await?;
    let bar = progress::bar(entries.len(), "chunks looked at");
    let outlooks = futures::stream::iter(entries).map(|entry| async move {
        let outlook = driver.preview(&entry).await?;
        Ok::<_, LedgerError>((entry, outlook))
    });
    let outlooks: Vec<(LedgerEntry, Preview)> = outlooks
        .buffered(AT_ONCE)
        .inspect(|_| bar.inc(1))
        .try_collect()
        .await?;
    bar.finish_and_clear();
    let (mut report, mut due) = (DeletionReport::default(), Vec::new());
    for (entry, outlook) in outlooks {
        let (state, document_id) = (entry.state.name(), entry.chunk.document_id);
        match outlook {
            Preview::Deletes => due.push(document_id),
            Preview::Keeps { why } => report.kept.push(KeptSource {
                document_id,
                state,
                why,
            }),
        }
    }
    if mode == Mode::DryRun || due.is_empty() {
        report.would_delete = due;
        return Ok(report);
    }
    driver
        .ledger()
        .audit_operator("deletesSources", "due", json!({"chunks": due.len()}))
        .await?;
    let bar = progress::bar(due.len(), "sources deleted");
    let budget = Budget::of(budget);
    let deletions = futures::stream::iter(due).map(|id| async move {
        let outcome = driver.drive(&id, budget).await;
        (id, outcome)
    });
    let mut deletions = deletions.buffered(AT_ONCE).inspect(|_| bar.inc(1));
    while let Some((document_id, outcome)) = deletions.next().await {
        let failed = |state, why| KeptSource {
            document_id: document_id.clone(),
            state,
            why,
        };
        match outcome {
            Ok(DriveOutcome::Settled {
                state: ChunkState::SourceDeleted { .. },
                ..
            }) => report.deleted.push(document_id),
            Ok(DriveOutcome::Settled { state, .. }) => {
                let left = if let ChunkState::SourceLeft { reason, .. } = &state {
                    Some(reason.clone())
                } else {
                    None
                };
                let why = left.unwrap_or_else(|| format!("it is {}", state.name()));
                report.failed.push(failed(state.name(), why));
            }
            Ok(outcome) => report.failed.push(failed("exported", undone(&outcome))),
            Err(error) => report
                .failed
                .push(failed("exported", ErrorChain(&error).to_string())),
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

/// What is deleted at ACS, or gone there by itself, is not worth a line.
fn may_be_at_acs(entry: &LedgerEntry, is_surely_gone: bool) -> bool {
    match &entry.state {
        ChunkState::Pending | ChunkState::Exported { .. } => true,
        ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::DeadLettered { .. } => !is_surely_gone,
        ChunkState::SourceDeleted { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::Expired { .. } => false,
    }
}

fn undone(outcome: &DriveOutcome) -> String {
    match outcome {
        DriveOutcome::Failed { reason, until } => {
            format!("{reason}; the next attempt is due at {until:.0}")
        }
        DriveOutcome::Waiting { until } => format!("it waits until {until:.0}"),
        DriveOutcome::Busy | DriveOutcome::ClaimLost => "somebody else is at work on it".to_owned(),
        DriveOutcome::OutOfBudget => "there was no time left; do it again".to_owned(),
        DriveOutcome::Unknown => "it is not in the ledger any more".to_owned(),
        DriveOutcome::Exported { .. } | DriveOutcome::Settled { .. } => {
            "its deletion is not due any more".to_owned()
        }
    }
}
