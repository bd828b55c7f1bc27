//! The pipeline that moves a chunk from ACS into the vault. It knows no HTTP, no Azure SDK, no environment.
//!
//! ```text
//! record ─▶ ChunkLedger ─▶ ExportDriver::drive ─▶ Transfer (RecordingSource ─▶ blocks ─▶ ExportDestination)
//!                               │                        └─▶ verify ─▶ ExportReceipt
//!                               └─▶ RecordingSource::delete(chunk, &receipt)
//! ```

pub mod block;
pub mod budget;
pub mod checksummed;
pub mod destination;
pub mod driver;
pub mod entry;
pub mod fence;
pub mod in_place;
pub mod intent;
pub mod layout;
pub mod ledger;
mod notices;
mod read_again;
pub mod receipt;
pub mod receipt_document;
pub mod recheck;
pub mod removal;
pub mod retention;
pub mod slots;
pub mod source;
pub mod state;
pub mod sweep;
pub mod transfer;
pub mod vaults;

pub use budget::Budget;
pub use driver::next_step::{DeletionPolicy, OnAnomaly, OnUnknownMedia, OnUnsolicited};
pub use driver::{DriveOutcome, ExportDriver, ExportPolicy, ProofAge, Sources};
pub use entry::LedgerEntry;
pub use ledger::ChunkLedger;
pub use receipt::ExportReceipt;
pub use state::{ChunkState, SourceEnd, StateKind};
pub use sweep::{ExportSweep, SweepReport};
pub use transfer::verify::Mismatch;
pub use vaults::Vaults;
