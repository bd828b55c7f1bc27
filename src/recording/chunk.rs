//! One chunk of a recording, as an event announced it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{CallId, DocumentId, RecordingId, ServerCallId};
use super::media::{ContentKind, FormatKind, MediaKind};

/// Blob Storage in the public, US Government and China clouds.
const BLOB_DOMAINS: [&str; 3] = [
    ".blob.core.windows.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
];

/// Characters of a recording's stand-in whose call has an id of greatest length: at most four bytes each.
const STAND_IN_CHARS: usize = 250;

/// Where the parts of a chunk lie at ACS: the event's texts, verbatim.
///
/// They are claims of an event that anybody may have made up; nothing is sent to them before the source has admitted them.
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
    /// Position within the recording, from 0.
    pub index: u32,
    pub call_id: Option<CallId>,
    pub server_call_id: Option<ServerCallId>,
    /// Absent in events of 2021.
    pub recording_id: Option<RecordingId>,
    pub started_at: Option<Timestamp>,
    /// Length of the whole recording, not of this chunk.
    pub duration_ms: Option<u64>,
    pub content: Option<ContentKind>,
    pub format: Option<FormatKind>,
    /// `SessionEnded`, `ChunkMaximumSizeExceeded`, …
    pub end_reason: Option<String>,
    pub locations: ChunkLocations,
    /// Where the files lie, if not at ACS: the event's `storageType`, `AzureBlob` for one.
    #[serde(default)]
    pub storage_type: Option<String>,
    pub event_id: Option<String>,
    pub event_time: Option<Timestamp>,
    /// What else the event said, kept as it came: members of the chunk by their names, those around it as `data.…` and
    /// `event.…`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

/// What became of a later event's word on a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    Nothing,
    Something,
    /// It names another place for the same document: nothing was taken over.
    Conflict,
}

impl RecordingChunk {
    /// A chunk of which only its place in a recording is known.
    pub fn unannounced(document_id: DocumentId, index: u32, recording_id: RecordingId) -> Self {
        Self {
            document_id,
            index,
            call_id: None,
            server_call_id: None,
            recording_id: Some(recording_id),
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
            let host = location
                .split("://")
                .nth(1)
                .unwrap_or_default()
                .split(['/', ':', '?'])
                .next()
                .unwrap_or_default();
            BLOB_DOMAINS
                .iter()
                .any(|domain| host.to_ascii_lowercase().ends_with(domain))
        };
        let is_blob_storage = |storage: &String| {
            ["AzureBlob", "AzureBlobStorage", "BlobStorage"]
                .iter()
                .any(|known| storage.eq_ignore_ascii_case(known))
        };
        self.storage_type.as_ref().is_some_and(is_blob_storage)
            || self.locations.content.as_deref().is_some_and(is_blob_host)
    }

    /// What its recording is kept under. Events of 2021 name no recording: then the call, or else the document, stands for it.
    pub fn filed_under(&self) -> RecordingId {
        let stand_in = || {
            self.call_id.as_ref().map_or_else(
                || format!("document {}", self.document_id),
                |id| format!("call {id}"),
            )
        };
        // A call's id that leaves no room for a word before it is cut.
        let fallback = || {
            stand_in()
                .chars()
                .take(STAND_IN_CHARS)
                .collect::<String>()
                .parse()
                .expect("it has no control character")
        };
        self.recording_id
            .clone()
            .unwrap_or_else(|| stand_in().parse().unwrap_or_else(|_| fallback()))
    }

    /// When ACS drops the file, by the most cautious reading: `retention` after the recording's end or the event's time,
    /// whichever is earlier; after `recorded_at` when the event tells neither. The event carries no expiry of its own.
    pub fn expires_at(&self, recorded_at: Timestamp, retention: Duration) -> Timestamp {
        let ended_at =
            self.started_at
                .zip(self.duration_ms)
                .and_then(|(started_at, duration_ms)| {
                    started_at
                        .checked_add(SignedDuration::from_millis(
                            i64::try_from(duration_ms).ok()?,
                        ))
                        .ok()
                });
        let ready_at = [ended_at, self.event_time, Some(recorded_at)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(recorded_at);
        ready_at.checked_add(retention).unwrap_or(Timestamp::MAX)
    }

    /// Takes over what `newer` knows and `self` lacks (a later event may add the delete location).
    ///
    /// What is deleted must be what was read: a delete location comes only with the content location that is known, and
    /// never without one.
    pub fn absorb(&mut self, newer: &Self) -> Absorbed {
        let before = self.clone();
        let newer = newer.clone();
        let content = (&self.locations.content, &newer.locations.content);
        if matches!(content, (Some(known), Some(other)) if known != other) {
            return Absorbed::Conflict;
        }
        let names_what_is_read = newer.locations.content.is_some();
        self.call_id = self.call_id.take().or(newer.call_id);
        self.server_call_id = self.server_call_id.take().or(newer.server_call_id);
        self.recording_id = self.recording_id.take().or(newer.recording_id);
        self.started_at = self.started_at.or(newer.started_at);
        self.duration_ms = self.duration_ms.or(newer.duration_ms);
        self.content = self.content.or(newer.content);
        self.format = self.format.or(newer.format);
        self.end_reason = self.end_reason.take().or(newer.end_reason);
        self.locations.content = self.locations.content.take().or(newer.locations.content);
        for (name, value) in newer.other {
            self.other.entry(name).or_insert(value);
        }
        self.locations.metadata = self.locations.metadata.take().or(newer.locations.metadata);
        if names_what_is_read {
            self.locations.delete = self.locations.delete.take().or(newer.locations.delete);
        }
        if *self == before {
            Absorbed::Nothing
        } else {
            Absorbed::Something
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// A chunk of which nothing but its id is known.
    pub(crate) fn chunk() -> RecordingChunk {
        RecordingChunk {
            document_id: "0-eus-d12-a".parse().unwrap(),
            index: 0,
            call_id: None,
            server_call_id: None,
            recording_id: None,
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

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn expiry_counts_from_the_end_of_the_recording_when_that_is_earlier_than_the_event() {
        let chunk = RecordingChunk {
            started_at: Some(at("2026-03-02T10:00:00Z")),
            duration_ms: Some(60_000),
            event_time: Some(at("2026-03-02T10:05:00Z")),
            ..chunk()
        };
        assert_eq!(
            chunk.expires_at(at("2026-03-02T10:06:00Z"), DAY),
            at("2026-03-03T10:01:00Z")
        );
    }

    #[test]
    fn expiry_counts_from_the_recording_in_the_ledger_when_the_event_tells_no_time() {
        assert_eq!(
            chunk().expires_at(at("2026-03-02T10:00:00Z"), DAY),
            at("2026-03-03T10:00:00Z")
        );
    }

    #[test]
    fn an_absurd_duration_does_not_panic() {
        let chunk = RecordingChunk {
            started_at: Some(Timestamp::MAX),
            duration_ms: Some(u64::MAX),
            ..chunk()
        };
        assert_eq!(
            chunk.expires_at(at("2026-03-02T10:00:00Z"), DAY),
            at("2026-03-03T10:00:00Z")
        );
    }

    #[test]
    fn a_later_event_adds_what_the_first_lacked_and_changes_nothing_else() {
        let mut known = RecordingChunk {
            end_reason: Some("SessionEnded".into()),
            ..chunk()
        };
        let mut newer = RecordingChunk {
            end_reason: Some("Other".into()),
            ..chunk()
        };
        known.locations.content =
            Some("https://us-storage.asm.skype.com/v1/objects/x/content/video".into());
        newer.locations.content.clone_from(&known.locations.content);
        newer.locations.delete = Some("https://us-storage.asm.skype.com/v1/objects/x".into());
        assert_eq!(known.absorb(&newer), Absorbed::Something);
        assert_eq!(known.end_reason.as_deref(), Some("SessionEnded"));
        assert_eq!(known.locations.delete, newer.locations.delete);
        assert_eq!(known.absorb(&newer), Absorbed::Nothing);
    }

    #[test]
    fn what_is_deleted_is_what_was_read() {
        let known = RecordingChunk {
            locations: ChunkLocations {
                content: Some("a".into()),
                ..Default::default()
            },
            ..chunk()
        };
        let with = |content: Option<&str>| {
            let locations = ChunkLocations {
                content: content.map(str::to_owned),
                metadata: None,
                delete: Some("d".into()),
            };
            RecordingChunk {
                locations,
                ..chunk()
            }
        };
        assert_eq!(known.clone().absorb(&with(Some("b"))), Absorbed::Conflict);
        assert_eq!(known.clone().absorb(&with(None)), Absorbed::Nothing);
        assert_eq!(known.clone().absorb(&with(Some("a"))), Absorbed::Something);
    }
}
