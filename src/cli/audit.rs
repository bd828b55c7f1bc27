//! `recording-vault audit`: checks the audit log, and prints its records of one subject.

mod accounts;
mod comparison;
mod events;
mod findings;
mod history;
mod holds;
mod logged;
mod place;
mod read_log;
mod reasons;
mod stamps;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use recording_vault::config::Config;
use recording_vault::store::audit::CheckpointRef;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{Output, complain};

/// The verbs of `audit`.
#[derive(Subcommand)]
pub enum Audit {
    /// Check the log from its beginning to its end, and compare entries and receipts with it
    Verify {
        /// A checkpoint that was noted earlier, `<number>:<sha256>`; it must still exist
        #[arg(long)]
        noted: Option<CheckpointRef>,
        /// A file with the certificates, in PEM, of the authorities whose timestamps are trusted, instead of `TIMESTAMP_CA`
        #[arg(long, value_name = "FILE", value_parser = argument::path(argument::readable_file))]
        timestamp_ca: Option<PathBuf>,
    },
    /// Print what the log says of a recording, a document, a participant or an operator, oldest first
    Show {
        /// A recording id, a document id, a participant's id, or an operator's name
        #[arg(value_parser = argument::text)]
        what: String,
    },
}

impl Audit {
    /// # Errors
    /// When the ledger's storage fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Verify {
                noted,
                timestamp_ca,
            } => {
                let (file, name, exit) = match timestamp_ca {
                    None => {
                        let file = config.timestamps.ca.clone();
                        (file, "TIMESTAMP_CA", Exit::InvalidSettings)
                    }
                    Some(file) => (Some(file), "--timestamp-ca", Exit::NeedsAttention),
                };
                let trusted = match stamps::trusted(file) {
                    Ok(trusted) => trusted,
                    Err(error) => {
                        complain(&format!("{name}: {error:#}\n"));
                        return Ok(exit);
                    }
                };
                let app = existing::open_to_audit(config).await?;
                verify::run(&app, noted, trusted.as_ref(), output).await
            }
            Self::Show { what } => {
                let app = existing::open_to_audit(config).await?;
                history::run(&app, &what, output).await
            }
        }
    }
}
