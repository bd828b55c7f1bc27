//! `recording-vault completions`: the script that completes a command line in a shell, and the completions that the
//! script requests from this program, such as ids from the ledger.

mod ids;

use clap::{Args, Command};
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::{EnvCompleter, Shells};
use clap_complete::{CompleteEnv, Shell};

use super::exit::Exit;
use super::output::print;

const BINARY: &str = "recording-vault";
/// Variable by which a shell's script requests completions.
const VARIABLE: &str = "RECORDING_VAULT_COMPLETE";

/// The arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        let shells = Shells::builtins();
        let shell: Option<&dyn EnvCompleter> = shells.completer(&self.shell.to_string());
        let shell = shell.ok_or_else(|| anyhow::anyhow!("no completions for {}", self.shell))?;
        shell.write_registration(VARIABLE, BINARY, BINARY, BINARY, &mut script)?;
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Fine)
    }
}

/// Prints completions if a shell requests them, and ends the process. Returns at once otherwise.
pub fn answer(command_line: impl Fn() -> Command) {
    CompleteEnv::with_factory(|| with_ids(command_line()))
        .var(VARIABLE)
        .bin(BINARY)
        .complete();
}

/// The command line, with completions from the ledger.
fn with_ids(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let words = match argument.get_id().as_str() {
            "document" | "documents" => ArgValueCompleter::new(ids::documents),
            "recording" => ArgValueCompleter::new(ids::recordings),
            "call" => ArgValueCompleter::new(ids::calls),
            "tag" => ArgValueCompleter::new(ids::cases),
            _ => return argument,
        };
        argument.add(words)
    });
    command.mut_subcommands(with_ids)
}
