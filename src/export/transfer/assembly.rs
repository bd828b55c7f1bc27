//! Transfers the blocks of one file: fetches them in parallel, hashes them in order, and stages them.
//!
//! ```text
//!  source ─▶ fetching ─▶ ready ─▶ hashing (one at a time, off the async threads) ─▶ staging ─▶ vault
//!            └────────────── at most `blocks_in_flight` blocks from here ──────────────┘
//! ```
//! A block leaves the window when it and all before it are staged, so a kill never wastes more than the window.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt as _};
use futures::{FutureExt as _, future};

use crate::export::block::BlockPolicy;
use crate::export::block::{Block, BlockChain, BlockId};
use crate::export::checksummed::Checksummed;
use crate::export::destination::{ExportDestination, StageOutcome};
use crate::export::layout::BlobName;
use crate::export::source::{SourceError, Validator};
use crate::export::transfer::error::TransferError;
use crate::export::transfer::fetch::{BlockRequest, Extent, FetchError, Fetched, Fetcher, Input};
use crate::export::transfer::version::KeptVersion;
use crate::media::PassingMedia;
use crate::metrics;
use crate::store::digest::WORD;

/// Below this, handing a block to another thread costs more than hashing it.
const WORTH_A_THREAD: usize = 256 * 1024;
/// Changes of a file's length by the source that are tolerated. After more, the transfer fails and is retried later.
const LENGTH_CHANGES: u32 = 3;
/// Restarts of a file whose version changes between ranges; after that it is read in one stream.
const VERSION_CHANGES: u32 = 2;
/// Blocks that take longer reduce the concurrency by one: a block that the end of a turn interrupts is lost.
const SLOW: Duration = Duration::from_secs(12);
/// Blocks that take less double the concurrency.
const FAST: Duration = Duration::from_secs(8);

/// Fetches, hashes and stages the missing blocks of one file.
pub(in crate::export) struct Assembly<'a> {
    pub fetcher: Fetcher<'a>,
    pub destination: &'a dyn ExportDestination,
    pub name: &'a BlobName,
    pub blocks: BlockPolicy,
    /// Records the version of the staged blocks.
    pub version: &'a KeptVersion<'a>,
    /// The version of the staged blocks, if known.
    pub staged_validator: Option<&'a Validator>,
}

/// All blocks of a file: staged, or the only one.
pub(in crate::export) struct Assembled {
    pub chain: BlockChain,
    /// The only block of a file, which is not staged: the file can be created in one piece.
    pub whole: Option<Block>,
    /// Parts of the file that were kept during the transfer.
    pub passing: PassingMedia,
}

impl Assembled {
    fn of(chain: BlockChain, whole: Option<Block>, passing: PassingMedia) -> Self {
        Self {
            chain,
            whole,
            passing,
        }
    }
}

/// Why the window closed.
enum Halt {
    Complete(BlockChain, Option<Block>),
    OutOfTime,
    /// Blocks that are staged after a gap do not fit what was fetched into the gap.
    Misfit(BlockChain),
    LengthChanged(u64),
    VersionChanged,
}

impl Assembly<'_> {
    /// Stages every block that `staged` lacks, except the only one of a file; `None` when the turn ended first.
    ///
    /// # Errors
    /// When the source or the vault fails. Staged blocks are kept.
    pub async fn stage_all(
        &self,
        mut staged: &[BlockId],
    ) -> Result<Option<Assembled>, TransferError> {
        let mut chain = BlockChain::resume(staged);
        let mut reusable = staged.to_vec();
        let mut passing = PassingMedia::default();
        let mut validator = self.staged_validator.cloned();
        let (mut length_changes, mut version_changes) = (0, 0);
        loop {
            if let Some(complete) = chain.take_if(|chain| chain.digest().is_some()) {
                return Ok(Some(Assembled::of(complete, None, passing)));
            }
            let extent = if version_changes > VERSION_CHANGES {
                Extent::ToTheEnd
            } else {
                Extent::Block
            };
            let window = Window {
                extent,
                validator: validator.clone(),
                ..Window::new(self, chain, &reusable, &mut passing)
            };
            match window.run().await? {
                Halt::Complete(chain, whole) => {
                    return Ok(Some(Assembled::of(chain, whole, passing)));
                }
                Halt::OutOfTime => return Ok(None),
                Halt::Misfit(known) => {
                    reusable.clear();
                    chain = Some(known);
                }
                Halt::VersionChanged => {
                    version_changes += 1;
                    if version_changes > VERSION_CHANGES + 1 {
                        let what = "the file at ACS keeps changing while it is read";
                        return Err(self.source_error(SourceError::transient(what)));
                    }
                    tracing::warn!(document.id = %self.fetcher.chunk.document_id, "The source changed a file between two ranges; it is read from its beginning");
                    // The staged blocks may be of the previous version, so the next turn cannot use any.
                    self.fetcher.turn.be_patient();
                    staged = &[];
                    reusable.clear();
                    chain = None;
                    validator = None;
                }
                Halt::LengthChanged(total_bytes) => {
                    length_changes += 1;
                    if length_changes > LENGTH_CHANGES {
                        let what = format!(
                            "the length of the file keeps changing, now to {total_bytes} bytes"
                        );
                        return Err(self.source_error(SourceError::transient(what)));
                    }
                    tracing::warn!(document.id = %self.fetcher.chunk.document_id, total_bytes, "The source changed the length of a file");
                    reusable = staged.to_vec();
                    chain = Some(BlockChain::resume_of(total_bytes, staged));
                }
            }
        }
    }

    /// `version`: that of the block, where another process may continue after it.
    async fn stage(
        &self,
        block: Block,
        version: Option<Validator>,
    ) -> Result<Bytes, TransferError> {
        if let Some(version) = version {
            self.version.keep(&version).await?;
        }
        let content = block.content.clone();
        match self.destination.stage(self.name, block).await? {
            StageOutcome::Staged => {}
            StageOutcome::ForeignBlocks => {
                return Err(TransferError::ForeignBlocks(self.name.clone()));
            }
        }
        metrics::staged(content.len() as u64);
        Ok(content)
    }

    fn source_error(&self, source: SourceError) -> TransferError {
        TransferError::Source {
            part: self.fetcher.part,
            source,
        }
    }
}

/// The blocks that are in memory, in the order of the file.
struct Window<'a> {
    assembly: &'a Assembly<'a>,
    reusable: &'a [BlockId],
    /// Empty while a block is hashed.
    passing: &'a mut PassingMedia,
    /// `None` until the file's length is known, and while a block is hashed.
    chain: Option<BlockChain>,
    total_bytes: Option<u64>,
    /// The version of the file, once the source has named one.
    validator: Option<Validator>,
    extent: Extent,
    /// Where the next fetch begins, and which block that is.
    next_offset: u64,
    next_index: usize,
    fetching: FuturesOrdered<BoxFuture<'a, Result<Option<Fetched>, FetchError>>>,
    ready: VecDeque<Fetched>,
    hashing: Option<BoxFuture<'static, Hashed>>,
    staging: FuturesOrdered<BoxFuture<'a, Result<Bytes, TransferError>>>,
    /// The only block of the file.
    whole: Option<Block>,
    /// How many may be fetched at a time.
    width: usize,
    /// The source ignores ranges: one stream is read continuously.
    stream: Option<Input>,
    is_one_stream: bool,
    /// Reason to fetch no more blocks. Those in flight are kept, up to the first incomplete one.
    ending: Option<Result<Halt, FetchError>>,
}

impl<'a> Window<'a> {
    fn new(
        assembly: &'a Assembly<'a>,
        chain: Option<BlockChain>,
        reusable: &'a [BlockId],
        passing: &'a mut PassingMedia,
    ) -> Self {
        Self {
            assembly,
            reusable,
            passing,
            total_bytes: chain.as_ref().map(BlockChain::total_bytes),
            validator: None,
            extent: Extent::Block,
            next_offset: chain.as_ref().map_or(0, BlockChain::offset),
            next_index: chain.as_ref().map_or(0, |chain| chain.ids().len()),
            chain,
            fetching: FuturesOrdered::new(),
            ready: VecDeque::new(),
            hashing: None,
            staging: FuturesOrdered::new(),
            whole: None,
            width: 1,
            stream: None,
            is_one_stream: false,
            ending: None,
        }
    }

    async fn run(mut self) -> Result<Halt, TransferError> {
        loop {
            self.fetch_more();
            self.hash_next();
            tokio::select! {
                biased;
                Some(staged) = self.staging.next() => self.assembly.fetcher.buffers.give_back(staged?),
                hashed = hashed(&mut self.hashing), if self.hashing.is_some() => self.stage(hashed),
                Some(fetched) = self.fetching.next() => self.keep(fetched),
                else => return self.halt(),
            }
        }
    }

    fn halt(self) -> Result<Halt, TransferError> {
        match (self.ending, self.chain) {
            (_, Some(chain)) if chain.digest().is_some() => Ok(Halt::Complete(chain, self.whole)),
            (Some(Ok(halt)), _) => Ok(halt),
            (Some(Err(FetchError::LengthChanged { total_bytes })), _) => {
                Ok(Halt::LengthChanged(total_bytes))
            }
            (Some(Err(FetchError::VersionChanged)), _) => Ok(Halt::VersionChanged),
            (Some(Err(FetchError::Source(error))), _) => Err(self.assembly.source_error(error)),
            (None, Some(chain)) => Ok(Halt::Misfit(chain)),
            (None, None) => Ok(Halt::OutOfTime),
        }
    }

    fn in_flight(&self) -> usize {
        self.fetching.len()
            + self.ready.len()
            + usize::from(self.hashing.is_some())
            + self.staging.len()
    }

    fn fetch_more(&mut self) {
        while self.ending.is_none()
            && self.in_flight() < self.assembly.blocks.blocks_in_flight.get()
            && self.fetching.len() < self.width
        {
            self.skip_staged();
            let offset = self.next_offset;
            if self
                .total_bytes
                .is_some_and(|total_bytes| offset >= total_bytes)
            {
                return;
            }
            if self.assembly.fetcher.turn.is_over() {
                self.ending = Some(Ok(Halt::OutOfTime));
                return;
            }
            let size_bytes = self.next_size();
            let request = BlockRequest {
                offset,
                size_bytes,
                total_bytes: self.total_bytes,
                validator: self.validator.clone(),
                extent: self.extent,
            };
            self.next_offset += size_bytes as u64;
            self.next_index += 1;
            let stream = self.stream.take();
            self.fetching
                .push_back(self.assembly.fetcher.fetch(request, stream).boxed());
        }
    }

    /// Skips blocks that seem to be staged after a gap. Whether they fit is checked when the gap is filled.
    fn skip_staged(&mut self) {
        let is_next = |id: &&BlockId, window: &Self| {
            id.index() == window.next_index && id.size_bytes() == window.next_size() as u64
        };
        while self
            .total_bytes
            .is_some_and(|total_bytes| self.next_offset < total_bytes)
            && let Some(id) = self.reusable.iter().find(|id| is_next(id, self))
        {
            self.next_offset += id.size_bytes();
            self.next_index += 1;
        }
    }

    fn next_size(&self) -> usize {
        let left = self
            .total_bytes
            .map_or(u64::MAX, |total_bytes| total_bytes - self.next_offset);
        usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.assembly.blocks.block_size_bytes.get())
    }

    fn keep(&mut self, fetched: Result<Option<Fetched>, FetchError>) {
        let mut fetched = match fetched {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return self.end(Ok(Halt::OutOfTime)),
            Err(error) => return self.end(Err(error)),
        };
        if self.total_bytes.is_none() {
            self.total_bytes = Some(fetched.total_bytes);
            self.chain = Some(BlockChain::start(fetched.total_bytes));
            self.next_offset = fetched.content.bytes().len() as u64;
        }
        // Blocks that were requested concurrently may have different versions.
        if let (Some(known), Some(found)) = (&self.validator, &fetched.validator)
            && known != found
        {
            return self.end(Err(FetchError::VersionChanged));
        }
        if self.validator.is_none() {
            self.validator = fetched.validator.take();
        }
        self.is_one_stream |= fetched.rest.is_some();
        self.adapt(fetched.took);
        self.stream = fetched.rest.take().filter(|_| self.fetching.is_empty());
        if !fetched.is_whole {
            // A block that is not the last has to end with a word of the digest.
            let length = fetched.content.bytes().len();
            fetched.content.truncate(length / WORD * WORD);
            self.end(Ok(Halt::OutOfTime));
        }
        if !fetched.content.bytes().is_empty() {
            self.ready.push_back(fetched);
        }
    }

    fn end(&mut self, ending: Result<Halt, FetchError>) {
        self.ending = Some(ending);
        self.fetching.clear();
    }

    /// Adapts the concurrency. It begins with one, so that a slow line wastes nothing on unfinished blocks.
    fn adapt(&mut self, took: Duration) {
        if self.is_one_stream {
            self.width = 1;
        } else if took > SLOW {
            self.width = (self.width - 1).max(1);
        } else if took < FAST {
            self.width = (self.width * 2).min(self.assembly.blocks.blocks_in_flight.get());
        }
    }

    fn hash_next(&mut self) {
        while self.hashing.is_none()
            && let Some(mut chain) = self.chain.take()
        {
            let Some(fetched) = self.ready.pop_front() else {
                chain.append_staged(self.reusable);
                self.chain = Some(chain);
                return;
            };
            if chain.offset() < fetched.offset {
                chain.append_staged(self.reusable);
            }
            if chain.offset() < fetched.offset {
                self.ready.clear();
                self.end(Ok(Halt::Misfit(chain)));
                return;
            }
            if fetched.offset < chain.offset() {
                // It was already staged.
                self.chain = Some(chain);
                continue;
            }
            let passing = std::mem::take(self.passing);
            self.hashing = Some(hash(chain, passing, fetched.content));
        }
    }

    fn stage(&mut self, hashed: Hashed) {
        let Hashed {
            chain,
            passing,
            block,
        } = hashed;
        self.hashing = None;
        *self.passing = passing;
        let fetcher = &self.assembly.fetcher;
        tracing::debug!(document.id = %fetcher.chunk.document_id, chunk.index = fetcher.chunk.index, part = fetcher.part.as_str(), offset_bytes = chain.offset(), total_bytes = chain.total_bytes(), "Read block {}", block.id);
        let is_only_block = chain.ids().len() == 1 && chain.digest().is_some();
        self.chain = Some(chain);
        if is_only_block {
            self.whole = Some(block);
            return;
        }
        let staging = self.assembly.stage(block, self.validator.clone());
        self.staging.push_back(staging.boxed());
    }
}

/// A block that has been hashed and examined.
struct Hashed {
    chain: BlockChain,
    passing: PassingMedia,
    block: Block,
}

impl Hashed {
    fn of(chain: BlockChain, mut passing: PassingMedia, content: Checksummed) -> Self {
        passing.pass(chain.total_bytes(), chain.offset(), content.bytes());
        let (chain, block) = chain.hash_next(content);
        Self {
            chain,
            passing,
            block,
        }
    }
}

fn hash(
    chain: BlockChain,
    passing: PassingMedia,
    content: Checksummed,
) -> BoxFuture<'static, Hashed> {
    if content.bytes().len() < WORTH_A_THREAD {
        return future::ready(Hashed::of(chain, passing, content)).boxed();
    }
    let hashing = tokio::task::spawn_blocking(move || Hashed::of(chain, passing, content));
    hashing
        .map(|hashed| hashed.expect("hashing neither panics nor is aborted"))
        .boxed()
}

/// Resolves when the current block is hashed; never if there is none.
async fn hashed(hashing: &mut Option<BoxFuture<'static, Hashed>>) -> Hashed {
    match hashing {
        Some(hashing) => hashing.await,
        None => future::pending().await,
    }
}
