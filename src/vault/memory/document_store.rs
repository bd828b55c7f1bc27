//! Ledger store in memory, for tests and simulations. It knows no vault.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};

/// A ledger store whose content is lost when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryDocumentStore {
    documents: Mutex<Documents>,
}

#[derive(Debug, Clone, Default)]
struct Documents {
    by_key: BTreeMap<String, Versioned>,
    writes: u64,
}

impl MemoryDocumentStore {
    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store of its own, with the same documents.
impl Clone for MemoryDocumentStore {
    fn clone(&self) -> Self {
        let documents = Mutex::new(self.documents().clone());
        Self { documents }
    }
}

#[async_trait]
impl DocumentStore for MemoryDocumentStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.documents().by_key.get(key).cloned())
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        let mut documents = self.documents();
        let holds = match (documents.by_key.get(key), condition) {
            (None, Precondition::Absent) => true,
            (Some(stored), Precondition::Unchanged(version)) => stored.version == version,
            (Some(_), Precondition::Absent) | (None, Precondition::Unchanged(_)) => false,
        };
        if !holds {
            return Ok(PutOutcome::Conflict);
        }
        documents.writes += 1;
        let version = Version(documents.writes.to_string());
        let stored = Versioned {
            content,
            version: version.clone(),
        };
        documents.by_key.insert(key.to_owned(), stored);
        Ok(PutOutcome::Written(version))
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.documents().by_key.remove(key);
        Ok(())
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        let mut documents = self.documents();
        let found = documents.by_key.get(key);
        if found.is_some_and(|found| found.version != *version) {
            return Ok(DocumentRemoval::Changed);
        }
        documents.by_key.remove(key);
        Ok(DocumentRemoval::Removed)
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let documents = self.documents();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let keys = documents
            .by_key
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(key, _)| key.clone());
        Ok(keys
            .take_while(|key| key.starts_with(prefix))
            .take(limit)
            .collect())
    }
}
