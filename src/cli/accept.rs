//! `recording-vault accept`: lets the sources of doubtful chunks be deleted, after somebody has looked at the copies.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ledger::{Accepted, LedgerError};
use recording_vault::operator_actions::Operator;
use recording_vault::recording::DocumentId;
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::{Output, write_groups};

/// The arguments of `accept`.
#[derive(Args)]
pub struct Accept {
    /// Chunks whose copies were looked at
    #[arg(required = true)]
    documents: Vec<DocumentId>,
}

/// The outcome for each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptReport {
    /// Their sources may be deleted at ACS.
    accepted: Vec<DocumentId>,
    /// Their copies are accepted; their sources stay at ACS, which drops them by itself.
    source_left: Vec<DocumentId>,
    /// Their copies are accepted; ACS has their sources no more.
    source_gone: Vec<DocumentId>,
    /// They are not doubtful.
    nothing: Vec<DocumentId>,
    unknown: Vec<DocumentId>,
}

impl Accept {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let report = accept(&existing::open(config).await?, self.documents).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.unknown.is_empty()))
    }
}

async fn accept(app: &App, documents: Vec<DocumentId>) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let list = match app.actions.accept(&id, &Operator::Shell).await? {
            Accepted::Accepted | Accepted::AlreadyAccepted => &mut report.accepted,
            Accepted::SourceLeft { .. } => &mut report.source_left,
            Accepted::SourceGone => &mut report.source_gone,
            Accepted::NotDoubtful => &mut report.nothing,
            Accepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

impl fmt::Display for AcceptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: [(&[_], _); 5] = [
            (
                &self.accepted,
                "is accepted; its source may be deleted at ACS",
            ),
            (
                &self.source_left,
                "is accepted; its source is left at ACS, which drops it by itself",
            ),
            (&self.source_gone, "is accepted; ACS has its source no more"),
            (&self.nothing, "is not doubtful; there is nothing to accept"),
            (&self.unknown, "is not in the ledger"),
        ];
        write_groups(f, &groups, "There is nothing to accept.")
    }
}
