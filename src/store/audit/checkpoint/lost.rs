//! Looks for checkpoints that are named beside the chain and are missing: they were removed, or a part of the ledger was
//! restored from a backup. Such a loss is recorded in the log once, and the hint keeps naming the lost checkpoint, so that
//! every later sweep of every process finds it, until an operator acknowledges it.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use crate::store::audit::action::AuditAction;
use crate::store::audit::name::{CheckpointRef, NEWEST_CHECKPOINT};
use crate::store::audit::reading::FoundDocument;
use crate::store::audit::record::Actor;
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

/// What the log says of the loss of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordedLoss {
    Unrecorded,
    FoundAt(Timestamp),
    Acknowledged,
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
            let lost = LostCheckpoint {
                checkpoint,
                named_by,
            };
            match self.recorded_loss(checkpoint).await? {
                RecordedLoss::Acknowledged => {
                    self.forget_lost(checkpoint).await?;
                    continue;
                }
                RecordedLoss::Unrecorded => self.record_lost(lost).await?,
                RecordedLoss::FoundAt(_) => {}
            }
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
        match self.recorded_loss(checkpoint).await? {
            RecordedLoss::Acknowledged => return Ok(AcknowledgedLoss::AlreadyAcknowledged),
            RecordedLoss::Unrecorded => return Ok(AcknowledgedLoss::Unknown),
            // An acknowledgement counts only if it is later.
            RecordedLoss::FoundAt(at) if self.clock.now() < at => {
                return Err(failed(format!(
                    "a sweep found the loss at {at}, which is later than the clock of this machine says"
                )));
            }
            RecordedLoss::FoundAt(_) => {}
        }
        let action = AuditAction::CheckpointLossAcknowledged;
        let detail = operator.sign(json!({"reason": reason}));
        self.append(Actor::Operator, action, &checkpoint.subject(), detail)
            .await?;
        Ok(AcknowledgedLoss::Acknowledged)
    }

    /// What the last records of a checkpoint say. An acknowledgement counts only after a sweep found the loss: before, there
    /// was nothing that an operator could know of.
    async fn recorded_loss(&self, checkpoint: CheckpointRef) -> Result<RecordedLoss, StoreError> {
        let subject = checkpoint.subject();
        let marked = self.newest_of(SubjectKey::of(&subject), OF_SUBJECT).await?;
        let (mut found_at, mut acknowledged_at) = (None::<Timestamp>, None::<Timestamp>);
        for document in marked {
            let FoundDocument::Records(records) = self.read(&document.position).await? else {
                continue;
            };
            for record in records.iter().filter(|record| record.subject == subject) {
                if record.action == AuditAction::CheckpointMissing {
                    found_at = Some(found_at.map_or(record.at, |first| first.min(record.at)));
                } else if record.action == AuditAction::CheckpointLossAcknowledged {
                    acknowledged_at = acknowledged_at.max(Some(record.at));
                }
            }
        }
        Ok(match found_at {
            None => RecordedLoss::Unrecorded,
            Some(found_at) if acknowledged_at >= Some(found_at) => RecordedLoss::Acknowledged,
            Some(found_at) => RecordedLoss::FoundAt(found_at),
        })
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

    async fn record_lost(&self, lost: LostCheckpoint) -> Result<(), StoreError> {
        let LostCheckpoint {
            checkpoint,
            named_by,
        } = lost;
        let subject = checkpoint.subject();
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
