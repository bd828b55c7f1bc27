//! Reads one block from the source by `Range`, however often the connection breaks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;

use crate::error_chain::ErrorChain;
use crate::export::checksummed::{Checksummed, Gathering};
use crate::export::slots::Turn;
use crate::export::source::{ChunkPart, OpenedContent, RecordingSource, SourceError, Validator};
use crate::recording::RecordingChunk;
use crate::retry::RetryPolicy;

/// A source that sends fewer than [`LEAST_BYTES`] in this time has stalled.
const STALL_LIMIT: Duration = Duration::from_secs(30);
const LEAST_BYTES: u64 = 16 * 1024;

/// Longest wait between two requests here; the ledger schedules longer ones.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads blocks of one file.
pub(in crate::export) struct Fetcher<'a> {
    pub source: &'a dyn RecordingSource,
    pub chunk: &'a RecordingChunk,
    pub part: ChunkPart,
    pub turn: &'a Turn,
    pub buffers: &'a Buffers,
}

/// The requested bytes.
#[derive(Debug, Clone)]
pub(in crate::export) struct BlockRequest {
    pub offset: u64,
    /// Clipped at the end of the file.
    pub size_bytes: usize,
    /// The length that the source announced before, if any.
    pub total_bytes: Option<u64>,
    /// The version of the preceding bytes, where the source names one.
    pub validator: Option<Validator>,
    pub extent: Extent,
}

/// Extent of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum Extent {
    Block,
    /// Everything from the block's beginning on, because one response is of one version.
    ToTheEnd,
}

/// Bytes of the file; fewer than requested when the turn ended first.
pub(in crate::export) struct Fetched {
    pub offset: u64,
    pub content: Checksummed,
    pub is_whole: bool,
    pub total_bytes: u64,
    pub validator: Option<Validator>,
    /// The source ignores ranges: its stream continues after the block.
    pub rest: Option<Input>,
    pub took: Duration,
}

/// Reason for a missing block.
#[derive(Debug)]
pub(in crate::export) enum FetchError {
    Source(SourceError),
    /// The source announces a different length than before.
    LengthChanged {
        total_bytes: u64,
    },
    /// The source names a different version of the file than before.
    VersionChanged,
}

impl From<SourceError> for FetchError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// A block that is being read.
struct Filling {
    total_bytes: u64,
    validator: Option<Validator>,
    size_bytes: usize,
    content: Gathering,
}

impl Fetcher<'_> {
    /// Reads a block, from `rest` if a stream is already open there. `None` when the turn ended before any byte.
    pub async fn fetch(
        &self,
        request: BlockRequest,
        rest: Option<Input>,
    ) -> Result<Option<Fetched>, FetchError> {
        let began = Instant::now();
        let mut filling = None;
        let mut input = rest.filter(|rest| rest.position == request.offset);
        let is_whole = tokio::select! {
            biased;
            filled = self.fill(&request, &mut input, &mut filling) => { filled?; true }
            () = self.turn.over() => false,
        };
        let Some(filling) = filling else {
            return Ok(None);
        };
        let Filling {
            total_bytes,
            validator,
            content,
            ..
        } = filling;
        let end = request.offset + content.len() as u64;
        let rest = input.filter(|input| is_whole && input.ends_at > end);
        let content = content.finish();
        Ok(Some(Fetched {
            offset: request.offset,
            content,
            is_whole,
            total_bytes,
            validator,
            rest,
            took: began.elapsed(),
        }))
    }

    async fn fill(
        &self,
        request: &BlockRequest,
        input: &mut Option<Input>,
        filling: &mut Option<Filling>,
    ) -> Result<(), FetchError> {
        let mut failures = 0;
        loop {
            let before = filling.as_ref().map_or(0, |filling| filling.content.len());
            let error = match self.fill_once(request, input, filling).await {
                Ok(()) => return Ok(()),
                Err(FetchError::Source(error)) => error,
                Err(changed) => return Err(changed),
            };
            *input = None;
            if filling.as_ref().map_or(0, |filling| filling.content.len()) > before {
                failures = 0;
            }
            failures += 1;
            let Some(delay) = self.retry_delay(&error, failures) else {
                return Err(error.into());
            };
            tracing::debug!(document.id = %self.chunk.document_id, failures, error = %ErrorChain(&error), "Reading again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends at most one request. Bytes that arrived before a failure are kept in `filling`.
    async fn fill_once(
        &self,
        request: &BlockRequest,
        input: &mut Option<Input>,
        filling: &mut Option<Filling>,
    ) -> Result<(), FetchError> {
        let got = filling.as_ref().map_or(0, |filling| filling.content.len());
        if input.is_none() {
            let from = request.offset + got as u64;
            let to = match request.extent {
                Extent::Block => request.offset + request.size_bytes as u64,
                Extent::ToTheEnd => u64::MAX,
            };
            // Metadata is short, and the turn is that of the media too.
            let is_slow = || match self.part {
                ChunkPart::Media => self.turn.be_patient(),
                ChunkPart::Metadata => {}
            };
            let opening = self
                .source
                .open_patiently(self.chunk, self.part, from..to, &is_slow);
            let opened = opening.await?;
            let (total_bytes, limit_bytes) = (opened.total_bytes, self.part.limit_bytes());
            if total_bytes > limit_bytes {
                return Err(SourceError::TooLarge {
                    total_bytes,
                    limit_bytes,
                }
                .into());
            }
            if opened.offset < from {
                self.turn.be_patient();
            }
            let known = Known {
                total_bytes: filling
                    .as_ref()
                    .map(|filling| filling.total_bytes)
                    .or(request.total_bytes),
                validator: filling
                    .as_ref()
                    .and_then(|filling| filling.validator.as_ref())
                    .or(request.validator.as_ref()),
            };
            *input = Some(accept(opened, from, &known)?);
        }
        let input = input.as_mut().expect("it has just been opened");
        let filling = filling.get_or_insert_with(|| {
            let left = usize::try_from(input.total_bytes.saturating_sub(request.offset))
                .unwrap_or(usize::MAX);
            let size_bytes = request.size_bytes.min(left);
            Filling {
                total_bytes: input.total_bytes,
                validator: input.validator.clone(),
                size_bytes,
                content: Gathering::in_buffer(self.buffers.take(size_bytes)),
            }
        });
        while filling.content.len() < filling.size_bytes {
            let piece = input
                .piece(filling.size_bytes - filling.content.len())
                .await?;
            filling.content.push(&piece);
        }
        Ok(())
    }

    fn retry_delay(&self, error: &SourceError, failures: u32) -> Option<Duration> {
        let retry_after = match error {
            SourceError::Transient { retry_after, .. }
            | SourceError::CredentialRefused { retry_after, .. } => *retry_after,
            SourceError::RedirectRefused(_) => None,
            SourceError::Refused(_) | SourceError::Gone { .. } | SourceError::TooLarge { .. } => {
                return None;
            }
        };
        let delay = RetryPolicy::REQUEST.delay(failures, retry_after, rand::random())?;
        // The ledger schedules longer waits, which keep neither a slot nor a claim.
        (delay <= LONGEST_WAIT && delay < self.turn.budget().remaining()).then_some(delay)
    }
}

/// Facts about a file that are known before it is opened again.
struct Known<'a> {
    total_bytes: Option<u64>,
    validator: Option<&'a Validator>,
}

/// Checks what the source announces against what is known, and skips bytes that were not requested.
fn accept(opened: OpenedContent, from: u64, known: &Known<'_>) -> Result<Input, FetchError> {
    let OpenedContent {
        offset,
        end,
        total_bytes,
        validator,
        stream,
    } = opened;
    if total_bytes == 0 {
        // Observed at the service: the first download of the day is empty, and a minute later it is right.
        return Err(SourceError::transient("ACS sent an empty file").into());
    }
    // Some front ends name no version.
    let is_other = |known: &Validator| validator.as_ref().is_some_and(|found| found != known);
    if known.validator.is_some_and(is_other) {
        return Err(FetchError::VersionChanged);
    }
    if known.total_bytes.is_some_and(|known| known != total_bytes) {
        return Err(FetchError::LengthChanged { total_bytes });
    }
    let Some(skip) = from.checked_sub(offset) else {
        return Err(SourceError::transient("ACS sent a later range than was asked for").into());
    };
    Ok(Input {
        stream,
        rest: Bytes::new(),
        skip,
        position: from,
        total_bytes,
        validator,
        ends_at: end,
        since: Instant::now(),
        bytes: 0,
    })
}

/// The bytes of an opened file.
pub(in crate::export) struct Input {
    stream: BoxStream<'static, Result<Bytes, SourceError>>,
    rest: Bytes,
    skip: u64,
    /// Offset of the next byte in the file.
    position: u64,
    total_bytes: u64,
    validator: Option<Validator>,
    ends_at: u64,
    /// Bytes received since when, for the stall limit.
    since: Instant,
    bytes: u64,
}

impl Input {
    /// The next bytes, at most `limit`.
    async fn piece(&mut self, limit: usize) -> Result<Bytes, SourceError> {
        while self.rest.is_empty() {
            let Ok(next) =
                tokio::time::timeout_at(self.since + STALL_LIMIT, self.stream.next()).await
            else {
                if self.bytes < LEAST_BYTES {
                    return Err(SourceError::transient(format!(
                        "ACS sent {} bytes in {STALL_LIMIT:?}",
                        self.bytes
                    )));
                }
                (self.since, self.bytes) = (Instant::now(), 0);
                continue;
            };
            let mut piece = next.ok_or_else(|| {
                SourceError::transient("the file ended before its announced length")
            })??;
            self.bytes += piece.len() as u64;
            let skipped = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            self.skip -= skipped as u64;
            self.rest = piece.split_off(skipped);
        }
        let piece = self.rest.split_to(self.rest.len().min(limit));
        self.position += piece.len() as u64;
        Ok(piece)
    }
}

/// Reuses the memory of staged blocks: fresh pages cost a tenth of the whole transfer.
#[derive(Default)]
pub(in crate::export) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    fn take(&self, size_bytes: usize) -> BytesMut {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = free
            .iter()
            .rposition(|buffer| buffer.capacity() >= size_bytes);
        fits.map_or_else(
            || BytesMut::with_capacity(size_bytes),
            |at| free.swap_remove(at),
        )
    }

    /// Recycles a block's memory, unless it is still in use.
    pub fn give_back(&self, content: Bytes) {
        if let Ok(mut buffer) = content.try_into_mut() {
            buffer.clear();
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(buffer);
        }
    }
}
