//! Tests: a store in memory that fails where a test says so.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use crate::vault::memory::MemoryDocumentStore;

/// A request that may fail. Removals and lists work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Find,
    Put(&'a [u8]),
    /// The answer to a write that took effect.
    PutAnswer,
}

/// Says which requests fail.
pub(crate) trait Faults: Send + Sync {
    fn fails(&self, request: Request<'_>, key: &str) -> bool;
}

/// A store with these faults.
pub(crate) struct FaultyStore<F> {
    store: MemoryDocumentStore,
    faults: F,
}

impl<F: Faults> FaultyStore<F> {
    pub fn new(faults: F) -> Arc<Self> {
        let store = MemoryDocumentStore::default();
        Arc::new(Self { store, faults })
    }

    fn check(&self, request: Request<'_>, key: &str) -> Result<(), StoreError> {
        if !self.faults.fails(request, key) {
            return Ok(());
        }
        Err(StoreError {
            action: "reach",
            key: key.to_owned(),
            source: "no answer".into(),
        })
    }
}

impl<F> Deref for FaultyStore<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.faults
    }
}

#[async_trait]
impl<F: Faults> DocumentStore for FaultyStore<F> {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.check(Request::Find, key)?;
        self.store.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.check(Request::Put(&content), key)?;
        let written = self.store.put(key, content, condition).await?;
        self.check(Request::PutAnswer, key)?;
        Ok(written)
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.store.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.store.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.store.list(prefix, after, limit).await
    }
}
