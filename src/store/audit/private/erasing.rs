//! Erases names and texts. Each erasure has a record in the chain and a mark that points to it before anything is removed,
//! so that a name or text that is missing without an erasure is detected.

use bytes::Bytes;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::references::{Erasing, texts_of};
use super::{KeptName, PEOPLE};
use crate::store::audit::name::AuditPosition;
use crate::store::audit::record::Actor;
use crate::store::audit::{AuditLog, failed};
use crate::store::document_store::{Precondition, PutOutcome, StoreError};
use crate::store::listing::keys;

/// The mark of a name that is not verified.
const CLAIMED: &str = " (claimed)";
/// Attempts to write a mark against other erasures of the same.
const ATTEMPTS: u32 = 5;

/// Where the record of the last erasure is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasureMark {
    pub record: AuditPosition,
}

impl ErasureMark {
    /// `None`: the document is no mark.
    pub fn read(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}

impl AuditLog {
    /// Erases the name of an operator from all records, also in the form of a claimed name; the keyed hash remains, and
    /// never leads to a name again. Returns whether there was a name.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn erase_name(&self, operator_name: &str) -> Result<bool, StoreError> {
        let name = operator_name.trim();
        let mut was_there = false;
        for form in [name.to_owned(), format!("{name}{CLAIMED}")] {
            let current = self.private.current_name(&form).await?;
            if current.is_stored {
                // The mark takes the name's place: no writer on its way stores the name there again.
                let erasing = Erasing::of_name(&current.hash.to_string());
                self.begin_erasing(&erasing).await?;
                was_there = true;
            }
        }
        Ok(was_there)
    }

    /// Whether there is a name of an operator that [`erase_name`](Self::erase_name) would erase.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_name(&self, operator_name: &str) -> Result<bool, StoreError> {
        let name = operator_name.trim();
        for form in [name.to_owned(), format!("{name}{CLAIMED}")] {
            if self.private.current_name(&form).await?.is_stored {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Erases each stored name that is a person's, in whatever spelling it was recorded. Returns the keys of names that cannot
    /// be read: whose they are is unknown.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn erase_names_of(
        &self,
        is_persons: impl Fn(&str) -> bool + Send,
    ) -> Result<Vec<String>, StoreError> {
        let store = &self.private.store;
        let mut unreadable = Vec::new();
        let mut names = keys(&**store, PEOPLE, None);
        while let Some(key) = names.try_next().await? {
            let content = match store.find(&key).await {
                Ok(Some(stored)) => stored.content,
                Ok(None) => continue,
                Err(error) if error.damaged().is_some() => Bytes::new(),
                Err(error) => return Err(error),
            };
            if ErasureMark::read(&content).is_some() {
                continue;
            }
            let hash = key.strip_prefix(PEOPLE);
            let hash = hash.and_then(|name| name.strip_suffix(".json"));
            let kept = serde_json::from_slice::<KeptName>(&content).ok();
            let (Some(hash), Some(kept)) = (hash, kept) else {
                unreadable.push(key);
                continue;
            };
            let name = kept.name.strip_suffix(CLAIMED).unwrap_or(&kept.name);
            if is_persons(name) {
                self.begin_erasing(&Erasing::of_name(hash)).await?;
            }
        }
        Ok(unreadable)
    }

    /// Erases all text that operators wrote about a subject.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn erase_texts(&self, subject: &str) -> Result<(), StoreError> {
        let (store, prefix) = (&self.private.store, texts_of(subject));
        if store.list(&prefix, None, 1).await?.is_empty() {
            return Ok(());
        }
        self.begin_erasing(&Erasing::of_texts(subject)).await?;
        // A text that was stored before the mark was written is in the list now.
        let mut texts = keys(&**store, &prefix, None);
        while let Some(key) = texts.try_next().await? {
            store.remove(&key).await?;
        }
        Ok(())
    }

    /// Records an erasure, and marks what is erased with the position of the record.
    async fn begin_erasing(&self, erasing: &Erasing) -> Result<(), StoreError> {
        let action = erasing.action.clone();
        let record = self
            .append(Actor::Handler, action, &erasing.subject, Value::Null)
            .await?;
        let content = serde_json::to_vec(&ErasureMark { record });
        let content = Bytes::from(content.expect("it has string keys only"));
        let store = &self.private.store;
        for _ in 0..ATTEMPTS {
            let condition = match store.find(&erasing.mark).await? {
                None => Precondition::Absent,
                Some(earlier) if earlier.content == content => return Ok(()),
                Some(earlier) => Precondition::Unchanged(earlier.version),
            };
            match store.put(&erasing.mark, content.clone(), condition).await? {
                PutOutcome::Written(_) => return Ok(()),
                PutOutcome::Conflict => {}
            }
        }
        Err(failed("other erasures keep changing its mark".to_owned()))
    }
}
