//! `cleared/<time>-<documentId>`: chunks whose files were removed from a vault, by the time of the check that follows.

use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{AfterUpdate, ChunkLedger, Claim, LedgerError};
use crate::export::intent::REQUEST_LIVES;
use crate::recording::DocumentId;
use crate::store::document_store::{Precondition, PutOutcome};
use crate::store::listing::keys;

const CLEARED: &str = "cleared/";

/// A chunk whose places are to be checked once more.
#[derive(Debug, Clone)]
pub struct ClearedPlaces {
    pub document_id: DocumentId,
    marker: String,
}

impl ChunkLedger {
    /// Notes that places of a chunk are cleared. They are checked once more later.
    ///
    /// # Errors
    /// When the storage fails: the removal must then not be reported as done.
    pub(in crate::export) async fn note_cleared(
        &self,
        document_id: &DocumentId,
    ) -> Result<(), LedgerError> {
        let due_at = self.clock.now().checked_add(REQUEST_LIVES);
        self.put_cleared(due_at.unwrap_or(Timestamp::MAX), document_id)
            .await
            .map(drop)
    }

    async fn put_cleared(
        &self,
        due_at: Timestamp,
        document_id: &DocumentId,
    ) -> Result<String, LedgerError> {
        let seconds = due_at.as_second().max(0);
        let marker = format!("{CLEARED}{seconds:011}-{document_id}");
        let putting = self
            .store
            .put(&marker, Bytes::new(), Precondition::Absent)
            .await?;
        // An existing one says the same.
        let (PutOutcome::Written(_) | PutOutcome::Conflict) = putting;
        Ok(marker)
    }

    /// Moves a chunk whose places cannot be cleared yet behind all others that are due.
    ///
    /// # Errors
    /// When the storage fails.
    pub(in crate::export) async fn postpone_cleared(
        &self,
        cleared: &ClearedPlaces,
    ) -> Result<(), LedgerError> {
        let marker = self
            .put_cleared(self.clock.now(), &cleared.document_id)
            .await?;
        if marker != cleared.marker {
            self.store.remove(&cleared.marker).await?;
        }
        Ok(())
    }

    /// Chunks whose places are due for a check, earliest first, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub(in crate::export) async fn cleared_due(
        &self,
        limit: usize,
    ) -> Result<Vec<ClearedPlaces>, LedgerError> {
        let now = self.clock.now().as_second();
        let markers = self.store.list(CLEARED, None, limit).await?;
        let due = markers.into_iter().filter_map(|marker| {
            let (due_at, id) = marker.strip_prefix(CLEARED)?.split_once('-')?;
            let document_id = id.parse().ok()?;
            let is_due = due_at.parse::<i64>().ok()? <= now;
            is_due.then_some(ClearedPlaces {
                document_id,
                marker,
            })
        });
        Ok(due.collect())
    }

    /// Whether places of a chunk are still to be checked.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_cleared_unchecked(&self, id: &DocumentId) -> Result<bool, LedgerError> {
        let mut markers = keys(&*self.store, CLEARED, None);
        let is_of_chunk = |marker: &str| {
            let name = marker.strip_prefix(CLEARED)?;
            let (_, of) = name.split_once('-')?;
            Some(of == id.as_str())
        };
        while let Some(marker) = markers.try_next().await? {
            if is_of_chunk(&marker) == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets a chunk whose places were found empty.
    ///
    /// # Errors
    /// When the storage fails.
    pub(in crate::export) async fn forget_cleared(
        &self,
        cleared: &ClearedPlaces,
    ) -> Result<(), LedgerError> {
        Ok(self.store.remove(&cleared.marker).await?)
    }

    /// Releases a claim without a change.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub(in crate::export) async fn release_claim(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.update(claim, AfterUpdate::Release, |_| {})
            .await
            .map(drop)
    }
}
