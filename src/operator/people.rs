//! The verb `gdpr` at the command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use recording_vault::catalogue::person::Person;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::verbs::gdpr as persons;

use super::{EXIT_INCOMPLETE, print};

/// What there is to do about a person's recordings.
#[derive(Subcommand)]
pub enum GdprVerb {
    /// List the recordings a person was in
    Find {
        /// The participant's id as ACS writes it, such as 8:acs:… or 4:+15551230001
        participant: Person,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write all of them into one archive, with a manifest
    Export {
        /// The participant's id as ACS writes it
        participant: Person,
        /// The archive, which must not be there yet
        #[arg(long, value_name = "FILE.tar")]
        to: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Erase them; what is held, runs or is not exported yet is named and left
    Erase {
        /// The participant's id as ACS writes it
        participant: Person,
        /// Why; it stays in the audit log, so it must not name the person
        #[arg(long)]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

pub async fn gdpr(config: Config, verb: GdprVerb) -> anyhow::Result<ExitCode> {
    let app = compose::app(config)?;
    let complete = |is: bool| {
        if is {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_INCOMPLETE)
        }
    };
    match verb {
        GdprVerb::Find { participant, json } => {
            let report = persons::find(&app, &participant).await?;
            print(json).report(&report);
            Ok(complete(!report.0.recordings.is_empty()))
        }
        GdprVerb::Export {
            participant,
            to,
            json,
        } => {
            let report = persons::export(&app, &participant, &to).await?;
            print(json).report(&report);
            Ok(complete(report.manifest.missing.is_empty()))
        }
        GdprVerb::Erase {
            participant,
            reason,
            yes,
            json,
        } => {
            anyhow::ensure!(!reason.trim().is_empty(), "--reason is empty");
            let is_named = reason
                .to_lowercase()
                .contains(&participant.id().to_lowercase());
            anyhow::ensure!(
                !is_named,
                "--reason stays in the audit log, and must not name the person"
            );
            if !yes && !is_confirmed(&app, &participant).await? {
                crate::complain("nothing was erased\n");
                return Ok(ExitCode::FAILURE);
            }
            let report = persons::erase(&app, &participant, reason.trim()).await?;
            print(json).report(&report);
            Ok(complete(report.0.left.is_empty()))
        }
    }
}

/// Shows what would be erased, and asks.
async fn is_confirmed(
    app: &recording_vault::app::App,
    participant: &Person,
) -> anyhow::Result<bool> {
    let report = persons::find(app, participant).await?;
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{report}")?;
    write!(
        stderr,
        "All of this is deleted for good, for everybody who was in it. Type erase to go on: "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "erase")
}
