//! The deployment package: the script root, its zip, and the C library that its binary requires. Knows no host.
//!
//! | module | does |
//! |---|---|
//! | `script_root` | assembles host.json, the function folders and the binary |
//! | `archive` | makes the zip, the same bytes from the same files |
//! | `glibc` | reads which glibc a binary requires, and compares it with the platform's |
//! | `sbom` | compares the list of the binary's components with `Cargo.lock` |

pub mod archive;
pub mod glibc;
pub mod sbom;
pub mod script_root;

/// The binary's name, in `target/`, in host.json and in the zip.
pub const BINARY: &str = "recording-vault";
