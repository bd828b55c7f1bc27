//! Names the commit that the binary is built from, for `recording-vault --version`.

use std::process::Command;

/// Printed where there is no Git, or no repository: of a source archive.
const UNKNOWN: &str = "unknown commit";

fn main() {
    // What Git is asked for may change with each of these.
    for path in ["src", "Cargo.toml", "Cargo.lock", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(log_of_head) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log_of_head}");
    }
    println!("cargo::rustc-env=RECORDING_VAULT_COMMIT={}", commit());
}

fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return UNKNOWN.to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    match changed.as_deref() {
        Some("") => commit,
        Some(_) => format!("{commit} with changes"),
        None => UNKNOWN.to_owned(),
    }
}

/// What a Git command prints, unless it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
