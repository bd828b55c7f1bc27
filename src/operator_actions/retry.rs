//! Opens failed chunks again, and accepts doubtful ones. The ledger decides whether a chunk may be opened or accepted,
//! on the entry that it writes.

use super::{Operator, OperatorActions};
use crate::export::StateKind;
use crate::export::ledger::{Accepted, LedgerError, PlaceAccepted, Retried};
use crate::recording::{DocumentId, FileNumber};

impl OperatorActions {
    /// Opens a chunk again that was given up.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn retry(
        &self,
        id: &DocumentId,
        operator: &Operator,
    ) -> Result<Retried, LedgerError> {
        self.ledger.retry(id, operator).await
    }

    /// Allows that the source of a doubtful chunk is deleted, after a person has checked the copy.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn accept(
        &self,
        id: &DocumentId,
        operator: &Operator,
    ) -> Result<Accepted, LedgerError> {
        self.ledger.accept(id, operator).await
    }

    /// Selects the right one of the places that events name for a document.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn accept_place(
        &self,
        id: &DocumentId,
        place: FileNumber,
        operator: &Operator,
    ) -> Result<PlaceAccepted, LedgerError> {
        self.ledger.accept_place(id, place, operator).await
    }

    /// Returns the state of a chunk; `None` if the ledger has no such chunk.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn state_of(&self, id: &DocumentId) -> Result<Option<StateKind>, LedgerError> {
        let found = self.ledger.find(id).await?;
        Ok(found.map(|found| found.entry.state.kind()))
    }
}
