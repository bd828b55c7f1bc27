//! The binary. What it can do is listed in `cli.rs`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
