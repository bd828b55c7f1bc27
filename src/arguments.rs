//! The command line: every verb and its options.

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use jiff::civil::Date;
use recording_vault::recording::DocumentId;
use recording_vault::verbs::audit::NotedEnd;
use recording_vault::verbs::verify::ReadSubset;
use url::Url;

use crate::operator::keeping::{HoldVerb, RetentionVerb};
use crate::operator::people::GdprVerb;

/// Keeps every call recording of Azure Communication Services.
#[derive(Parser)]
#[command(version, about)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the functions on `127.0.0.1:$FUNCTIONS_CUSTOMHANDLER_PORT`, as the Functions host wants it
    Serve,
    /// Feed events in again: files, `poison:<sha256>`, or a container (`https://…` or `file:///…`)
    Replay {
        #[arg(required = true)]
        from: Vec<String>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// List chunks, and events that could not be read
    List {
        /// Only chunks in this state: pending, exported, sourceDeleted, sourceLeft, removing, removed, inPlace, expired, deadLettered
        #[arg(long)]
        state: Option<String>,
        /// Only chunks of a recording or call whose id contains this
        #[arg(long)]
        of: Option<String>,
        /// Only chunks that are not in the vault although half of their time at ACS is over
        #[arg(long)]
        at_risk: bool,
        /// Only chunks whose media is not what is said of it
        #[arg(long)]
        doubtful: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show all that the ledger knows of a chunk
    Show {
        document: DocumentId,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Report on a day's recordings, and whether anything of them is missing
    Report {
        /// The day, UTC, such as 2026-03-02; today unless given
        #[arg(long)]
        day: Option<Date>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Open chunks again that were given up: those named, or all that are dead-lettered
    Retry {
        documents: Vec<DocumentId>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Let doubtful chunks be deleted at ACS: what their media says of itself is not what is said of it, and the copy was looked at
    Accept {
        #[arg(required = true)]
        documents: Vec<DocumentId>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Look after the log of everything that happened
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Look after the ledger itself
    Ledger {
        #[command(subcommand)]
        verb: LedgerVerb,
    },
    /// Hold recordings for a case: what is held is deleted neither at ACS nor in the vault
    Hold {
        #[command(subcommand)]
        verb: HoldVerb,
    },
    /// Delete from the vault what is past `VAULT_RETENTION`, never what is held
    Retention {
        #[command(subcommand)]
        verb: RetentionVerb,
    },
    /// A person's recordings: find them, hand them out, erase them
    Gdpr {
        #[command(subcommand)]
        verb: GdprVerb,
    },
    /// Check settings, clocks, rights and the handler, and say how to mend what is wrong
    Doctor {
        /// Where the functions are, such as `https://<app>.azurewebsites.net`; its key comes from the variable `FUNCTIONS_KEY`
        #[arg(long)]
        url: Option<Url>,
        /// The same, for what runs on this machine: the port of `func start`, or of the handler itself
        #[arg(long, conflicts_with = "url")]
        port: Option<u16>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Check the copies in the vault against their receipts
    Verify {
        /// Only these chunks; all there are, if none is named
        #[arg(conflicts_with = "of")]
        documents: Vec<DocumentId>,
        /// Only chunks of a recording or call whose id contains this
        #[arg(long)]
        of: Option<String>,
        /// Also read and hash copies: `all`, a share such as `5%`, or one of several groups, such as `2/7`
        #[arg(long, value_name = "SUBSET")]
        read_data_subset: Option<ReadSubset>,
        /// Which ones a share picks; a run prints its own, and with the same one it picks the same
        #[arg(long)]
        seed: Option<u64>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Compare recordings, the ledger and the vault, day by day, and tell what should be there and is not
    Reconcile {
        /// The first day, UTC, such as 2026-03-01
        #[arg(long)]
        from: Date,
        /// The last day, UTC
        #[arg(long)]
        to: Date,
        /// Calls that must each have a recording: an id a line, or CSV with a column `callId` or `serverCallId`
        #[arg(long, value_name = "FILE")]
        calls: Option<std::path::PathBuf>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Delete at ACS, now instead of with the next sweep, what is proved in the vault and due
    DeleteSource {
        /// Delete nothing: list what would be deleted, and what not, and why
        #[arg(long)]
        dry_run: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print what makes a shell complete these verbs
    Completions { shell: Shell },
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Serve the HTTP API on AWS Lambda
    #[cfg(feature = "lambda")]
    Lambda,
}

/// What there is to do about the audit log.
#[derive(Subcommand)]
pub enum AuditVerb {
    /// Follow the log from its beginning, and tell every edit, gap and reordering
    Verify {
        /// An end of the log that was noted earlier: it must still be there
        #[arg(long)]
        noted: Option<NotedEnd>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// What there is to do about the ledger.
#[derive(Subcommand)]
pub enum LedgerVerb {
    /// Make the index anew from all accounts and entries: for a vault from before there was one
    Index {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Write entries anew from the receipts in the vault: those named, or all that are not readable
    Rebuild {
        documents: Vec<DocumentId>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use clap::CommandFactory as _;

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
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_reference_names_every_verb_with_every_option() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/VERBS.md");
        let reference = std::fs::read_to_string(path).unwrap();
        let command = Arguments::command();
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
            for option in verb
                .get_arguments()
                .filter_map(clap::Arg::get_long)
                .filter(|long| *long != "json")
            {
                assert!(
                    section.contains(&format!("--{option}")),
                    "`{name}` has --{option}, and docs/VERBS.md does not say so"
                );
            }
        }
    }
}
