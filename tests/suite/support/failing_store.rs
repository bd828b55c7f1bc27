//! A ledger store that fails for some keys.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;

/// A store that fails for keys with this part.
pub struct FailingStore {
    inner: Arc<MemoryDocumentStore>,
    part: &'static str,
    fails: Fails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Always,
    /// As for a document on which another program holds a lease.
    Writes,
}

impl FailingStore {
    pub fn of(inner: &Arc<MemoryDocumentStore>, part: &'static str) -> Arc<Self> {
        Self::that(inner, part, Fails::Always)
    }

    /// Documents can be read, and not written.
    pub fn leased(inner: &Arc<MemoryDocumentStore>, part: &'static str) -> Arc<Self> {
        Self::that(inner, part, Fails::Writes)
    }

    fn that(inner: &Arc<MemoryDocumentStore>, part: &'static str, fails: Fails) -> Arc<Self> {
        let inner = Arc::clone(inner);
        Arc::new(Self { inner, part, fails })
    }

    fn check_read(&self, key: &str) -> Result<(), StoreError> {
        match self.fails {
            Fails::Always => self.check(key),
            Fails::Writes => Ok(()),
        }
    }

    fn check(&self, key: &str) -> Result<(), StoreError> {
        if !key.contains(self.part) {
            return Ok(());
        }
        Err(StoreError {
            action: "reach",
            key: key.to_owned(),
            source: "it fails".into(),
        })
    }
}

#[async_trait]
impl DocumentStore for FailingStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.check_read(key)?;
        self.inner.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.check(key)?;
        self.inner.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.check(key)?;
        self.inner.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.check(key)?;
        self.inner.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.inner.list(prefix, after, limit).await
    }
}
