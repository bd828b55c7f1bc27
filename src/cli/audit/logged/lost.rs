//! What the log says of checkpoints that sweeps found to be missing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use recording_vault::store::audit::{AuditAction, AuditRecord};

/// Checkpoints that were missing when a sweep looked for them, by the subjects of their records.
#[derive(Debug, Default)]
pub struct LoggedLosses {
    found_at: BTreeMap<String, Timestamp>,
    acknowledged: BTreeSet<String>,
}

impl LoggedLosses {
    pub fn add(&mut self, record: &AuditRecord) {
        let subject = || record.subject.clone();
        if record.action == AuditAction::CheckpointMissing {
            self.found_at.entry(subject()).or_insert(record.at);
        } else if record.action == AuditAction::CheckpointLossAcknowledged {
            self.acknowledged.insert(subject());
        }
    }

    /// The subjects of those that an operator acknowledged.
    pub fn acknowledged(&self) -> &BTreeSet<String> {
        &self.acknowledged
    }

    /// Says what was lost: first the losses that need attention, then those that an operator acknowledged.
    pub fn into_sentences(self) -> (Vec<String>, Vec<String>) {
        let Self {
            found_at,
            acknowledged,
        } = self;
        let (known, open): (Vec<_>, Vec<_>) = found_at
            .into_iter()
            .partition(|(checkpoint, _)| acknowledged.contains(checkpoint));
        let said = |(checkpoint, at): (String, Timestamp)| {
            format!(
                "{checkpoint} was missing when a sweep looked for it at {at:.0}: checkpoints were removed, or a part of the \
                 ledger was restored from a backup; records that only they covered may be gone"
            )
        };
        let open = open.into_iter().map(said).collect();
        (open, known.into_iter().map(said).collect())
    }
}
