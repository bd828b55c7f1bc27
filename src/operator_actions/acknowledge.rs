//! Acknowledges losses, and dismisses unreadable events: both need a reason, and are counted separately from then on.

use serde::Serialize;
use serde_json::json;

use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::catalogue::known::{KnownRecording, Registration};
use crate::control::entry::AcknowledgedProblems;
use crate::export::ledger::{AcknowledgedChunk, Dismissed, LedgerError};
use crate::recording::{Acknowledgement, DocumentId, RecordingId};
use crate::standing::{self, Standing};
use crate::store::audit::AuditAction;

/// Outcome of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Acknowledging {
    Acknowledged {
        chunks: Vec<DocumentId>,
        /// The problems of the recording as a whole.
        problems: Vec<String>,
    },
    AlreadyAcknowledged,
    /// It has this standing, which is not a loss.
    NothingToAcknowledge {
        standing: Standing,
    },
    Unknown,
}

impl OperatorActions {
    /// Acknowledges that a chunk has no whole copy.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn acknowledge_chunk(
        &self,
        id: &DocumentId,
        reason: &str,
        operator: &Operator,
    ) -> Result<Acknowledging, LedgerError> {
        let why = self.because(reason, operator);
        Ok(match self.ledger.acknowledge(id, &why, operator).await? {
            AcknowledgedChunk::Acknowledged => Acknowledging::Acknowledged {
                chunks: vec![id.clone()],
                problems: Vec::new(),
            },
            AcknowledgedChunk::AlreadyAcknowledged => Acknowledging::AlreadyAcknowledged,
            AcknowledgedChunk::Unknown => Acknowledging::Unknown,
            AcknowledgedChunk::NothingToAcknowledge => {
                let found = self.ledger.find(id).await?;
                let standing = found.map_or(Standing::Unknown, |found| {
                    standing::of_chunk(&found.entry, self.clock.now()).standing
                });
                Acknowledging::NothingToAcknowledge { standing }
            }
        })
    }

    /// Acknowledges all current losses of a recording; later losses are not covered.
    ///
    /// # Errors
    /// When the ledger or the register fails.
    pub async fn acknowledge_recording(
        &self,
        id: &RecordingId,
        reason: &str,
        operator: &Operator,
    ) -> Result<Acknowledging, CatalogueError> {
        let Some(recorded) = self.catalogue.find(id).await? else {
            return Ok(Acknowledging::Unknown);
        };
        let why = self.because(reason, operator);
        let mut chunks = Vec::new();
        for entry in recorded.entries().filter(|entry| entry.lacks_whole_copy()) {
            let document_id = &entry.chunk.document_id;
            match self.ledger.acknowledge(document_id, &why, operator).await? {
                AcknowledgedChunk::Acknowledged => chunks.push(document_id.clone()),
                AcknowledgedChunk::AlreadyAcknowledged
                | AcknowledgedChunk::NothingToAcknowledge
                | AcknowledgedChunk::Unknown => {}
            }
        }
        let problems = match recorded.registration {
            Registration::Registered => self.acknowledge_whole(&recorded, &why, operator).await?,
            // There is no account to write it into.
            Registration::Unregistered => Vec::new(),
        };
        if !chunks.is_empty() || !problems.is_empty() {
            return Ok(Acknowledging::Acknowledged { chunks, problems });
        }
        let standing = recorded.assessment(self.catalogue.rules()).standing;
        Ok(if standing == Standing::Acknowledged {
            Acknowledging::AlreadyAcknowledged
        } else {
            Acknowledging::NothingToAcknowledge { standing }
        })
    }

    /// Acknowledges the problems of a recording as a whole. Returns those that were acknowledged now.
    async fn acknowledge_whole(
        &self,
        recorded: &KnownRecording,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<Vec<String>, CatalogueError> {
        let account = &recorded.account;
        let problems = standing::problems(account, &recorded.chunks);
        let is_covered = account
            .acknowledged
            .as_ref()
            .is_some_and(|known| known.covers(&problems));
        // A recording that is only awaited may still be completed.
        let rules = self.catalogue.rules();
        let is_open = recorded.assessment(rules).standing == Standing::AwaitingFiles;
        if problems.is_empty() || is_covered || is_open {
            return Ok(Vec::new());
        }
        let subject = account.recording_id.as_str();
        self.ledger
            .audit_operator(
                AuditAction::Acknowledged,
                subject,
                operator,
                json!({"reason": why.reason}),
            )
            .await?;
        let acknowledged = AcknowledgedProblems {
            said: why.clone(),
            problems: problems.clone(),
        };
        self.catalogue
            .acknowledge(&account.recording_id, &acknowledged)
            .await?;
        Ok(problems)
    }

    /// Removes an unreadable event from those that need a person.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn dismiss(
        &self,
        sha256: &str,
        reason: &str,
        operator: &Operator,
    ) -> Result<Dismissed, LedgerError> {
        let why = self.because(reason, operator);
        self.ledger.dismiss_poison(sha256, &why, operator).await
    }

    fn because(&self, reason: &str, operator: &Operator) -> Acknowledgement {
        Acknowledgement {
            at: self.clock.now(),
            by: operator.label(),
            reason: reason.to_owned(),
        }
    }
}
