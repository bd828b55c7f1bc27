//! The command line: one file for each verb, with its arguments, its report and its exit code, and the dispatch of all
//! verbs. A verb knows the library; nothing in the library knows a verb.

mod accept;
mod acknowledge;
mod argument;
mod audit;
mod completions;
mod delete_source;
mod deletion;
mod doctor;
mod evidence;
mod existing;
mod exit;
mod find;
mod gdpr;
mod hold;
mod import;
#[cfg(feature = "lambda")]
mod lambda;
mod ledger;
mod list;
mod logging;
mod new_file;
mod open;
mod openapi;
mod output;
mod progress;
mod quoting;
mod reconcile;
mod replay;
mod report;
mod retention;
mod retry;
mod serve;
mod settings;
mod shell_user;
mod show;
mod status;
mod table;
mod unreadable;
mod vault_receipts;
mod verify;

use std::borrow::Cow;
use std::process::ExitCode;

use clap::{
    Arg, ColorChoice, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
};
use recording_vault::config::Config;
use recording_vault::visible;

use exit::Exit;
use output::{Output, OutputFormat, complain, complain_in_lines};
use settings::{SettingsSource, with_settings, with_source};

/// The version, and the commit it is built from.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("RECORDING_VAULT_COMMIT"),
    ")"
);
/// Turns colours off; read before the command line, which may be invalid.
const NO_COLOR: &str = "--no-color";

/// Keeps every call recording of Azure Communication Services.
#[derive(Parser)]
#[command(name = "recording-vault", version = VERSION, about)]
struct CommandLine {
    #[command(flatten)]
    format: OutputFormat,
    /// Print no colours; the variable `NO_COLOR` does the same
    #[arg(long, global = true, help_heading = "Output")]
    no_color: bool,
    #[command(flatten)]
    source: SettingsSource,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the functions on `127.0.0.1:$FUNCTIONS_CUSTOMHANDLER_PORT`; the Functions host starts this
    Serve,
    #[command(flatten)]
    OfApp(AppVerb),
    /// Check settings, clocks, rights and the handler, and suggest a fix for each problem
    Doctor(doctor::Doctor),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Serve the HTTP API on AWS Lambda
    #[cfg(feature = "lambda")]
    Lambda,
}

/// Verbs that work with the app's settings.
#[derive(Subcommand)]
enum AppVerb {
    /// List chunks, and events that could not be read
    List(list::List),
    /// Find recordings by an id of any kind, a person, a day or days, a state, or the text of a case; newest first
    Find(find::Find),
    /// Print the address of a recording on the operator's page
    Open(open::Open),
    /// Print an address at which a player gets a chunk's media for an hour, without a key
    PlayUrl(open::PlayUrl),
    /// Show everything that the ledger knows about a chunk
    Show(show::Show),
    /// Show whether everything is safe, and what was not checked
    Status(status::Status),
    /// Report on a day's recordings, and on what is missing
    Report(report::Report),
    /// Compare recordings, ledger and vault day by day, and report what is missing
    Reconcile(reconcile::Reconcile),
    /// Verify the copies in the vault against their receipts
    Verify(verify::Verify),
    /// Retry failed chunks: those named, or all that were given up and may still be at ACS
    Retry(retry::Retry),
    /// Process events again: files, `poison:<sha256>`, or all documents of a container (`https://…` or `file:///…`)
    Replay(replay::Replay),
    /// Import a file that was downloaded by hand, as the copy of a lost chunk or of a recording that no event announced
    Import(import::Import),
    /// Accept the copies of doubtful chunks, so that their sources at ACS may be deleted
    Accept(accept::Accept),
    /// Acknowledge a loss with a reason, so that it is counted separately
    Acknowledge(acknowledge::Acknowledge),
    /// Dismiss an event that could not be read, with a reason
    Dismiss(acknowledge::Dismiss),
    /// Delete sources at ACS now that are proved in the vault and due, instead of with the next sweep
    DeleteSource(delete_source::DeleteSource),
    /// Hold recordings for a case: held recordings are deleted neither at ACS nor in the vault
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Delete copies that are older than `VAULT_RETENTION` from the vault, except those that are held
    #[command(subcommand)]
    Retention(retention::RetentionVerb),
    /// Find, export or erase a person's recordings
    #[command(subcommand)]
    Gdpr(gdpr::Gdpr),
    /// Write a package that proves recordings: files, receipts, history, and a script that verifies them offline
    Evidence(evidence::Evidence),
    /// Check the audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Repair the ledger
    #[command(subcommand)]
    Ledger(ledger::Ledger),
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    completions::answer(command);
    table::fit(&settings::variables());
    let CommandLine {
        format,
        source,
        verb,
        ..
    } = parsed();
    dispatch(verb, format.output(), &source).into()
}

/// The command line. Verbs that read no settings and report nothing do not list the options for that.
fn command() -> Command {
    let command = CommandLine::command();
    let unused = command
        .get_arguments()
        .filter(|argument| argument.is_global_set() && argument.get_long() != Some("no-color"));
    let unused: Vec<Arg> = unused.map(|argument| argument.clone().hide(true)).collect();
    command.mut_subcommands(|verb| match verb.get_name() {
        "serve" | "lambda" | "completions" | "openapi" => verb.args(unused.clone()),
        _ => verb,
    })
}

/// Parses the command line; ends the process if it is invalid.
fn parsed() -> CommandLine {
    let is_plain = std::env::args_os().any(|argument| argument == NO_COLOR);
    let colors = if is_plain {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    let matches = command().color(colors).try_get_matches();
    let matches = matches.unwrap_or_else(|error| end(&error));
    CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| end(&error))
}

/// Ends the process after an invalid command line, or after its help. An error repeats arguments.
fn end(error: &clap::Error) -> ! {
    let rendered = error.render().to_string();
    let mut text = rendered.clone();
    for argument in std::env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        let value = argument.split_once('=').map(|(_, value)| value);
        for part in value.into_iter().chain([&*argument]) {
            if let Cow::Owned(visible) = visible::one_line(part) {
                text = text.replace(part, &visible);
            }
        }
    }
    if error.use_stderr() && visible::lines(&text) != rendered {
        complain_in_lines(&text);
        std::process::exit(error.exit_code());
    }
    error.exit()
}

fn dispatch(verb: Verb, output: Output, source: &SettingsSource) -> Exit {
    match verb {
        Verb::Serve => of_the_environment(source, output, serve::run),
        #[cfg(feature = "lambda")]
        Verb::Lambda => of_the_environment(source, output, lambda::run),
        Verb::Doctor(verb) => with_source(source, |settings| verb.run(settings, output)),
        Verb::Completions(verb) => printed(verb.run()),
        Verb::Openapi => printed(openapi::run()),
        Verb::OfApp(verb) => with_settings(source, async |config| run(verb, config, output).await),
    }
}

async fn run(verb: AppVerb, config: Config, output: Output) -> anyhow::Result<Exit> {
    match verb {
        AppVerb::List(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Find(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Open(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::PlayUrl(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Show(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Status(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Acknowledge(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Dismiss(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Report(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Reconcile(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Verify(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Retry(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Replay(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Import(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Accept(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::DeleteSource(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Hold(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Retention(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Gdpr(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Evidence(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Audit(verb) => Box::pin(verb.run(config, output)).await,
        AppVerb::Ledger(verb) => Box::pin(verb.run(config, output)).await,
    }
}

/// Commands that serve take their settings only from the platform that starts them.
fn of_the_environment(
    source: &SettingsSource,
    output: Output,
    serve: impl FnOnce(Vec<(String, String)>) -> Exit,
) -> Exit {
    if source.is_named() || output != Output::Text {
        complain(
            "--env-file, --settings, --json and --jsonl are for verbs that report; `serve` and `lambda` print log lines, and read settings from the environment only\n",
        );
        return Exit::NeedsAttention;
    }
    serve(settings::variables())
}

/// The exit of a verb that only prints.
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
    fn leaves(command: &Command, prefix: &str) -> BTreeSet<String> {
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
        command().debug_assert();
    }

    #[test]
    fn the_help_of_a_verb_lists_the_options_that_it_uses() {
        let mut command = command();
        command.build();
        for (verb, lists_them) in [("serve", false), ("openapi", false), ("list", true)] {
            let help = command
                .find_subcommand_mut(verb)
                .unwrap()
                .render_long_help();
            let help = help.to_string();
            for option in ["--json", "--jsonl", "--env-file", "--settings"] {
                assert_eq!(help.contains(option), lists_them, "{verb} {option}: {help}");
            }
            assert!(help.contains("--no-color"), "{verb}: {help}");
        }
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
            for option in verb.get_arguments().filter_map(Arg::get_long) {
                assert!(
                    section.contains(&format!("--{option}")),
                    "`{name}` has --{option}, and docs/VERBS.md does not say so"
                );
            }
        }
    }
}
