//! The command line: one file for each verb, with its arguments, its report and its exit code; and the one place that
//! dispatches them. A verb knows the library; nothing in the library knows a verb.

mod accept;
mod acknowledge;
mod audit;
mod completions;
mod delete_source;
mod doctor;
mod existing;
mod exit;
mod gdpr;
mod hold;
#[cfg(feature = "lambda")]
mod lambda;
mod ledger;
mod list;
mod openapi;
mod output;
mod progress;
mod reconcile;
mod replay;
mod report;
mod retention;
mod retry;
mod serve;
mod settings;
mod show;
mod status;
mod table;
mod unreadable;
mod vault_receipts;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use exit::Exit;
use output::{Output, complain};
use settings::{variables, with_settings};

/// Keeps every call recording of Azure Communication Services.
#[derive(Parser)]
#[command(name = "recording-vault", version, about)]
struct CommandLine {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the functions on `127.0.0.1:$FUNCTIONS_CUSTOMHANDLER_PORT`; the Functions host starts this
    Serve,
    /// Process events again: files, `poison:<sha256>`, or all documents of a container (`https://…` or `file:///…`)
    Replay(replay::Replay),
    /// List chunks, and events that could not be read
    List(list::List),
    /// Show everything that the ledger knows about a chunk
    Show(show::Show),
    /// Tell whether everything is safe, and what was not checked
    Status(status::Status),
    /// Report on a day's recordings, and on what is missing
    Report(report::Report),
    /// Retry failed chunks: those named, or all that are dead-lettered
    Retry(retry::Retry),
    /// Accept the copies of doubtful chunks, so that their sources at ACS may be deleted
    Accept(accept::Accept),
    /// Acknowledge a loss with a reason, so that it is counted apart
    Acknowledge(acknowledge::Acknowledge),
    /// Dismiss an event that could not be read, with a reason
    Dismiss(acknowledge::Dismiss),
    /// Check the audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Repair the ledger
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Hold recordings for a case: held recordings are deleted neither at ACS nor in the vault
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Delete copies that are older than `VAULT_RETENTION` from the vault, except those that are held
    #[command(subcommand)]
    Retention(retention::RetentionVerb),
    /// Find, export or erase a person's recordings
    #[command(subcommand)]
    Gdpr(gdpr::Gdpr),
    /// Check settings, clocks, rights and the handler, and suggest a fix for each problem
    Doctor(doctor::Doctor),
    /// Verify the copies in the vault against their receipts
    Verify(verify::Verify),
    /// Compare recordings, ledger and vault day by day, and report what is missing
    Reconcile(reconcile::Reconcile),
    /// Delete sources at ACS now that are proved in the vault and due, instead of with the next sweep
    DeleteSource(delete_source::DeleteSource),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Serve the HTTP API on AWS Lambda
    #[cfg(feature = "lambda")]
    Lambda,
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    let CommandLine { json, verb } = CommandLine::parse();
    let output = if json { Output::Json } else { Output::Text };
    dispatch(verb, output).into()
}

fn dispatch(verb: Verb, output: Output) -> Exit {
    match verb {
        Verb::Serve => serve::run(variables()),
        #[cfg(feature = "lambda")]
        Verb::Lambda => lambda::run(variables()),
        Verb::Doctor(verb) => verb.run(variables(), output),
        Verb::Completions(verb) => printed(verb.run(CommandLine::command())),
        Verb::Openapi => printed(openapi::run()),
        Verb::Replay(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::List(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Show(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Status(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Report(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Retry(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Accept(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Acknowledge(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Dismiss(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Audit(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Ledger(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Hold(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Retention(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Gdpr(verb) => with_settings(async |config| Box::pin(verb.run(config, output)).await),
        Verb::Verify(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::Reconcile(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
        Verb::DeleteSource(verb) => {
            with_settings(async |config| Box::pin(verb.run(config, output)).await)
        }
    }
}

/// The end of a verb that only prints.
fn printed(outcome: anyhow::Result<Exit>) -> Exit {
    outcome.unwrap_or_else(|error| {
        complain(&format!("{error:#}\n"));
        Exit::NotDone
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Verbs as they are typed: `audit verify`.
    fn leaves(command: &clap::Command, prefix: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for verb in command.get_subcommands() {
            let name = format!("{prefix}{}", verb.get_name());
            if verb.has_subcommands() {
                found.extend(leaves(verb, &format!("{name} ")));
            } else {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_reference_names_every_verb_with_every_option() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VERBS.md");
        let reference = std::fs::read_to_string(path).unwrap();
        let command = CommandLine::command();
        let mut documented: BTreeSet<String> = reference
            .lines()
            .filter_map(|line| {
                line.strip_prefix("## `")?
                    .strip_suffix('`')
                    .map(str::to_owned)
            })
            .collect();
        if cfg!(not(feature = "lambda")) {
            documented.remove("lambda");
        }
        assert_eq!(documented, leaves(&command, ""));
        for name in &documented {
            let verb = name.split(' ').fold(&command, |command, part| {
                command.find_subcommand(part).unwrap()
            });
            let section = reference
                .split(&format!("## `{name}`\n"))
                .nth(1)
                .unwrap()
                .split("\n## ")
                .next()
                .unwrap();
            for option in verb.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(
                    section.contains(&format!("--{option}")),
                    "`{name}` has --{option}, and docs/VERBS.md does not say so"
                );
            }
        }
    }
}
