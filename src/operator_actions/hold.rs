//! Holds a recording or a call for a case, and releases it.
//!
//! A hold may be placed before its recording is known: it applies as soon as an event announces a chunk of it.

use serde_json::json;

use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;
use crate::store::holds::{Added, Case, CaseTag, Held, Released};

/// A hold that was asked for.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    pub held: Held,
    pub tag: CaseTag,
    /// Who wants it; the principal, unless somebody is named.
    pub by: Option<String>,
    pub note: Option<String>,
}

/// A hold that is in force.
#[derive(Debug)]
pub struct Holding {
    pub held: Held,
    pub tag: CaseTag,
    pub added: Added,
    /// Chunks that are known and held.
    pub chunks: Vec<DocumentId>,
    /// Chunks whose copies were deleted before, or are being deleted now: the hold came too late for them.
    pub gone: Vec<DocumentId>,
    /// Held chunks whose deletion at ACS began before the hold: ACS may have them no more, their copies are held.
    pub deleting_at_acs: Vec<DocumentId>,
    /// Every case that holds it, this one included.
    pub cases: Vec<Case>,
}

/// A case that does not hold something any more.
#[derive(Debug)]
pub struct Releasing {
    pub held: Held,
    pub tag: CaseTag,
    pub outcome: ReleaseOutcome,
    /// Cases that still hold it.
    pub still: Vec<Case>,
    /// Whether the register knows a recording of it.
    pub recordings: usize,
}

/// What a release found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    Released,
    /// An earlier release did it.
    ReleasedBefore,
    /// The case never held it.
    NeverHeld,
}

impl OperatorActions {
    /// Holds a recording or a call for a case.
    ///
    /// # Errors
    /// When the storage fails. The hold may be in force then; repeating is harmless.
    pub async fn hold(
        &self,
        request: HoldRequest,
        operator: &Operator,
    ) -> Result<Holding, CatalogueError> {
        let HoldRequest {
            held,
            tag,
            by,
            note,
        } = request;
        let case = Case {
            by: by.or_else(|| operator.principal().map(str::to_owned)),
            tag,
            note,
            since: self.clock.now(),
        };
        let added = if self.holds_for(&held, &case.tag).await? {
            Added::AlreadyHeld
        } else {
            let detail = operator.sign(json!({"case": case.tag, "by": case.by}));
            self.ledger
                .audit_operator(AuditAction::Held, &held.to_string(), detail)
                .await?;
            self.ledger.holds().add(&held, &case).await?
        };
        // After the hold is durable: a deletion that did not find it is found here.
        let covered = self.catalogue.covered_by(&held).await?;
        let (gone, chunks): (Vec<_>, Vec<_>) = covered.entries.into_iter().partition(is_deleted);
        let is_deleting = |entry: &&LedgerEntry| entry.intent.is_some();
        let deleting = chunks.iter().filter(is_deleting);
        let deleting_at_acs = deleting
            .map(|entry| entry.chunk.document_id.clone())
            .collect();
        Ok(Holding {
            held,
            tag: case.tag,
            added,
            chunks: document_ids(chunks),
            gone: document_ids(gone),
            deleting_at_acs,
            cases: covered.cases,
        })
    }

    /// Releases a recording or a call from a case; other cases still hold it.
    ///
    /// # Errors
    /// When the storage fails. Repeating is harmless.
    pub async fn release(
        &self,
        held: Held,
        tag: CaseTag,
        operator: &Operator,
    ) -> Result<Releasing, CatalogueError> {
        if self.holds_for(&held, &tag).await? {
            let detail = operator.sign(json!({"case": tag}));
            self.ledger
                .audit_operator(AuditAction::Released, &held.to_string(), detail)
                .await?;
        }
        let outcome = match self.ledger.holds().release(&held, &tag).await? {
            Released::Released { .. } => ReleaseOutcome::Released,
            Released::ReleasedBefore { .. } => ReleaseOutcome::ReleasedBefore,
            Released::NotHeld => ReleaseOutcome::NeverHeld,
        };
        let covered = self.catalogue.covered_by(&held).await?;
        // What waited because it was held is due with the next sweep.
        for entry in &covered.entries {
            if matches!(entry.state, ChunkState::Exported { .. }) && entry.not_before.is_some() {
                self.ledger.wake(&entry.chunk.document_id).await?;
            }
        }
        Ok(Releasing {
            held,
            tag,
            outcome,
            still: covered.cases,
            recordings: covered.recordings,
        })
    }

    async fn holds_for(&self, held: &Held, tag: &CaseTag) -> Result<bool, CatalogueError> {
        let cases = self.ledger.holds().cases_of([held.clone()]).await?;
        Ok(cases.iter().any(|case| case.tag == *tag))
    }
}

fn is_deleted(entry: &LedgerEntry) -> bool {
    match entry.state {
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => true,
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

fn document_ids(entries: Vec<LedgerEntry>) -> Vec<DocumentId> {
    let ids = entries.into_iter().map(|entry| entry.chunk.document_id);
    ids.collect()
}
