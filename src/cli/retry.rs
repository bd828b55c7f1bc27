//! `recording-vault retry`: reopens failed chunks.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ledger::{LedgerError, Retried};
use recording_vault::recording::DocumentId;
use serde::Serialize;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{Output, write_groups};
use super::shell_user;
use super::unreadable;

/// The arguments of `retry`.
#[derive(Args)]
pub struct Retry {
    /// Chunks to retry. Default: all that were given up and may still be at ACS
    #[arg(value_parser = argument::chunk)]
    documents: Vec<DocumentId>,
}

/// The outcome for each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RetryReport {
    /// They are open: the next sweep processes them.
    opened: Vec<DocumentId>,
    /// They are in the vault and proved, or whole in the customer's own storage.
    safe: Vec<DocumentId>,
    /// They are in the vault and proved, and in doubt: they are not exported again.
    doubtful: Vec<DocumentId>,
    /// Their copies are not whole, and a retry cannot help.
    not_whole: Vec<DocumentId>,
    /// They were deleted from the vault.
    removed: Vec<DocumentId>,
    /// An import of them was begun and not finished.
    unfinished_imports: Vec<DocumentId>,
    unknown: Vec<DocumentId>,
    /// Their entries are not readable: whether they were given up is unknown.
    unreadable: Vec<DocumentId>,
}

impl Retry {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let report = retry(&existing::open(config).await?, self.documents).await?;
        output.report(&report)?;
        let without_help = [
            &report.unknown,
            &report.unfinished_imports,
            &report.not_whole,
            &report.doubtful,
        ];
        let exit = Exit::fine_if(without_help.iter().all(|list| list.is_empty()));
        Ok(unreadable::exit(exit, &report.unreadable))
    }
}

async fn retry(app: &App, named: Vec<DocumentId>) -> Result<RetryReport, LedgerError> {
    let ledger = &app.ledger;
    let mut report = RetryReport::default();
    let ids = if named.is_empty() {
        let now = app.clock.now();
        let given_up = ledger.entries(|entry| entry.is_worth_a_retry(now)).await?;
        report.unreadable = given_up.unreadable;
        given_up
            .found
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
            Retried::Doubtful => &mut report.doubtful,
            Retried::NotWhole => &mut report.not_whole,
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
        let groups: [(&[_], _); 7] = [
            (&self.opened, "is open; the next sweep processes it"),
            (
                &self.safe,
                "is proved in the vault, or whole in your own storage; it needs no retry",
            ),
            (
                &self.doubtful,
                "has a proved copy in doubt, and is not exported again: look at the copy, then run `recording-vault accept`; `show` says why",
            ),
            (
                &self.not_whole,
                "has a proved copy that is not whole, and a retry cannot help; `show` says why",
            ),
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
            "No chunk can be retried."
        } else {
            "No chunk of a readable entry can be retried."
        };
        write_groups(f, &groups, of_none)?;
        if self.unreadable.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        unreadable::write(f, &self.unreadable)
    }
}
