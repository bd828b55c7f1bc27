//! What the log says of checkpoints that sweeps found to be missing.

use std::fmt;

use jiff::Timestamp;
use recording_vault::store::audit::{AuditAction, AuditRecord};

/// A checkpoint that was missing when a sweep looked for it.
#[derive(Debug)]
pub struct LoggedLoss {
    /// As the record names it.
    checkpoint: String,
    found_at: Timestamp,
}

impl LoggedLoss {
    pub fn of(record: &AuditRecord) -> Option<Self> {
        (record.action == AuditAction::CheckpointMissing).then(|| Self {
            checkpoint: record.subject.clone(),
            found_at: record.at,
        })
    }
}

impl fmt::Display for LoggedLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            checkpoint,
            found_at,
        } = self;
        write!(
            f,
            "{checkpoint} was missing when a sweep looked for it at {found_at:.0}: checkpoints were removed, or a part of the \
             ledger was restored from a backup; records that only they covered may be gone"
        )
    }
}
