//! Records ledger writes in the audit log before they take effect.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ChunkLedger, LedgerError};
use crate::export::entry::{FurtherFile, LedgerEntry};
use crate::export::intent::IntendedDeletion;
use crate::export::receipt::{ExportReceipt, VerifiedFile};
use crate::export::state::ChunkState;
use crate::recording::{DocumentId, RecordingChunk};
use crate::store::audit::{Actor, AuditAction, AuditLog, AuditPosition, Operator};

impl ChunkLedger {
    /// The log of everything that happens to chunks.
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Like [`audit`](Self::audit), as an owned handle.
    pub fn audit_log(&self) -> Arc<AuditLog> {
        Arc::clone(&self.audit)
    }

    /// Records what an operator is about to do, with the operator's name and door. Returns the position in the log.
    ///
    /// # Errors
    /// When the storage fails: the action must then not be taken.
    pub async fn audit_operator(
        &self,
        action: AuditAction,
        subject: &str,
        operator: &Operator,
        detail: Value,
    ) -> Result<AuditPosition, LedgerError> {
        Ok(self
            .audit
            .append(Actor::Operator, action, subject, operator.sign(detail))
            .await?)
    }

    /// Records what the handler is about to do to a chunk. Returns the position in the log.
    ///
    /// # Errors
    /// When the storage fails: the action must then not be taken.
    pub async fn audit_step(
        &self,
        action: AuditAction,
        document_id: &DocumentId,
        detail: Value,
    ) -> Result<AuditPosition, LedgerError> {
        Ok(self
            .audit
            .append(Actor::Handler, action, document_id.as_str(), detail)
            .await?)
    }

    pub(super) async fn audit_recorded(
        &self,
        action: AuditAction,
        chunk: &RecordingChunk,
    ) -> Result<AuditPosition, LedgerError> {
        let (action, detail) = announced(action, chunk);
        self.audit_step(action, &chunk.document_id, detail).await
    }

    /// Records a change before it is written: another state, an intent to delete at ACS.
    pub(super) async fn audit_change(
        &self,
        before: &LedgerEntry,
        after: &mut LedgerEntry,
    ) -> Result<(), LedgerError> {
        let records = records_of(before, after);
        let position = self.audit_steps(&after.chunk.document_id, records).await?;
        note_audited(after, position);
        Ok(())
    }

    /// Records what the handler is about to do to a chunk. Returns the position in the log; `None` if it does nothing
    /// that is recorded.
    pub(super) async fn audit_steps(
        &self,
        document_id: &DocumentId,
        records: Vec<(AuditAction, Value)>,
    ) -> Result<Option<AuditPosition>, LedgerError> {
        if records.is_empty() {
            return Ok(None);
        }
        let appending = self
            .audit
            .append_together(Actor::Handler, document_id.as_str(), records);
        Ok(Some(appending.await?))
    }
}

pub(super) fn note_audited(entry: &mut LedgerEntry, position: Option<AuditPosition>) {
    if let Some(position) = position {
        entry.note_audited(position);
    }
}

/// The records of a change.
pub(super) fn records_of(before: &LedgerEntry, after: &LedgerEntry) -> Vec<(AuditAction, Value)> {
    let mut records = Vec::new();
    if before.state != after.state {
        records.push(audited_state(&after.state));
    }
    let known = before.further.iter().filter_map(FurtherFile::receipt);
    let known: Vec<&ExportReceipt> = known.chain(before.state.receipt()).collect();
    let further = after
        .further
        .iter()
        .filter_map(FurtherFile::receipt)
        .filter(|receipt| !known.contains(receipt))
        .map(|receipt| (AuditAction::OtherFileExported, audited_proof(receipt)));
    records.extend(further);
    let began_at = |entry: &LedgerEntry| entry.intent.as_ref().map(|intent| intent.began_at);
    if began_at(before) != began_at(after)
        && let Some(IntendedDeletion { at, other_object }) =
            after.intent.as_ref().map(|intent| &intent.deletes)
    {
        let mut detail = json!({"at": at});
        if let Some(other) = other_object {
            detail["otherObject"] = other.as_str().into();
        }
        records.push((AuditAction::DeletingSource, detail));
    }
    records
}

/// The audit record of what an event announced.
pub(super) fn announced(action: AuditAction, chunk: &RecordingChunk) -> (AuditAction, Value) {
    let mut detail =
        json!({"recordingId": chunk.recording_id, "index": chunk.index, "eventId": chunk.event_id});
    if let Some(id) = &chunk.call_id {
        detail["callId"] = id.as_str().into();
    }
    if let Some(id) = &chunk.server_call_id {
        detail["serverCallId"] = id.as_str().into();
    }
    (action, detail)
}

/// The audit record of a chunk that enters this state.
pub fn audited_state(state: &ChunkState) -> (AuditAction, Value) {
    (action_of(state), described(state))
}

fn action_of(state: &ChunkState) -> AuditAction {
    match state {
        ChunkState::Pending => AuditAction::Pending,
        ChunkState::Exported { .. } => AuditAction::Exported,
        ChunkState::SourceDeleted { .. } => AuditAction::SourceDeleted,
        ChunkState::SourceLeft { .. } => AuditAction::SourceLeft,
        ChunkState::InPlace { .. } => AuditAction::InPlace,
        ChunkState::Removing { .. } => AuditAction::Removing,
        ChunkState::Removed { .. } => AuditAction::Removed,
        ChunkState::Expired { .. } => AuditAction::Expired,
        ChunkState::DeadLettered { .. } => AuditAction::DeadLettered,
    }
}

/// A state, as the log records it.
fn described(state: &ChunkState) -> Value {
    match state {
        ChunkState::Pending => Value::Null,
        ChunkState::Exported { receipt } | ChunkState::SourceDeleted { receipt, .. } => {
            audited_proof(receipt)
        }
        ChunkState::SourceLeft { receipt, reason } => {
            json!({"proof": audited_proof(receipt), "reason": reason})
        }
        ChunkState::InPlace { files, .. } => {
            json!({"sizeBytes": files.media.size_bytes, "sha256": files.media.sha256})
        }
        ChunkState::Removing { receipt, .. } => receipt.as_ref().map(audited_proof).into(),
        ChunkState::Removed {
            receipt, reason, ..
        } => json!({"proof": receipt.as_ref().map(audited_proof), "reason": reason}),
        ChunkState::Expired { reason, .. } | ChunkState::DeadLettered { reason, .. } => {
            json!({"reason": reason})
        }
    }
}

/// A proof, as the audit log records it.
pub fn audited_proof(receipt: &ExportReceipt) -> Value {
    let media = receipt.media();
    json!({
        "media": media.name(), "sizeBytes": media.size_bytes(), "sha256": media.sha256(), "vault": receipt.vault(),
        "metadataSha256": receipt.metadata().map(VerifiedFile::sha256), "anomaly": receipt.anomaly(),
    })
}
