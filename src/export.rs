//! The pipeline that moves a chunk from ACS into the vault. It knows no HTTP, no Azure SDK, no environment.
//!
//! ```text
//! record ─▶ ChunkLedger ─▶ ExportDriver::drive ─▶ Transfer (RecordingSource ─▶ blocks ─▶ ExportDestination)
//!                               │                        └─▶ verify ─▶ ExportReceipt
//!                               └─▶ RecordingSource::delete(chunk, &receipt)
//! ```

mod assembly;
pub mod audit;
pub mod block;
pub mod budget;
pub mod catalogue;
pub mod crowd;
pub mod destination;
pub mod digest;
pub mod driver;
pub mod entry;
mod examination;
pub mod exporter;
mod fetch;
pub mod holds;
mod homecoming;
pub mod index;
pub mod layout;
pub mod ledger;
pub mod ledger_store;
pub mod receipt;
pub mod retention;
pub mod slots;
pub mod source;
pub mod state;
pub mod sweep;
pub mod transfer;
pub mod vaults;
mod verify;

pub use budget::Budget;
pub use driver::{DriveOutcome, ExportDriver, ExportPolicy};
pub use entry::LedgerEntry;
pub use ledger::ChunkLedger;
pub use receipt::ExportReceipt;
pub use state::{ChunkState, DeletionPolicy, OnAnomaly};
pub use sweep::{ExportSweep, SweepReport};
pub use vaults::Vaults;
