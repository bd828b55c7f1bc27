//! What the audit log says of chunks whose entries are to be rebuilt. Reads the whole log.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use recording_vault::export::ExportReceipt;
use recording_vault::export::ledger::{BeforeSetAside, audited_proof};
use recording_vault::export::receipt::VaultName;
use recording_vault::recording::DocumentId;
use recording_vault::store::audit::{
    AuditAction, AuditLog, AuditPosition, AuditRecord, FoundDocument, LogGaps,
};
use recording_vault::store::document_store::StoreError;
use serde_json::json;

/// What the log says of the chunks.
#[derive(Debug, Default)]
pub(super) struct LoggedChunks {
    by_id: BTreeMap<String, LoggedCopies>,
    gaps: LogGaps,
}

/// The records of one chunk.
#[derive(Debug, Clone, Default)]
pub(super) struct LoggedCopies {
    /// Proofs of its copies, as text.
    proofs: BTreeSet<String>,
    /// When a copy was proved last, and whether that is in the backup vault.
    last_proof: Option<(Timestamp, AuditPosition, bool)>,
    last: Option<(Timestamp, AuditPosition)>,
    first_at: Option<Timestamp>,
    /// When its copy was removed, or its recording erased, last.
    removed: Option<(Timestamp, AuditPosition)>,
    /// When it was recorded, exported or rebuilt last.
    recorded: Option<(Timestamp, AuditPosition)>,
    /// When the removal of its copy began last. The copy may be whole, or held since.
    removing: Option<(Timestamp, AuditPosition)>,
    /// When a removal that was stopped gave it back last.
    given_back: Option<(Timestamp, AuditPosition)>,
}

impl LoggedChunks {
    pub fn of(&self, id: &DocumentId) -> LoggedCopies {
        self.by_id.get(id.as_str()).cloned().unwrap_or_default()
    }

    /// What is missing or could not be read, if there is anything.
    pub fn unread(&self) -> Option<String> {
        self.gaps.what()
    }
}

impl LoggedCopies {
    fn add(&mut self, position: &AuditPosition, record: &AuditRecord) {
        let at = (record.at, position.clone());
        if let Some(last) = self.last_of(&record.action) {
            *last = last.take().max(Some(at.clone()));
        }
        self.last = self.last.take().max(Some(at));
        let first_at = self
            .first_at
            .map_or(record.at, |first| first.min(record.at));
        self.first_at = Some(first_at);
        // A rebuild records what it found in the vault.
        if record.action == AuditAction::Rebuilt {
            return;
        }
        let proof = record.detail.get("proof").unwrap_or(&record.detail);
        if proof["media"].is_string() {
            let is_in_backup = proof["vault"] == json!(VaultName::Backup);
            let proved = (record.at, position.clone(), is_in_backup);
            self.last_proof = self.last_proof.take().max(Some(proved));
            self.proofs.insert(proof.to_string());
        }
    }

    /// The time that records of an action move.
    fn last_of(&mut self, action: &AuditAction) -> Option<&mut Option<(Timestamp, AuditPosition)>> {
        let is_begun = *action == AuditAction::Removing;
        let is_removal = matches!(action, AuditAction::Removed | AuditAction::RecordedErased);
        let is_record = matches!(
            action,
            AuditAction::Recorded
                | AuditAction::Pending
                | AuditAction::Exported
                | AuditAction::Rebuilt
                | AuditAction::EntrySetAside
        );
        // A process that was frozen may write these after another one finished the removal.
        let is_end = matches!(
            action,
            AuditAction::SourceDeleted
                | AuditAction::SourceWasGone
                | AuditAction::SourceLeft
                | AuditAction::Expired
                | AuditAction::DeadLettered
        );
        match (is_begun, is_removal, is_record, is_end) {
            (true, ..) => Some(&mut self.removing),
            (_, true, ..) => Some(&mut self.removed),
            (_, _, true, _) => Some(&mut self.recorded),
            (_, _, _, true) => Some(&mut self.given_back),
            (false, false, false, false) => None,
        }
    }

    /// Whether the log has a proof of a copy, and not this one.
    pub fn contradicts(&self, receipt: &ExportReceipt) -> bool {
        !self.proofs.is_empty() && !self.has(receipt)
    }

    /// Whether the log has this proof of a copy.
    pub fn has(&self, receipt: &ExportReceipt) -> bool {
        self.proofs.contains(&audited_proof(receipt).to_string())
    }

    /// Whether the last copy that it has a proof of is in the backup vault.
    pub fn is_in_backup(&self) -> bool {
        let last = self.last_proof.as_ref();
        last.is_some_and(|(_, _, is_in_backup)| *is_in_backup)
    }

    /// Whether its copy was removed, or its recording erased, and it was not recorded since.
    pub fn is_removed(&self) -> bool {
        self.removed.is_some() && self.removed >= self.recorded
    }

    /// Whether a removal of its copy began, and no record says how it ended: all of the copy may be there.
    pub fn is_removal_begun(&self) -> bool {
        let is_ended = self.removing <= self.recorded.clone().max(self.given_back.clone());
        self.removing.is_some() && !is_ended && !self.is_removed()
    }

    pub fn before_set_aside(&self) -> BeforeSetAside {
        BeforeSetAside {
            last: self.last(),
            recorded_at: self.first_at,
        }
    }

    /// The document with the last record.
    pub fn last(&self) -> Option<AuditPosition> {
        self.last.as_ref().map(|(_, position)| position.clone())
    }
}

/// Returns what the log says of these chunks. Documents that are missing or cannot be read are counted.
///
/// # Errors
/// When the log or its checkpoints cannot be listed.
pub(super) async fn copies_of(
    audit: &AuditLog,
    ids: &[DocumentId],
) -> Result<LoggedChunks, StoreError> {
    let sought = ids.iter().map(ToString::to_string);
    let mut logged = LoggedChunks {
        by_id: sought.map(|id| (id, LoggedCopies::default())).collect(),
        ..LoggedChunks::default()
    };
    // Before the log: what a checkpoint has must be there.
    let expected = audit.checkpointed_documents().await?;
    let mut log = audit.read_all().boxed();
    while let Some((position, document)) = log.try_next().await? {
        let records = match document {
            FoundDocument::Records(records) => records,
            FoundDocument::Missing | FoundDocument::Unreadable => {
                logged.gaps.unread(&position);
                continue;
            }
        };
        logged.gaps.read(&position);
        for record in records {
            if let Some(copies) = logged.by_id.get_mut(&record.subject) {
                copies.add(&position, &record);
            }
        }
    }
    expected.add_to(&mut logged.gaps);
    Ok(logged)
}

#[cfg(test)]
mod tests {
    use recording_vault::store::audit::Actor;
    use serde_json::Value;

    use super::*;

    /// The records of a chunk, a second apart.
    fn logged(actions: &[AuditAction]) -> LoggedCopies {
        let mut logged = LoggedCopies::default();
        for (second, action) in (0..).zip(actions) {
            let position = format!("20260302100000-{}/{}", "a".repeat(32), second + 1);
            let record = AuditRecord {
                at: Timestamp::from_second(second).expect("it is a time"),
                actor: Actor::Handler,
                action: action.clone(),
                subject: "a".to_owned(),
                detail: Value::Null,
            };
            logged.add(&position.parse().expect("it is a position"), &record);
        }
        logged
    }

    #[test]
    fn a_copy_that_was_moved_home_is_not_in_the_backup_vault() {
        let proved = |copies: &mut LoggedCopies, second, vault| {
            let position = format!("20260302100000-{}/{second}", "a".repeat(32));
            let record = AuditRecord {
                at: Timestamp::from_second(second).expect("it is a time"),
                actor: Actor::Handler,
                action: AuditAction::Exported,
                subject: "a".to_owned(),
                detail: json!({"media": "a.wav", "vault": vault}),
            };
            copies.add(&position.parse().expect("it is a position"), &record);
        };
        let mut copies = LoggedCopies::default();
        proved(&mut copies, 1, VaultName::Backup);
        assert!(copies.is_in_backup());
        proved(&mut copies, 2, VaultName::Home);
        assert!(!copies.is_in_backup());
    }

    #[test]
    fn a_chunk_is_removed_until_it_is_recorded_again() {
        use AuditAction::{Exported, Played, Recorded, Removed, Removing, SourceDeleted};
        let removed = [Recorded, Exported, Removing, Removed, Played];
        assert!(logged(&removed).is_removed());
        let again = [&removed[..], &[Recorded]].concat();
        assert!(!logged(&again).is_removed());
        let held_meanwhile = [Recorded, Exported, Removing, SourceDeleted];
        assert!(!logged(&held_meanwhile).is_removed());
        assert!(!logged(&[Recorded, Exported]).is_removed());
        assert!(!logged(&[]).is_removed());
    }

    #[test]
    fn a_removal_that_only_began_removed_nothing() {
        use AuditAction::{Exported, Held, Recorded, Removed, Removing, SourceDeleted};
        let begun = [Recorded, Exported, SourceDeleted, Removing, Held];
        assert!(logged(&begun).is_removal_begun() && !logged(&begun).is_removed());
        for (ended, is_removed) in [
            (Removed, true),
            (SourceDeleted, false),
            (Exported, false),
            (Recorded, false),
        ] {
            let logged = logged(&[&begun[..], &[ended]].concat());
            assert!(!logged.is_removal_begun());
            assert_eq!(logged.is_removed(), is_removed);
        }
        assert!(!logged(&[Recorded, Exported]).is_removal_begun());
    }

    #[test]
    fn the_last_word_of_a_frozen_process_does_not_undo_a_removal() {
        use AuditAction::{
            DeadLettered, EntrySetAside, Expired, Exported, Pending, Rebuilt, Recorded,
            RecordedErased, Removed, Removing, SourceDeleted, SourceLeft, SourceWasGone,
        };
        for removed in [Removed, RecordedErased] {
            let before = [Recorded, Exported, Removing, removed];
            let with = |last: AuditAction| logged(&[&before[..], &[last]].concat());
            for late in [
                SourceDeleted,
                SourceWasGone,
                SourceLeft,
                Expired,
                DeadLettered,
                Removing,
            ] {
                assert!(with(late.clone()).is_removed(), "{late:?}");
                assert!(!with(late).is_removal_begun());
            }
            for again in [Recorded, Pending, Exported, Rebuilt, EntrySetAside] {
                assert!(!with(again.clone()).is_removed(), "{again:?}");
            }
        }
    }
}
