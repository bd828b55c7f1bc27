//! The ledger: one durable current-state record per chunk, moved only under a claim, written only under a condition.
//!
//! ```text
//! chunks/<documentId>.json        the entry
//! open/<expiry>-<documentId>      a marker while the entry is not settled; listed in order, it is the sweep's work list
//! poison/<sha256>.json            an event that could not be read, whole
//! audit/<number>.json             what happened, in a chain
//! ```
//! The marker is written before the entry and removed after it is settled, and put back if the entry was opened again in
//! between: an open entry has its marker, and a marker too many is cleared by the next sweep.

mod auditing;
mod indexing;
mod inventory;
mod rebuilding;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::entry::{ClaimRecord, LedgerEntry};
use super::state::ChunkState;
use crate::clock::Clock;
use crate::recording::{Absorbed, DocumentId, RecordingChunk};
use crate::store::audit::{AuditAction, AuditLog, Operator};
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError, Version};

pub use indexing::LastSweep;
pub use rebuilding::Rebuilt;

/// Conditional writes that are tried in a row while others write the same entry.
const CONFLICTS_TOLERATED: u32 = 16;

/// The chunks and where each stands.
#[derive(Clone)]
pub struct ChunkLedger {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    audit: Arc<AuditLog>,
    retention: Duration,
    claim_ttl: Duration,
}

/// An entry as it was read, with the version a conditional write refers to.
#[derive(Debug, Clone)]
pub struct Found {
    pub entry: LedgerEntry,
    version: Version,
}

/// The exclusive, time-bound right to move one entry.
///
/// Nothing has to be cleaned up when its holder dies: it runs out.
#[derive(Debug, Clone)]
pub struct Claim {
    document_id: DocumentId,
    token: Uuid,
}

/// What recording a chunk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    New,
    AlreadyKnown,
    /// The event names another place for a document that is known; what is known stays.
    Conflicting,
}

/// What to do with the claim after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterUpdate {
    KeepClaim,
    Release,
}

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger's entry of chunk `{document_id}` is not readable")]
    Corrupt {
        document_id: DocumentId,
        source: serde_json::Error,
    },
    #[error("chunk `{document_id}` is written by too many at once")]
    Contended { document_id: DocumentId },
    /// Another holder took over: stop, it goes on from what is durable.
    #[error("the claim on chunk `{document_id}` was lost")]
    ClaimLost { document_id: DocumentId },
}

impl Claim {
    pub fn document_id(&self) -> &DocumentId {
        &self.document_id
    }
}

impl ChunkLedger {
    /// `retention`: how long ACS keeps a file; `claim_ttl`: how long a claim lasts unless renewed.
    pub fn new(
        store: Arc<dyn DocumentStore>,
        clock: Arc<dyn Clock>,
        retention: Duration,
        claim_ttl: Duration,
    ) -> Self {
        let audit = Arc::new(AuditLog::new(Arc::clone(&store), Arc::clone(&clock)));
        Self {
            store,
            clock,
            audit,
            retention,
            claim_ttl,
        }
    }

    /// Makes a chunk durable; returns only when it is. A repeat changes nothing, except that it adds what was not known yet.
    ///
    /// # Errors
    /// When the storage fails or the entry of this chunk is unreadable.
    pub async fn record(&self, chunk: RecordingChunk) -> Result<Recorded, LedgerError> {
        let key = entry_key(&chunk.document_id);
        for _ in 0..CONFLICTS_TOLERATED {
            let outcome = match self.find(&chunk.document_id).await? {
                // Nothing is added to what is gone: it may have been erased.
                Some(found) if matches!(found.entry.state, ChunkState::Removed { .. }) => {
                    return Ok(Recorded::AlreadyKnown);
                }
                Some(found) => {
                    let mut entry = found.entry.clone();
                    let reopened = reopen_dead_letter(&mut entry, &chunk);
                    match entry.chunk.absorb(&chunk) {
                        Absorbed::Conflict => return Ok(Recorded::Conflicting),
                        Absorbed::Nothing if !reopened => return Ok(Recorded::AlreadyKnown),
                        Absorbed::Nothing | Absorbed::Something => {}
                    }
                    reopen_left_source(&mut entry);
                    entry.note_audited(
                        self.audit_recorded(AuditAction::AnnouncedAgain, &chunk)
                            .await?,
                    );
                    self.put_open(
                        Some(&found.entry),
                        &entry,
                        Precondition::Unchanged(found.version),
                    )
                    .await?
                }
                None => {
                    let mut entry =
                        LedgerEntry::new(chunk.clone(), self.clock.now(), self.retention);
                    entry.note_audited(self.audit_recorded(AuditAction::Recorded, &chunk).await?);
                    match self.put_open(None, &entry, Precondition::Absent).await? {
                        PutOutcome::Written => return Ok(Recorded::New),
                        PutOutcome::Conflict => PutOutcome::Conflict,
                    }
                }
            };
            if outcome == PutOutcome::Written {
                return Ok(Recorded::AlreadyKnown);
            }
            tracing::debug!(key, "Another writer was first, reading again");
        }
        Err(LedgerError::Contended {
            document_id: chunk.document_id,
        })
    }

    /// The entry of a chunk.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn find(&self, document_id: &DocumentId) -> Result<Option<Found>, LedgerError> {
        let Some(stored) = self.store.find(&entry_key(document_id)).await? else {
            return Ok(None);
        };
        let entry =
            serde_json::from_slice(&stored.content).map_err(|source| LedgerError::Corrupt {
                document_id: document_id.clone(),
                source,
            })?;
        Ok(Some(Found {
            entry,
            version: stored.version,
        }))
    }

    /// Claims an entry as it was found. `None` when somebody else holds it or was faster.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn claim(&self, found: &Found) -> Result<Option<Claim>, LedgerError> {
        let now = self.clock.now();
        if found.entry.is_claimed(now) {
            return Ok(None);
        }
        let token = Uuid::new_v4();
        let mut entry = found.entry.clone();
        entry.claim = Some(ClaimRecord {
            token,
            until: now
                .checked_add(self.claim_ttl)
                .unwrap_or(jiff::Timestamp::MAX),
        });
        entry.claims = entry.claims.saturating_add(1);
        let document_id = entry.chunk.document_id.clone();
        let condition = Precondition::Unchanged(found.version.clone());
        match self
            .store
            .put(&entry_key(&document_id), to_bytes(&entry), condition)
            .await?
        {
            PutOutcome::Written => Ok(Some(Claim { document_id, token })),
            PutOutcome::Conflict => Ok(None),
        }
    }

    /// Changes a claimed entry, durably. The marker of an entry that becomes settled is removed.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when the claim is no longer ours; otherwise when the storage fails.
    pub async fn update(
        &self,
        claim: &Claim,
        after: AfterUpdate,
        change: impl Fn(&mut LedgerEntry) + Send,
    ) -> Result<LedgerEntry, LedgerError> {
        let document_id = &claim.document_id;
        for _ in 0..CONFLICTS_TOLERATED {
            let found = self.find(document_id).await?;
            let Some(found) = found.filter(|found| found.entry.is_claimed_by(claim.token)) else {
                return Err(LedgerError::ClaimLost {
                    document_id: document_id.clone(),
                });
            };
            let mut entry = found.entry.clone();
            change(&mut entry);
            if after == AfterUpdate::Release {
                entry.claim = None;
            }
            self.audit_change(&found.entry.state, &mut entry).await?;
            self.mark_new(Some(&found.entry), &entry).await?;
            let condition = Precondition::Unchanged(found.version);
            if self
                .store
                .put(&entry_key(document_id), to_bytes(&entry), condition)
                .await?
                == PutOutcome::Written
            {
                self.unmark(&found.entry, &entry).await?;
                if entry.state.is_settled() {
                    self.clear_marker(&marker_key(&entry), document_id).await?;
                }
                return Ok(entry);
            }
        }
        Err(LedgerError::Contended {
            document_id: document_id.clone(),
        })
    }

    /// Renews a claim for as long as it is awaited; returns when the claim is lost, with what it was lost by.
    pub async fn keep_claimed(&self, claim: &Claim) -> LedgerError {
        let mut renewed_at = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(self.claim_ttl / 3).await;
            let until = self
                .clock
                .now()
                .checked_add(self.claim_ttl)
                .unwrap_or(jiff::Timestamp::MAX);
            let renew = |entry: &mut LedgerEntry| {
                if let Some(claim) = &mut entry.claim {
                    claim.until = until;
                }
            };
            match self.update(claim, AfterUpdate::KeepClaim, renew).await {
                Ok(_) => renewed_at = tokio::time::Instant::now(),
                Err(lost @ LedgerError::ClaimLost { .. }) => return lost,
                // A storage that fails for a moment costs nothing: there is time for another try before the claim runs out.
                Err(error) if renewed_at.elapsed() >= self.claim_ttl => return error,
                Err(error) => {
                    tracing::debug!(error = %crate::error_chain::ErrorChain(&error), "Could not renew a claim")
                }
            }
        }
    }

    /// Chunks that are not settled, earliest expiry first, at most `limit` after the given cursor; and the next cursor.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn open_chunks(
        &self,
        after: Option<&OpenCursor>,
        limit: usize,
    ) -> Result<(Vec<OpenChunk>, Option<OpenCursor>), LedgerError> {
        let keys = self
            .store
            .list(OPEN, after.map(|cursor| cursor.0.as_str()), limit)
            .await?;
        let next = keys
            .last()
            .filter(|_| keys.len() == limit)
            .cloned()
            .map(OpenCursor);
        let mut chunks = Vec::with_capacity(keys.len());
        for key in keys {
            match document_of_marker(&key) {
                Some(document_id) => chunks.push(OpenChunk {
                    document_id,
                    marker: key,
                }),
                None => tracing::warn!(key, "The ledger holds a marker that names no chunk"),
            }
        }
        Ok((chunks, next))
    }

    /// Removes the marker of a chunk that is settled: what a kill between the two writes left behind.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn clear(&self, settled: &OpenChunk) -> Result<(), LedgerError> {
        self.clear_marker(&settled.marker, &settled.document_id)
            .await
    }

    async fn clear_marker(
        &self,
        marker: &str,
        document_id: &DocumentId,
    ) -> Result<(), LedgerError> {
        self.store.remove(marker).await?;
        // An event may have opened the entry again in between, and found its marker there.
        if let Some(found) = self.find(document_id).await?
            && !found.entry.state.is_settled()
        {
            self.store
                .put(
                    &marker_key(&found.entry),
                    Bytes::new(),
                    Precondition::Absent,
                )
                .await?;
        }
        Ok(())
    }

    /// Opens a chunk again that was given up: an operator has fixed the cause. An open chunk that waits is due at once.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn retry(
        &self,
        document_id: &DocumentId,
        operator: &Operator,
    ) -> Result<Retried, LedgerError> {
        for _ in 0..CONFLICTS_TOLERATED {
            let Some(found) = self.find(document_id).await? else {
                return Ok(Retried::Unknown);
            };
            let mut entry = found.entry.clone();
            match entry.state {
                ChunkState::DeadLettered { .. } | ChunkState::Expired { .. } => {
                    give_another_chance(&mut entry)
                }
                ChunkState::Pending | ChunkState::Exported { .. } if entry.not_before.is_none() => {
                    // Its marker may be missing, and no sweep would find it then.
                    self.store
                        .put(&marker_key(&entry), Bytes::new(), Precondition::Absent)
                        .await?;
                    return Ok(Retried::AlreadyOpen);
                }
                ChunkState::Pending | ChunkState::Exported { .. } => entry.not_before = None,
                ChunkState::SourceDeleted { .. }
                | ChunkState::SourceLeft { .. }
                | ChunkState::InPlace { .. } => {
                    return Ok(Retried::Safe);
                }
                ChunkState::Removing { .. } | ChunkState::Removed { .. } => {
                    return Ok(Retried::Removed);
                }
            }
            entry.note_audited(
                self.audit_operator(
                    AuditAction::Retried,
                    document_id.as_str(),
                    operator.sign(Value::Null),
                )
                .await?,
            );
            if self
                .put_open(
                    Some(&found.entry),
                    &entry,
                    Precondition::Unchanged(found.version),
                )
                .await?
                == PutOutcome::Written
            {
                return Ok(Retried::Opened);
            }
        }
        Err(LedgerError::Contended {
            document_id: document_id.clone(),
        })
    }

    /// Writes down what was told of an entry, so that it is told once; whoever changes the entry meanwhile is not disturbed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn note_told(
        &self,
        found: &Found,
        note: impl FnOnce(&mut LedgerEntry) + Send,
    ) -> Result<(), LedgerError> {
        let mut entry = found.entry.clone();
        note(&mut entry);
        let condition = Precondition::Unchanged(found.version.clone());
        self.store
            .put(
                &entry_key(&entry.chunk.document_id),
                to_bytes(&entry),
                condition,
            )
            .await?;
        Ok(())
    }

    /// Lets the source of a doubtful chunk be deleted: somebody has looked at the copy.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn accept(
        &self,
        document_id: &DocumentId,
        operator: &Operator,
    ) -> Result<Accepted, LedgerError> {
        for _ in 0..CONFLICTS_TOLERATED {
            let Some(found) = self.find(document_id).await? else {
                return Ok(Accepted::Unknown);
            };
            let mut entry = found.entry.clone();
            let is_doubtful = matches!(&entry.state, ChunkState::Exported { receipt } if receipt.anomaly().is_some());
            if entry.anomaly_accepted_at.is_some() {
                return Ok(Accepted::AlreadyAccepted);
            }
            if !is_doubtful {
                return Ok(Accepted::NotDoubtful);
            }
            entry.anomaly_accepted_at = Some(self.clock.now());
            entry.note_audited(
                self.audit_operator(
                    AuditAction::Accepted,
                    document_id.as_str(),
                    operator.sign(Value::Null),
                )
                .await?,
            );
            if self
                .put_open(
                    Some(&found.entry),
                    &entry,
                    Precondition::Unchanged(found.version),
                )
                .await?
                == PutOutcome::Written
            {
                return Ok(Accepted::Accepted);
            }
        }
        Err(LedgerError::Contended {
            document_id: document_id.clone(),
        })
    }

    /// The markers first, then the entry: an open entry always has its marker.
    async fn put_open(
        &self,
        before: Option<&LedgerEntry>,
        entry: &LedgerEntry,
        condition: Precondition,
    ) -> Result<PutOutcome, LedgerError> {
        if !entry.state.is_settled() {
            self.store
                .put(&marker_key(entry), Bytes::new(), Precondition::Absent)
                .await?;
        }
        self.mark_new(before, entry).await?;
        let outcome = self
            .store
            .put(
                &entry_key(&entry.chunk.document_id),
                to_bytes(entry),
                condition,
            )
            .await?;
        if let (PutOutcome::Written, Some(before)) = (outcome, before) {
            self.unmark(before, entry).await?;
        }
        Ok(outcome)
    }
}

/// A chunk of the sweep's work list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenChunk {
    pub document_id: DocumentId,
    marker: String,
}

/// What an operator's retry found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// The next sweep drives it.
    Opened,
    /// It is open and due already: the next sweep drives it.
    AlreadyOpen,
    /// It is in the vault and proved; there is nothing to try.
    Safe,
    /// It was deleted from the vault by policy, and stays so.
    Removed,
    Unknown,
}

/// What an operator's acceptance found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The next sweep deletes its source.
    Accepted,
    /// An earlier acceptance did it.
    AlreadyAccepted,
    /// It has no doubtful copy whose source could be deleted.
    NotDoubtful,
    Unknown,
}

/// A place in the list of open chunks.
#[derive(Debug, Clone)]
pub struct OpenCursor(String);

const OPEN: &str = "open/";
const CHUNKS: &str = "chunks/";

fn entry_key(document_id: &DocumentId) -> String {
    format!("{CHUNKS}{document_id}.json")
}

/// Expiry in seconds, zero-padded, so that listing order is order of expiry.
fn marker_key(entry: &LedgerEntry) -> String {
    format!(
        "{OPEN}{:011}-{}",
        entry.expires_at.as_second().max(0),
        entry.chunk.document_id
    )
}

fn document_of_marker(key: &str) -> Option<DocumentId> {
    key.strip_prefix(OPEN)?.split_once('-')?.1.parse().ok()
}

fn to_bytes(entry: &LedgerEntry) -> Bytes {
    Bytes::from(serde_json::to_vec_pretty(entry).expect("an entry has string keys only"))
}

/// A chunk that was given up gets another chance when its event comes again, with the places that this one names.
fn reopen_dead_letter(entry: &mut LedgerEntry, newer: &RecordingChunk) -> bool {
    if !matches!(entry.state, ChunkState::DeadLettered { .. }) {
        return false;
    }
    if newer.locations.content.is_some() {
        entry.chunk.locations = newer.locations.clone();
    }
    give_another_chance(entry);
    true
}

fn give_another_chance(entry: &mut LedgerEntry) {
    entry.told_end = false;
    entry.state = ChunkState::Pending;
    entry.attempts = 0;
    entry.not_before = None;
}

/// A metadata location that came late is read; a delete location that came late makes a left source deletable again.
fn reopen_left_source(entry: &mut LedgerEntry) {
    if let ChunkState::Exported { receipt } | ChunkState::SourceLeft { receipt, .. } = &entry.state
        && receipt.metadata().is_none()
        && entry.chunk.locations.metadata.is_some()
    {
        give_another_chance(entry);
        return;
    }
    if let ChunkState::SourceLeft { receipt, .. } = &entry.state
        && entry.chunk.locations.delete.is_some()
    {
        entry.state = ChunkState::Exported {
            receipt: receipt.clone(),
        };
    }
}
