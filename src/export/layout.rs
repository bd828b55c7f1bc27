//! Names in the vault. Pure; the structure is the one ACS itself uses for bring-your-own storage.
//!
//! `YYYYMMDD/<callId>/<first 8 of recordingId>-<uuid>/<index>-audiovideomp4.<documentId>.mp4`, beside it
//! `<index>-acsmetadata.<documentId>.json` and `<index>-receipt.<documentId>.json`. Another file of the same document
//! has its number behind the id: `….<documentId>.2.mp4`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::recording::{
    CallId, ContentKind, DocumentId, FileNumber, FormatKind, MediaKind, RecordingChunk, RecordingId,
};

/// Longest folder name. ACS's ids of this kind have 36 characters.
const MAX_SEGMENT: usize = 64;
/// A name space of our own for name-based UUIDs.
const RECORDING_NAMESPACE: Uuid = Uuid::from_u128(0x5f1d_7d3e_6c1b_5a0e_9d58_0a4c_3b7e_2f91);

/// Every kind that ACS records.
const MEDIA_KINDS: [MediaKind; 4] = [
    MediaKind {
        content: ContentKind::AudioVideo,
        format: FormatKind::Mp4,
    },
    MediaKind {
        content: ContentKind::Audio,
        format: FormatKind::Mp4,
    },
    MediaKind {
        content: ContentKind::Audio,
        format: FormatKind::Mp3,
    },
    MediaKind {
        content: ContentKind::Audio,
        format: FormatKind::Wav,
    },
];

/// The name of a file in the vault: relative, `/`-separated, every segment safe on any file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobName(String);

/// A name that could lead outside the vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a safe name in the vault")]
pub struct UnsafeName(String);

impl BlobName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlobName {
    type Err = UnsafeName;
    fn from_str(text: &str) -> Result<Self, UnsafeName> {
        let safe = text.split('/').all(|segment| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment.len() <= 255
                && segment.bytes().all(is_safe)
        });
        if safe {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnsafeName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for BlobName {
    type Error = UnsafeName;
    fn try_from(text: String) -> Result<Self, UnsafeName> {
        text.parse()
    }
}

impl From<BlobName> for String {
    fn from(name: BlobName) -> Self {
        name.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of the recording a chunk belongs to.
pub fn folder(chunk: &RecordingChunk, recorded_at: Timestamp) -> String {
    let day = chunk
        .filed_at(recorded_at)
        .to_zoned(TimeZone::UTC)
        .strftime("%Y%m%d");
    let call = chunk
        .call_id
        .as_ref()
        .map_or("unknown-call".into(), CallId::key);
    // Events of 2021 name no recording. Its call and start identify it too.
    let started = chunk
        .started_at
        .map(|time| time.to_string())
        .unwrap_or_default();
    let recording = chunk
        .recording_id
        .as_ref()
        .map_or(started.into(), RecordingId::key);
    let uuid = Uuid::new_v5(
        &RECORDING_NAMESPACE,
        format!("{call}\n{recording}").as_bytes(),
    );
    let first_8: String = if chunk.recording_id.is_some() {
        &recording
    } else {
        &call
    }
    .chars()
    .take(8)
    .collect();
    format!(
        "{day}/{}/{}-{uuid}",
        safe_segment(&call),
        safe_segment(&first_8)
    )
}

/// The media file of a chunk.
pub fn media(folder: &str, chunk: &RecordingChunk, kind: MediaKind) -> BlobName {
    file(folder, chunk, &stem(kind), kind.format.as_str())
}

fn stem(kind: MediaKind) -> String {
    let content = kind.content.as_str().to_ascii_lowercase();
    format!("{content}{}", kind.format.as_str())
}

/// ACS's metadata of a chunk, byte for byte.
pub fn metadata(folder: &str, chunk: &RecordingChunk) -> BlobName {
    file(folder, chunk, "acsmetadata", "json")
}

/// Our receipt for a chunk.
pub fn receipt(folder: &str, chunk: &RecordingChunk) -> BlobName {
    file(folder, chunk, "receipt", "json")
}

/// Every name a file of the chunk may have: the kind of its media may have been guessed.
pub fn all_names(folder: &str, chunk: &RecordingChunk) -> Vec<BlobName> {
    MEDIA_KINDS
        .into_iter()
        .map(|kind| media(folder, chunk, kind))
        .chain([metadata(folder, chunk), receipt(folder, chunk)])
        .collect()
}

/// The kind of media that a media file was named after.
pub fn media_kind(name: &BlobName) -> Option<MediaKind> {
    let is_named_after = |kind: &MediaKind| name.as_str().contains(&format!("-{}.", stem(*kind)));
    MEDIA_KINDS.into_iter().find(is_named_after)
}

/// Content type of a file, by its name.
pub fn content_type(name: &BlobName) -> &'static str {
    match name.as_str().rsplit('.').next() {
        Some("json") => "application/json",
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        Some(_) | None if name.as_str().contains("-audiomp4.") => "audio/mp4",
        Some(_) | None => "video/mp4",
    }
}

fn file(folder: &str, chunk: &RecordingChunk, stem: &str, extension: &str) -> BlobName {
    let number = chunk.file_number;
    let number = if number.is_first() {
        String::new()
    } else {
        format!(".{number}")
    };
    BlobName(format!(
        "{folder}/{:04}-{stem}.{}{number}.{extension}",
        chunk.index, chunk.document_id
    ))
}

/// The document that a file belongs to, by its name. `None`: this product gives no file such a name.
pub fn document_of(name: &BlobName) -> Option<DocumentId> {
    let file = name.as_str().rsplit('/').next()?;
    let parts: Vec<&str> = file.split('.').collect();
    match parts.as_slice() {
        [_, id, _] => id.parse().ok(),
        [_, id, number, _] => {
            let number: FileNumber = number.parse().ok()?;
            id.parse().ok().filter(|_| !number.is_first())
        }
        _ => None,
    }
}

fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// `text` as one folder name. A changed text gets a hash, so that two texts never share a name.
fn safe_segment(text: &str) -> String {
    let safe: String = text
        .chars()
        .map(|c| {
            if c.is_ascii() && is_safe(c as u8) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if safe == text && !safe.is_empty() && !safe.starts_with('.') && safe.len() <= MAX_SEGMENT {
        return safe;
    }
    let kept: String = safe
        .trim_start_matches('.')
        .chars()
        .take(MAX_SEGMENT - 9)
        .collect();
    let hash = Sha256::digest(text.as_bytes());
    format!("{kept}-{}", hex::encode(&hash[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::recording::{ContentKind, FormatKind};
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn chunk() -> RecordingChunk {
        RecordingChunk {
            call_id: Some("7c62cca0-0000-4444-8888-000000000001".parse().unwrap()),
            recording_id: Some("eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIuLi4ifQ".parse().unwrap()),
            started_at: Some("2026-03-02T23:59:59.9Z".parse().unwrap()),
            index: 3,
            ..entry().chunk
        }
    }

    #[test]
    fn a_file_is_stored_where_acs_itself_would_put_it() {
        let folder = folder(&chunk(), at("2026-03-03T00:10:00Z"));
        let kind = MediaKind {
            content: ContentKind::AudioVideo,
            format: FormatKind::Mp4,
        };
        insta::assert_snapshot!(
            [
                media(&folder, &chunk(), kind),
                metadata(&folder, &chunk()),
                receipt(&folder, &chunk())
            ]
            .map(String::from)
            .join("\n")
        );
    }

    #[test]
    fn a_media_file_tells_what_it_was_called_after() {
        for kind in MEDIA_KINDS {
            assert_eq!(media_kind(&media("f", &chunk(), kind)), Some(kind));
        }
        assert_eq!(media_kind(&receipt("f", &chunk())), None);
    }

    #[test]
    fn the_folder_depends_on_the_recording_only() {
        let again = RecordingChunk {
            index: 9,
            event_id: Some("other".into()),
            ..chunk()
        };
        assert_eq!(
            folder(&chunk(), at("2026-03-03T00:10:00Z")),
            folder(&again, Timestamp::MAX)
        );
    }

    proptest! {
        #[test]
        fn no_id_can_name_a_file_outside_its_folder(call in "[^\\p{C}]{1,80}", recording in "[^\\p{C}]{1,80}") {
            let chunk = RecordingChunk {
                call_id: call.parse().ok(),
                recording_id: recording.parse().ok(),
                ..chunk()
            };
            let folder = folder(&chunk, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(folder.split('/').count(), 3);
            prop_assert!(metadata(&folder, &chunk).as_str().parse::<BlobName>().is_ok());
        }
    }

    #[rstest::rstest]
    #[case("..")]
    #[case("../x")]
    #[case("a/{call-id}")]
    fn ids_that_differ_get_names_that_differ(#[case] text: &str) {
        let segment = safe_segment(text);
        assert!(segment.parse::<BlobName>().is_ok(), "{segment}");
        assert_ne!(segment, safe_segment(&text.replace(['.', '{'], "_")));
    }

    #[rstest::rstest]
    #[case("../a")]
    #[case("/etc/passwd")]
    #[case("a//b")]
    #[case("a/.staging/b")]
    #[case("")]
    #[case("a\\b")]
    fn an_unsafe_name_is_no_blob_name(#[case] text: &str) {
        assert!(text.parse::<BlobName>().is_err());
    }
}
