//! `recording-vault retry` and `accept`: opens chunks again that were given up; lets doubtful ones go.

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::export::ChunkState;
use crate::export::ledger::{Accepted, LedgerError, Retried};
use crate::recording::DocumentId;

/// What became of each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryReport {
    /// The next sweep drives them.
    pub opened: Vec<DocumentId>,
    /// They are in the vault and proved.
    pub safe: Vec<DocumentId>,
    /// They were deleted from the vault by policy.
    pub removed: Vec<DocumentId>,
    pub unknown: Vec<DocumentId>,
}

impl fmt::Display for RetryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 4] = [
            (&self.opened, "is opened again; the next sweep exports it"),
            (
                &self.safe,
                "is in the vault and proved; there is nothing to try",
            ),
            (
                &self.removed,
                "was deleted from the vault by policy, and stays so",
            ),
            (&self.unknown, "is not in the ledger"),
        ];
        super::write_lines(f, &groups, "There is nothing to retry.")
    }
}

/// What became of each doubtful chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptReport {
    /// The next sweep deletes their sources.
    pub accepted: Vec<DocumentId>,
    /// Nothing about them is doubtful, or they were accepted before.
    pub nothing: Vec<DocumentId>,
    pub unknown: Vec<DocumentId>,
}

impl fmt::Display for AcceptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 3] = [
            (&self.accepted, "is accepted; it may be deleted at ACS now"),
            (&self.nothing, "is not waiting to be accepted"),
            (&self.unknown, "is not in the ledger"),
        ];
        super::write_lines(f, &groups, "There is nothing to accept.")
    }
}

/// Lets the sources of these chunks be deleted, although their media is doubtful.
///
/// # Errors
/// When the ledger fails.
pub async fn accept(app: &App, documents: Vec<DocumentId>) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let list = match app.ledger.accept(&id).await? {
            Accepted::Accepted => &mut report.accepted,
            Accepted::Nothing => &mut report.nothing,
            Accepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

/// Opens these chunks, or, if none is named, all that are dead-lettered.
///
/// # Errors
/// When the ledger fails.
pub async fn run(app: &App, named: Vec<DocumentId>) -> Result<RetryReport, LedgerError> {
    let ledger = &app.ledger;
    let ids = if named.is_empty() {
        let dead = ledger
            .entries(|entry| matches!(entry.state, ChunkState::DeadLettered { .. }))
            .await?;
        dead.into_iter()
            .map(|entry| entry.chunk.document_id)
            .collect()
    } else {
        named
    };
    let mut report = RetryReport::default();
    for id in ids {
        let list = match ledger.retry(&id).await? {
            Retried::Opened => &mut report.opened,
            Retried::Safe => &mut report.safe,
            Retried::Removed => &mut report.removed,
            Retried::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}
