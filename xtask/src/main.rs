//! `cargo xtask <verb>`: the entry point for all tasks of developers.

mod bench;
mod check;
mod demo;
mod package;
mod paths;
mod prose;
mod release;
mod sbom;
mod stage;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Record a call, export its files, prove and delete them: all on this machine, nothing to configure
    Demo {
        /// Leave everything running, with its URLs printed
        #[arg(long)]
        keep: bool,
    },
    /// Install what the tests need, and run all of them
    Test {
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check format, lints, docs, wording, spelling and dependencies
    Check {
        /// Also look for known vulnerabilities, which fetches the advisories from GitHub
        #[arg(long)]
        advisories: bool,
    },
    /// Assemble dist/ for `func start --script-root dist`
    Stage {
        /// With the function `ExportChunk`, for which `EXPORT_QUEUE_URL` is to be set
        #[arg(long)]
        export_queue: bool,
    },
    /// Build for the platform, assemble dist/, and make the zip that is deployed
    Package(package::Options),
    /// List what the binary is made of (CycloneDX)
    Sbom,
    /// Check whether a tag may be released, and write its notes
    Release {
        /// Such as v0.1.0
        tag: String,
    },
    /// Measure the release binary side by side with rclone and with Microsoft's SDKs
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Demo { keep } => demo::run(keep),
        Verb::Test { arguments } => test::run(&arguments),
        Verb::Check { advisories } => check::run(advisories),
        Verb::Stage { export_queue } => stage::run(export_queue),
        Verb::Package(options) => package::run(&options),
        Verb::Sbom => sbom::run(),
        Verb::Release { tag } => release::run(&tag),
        Verb::Bench(options) => bench::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
