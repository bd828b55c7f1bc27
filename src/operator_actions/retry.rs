//! Opens failed chunks again, and accepts doubtful ones. What may be opened or accepted, the ledger decides on the entry that
//! it writes.

use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
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

    /// Lets the source of a doubtful chunk be deleted, after somebody has looked at the copy.
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

    /// Says which of the places that events name for a document is right.
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

    /// The state of a chunk, as the ledger calls it.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn state_of(&self, id: &DocumentId) -> Result<&'static str, CatalogueError> {
        let found = self.ledger.find(id).await?;
        Ok(found.map_or("unknown", |found| found.entry.state.name()))
    }
}
