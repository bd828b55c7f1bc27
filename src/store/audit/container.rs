//! The audit log in a container of its own, whose policy keeps documents from being changed or deleted. Documents that
//! the log itself replaces or removes, and those that an erasure removes, are stored with the ledger's entries instead.
//! Knows keys, but no chains and no records.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::private::{PEOPLE, TEXTS};
use super::runs::RUNS;
use super::subjects::SUBJECTS;
use crate::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};

/// Key prefixes of documents that are replaced or removed after their creation, of markers, of the ledger's keys, and of
/// what has names of people that were made with one.
const CHANGING: [&str; 9] = [
    "audit/live/",
    "audit/newest-checkpoint.json",
    PEOPLE,
    TEXTS,
    SUBJECTS,
    RUNS,
    "keys/",
    "catalogue/",
    "holds/",
];

/// Two stores as one.
pub struct AuditContainer {
    container: Arc<dyn DocumentStore>,
    ledger: Arc<dyn DocumentStore>,
}

impl AuditContainer {
    /// `container` stores documents that are only created; `ledger` stores the others.
    pub fn new(container: Arc<dyn DocumentStore>, ledger: Arc<dyn DocumentStore>) -> Self {
        Self { container, ledger }
    }

    fn store_of(&self, key: &str) -> &dyn DocumentStore {
        if CHANGING.iter().any(|changing| key.starts_with(changing)) {
            &*self.ledger
        } else {
            &*self.container
        }
    }
}

#[async_trait]
impl DocumentStore for AuditContainer {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.store_of(key).find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.store_of(key).put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.store_of(key).remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.store_of(key).remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        for changing in CHANGING {
            if prefix.starts_with(changing) {
                return self.ledger.list(prefix, after, limit).await;
            }
            if changing.starts_with(prefix) {
                keys.extend(self.ledger.list(changing, after, limit).await?);
            }
        }
        keys.extend(self.container.list(prefix, after, limit).await?);
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::memory::MemoryDocumentStore;

    #[tokio::test]
    async fn what_changes_stays_in_the_ledger_and_a_list_shows_both() {
        let (container, ledger): (Arc<MemoryDocumentStore>, Arc<MemoryDocumentStore>) =
            (Arc::default(), Arc::default());
        let both = AuditContainer::new(container.clone(), ledger.clone());
        let (once, changing) = (
            [
                "audit/a/1.json",
                "audit/checkpoints/1.json",
                "audit/m/1.json",
            ],
            ["audit/live/a", "audit/newest-checkpoint.json"],
        );
        for key in once.iter().chain(&changing) {
            let put = both.put(key, Bytes::from_static(b"{}"), Precondition::Absent);
            assert!(put.await.unwrap().is_written());
        }
        assert_eq!(container.list("", None, 10).await.unwrap(), once);
        assert_eq!(ledger.list("", None, 10).await.unwrap(), changing);

        let all = both.list("audit/", None, 10).await.unwrap();
        assert_eq!(
            all,
            [
                "audit/a/1.json",
                "audit/checkpoints/1.json",
                "audit/live/a",
                "audit/m/1.json",
                "audit/newest-checkpoint.json"
            ]
        );
        let mut paged = Vec::new();
        while paged.len() < all.len() {
            let after = paged.last().cloned();
            paged.extend(both.list("audit/", after.as_deref(), 2).await.unwrap());
        }
        assert_eq!(paged, all);
        assert_eq!(
            both.list("audit/live/", None, 10).await.unwrap(),
            ["audit/live/a"]
        );
    }
}
