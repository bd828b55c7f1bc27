//! Finds entries that are not readable, and rebuilds them from the receipt beside the copy.

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::json;

use super::auditing::{audited_proof, audited_state};
use super::{CHUNKS, ChunkLedger, LedgerError, entry_key};
use crate::export::entry::{FurtherFile, FurtherState, LedgerEntry};
use crate::export::layout;
use crate::export::receipt::VaultName;
use crate::export::receipt_document::KeptReceipt;
use crate::export::state::ChunkState;
use crate::recording::{AnnouncedFile, DocumentId};
use crate::store::audit::{AuditAction, AuditPosition, Operator};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Precondition, StoreError, Versioned};
use crate::store::documents::{self, Revision, WriteOutcome};
use crate::store::listing;

/// Outcome of rebuilding an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// Its source is not deleted at ACS.
    Rebuilt,
    /// It is readable: nothing was changed.
    Readable,
    /// Another process wrote it meanwhile: nothing was changed.
    Changed,
    /// A receipt is that of another chunk: nothing was changed.
    OtherChunk,
}

/// What an entry is rebuilt from.
#[derive(Debug)]
pub struct RebuildSource {
    /// The receipt of the document's own file.
    pub kept: KeptReceipt,
    /// Receipts of its other files in the vault.
    pub further: Vec<KeptReceipt>,
    /// The last document of the log that has a record of the chunk.
    pub previous: Option<AuditPosition>,
}

impl ChunkLedger {
    /// Document ids of all entries that are not readable. Reads every entry.
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

    /// Rebuilds an entry from its receipts. The old content is kept under `corrupt/`. The record says what was there before.
    ///
    /// Its state is then `Exported`. Its receipt lacks what later events announced, such as a longer form of its file, so its
    /// source is never deleted at ACS.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn rebuild(
        &self,
        document_id: &DocumentId,
        source: RebuildSource,
        operator: &Operator,
    ) -> Result<Rebuilt, LedgerError> {
        let RebuildSource {
            kept,
            further,
            previous,
        } = source;
        let mut receipts = std::iter::once(&kept).chain(&further);
        if receipts.any(|kept| kept.chunk.document_id != *document_id) {
            return Ok(Rebuilt::OtherChunk);
        }
        let key = entry_key(document_id);
        let stored = match self.store.find(&key).await {
            Err(error) => Some(replaceable(error)?),
            Ok(found) => found,
        };
        let revision = match &stored {
            Some(stored) if documents::is_readable::<LedgerEntry>(&key, &stored.content) => {
                return Ok(Rebuilt::Readable);
            }
            Some(stored) => Some(Revision::of_unreadable(stored.version.clone())),
            None => None,
        };
        let corrupt = stored.map(|stored| stored.content);
        let unreadable_sha256 = corrupt.as_ref().map(|corrupt| Sha256Digest::of(corrupt));
        self.keep_corrupt(document_id, corrupt.unwrap_or_default())
            .await?;
        let mut entry = self.entry_of(kept);
        let further = further.into_iter();
        entry.further = further
            .map(|kept| further_of(kept, &entry.folder))
            .collect();
        let further = entry.further.iter().filter_map(FurtherFile::receipt);
        let detail = json!({
            "proof": audited_state(&entry.state).1,
            "furtherProofs": further.map(audited_proof).collect::<Vec<_>>(),
            "previous": previous,
            "unreadableSha256": unreadable_sha256,
        });
        let recording =
            self.audit_operator(AuditAction::Rebuilt, document_id.as_str(), operator, detail);
        let position = recording.await?;
        entry.note_audited(position);
        // Before the entry, so that an open entry has a marker. The time in its own marker has passed, and a sweep that
        // finds no entry yet may remove it.
        self.put_marker_of_rebuilt(&entry).await?;
        let now = self.clock.now();
        self.index().put(entry.markers(), now).await?;
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
        entry.rebuilt = true;
        entry.claims = 1;
        entry.openings = self.openings_beyond();
        entry.media_kind = layout::media_kind(kept.receipt.media().name());
        entry.uses_backup = kept.receipt.vault() == VaultName::Backup;
        entry.state = ChunkState::Exported {
            receipt: kept.receipt,
        };
        entry
    }

    /// Higher than any opening of an entry before it: a removal of one of their markers may still be in flight.
    pub(super) fn openings_beyond(&self) -> u64 {
        u64::try_from(self.clock.now().as_second()).unwrap_or_default()
    }

    pub(super) async fn keep_corrupt(
        &self,
        document_id: &DocumentId,
        content: Bytes,
    ) -> Result<(), LedgerError> {
        let key = format!(
            "{}{}",
            corrupt_of(document_id),
            self.clock.now().as_millisecond()
        );
        self.store.put(&key, content, Precondition::Absent).await?;
        Ok(())
    }

    /// Removes what was kept of an entry's unreadable contents: it may name people.
    pub(super) async fn remove_corrupt(&self, document_id: &DocumentId) -> Result<(), StoreError> {
        let prefix = corrupt_of(document_id);
        let mut kept = listing::keys(&*self.store, &prefix, None);
        while let Some(key) = kept.try_next().await? {
            // The id of another chunk may begin with this one, and have a number after it.
            let time = key.strip_prefix(&prefix);
            if time.is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit())) {
                self.store.remove(&key).await?;
            }
        }
        Ok(())
    }
}

/// What the keys of an entry's unreadable contents begin with; the time follows.
fn corrupt_of(document_id: &DocumentId) -> String {
    format!("corrupt/{document_id}-")
}

/// A damaged document that a write can replace; its content is lost.
pub(super) fn replaceable(error: StoreError) -> Result<Versioned, StoreError> {
    let version = error.damaged().and_then(|damaged| damaged.version.clone());
    let version = version.ok_or(error)?;
    Ok(Versioned {
        content: Bytes::new(),
        version,
    })
}

/// A further file that is in the vault, by its receipt. `folder`: that of the document.
fn further_of(kept: KeptReceipt, folder: &str) -> FurtherFile {
    let file = AnnouncedFile::of(&kept.chunk);
    let mut further = FurtherFile::new(file, kept.recorded_at, kept.recorded_at);
    further.media_kind = layout::media_kind(kept.receipt.media().name());
    let own = kept.receipt.media().name().as_str().rsplit_once('/');
    let own = own.map(|(own, _)| own.to_owned());
    further.folder = own.filter(|own| own != folder);
    further.state = FurtherState::Proved {
        receipt: Box::new(kept.receipt),
    };
    further
}
