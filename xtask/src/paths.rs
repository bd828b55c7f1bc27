//! Where things are in the repository.

use std::path::PathBuf;

use anyhow::Context as _;

/// The repository's top: of the clone in which cargo runs this, also when several clones share a target directory.
pub fn root() -> PathBuf {
    let given = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest = given.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest
        .parent()
        .expect("xtask is a folder of the repository")
        .to_owned()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "cargo's own variable")]
    std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), PathBuf::from)
}

/// The version of recording-vault, as its Cargo.toml says.
pub fn version() -> anyhow::Result<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let package = manifest
        .split("[package]")
        .nth(1)
        .context("Cargo.toml has no package")?;
    let version = package
        .lines()
        .find_map(|line| line.strip_prefix("version = \""));
    Ok(version
        .context("Cargo.toml has no version")?
        .trim_end_matches('"')
        .to_owned())
}
