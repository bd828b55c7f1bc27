//! One block from the source, by `Range`, however often the connection breaks.

use std::sync::Mutex;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;

use crate::error_chain::ErrorChain;
use crate::export::slots::Turn;
use crate::export::source::{ChunkPart, OpenedContent, RecordingSource, SourceError, Validator};
use crate::recording::RecordingChunk;
use crate::retry::RetryPolicy;

/// A source that sends fewer than [`LEAST_BYTES`] in this time has stalled.
const STALL_LIMIT: Duration = Duration::from_secs(30);
const LEAST_BYTES: u64 = 16 * 1024;

/// Waits longer than this between two requests are not spent here.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads blocks of one file.
pub(in crate::export) struct Fetcher<'a> {
    pub source: &'a dyn RecordingSource,
    pub chunk: &'a RecordingChunk,
    pub part: ChunkPart,
    pub turn: &'a Turn,
    pub buffers: &'a Buffers,
}

/// Which bytes are wanted.
#[derive(Debug, Clone)]
pub(in crate::export) struct Wanted {
    pub offset: u64,
    /// Clipped at the end of the file.
    pub size_bytes: usize,
    /// What the source has announced before, if it has been asked before.
    pub total_bytes: Option<u64>,
    /// The version that the bytes before are of, where the source names one.
    pub validator: Option<Validator>,
    pub extent: Extent,
}

/// How much one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum Extent {
    Block,
    /// Everything from the block's beginning on: one answer is of one version.
    ToTheEnd,
}

/// Bytes of the file, fewer than were wanted when the turn was over before.
pub(in crate::export) struct Fetched {
    pub offset: u64,
    pub content: Bytes,
    pub is_whole: bool,
    pub total_bytes: u64,
    pub validator: Option<Validator>,
    /// The source ignores ranges: its stream goes on behind the block.
    pub rest: Option<Input>,
    pub took: Duration,
}

/// Why there is no block.
#[derive(Debug)]
pub(in crate::export) enum FetchError {
    Source(SourceError),
    /// The source announces another length than before.
    LengthChanged {
        total_bytes: u64,
    },
    /// The source names another version of the file than before.
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
    content: BytesMut,
}

impl Fetcher<'_> {
    /// Reads a block, from `rest` where a stream is open there already. `None` when the turn was over before anything came.
    pub async fn fetch(
        &self,
        wanted: Wanted,
        rest: Option<Input>,
    ) -> Result<Option<Fetched>, FetchError> {
        let began = Instant::now();
        let mut filling = None;
        let mut input = rest.filter(|rest| rest.position == wanted.offset);
        let is_whole = tokio::select! {
            biased;
            filled = self.fill(&wanted, &mut input, &mut filling) => { filled?; true }
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
        let end = wanted.offset + content.len() as u64;
        let rest = input.filter(|input| is_whole && input.ends_at > end);
        let content = content.freeze();
        Ok(Some(Fetched {
            offset: wanted.offset,
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
        wanted: &Wanted,
        input: &mut Option<Input>,
        filling: &mut Option<Filling>,
    ) -> Result<(), FetchError> {
        let mut failures = 0;
        loop {
            let before = filling.as_ref().map_or(0, |filling| filling.content.len());
            let error = match self.fill_once(wanted, input, filling).await {
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

    /// One request at most; what came before it failed is kept in `filling`.
    async fn fill_once(
        &self,
        wanted: &Wanted,
        input: &mut Option<Input>,
        filling: &mut Option<Filling>,
    ) -> Result<(), FetchError> {
        let got = filling.as_ref().map_or(0, |filling| filling.content.len());
        if input.is_none() {
            let from = wanted.offset + got as u64;
            let to = match wanted.extent {
                Extent::Block => wanted.offset + wanted.size_bytes as u64,
                Extent::ToTheEnd => u64::MAX,
            };
            let opened = self.source.open(self.chunk, self.part, from..to).await?;
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
                    .or(wanted.total_bytes),
                validator: filling
                    .as_ref()
                    .and_then(|filling| filling.validator.as_ref())
                    .or(wanted.validator.as_ref()),
            };
            *input = Some(accept(opened, from, &known)?);
        }
        let input = input.as_mut().expect("it has just been opened");
        let filling = filling.get_or_insert_with(|| {
            let left = usize::try_from(input.total_bytes.saturating_sub(wanted.offset))
                .unwrap_or(usize::MAX);
            let size_bytes = wanted.size_bytes.min(left);
            Filling {
                total_bytes: input.total_bytes,
                validator: input.validator.clone(),
                size_bytes,
                content: self.buffers.take(size_bytes),
            }
        });
        while filling.content.len() < filling.size_bytes {
            let piece = input
                .piece(filling.size_bytes - filling.content.len())
                .await?;
            filling.content.extend_from_slice(&piece);
        }
        Ok(())
    }

    fn retry_delay(&self, error: &SourceError, failures: u32) -> Option<Duration> {
        let SourceError::Transient { retry_after, .. } = error else {
            return None;
        };
        let delay = RetryPolicy::REQUEST.delay(failures, *retry_after, rand::random())?;
        // A longer wait is the ledger's business: it keeps neither a slot nor a claim.
        (delay <= LONGEST_WAIT && delay < self.turn.budget().remaining()).then_some(delay)
    }
}

/// What is known of a file before it is opened again.
struct Known<'a> {
    total_bytes: Option<u64>,
    validator: Option<&'a Validator>,
}

/// Checks what the source announces against what is known, and skips what was not asked for.
fn accept(opened: OpenedContent, from: u64, known: &Known<'_>) -> Result<Input, FetchError> {
    let OpenedContent {
        offset,
        end,
        total_bytes,
        validator,
        stream,
    } = opened;
    if total_bytes == 0 {
        // Seen on the service: the first download of the day is empty, a minute later it is right.
        return Err(SourceError::transient("ACS sent an empty file").into());
    }
    // A front end that names no version says nothing about it.
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
    /// Where in the file the next byte lies.
    position: u64,
    total_bytes: u64,
    validator: Option<Validator>,
    ends_at: u64,
    /// What came since when, for the stall limit.
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

/// Memory of blocks that are staged, for the blocks to come: fresh pages cost a tenth of the whole transfer.
#[derive(Default)]
pub(in crate::export) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    fn take(&self, size_bytes: usize) -> BytesMut {
        let mut free = self.0.lock().expect("no holder of this lock panics");
        let fits = free
            .iter()
            .rposition(|buffer| buffer.capacity() >= size_bytes);
        fits.map_or_else(
            || BytesMut::with_capacity(size_bytes),
            |at| free.swap_remove(at),
        )
    }

    /// Takes a block's memory back, unless somebody still reads it.
    pub fn give_back(&self, content: Bytes) {
        if let Ok(mut buffer) = content.try_into_mut() {
            buffer.clear();
            self.0
                .lock()
                .expect("no holder of this lock panics")
                .push(buffer);
        }
    }
}
