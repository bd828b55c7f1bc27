//! Notes in a chunk's entry what a verification of its copies found.

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::writing::Change;
use super::{ChunkLedger, LedgerError};
use crate::export::entry::{Damage, LedgerEntry};
use crate::export::receipt::ExportReceipt;
use crate::export::state::ChunkState;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, Operator};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Same { has_read: bool },
    Different { has_read: bool, problem: String },
    NotChecked { reason: String },
}

impl Finding {
    /// The details of its audit record.
    fn detail(&self) -> Value {
        match self {
            Self::Same { .. } => json!({"result": "same"}),
            Self::Different { problem, .. } => json!({"result": "different", "reason": problem}),
            Self::NotChecked { reason } => json!({"result": "notChecked", "reason": reason}),
        }
    }
}

impl ChunkLedger {
    /// Records what a verification found of the copies with these receipts. If the chunk has other copies by now, it says
    /// nothing of them, and only the audit record is written.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn note_verified(
        &self,
        document_id: &DocumentId,
        receipts: &[ExportReceipt],
        finding: &Finding,
        operator: &Operator,
    ) -> Result<(), LedgerError> {
        let changing = self.change(document_id, None, |found| {
            let changed = found.and_then(|before| self.with_finding(before, receipts, finding));
            self.decide_verified(document_id, changed, finding, operator)
                .boxed()
        });
        changing.await.map(drop)
    }

    /// Returns an entry before and after a finding that changes it.
    fn with_finding(
        &self,
        before: LedgerEntry,
        receipts: &[ExportReceipt],
        finding: &Finding,
    ) -> Option<(LedgerEntry, LedgerEntry)> {
        if !before.copies().map(|(_, receipt)| receipt).eq(receipts) {
            return None;
        }
        let damage = match (finding, &before.damage) {
            (Finding::Different { problem, .. }, Some(known)) if known.problem == *problem => {
                return None;
            }
            (Finding::Different { has_read, problem }, _) => Some(Box::new(Damage {
                found_at: self.clock.now(),
                problem: problem.clone(),
                by_reading: *has_read,
            })),
            (Finding::Same { has_read }, Some(known)) if *has_read || !known.by_reading => None,
            (Finding::Same { .. } | Finding::NotChecked { .. }, _) => return None,
        };
        let mut after = before.clone();
        after.damage = damage;
        // ACS may still have its file: the next sweep looks whether it has to be exported again.
        if after.damage.is_some() && matches!(after.state, ChunkState::Exported { .. }) {
            after.not_before = None;
        }
        Some((before, after))
    }

    async fn decide_verified(
        &self,
        document_id: &DocumentId,
        changed: Option<(LedgerEntry, LedgerEntry)>,
        finding: &Finding,
        operator: &Operator,
    ) -> Result<Change<()>, LedgerError> {
        let (action, detail) = (AuditAction::Verified, finding.detail());
        let Some((before, after)) = changed else {
            self.audit_operator(action, document_id.as_str(), operator, detail)
                .await?;
            return Ok(Change::Leave(()));
        };
        self.by_operator((action, operator.sign(detail)), &before, after, ())
            .await
    }
}
