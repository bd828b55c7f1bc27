//! Moves one file from the source into the vault and verifies it: a file of one block in one piece, a larger one by blocks
//! that are staged and committed. Resumes from staged blocks.

use crate::export::block::{Block, BlockChain, BlockId, BlockPolicy};
use crate::export::destination::{
    BLOCK_METADATA, BlobProperties, CommitOutcome, CreateOutcome, ExportDestination, StageOutcome,
};
use crate::export::entry::StagedVersion;
use crate::export::fence::Fence;
use crate::export::layout::BlobName;
use crate::export::receipt::{VaultName, VerifiedFile};
use crate::export::slots::Turn;
use crate::export::source::{ChunkPart, RecordingSource};
use crate::export::transfer::assembly::{Assembled, Assembly};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::fetch::{Buffers, Fetcher};
use crate::export::transfer::verify::{self, Mismatch};
use crate::export::transfer::version::KeptVersion;
use crate::export::transfer::whole::{inspect_and_read, read_if_whole};
use crate::media::PassingMedia;
use crate::metrics;
use crate::recording::RecordingChunk;

/// One file to be moved.
pub struct Transfer<'a> {
    pub source: &'a dyn RecordingSource,
    pub destination: &'a dyn ExportDestination,
    pub chunk: &'a RecordingChunk,
    pub part: ChunkPart,
    pub name: BlobName,
    pub content_type: &'static str,
    pub blocks: BlockPolicy,
    pub turn: &'a Turn,
    /// Records the version of the file that is staged.
    pub fence: Fence<'a>,
    pub vault: VaultName,
    /// The staged version, if known.
    pub staged_version: Option<&'a StagedVersion>,
    /// There was no earlier attempt at this file: nothing can be staged or committed.
    pub is_first_attempt: bool,
}

/// A file that is in the vault and proved.
#[derive(Debug)]
pub struct Transferred {
    pub file: VerifiedFile,
    /// Parts of it that were kept during the transfer.
    pub passing: PassingMedia,
}

/// Outcome of a transfer without an error.
#[derive(Debug)]
pub enum TransferOutcome {
    Verified(Box<Transferred>),
    /// The turn ended. Staged blocks are kept.
    OutOfTime,
}

impl Transfer<'_> {
    /// Moves the file, or finds that it was already moved.
    ///
    /// Cancel-safe: dropped anywhere, it leaves staged blocks or the complete blob, never a part of one.
    ///
    /// # Errors
    /// When the source or the vault fails, or the committed blob cannot be proved. Staged blocks are kept.
    #[tracing::instrument(name = "transfer", skip_all, fields(part = self.part.as_str()))]
    pub async fn run(&self) -> Result<TransferOutcome, TransferError> {
        let mut staged = Vec::new();
        if !self.is_first_attempt {
            match self.destination.inspect(&self.name).await? {
                // Only the source can tell what it is.
                Some(found) if found.blocks.is_empty() && found.named.is_none() => {}
                Some(found) => {
                    let found = read_if_whole(self.destination, &self.name, found).await?;
                    let file = verify::verify_committed_before(&self.name, &found);
                    return proved(file, PassingMedia::default());
                }
                None => staged = self.destination.staged_blocks(&self.name).await?,
            }
        }
        if self.staged_version.is_some_and(|version| version.is_mixed) {
            // Blocks of this turn are not used by the next one either.
            self.turn.be_patient();
            staged.clear();
        }
        let Some(assembled) = self.assemble(&staged).await? else {
            return Ok(TransferOutcome::OutOfTime);
        };
        let Assembled {
            chain,
            passing,
            whole,
        } = assembled;
        match whole {
            Some(block) => self.create_and_verify(&chain, block, passing).await,
            None => self.commit_and_verify(&chain, passing).await,
        }
    }

    #[tracing::instrument(name = "verify", skip_all, fields(size_bytes = chain.total_bytes(), blocks = 1))]
    async fn create_and_verify(
        &self,
        chain: &BlockChain,
        block: Block,
        passing: PassingMedia,
    ) -> Result<TransferOutcome, TransferError> {
        let properties = self.properties(chain);
        let creating = self
            .destination
            .create(&self.name, block.clone(), &properties);
        match creating.await? {
            CreateOutcome::Confirmed { etag } => {
                metrics::staged(chain.total_bytes());
                written(verify::confirmed(&self.name, chain, etag), passing)
            }
            CreateOutcome::Unconfirmed => {
                metrics::staged(chain.total_bytes());
                self.verify(chain, CommitOutcome::Committed, passing).await
            }
            CreateOutcome::AlreadyThere if self.is_committed().await? => {
                self.verify(chain, CommitOutcome::AlreadyThere, passing)
                    .await
            }
            // Only blocks are staged under its name: it joins them. It is complete, so its version need not be kept.
            CreateOutcome::AlreadyThere => match self.destination.stage(&self.name, block).await? {
                StageOutcome::Staged => self.commit_and_verify(chain, passing).await,
                StageOutcome::ForeignBlocks => Err(TransferError::ForeignBlocks(self.name.clone())),
            },
        }
    }

    async fn is_committed(&self) -> Result<bool, TransferError> {
        let version = self.destination.version(&self.name).await?;
        Ok(version.is_some())
    }

    #[tracing::instrument(name = "verify", skip_all, fields(size_bytes = chain.total_bytes(), blocks = chain.ids().len()))]
    async fn commit_and_verify(
        &self,
        chain: &BlockChain,
        passing: PassingMedia,
    ) -> Result<TransferOutcome, TransferError> {
        let outcome = self
            .destination
            .commit(&self.name, chain.ids(), &self.properties(chain))
            .await?;
        self.verify(chain, outcome, passing).await
    }

    async fn verify(
        &self,
        chain: &BlockChain,
        outcome: CommitOutcome,
        passing: PassingMedia,
    ) -> Result<TransferOutcome, TransferError> {
        let inspecting = inspect_and_read(self.destination, &self.name, chain.total_bytes());
        let Some(found) = inspecting.await? else {
            return Err(TransferError::Vanished(self.name.clone()));
        };
        if outcome == CommitOutcome::AlreadyThere {
            // Its blocks may differ: its own block list proves it, and its digest must be ours.
            tracing::info!(document.id = %self.chunk.document_id, blob = %self.name, "Another instance committed `{}` first", self.name);
            return proved(verify::verify_same(&self.name, chain, &found), passing);
        }
        written(verify::verify(&self.name, chain, &found), passing)
    }

    async fn assemble(&self, staged: &[BlockId]) -> Result<Option<Assembled>, TransferError> {
        let buffers = Buffers::default();
        let (source, chunk, part, turn) = (self.source, self.chunk, self.part, self.turn);
        let fetcher = Fetcher {
            source,
            chunk,
            part,
            turn,
            buffers: &buffers,
        };
        // A known version means nothing if nothing of it is staged. Once mixed, the staged blocks stay mixed.
        let known = self
            .staged_version
            .filter(|version| version.is_mixed || !staged.is_empty());
        // But a block of it may still be on its way: another version that is staged beside it makes the blocks mixed.
        let noted = self.staged_version.cloned();
        let version = KeptVersion::new(self.fence, &self.name, self.vault, noted);
        let assembly = Assembly {
            fetcher,
            version: &version,
            staged_validator: known
                .filter(|known| !known.is_mixed)
                .map(|known| &known.validator),
            destination: self.destination,
            name: &self.name,
            blocks: self.blocks,
        };
        assembly.stage_all(staged).await
    }

    fn properties(&self, chain: &BlockChain) -> BlobProperties {
        let mut metadata = vec![
            ("document_id", self.chunk.document_id.to_string()),
            ("chunk_index", self.chunk.index.to_string()),
        ];
        if let Some(sha256) = chain.digest() {
            metadata.push(("sha256", sha256.to_string()));
        }
        if let [only] = chain.ids() {
            metadata.push((BLOCK_METADATA, only.to_hex()));
        }
        let chunk = self.chunk;
        let ids = [
            ("documentId", Some(chunk.document_id.to_string())),
            (
                "recordingId",
                chunk.recording_id.as_ref().map(ToString::to_string),
            ),
            ("callId", chunk.call_id.as_ref().map(ToString::to_string)),
        ];
        let tags = ids
            .into_iter()
            .filter_map(|(name, id)| Some((name, id?)))
            .collect();
        BlobProperties {
            content_type: self.content_type,
            metadata,
            tags,
        }
    }
}

/// The outcome for a file that this attempt wrote.
fn written(
    file: Result<VerifiedFile, Mismatch>,
    passing: PassingMedia,
) -> Result<TransferOutcome, TransferError> {
    file.map(|file| TransferOutcome::Verified(Box::new(Transferred { file, passing })))
        .map_err(TransferError::NotAsWritten)
}

/// The outcome for a file that was there before.
fn proved(
    file: Result<VerifiedFile, Mismatch>,
    passing: PassingMedia,
) -> Result<TransferOutcome, TransferError> {
    file.map(|file| TransferOutcome::Verified(Box::new(Transferred { file, passing })))
        .map_err(TransferError::Unproved)
}
