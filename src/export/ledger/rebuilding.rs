//! Entries that are not readable, and how they are written anew from the receipt that lies beside the copy.

use bytes::Bytes;

use super::{CHUNKS, ChunkLedger, LedgerError, entry_key};
use crate::export::entry::LedgerEntry;
use crate::export::layout;
use crate::export::receipt_document::KeptReceipt;
use crate::export::state::ChunkState;
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::document_store::Precondition;

/// What became of an entry that should be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// The next sweep goes on with it.
    Rebuilt,
    /// It is readable: nothing was changed.
    Readable,
    /// Somebody wrote it meanwhile.
    Changed,
}

impl ChunkLedger {
    /// Document ids of all entries that are not readable. Looks at every one there is.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unreadable(&self) -> Result<Vec<DocumentId>, LedgerError> {
        let mut unreadable = Vec::new();
        for id in self
            .names(CHUNKS)
            .await?
            .into_iter()
            .filter_map(|name| name.parse::<DocumentId>().ok())
        {
            match self.find(&id).await {
                Ok(_) => {}
                Err(LedgerError::Corrupt { document_id, .. }) => unreadable.push(document_id),
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }

    /// Writes an entry anew as its receipt tells it; what stood there is kept under `corrupt/`.
    ///
    /// It is `Exported` then: whether its source is deleted shows when it is deleted again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn rebuild(
        &self,
        document_id: &DocumentId,
        kept: KeptReceipt,
    ) -> Result<Rebuilt, LedgerError> {
        let key = entry_key(document_id);
        let stored = self.store.find(&key).await?;
        let condition = match &stored {
            Some(stored) if serde_json::from_slice::<LedgerEntry>(&stored.content).is_ok() => {
                return Ok(Rebuilt::Readable);
            }
            Some(stored) => Precondition::Unchanged(stored.version.clone()),
            None => Precondition::Absent,
        };
        let corrupt = stored.map(|stored| stored.content).unwrap_or_default();
        self.keep_corrupt(document_id, corrupt).await?;
        let mut entry = LedgerEntry::new(kept.chunk, kept.recorded_at, self.retention);
        if let Some((folder, _)) = kept.receipt.media().name().as_str().rsplit_once('/') {
            folder.clone_into(&mut entry.folder);
        }
        entry.claims = 1;
        // Higher than any opening before it: a removal of one of their markers may still be on its way.
        entry.openings = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        entry.media_kind = layout::media_kind(kept.receipt.media().name());
        entry.state = ChunkState::Exported {
            receipt: kept.receipt,
        };
        entry.note_audited(
            self.audit_operator(
                AuditAction::Rebuilt,
                document_id.as_str(),
                serde_json::Value::Null,
            )
            .await?,
        );
        // The marker first: an open entry has one.
        self.put_marker(&entry).await?;
        self.index().put(entry.markers()).await?;
        let content = serde_json::to_vec_pretty(&entry).expect("an entry has string keys only");
        let outcome = self.store.put(&key, content.into(), condition).await?;
        Ok(if outcome.is_written() {
            Rebuilt::Rebuilt
        } else {
            Rebuilt::Changed
        })
    }

    async fn keep_corrupt(
        &self,
        document_id: &DocumentId,
        content: Bytes,
    ) -> Result<(), LedgerError> {
        let key = format!(
            "corrupt/{document_id}-{}",
            self.clock.now().as_millisecond()
        );
        self.store.put(&key, content, Precondition::Absent).await?;
        Ok(())
    }
}
