//! The ledger's storage. It notes what there is to hold when a hold becomes durable.

use async_trait::async_trait;
use bytes::Bytes;
use recording_vault::export::ChunkState;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};

use super::facts::{AtHold, Fact};
use super::world::World;
use crate::support::fake_source::PARTICIPANT;

/// The storage of a world.
pub struct WatchedStore(pub World);

impl WatchedStore {
    async fn what_there_is_to_hold(&self) -> AtHold {
        let entry = self.0.entry().await;
        let is_forgotten = entry.is_some_and(|entry| {
            let stored = serde_json::to_string(&entry).expect("an entry is JSON");
            matches!(entry.state, ChunkState::Removed { .. }) && !stored.contains(PARTICIPANT)
        });
        if is_forgotten {
            AtHold::Nothing
        } else {
            AtHold::Recording
        }
    }
}

#[async_trait]
impl DocumentStore for WatchedStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.0.store.find(key).await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        let outcome = self.0.store.put(key, content, condition).await?;
        if key.starts_with("holds/") {
            let found = self.what_there_is_to_hold().await;
            self.0.facts.note(Fact::HoldWritten(found));
        }
        Ok(outcome)
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.0.store.remove(key).await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.0.store.remove_unchanged(key, version).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.0.store.list(prefix, after, limit).await
    }
}
