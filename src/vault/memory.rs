//! Vault and ledger store in memory, for tests and simulations.

mod document_store;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::export::block::{Block, BlockId};
use crate::export::checksummed::crc64;
use crate::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, ExportDestination, ListedBlob, Protection, RemoveOutcome, ReplaceOutcome,
    StageOutcome, TouchOutcome,
};
use crate::export::layout::BlobName;
use crate::store::digest::Sha256Digest;

pub use document_store::MemoryDocumentStore;

/// A vault whose content is lost when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryVault {
    blobs: Mutex<Blobs>,
}

#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that a test switches on"
)]
struct Blobs {
    staged: HashMap<BlobName, HashMap<[u8; 64], Bytes>>,
    committed: BTreeMap<BlobName, MemoryBlob>,
    writes: u64,
    unavailable: bool,
    fails_after: Duration,
    refuses_removals: bool,
    protected: BTreeSet<BlobName>,
    refused_protection: Vec<Protection>,
    /// Only files whose names contain it are kept without.
    refused_for: String,
    foreign_blocks: BTreeSet<BlobName>,
    confirms_nothing: bool,
    damages_writes: bool,
}

#[derive(Debug, Clone)]
struct MemoryBlob {
    content: Bytes,
    blocks: Vec<BlockId>,
    named: Option<BlockId>,
    version: u64,
}

impl MemoryBlob {
    fn version(&self) -> BlobVersion {
        BlobVersion(self.version.to_string())
    }
}

impl Blobs {
    fn write(&mut self, name: &BlobName, content: Bytes, blocks: Vec<BlockId>) -> &mut MemoryBlob {
        self.writes += 1;
        let content = if self.damages_writes {
            content.iter().map(|byte| !byte).collect()
        } else {
            content
        };
        let blob = MemoryBlob {
            content,
            blocks,
            named: None,
            version: self.writes,
        };
        self.committed
            .entry(name.clone())
            .insert_entry(blob)
            .into_mut()
    }

    fn has_version(&self, name: &BlobName, version: &BlobVersion) -> bool {
        let found = self.committed.get(name);
        found.is_some_and(|blob| blob.version() == *version)
    }

    fn protects(&self, name: &BlobName) -> bool {
        self.refuses_removals || self.protected.contains(name)
    }
}

/// A vault of its own, with the same files and faults.
impl Clone for MemoryVault {
    fn clone(&self) -> Self {
        let blobs = Mutex::new(self.blobs().clone());
        Self { blobs }
    }
}

impl MemoryVault {
    fn blobs(&self) -> MutexGuard<'_, Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses all content, as if another program had deleted it.
    pub fn lose_everything(&self) {
        let mut blobs = self.blobs();
        *blobs = Blobs {
            writes: blobs.writes,
            ..Blobs::default()
        };
    }

    /// From now on every call fails, or none does.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.blobs().unavailable = unavailable;
    }

    /// From now on every call fails, after so long.
    pub fn set_slowly_unavailable(&self, after: Duration) {
        self.blobs().fails_after = after;
        self.set_unavailable(true);
    }

    /// From now on removals fail, or they do not.
    pub fn refuse_removals(&self, refuse: bool) {
        self.blobs().refuses_removals = refuse;
    }

    /// Acts as if another program had staged blocks under this name.
    pub fn stage_foreign_blocks(&self, name: &BlobName) {
        self.blobs().foreign_blocks.insert(name.clone());
    }

    /// From now on files are kept without this protection, as by a storage that refuses it.
    pub fn refuse_protection(&self, refused: &[Protection]) {
        self.refuse_protection_of("", refused);
    }

    /// From now on files whose names contain `part` are kept without this protection.
    pub fn refuse_protection_of(&self, part: &str, refused: &[Protection]) {
        let mut blobs = self.blobs();
        blobs.refused_protection = refused.to_vec();
        part.clone_into(&mut blobs.refused_for);
    }

    /// From now on the answer to a blob created in one piece has no checksum, as an emulator's.
    pub fn confirm_nothing(&self) {
        self.blobs().confirms_nothing = true;
    }

    /// From now on what is written is stored with other content, or it is not.
    pub fn damage_writes(&self, damage: bool) {
        self.blobs().damages_writes = damage;
    }

    /// From now on this file cannot be removed, as under a container's immutability policy.
    pub fn protect(&self, name: &BlobName) {
        self.blobs().protected.insert(name.clone());
    }

    async fn reach(
        &self,
        action: &'static str,
        name: &BlobName,
    ) -> Result<MutexGuard<'_, Blobs>, DestinationError> {
        let (unavailable, after) = {
            let blobs = self.blobs();
            (blobs.unavailable, blobs.fails_after)
        };
        if unavailable {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            return Err(failed(action, name, "the vault is not available"));
        }
        Ok(self.blobs())
    }

    /// Everything that is committed.
    pub fn files(&self) -> BTreeMap<BlobName, Bytes> {
        self.blobs()
            .committed
            .iter()
            .map(|(name, blob)| (name.clone(), blob.content.clone()))
            .collect()
    }
}

fn failed(action: &'static str, name: &BlobName, why: &'static str) -> DestinationError {
    DestinationError {
        action,
        is_refused: false,
        name: name.clone(),
        source: why.into(),
    }
}

#[async_trait]
impl ExportDestination for MemoryVault {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        let blobs = self.reach("list the staged blocks of", name).await?;
        Ok(blobs
            .staged
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|(id, _)| BlockId::from_bytes(id))
            .collect())
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
        if crc64(&block.content) != block.id.crc64() {
            return Err(failed(
                "stage a block of",
                name,
                "its CRC-64 does not match",
            ));
        }
        let mut blobs = self.reach("stage a block of", name).await?;
        if blobs.foreign_blocks.contains(name) {
            return Ok(StageOutcome::ForeignBlocks);
        }
        blobs
            .staged
            .entry(name.clone())
            .or_default()
            .insert(block.id.to_bytes(), block.content);
        Ok(StageOutcome::Staged)
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        _properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let mut blobs = self.reach("commit", name).await?;
        if blobs.committed.contains_key(name) {
            return Ok(CommitOutcome::AlreadyThere);
        }
        let mut content = BytesMut::new();
        for id in blocks {
            let block = blobs
                .staged
                .get(name)
                .and_then(|staged| staged.get(&id.to_bytes()));
            content.extend_from_slice(
                block.ok_or_else(|| failed("commit", name, "a block is not staged"))?,
            );
        }
        blobs.staged.remove(name);
        blobs.write(name, content.freeze(), blocks.to_vec());
        Ok(CommitOutcome::Committed)
    }

    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        if crc64(&block.content) != block.id.crc64() {
            return Err(failed("create", name, "its CRC-64 does not match"));
        }
        let mut blobs = self.reach("create", name).await?;
        // As an emulator does it: for it staged blocks are a blob too.
        if blobs.committed.contains_key(name) || blobs.foreign_blocks.contains(name) {
            return Ok(CreateOutcome::AlreadyThere);
        }
        blobs.staged.remove(name);
        let confirms_nothing = blobs.confirms_nothing;
        let blob = blobs.write(name, block.content, Vec::new());
        blob.named = properties.only_block();
        Ok(if confirms_nothing {
            CreateOutcome::Unconfirmed
        } else {
            let etag = blob.version.to_string();
            CreateOutcome::Confirmed { etag }
        })
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        Ok(self
            .reach("inspect", name)
            .await?
            .committed
            .get(name)
            .map(|blob| {
                let ids = blob.blocks.iter();
                CommittedBlob {
                    size_bytes: blob.content.len() as u64,
                    etag: blob.version.to_string(),
                    blocks: ids.map(|id| (Some(*id), id.size_bytes())).collect(),
                    named: blob.named,
                    read_back: Some(Sha256Digest::of(&blob.content)),
                }
            }))
    }

    fn asks_for_protection(&self) -> bool {
        !self.blobs().refused_protection.is_empty()
    }

    async fn missing_protection(
        &self,
        name: &BlobName,
    ) -> Result<Vec<Protection>, DestinationError> {
        let blobs = self.reach("inspect", name).await?;
        let is_refused = name.as_str().contains(&blobs.refused_for);
        let refused = is_refused.then(|| blobs.refused_protection.clone());
        Ok(refused.unwrap_or_default())
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        let blobs = self.reach("read", name).await?;
        let blob = blobs.committed.get(name);
        let content = &blob
            .ok_or_else(|| failed("read", name, "it does not exist"))?
            .content;
        let clipped = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(content.len())
        };
        Ok(content.slice(clipped(range.start)..clipped(range.end)))
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        let is_wanted = {
            let blobs = self.reach("read", name).await?;
            match version {
                Some(version) => blobs.has_version(name, version),
                None => blobs.committed.contains_key(name),
            }
        };
        if !is_wanted {
            return Ok(None);
        }
        let content = self.read(name, range).await?;
        Ok(Some(futures::stream::iter([Ok(content)]).boxed()))
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        let everything = "everything".parse().expect("it is a safe name");
        let blobs = self.reach("list", &everything).await?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(blobs
            .committed
            .range::<BlobName, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|(name, blob)| ListedBlob {
                name: name.clone(),
                size_bytes: blob.content.len() as u64,
            })
            .collect())
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        let blobs = self.reach("inspect", name).await?;
        Ok(blobs.committed.get(name).map(|blob| DescribedBlob {
            version: blob.version(),
            size_bytes: blob.content.len() as u64,
            etag: Some(blob.version.to_string()),
        }))
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let mut blobs = self.reach("replace", name).await?;
        if !blobs.has_version(name, version) {
            return Ok(ReplaceOutcome::Changed);
        }
        if blobs.protects(name) {
            return Ok(ReplaceOutcome::Protected);
        }
        blobs.write(name, content, Vec::new()).named = properties.only_block();
        Ok(ReplaceOutcome::Replaced)
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        let mut blobs = self.reach("remove", name).await?;
        if !blobs.committed.contains_key(name) {
            return Ok(RemoveOutcome::Removed);
        }
        if !blobs.has_version(name, version) {
            return Ok(RemoveOutcome::Changed);
        }
        if blobs.protects(name) {
            return Err(failed("remove", name, "it is immutable due to a policy"));
        }
        blobs.committed.remove(name);
        Ok(RemoveOutcome::Removed)
    }

    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        let mut blobs = self.reach("touch", name).await?;
        if blobs.protects(name) {
            return Ok(TouchOutcome::Protected);
        }
        blobs.writes += 1;
        let version = blobs.writes;
        Ok(match blobs.committed.get_mut(name) {
            Some(blob) => {
                blob.version = version;
                TouchOutcome::Touched
            }
            None => TouchOutcome::NotThere,
        })
    }

    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        let mut blobs = self.reach("discard the staged blocks of", name).await?;
        blobs.staged.remove(name);
        Ok(())
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let mut blobs = self.reach("write", name).await?;
        if blobs.committed.contains_key(name) {
            return Ok(CommitOutcome::AlreadyThere);
        }
        blobs.write(name, content, Vec::new()).named = properties.only_block();
        Ok(CommitOutcome::Committed)
    }
}
