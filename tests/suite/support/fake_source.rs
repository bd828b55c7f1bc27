//! A source in memory: a state model with faults, not a list of expected calls.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use recording_vault::export::ExportReceipt;
use recording_vault::export::source::{
    ChunkPart, OpenedContent, RecordingSource, SourceDeletion, SourceError, Validator,
};
use recording_vault::recording::{DeleteLocation, DocumentId, RecordingChunk};
use recording_vault::store::digest::Sha256Digest;

const PIECE: usize = 1000;

/// Who was in every call, by its metadata.
pub const PARTICIPANT: &str = "8:acs:29bd5ea9_00000001";

/// What the next `open` of a file's media does instead.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing is wrong.
    None,
    /// Fails with this.
    Refused,
    Gone,
    Transient,
    /// The connection breaks after so many bytes.
    CutAfter(usize),
    /// The body ends so many bytes early.
    ShortBy(usize),
    /// Sends the whole file whatever was asked for.
    IgnoreRange,
    Empty,
    /// Announces another total.
    Total(u64),
    /// From now on the file is this one.
    NewVersion(Bytes),
    /// Never sends anything.
    Stall,
    /// Sends a byte every so often.
    Trickle(Duration),
}

/// Which version of the media an answer names.
#[derive(Clone, Copy, Default)]
pub enum Versions {
    #[default]
    Unnamed,
    Named,
    /// Another one in each answer.
    NewEachTime,
}

/// Chunks by document id.
#[derive(Default)]
pub struct FakeSource(Mutex<Model>);

#[derive(Clone, Default)]
pub struct Model {
    chunks: HashMap<DocumentId, (Bytes, Bytes)>,
    /// What lies at one content location, whatever its document is.
    places: HashMap<String, (Bytes, Bytes)>,
    pub faults: VecDeque<Fault>,
    pub metadata_faults: VecDeque<Fault>,
    pub delete_faults: VecDeque<Fault>,
    /// Ranges of media that were asked for.
    pub opened: Vec<Range<u64>>,
    pub deleted: Vec<DocumentId>,
    /// Answers every range with the whole file.
    pub ignores_ranges: bool,
    /// Announces no length of media: it takes this long to find it, each time it is opened.
    pub finds_length_in: Option<Duration>,
    pub versions: Versions,
    /// Media of these documents is sent a byte every so often.
    pub slow: HashMap<DocumentId, Duration>,
    /// It is the customer's own storage, and no host of ACS.
    pub is_external: bool,
    /// Media that is asked for from here on fails.
    fails_from: Option<u64>,
}

impl FakeSource {
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// A source of its own, with the same files and faults.
    pub fn fork(&self) -> Self {
        Self(Mutex::new(self.model().clone()))
    }

    /// The customer's own storage.
    pub fn external() -> Self {
        let source = Self::default();
        source.model().is_external = true;
        source
    }

    /// Keeps a chunk with its media; its metadata says what it is.
    pub fn put(&self, id: &DocumentId, media: impl Into<Bytes>) {
        let metadata = format!(
            "{{\r\n  \"chunkDocumentId\": \"{id}\",\r\n  \"recordingInfo\": {{\"contentType\": \"audio\", \"format\": \"mp3\"}},\r\n  \"participants\": [{{\"participantId\": \"{PARTICIPANT}\", \"channel\": 0}}]\r\n}}"
        );
        self.put_with_metadata(id, media, metadata);
    }

    /// Keeps a chunk with its media and metadata.
    pub fn put_with_metadata(
        &self,
        id: &DocumentId,
        media: impl Into<Bytes>,
        metadata: impl Into<Bytes>,
    ) {
        self.model()
            .chunks
            .insert(id.clone(), (media.into(), metadata.into()));
    }

    /// Keeps another file of a document, at its own place.
    pub fn put_at(&self, chunk: &RecordingChunk, media: impl Into<Bytes>) {
        let place = chunk.locations.content.clone();
        let file = (media.into(), Bytes::from_static(b"{}"));
        self.model()
            .places
            .insert(place.expect("the chunk has a place"), file);
    }

    /// As if ACS had dropped it.
    pub fn forget(&self, id: &DocumentId) {
        self.model().chunks.remove(id);
    }

    /// Whether it can be read at ACS.
    pub fn has(&self, id: &DocumentId) -> bool {
        self.model().chunks.contains_key(id)
    }

    /// From this offset on nothing of any media can be read.
    pub fn fail_from_offset(&self, offset_bytes: u64) {
        self.model().fails_from = Some(offset_bytes);
    }

    pub fn with_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.model().faults = faults.into_iter().collect();
    }
}

fn failure(fault: &Fault) -> Option<SourceError> {
    match fault {
        Fault::Refused => Some(SourceError::Refused("a foreign host".to_owned())),
        Fault::Gone => Some(SourceError::Gone { status: 404 }),
        Fault::Transient => Some(SourceError::transient("try again")),
        Fault::None
        | Fault::CutAfter(_)
        | Fault::ShortBy(_)
        | Fault::IgnoreRange
        | Fault::Empty
        | Fault::Total(_)
        | Fault::NewVersion(_)
        | Fault::Stall
        | Fault::Trickle(_) => None,
    }
}

fn trickle(
    content: Bytes,
    pause: Duration,
) -> impl futures::Stream<Item = Result<Bytes, SourceError>> {
    futures::stream::iter(0..content.len()).then(move |at| {
        let byte = content.slice(at..=at);
        async move {
            tokio::time::sleep(pause).await;
            Ok(byte)
        }
    })
}

#[expect(
    clippy::too_many_lines,
    reason = "one scenario, in the order in which it happens"
)]
#[async_trait]
impl RecordingSource for FakeSource {
    fn admits(&self, location: &str) -> bool {
        let domain = if self.model().is_external {
            ".blob.core.windows.net/"
        } else {
            ".asm.skype.com/"
        };
        location.starts_with("https://") && location.contains(domain)
    }

    async fn open(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
    ) -> Result<OpenedContent, SourceError> {
        let mut model = self.model();
        let slow = model.slow.get(&chunk.document_id).copied();
        let fault = match part {
            ChunkPart::Media => model.faults.pop_front().or(slow.map(Fault::Trickle)),
            ChunkPart::Metadata => model.metadata_faults.pop_front(),
        };
        if let Some(error) = fault.as_ref().and_then(failure) {
            return Err(error);
        }
        if part == ChunkPart::Media && model.fails_from.is_some_and(|offset| range.start >= offset)
        {
            return Err(SourceError::transient("nothing from here on"));
        }
        if let Some(Fault::NewVersion(media)) = &fault
            && let Some(chunk) = model.chunks.get_mut(&chunk.document_id)
        {
            chunk.0 = media.clone();
        }
        let at_place = |place: &String| model.places.get(place);
        let (media, metadata) = chunk
            .locations
            .content
            .as_ref()
            .and_then(at_place)
            .or_else(|| model.chunks.get(&chunk.document_id))
            .cloned()
            .ok_or(SourceError::Gone { status: 404 })?;
        let content = if part == ChunkPart::Media {
            media
        } else {
            metadata
        };
        let length = content.len() as u64;
        if part == ChunkPart::Media {
            model.opened.push(range.clone());
        }
        let version = match model.versions {
            Versions::Unnamed => None,
            Versions::Named => Some(Sha256Digest::of(&content).to_string()),
            Versions::NewEachTime => Some(model.opened.len().to_string()),
        };
        let validator = version
            .filter(|_| part == ChunkPart::Media)
            .map(Validator::new);
        let ignores_ranges = matches!(fault, Some(Fault::IgnoreRange)) || model.ignores_ranges;
        let (offset, end) = match range {
            _ if ignores_ranges => (0, length),
            // What `AcsContent` makes of 416.
            range if range.start >= length => (0, (range.end - range.start).min(length)),
            range => (range.start, range.end.min(length)),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let total_bytes = match fault {
            Some(Fault::Total(total)) => total,
            Some(Fault::Empty) => 0,
            _ => length,
        };
        let to = usize::try_from(end).unwrap_or(usize::MAX);
        let mut body = content.slice(from..to);
        if let Some(Fault::ShortBy(missing)) = fault {
            body.truncate(body.len().saturating_sub(missing));
        }
        let cut = if let Some(Fault::CutAfter(bytes)) = fault {
            Some(bytes)
        } else {
            None
        };
        let kept = body.slice(..cut.unwrap_or(body.len()).min(body.len()));
        let pieces: Vec<_> = kept
            .chunks(PIECE)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let broken = cut.map(|_| Err(SourceError::transient("the connection broke")));
        let stream = futures::stream::iter(pieces.into_iter().chain(broken));
        let stream = match fault {
            Some(Fault::Stall) => futures::stream::pending().boxed(),
            Some(Fault::Trickle(pause)) => trickle(kept, pause).boxed(),
            _ => stream.boxed(),
        };
        Ok(OpenedContent {
            offset,
            end,
            total_bytes,
            validator,
            stream,
        })
    }

    async fn open_patiently(
        &self,
        chunk: &RecordingChunk,
        part: ChunkPart,
        range: Range<u64>,
        is_slow: &(dyn Fn() + Sync),
    ) -> Result<OpenedContent, SourceError> {
        let finding = self.model().finds_length_in;
        if let Some(time) = finding.filter(|_| part == ChunkPart::Media) {
            is_slow();
            tokio::time::sleep(time).await;
        }
        self.open(chunk, part, range).await
    }

    async fn delete(
        &self,
        location: &DeleteLocation,
        _receipt: &ExportReceipt,
    ) -> Result<SourceDeletion, SourceError> {
        let mut model = self.model();
        if let Some(error) = model.delete_faults.pop_front().as_ref().and_then(failure) {
            return Err(error);
        }
        model.deleted.push(location.object_id().clone());
        Ok(match model.chunks.remove(location.object_id()) {
            Some(_) => SourceDeletion::Deleted,
            None => SourceDeletion::WasGone,
        })
    }
}
