//! `cargo xtask stage`: brings `dist/` up to date, the script root for `func` on this machine, also while `func` runs on it.

mod settings;

use std::fs;

use anyhow::{Context as _, bail};
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

/// Checks the settings, builds the release binary and updates `dist/`.
pub fn run(export_queue: bool) -> anyhow::Result<()> {
    let settings = paths::root().join("local.settings.json");
    let has_settings = settings.is_file();
    if has_settings {
        let text = fs::read_to_string(&settings).context("could not read local.settings.json")?;
        let problems = settings::problems(&text);
        if !problems.is_empty() {
            bail!("nothing was staged. {}", problems.join(" "));
        }
    }
    println!("Building the release binary; the first time this takes some minutes");
    run_cargo(&["build", "--release", "--package", "recording-vault"])?;
    let dist = paths::root().join("dist");
    fs::create_dir_all(&dist)?;
    if has_settings {
        // Before host.json: a running host restarts when that changes.
        fs::copy(settings, dist.join("local.settings.json"))?;
    }
    script_root::update(
        &paths::root(),
        &paths::target().join("release").join(BINARY),
        &dist,
        functions(export_queue),
    )?;
    println!("{}", next(has_settings));
    Ok(())
}

fn next(has_settings: bool) -> &'static str {
    if has_settings {
        "dist/ is ready: func start --script-root dist. `func` reads the settings when it starts: after a change of settings, start it again."
    } else {
        "dist/ is ready to be deployed. To run it here, make local.settings.json from local.settings.sample.json and stage again."
    }
}
