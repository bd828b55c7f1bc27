//! `cargo xtask sbom`: what the binary is made of, as a CycloneDX document beside the zip.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use deploy_package::{BINARY, sbom};

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
    remove_all(&paths::root())?;
    // The path of the sources on the build machine does not belong into the list.
    let document = written.replace(
        &format!("file://{}", paths::root().display()),
        "file:///recording-vault",
    );
    let lock = fs::read_to_string(paths::root().join("Cargo.lock"))?;
    let manifest = fs::read_to_string(paths::root().join("Cargo.toml"))?;
    let problems = sbom::problems(&document, &lock, &direct(&manifest));
    ensure!(
        problems.is_empty(),
        "the list of what the binary is made of is wrong: {}",
        problems.join("; ")
    );
    fs::write(&file, document)?;
    println!("{}", file.display());
    Ok(())
}

/// Names in `[dependencies]`, optional ones left out.
fn direct(manifest: &str) -> Vec<String> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.contains("optional = true"))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| !name.starts_with('#') && !name.contains('.'))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::direct;

    #[test]
    fn direct_dependencies_are_read_from_the_manifest() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nbytes = \"1\"\nserde = { version = \"1\", optional = true }\n\n[dev-dependencies]\ntempfile = \"3\"\n";
        assert_eq!(direct(manifest), ["bytes"]);
    }
}
