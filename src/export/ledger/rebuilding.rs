//! Entries that are not readable, and how they are written anew from the receipt that lies beside the copy.

use bytes::Bytes;

use super::{CHUNKS, ChunkLedger, LedgerError, entry_key};
use crate::export::entry::LedgerEntry;
use crate::export::layout;
use crate::export::receipt::VaultName;
use crate::export::receipt_document::KeptReceipt;
use crate::export::state::ChunkState;
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::document_store::Precondition;
use crate::store::documents::{Revision, WriteOutcome};

/// What became of an entry that should be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// The next sweep continues with it.
    Rebuilt,
    /// It is readable: nothing was changed.
    Readable,
    /// Another process wrote it meanwhile: nothing was changed.
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

    /// Writes an entry anew from its receipt; what was there is kept under `corrupt/`.
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
        let revision = match &stored {
            Some(stored) if serde_json::from_slice::<LedgerEntry>(&stored.content).is_ok() => {
                return Ok(Rebuilt::Readable);
            }
            Some(stored) => Some(Revision::of_unreadable(stored.version.clone())),
            None => None,
        };
        let corrupt = stored.map(|stored| stored.content).unwrap_or_default();
        self.keep_corrupt(document_id, corrupt).await?;
        let mut entry = self.entry_of(kept);
        let number = self
            .audit_operator(
                AuditAction::Rebuilt,
                document_id.as_str(),
                serde_json::Value::Null,
            )
            .await?;
        entry.note_audited(number);
        // Before the entry, so that an open entry has a marker. Its own marker has a time that is over, and a sweep that finds
        // no entry yet may remove it.
        self.put_marker_of_rebuilt(&entry).await?;
        self.index().put(entry.markers()).await?;
        let written = self.entries.write(&key, revision.as_ref(), entry).await?;
        let WriteOutcome::Written(stored) = written else {
            return Ok(Rebuilt::Changed);
        };
        if stored.document.is_open() {
            self.put_marker(&stored.document).await?;
        }
        Ok(Rebuilt::Rebuilt)
    }

    fn entry_of(&self, kept: KeptReceipt) -> LedgerEntry {
        let mut entry = LedgerEntry::new(kept.chunk, kept.recorded_at, self.retention);
        if let Some((folder, _)) = kept.receipt.media().name().as_str().rsplit_once('/') {
            folder.clone_into(&mut entry.folder);
        }
        entry.claims = 1;
        // Higher than any opening before it: a removal of one of their markers may still be on its way.
        entry.openings = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        entry.media_kind = layout::media_kind(kept.receipt.media().name());
        entry.uses_backup = kept.receipt.vault() == VaultName::Backup;
        entry.state = ChunkState::Exported {
            receipt: kept.receipt,
        };
        entry
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
