//! Checkpoints: the ends of all logs, in a chain of their own. One is written by each sweep that finds something new.
//!
//! ```text
//! audit/checkpoints/000000000001.json   {"number": 1, "previous": "00…", "ends": {<log>: {"number", "sha256", "state"}}}
//! audit/newest-checkpoint.json          {"number", "sha256"}   where to begin to look for the newest; may be behind
//! ```
//! A log that was quiet for long is closed: the sweep creates its next document. Its writer may only be slow; it finds that
//! document when it writes again, and begins another log. Once a checkpoint has the closed end, the log's marker goes.

mod lost;
mod newest;
mod search;
mod survey;
mod unmarked;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::name::{self, CheckpointRef, WriterName};
use super::record::{Checkpoint, LogEnd, LogState};
use super::{AuditLog, failed};
use crate::error_chain::ErrorChain;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Precondition, PutOutcome, StoreError};
use newest::Newest;
use survey::Surveyed;

pub use lost::{AcknowledgedLoss, LostCheckpoint, NamedBy};
pub(super) use newest::KnownNewest;
pub use survey::UnreadLog;
pub(super) use unmarked::LogListing;

/// How often in a row other sweeps may be faster.
const CONFLICTS_TOLERATED: u32 = 8;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointed {
    /// A new checkpoint covers all records until now.
    Written(CheckpointRef),
    /// The newest checkpoint, if any, already covers them.
    NothingNew(Option<CheckpointRef>),
}

impl Checkpointed {
    /// The newest checkpoint.
    pub fn newest(self) -> Option<CheckpointRef> {
        match self {
            Self::Written(newest) => Some(newest),
            Self::NothingNew(newest) => newest,
        }
    }
}

/// What a sweep did, and what it could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweptLog {
    pub checkpointed: Checkpointed,
    /// Logs of which the newest checkpoint has an earlier end, or none.
    pub unread: Vec<UnreadLog>,
    /// A checkpoint that is named beside the chain and is missing: what it covered may be gone.
    pub lost: Option<LostCheckpoint>,
}

impl AuditLog {
    /// Writes a checkpoint if a log has grown since the last, and closes logs that are quiet.
    ///
    /// # Errors
    /// When the storage fails, or other sweeps were faster too often. What is not done is done by the next sweep.
    pub async fn checkpoint(&self) -> Result<Checkpointed, StoreError> {
        Ok(self.sweep_logs(None).await?.checkpointed)
    }

    /// The same, with the logs that the checkpoint does not cover to their ends, and with a checkpoint that is missing.
    /// `by_last_sweep`: the checkpoint that the last sweep names.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub async fn sweep_logs(
        &self,
        by_last_sweep: Option<CheckpointRef>,
    ) -> Result<SweptLog, StoreError> {
        // Before the survey, so that the next checkpoint covers the record of a loss.
        let lost = self.lost(by_last_sweep).await?;
        for _ in 0..CONFLICTS_TOLERATED {
            let newest = self.newest().await?;
            let Surveyed { ends, unread } = self.survey(newest.as_ref()).await?;
            let known = |writer: &WriterName| newest.as_ref()?.ends.get(writer);
            let has_new = ends.iter().any(|(writer, end)| known(writer) != Some(end));
            let reference = newest.as_ref().map(|newest| newest.reference);
            if !has_new {
                self.remove_markers(&ends).await;
                let checkpointed = Checkpointed::NothingNew(reference);
                return Ok(SweptLog {
                    checkpointed,
                    unread,
                    lost,
                });
            }
            let checkpoint = Checkpoint {
                number: reference.map_or(0, |reference| reference.number) + 1,
                previous: reference.map_or(Sha256Digest::ZERO, |reference| reference.sha256),
                at: self.clock.now(),
                ends,
            };
            if let Some(written) = self.create(&checkpoint).await? {
                self.remember_read(&Newest {
                    reference: written,
                    ends: checkpoint.ends.clone(),
                });
                self.note_newest(written).await;
                self.remove_markers(&checkpoint.ends).await;
                let checkpointed = Checkpointed::Written(written);
                return Ok(SweptLog {
                    checkpointed,
                    unread,
                    lost,
                });
            }
        }
        Err(failed(
            "other sweeps wrote checkpoints at the same time".to_owned(),
        ))
    }

    /// `None`: another sweep was first.
    async fn create(&self, checkpoint: &Checkpoint) -> Result<Option<CheckpointRef>, StoreError> {
        if checkpoint.number > name::LAST_NUMBER {
            let last = name::checkpoint(name::LAST_NUMBER);
            return Err(failed(format!(
                "no checkpoint can follow `{last}`, which no sweep wrote: remove it"
            )));
        }
        let content =
            Bytes::from(serde_json::to_vec(checkpoint).expect("a checkpoint has string keys only"));
        let key = name::checkpoint(checkpoint.number);
        let written = CheckpointRef {
            number: checkpoint.number,
            sha256: Sha256Digest::of(&content),
        };
        let failure = match self
            .store
            .put(&key, content.clone(), Precondition::Absent)
            .await
        {
            Ok(PutOutcome::Written(_)) => return Ok(Some(written)),
            Ok(PutOutcome::Conflict) => None,
            Err(error) => Some(error),
        };
        match (self.store.find(&key).await, failure) {
            // Our own write, whose response was lost.
            (Ok(Some(found)), _) if found.content == content => Ok(Some(written)),
            (_, Some(failure)) | (Err(failure), None) => Err(failure),
            (Ok(_), None) => Ok(None),
        }
    }

    /// Removes the markers of logs whose closed end is in a checkpoint. A marker that stays is removed by the next sweep.
    async fn remove_markers(&self, ends: &BTreeMap<WriterName, LogEnd>) {
        let closed = ends.iter().filter(|(_, end)| end.state == LogState::Closed);
        for (writer, _) in closed {
            if let Err(error) = self.store.remove(&writer.live_marker()).await {
                tracing::debug!(error = %ErrorChain(&error), "Could not remove the marker of a closed audit log");
            }
        }
    }
}
