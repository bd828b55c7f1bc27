//! `recording-vault retry`: reopens failed chunks.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ChunkState;
use recording_vault::export::ledger::{LedgerError, Retried};
use recording_vault::recording::DocumentId;
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::{Output, write_groups};
use super::shell_user;
use super::unreadable;

/// The arguments of `retry`.
#[derive(Args)]
pub struct Retry {
    /// Chunks to retry; all that are dead-lettered, if none is named
    documents: Vec<DocumentId>,
}

/// The outcome for each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RetryReport {
    /// They are open: the next sweep processes them.
    opened: Vec<DocumentId>,
    /// They are in the vault and proved.
    safe: Vec<DocumentId>,
    /// They were deleted from the vault.
    removed: Vec<DocumentId>,
    /// An import of them was begun and not finished.
    unfinished_imports: Vec<DocumentId>,
    unknown: Vec<DocumentId>,
    /// Their entries are not readable: whether they are dead-lettered is unknown.
    unreadable: Vec<DocumentId>,
}

impl Retry {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let report = retry(&existing::open(config).await?, self.documents).await?;
        output.report(&report)?;
        let exit = Exit::fine_if(report.unknown.is_empty() && report.unfinished_imports.is_empty());
        Ok(unreadable::exit(exit, &report.unreadable))
    }
}

async fn retry(app: &App, named: Vec<DocumentId>) -> Result<RetryReport, LedgerError> {
    let ledger = &app.ledger;
    let mut report = RetryReport::default();
    let ids = if named.is_empty() {
        let dead = ledger
            .entries(|entry| matches!(entry.state, ChunkState::DeadLettered { .. }))
            .await?;
        report.unreadable = dead.unreadable;
        dead.found
            .into_iter()
            .map(|entry| entry.chunk.document_id)
            .collect()
    } else {
        named
    };
    for id in ids {
        let list = match app.actions.retry(&id, &shell_user::operator()).await? {
            Retried::Opened | Retried::AlreadyOpen => &mut report.opened,
            Retried::Safe => &mut report.safe,
            Retried::Removed => &mut report.removed,
            Retried::UnfinishedImport => &mut report.unfinished_imports,
            Retried::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

impl fmt::Display for RetryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 5] = [
            (&self.opened, "is open; the next sweep processes it"),
            (&self.safe, "is in the vault and proved; it needs no retry"),
            (
                &self.removed,
                "was deleted from the vault by policy or on request; it is not exported again",
            ),
            (
                &self.unfinished_imports,
                "was to be imported, and the import did not finish; repeat `recording-vault import`",
            ),
            (&self.unknown, "is not in the ledger"),
        ];
        let of_none = if self.unreadable.is_empty() {
            "No chunk is dead-lettered."
        } else {
            "No chunk of a readable entry is dead-lettered."
        };
        write_groups(f, &groups, of_none)?;
        if self.unreadable.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        unreadable::write(f, &self.unreadable)
    }
}
