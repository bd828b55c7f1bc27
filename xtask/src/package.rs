//! `cargo xtask package`: the zip that is deployed, with a binary that starts on the platform's images.
//!
//! The platform runs Debian with glibc 2.31 or later; a binary of this machine may require more. So the linker is
//! zig, which links against any requested glibc, and the result is checked before it is packed.

mod bare;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use deploy_package::{BINARY, archive, glibc, script_root};
use sha2::Digest as _;

use crate::paths;
use crate::tools::{self, run_command};

const CARGO_ZIGBUILD: &str = "0.24.1";
const CARGO_ZIGBUILD_SHA256: &str =
    "3b86eef6428a2c4554e1ecdb8b193a698732f242bb15a245bf12c7935914802a";
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The source of the zip, and how thoroughly it is checked.
#[derive(Args)]
pub struct Options {
    /// Also run what is in the zip in a bare Debian 11 and 12, which needs root and debootstrap
    #[arg(long)]
    check: bool,
    /// With the function `ExportChunk`, for which `EXPORT_QUEUE_URL` is to be set
    #[arg(long)]
    export_queue: bool,
    /// Pack this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    // Any binary may be given; only one that starts on the platform is packed.
    let content =
        fs::read(&binary).with_context(|| format!("could not read {}", binary.display()))?;
    let asked = glibc::check(&content, glibc::CEILING)
        .with_context(|| format!("{} is not portable", binary.display()))?;
    match asked {
        Some(asked) => println!(
            "The binary asks for glibc {asked}; the platform has {} or later",
            glibc::CEILING
        ),
        None => println!("The binary is linked statically"),
    }
    let dist = paths::root().join("dist");
    script_root::assemble(
        &paths::root(),
        &binary,
        &dist,
        crate::stage::functions(options.export_queue),
    )?;
    let zip = archive::pack(&dist)?;
    let file = folder()?.join(format!("{BINARY}-{}-linux-x86_64.zip", paths::version()?));
    fs::write(&file, &zip)?;
    let sha256 = hex::encode(sha2::Sha256::digest(&zip));
    println!("{}  {sha256}", file.display());
    if options.check {
        bare::check(&zip)?;
    }
    Ok(())
}

/// The folder of release files.
pub fn folder() -> anyhow::Result<PathBuf> {
    let folder = paths::target().join("package");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The release binary for the platform's glibc.
fn build() -> anyhow::Result<PathBuf> {
    let zigbuild = tools::zigbuild(CARGO_ZIGBUILD, CARGO_ZIGBUILD_SHA256)?;
    let python = tools::zig()?;
    println!(
        "Building the release binary for glibc {}; the first time this takes some minutes",
        glibc::CEILING
    );
    let mut command = Command::new(zigbuild);
    command
        .current_dir(paths::root())
        .args(["zigbuild", "--release", "--locked", "--package", BINARY])
        .arg(format!("--target={TARGET}.{}", glibc::CEILING))
        .env("CARGO_ZIGBUILD_PYTHON_PATH", python)
        .env("CARGO_ENCODED_RUSTFLAGS", remap_paths()?);
    run_command(&mut command)?;
    Ok(paths::target().join(TARGET).join("release").join(BINARY))
}

/// Keeps this machine's folders out of the binary: the same sources give the same bytes in any folder.
fn remap_paths() -> anyhow::Result<String> {
    let home = tools::cargo_home().context("cargo has no home")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(&home, "cargo"), remap(&paths::root(), ".")].join("\u{1f}"))
}
