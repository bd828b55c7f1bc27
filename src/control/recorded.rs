//! Records in the audit log what ACS was asked to do with a recording, by whom. It knows neither the register nor ACS.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::intention::{IntendedAction, Intention};
use super::requester::{AskedBy, NAME_NOT_STORED, NAMES, REQUEST_ID};
use crate::clock::CLOCKS_DIFFER;
use crate::recording::RecordingId;
use crate::store::StoreError;
use crate::store::audit::{AuditAction, AuditLog, SubjectKey};

/// Documents of the log that are read to find out whether an operation is in it.
const READ_AT_MOST: usize = 20;
/// Members of a record's detail that say who asked for it, and through which door.
const WHO: [&str; 5] = ["by", "claimedBy", "through", "conversationSha256", "reason"];

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

    /// Writes the record, unless the log has it since `began`: the answer of a write may be lost. A name that the storage
    /// refuses twice is left out: the operation is more than its requester.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn append(
        &self,
        audit: &AuditLog,
        id: &RecordingId,
        began: Timestamp,
    ) -> Result<(), StoreError> {
        let detail = &self.asked_by.detail;
        if self.append_with(audit, id, detail.clone()).await.is_ok() {
            return Ok(());
        }
        // The failure may have been that of a moment.
        if self.is_recorded(audit, id, began).await? {
            return Ok(());
        }
        let Err(error) = self.append_with(audit, id, detail.clone()).await else {
            return Ok(());
        };
        if self.is_recorded(audit, id, began).await? {
            return Ok(());
        }
        if !NAMES.iter().any(|name| detail.contains_key(*name)) {
            return Err(error);
        }
        let mut nameless = self.asked_by.clone();
        nameless.forget_names();
        self.append_with(audit, id, nameless.detail).await
    }

    async fn append_with(
        &self,
        audit: &AuditLog,
        id: &RecordingId,
        detail: Map<String, Value>,
    ) -> Result<(), StoreError> {
        let (actor, action, subject) = (self.asked_by.actor, self.action.clone(), subject_of(id));
        let appending = audit.append(actor, action, &subject, Value::Object(detail));
        appending.await.map(drop)
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
        let Some(request) = self.asked_by.detail.get(REQUEST_ID) else {
            return self.is_repeated(audit, id, since).await;
        };
        let is_same = |detail: &Value| detail[REQUEST_ID] == *request;
        // Another process recorded it, by its own clock.
        let since = since.checked_sub(CLOCKS_DIFFER).unwrap_or(since);
        self.is_recorded_with(audit, id, since, is_same).await
    }

    /// Whether the log has this operation, or the same one by the same requester, recorded at that time or later: who got
    /// no answer asks again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_repeated(
        &self,
        audit: &AuditLog,
        id: &RecordingId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_same = |detail: &Value| self.is_by_same(detail);
        self.is_recorded_with(audit, id, since, is_same).await
    }

    async fn is_recorded_with(
        &self,
        audit: &AuditLog,
        id: &RecordingId,
        since: Timestamp,
        is_same: impl Fn(&Value) -> bool + Send + Sync,
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
                    if is_same(&record.detail) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn is_by_same(&self, detail: &Value) -> bool {
        let own = &self.asked_by.detail;
        let is_nameless = detail[NAME_NOT_STORED] == true || own.contains_key(NAME_NOT_STORED);
        let compared = WHO
            .iter()
            .filter(|member| !(is_nameless && NAMES.contains(member)));
        let mut compared = compared.map(|member| (own.get(*member), &detail[*member]));
        compared.all(|(own, recorded)| own.unwrap_or(&Value::Null) == recorded)
    }
}

fn subject_of(id: &RecordingId) -> String {
    format!("recording {id}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::store::audit::Actor;
    use crate::store::faulty_store::{Faults, FaultyStore, Request};

    /// Loses the answers to the first writes of the log, and does not answer the read after each.
    struct LostAnswers {
        answers_to_lose: AtomicUsize,
        reads_to_fail: AtomicUsize,
    }

    impl Faults for LostAnswers {
        fn fails(&self, request: Request<'_>, key: &str) -> bool {
            match request {
                Request::Find => takes_one(&self.reads_to_fail),
                Request::Put(_) => false,
                Request::PutAnswer => {
                    let is_lost = key.starts_with("audit/2") && takes_one(&self.answers_to_lose);
                    if is_lost {
                        self.reads_to_fail.store(1, Ordering::SeqCst);
                    }
                    is_lost
                }
            }
        }
    }

    fn takes_one(left: &AtomicUsize) -> bool {
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        taken.is_ok()
    }

    fn pause(detail: &Value) -> OperationRecord {
        let detail = detail.as_object().expect("it is an object").clone();
        OperationRecord {
            action: AuditAction::Paused,
            asked_by: AskedBy {
                actor: Actor::Handler,
                detail,
            },
        }
    }

    #[tokio::test]
    async fn an_operation_whose_write_lost_its_answer_is_recorded_once_with_its_names() {
        let id: RecordingId = "r-1".parse().expect("it is an id");
        for detail in [
            json!({"through": "bot"}),
            json!({"through": "api", "claimedBy": "ada@example.com"}),
        ] {
            for answers in 1..=2 {
                let store = FaultyStore::new(LostAnswers {
                    answers_to_lose: AtomicUsize::new(answers),
                    reads_to_fail: AtomicUsize::new(0),
                });
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let began = clock.now();
                let audit = AuditLog::new(store, clock);
                let record = pause(&detail);
                record
                    .append(&audit, &id, began)
                    .await
                    .expect("the store works again");
                let key = SubjectKey::of(&subject_of(&id));
                let marked = audit.newest_of(key, 10).await.expect("it works");
                let mut found = Vec::new();
                for marked in marked {
                    found.extend(audit.records(&marked.position).await.expect("it works"));
                }
                assert_eq!(found.len(), 1, "{detail} {answers}: {found:?}");
                assert_eq!(found[0].detail[NAME_NOT_STORED], Value::Null, "{found:?}");
            }
        }
    }

    #[test]
    fn a_record_whose_names_were_not_stored_is_that_of_its_operation() {
        let record = pause(&json!({"through": "api", "claimedBy": "ada@example.com"}));
        assert!(record.is_by_same(&json!({"through": "api", "nameNotStored": true})));
        assert!(!record.is_by_same(&json!({"through": "api"})));
        assert!(!record.is_by_same(&json!({"through": "bot", "nameNotStored": true})));
    }
}
