//! A ledger store that counts what is asked of it.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;

/// What was asked of a store.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub finds: u64,
    pub puts: u64,
    pub removes: u64,
    pub lists: u64,
    pub keys_listed: u64,
}

/// A ledger store in memory that counts.
#[derive(Default)]
pub struct CountingStore {
    store: MemoryDocumentStore,
    finds: AtomicU64,
    puts: AtomicU64,
    removes: AtomicU64,
    lists: AtomicU64,
    keys_listed: AtomicU64,
}

impl CountingStore {
    /// What was asked since this was asked last.
    pub fn take_counts(&self) -> Counts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Counts {
            finds: take(&self.finds),
            puts: take(&self.puts),
            removes: take(&self.removes),
            lists: take(&self.lists),
            keys_listed: take(&self.keys_listed),
        }
    }
}

#[async_trait]
impl DocumentStore for CountingStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.store.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.store.put(key, content, condition).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.removes.fetch_add(1, Ordering::Relaxed);
        self.store.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.removes.fetch_add(1, Ordering::Relaxed);
        self.store.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let keys = self.store.list(prefix, after, limit).await?;
        self.keys_listed
            .fetch_add(keys.len() as u64, Ordering::Relaxed);
        Ok(keys)
    }
}
