//! `recording-vault show`: the ledger's entry of one chunk.

use std::fmt;

use clap::Args;
use recording_vault::config::Config;
use recording_vault::export::LedgerEntry;
use recording_vault::recording::DocumentId;
use serde::Serialize;
use serde_json::Value;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};

/// The arguments of `show`.
#[derive(Args)]
pub struct Show {
    /// The id of the chunk; `recording-vault list` lists them
    #[arg(value_parser = argument::chunk)]
    document: DocumentId,
}

/// An entry as the ledger stores it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct StoredEntry(Value);

impl Show {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        match app.ledger.find(&self.document).await? {
            Some(found) => {
                output.report(&StoredEntry::of(&found.entry))?;
                Ok(Exit::Fine)
            }
            None => {
                let id = &self.document;
                let none = format!(
                    "{id} is not in the ledger; if it is the id of a recording or call, `recording-vault list --of {id}` lists its chunks"
                );
                Ok(output.decline(NoReport::NotFound, none)?)
            }
        }
    }
}

impl StoredEntry {
    fn of(entry: &LedgerEntry) -> Self {
        Self(serde_json::to_value(entry).expect("an entry has string keys only"))
    }
}

impl fmt::Display for StoredEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // JSON: its strings have no line break.
        fmt::Display::fmt(&format_args!("{:#}", self.0), f)
    }
}
