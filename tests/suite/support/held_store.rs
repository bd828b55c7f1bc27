//! Ledger stores that hold one request back, and that lose every answer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryDocumentStore;
use tokio::sync::Notify;

pub use super::guarded_store::Kind;
use super::guarded_store::{Guard, GuardedStore};

/// The store of one process, which holds one request back until it is let go.
pub type HeldStore = GuardedStore<Holding>;

/// Holds one request back.
pub struct Holding {
    plan: Mutex<Option<HeldRequest>>,
    reached: Notify,
    released: Notify,
}

/// Which request is held: of this kind, for a key that begins so, after so many others of that sort.
struct HeldRequest {
    kind: Kind,
    prefix: &'static str,
    skip: usize,
}

impl HeldStore {
    /// Holds the request number `skip` (from 0) of this kind for a key that begins with `prefix`.
    pub fn holding(
        inner: &Arc<MemoryDocumentStore>,
        kind: Kind,
        prefix: &'static str,
        skip: usize,
    ) -> Arc<Self> {
        let guard = Holding {
            plan: Mutex::new(Some(HeldRequest { kind, prefix, skip })),
            reached: Notify::new(),
            released: Notify::new(),
        };
        Self::new(inner, guard)
    }
}

impl Holding {
    /// Resolves when the request is held.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the request go.
    pub fn release(&self) {
        self.released.notify_one();
    }
}

#[async_trait]
impl Guard for Holding {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        let is_held = {
            let mut plan = self.plan.lock().expect("no holder of this lock panics");
            match plan.as_mut() {
                Some(held) if held.kind == kind && key.starts_with(held.prefix) => {
                    let is_held = held.skip == 0;
                    held.skip = held.skip.saturating_sub(1);
                    if is_held {
                        *plan = None;
                    }
                    is_held
                }
                Some(_) | None => false,
            }
        };
        if is_held {
            self.reached.notify_one();
            self.released.notified().await;
        }
        Ok(())
    }
}

/// How the answer to each write is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The client library repeats the request: the caller gets the answer to the second, a conflict.
    AndRepeated,
    /// The caller gets an error.
    AndFailed,
}

/// A store that applies each conditional write to one kind of key, and loses the answer.
pub struct ForgetfulStore {
    pub inner: Arc<MemoryDocumentStore>,
    pub lost: Lost,
    pub prefix: &'static str,
}

#[async_trait]
impl DocumentStore for ForgetfulStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.inner.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        if !key.starts_with(self.prefix) {
            return self.inner.put(key, content, condition).await;
        }
        self.inner
            .put(key, content.clone(), condition.clone())
            .await?;
        match self.lost {
            Lost::AndRepeated => self.inner.put(key, content, condition).await,
            Lost::AndFailed => Err(StoreError {
                action: "write",
                key: key.to_owned(),
                source: "the answer was lost".into(),
            }),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.inner.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
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
