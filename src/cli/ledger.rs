//! `recording-vault ledger`: rebuilds unreadable entries from the receipts in the vault, and the index from all
//! entries.

mod logged;
mod rebuild;

use std::fmt;

use clap::Subcommand;
use recording_vault::catalogue::rebuild::IndexReport;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::recording::DocumentId;
use recording_vault::visible;
use serde::Serialize;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::Output;
use super::shell_user;

/// The verbs of `ledger`.
#[derive(Subcommand)]
pub enum Ledger {
    /// Rewrite the index, by which recordings are found, from all accounts and entries
    Index,
    /// Rewrite entries from the receipts in the vault: those named, or all that are not readable
    Rebuild {
        /// Ids of chunks; without any, all whose entries are not readable
        #[arg(value_parser = argument::chunk)]
        documents: Vec<DocumentId>,
        /// Write into a ledger that is empty although there were recordings
        #[arg(long)]
        yes: bool,
    },
}

impl Ledger {
    /// # Errors
    /// When the ledger or the vault fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let is_confirmed = match &self {
            Self::Index => false,
            Self::Rebuild { yes, .. } => *yes,
        };
        let app = existing::open_to_repair(config, is_confirmed).await?;
        match self {
            Self::Index => {
                let report = IndexedReport(
                    app.catalogue
                        .index_everything(&shell_user::operator())
                        .await?,
                );
                output.report(&report)?;
                Ok(Exit::fine_if(report.0.problems.is_empty()))
            }
            Self::Rebuild { documents, .. } => {
                let report = rebuild::rebuild(&app, documents).await?;
                output.report(&report)?;
                Ok(Exit::fine_if(report.is_done()))
            }
        }
    }
}

/// What was indexed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct IndexedReport(IndexReport);

impl fmt::Display for IndexedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexReport {
            recordings,
            chunks,
            metadata_read,
            problems,
        } = &self.0;
        let recordings = counted(*recordings, "recording", "recordings");
        let chunks = counted(*chunks, "chunk", "chunks");
        visible::write_part(
            f,
            format_args!(
                "Indexed {recordings} and {chunks}; the metadata of {metadata_read} was read from the vault"
            ),
        )?;
        problems
            .iter()
            .try_for_each(|problem| visible::write_line(f, format_args!("{problem}")))
    }
}
