//! `recording-vault completions`: the script by which a shell completes the verbs.

use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;
use super::output::print;

/// The arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    /// Prints the script for `command_line`.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn run(self, mut command_line: clap::Command) -> anyhow::Result<Exit> {
        let name = command_line.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command_line, name, &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Fine)
    }
}
