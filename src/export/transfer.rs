//! Moves the files of one chunk from a source into a vault, and proves the copy.
//!
//! ```text
//! chunk (media, metadata, receipt) ─▶ file ─▶ assembly ─▶ fetch
//!                                       └──▶ verify
//! ```

mod assembly;
pub mod chunk;
pub mod error;
mod examination;
mod fetch;
pub mod file;
mod metadata_check;
mod receipt_file;
pub mod verify;
mod version;
pub mod whole;
