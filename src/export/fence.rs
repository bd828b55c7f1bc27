//! A fence around actions outside the ledger: the vault does not know claims, so each write there checks first whether
//! the claim lasts longer than a request takes, and is cut off when the claim ends.

use std::future::Future;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use super::block::{Block, BlockId};
use super::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CommittedBlob, CreateOutcome, DescribedBlob,
    DestinationError, EarlierVersion, ExportDestination, ListedBlob, NameFilter, Protection,
    RemoveOutcome, ReplaceOutcome, StageOutcome, TouchOutcome,
};
use super::entry::{LedgerEntry, StagedVersion};
use super::layout::BlobName;
use super::ledger::{AfterUpdate, ChunkLedger, Claim, ClaimOver, LedgerError};
use crate::recording::{FileNumber, MediaKind};

/// Check that the holder of a claim makes before it acts outside the ledger.
#[derive(Clone, Copy)]
pub struct Fence<'a> {
    ledger: &'a ChunkLedger,
    claim: &'a Claim,
}

impl<'a> Fence<'a> {
    pub fn new(ledger: &'a ChunkLedger, claim: &'a Claim) -> Self {
        Self { ledger, claim }
    }

    /// Ensures that the claim lasts longer than a request takes, and renews it if necessary.
    ///
    /// # Errors
    /// [`LedgerError::ClaimLost`] when another has it; otherwise when the storage fails.
    pub async fn check(&self) -> Result<(), LedgerError> {
        self.ledger.ensure_time(self.claim).await
    }

    /// Whether there is time for a request. It never waits, so what was checked just before still holds.
    pub fn has_time(&self) -> bool {
        self.ledger.has_time(self.claim)
    }

    /// Durably decides the kind of media that a file is named after, unless already decided. Returns the kind that it
    /// is named after.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn name_media(
        &self,
        number: FileNumber,
        kind: MediaKind,
    ) -> Result<MediaKind, LedgerError> {
        let name = |entry: &mut LedgerEntry| {
            entry.name_media(number, kind);
        };
        let mut entry = self
            .ledger
            .update(self.claim, AfterUpdate::KeepClaim, name)
            .await?;
        Ok(entry.name_media(number, kind).unwrap_or(kind))
    }

    /// Durably notes which version of a file is about to be staged.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) async fn keep_version(&self, version: &StagedVersion) -> Result<(), LedgerError> {
        let keep = |entry: &mut LedgerEntry| entry.set_staged_version(version.clone());
        let keeping = self.ledger.update(self.claim, AfterUpdate::KeepClaim, keep);
        keeping.await.map(drop)
    }

    /// A vault whose writes check this fence first. Its removals never wait for a renewal: they fail without time.
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

/// Whether a fenced request failed only because the claim ended under it.
pub(super) fn is_cut_off(error: &DestinationError) -> bool {
    error.source.is::<ClaimOver>()
}

fn stopped(
    action: &'static str,
    name: &BlobName,
    error: impl std::error::Error + Send + Sync + 'static,
) -> DestinationError {
    DestinationError {
        action,
        is_refused: false,
        name: name.clone(),
        source: error.into(),
    }
}

#[async_trait]
impl ExportDestination for FencedVault<'_> {
    async fn staged_blocks(&self, name: &BlobName) -> Result<Vec<BlockId>, DestinationError> {
        self.vault.staged_blocks(name).await
    }

    async fn stage(&self, name: &BlobName, block: Block) -> Result<StageOutcome, DestinationError> {
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

    async fn create(
        &self,
        name: &BlobName,
        block: Block,
        properties: &BlobProperties,
    ) -> Result<CreateOutcome, DestinationError> {
        let creating = self.vault.create(name, block, properties);
        self.act("create", name, creating).await
    }

    async fn inspect(&self, name: &BlobName) -> Result<Option<CommittedBlob>, DestinationError> {
        self.vault.inspect(name).await
    }

    fn asks_for_protection(&self) -> bool {
        self.vault.asks_for_protection()
    }

    async fn missing_protection(
        &self,
        name: &BlobName,
    ) -> Result<Vec<Protection>, DestinationError> {
        self.vault.missing_protection(name).await
    }

    async fn read(&self, name: &BlobName, range: Range<u64>) -> Result<Bytes, DestinationError> {
        self.vault.read(name, range).await
    }

    async fn stream(
        &self,
        name: &BlobName,
        version: Option<&BlobVersion>,
        range: Range<u64>,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, DestinationError>>>, DestinationError> {
        self.vault.stream(name, version, range).await
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

    async fn put_unprotected(
        &self,
        name: &BlobName,
        content: Bytes,
        properties: &BlobProperties,
    ) -> Result<CommitOutcome, DestinationError> {
        let putting = self.vault.put_unprotected(name, content, properties);
        self.act("write", name, putting).await
    }

    async fn earlier_versions(
        &self,
        is_wanted: NameFilter,
    ) -> Result<Vec<EarlierVersion>, DestinationError> {
        self.vault.earlier_versions(is_wanted).await
    }

    async fn read_earlier(
        &self,
        version: &EarlierVersion,
    ) -> Result<Option<Bytes>, DestinationError> {
        self.vault.read_earlier(version).await
    }

    async fn list(
        &self,
        after: Option<&BlobName>,
        limit: usize,
    ) -> Result<Vec<ListedBlob>, DestinationError> {
        self.vault.list(after, limit).await
    }

    async fn describe(&self, name: &BlobName) -> Result<Option<DescribedBlob>, DestinationError> {
        self.vault.describe(name).await
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
