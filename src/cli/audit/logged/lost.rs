//! What the log says of checkpoints that sweeps found to be missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recording_vault::store::audit::{AuditAction, AuditRecord};

/// Checkpoints that were missing when a sweep looked for them, by the subjects of their records.
#[derive(Debug, Default)]
pub struct LoggedLosses {
    /// When a sweep found it first.
    found_at: BTreeMap<String, Timestamp>,
    /// When an operator acknowledged it last.
    acknowledged_at: BTreeMap<String, Timestamp>,
}

/// What the log says of losses, as sentences.
#[derive(Debug, Default)]
pub struct SaidOfLosses {
    /// They need attention.
    pub open: Vec<String>,
    /// An operator acknowledged them.
    pub known: Vec<String>,
    /// They were acknowledged, and no sweep had found them.
    pub unfounded: Vec<String>,
}

impl LoggedLosses {
    pub fn add(&mut self, record: &AuditRecord) {
        let subject = || record.subject.clone();
        if record.action == AuditAction::CheckpointMissing {
            let first = self.found_at.entry(subject()).or_insert(record.at);
            *first = record.at.min(*first);
        } else if record.action == AuditAction::CheckpointLossAcknowledged {
            let last = self.acknowledged_at.entry(subject()).or_insert(record.at);
            *last = record.at.max(*last);
        }
    }

    /// When an operator acknowledged each loss that a sweep had found before, by the subjects of their records.
    pub fn acknowledged(&self) -> BTreeMap<String, Timestamp> {
        let acknowledged = self.acknowledged_at.iter();
        let founded = acknowledged.filter(|(checkpoint, at)| {
            let found_at = self.found_at.get(*checkpoint);
            found_at.is_some_and(|found_at| found_at <= *at)
        });
        founded.map(|(name, at)| (name.clone(), *at)).collect()
    }

    pub fn into_sentences(self) -> SaidOfLosses {
        let acknowledged = self.acknowledged();
        let mut said = SaidOfLosses::default();
        for (checkpoint, at) in self.found_at {
            let sentence = format!(
                "{checkpoint} was missing when a sweep looked for it at {at:.0}: checkpoints were removed, or a part of the \
                 ledger was restored from a backup; records that only they covered may be gone"
            );
            if acknowledged.contains_key(&checkpoint) {
                said.known.push(sentence);
            } else {
                said.open.push(sentence);
            }
        }
        let all = self.acknowledged_at.into_iter();
        let unfounded = all.filter(|(checkpoint, _)| !acknowledged.contains_key(checkpoint));
        said.unfounded = unfounded
            .map(|(checkpoint, at)| {
                format!(
                    "the loss of {checkpoint} was acknowledged at {at:.0}, and no record says that a sweep had found it before"
                )
            })
            .collect();
        said
    }
}
