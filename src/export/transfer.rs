//! One file from the source into the vault: stream, cut into blocks, stage, commit, verify. Resumes from staged blocks.
//!
//! At most `blocks_in_flight` blocks are in memory: one being filled, the others being staged.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::block::BlockChain;
use super::budget::Budget;
use super::destination::{BlobProperties, CommitOutcome, DestinationError, ExportDestination};
use super::digest::WORD;
use super::layout::BlobName;
use super::receipt::VerifiedFile;
use super::source::{ChunkPart, OpenedContent, RecordingSource, SourceError};
use super::verify::{self, Mismatch};
use crate::recording::RecordingChunk;
use crate::retry::RetryPolicy;

/// A source that sends nothing for this long has stalled.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Waits longer than this between two requests are not spent here.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How a file is cut and how much of it is in memory.
#[derive(Debug, Clone, Copy)]
pub struct BlockPolicy {
    /// A multiple of 64 bytes, at least 64.
    pub block_size_bytes: NonZeroUsize,
    pub blocks_in_flight: NonZeroUsize,
}

/// One file to be moved.
pub struct Transfer<'a> {
    pub source: &'a dyn RecordingSource,
    pub destination: Arc<dyn ExportDestination>,
    pub chunk: &'a RecordingChunk,
    pub part: ChunkPart,
    pub name: BlobName,
    pub content_type: &'static str,
    pub blocks: BlockPolicy,
    pub budget: Budget,
}

/// How a transfer ended without an error.
#[derive(Debug)]
pub enum TransferOutcome {
    Verified(VerifiedFile),
    /// The budget ran out; what is staged is kept.
    OutOfBudget,
}

/// Why a transfer failed. What is staged is kept in any case.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("could not read the {} from ACS", part.as_str())]
    Source { part: ChunkPart, source: SourceError },
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error("the copy could not be proved")]
    Unproved(#[source] Mismatch),
    #[error("`{0}` vanished from the vault right after its commit")]
    Vanished(BlobName),
}

/// Why the reading of blocks paused.
enum Pause {
    Complete,
    OutOfBudget,
}

type Staging = JoinSet<Result<(), DestinationError>>;

impl Transfer<'_> {
    /// Moves the file, or finds that it was moved already.
    ///
    /// Cancel-safe: dropped anywhere, it leaves staged blocks or the complete blob, never a part of one.
    ///
    /// # Errors
    /// When the source or the vault fails, or what is committed cannot be proved. What is staged is kept.
    pub async fn run(&self) -> Result<TransferOutcome, TransferError> {
        if let Some(found) = self.destination.inspect(&self.name).await? {
            return verify::verify_committed_before(&self.name, &found)
                .map(TransferOutcome::Verified)
                .map_err(TransferError::Unproved);
        }
        let staged = self.destination.staged_blocks(&self.name).await?;
        let Some(chain) = self.stage_all(BlockChain::resume(staged)).await? else {
            return Ok(TransferOutcome::OutOfBudget);
        };
        let outcome = self.destination.commit(&self.name, chain.ids(), &self.properties(&chain)).await?;
        let Some(found) = self.destination.inspect(&self.name).await? else {
            return Err(TransferError::Vanished(self.name.clone()));
        };
        if outcome == CommitOutcome::AlreadyThere {
            // Cut into other blocks, perhaps: its own block list proves it, and its digest has to be ours.
            tracing::info!(document.id = %self.chunk.document_id, blob = %self.name, "Another instance committed `{}` first", self.name);
            return verify::verify_same(&self.name, &chain, &found)
                .map(TransferOutcome::Verified)
                .map_err(TransferError::Unproved);
        }
        verify::verify(&self.name, &chain, &found).map(TransferOutcome::Verified).map_err(TransferError::Unproved)
    }

    /// Stages everything after `resumed`; `None` when the budget ran out before.
    async fn stage_all(&self, resumed: Option<BlockChain>) -> Result<Option<BlockChain>, TransferError> {
        let mut chain = resumed;
        let mut staging = Staging::new();
        let mut failures = 0;
        while chain.as_ref().is_none_or(|chain| chain.digest().is_none()) {
            let before = chain.as_ref().map_or(0, BlockChain::offset);
            let error = match self.read_blocks(&mut chain, &mut staging).await {
                Ok(Pause::Complete) => break,
                Ok(Pause::OutOfBudget) => {
                    finish(staging).await?;
                    return Ok(None);
                }
                Err(error) => error,
            };
            if chain.as_ref().map_or(0, BlockChain::offset) > before {
                failures = 0;
            }
            failures += 1;
            let Some(delay) = self.retry_delay(&error, failures) else {
                finish(staging).await?;
                return Err(error);
            };
            tracing::debug!(document.id = %self.chunk.document_id, failures, error = %crate::telemetry::ErrorChain(&error), "Reading again");
            tokio::time::sleep(delay).await;
        }
        finish(staging).await?;
        Ok(chain)
    }

    /// Reads from where `chain` ends until the file, the budget or the connection is at its end.
    async fn read_blocks(&self, chain: &mut Option<BlockChain>, staging: &mut Staging) -> Result<Pause, TransferError> {
        let offset = chain.as_ref().map_or(0, BlockChain::offset);
        let opened = self.source.open(self.chunk, self.part, offset).await.map_err(|error| self.source_error(error))?;
        let mut input = self.accept(opened, chain)?;
        loop {
            let current = chain.take().expect("accept has started a chain");
            if current.digest().is_some() || self.budget.is_spent() {
                let pause = if current.digest().is_some() { Pause::Complete } else { Pause::OutOfBudget };
                *chain = Some(current);
                return Ok(pause);
            }
            while staging.len() >= self.blocks.blocks_in_flight.get() {
                if let Err(error) = staged(staging.join_next().await) {
                    *chain = Some(current);
                    return Err(error);
                }
            }
            let content = match input.block(self.next_size(&current), self.budget.deadline()).await {
                Ok(Some(content)) => content,
                Ok(None) => {
                    *chain = Some(current);
                    return Ok(Pause::OutOfBudget);
                }
                Err(error) => {
                    *chain = Some(current);
                    return Err(self.source_error(error));
                }
            };
            let hashing = tokio::task::spawn_blocking(move || current.hash_next(content));
            let (next, block) = hashing.await.expect("hashing neither panics nor is aborted");
            tracing::debug!(document.id = %self.chunk.document_id, chunk.index = self.chunk.index, part = self.part.as_str(), offset_bytes = next.offset(), total_bytes = next.total_bytes(), "Read block {}", block.id);
            *chain = Some(next);
            let (destination, name) = (Arc::clone(&self.destination), self.name.clone());
            staging.spawn(async move { destination.stage(&name, block).await });
        }
    }

    /// Checks what the source announces against what is staged, and skips what is staged already.
    fn accept(&self, opened: OpenedContent, chain: &mut Option<BlockChain>) -> Result<Input, TransferError> {
        let total_bytes = opened.total_bytes;
        if total_bytes == 0 {
            // Seen on the service: the first download of the day is empty, a minute later it is right.
            return Err(self.source_error(SourceError::transient("ACS sent an empty file")));
        }
        if let Some(staged) = chain.as_ref().filter(|chain| chain.total_bytes() != total_bytes) {
            let what = format!("the length changed from {} to {total_bytes} bytes", staged.total_bytes());
            *chain = None;
            return Err(self.source_error(SourceError::transient(what)));
        }
        let chain = chain.get_or_insert_with(|| BlockChain::start(total_bytes));
        let Some(skip) = chain.offset().checked_sub(opened.offset) else {
            return Err(self.source_error(SourceError::transient("ACS sent a later range than was asked for")));
        };
        Ok(Input { stream: opened.stream, rest: Bytes::new(), skip })
    }

    fn next_size(&self, chain: &BlockChain) -> usize {
        let left = chain.total_bytes() - chain.offset();
        usize::try_from(left).unwrap_or(usize::MAX).min(self.blocks.block_size_bytes.get())
    }

    fn retry_delay(&self, error: &TransferError, failures: u32) -> Option<Duration> {
        let TransferError::Source { source: SourceError::Transient { retry_after, .. }, .. } = error else {
            return None;
        };
        let delay = RetryPolicy::REQUEST.delay(failures, *retry_after, rand::random())?;
        // A longer wait is the ledger's business: it keeps neither a slot nor a claim.
        (delay <= LONGEST_WAIT && delay < self.budget.remaining()).then_some(delay)
    }

    fn properties(&self, chain: &BlockChain) -> BlobProperties {
        let mut metadata =
            vec![("document_id", self.chunk.document_id.to_string()), ("chunk_index", self.chunk.index.to_string())];
        if let Some(sha256) = chain.digest() {
            metadata.push(("sha256", sha256.to_string()));
        }
        BlobProperties { content_type: self.content_type, metadata }
    }

    fn source_error(&self, source: SourceError) -> TransferError {
        TransferError::Source { part: self.part, source }
    }
}

/// The bytes of an opened file, cut to measure.
struct Input {
    stream: BoxStream<'static, Result<Bytes, SourceError>>,
    rest: Bytes,
    skip: u64,
}

impl Input {
    /// The next `size` bytes, or fewer when the deadline comes before: what a slow source has sent by then is kept. `None`
    /// when it is nothing. Fails when the file ends before.
    async fn block(&mut self, size: usize, deadline: Instant) -> Result<Option<Bytes>, SourceError> {
        let mut block = BytesMut::with_capacity(size);
        while block.len() < size {
            if self.rest.is_empty() {
                let Ok(piece) = tokio::time::timeout_at(deadline, self.piece()).await else {
                    // A block that is not the last has to end with a word of the digest.
                    block.truncate(block.len() / WORD * WORD);
                    return Ok((!block.is_empty()).then(|| block.freeze()));
                };
                self.rest = piece?;
            }
            let taken = self.rest.split_to(self.rest.len().min(size - block.len()));
            block.extend_from_slice(&taken);
        }
        Ok(Some(block.freeze()))
    }

    async fn piece(&mut self) -> Result<Bytes, SourceError> {
        loop {
            let next = tokio::time::timeout(STALL_LIMIT, self.stream.next()).await;
            let next = next.map_err(|_| SourceError::transient(format!("ACS sent nothing for {STALL_LIMIT:?}")))?;
            let mut piece = next.ok_or_else(|| SourceError::transient("the file ended before its announced length"))??;
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
            self.skip -= skipped as u64;
            let piece = piece.split_off(skipped);
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }
}

/// Waits for all blocks that are being staged.
async fn finish(mut staging: Staging) -> Result<(), TransferError> {
    while let Some(result) = staging.join_next().await {
        staged(Some(result))?;
    }
    Ok(())
}

fn staged(joined: Option<Result<Result<(), DestinationError>, tokio::task::JoinError>>) -> Result<(), TransferError> {
    match joined {
        Some(Ok(result)) => Ok(result?),
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Some(Err(_)) | None => Ok(()),
    }
}
