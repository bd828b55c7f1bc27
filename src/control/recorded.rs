//! Records in the audit log what ACS was asked to do with a recording, by whom. It knows neither the register nor ACS.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::intention::{IntendedAction, Intention};
use super::requester::AskedBy;
use crate::recording::RecordingId;
use crate::store::StoreError;
use crate::store::audit::{AuditAction, AuditLog, SubjectKey};

/// Documents of the log that are read to find out whether an operation is in it.
const READ_AT_MOST: usize = 20;
/// Members of a record's detail that say who asked for it, and through which door.
const WHO: [&str; 5] = ["by", "claimedBy", "through", "conversationSha256", "reason"];
/// Members with names, whose documents the storage may refuse.
const NAMES: [&str; 2] = ["by", "claimedBy"];

/// The record of an operation that ACS was asked for.
#[derive(Debug, Clone)]
pub(super) struct OperationRecord {
    pub action: AuditAction,
    pub asked_by: AskedBy,
}

impl OperationRecord {
    /// Of an intention whose own answer never came. `None` for one that does not say who asked for it.
    pub fn of_lost_answer(intention: &Intention) -> Option<Self> {
        let mut asked_by = intention.asked_by.clone()?;
        let action = match intention.action {
            IntendedAction::Pause { .. } => AuditAction::Paused,
            IntendedAction::Resume { .. } => AuditAction::Resumed,
            IntendedAction::Stop => AuditAction::Stopped,
        };
        if let Some(resume_at) = intention.resume_at() {
            let resume_at = resume_at.to_string().into();
            asked_by.detail.insert("resumeAt".to_owned(), resume_at);
        }
        asked_by.detail.insert("answer".to_owned(), "lost".into());
        Some(Self { action, asked_by })
    }

    /// Writes the record. A name that the storage refuses twice is left out: the operation is more than its requester.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn append(&self, audit: &AuditLog, id: &RecordingId) -> Result<(), StoreError> {
        let AskedBy { actor, detail } = &self.asked_by;
        let subject = subject_of(id);
        let append = |detail: Map<String, Value>| {
            let detail = Value::Object(detail);
            audit.append(*actor, self.action.clone(), &subject, detail)
        };
        if append(detail.clone()).await.is_ok() {
            return Ok(());
        }
        // The failure may have been that of a moment.
        let Err(error) = append(detail.clone()).await else {
            return Ok(());
        };
        if !NAMES.iter().any(|name| detail.contains_key(*name)) {
            return Err(error);
        }
        let mut nameless = detail.clone();
        nameless.retain(|member, _| !NAMES.contains(&member.as_str()));
        nameless.insert("nameNotStored".to_owned(), true.into());
        append(nameless).await.map(drop)
    }

    /// Whether the log has this operation, recorded at that time or later.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_recorded(
        &self,
        audit: &AuditLog,
        id: &RecordingId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let subject = SubjectKey::of(&subject_of(id));
        for marked in audit.newest_of(subject, READ_AT_MOST).await? {
            if !marked.is_from(since) {
                continue;
            }
            for record in audit.records(&marked.position).await? {
                let is_later = record.at >= since && record.action == self.action;
                if is_later && SubjectKey::of(&record.subject) == subject {
                    let record = audit.reveal(record).await?;
                    if self.is_by_same(&record.detail) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn is_by_same(&self, detail: &Value) -> bool {
        let own = &self.asked_by.detail;
        WHO.iter()
            .all(|member| own.get(*member).unwrap_or(&Value::Null) == &detail[*member])
    }
}

fn subject_of(id: &RecordingId) -> String {
    format!("recording {id}")
}
