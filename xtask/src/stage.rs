//! `cargo xtask stage`: assembles `dist/`, the script root for `func` on this machine.

use std::fs;

use deploy_package::script_root::Functions;
use deploy_package::{BINARY, script_root};

use crate::paths;
use crate::tools::run_cargo;

/// What `--export-queue` means.
pub fn functions(export_queue: bool) -> Functions {
    if export_queue {
        Functions::WithExportQueue
    } else {
        Functions::Usual
    }
}

/// Builds the release binary and assembles `dist/`.
pub fn run(export_queue: bool) -> anyhow::Result<()> {
    println!("Building the release binary; the first time this takes some minutes");
    run_cargo(&["build", "--release", "--package", "recording-vault"])?;
    let dist = paths::root().join("dist");
    script_root::assemble(
        &paths::root(),
        &paths::target().join("release").join(BINARY),
        &dist,
        functions(export_queue),
    )?;
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
