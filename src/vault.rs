//! Where recordings and their ledger are kept: Azure Blob Storage, a directory, or memory.
//!
//! Each has a vault ([`ExportDestination`](crate::export::destination::ExportDestination)) and a ledger store
//! ([`DocumentStore`](crate::store::document_store::DocumentStore)); all pass the same contract suites.

pub mod azure;
pub mod directory;
pub mod memory;
pub mod url;

pub use url::{InvalidVaultUrl, VaultUrl};
