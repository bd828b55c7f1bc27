//! Retention of the vault's own copies: lists and removes those past their policy. Nothing is removed automatically; an
//! operator applies the policy. Held copies are never removed. It deletes nothing itself: see
//! [`removal`](super::removal).

use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use super::entry::LedgerEntry;
use super::ledger::{ChunkLedger, Entries, LedgerError};
use super::removal::{Ground, Removals, counted_from};
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

    /// Every copy that is past its policy, oldest first, with the cases that hold it. Reads every entry in the ledger.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn plan(&self) -> Result<RetentionPlan, LedgerError> {
        let now = self.clock.now();
        let is_due =
            |entry: &LedgerEntry| self.is_due(entry, now) || self.policy.counts_later(entry, now);
        let mut past = self.ledger.entries(is_due).await?;
        let later = |entry: &mut LedgerEntry| !self.is_due(entry, now);
        let counted_later = past.found.extract_if(.., later);
        let counted_later = counted_later
            .filter_map(|entry| self.later(entry))
            .collect();
        let with_people = self.split(&mut past, now);
        let mut copies = Vec::new();
        for entry in past.found {
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
            counted_later,
            with_people,
            unreadable: past.unreadable,
        })
    }

    /// Removes every copy that is past its policy and not held. One that cannot be removed does not stop the others.
    ///
    /// # Errors
    /// When the ledger cannot be listed.
    pub async fn apply(&self, operator: &Operator) -> Result<AppliedRetention, LedgerError> {
        let now = self.clock.now();
        let is_due = |entry: &LedgerEntry| self.is_due(entry, now);
        let mut past = self.ledger.entries(is_due).await?;
        let mut with_people = self.split(&mut past, now);
        let detail = serde_json::json!({"pastPolicy": past.found.len()});
        self.ledger
            .audit_operator(AuditAction::RetentionApplied, "vault", operator, detail)
            .await?;
        let removals = futures::stream::iter(past.found).map(|entry| async move {
            let id = entry.chunk.document_id;
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
            unreadable: past.unreadable,
        })
    }

    /// Removes one copy, if it is past its policy and not held.
    pub async fn remove(&self, id: &DocumentId) -> Removal {
        let removing = self.removals.remove(Ground::Policy(self.policy), id);
        Box::pin(removing).await
    }

    fn is_due(&self, entry: &LedgerEntry, now: Timestamp) -> bool {
        self.policy.concerns(entry, now) || self.policy.drops_people_of(entry, now)
    }

    /// Leaves the copies to remove, oldest first. Returns the removed chunks whose recordings still have personal data.
    fn split(&self, past: &mut Entries, now: Timestamp) -> Vec<DocumentId> {
        past.found.sort_by_key(|entry| self.policy.past_at(entry));
        past.found
            .extract_if(.., |entry| !self.policy.concerns(entry, now))
            .map(|entry| entry.chunk.document_id)
            .collect()
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
