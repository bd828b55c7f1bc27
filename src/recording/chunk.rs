//! One chunk of a recording, as an event announced it.

mod other_names;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::file_number::FileNumber;
use super::id::{CallId, DocumentId, RecordingId, ServerCallId};
use super::media::{ContentKind, FormatKind, MediaKind};

pub use other_names::{NamedAs, OtherNames};

/// Blob Storage in the public, US Government and China clouds.
const BLOB_DOMAINS: [&str; 3] = [
    ".blob.core.windows.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
];

/// Before ACS could record.
pub const EARLIEST_DAY: &str = "2020-01-01";
const EARLIEST_SECONDS: i64 = 1_577_836_800;
/// The beginning of that day.
pub const EARLIEST_START: Timestamp = Timestamp::constant(EARLIEST_SECONDS, 0);
/// The largest difference between the clocks of ACS, Event Grid and this machine.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);
/// Longer than ACS keeps a file: no recording ends this long before its announcement.
const LONGEST_UNANNOUNCED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// ACS records for a day and keeps the file for another: a start that is this much older than its event is no real
/// time.
const START_BELIEVED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Limit for all members together that later events add to a chunk.
const OTHER_LIMIT_BYTES: usize = 64 << 10;

/// Characters of a recording's substitute id for a call with the longest id: at most four bytes each.
const STAND_IN_CHARS: usize = 250;

/// The locations of a chunk's parts at ACS: the event's texts, verbatim.
///
/// They are claims of an event that anyone may have forged; no request is sent to them before the source admits them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkLocations {
    pub content: Option<String>,
    pub metadata: Option<String>,
    /// Host and object id may differ from the document's own, so it is never derived (event documentation of 2022-12).
    pub delete: Option<String>,
}

/// A file of a recording: ACS's `recordingChunks[]` entry with what the event says about the recording around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingChunk {
    pub document_id: DocumentId,
    /// The number of the document's file that this describes.
    #[serde(
        default,
        rename = "place",
        skip_serializing_if = "FileNumber::is_first"
    )]
    pub file_number: FileNumber,
    /// Position within the recording, from 0.
    pub index: u32,
    pub call_id: Option<CallId>,
    pub server_call_id: Option<ServerCallId>,
    /// Absent in events of 2021.
    pub recording_id: Option<RecordingId>,
    /// Other recordings and calls by which later events named it. A hold on any of them covers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_otherwise: Vec<OtherNames>,
    pub started_at: Option<Timestamp>,
    /// Length of the whole recording, not of this chunk.
    pub duration_ms: Option<u64>,
    pub content: Option<ContentKind>,
    pub format: Option<FormatKind>,
    /// `SessionEnded`, `ChunkMaximumSizeExceeded`, …
    pub end_reason: Option<String>,
    pub locations: ChunkLocations,
    /// Where the files are, if not at ACS: the event's `storageType`, for example `AzureBlob`.
    #[serde(default)]
    pub storage_type: Option<String>,
    pub event_id: Option<String>,
    pub event_time: Option<Timestamp>,
    /// Other members of the event, unchanged: those of the chunk by their names, those around it as `data.…` and
    /// `event.…`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

/// Progress of a chunk's file, by its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkEnd {
    /// It no longer changes. The default if an event says nothing.
    Final,
    /// `ChunkIsBeingRecorded`: it grows, and another event follows when it is final.
    BeingRecorded,
    /// `ChunkUploadFailure`: ACS has only a part of what was recorded.
    Failed,
}

/// Words of reasons that say that ACS could not store all of a file.
const FAILURES: [&str; 7] = [
    "fail",
    "error",
    "abort",
    "incomplete",
    "partial",
    "truncate",
    "corrupt",
];
/// Words of reasons that say that the file still grows.
const GROWING: [&str; 4] = ["beingrecorded", "ongoing", "inprogress", "stillrecording"];

/// What a later event added to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    Nothing,
    Something,
}

impl ChunkLocations {
    /// Whether a later event that names `newer` describes the same files. One that names no place does; one that names
    /// a place where none was known does not.
    pub fn is_same_place(&self, newer: &Self) -> bool {
        let is_same_content = match (&self.content, &newer.content) {
            (Some(known), Some(newer)) => known == newer,
            (None, Some(_)) => false,
            (Some(_) | None, None) => true,
        };
        let is_same_metadata = match (&self.metadata, &newer.metadata) {
            (Some(known), Some(newer)) => known == newer,
            (Some(_) | None, Some(_) | None) => true,
        };
        is_same_content && is_same_metadata
    }

    /// Adds what `newer`, which describes the same files, names in addition. What is deleted must be what was read: a
    /// delete location comes only with a content location.
    pub fn complete(&mut self, newer: &Self) {
        let names_what_is_read = newer.content.is_some();
        self.content = self.content.take().or_else(|| newer.content.clone());
        self.metadata = self.metadata.take().or_else(|| newer.metadata.clone());
        if names_what_is_read {
            self.delete = self.delete.take().or_else(|| newer.delete.clone());
        }
    }
}

/// Returns the progress of a file that ended for this reason.
pub(super) fn end_of(end_reason: Option<&str>) -> ChunkEnd {
    let reason = one_form(end_reason.unwrap_or_default());
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&GROWING) {
        ChunkEnd::BeingRecorded
    } else if has(&FAILURES) {
        ChunkEnd::Failed
    } else {
        ChunkEnd::Final
    }
}

/// Returns the reason that counts of two for the same file: the worse end. But a file that was still recorded may have
/// ended since.
pub(super) fn worse_end(known: Option<String>, newer: Option<String>) -> Option<String> {
    match (end_of(known.as_deref()), end_of(newer.as_deref())) {
        (ChunkEnd::Failed, ChunkEnd::Final | ChunkEnd::BeingRecorded | ChunkEnd::Failed)
        | (ChunkEnd::Final, ChunkEnd::Final | ChunkEnd::BeingRecorded) => known.or(newer),
        (ChunkEnd::Final | ChunkEnd::BeingRecorded, ChunkEnd::Failed)
        | (ChunkEnd::BeingRecorded, ChunkEnd::Final | ChunkEnd::BeingRecorded) => newer.or(known),
    }
}

/// Returns the duration that counts of two for the same file: the longer one. While a file is still recorded its
/// duration is not that of a file to copy.
pub(super) fn longest(known: Option<u64>, newer: Option<u64>, newer_end: ChunkEnd) -> Option<u64> {
    match newer_end {
        ChunkEnd::BeingRecorded => known.or(newer),
        ChunkEnd::Final | ChunkEnd::Failed => known.max(newer),
    }
}

/// Returns the one form in which reasons are compared: letters and digits, in lower case. A reason that was read as
/// final by mistake costs the file.
pub(super) fn one_form(reason: &str) -> String {
    let mut reason = reason.to_ascii_lowercase();
    reason.retain(char::is_alphanumeric);
    reason
}

impl RecordingChunk {
    /// Returns the progress of its file.
    pub fn end(&self) -> ChunkEnd {
        end_of(self.end_reason.as_deref())
    }

    /// A chunk of which only its place in a recording is known.
    pub fn unannounced(document_id: DocumentId, index: u32, recording_id: RecordingId) -> Self {
        Self {
            document_id,
            file_number: FileNumber::FIRST,
            index,
            call_id: None,
            server_call_id: None,
            recording_id: Some(recording_id),
            named_otherwise: Vec::new(),
            started_at: None,
            duration_ms: None,
            content: None,
            format: None,
            end_reason: None,
            locations: ChunkLocations::default(),
            storage_type: None,
            event_id: None,
            event_time: None,
            other: Map::new(),
        }
    }

    /// What the event says about the file; metadata may know more.
    pub fn media_kind(&self) -> Option<MediaKind> {
        MediaKind::from_parts(self.content, self.format)
    }

    /// Whether ACS wrote the files into the customer's own storage.
    pub fn is_external(&self) -> bool {
        let is_blob_host = |location: &str| {
            let url = Url::parse(location).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
            BLOB_DOMAINS.iter().any(|domain| host.ends_with(domain))
        };
        let is_blob_storage = |storage: &String| {
            ["AzureBlob", "AzureBlobStorage", "BlobStorage"]
                .iter()
                .any(|known| storage.eq_ignore_ascii_case(known))
        };
        self.storage_type.as_ref().is_some_and(is_blob_storage)
            || self.locations.content.as_deref().is_some_and(is_blob_host)
    }

    /// Returns the id that its recording is filed under. Events of 2021 name no recording: then an id derived from the
    /// call, or from the document.
    pub fn filed_under(&self) -> RecordingId {
        let stand_in = || self.stand_in_of_call();
        let recording = self.recording_id.clone().or_else(stand_in);
        recording.unwrap_or_else(|| self.stand_in_of_document())
    }

    /// Returns every name that its recording is filed under, or was before an event added the call or the recording.
    pub fn filing_names(&self) -> impl Iterator<Item = RecordingId> + Send {
        let stand_ins = [self.stand_in_of_call(), Some(self.stand_in_of_document())];
        [self.recording_id.clone()]
            .into_iter()
            .chain(stand_ins)
            .flatten()
    }

    /// Whether it is, or once was, filed under this recording.
    pub fn is_of(&self, recording: &RecordingId) -> bool {
        self.filing_names().any(|name| name == *recording)
    }

    fn stand_in_of_call(&self) -> Option<RecordingId> {
        let id = self.call_id.as_ref()?;
        Some(stand_in(&format!("call {}", id.key())))
    }

    fn stand_in_of_document(&self) -> RecordingId {
        stand_in(&format!("document {}", self.document_id))
    }

    /// Returns when the recording began, by its event, unless that is implausible.
    pub fn plausible_start(&self, recorded_at: Timestamp) -> Option<Timestamp> {
        self.started_at
            .filter(|at| is_plausible(*at, Some(recorded_at)))
    }

    /// Returns when the recording began, by its event, unless it is implausible or long before the event came. Only such a
    /// start may end a retention or exclude the recording from a hold.
    pub fn believed_start(&self, recorded_at: Timestamp) -> Option<Timestamp> {
        self.started_at
            .filter(|at| is_believed_start(*at, recorded_at))
    }

    fn plausible_event_time(&self, recorded_at: Timestamp) -> Option<Timestamp> {
        self.event_time
            .filter(|at| is_plausible(*at, Some(recorded_at)))
    }

    /// Returns the time whose day names its folder: its start, else the time of its event, else its arrival.
    pub fn filed_at(&self, recorded_at: Timestamp) -> Timestamp {
        self.plausible_start(recorded_at)
            .or_else(|| self.plausible_event_time(recorded_at))
            .unwrap_or(recorded_at)
    }

    /// Returns when ACS drops the file, by the most cautious reading: `retention` after the recording's end or the
    /// event's time, whichever is earlier; after `recorded_at` if the event has neither. The event names no
    /// expiry.
    pub fn expires_at(&self, recorded_at: Timestamp, retention: Duration) -> Timestamp {
        let event_time = self.plausible_event_time(recorded_at);
        let announced_at = event_time.unwrap_or(recorded_at);
        let ended_at = self
            .plausible_start(recorded_at)
            .zip(self.duration_ms)
            .and_then(|(started_at, duration_ms)| {
                started_at
                    .checked_add(SignedDuration::from_millis(
                        i64::try_from(duration_ms).ok()?,
                    ))
                    .ok()
            })
            // A file is announced minutes after its recording; an end long before is not its end.
            .filter(|ended_at| announced_at.duration_since(*ended_at) <= LONGEST_UNANNOUNCED);
        let ready_at = [ended_at, event_time, Some(recorded_at)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(recorded_at);
        ready_at.checked_add(retention).unwrap_or(Timestamp::MAX)
    }

    /// Adds what `newer` knows and `self` lacks (a later event may add the delete location). Of two ends the worse one
    /// counts, and of two durations the longer one. Only for an event that describes the same files.
    pub fn absorb(&mut self, newer: &Self) -> Absorbed {
        let before = self.clone();
        let (newer, newer_end) = (newer.clone(), newer.end());
        self.call_id = self.call_id.take().or(newer.call_id);
        self.server_call_id = self.server_call_id.take().or(newer.server_call_id);
        self.recording_id = self.recording_id.take().or(newer.recording_id);
        self.started_at = self.started_at.or(newer.started_at);
        self.duration_ms = longest(self.duration_ms, newer.duration_ms, newer_end);
        self.content = self.content.or(newer.content);
        self.format = self.format.or(newer.format);
        self.end_reason = worse_end(self.end_reason.take(), newer.end_reason);
        self.locations.complete(&newer.locations);
        self.absorb_other(newer.other);
        if *self == before {
            Absorbed::Nothing
        } else {
            Absorbed::Something
        }
    }

    /// Limits the unknown members of repeated events, so that they do not add up without end.
    fn absorb_other(&mut self, newer: Map<String, Value>) {
        let is_new = |name: &String| !self.other.contains_key(name);
        let added: Map<String, Value> =
            newer.into_iter().filter(|(name, _)| is_new(name)).collect();
        let size = |members: &Map<String, Value>| {
            serde_json::to_vec(members).map_or(usize::MAX, |text| text.len())
        };
        if !added.is_empty() && size(&self.other).saturating_add(size(&added)) <= OTHER_LIMIT_BYTES
        {
            self.other.extend(added);
        }
    }
}

/// Whether a recording can have begun, or an event been sent, at `at`: not before ACS recorded, and not after what followed.
pub(super) fn is_plausible(at: Timestamp, followed_at: Option<Timestamp>) -> bool {
    at.as_second() >= EARLIEST_SECONDS
        && followed_at.is_none_or(|followed_at| at.duration_since(followed_at) <= CLOCK_SKEW)
}

/// Whether a recording that was first known at `known_at` can have begun at `at`.
pub fn is_believed_start(at: Timestamp, known_at: Timestamp) -> bool {
    is_plausible(at, Some(known_at)) && known_at.duration_since(at) <= START_BELIEVED_FOR
}

/// Returns the substitute id of a recording that no event names. A call's id that is too long for the prefix is cut.
fn stand_in(text: &str) -> RecordingId {
    let cut = || text.chars().take(STAND_IN_CHARS).collect::<String>();
    text.parse()
        .unwrap_or_else(|_| cut().parse().expect("it has no control character"))
}

#[cfg(test)]
pub(crate) mod tests;
