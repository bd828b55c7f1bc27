//! Looks for checkpoints that are named beside the chain and are missing: they were removed, or a part of the ledger was
//! restored from a backup. Such a loss is recorded in the log once, and the hint keeps naming the lost checkpoint, so that
//! every later sweep of every process finds it.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use crate::store::audit::action::AuditAction;
use crate::store::audit::name::{CheckpointRef, NEWEST_CHECKPOINT};
use crate::store::audit::record::Actor;
use crate::store::audit::subjects::SubjectKey;
use crate::store::audit::{AuditLog, failed};
use crate::store::document_store::{Precondition, PutOutcome, StoreError};

/// A checkpoint that is named beside the chain, and is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostCheckpoint {
    pub checkpoint: CheckpointRef,
    pub named_by: NamedBy,
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
    /// Returns the newest checkpoint that something beside the chain names, and that is missing. Before that it is in the
    /// log, and the hint names it. `by_last_sweep`: what the last sweep names.
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

    /// Records a loss, unless it is in the log.
    async fn record_lost(&self, lost: LostCheckpoint) -> Result<(), StoreError> {
        let LostCheckpoint {
            checkpoint,
            named_by,
        } = lost;
        let subject = format!("checkpoint {checkpoint}");
        let recorded = self.newest_of(SubjectKey::of(&subject), 1).await?;
        if !recorded.is_empty() {
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
