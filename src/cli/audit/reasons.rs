//! Compares who acknowledged something, and why, with the records of it.

use recording_vault::app::App;
use recording_vault::recording::Acknowledgement;
use recording_vault::store::audit::{AuditLog, AuditRecord};
use recording_vault::store::document_store::StoreError;
use serde_json::Value;

/// What an acknowledgement says that none of its records does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Nothing,
    Reason,
    Operator,
}

/// Compares an acknowledgement with its records.
///
/// # Errors
/// When the texts of the records cannot be read.
pub async fn changed(
    app: &App,
    why: &Acknowledgement,
    records: &[AuditRecord],
) -> Result<Changed, StoreError> {
    let mut changed = Changed::Reason;
    for record in records {
        let record = app.ledger.audit().reveal(record.clone()).await?;
        let reason = record.detail["reason"].as_str();
        // What was erased is not compared; what is missing otherwise is reported with the log.
        let is_gone = reason.is_none_or(AuditLog::is_placeholder);
        if !is_gone && reason != Some(&why.reason) {
            continue;
        }
        if is_by(why, &record.detail) {
            return Ok(Changed::Nothing);
        }
        changed = Changed::Operator;
    }
    Ok(changed)
}

/// Whether a record has the operator of an acknowledgement. A shell's user is in the record alone, and an erasure removes
/// names.
fn is_by(why: &Acknowledgement, detail: &Value) -> bool {
    let Some(by) = &why.by else { return true };
    let verified = detail["by"].as_str();
    let claimed = detail["claimedBy"].as_str();
    let is_label =
        |name: &str, mark: &str| AuditLog::is_placeholder(name) || *by == format!("{name}{mark}");
    verified.is_some_and(|name| is_label(name, ""))
        || claimed.is_some_and(|name| is_label(name, " (claimed)"))
}
