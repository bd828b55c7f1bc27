//! What the records of a recording are about, and which of them are its own. It reads nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::FoundRecord;
use crate::catalogue::known::KnownRecording;
use crate::store::audit::{AuditAction, AuditPosition, FoundDocument, SubjectKey};
use crate::store::holds::{Held, HoldRule};

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Chunk {
        index: u32,
    },
    Recording,
    Call,
    /// A standing hold that covers the recording.
    Rule,
}

/// The subjects of a recording's records.
pub(super) struct Subjects(BTreeMap<SubjectKey, Subject>);

impl Subjects {
    /// `rules`: of all standing holds, also of those that were released.
    pub fn of(recorded: &KnownRecording, rules: &[HoldRule]) -> Self {
        let chunks = recorded.chunks.iter().map(|chunk| {
            let index = chunk.index;
            (chunk.document_id.to_string(), Subject::Chunk { index })
        });
        let names = recorded.holdable().into_iter().map(|held| {
            let subject = match held {
                Held::CallId(_) => Subject::Call,
                Held::RecordingId(_) | Held::Matching(_) => Subject::Recording,
            };
            (held.to_string(), subject)
        });
        // Some records have the bare id.
        let bare = recorded.account.recording_id.to_string();
        let rules = rules.iter().filter(|rule| recorded.matches(rule).holds());
        let rules = rules
            .flat_map(HoldRule::audit_subjects)
            .map(|subject| (subject, Subject::Rule));
        let all = std::iter::once((bare, Subject::Recording))
            .chain(names)
            .chain(rules)
            .chain(chunks);
        Self(
            all.map(|(name, subject)| (SubjectKey::of(&name), subject))
                .collect(),
        )
    }

    pub fn keys(&self) -> Vec<SubjectKey> {
        self.0.keys().copied().collect()
    }

    /// Returns the records of a document that are about the recording.
    pub fn records_in(
        &self,
        position: &AuditPosition,
        document: &FoundDocument,
    ) -> Vec<FoundRecord> {
        let records = match document {
            FoundDocument::Records(records) => &records[..],
            FoundDocument::Missing | FoundDocument::Unreadable => &[],
        };
        let found = records.iter().filter_map(|record| {
            let subject = self.find(&record.subject)?;
            Some(FoundRecord {
                position: position.clone(),
                record: record.clone(),
                subject,
            })
        });
        found.collect()
    }

    /// Returns what a record with this subject is about; `None` if it is not about the recording.
    pub fn find(&self, subject: &str) -> Option<Subject> {
        self.0.get(&SubjectKey::of(subject)).copied()
    }
}

/// Removes what standing holds and holds of the call did before the recording began: they did not hold it then.
pub(super) fn drop_earlier_holds(found: &mut Vec<FoundRecord>, began_at: Option<Timestamp>) {
    let Some(began_at) = began_at else { return };
    let is_of_others = |subject| match subject {
        Subject::Call | Subject::Rule => true,
        Subject::Chunk { .. } | Subject::Recording => false,
    };
    let case = |found: &FoundRecord| {
        (
            found.record.subject.clone(),
            found.record.detail["case"].to_string(),
        )
    };
    let mut released: BTreeMap<(String, String), Timestamp> = BTreeMap::new();
    for one in found.iter() {
        let is_release = one.record.action == AuditAction::Released;
        if is_release && is_of_others(one.subject) && one.record.at < began_at {
            released.insert(case(one), one.record.at);
        }
    }
    found.retain(|one| {
        let until = released.get(&case(one));
        !is_of_others(one.subject) || until.is_none_or(|until| one.record.at > *until)
    });
}
