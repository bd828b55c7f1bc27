//! Looks for checkpoints that are named beside the chain and are missing: they were removed, or a part of the ledger was
//! restored from a backup. Such a loss is recorded in the log once, and the hint keeps naming the lost checkpoint, so that
//! every later sweep of every process finds it, until an operator acknowledges it.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use crate::store::audit::action::AuditAction;
use crate::store::audit::name::{CheckpointRef, NEWEST_CHECKPOINT};
use crate::store::audit::reading::FoundDocument;
use crate::store::audit::record::{Actor, AuditRecord};
use crate::store::audit::subjects::SubjectKey;
use crate::store::audit::{AuditLog, Operator, failed};
use crate::store::document_store::{Precondition, PutOutcome, StoreError};

/// A checkpoint that is named beside the chain, and is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostCheckpoint {
    pub checkpoint: CheckpointRef,
    pub named_by: NamedBy,
}

/// Documents with records of one checkpoint that are read.
const OF_SUBJECT: usize = 16;

/// Outcome of acknowledging a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgedLoss {
    Acknowledged,
    AlreadyAcknowledged,
    /// No sweep found that it is missing.
    Unknown,
}

/// What names a checkpoint beside the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// `audit/newest-checkpoint.json`.
    Hint,
    LastSweep,
    /// This process has read or written it.
    Process,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hint => "`audit/newest-checkpoint.json`",
            Self::LastSweep => "the last sweep",
            Self::Process => "a process that had read it",
        })
    }
}

impl fmt::Display for LostCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            checkpoint,
            named_by,
        } = self;
        write!(
            f,
            "checkpoint {checkpoint}, which {named_by} names, is missing: checkpoints were removed, or a part of the ledger was \
             restored from a backup"
        )
    }
}

impl AuditLog {
    /// Returns the newest checkpoint that something beside the chain names, and that is missing. It is recorded first, and
    /// the hint names it. One that is acknowledged is passed over. `by_last_sweep`: what the last sweep names.
    pub(super) async fn lost(
        &self,
        by_last_sweep: Option<CheckpointRef>,
    ) -> Result<Option<LostCheckpoint>, StoreError> {
        let hint = self.hint().await?;
        let named = [
            (hint, NamedBy::Hint),
            (by_last_sweep, NamedBy::LastSweep),
            (self.known_reference(), NamedBy::Process),
        ];
        let (mut seen, mut newest) = (Vec::new(), None::<LostCheckpoint>);
        for (checkpoint, named_by) in named {
            let Some(checkpoint) = checkpoint.filter(|named| !seen.contains(named)) else {
                continue;
            };
            seen.push(checkpoint);
            if self.is_stored(checkpoint).await? {
                continue;
            }
            if self.is_acknowledged(checkpoint).await? {
                self.forget_lost(checkpoint).await?;
                continue;
            }
            let lost = LostCheckpoint {
                checkpoint,
                named_by,
            };
            self.record_lost(lost).await?;
            let number = |lost: LostCheckpoint| lost.checkpoint.number;
            if newest.map(number) < Some(number(lost)) {
                newest = Some(lost);
            }
        }
        if let Some(lost) = newest {
            self.forget_known();
            self.keep_hint_at(lost.checkpoint).await?;
        }
        Ok(newest)
    }

    /// Records that an operator knows of the loss of a checkpoint. The next sweep of each process passes over it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn acknowledge_lost(
        &self,
        checkpoint: CheckpointRef,
        reason: &str,
        operator: &Operator,
    ) -> Result<AcknowledgedLoss, StoreError> {
        if self.is_acknowledged(checkpoint).await? {
            return Ok(AcknowledgedLoss::AlreadyAcknowledged);
        }
        if !self
            .is_recorded(checkpoint, &AuditAction::CheckpointMissing)
            .await?
        {
            return Ok(AcknowledgedLoss::Unknown);
        }
        let action = AuditAction::CheckpointLossAcknowledged;
        let detail = operator.sign(json!({"reason": reason}));
        self.append(Actor::Operator, action, &checkpoint.subject(), detail)
            .await?;
        Ok(AcknowledgedLoss::Acknowledged)
    }

    async fn is_acknowledged(&self, checkpoint: CheckpointRef) -> Result<bool, StoreError> {
        self.is_recorded(checkpoint, &AuditAction::CheckpointLossAcknowledged)
            .await
    }

    /// Whether one of the last records of a checkpoint is this action.
    async fn is_recorded(
        &self,
        checkpoint: CheckpointRef,
        action: &AuditAction,
    ) -> Result<bool, StoreError> {
        let subject = checkpoint.subject();
        let marked = self.newest_of(SubjectKey::of(&subject), OF_SUBJECT).await?;
        for document in marked {
            let FoundDocument::Records(records) = self.read(&document.position).await? else {
                continue;
            };
            let is_it =
                |record: &AuditRecord| record.subject == subject && record.action == *action;
            if records.iter().any(is_it) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets an acknowledged loss: the hint may name the newest checkpoint again.
    async fn forget_lost(&self, lost: CheckpointRef) -> Result<(), StoreError> {
        if self.known_reference() == Some(lost) {
            self.forget_known();
        }
        let Some(stored) = self.replaceable_hint().await? else {
            return Ok(());
        };
        let there = serde_json::from_slice::<CheckpointRef>(&stored.content).ok();
        if there == Some(lost) {
            // Where another process replaced it meanwhile, it names another one.
            let removing = self
                .store
                .remove_unchanged(NEWEST_CHECKPOINT, &stored.version);
            removing.await?;
        }
        Ok(())
    }

    /// Records a loss, unless it is in the log.
    async fn record_lost(&self, lost: LostCheckpoint) -> Result<(), StoreError> {
        let LostCheckpoint {
            checkpoint,
            named_by,
        } = lost;
        let subject = checkpoint.subject();
        if self
            .is_recorded(checkpoint, &AuditAction::CheckpointMissing)
            .await?
        {
            return Ok(());
        }
        let CheckpointRef { number, sha256 } = checkpoint;
        let named_by = named_by.to_string();
        let detail = json!({"number": number, "sha256": sha256, "namedBy": named_by});
        let action = AuditAction::CheckpointMissing;
        self.append(Actor::Handler, action, &subject, detail)
            .await?;
        Ok(())
    }

    /// Makes the hint name a lost checkpoint: no later checkpoint replaces it.
    async fn keep_hint_at(&self, lost: CheckpointRef) -> Result<(), StoreError> {
        let stored = self.replaceable_hint().await?;
        let content = Bytes::from(serde_json::to_vec(&lost).expect("it has string keys only"));
        let condition = match stored {
            Some(stored) if stored.content == content => return Ok(()),
            Some(stored) => Precondition::Unchanged(stored.version),
            None => Precondition::Absent,
        };
        let put = self.store.put(NEWEST_CHECKPOINT, content, condition);
        match put.await? {
            PutOutcome::Written(_) => Ok(()),
            // The next sweep finds the loss again.
            PutOutcome::Conflict => Err(failed(
                "another sweep wrote the name of the newest checkpoint at the same time".to_owned(),
            )),
        }
    }
}
