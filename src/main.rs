//! The binary. What it can do is listed in `cli.rs`.

mod backtraces;
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    backtraces::leave_to_panics();
    cli::main()
}
