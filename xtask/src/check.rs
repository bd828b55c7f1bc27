//! `cargo xtask check`: what a change must pass besides its tests.

use std::process::Command;

use crate::paths;
use crate::tools::{self, cargo, cargo_tool, run_cargo, run_command};

const CARGO_DENY: &str = "0.20.2";
const TYPOS: &str = "1.52.0";

pub fn run(advisories: bool) -> anyhow::Result<()> {
    step("format");
    run_cargo(&["fmt", "--all", "--check"])?;
    step("lints");
    run_cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ])?;
    step("docs");
    run_command(
        cargo()
            .args([
                "doc",
                "--workspace",
                "--all-features",
                "--no-deps",
                "--quiet",
            ])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    step("wording");
    crate::prose::run()?;
    step("prose");
    tools::lint_prose()?;
    step("spelling");
    let typos = cargo_tool("typos-cli", "typos", TYPOS)?;
    run_command(Command::new(typos).current_dir(paths::root()))?;
    step("dependencies");
    let deny = cargo_tool("cargo-deny", "cargo-deny", CARGO_DENY)?;
    // Advisories come from a repository on GitHub; where it cannot be reached, the workflows check them.
    let about = ["bans", "licenses", "sources", "advisories"];
    let about = if advisories { &about[..] } else { &about[..3] };
    run_command(
        Command::new(deny)
            .args(["--all-features", "check"])
            .args(about)
            .current_dir(paths::root()),
    )?;
    println!("All checks passed.");
    Ok(())
}

fn step(name: &str) {
    println!("== {name}");
}
