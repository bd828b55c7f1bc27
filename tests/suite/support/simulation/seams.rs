//! The ledger's storage and the vault of one process, whose calls go by its plan.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use recording_vault::export::block::{Block, BlockId};
use recording_vault::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, ExportDestination, ListedBlob, RemoveOutcome, ReplaceOutcome, StageOutcome,
    TouchOutcome,
};
use recording_vault::export::layout::BlobName;
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};

use super::plan::Plan;

/// A seam whose calls go by a plan.
pub(super) struct Planned<T> {
    pub inner: Arc<T>,
    pub plan: Arc<Plan>,
}

#[async_trait]
impl DocumentStore for Planned<MemoryDocumentStore> {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.plan
            .around(store_error(key), || self.inner.find(key))
            .await
    }
    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        self.plan
            .around(store_error(key), || {
                self.inner.put(key, content.clone(), condition.clone())
            })
            .await
    }
    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.plan
            .around(store_error(key), || self.inner.remove(key))
            .await
    }
    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        self.plan
            .around(store_error(key), || {
                self.inner.remove_unchanged(key, version)
            })
            .await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.plan
            .around(store_error(prefix), || {
                self.inner.list(prefix, after, limit)
            })
            .await
    }
}

impl<T> Planned<T> {
    pub fn new(inner: &Arc<T>, plan: &Arc<Plan>) -> Self {
        Self {
            inner: Arc::clone(inner),
            plan: Arc::clone(plan),
        }
    }
}

/// A store whose calls go by a plan.
pub fn planned(inner: &Arc<MemoryDocumentStore>, plan: &Arc<Plan>) -> Arc<dyn DocumentStore> {
    Arc::new(Planned::new(inner, plan))
}

fn store_error(key: &str) -> StoreError {
    StoreError {
        action: "reach",
        key: key.to_owned(),
        source: "as planned".into(),
    }
}

#[async_trait]
impl ExportDestination for Planned<MemoryVault> {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.staged_blocks(name))
            .await
    }
    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.stage(name, block.clone()))
            .await
    }
    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.commit(name, blocks, properties)
            })
            .await
    }
    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.create(name, block.clone(), properties)
            })
            .await
    }
    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.inspect(name))
            .await
    }
    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.read(name, range.clone()))
            .await
    }
    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.stream(name, version, range.clone())
            })
            .await
    }
    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        self.inner.list(after, limit).await
    }
    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.describe(name))
            .await
    }
    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let replacing = || {
            self.inner
                .replace(name, version, content.clone(), properties)
        };
        self.plan.around(vault_error(name), replacing).await
    }
    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.remove(name, version))
            .await
    }
    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.touch(name))
            .await
    }
    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        self.plan
            .around(vault_error(name), || self.inner.discard_staged(name))
            .await
    }
    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.plan
            .around(vault_error(name), || {
                self.inner.put(name, content.clone(), properties)
            })
            .await
    }
}

fn vault_error(name: &BlobName) -> DestinationError {
    DestinationError {
        action: "reach",
        is_refused: false,
        name: name.clone(),
        source: "as planned".into(),
    }
}
