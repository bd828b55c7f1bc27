//! Ledger and vault in memory that log each request, as one that takes 10 ms of virtual time.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
use recording_vault::store::document_store::StoreError;
use recording_vault::vault::memory::MemoryVault;
use tokio::time::Instant;

use super::guarded_store::{Guard, GuardedStore, Kind};

/// How long each request takes.
pub const LATENCY: Duration = Duration::from_millis(10);

/// Requests in the order in which they were sent.
#[derive(Clone)]
pub struct RequestLog {
    began: Instant,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RequestLog {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            requests: Arc::default(),
        }
    }

    /// The requests since this was asked last, each with the time at which it was sent.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("no holder of this lock panics"))
    }

    async fn note(&self, request: String) {
        let sent_ms = self.began.elapsed().as_millis();
        self.requests
            .lock()
            .expect("no holder of this lock panics")
            .push(format!("{sent_ms:>6} ms  {request}"));
        tokio::time::sleep(LATENCY).await;
    }
}

/// The ledger's storage.
pub type LoggedStore = GuardedStore<RequestLog>;

#[async_trait]
impl Guard for RequestLog {
    async fn pass(&self, kind: Kind, key: &str) -> Result<(), StoreError> {
        let verb = match kind {
            Kind::Find => "find",
            Kind::Put => "put",
            Kind::Remove => "remove",
            Kind::List => "list",
        };
        self.note(format!("{verb} {key}")).await;
        Ok(())
    }
}

/// A vault.
pub struct LoggedVault {
    pub inner: Arc<MemoryVault>,
    pub log: RequestLog,
}

impl LoggedVault {
    async fn note(&self, what: &str, name: &BlobName) {
        self.log.note(format!("vault {what} {name}")).await;
    }
}

#[async_trait]
impl ExportDestination for LoggedVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.note("blocks", name).await;
        self.inner.staged_blocks(name).await
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        self.note("stage", name).await;
        self.inner.stage(name, block).await
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.note("commit", name).await;
        self.inner.commit(name, blocks, properties).await
    }

    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        self.note("create", name).await;
        self.inner.create(name, block, properties).await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.note("inspect", name).await;
        self.inner.inspect(name).await
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.note("read", name).await;
        self.inner.read(name, range).await
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.note("stream", name).await;
        self.inner.stream(name, version, range).await
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        self.note("put", name).await;
        self.inner.put(name, content, properties).await
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        self.log.note("vault list".to_owned()).await;
        self.inner.list(after, limit).await
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        self.note("version", name).await;
        self.inner.describe(name).await
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        self.note("replace", name).await;
        self.inner.replace(name, version, content, properties).await
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        self.note("remove", name).await;
        self.inner.remove(name, version).await
    }

    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        self.note("touch", name).await;
        self.inner.touch(name).await
    }

    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        self.note("discard", name).await;
        self.inner.discard_staged(name).await
    }
}
