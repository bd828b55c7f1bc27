//! Stores names and free text of operators' records outside the hash chains, so that an erasure removes them without
//! breaking a chain.
//!
//! ```text
//! people/<keyed hash>.json                                 {"name"}           who acted
//! audit-texts/<sha256 of the subject>/<salted hash>.json   {"salt", "text"}   what they wrote about it
//! ```
//! A record has `person:<keyed hash>` and `text:<salted hash>` in their places. Both are written before the record, so no
//! record refers to a document that never existed. A text is removed with its salt, so its hash does not allow guesses at
//! the text.
//! It knows no actions and no chains.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuditLog;
use super::record::{Actor, AuditRecord};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, StoreError};
use crate::store::people::{OperatorHash, People};

pub(super) const PEOPLE: &str = "people/";
pub(super) const TEXTS: &str = "audit-texts/";

/// Members of a record's detail that name the requester.
const NAME_MEMBERS: [&str; 4] = ["by", "principal", "claimedBy", "startedBy"];
/// Members with text that an operator wrote.
const TEXT_MEMBERS: [&str; 2] = ["reason", "note"];
/// Prefixes of such members in a stored record.
const PERSON: &str = "person:";
const TEXT: &str = "text:";
/// Shown in place of an erased name or text.
const ERASED: &str = "(erased)";
/// Capacity of the cache of stored names. When it is full, it is cleared.
const REMEMBERED_AT_MOST: usize = 1000;
/// Texts of one subject that are listed and removed per request.
const PAGE: usize = 500;

/// Names and texts in the ledger's storage.
pub(super) struct PrivateTexts {
    store: Arc<dyn DocumentStore>,
    people: People,
    stored_names: Mutex<BTreeSet<OperatorHash>>,
}

#[derive(Serialize, Deserialize)]
struct KeptName {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct KeptText {
    salt: String,
    text: String,
}

impl PrivateTexts {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            people: People::new(Arc::clone(&store)),
            store,
            stored_names: Mutex::default(),
        }
    }

    /// Returns the records as the log stores them, after it has stored their names and texts.
    pub async fn seal(&self, records: &[AuditRecord]) -> Result<Vec<AuditRecord>, StoreError> {
        let mut sealed = Vec::with_capacity(records.len());
        for record in records {
            sealed.push(self.sealed(record.clone()).await?);
        }
        Ok(sealed)
    }

    async fn sealed(&self, mut record: AuditRecord) -> Result<AuditRecord, StoreError> {
        for member in NAME_MEMBERS {
            if let Some(name) = record.detail[member].as_str() {
                let reference = self.keep_name(name).await?;
                record.detail[member] = reference.into();
            }
        }
        // The handler's own texts name no people.
        let has_texts = record.actor == Actor::Operator;
        for member in TEXT_MEMBERS.into_iter().filter(|_| has_texts) {
            if let Some(text) = record.detail[member].as_str() {
                let reference = self.keep_text(&record.subject, text).await?;
                record.detail[member] = reference.into();
            }
        }
        Ok(record)
    }

    async fn keep_name(&self, name: &str) -> Result<String, StoreError> {
        let hash = self.people.operator(name).await?;
        let is_stored = self.stored_names().contains(&hash);
        if !is_stored {
            let kept = KeptName {
                name: name.to_owned(),
            };
            let content = serde_json::to_vec(&kept).expect("it has string keys only");
            let key = name_key(hash);
            self.store
                .put(&key, content.into(), Precondition::Absent)
                .await?;
            let mut stored = self.stored_names();
            if stored.len() >= REMEMBERED_AT_MOST {
                stored.clear();
            }
            stored.insert(hash);
        }
        Ok(format!("{PERSON}{hash}"))
    }

    async fn keep_text(&self, subject: &str, text: &str) -> Result<String, StoreError> {
        let salt: [u8; 32] = rand::random();
        let kept = KeptText {
            salt: BASE64_STANDARD.encode(salt),
            text: text.to_owned(),
        };
        let hash = Sha256Digest::of(&[&salt, text.as_bytes()].concat());
        let content = serde_json::to_vec(&kept).expect("it has string keys only");
        let key = text_key(subject, &hash.to_string());
        self.store
            .put(&key, content.into(), Precondition::Absent)
            .await?;
        Ok(format!("{TEXT}{hash}"))
    }

    /// Returns a stored record with its names and texts, unless they are erased.
    async fn reveal(&self, mut record: AuditRecord) -> Result<AuditRecord, StoreError> {
        for member in NAME_MEMBERS.into_iter().chain(TEXT_MEMBERS) {
            let Some(reference) = record.detail[member].as_str() else {
                continue;
            };
            let found = if let Some(hash) = reference.strip_prefix(PERSON) {
                let key = format!("{PEOPLE}{hash}.json");
                let kept: Option<KeptName> = self.find(&key).await?;
                kept.map(|kept| kept.name)
            } else if let Some(hash) = reference.strip_prefix(TEXT) {
                let key = text_key(&record.subject, hash);
                let kept: Option<KeptText> = self.find(&key).await?;
                kept.map(|kept| kept.text)
            } else {
                continue;
            };
            record.detail[member] = Value::from(found.unwrap_or_else(|| ERASED.to_owned()));
        }
        Ok(record)
    }

    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let stored = self.store.find(key).await?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.content).ok()))
    }

    fn stored_names(&self) -> std::sync::MutexGuard<'_, BTreeSet<OperatorHash>> {
        self.stored_names
            .lock()
            .expect("no holder of this lock panics")
    }
}

impl AuditLog {
    /// Returns a record with the names and texts that it refers to; erased ones are `(erased)`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reveal(&self, record: AuditRecord) -> Result<AuditRecord, StoreError> {
        self.private.reveal(record).await
    }

    /// Returns the reference to an operator of this name in stored records.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn reference_to(&self, operator_name: &str) -> Result<String, StoreError> {
        let hash = self.private.people.operator(operator_name).await?;
        Ok(format!("{PERSON}{hash}"))
    }

    /// Whether a stored record names an operator by this reference.
    pub fn names(record: &AuditRecord, reference: &str) -> bool {
        NAME_MEMBERS
            .iter()
            .any(|member| record.detail[*member] == reference)
    }

    /// Erases the name of an operator from all records; the keyed hash remains. Returns whether there was a name.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn erase_name(&self, operator_name: &str) -> Result<bool, StoreError> {
        let hash = self.private.people.operator(operator_name).await?;
        let key = name_key(hash);
        let is_there = self.private.store.find(&key).await?.is_some();
        if is_there {
            self.private.store.remove(&key).await?;
        }
        self.private.stored_names().remove(&hash);
        Ok(is_there)
    }

    /// Erases all text that operators wrote about a subject.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn erase_texts(&self, subject: &str) -> Result<(), StoreError> {
        let (store, prefix) = (&self.private.store, texts_of(subject));
        loop {
            let keys = store.list(&prefix, None, PAGE).await?;
            for key in &keys {
                store.remove(key).await?;
            }
            if keys.len() < PAGE {
                return Ok(());
            }
        }
    }
}

fn name_key(hash: OperatorHash) -> String {
    format!("{PEOPLE}{hash}.json")
}

fn texts_of(subject: &str) -> String {
    format!("{TEXTS}{}/", Sha256Digest::of(subject.as_bytes()))
}

fn text_key(subject: &str, hash: &str) -> String {
    format!("{}{hash}.json", texts_of(subject))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::audit::AuditAction;
    use crate::vault::memory::MemoryDocumentStore;

    fn log() -> (AuditLog, Arc<MemoryDocumentStore>) {
        let store = Arc::new(MemoryDocumentStore::default());
        let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
        (AuditLog::new(store.clone(), clock), store)
    }

    async fn append(log: &AuditLog, subject: &str, detail: Value) -> AuditRecord {
        let position = log
            .append(Actor::Operator, AuditAction::Acknowledged, subject, detail)
            .await
            .unwrap();
        let mut records = log.records(&position).await.unwrap();
        records.pop().unwrap()
    }

    #[tokio::test]
    async fn the_log_has_neither_the_name_nor_the_text_and_a_reader_gets_both() {
        let (log, _) = log();
        let detail = json!({"by": "ada@desk", "reason": "Bert asked", "through": "shell"});
        let stored = append(&log, "chunk-a", detail.clone()).await;
        let text = stored.detail.to_string();
        assert!(!text.contains("ada") && !text.contains("Bert"), "{text}");
        assert!(AuditLog::names(
            &stored,
            &log.reference_to("Ada@desk").await.unwrap()
        ));
        assert_eq!(log.reveal(stored).await.unwrap().detail, detail);
    }

    #[tokio::test]
    async fn what_is_erased_of_one_subject_or_operator_leaves_the_others() {
        let (log, _) = log();
        let by = |name: &str| json!({"by": name, "reason": "a reason"});
        let one = append(&log, "chunk-a", by("ada")).await;
        let other = append(&log, "chunk-b", by("bert")).await;
        log.erase_texts("chunk-a").await.unwrap();
        assert!(log.erase_name("ada").await.unwrap());
        assert!(!log.erase_name("ada").await.unwrap(), "it is erased");
        assert_eq!(
            log.reveal(one).await.unwrap().detail,
            json!({"by": ERASED, "reason": ERASED})
        );
        assert_eq!(log.reveal(other).await.unwrap().detail, by("bert"));
        assert!(log.verify().await.unwrap().problems.is_empty());
    }

    #[tokio::test]
    async fn the_same_text_twice_has_two_references() {
        let (log, _) = log();
        let detail = json!({"reason": "a reason"});
        let one = append(&log, "chunk-a", detail.clone()).await;
        let other = append(&log, "chunk-a", detail).await;
        assert_ne!(
            one.detail, other.detail,
            "a hash allows no guess at the text"
        );
    }

    #[tokio::test]
    async fn an_operator_who_acts_again_after_an_erasure_is_named_again() {
        let (log, _) = log();
        append(&log, "chunk-a", json!({"by": "ada"})).await;
        log.erase_name("ada").await.unwrap();
        let stored = append(&log, "chunk-b", json!({"by": "ada"})).await;
        assert_eq!(log.reveal(stored).await.unwrap().detail["by"], "ada");
    }
}
