//! A ledger store that fails for some keys.

use std::sync::Arc;

use async_trait::async_trait;
use recording_vault::store::document_store::StoreError;
use recording_vault::vault::memory::MemoryDocumentStore;

use super::guarded_store::{Guard, GuardedStore, Kind};

/// A store that fails for keys with some part.
pub type FailingStore = GuardedStore<Failing>;

/// Fails requests for keys with this part.
pub struct Failing {
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
        let fails = Fails::Always;
        Self::new(inner, Failing { part, fails })
    }

    /// Documents can be read, and not written.
    pub fn leased(inner: &Arc<MemoryDocumentStore>, part: &'static str) -> Arc<Self> {
        let fails = Fails::Writes;
        Self::new(inner, Failing { part, fails })
    }
}

#[async_trait]
impl Guard for Failing {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        let is_spared = match kind {
            Kind::Find => self.fails == Fails::Writes,
            Kind::List => true,
            Kind::Put | Kind::Remove => false,
        };
        if is_spared || !key.contains(self.part) {
            return Ok(());
        }
        Err(StoreError {
            action: "reach",
            key: key.to_owned(),
            source: "it fails".into(),
        })
    }
}
