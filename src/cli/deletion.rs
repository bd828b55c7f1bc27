//! Shared by all verbs that delete: `--yes`, `--dry-run`, the confirmation, and copies that are missing.

use std::io::{self, Write as _};

use clap::Args;
use recording_vault::export::removal::MissingCopies;
use recording_vault::visible;

/// How far a verb goes that deletes.
#[derive(Debug, Clone, Copy, Args)]
pub struct DeletionArgs {
    /// Delete without asking for confirmation
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Delete nothing: print what would be deleted, and what would not
    #[arg(long)]
    dry_run: bool,
}

/// How a verb that deletes copies handles those that the vault does not have.
#[derive(Debug, Clone, Copy, Args)]
pub struct MissingArgs {
    /// Treat copies that are missing from the vault as deleted; otherwise they are left, because `VAULT_URL` may name another vault
    #[arg(long)]
    missing_too: bool,
}

impl MissingArgs {
    pub fn handling(self) -> MissingCopies {
        if self.missing_too {
            MissingCopies::Removed
        } else {
            MissingCopies::Left
        }
    }
}

/// How far a verb goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionMode {
    DryRun,
    /// Deletes after a question on stderr that is answered on stdin.
    Ask,
    Delete,
}

impl DeletionArgs {
    pub fn mode(self) -> DeletionMode {
        match (self.dry_run, self.yes) {
            (true, _) => DeletionMode::DryRun,
            (false, true) => DeletionMode::Delete,
            (false, false) => DeletionMode::Ask,
        }
    }
}

/// Shows what is about to be deleted and asks for `word`. No answer is no.
///
/// # Errors
/// When stderr cannot be written, or stdin cannot be read.
pub fn is_confirmed(about_to: &str, word: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    let about_to = visible::lines(about_to);
    write!(stderr, "{about_to}\nType {word} to continue: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        writeln!(
            stderr,
            "\nthere is no answer on standard input; give --yes to delete without a question"
        )?;
    }
    Ok(answer.trim() == word)
}
