//! Where things are in the repository.

use std::path::PathBuf;

/// The repository's top.
pub fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies in the repository").to_owned()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "cargo's own variable")]
    std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), PathBuf::from)
}
