//! The seams of one process: every request passes its gate.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use recording_vault::export::ExportReceipt;
use recording_vault::export::block::{Block, BlockId};
use recording_vault::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, ExportDestination, ListedBlob, RemoveOutcome, ReplaceOutcome, StageOutcome,
    TouchOutcome,
};
use recording_vault::export::layout::BlobName;
use recording_vault::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError,
};
use recording_vault::recording::{DeleteLocation, RecordingChunk};
use recording_vault::store::document_store::{
    DocumentRemoval, DocumentStore, Precondition, PutOutcome, StoreError, Version, Versioned,
};
use recording_vault::vault::memory::MemoryVault;

use super::disturbance::Kind;
use super::gate::{Call, Gate};
use super::world::World;

/// A call that owns all it needs, so that it can be made again.
fn call<T: Send + 'static, F>(make: impl Fn(u64) -> F + Send + Sync + 'static) -> Call<T>
where
    F: Future<Output = T> + Send + 'static,
{
    Arc::new(move |sent| Box::pin(make(sent)))
}

/// A key without what differs from run to run: digests and long numbers.
pub fn short(key: &str) -> String {
    let is_noise = |part: &str| {
        part.len() >= 5 && part.bytes().all(|byte| byte.is_ascii_digit())
            || part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // Without iterators of strings: these take a twentieth of all interleavings.
    let mut text = String::with_capacity(key.len());
    let (bytes, mut from) = (key.as_bytes(), 0);
    for to in 0..=bytes.len() {
        let is_end = to == bytes.len();
        if is_end || matches!(bytes[to], b'/' | b'-' | b'.') {
            let part = &key[from..to];
            text.push_str(if is_noise(part) { "*" } else { part });
            text.push_str(if is_end { "" } else { &key[to..=to] });
            from = to + 1;
        }
    }
    text
}

/// The ledger's storage.
pub struct GatedStore {
    pub inner: Arc<dyn DocumentStore>,
    pub gate: Arc<Gate>,
}

fn store_error<T>(key: &str) -> Result<T, StoreError> {
    Err(StoreError {
        action: "reach",
        key: key.to_owned(),
        source: "the answer was lost".into(),
    })
}

#[async_trait]
impl DocumentStore for GatedStore {
    async fn find(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        let find = call(move |_| {
            let (inner, key) = (Arc::clone(&inner), owned.clone());
            async move { inner.find(&key).await }
        });
        let name = format!("find {}", short(key));
        self.gate
            .pass(Kind::Read, name, store_error(key), find)
            .await
    }

    async fn put(
        &self,
        key: &str,
        content: Bytes,
        condition: Precondition,
    ) -> Result<PutOutcome, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        let put = call(move |_| {
            let (inner, key) = (Arc::clone(&inner), owned.clone());
            let (content, condition) = (content.clone(), condition.clone());
            async move { inner.put(&key, content, condition).await }
        });
        let name = format!("put {}", short(key));
        self.gate
            .pass(Kind::Write, name, store_error(key), put)
            .await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), key.to_owned());
        let remove = call(move |_| {
            let (inner, key) = (Arc::clone(&inner), owned.clone());
            async move { inner.remove(&key).await }
        });
        let name = format!("remove {}", short(key));
        self.gate
            .pass(Kind::Write, name, store_error(key), remove)
            .await
    }

    async fn remove_unchanged(
        &self,
        key: &str,
        version: &Version,
    ) -> Result<DocumentRemoval, StoreError> {
        let (inner, owned, version) = (Arc::clone(&self.inner), key.to_owned(), version.clone());
        let remove = call(move |_| {
            let (inner, key, version) = (Arc::clone(&inner), owned.clone(), version.clone());
            async move { inner.remove_unchanged(&key, &version).await }
        });
        let name = format!("remove {}", short(key));
        self.gate
            .pass(Kind::Write, name, store_error(key), remove)
            .await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (inner, owned) = (Arc::clone(&self.inner), prefix.to_owned());
        let after = after.map(str::to_owned);
        let list = call(move |_| {
            let (inner, prefix, after) = (Arc::clone(&inner), owned.clone(), after.clone());
            async move { inner.list(&prefix, after.as_deref(), limit).await }
        });
        let name = format!("list {}", short(prefix));
        self.gate
            .pass(Kind::Read, name, store_error(prefix), list)
            .await
    }
}

/// One of the two vaults.
pub struct GatedVault {
    pub world: World,
    pub inner: Arc<MemoryVault>,
    pub name: &'static str,
    pub gate: Arc<Gate>,
}

impl GatedVault {
    async fn pass<T: Send + 'static>(
        &self,
        kind: Kind,
        what: &'static str,
        name: &BlobName,
        call: Call<Result<T, DestinationError>>,
    ) -> Result<T, DestinationError> {
        let file = name.as_str().rsplit('/').next().unwrap_or_default();
        let failure = DestinationError {
            action: "reach",
            is_refused: false,
            name: name.clone(),
            source: "the answer was lost".into(),
        };
        let request = format!("{} {what} {file}", self.name);
        self.gate.pass(kind, request, Err(failure), call).await
    }
}

#[async_trait]
impl ExportDestination for GatedVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            async move { inner.staged_blocks(&name).await }
        });
        self.pass(Kind::Read, "blocks", name, request).await
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name, block) = (Arc::clone(&inner), owned.clone(), block.clone());
            async move { inner.stage(&name, block).await }
        });
        self.pass(Kind::Write, "stage", name, request).await
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let (blocks, properties) = (blocks.to_vec(), properties.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            let (blocks, properties) = (blocks.clone(), properties.clone());
            async move { inner.commit(&name, &blocks, &properties).await }
        });
        self.pass(Kind::Write, "commit", name, request).await
    }

    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        let (inner, owned, properties) =
            (Arc::clone(&self.inner), name.clone(), properties.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            let (block, properties) = (block.clone(), properties.clone());
            async move { inner.create(&name, block, &properties).await }
        });
        self.pass(Kind::Write, "create", name, request).await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            async move { inner.inspect(&name).await }
        });
        self.pass(Kind::Read, "inspect", name, request).await
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name, range) = (Arc::clone(&inner), owned.clone(), range.clone());
            async move { inner.read(&name, range).await }
        });
        self.pass(Kind::Read, "read", name, request).await
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.inner.stream(name, version, range).await
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let (inner, owned, properties) =
            (Arc::clone(&self.inner), name.clone(), properties.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            let (content, properties) = (content.clone(), properties.clone());
            async move { inner.put(&name, content, &properties).await }
        });
        self.pass(Kind::Write, "put", name, request).await
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        self.inner.list(after, limit).await
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            async move { inner.describe(&name).await }
        });
        self.pass(Kind::Read, "version", name, request).await
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let (version, properties) = (version.clone(), properties.clone());
        let request = call(move |_| {
            let (inner, name, version) = (Arc::clone(&inner), owned.clone(), version.clone());
            let (content, properties) = (content.clone(), properties.clone());
            async move { inner.replace(&name, &version, content, &properties).await }
        });
        self.pass(Kind::Write, "replace", name, request).await
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        let (world, inner) = (self.world.clone(), Arc::clone(&self.inner));
        let (owned, version) = (name.clone(), version.clone());
        let request = call(move |sent| {
            let (world, inner) = (world.clone(), Arc::clone(&inner));
            let (name, version) = (owned.clone(), version.clone());
            async move { world.removing(&inner, &name, &version, sent).await }
        });
        self.pass(Kind::Write, "remove", name, request).await
    }

    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            async move { inner.touch(&name).await }
        });
        self.pass(Kind::Write, "touch", name, request).await
    }

    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        let (inner, owned) = (Arc::clone(&self.inner), name.clone());
        let request = call(move |_| {
            let (inner, name) = (Arc::clone(&inner), owned.clone());
            async move { inner.discard_staged(&name).await }
        });
        self.pass(Kind::Write, "discard", name, request).await
    }
}

/// ACS's content.
pub struct GatedSource {
    pub world: World,
    pub gate: Arc<Gate>,
}

#[async_trait]
impl RecordingSource for GatedSource {
    fn admits(&self, location: &str) -> bool {
        self.world.source.admits(location)
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let (source, owned) = (Arc::clone(&self.world.source), chunk.clone());
        let request = call(move |_| {
            let (source, chunk, range) = (Arc::clone(&source), owned.clone(), range.clone());
            async move { source.open(&chunk, part, range).await }
        });
        let failure = Err(SourceError::transient("the answer was lost"));
        let name = format!("ACS get {}", part.as_str());
        self.gate.pass(Kind::Read, name, failure, request).await
    }

    async fn delete(
        &self,
        location: &DeleteLocation,
        receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        let (world, owned, receipt) = (self.world.clone(), location.clone(), receipt.clone());
        let request = call(move |sent| {
            let (world, location, receipt) = (world.clone(), owned.clone(), receipt.clone());
            async move { world.deleting(&location, &receipt, sent).await }
        });
        let failure = Err(SourceError::transient("the answer was lost"));
        self.gate
            .pass(Kind::Write, "ACS delete".to_owned(), failure, request)
            .await
    }
}
