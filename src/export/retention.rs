//! Retention of the vault's own copies: lists and removes those past their policy. Nothing is removed automatically; an
//! operator applies the policy. Held copies are never removed. It deletes nothing itself: see
//! [`removal`](super::removal).

use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use super::entry::LedgerEntry;
use super::ledger::{ChunkLedger, LedgerError};
use super::removal::{Ground, MissingCopies, Removals, counted_from};
use super::vaults::Vaults;
use crate::clock::Clock;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, Operator};
use crate::store::holds::Case;

pub use super::removal::{Removal, RetentionKeeps, RetentionPolicy};

/// Chunks that are removed concurrently.
const AT_ONCE: usize = 8;

/// Applies a policy to the vault.
#[derive(Clone)]
pub struct Retention {
    ledger: ChunkLedger,
    removals: Removals,
    clock: Arc<dyn Clock>,
    policy: RetentionPolicy,
}

/// A copy that is past its policy.
#[derive(Debug, Clone)]
pub struct PastPolicy {
    pub entry: LedgerEntry,
    pub counted_from: Timestamp,
    pub past_at: Timestamp,
    /// Cases that hold it.
    pub cases: Vec<Case>,
}

/// A copy whose given start is past its policy and not believed, because it is long before the copy's arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaterCount {
    pub document_id: DocumentId,
    /// As its event or an operator gave it.
    pub started_at: Timestamp,
    /// The arrival.
    pub counted_from: Timestamp,
    pub past_at: Timestamp,
}

/// The copies past a policy.
#[derive(Debug)]
pub struct RetentionPlan {
    /// Oldest first.
    pub copies: Vec<PastPolicy>,
    /// Copies that are not past it because their given start is not believed.
    pub counted_later: Vec<LaterCount>,
    /// Chunks that were removed before, whose recordings still have personal data.
    pub with_people: Vec<DocumentId>,
    /// Chunks whose entries are not readable: whether they are past the policy is unknown.
    pub unreadable: Vec<DocumentId>,
}

/// Outcome of applying a policy.
#[derive(Debug)]
pub struct AppliedRetention {
    pub removals: Vec<(DocumentId, Removal)>,
    /// Removed chunks whose recordings still have personal data.
    pub with_people: Vec<DocumentId>,
    /// Chunks whose entries are not readable: whether they are past the policy is unknown.
    pub unreadable: Vec<DocumentId>,
}

/// What is due for a chunk.
enum Due<T> {
    /// The removal of its copy, since this time.
    Copy(Timestamp, T),
    /// The deletion of personal data of its recording.
    People(DocumentId),
    /// Nothing yet.
    Later(LaterCount),
}

/// What a look at all entries found.
struct PastEntries<T> {
    /// The copies to remove, oldest first.
    copies: Vec<T>,
    /// Removed chunks whose recordings still have personal data.
    with_people: Vec<DocumentId>,
    counted_later: Vec<LaterCount>,
    unreadable: Vec<DocumentId>,
}

impl Retention {
    pub fn new(
        ledger: ChunkLedger,
        vaults: Vaults,
        clock: Arc<dyn Clock>,
        policy: RetentionPolicy,
    ) -> Self {
        Self {
            removals: Removals::new(ledger.clone(), vaults, Arc::clone(&clock)),
            ledger,
            clock,
            policy,
        }
    }

    /// The same, which handles copies that the vault does not have in this way.
    #[must_use]
    pub fn with_missing(mut self, missing: MissingCopies) -> Self {
        self.removals = self.removals.with_missing(missing);
        self
    }

    /// Every copy that is past its policy, oldest first, with the cases that hold it. Reads every entry in the ledger.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn plan(&self) -> Result<RetentionPlan, LedgerError> {
        let past = self.past_entries(|entry| entry).await?;
        let mut copies = Vec::new();
        for entry in past.copies {
            let cases = self.ledger.cases_on(&entry).await?;
            copies.push(PastPolicy {
                counted_from: counted_from(&entry),
                past_at: self.policy.past_at(&entry),
                cases,
                entry,
            });
        }
        Ok(RetentionPlan {
            copies,
            counted_later: past.counted_later,
            with_people: past.with_people,
            unreadable: past.unreadable,
        })
    }

    /// Removes every copy that is past its policy and not held. One that cannot be removed does not stop the others.
    ///
    /// # Errors
    /// When the ledger cannot be listed.
    pub async fn apply(&self, operator: &Operator) -> Result<AppliedRetention, LedgerError> {
        let ids = |entry: LedgerEntry| entry.chunk.document_id;
        let PastEntries {
            copies,
            mut with_people,
            counted_later: _,
            unreadable,
        } = self.past_entries(ids).await?;
        let detail = serde_json::json!({"pastPolicy": copies.len()});
        self.ledger
            .audit_operator(AuditAction::RetentionApplied, "vault", operator, detail)
            .await?;
        let removals = futures::stream::iter(copies).map(|id| async move {
            let removal = Box::pin(self.remove(&id)).await;
            (id, removal)
        });
        let removals: Vec<(DocumentId, Removal)> = removals.buffered(AT_ONCE).collect().await;
        if self.policy.keeps == RetentionKeeps::Digests {
            let is_removed = |removal: &Removal| {
                matches!(removal, Removal::Removed | Removal::FinishedByAnother)
            };
            let removed = removals.iter().filter(|(_, removal)| is_removed(removal));
            with_people.extend(removed.map(|(id, _)| id.clone()));
        }
        Ok(AppliedRetention {
            removals,
            with_people,
            unreadable,
        })
    }

    /// Removes one copy, if it is past its policy and not held.
    pub async fn remove(&self, id: &DocumentId) -> Removal {
        let removing = self.removals.remove(Ground::Policy(self.policy), id);
        Box::pin(removing).await
    }

    /// What is past the policy. Of the copies to remove, only what `keep` takes stays in memory.
    async fn past_entries<T: Send>(
        &self,
        keep: impl Fn(LedgerEntry) -> T + Send + Sync,
    ) -> Result<PastEntries<T>, LedgerError> {
        let now = self.clock.now();
        let due = |entry: LedgerEntry| {
            if self.policy.concerns(&entry, now) {
                Some(Due::Copy(self.policy.past_at(&entry), keep(entry)))
            } else if self.policy.drops_people_of(&entry, now) {
                Some(Due::People(entry.chunk.document_id))
            } else if self.policy.counts_later(&entry, now) {
                self.later(entry).map(Due::Later)
            } else {
                None
            }
        };
        let due = self.ledger.select(due).await?;
        let (mut copies, mut with_people, mut counted_later) = (Vec::new(), Vec::new(), Vec::new());
        for due in due.found {
            match due {
                Due::Copy(past_at, kept) => copies.push((past_at, kept)),
                Due::People(id) => with_people.push(id),
                Due::Later(later) => counted_later.push(later),
            }
        }
        copies.sort_by_key(|(past_at, _)| *past_at);
        Ok(PastEntries {
            copies: copies.into_iter().map(|(_, kept)| kept).collect(),
            with_people,
            counted_later,
            unreadable: due.unreadable,
        })
    }

    fn later(&self, entry: LedgerEntry) -> Option<LaterCount> {
        Some(LaterCount {
            started_at: entry.chunk.started_at?,
            counted_from: counted_from(&entry),
            past_at: self.policy.past_at(&entry),
            document_id: entry.chunk.document_id,
        })
    }
}
