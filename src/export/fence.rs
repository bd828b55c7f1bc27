//! A fence around what happens outside the ledger: the vault does not know claims, so each write there asks first whether the
//! claim lasts longer than a request takes, and is cut off when the claim ends.

use std::future::Future;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::block::{Block, BlockId};
use super::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, DestinationError, ExportDestination,
    RemoveOutcome, ReplaceOutcome, TouchOutcome,
};
use super::layout::BlobName;
use super::ledger::{AfterUpdate, ChunkLedger, Claim, ClaimOver, LedgerError};
use crate::recording::{FileNumber, MediaKind};

/// What a claim's holder has to ask before it acts outside the ledger.
#[derive(Clone, Copy)]
pub struct Fence<'a> {
    ledger: &'a ChunkLedger,
    claim: &'a Claim,
}

impl<'a> Fence<'a> {
    pub fn new(ledger: &'a ChunkLedger, claim: &'a Claim) -> Self {
        Self { ledger, claim }
    }

    /// Sees to it that the claim lasts longer than a request takes; renews it if need be.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when another has it; otherwise when the storage fails.
    pub async fn check(&self) -> Result<(), LedgerError> {
        self.ledger.ensure_time(self.claim).await
    }

    /// Whether there is time for a request. It never waits: what was looked at just before is still so.
    pub fn has_time(&self) -> bool {
        self.ledger.has_time(self.claim)
    }

    /// Decides what the media of a file is called after, durably, unless that is decided already. Gives what it is called
    /// after.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn name_media(
        &self,
        number: FileNumber,
        kind: MediaKind,
    ) -> Result<MediaKind, LedgerError> {
        let name = |entry: &mut super::entry::LedgerEntry| {
            entry.name_media(number, kind);
        };
        let mut entry = self
            .ledger
            .update(self.claim, AfterUpdate::KeepClaim, name)
            .await?;
        Ok(entry.name_media(number, kind).unwrap_or(kind))
    }

    /// Notes durably that the chunk's metadata is larger than what is copied: it is not asked for again.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn note_large_metadata(&self) -> Result<(), LedgerError> {
        let note = |entry: &mut super::entry::LedgerEntry| entry.metadata_too_large = true;
        self.ledger
            .update(self.claim, AfterUpdate::KeepClaim, note)
            .await
            .map(drop)
    }

    /// A vault whose writes ask this fence first. Its removals never wait for a renewal: they fail where there is no time.
    pub fn around(self, vault: &'a dyn ExportDestination) -> FencedVault<'a> {
        FencedVault { vault, fence: self }
    }
}

/// A vault behind a fence.
pub struct FencedVault<'a> {
    vault: &'a dyn ExportDestination,
    fence: Fence<'a>,
}

impl FencedVault<'_> {
    async fn act<T>(
        &self,
        action: &'static str,
        name: &BlobName,
        acting: impl Future<Output = Result<T, DestinationError>> + Send,
    ) -> Result<T, DestinationError> {
        if let Err(error) = self.fence.check().await {
            return Err(stopped(action, name, error));
        }
        self.send(action, name, acting).await
    }

    async fn send<T>(
        &self,
        action: &'static str,
        name: &BlobName,
        acting: impl Future<Output = Result<T, DestinationError>> + Send,
    ) -> Result<T, DestinationError> {
        let acted = self.fence.claim.while_it_lasts(acting).await;
        acted.unwrap_or_else(|over| Err(stopped(action, name, over)))
    }
}

fn stopped(
    action: &'static str,
    name: &BlobName,
    error: impl std::error::Error + Send + Sync + 'static,
) -> DestinationError {
    DestinationError {
        action,
        name: name.clone(),
        source: error.into(),
    }
}

#[async_trait]
impl ExportDestination for FencedVault<'_> {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.vault.staged_blocks(name).await
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<(), DestinationError> {
        let staging = self.vault.stage(name, block);
        self.act("stage a block of", name, staging).await
    }

    async fn commit(
        &self,
        name: &BlobName,
        blocks: &[BlockId],
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let committing = self.vault.commit(name, blocks, properties);
        self.act("commit", name, committing).await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.vault.inspect(name).await
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.vault.read(name, range).await
    }

    async fn stream(
        &self,
        name: &BlobName,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.vault.stream(name, range).await
    }

    async fn put(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let putting = self.vault.put(name, content, properties);
        self.act("write", name, putting).await
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<BlobName>, DestinationError> {
        self.vault.list(after, limit).await
    }

    async fn version(&self, name: &BlobName) -> Result<Option<BlobVersion>, DestinationError> {
        self.vault.version(name).await
    }

    async fn replace(
        &self,
        name: &BlobName,
        version: &BlobVersion,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<ReplaceOutcome, DestinationError> {
        let replacing = self.vault.replace(name, version, content, properties);
        self.act("replace", name, replacing).await
    }

    async fn remove(
        &self,
        name: &BlobName,
        version: &BlobVersion,
    ) -> Result<RemoveOutcome, DestinationError> {
        if !self.fence.has_time() {
            return Err(stopped("remove", name, ClaimOver));
        }
        let removing = self.vault.remove(name, version);
        self.send("remove", name, removing).await
    }

    async fn touch(&self, name: &BlobName) -> Result<TouchOutcome, DestinationError> {
        self.act("touch", name, self.vault.touch(name)).await
    }

    async fn discard_staged(&self, name: &BlobName) -> Result<(), DestinationError> {
        let discarding = self.vault.discard_staged(name);
        self.act("discard the staged blocks of", name, discarding)
            .await
    }
}
