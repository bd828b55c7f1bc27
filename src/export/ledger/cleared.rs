//! `cleared/<time>-<documentId>`: chunks whose files were removed from a vault, by when the places are looked at once more.

use std::time::Duration;

use bytes::Bytes;

use super::{AfterUpdate, ChunkLedger, Claim, LedgerError};
use crate::recording::DocumentId;
use crate::store::document_store::Precondition;

const CLEARED: &str = "cleared/";
/// The longest time that a request may live: the client's own deadlines are seconds, a proxy's minutes.
const REQUESTS_LIVE: Duration = Duration::from_mins(15);

/// A chunk whose places are to be looked at once more.
#[derive(Debug, Clone)]
pub struct ClearedPlaces {
    pub document_id: DocumentId,
    marker: String,
}

impl ChunkLedger {
    /// Notes that places of a chunk are cleared; they are looked at once more later.
    ///
    /// # Errors
    /// When the storage fails: the removal must then not be called done.
    pub(in crate::export) async fn note_cleared(
        &self,
        document_id: &DocumentId,
    ) -> Result<(), LedgerError> {
        let due_at = self.clock.now().checked_add(REQUESTS_LIVE);
        let seconds = due_at.unwrap_or(jiff::Timestamp::MAX).as_second().max(0);
        let marker = format!("{CLEARED}{seconds:011}-{document_id}");
        self.store
            .put(&marker, Bytes::new(), Precondition::Absent)
            .await?;
        Ok(())
    }

    /// Chunks whose places are due to be looked at, at most `limit`.
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

    /// Gives a claim back without a change.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub(in crate::export) async fn release_claim(&self, claim: &Claim) -> Result<(), LedgerError> {
        self.update(claim, AfterUpdate::Release, |_| {})
            .await
            .map(drop)
    }
}
