//! Entries that are not readable and that no receipt can rebuild: they are set aside, and the next event of the chunk records
//! it again.
//!
//! The document that takes the place of such an entry is no entry. So until the event comes, the chunk counts as not
//! readable, its marker stays, and nothing calls it safe.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rebuilding::replaceable;
use super::writing::{Change, Changed, MarkerCheck};
use super::{ChunkLedger, Found, LedgerError, entry_key};
use crate::export::entry::LedgerEntry;
use crate::export::state::ChunkState;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, AuditPosition, Operator};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Damage, Precondition, PutOutcome, StoreError, Versioned};
use crate::store::documents::{self, Revision, WriteOutcome};
use crate::store::index::MarkedAhead;

/// Outcome of setting an entry aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAside {
    /// The next event of the chunk records it again, whether this call did it or an earlier one.
    Done,
    /// There is no entry: the next event records the chunk anyway.
    NoEntry,
    /// It is readable: nothing was changed.
    Readable,
    /// Another process wrote it meanwhile: nothing was changed.
    Changed,
}

/// What the audit log says of a chunk whose entry is set aside.
#[derive(Debug, Default)]
pub struct BeforeSetAside {
    /// The last document that has a record of it.
    pub last: Option<AuditPosition>,
    /// When its first record was written.
    pub recorded_at: Option<Timestamp>,
}

/// What takes the place of an entry that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AwaitedEntry {
    /// The chunk whose event is awaited.
    awaits_event_of: DocumentId,
    /// When it was recorded first, as far as the log says it.
    recorded_at: Timestamp,
    /// Where the audit log says that its entry was set aside.
    audited: AuditPosition,
}

impl ChunkLedger {
    /// Makes an event of the chunk record it again, whose entry is not readable. The caller has looked for receipts in every
    /// vault, and found none that is right. The old content is kept under `corrupt/`.
    ///
    /// # Errors
    /// When the storage fails, or the entry is in an archive, from which it may be restored.
    pub async fn set_aside(
        &self,
        document_id: &DocumentId,
        before: BeforeSetAside,
        operator: &Operator,
    ) -> Result<SetAside, LedgerError> {
        let key = entry_key(document_id);
        let stored = match self.store.find(&key).await {
            Err(error) => Some(replaceable(unless_archived(error)?)?),
            Ok(found) => found,
        };
        let Some(Versioned { content, version }) = stored else {
            return Ok(SetAside::NoEntry);
        };
        if documents::is_readable::<LedgerEntry>(&key, &content) {
            return Ok(SetAside::Readable);
        }
        if awaited_in(&content, document_id).is_some() {
            return Ok(SetAside::Done);
        }
        let detail = json!({
            "previous": before.last,
            "unreadableSha256": Sha256Digest::of(&content),
        });
        self.keep_corrupt(document_id, content).await?;
        let (action, subject) = (AuditAction::EntrySetAside, document_id.as_str());
        let audited = self.audit_operator(action, subject, operator, detail);
        let audited = audited.await?;
        let now = self.clock.now();
        let awaited = AwaitedEntry {
            awaits_event_of: document_id.clone(),
            recorded_at: before.recorded_at.map_or(now, |at| at.min(now)),
            audited,
        };
        let content = serde_json::to_vec_pretty(&awaited).expect("it has string keys only");
        let condition = Precondition::Unchanged(version);
        let written = self.store.put(&key, Bytes::from(content), condition);
        match written.await? {
            PutOutcome::Written(_) => Ok(SetAside::Done),
            // Perhaps our own write, whose response was lost.
            PutOutcome::Conflict => Ok(match self.awaited(document_id).await? {
                Some(_) => SetAside::Done,
                None => SetAside::Changed,
            }),
        }
    }

    /// Carries out a change that failed because the entry is not readable, if that was set aside and the change records the
    /// chunk. What other events announced is not known, so its source is never deleted at ACS.
    ///
    /// # Errors
    /// `error`, if it does not. When the storage fails, or another process wrote the entry meanwhile.
    pub(super) async fn change_awaited<O>(
        &self,
        document_id: &DocumentId,
        error: LedgerError,
        change: impl Future<Output = Result<Change<O>, LedgerError>> + Send,
    ) -> Result<Changed<O>, LedgerError> {
        let LedgerError::Corrupt { .. } = &error else {
            return Err(error);
        };
        let Some((awaited, revision)) = self.awaited(document_id).await? else {
            return Err(error);
        };
        let (entry, outcome, records) = match change.await? {
            Change::Leave(_) => return Err(error),
            Change::Write { entry, outcome, .. } => (entry, outcome, Vec::new()),
            Change::Record {
                entry,
                outcome,
                records,
                ..
            } => (entry, outcome, records),
        };
        let mut entry = self.entry_awaited(*entry, awaited);
        let ensure = MarkerCheck::Ensure;
        let MarkedAhead { new, stale: _ } =
            Box::pin(self.prepare(None, &mut entry, ensure, records)).await?;
        let key = entry_key(document_id);
        let written = self.entries.write(&key, Some(&revision), entry).await;
        let stored = match written {
            Ok(WriteOutcome::Written(stored)) => stored,
            Ok(WriteOutcome::Conflict(_)) => {
                Box::pin(self.take_back(document_id, new)).await;
                return Err(LedgerError::Contended { key });
            }
            Err(error) => {
                Box::pin(self.take_back(document_id, new)).await;
                return Err(error.into());
            }
        };
        Ok(Changed {
            outcome,
            written: Some(stored.document.clone()),
            found: Some(Found::from(stored)),
        })
    }

    /// A new entry, with what is known of the one before it.
    fn entry_awaited(&self, mut entry: LedgerEntry, awaited: AwaitedEntry) -> LedgerEntry {
        let before = LedgerEntry::new(entry.chunk.clone(), awaited.recorded_at, self.retention);
        debug_assert!(entry.state == ChunkState::Pending, "it is a new one");
        entry.recorded_at = before.recorded_at;
        entry.expires_at = before.expires_at;
        entry.folder = before.folder;
        entry.rebuilt = true;
        // Files of earlier attempts may be in the vault.
        entry.claims = entry.claims.saturating_add(1);
        entry.openings = self.openings_beyond();
        entry.audited.insert(0, awaited.audited);
        entry
    }

    async fn awaited(
        &self,
        document_id: &DocumentId,
    ) -> Result<Option<(AwaitedEntry, Revision)>, LedgerError> {
        let found = match self.store.find(&entry_key(document_id)).await {
            Err(error) if error.damaged().is_some() => return Ok(None),
            found => found?,
        };
        Ok(found.and_then(|found| {
            let awaited = awaited_in(&found.content, document_id)?;
            Some((awaited, Revision::of_unreadable(found.version)))
        }))
    }
}

fn awaited_in(content: &[u8], document_id: &DocumentId) -> Option<AwaitedEntry> {
    let awaited: AwaitedEntry = serde_json::from_slice(content).ok()?;
    (awaited.awaits_event_of == *document_id).then_some(awaited)
}

/// An entry in an archive can be made readable.
fn unless_archived(error: StoreError) -> Result<StoreError, StoreError> {
    match error.damaged().map(|damaged| damaged.damage) {
        Some(Damage::Archived) => Err(error),
        Some(Damage::TooLarge) | None => Ok(error),
    }
}
