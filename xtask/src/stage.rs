//! Assembles a script root: host.json, the function folders, the binary. One tree for `func`, for the zip, for the tests.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::paths;
use crate::tools::run_cargo;

/// The binary's name, in `target/` and in host.json.
pub const BINARY: &str = "recording-vault";

/// Builds the release binary and assembles `dist/`.
pub fn run() -> anyhow::Result<()> {
    println!("Building the release binary; the first time this takes some minutes");
    run_cargo(&["build", "--release", "--package", "recording-vault"])?;
    let dist = paths::root().join("dist");
    assemble(&dist, &paths::target().join("release").join(BINARY))?;
    let settings = paths::root().join("local.settings.json");
    if settings.is_file() {
        fs::copy(settings, dist.join("local.settings.json"))?;
        println!("dist/ is ready: func start --script-root dist");
    } else {
        println!(
            "dist/ is ready to be deployed. To run it here, make local.settings.json from local.settings.sample.json and stage again."
        );
    }
    Ok(())
}

/// Makes `dist` anew.
pub fn assemble(dist: &Path, binary: &Path) -> anyhow::Result<()> {
    if dist.exists() {
        fs::remove_dir_all(dist)?;
    }
    fs::create_dir_all(dist)?;
    fs::copy(paths::root().join("host.json"), dist.join("host.json"))?;
    // Copying keeps the execution bit.
    fs::copy(binary, dist.join(BINARY)).with_context(|| format!("could not copy {}", binary.display()))?;
    for folder in fs::read_dir(paths::root().join("functions"))? {
        let folder = folder?;
        let into = dist.join(folder.file_name());
        fs::create_dir(&into)?;
        fs::copy(folder.path().join("function.json"), into.join("function.json"))?;
    }
    Ok(())
}
