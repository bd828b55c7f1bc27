//! `cargo xtask sbom`: what the binary is made of, as a CycloneDX document beside the zip.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use deploy_package::BINARY;

use crate::tools::{cargo_tool, run_command};
use crate::{package, paths};

const CARGO_CYCLONEDX: &str = "0.5.9";
/// cargo-cyclonedx writes one beside every Cargo.toml of the workspace.
const WRITTEN_AS: &str = "sbom-of-recording-vault";

pub fn run() -> anyhow::Result<()> {
    let cyclonedx = cargo_tool("cargo-cyclonedx", "cargo-cyclonedx", CARGO_CYCLONEDX)?;
    let mut command = Command::new(cyclonedx);
    command
        .current_dir(paths::root())
        .args([
            "cyclonedx",
            "--format",
            "json",
            "--spec-version",
            "1.5",
            "--target",
            "x86_64-unknown-linux-gnu",
        ])
        .args(["--override-filename", WRITTEN_AS]);
    run_command(&mut command)?;
    let file = package::folder()?.join(format!("{BINARY}-{}.cdx.json", paths::version()?));
    let ours = paths::root().join(format!("{WRITTEN_AS}.json"));
    let written = fs::read_to_string(&ours)
        .with_context(|| format!("cargo-cyclonedx wrote no {}", ours.display()))?;
    // The path of the sources on the build machine does not belong into the list.
    fs::write(
        &file,
        written.replace(
            &format!("file://{}", paths::root().display()),
            "file:///recording-vault",
        ),
    )?;
    remove_all(&paths::root())?;
    println!("{}", file.display());
    Ok(())
}

fn remove_all(root: &Path) -> anyhow::Result<()> {
    let dev = fs::read_dir(root.join("dev"))?
        .flatten()
        .map(|entry| entry.path());
    for folder in dev.chain([root.to_owned(), root.join("xtask")]) {
        let file = folder.join(format!("{WRITTEN_AS}.json"));
        if file.is_file() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}
