//! What the audit log says of chunks whose entries are to be rebuilt. Reads the whole log.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use recording_vault::export::ExportReceipt;
use recording_vault::export::ledger::audited_proof;
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{AuditAction, AuditLog, AuditPosition, AuditRecord};
use recording_vault::store::document_store::StoreError;

/// The records of one chunk.
#[derive(Debug, Default)]
pub(super) struct LoggedCopies {
    /// Proofs of its copies, as text.
    proofs: BTreeSet<String>,
    last: Option<(Timestamp, AuditPosition)>,
}

impl LoggedCopies {
    fn add(&mut self, position: &AuditPosition, record: &AuditRecord) {
        let last = (record.at, position.clone());
        if self.last.as_ref().is_none_or(|before| *before < last) {
            self.last = Some(last);
        }
        // A rebuild records what it found in the vault.
        if record.action == AuditAction::Rebuilt {
            return;
        }
        let proof = record.detail.get("proof").unwrap_or(&record.detail);
        if proof["media"].is_string() {
            self.proofs.insert(proof.to_string());
        }
    }

    /// Whether the log has a proof of a copy, and not this one.
    pub fn contradicts(&self, receipt: &ExportReceipt) -> bool {
        let proof = audited_proof(receipt).to_string();
        !self.proofs.is_empty() && !self.proofs.contains(&proof)
    }

    /// The document with the last record.
    pub fn last(&self) -> Option<AuditPosition> {
        self.last.as_ref().map(|(_, position)| position.clone())
    }
}

/// Returns what the log says of these chunks. Documents that cannot be read are left out.
///
/// # Errors
/// When the log cannot be listed.
pub(super) async fn copies_of(
    audit: &AuditLog,
    ids: &[DocumentId],
) -> Result<BTreeMap<String, LoggedCopies>, StoreError> {
    let sought = ids.iter().map(ToString::to_string);
    let mut copies: BTreeMap<String, LoggedCopies> =
        sought.map(|id| (id, LoggedCopies::default())).collect();
    let mut log = audit.read_all().boxed();
    while let Some((position, document)) = log.try_next().await? {
        for record in document.into_records() {
            if let Some(copies) = copies.get_mut(&record.subject) {
                copies.add(&position, &record);
            }
        }
    }
    Ok(copies)
}
