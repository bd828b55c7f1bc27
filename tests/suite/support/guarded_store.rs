//! A ledger store whose guard sees each request before the store gets it: to delay it, refuse it, count it or note it.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Find,
    Put,
    Remove,
    List,
}

/// What happens to each request before the store gets it.
#[async_trait]
pub trait Guard: Send + Sync {
    /// `key`: of the document, or the prefix of a list. An error is the answer to the request.
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError>;
}

/// A store in memory behind a guard.
pub struct GuardedStore<G> {
    inner: Arc<MemoryDocumentStore>,
    guard: G,
}

impl<G> GuardedStore<G> {
    pub fn new(inner: &Arc<MemoryDocumentStore>, guard: G) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            guard,
        })
    }
}

impl<G> Deref for GuardedStore<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.guard
    }
}

#[async_trait]
impl<G: Guard> DocumentStore for GuardedStore<G> {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.guard.pass(Kind::Find, key).await?;
        self.inner.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.guard.pass(Kind::Put, key).await?;
        self.inner.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.guard.pass(Kind::Remove, key).await?;
        self.inner.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.guard.pass(Kind::Remove, key).await?;
        self.inner.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.guard.pass(Kind::List, prefix).await?;
        self.inner.list(prefix, after, limit).await
    }
}
