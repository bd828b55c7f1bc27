//! The ledger: one durable current-state record per chunk, moved only under a claim, written only under a condition.
//!
//! ```text
//! chunks/<documentId>.json          the entry
//! open/<expiry>-<documentId>-<n>    a marker of opening n, while the entry is not settled; the sweep's work list, in order
//! doomed/<time>-<documentId>        a marker of a chunk that was given up, until its loss is reported
//! poison/<sha256>.json              an event that could not be read, whole
//! expired-poison/<sha256>.json      what is left of one that was kept for its time: when, and why it was not read
//! dismissed/<sha256>.json           one that was resolved
//! events/<sha256>.json              an event that the sweep continues with, whole
//! begun/<sha256>.json               processes that took a large event and have not finished it
//! calls-seen/<day>-<sha256>         a call whose start was announced
//! audit/<log>/<number>.json         what happened, in chains; see store/audit.rs
//! ```
//! `ledger/markers.rs` says why an open entry always has its marker. It knows no vault, no source and no ACS.

mod announcing;
mod auditing;
mod awaiting;
mod claiming;
mod cleared;
mod dismissal;
mod doomed;
mod erasing_events;
mod fresh;
mod holding;
mod indexing;
mod inventory;
mod kept_events;
mod markers;
mod operator_actions;
mod poison;
mod rebuilding;
mod sweeps;
mod verifying;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use super::destination::DestinationError;
use super::entry::LedgerEntry;
use super::notices;
use crate::clock::Clock;
use crate::recording::DocumentId;
use crate::store::audit::{AuditContainer, AuditLog};
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::documents::{DocumentError, Documents, Keyed, Revision, Stored, WriteOutcome};
use crate::store::outbox::Outbox;
use crate::store::people::People;

pub(in crate::export) use announcing::reopen_for_what_was_added;
pub use announcing::{
    Admission, AnnouncedAhead, AnnouncedChunk, Circumstances, Expected, OtherFile, Recorded,
    Solicitation,
};
pub use auditing::{audited_proof, audited_state};
pub use awaiting::{BeforeSetAside, SetAside};
pub use claiming::{AfterUpdate, Claim, ClaimLeft, ClaimOver};
pub use cleared::ClearedPlaces;
pub use dismissal::Dismissed;
pub use doomed::{DoomedChunk, DoomedCursor};
pub use erasing_events::ErasedEvents;
pub(in crate::export) use fresh::Fresh;
pub use indexing::BEYOND_THE_INDEX;
pub use inventory::Entries;
pub use kept_events::{Arrival, KeptEvent, RENEW_EVERY, WhyKept, digest_of};
pub use markers::{OpenChunk, OpenCursor};
pub use operator_actions::{Accepted, AcceptedSource, AcknowledgedChunk, PlaceAccepted, Retried};
pub use poison::PoisonDropped;
pub use rebuilding::{RebuildSource, Rebuilt};
pub use sweeps::{LastSweep, OverdueSweep, TimerState, TimerSweep};
pub use verifying::Finding;

const POISON: &str = "poison/";
const EXPIRED_POISON: &str = "expired-poison/";
const DISMISSED: &str = "dismissed/";

const CHUNKS: &str = "chunks/";

/// Ledger of all chunks and the state of each.
#[derive(Clone)]
pub struct ChunkLedger {
    entries: Documents,
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    audit: Arc<AuditLog>,
    people: Arc<People>,
    retention: Duration,
    claim_ttl: Duration,
    /// Outbox for notices of changes; `None` where none are sent.
    outbox: Option<Outbox>,
    poison_room: Arc<poison::PoisonRoom>,
    fresh: Arc<fresh::FreshEntries>,
    noted_sweep: Arc<sweeps::NotedSweep>,
}

/// An entry as read, with the revision for a conditional write.
#[derive(Debug, Clone)]
pub struct Found {
    pub entry: LedgerEntry,
    revision: Revision,
}

/// Failure of a ledger operation.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger's entry of chunk `{document_id}` is not readable")]
    Corrupt {
        document_id: DocumentId,
        source: serde_json::Error,
    },
    #[error("`{key}` in the ledger has too many concurrent writers")]
    Contended { key: String },
    #[error(
        "{most} events that could not be read are kept already, and none is old enough to be dropped"
    )]
    PoisonFull { most: usize },
    /// Another holder took over: stop. It continues from the durable state.
    #[error("the claim on chunk `{document_id}` was lost")]
    ClaimLost { document_id: DocumentId },
    /// The entry was not written, because the vault did not take the receipt that it refers to.
    #[error(transparent)]
    Receipt(DestinationError),
}

impl From<DocumentError> for LedgerError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Store(error) => Self::Store(error),
            DocumentError::Contended { key } => Self::Contended { key },
            DocumentError::Corrupt { key, source } => match document_of_entry(&key) {
                Some(document_id) => Self::Corrupt {
                    document_id,
                    source,
                },
                None => Self::Store(StoreError {
                    action: "understand",
                    key,
                    source: source.into(),
                }),
            },
        }
    }
}

impl Keyed for LedgerEntry {
    fn key(&self) -> Option<String> {
        Some(entry_key(&self.chunk.document_id))
    }
}

impl From<Stored<LedgerEntry>> for Found {
    fn from(stored: Stored<LedgerEntry>) -> Self {
        Self {
            entry: stored.document,
            revision: stored.revision,
        }
    }
}

impl From<Found> for Stored<LedgerEntry> {
    fn from(found: Found) -> Self {
        Self {
            document: found.entry,
            revision: found.revision,
        }
    }
}

impl ChunkLedger {
    /// How long ACS keeps a file.
    pub fn source_retention(&self) -> Duration {
        self.retention
    }

    /// `retention`: how long ACS keeps a file; `claim_ttl`: how long a claim lasts unless renewed.
    pub fn new(
        store: Arc<dyn DocumentStore>,
        clock: Arc<dyn Clock>,
        retention: Duration,
        claim_ttl: Duration,
    ) -> Self {
        let audit = Arc::new(AuditLog::new(Arc::clone(&store), Arc::clone(&clock)));
        let people = Arc::new(People::new(Arc::clone(&store)));
        Self {
            entries: Documents {
                store: Arc::clone(&store),
            },
            store,
            clock,
            audit,
            people,
            retention,
            claim_ttl,
            outbox: None,
            poison_room: Arc::default(),
            fresh: Arc::default(),
            noted_sweep: Arc::default(),
        }
    }

    /// Adds an outbox that keeps notices of changes.
    #[must_use]
    pub fn with_outbox(self, outbox: Option<Outbox>) -> Self {
        Self { outbox, ..self }
    }

    /// Stores the notices of a change before the change is written.
    async fn keep_notices(
        &self,
        before: Option<&LedgerEntry>,
        after: &LedgerEntry,
    ) -> Result<(), StoreError> {
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        for notice in notices::of_change(before, after) {
            outbox.keep(notice, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Keeps the documents of the audit log in a container of their own instead of beside the entries.
    #[must_use]
    pub fn with_audit_container(mut self, container: Arc<dyn DocumentStore>) -> Self {
        let store = AuditContainer::new(container, Arc::clone(&self.store));
        self.audit = Arc::new(AuditLog::new(Arc::new(store), Arc::clone(&self.clock)));
        self
    }

    /// The entry of a chunk.
    ///
    /// # Errors
    /// When the storage fails, or the entry is unreadable or that of another chunk.
    pub async fn find(&self, document_id: &DocumentId) -> Result<Option<Found>, LedgerError> {
        let found = self.entries.read(&entry_key(document_id)).await?;
        Ok(found.map(Found::from))
    }

    /// Records what was reported for an entry, so that it is reported once, and removes the marker of an entry that
    /// waited for nothing else. Returns the entry as it is now: where another writer was first, nothing is recorded,
    /// and it is reported again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn note_reported(
        &self,
        found: Found,
        note: impl FnOnce(&mut LedgerEntry) + Send,
    ) -> Result<Option<Found>, LedgerError> {
        let Found {
            mut entry,
            revision,
        } = found;
        let key = entry_key(&entry.chunk.document_id);
        let before = self.outbox.is_some().then(|| entry.clone());
        note(&mut entry);
        self.keep_notices(before.as_ref(), &entry).await?;
        match self.entries.write(&key, Some(&revision), entry).await? {
            WriteOutcome::Written(stored) => {
                let found = Found::from(stored);
                if found.entry.is_done() {
                    self.remove_marker(&found.entry).await?;
                }
                Ok(Some(found))
            }
            WriteOutcome::Conflict(stored) => Ok(stored.map(Found::from)),
        }
    }
}

fn entry_key(document_id: &DocumentId) -> String {
    format!("{CHUNKS}{document_id}.json")
}

fn document_of_entry(key: &str) -> Option<DocumentId> {
    key.strip_prefix(CHUNKS)?
        .strip_suffix(".json")?
        .parse()
        .ok()
}
