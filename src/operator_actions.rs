//! An operator's actions, one implementation for every door: shell, HTTP API and page. A door parses the request and
//! words the outcome; checks, audit record and cost are the same for all doors.
//!
//! Every action that changes something writes one audit record before it takes effect, with the requester and the door
//! ([`Operator`]). An erasure writes a second one when it has ended. A state that a chunk enters because of the action
//! has a record of its own. An action whose work is already done succeeds, says so, and writes none.
//!
//! ```text
//! cli ──────────────▶ operator_actions ─▶ catalogue, export::ledger, store::holds, intake
//! functions::vault ─▶
//! ```
//! It must not know HTTP, nor how a report is printed.

pub mod acknowledge;
pub mod erase;
pub mod given;
pub mod hold;
pub mod import;
pub mod replay;
pub mod retention;
pub mod retry;
pub mod verify;

use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::clock::Clock;
use crate::export::{ChunkLedger, Vaults};

pub use crate::store::audit::Operator;

/// Most characters of a text that an operator gives with an action, such as a note.
pub const TEXT_LIMIT: usize = 1000;

/// An operator's actions on recordings.
#[derive(Clone)]
pub struct OperatorActions {
    ledger: ChunkLedger,
    catalogue: Catalogue,
    vaults: Vaults,
    clock: Arc<dyn Clock>,
}

impl OperatorActions {
    pub fn new(
        ledger: &ChunkLedger,
        catalogue: &Catalogue,
        vaults: &Vaults,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            ledger: ledger.clone(),
            catalogue: catalogue.clone(),
            vaults: vaults.clone(),
            clock: Arc::clone(clock),
        }
    }
}
