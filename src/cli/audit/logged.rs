//! The audit log's records of each chunk, in so few bytes that a long log fits into memory.

use std::collections::BTreeMap;

use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{AuditAction, AuditRecord};
use recording_vault::store::digest::Sha256Digest;
use serde_json::Value;

/// The chunks that the log has records of.
#[derive(Debug, Default)]
pub struct LoggedChunks {
    chunks: BTreeMap<DocumentId, Vec<Fingerprint>>,
}

/// A state that a chunk came into: its name and its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub fn of(action: &AuditAction, detail: &Value) -> Self {
        // A rebuild of an entry from its receipt counts as its export.
        let action = if *action == AuditAction::Rebuilt {
            &AuditAction::Exported
        } else {
            action
        };
        let digest = Sha256Digest::of(format!("{action}\n{detail}").as_bytes()).to_bytes();
        let (half, _) = digest.split_at(16);
        Self(half.try_into().expect("half of 32 bytes are 16"))
    }
}

impl LoggedChunks {
    pub fn add(&mut self, record: &AuditRecord) {
        // Actions on anything but a chunk have another kind of subject.
        let Ok(id) = record.subject.parse::<DocumentId>() else {
            return;
        };
        let found = self.chunks.entry(id).or_default();
        let fingerprint = Fingerprint::of(&record.action, &record.detail);
        if !found.contains(&fingerprint) {
            found.push(fingerprint);
        }
    }

    pub fn has(&self, id: &DocumentId) -> bool {
        self.chunks.contains_key(id)
    }

    pub fn has_state(&self, id: &DocumentId, state: Fingerprint) -> bool {
        let found = self.chunks.get(id);
        found.is_some_and(|found| found.contains(&state))
    }

    pub fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        self.chunks.keys()
    }
}
