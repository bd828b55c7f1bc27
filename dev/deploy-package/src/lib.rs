//! What is deployed: the script root, the zip of it, and which C library its binary asks for. The host is not known here.
//!
//! | module | does |
//! |---|---|
//! | `script_root` | assembles host.json, the function folders and the binary |
//! | `archive` | makes the zip, the same bytes from the same files |
//! | `glibc` | reads which glibc a binary asks for, and holds it against the platform's |
//! | `sbom` | holds the list of what the binary is made of against `Cargo.lock` |

pub mod archive;
pub mod glibc;
pub mod sbom;
pub mod script_root;

/// The binary's name, in `target/`, in host.json and in the zip.
pub const BINARY: &str = "recording-vault";
