//! The metadata file ACS writes beside each chunk (`acsmetadata`).
//!
//! Its bytes are archived unchanged; this is a lenient reading of only the parts that the export needs for its
//! decisions. Wire traps (recorded answers of the service): durations are floats, `sampleRate` may be a string, and
//! files of mid-2021 have the values of `contentType` and `channelType` swapped.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DocumentId;
use super::lenient::Fields;
use super::lenient_json::{self, Bound};
use super::media::{ChannelKind, ContentKind, FormatKind, MediaKind};

/// The members of a metadata file.
const MEMBERS: [&str; 9] = [
    "resourceId",
    "callId",
    "chunkDocumentId",
    "chunkIndex",
    "chunkStartTime",
    "chunkDuration",
    "pauseResumeIntervals",
    "recordingInfo",
    "participants",
];

/// Participants of one file that the ledger and the index keep; the file has all of them.
const PARTICIPANTS_KEPT: usize = 1000;

/// The readable part of a metadata file; whatever is missing or implausible is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingMetadata {
    pub content: Option<ContentKind>,
    pub format: Option<FormatKind>,
    /// Length of the chunk in milliseconds, pauses included.
    pub chunk_duration_ms: Option<f64>,
    /// The sum of its pauses in milliseconds; 0 if there are none.
    pub pauses_ms: f64,
    pub channels: Option<ChannelKind>,
    /// `audioConfiguration.channels`.
    pub audio_channels: Option<u32>,
    pub participants: Vec<Participant>,
    /// Participants whose ids are not readable.
    pub participants_unreadable: usize,
    pub pauses: Vec<PauseInterval>,
}

/// Somebody who was in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// As ACS writes it: `8:acs:…`, `4:+1555…`.
    pub id: String,
    /// Of an unmixed recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
}

/// A pause, counted from the chunk's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseInterval {
    pub offset_ms: u64,
    pub duration_ms: u64,
}

/// What the ledger keeps of a metadata file, so that no list needs to read files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetadataSummary {
    pub content: Option<ContentKind>,
    pub format: Option<FormatKind>,
    pub channels: Option<ChannelKind>,
    pub duration_ms: Option<u64>,
    pub participants: Vec<Participant>,
    /// Further participants: only the metadata file names them, or their ids are not readable.
    #[serde(skip_serializing_if = "is_zero")]
    pub participants_omitted: usize,
    pub pauses: Vec<PauseInterval>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl MetadataSummary {
    /// Adds a participant, if there is room. Duplicates are ignored.
    pub fn add_participant(&mut self, participant: Participant) {
        let is_known = |known: &Participant| known.id.eq_ignore_ascii_case(&participant.id);
        if self.participants.iter().any(is_known) {
            return;
        }
        if self.participants.len() < PARTICIPANTS_KEPT {
            self.participants.push(participant);
        } else {
            self.participants_omitted = self.participants_omitted.saturating_add(1);
        }
    }
}

/// Whether an object has a member of a metadata file.
pub fn has_a_member(object: &serde_json::Map<String, serde_json::Value>) -> bool {
    let is_member = |name: &String| MEMBERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    object.keys().any(is_member)
}

/// Returns the chunk of which a metadata file says that it is.
pub fn chunk_of(bytes: &[u8]) -> Option<DocumentId> {
    let content = lenient_json::read(bytes, Bound::None)?;
    let id = Fields::of(&content)?.text("chunkDocumentId")?;
    id.trim().parse().ok()
}

/// Returns a metadata file without the byte order mark that some writers put before UTF-8.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

impl RecordingMetadata {
    /// Reads a metadata file; one that is not JSON reads as "nothing known".
    pub fn parse(bytes: &[u8]) -> Self {
        lenient_json::read(bytes, Bound::None)
            .as_ref()
            .and_then(Fields::of)
            .map(Self::from_fields)
            .unwrap_or_default()
    }

    fn from_fields(fields: Fields<'_>) -> Self {
        let info = fields.object("recordingInfo");
        let kind = |name| {
            info.and_then(|info| info.text(name))
                .and_then(|text| text.parse::<ContentKind>().ok())
        };
        let channels = |name| {
            info.and_then(|info| info.text(name))
                .and_then(|text| text.parse::<ChannelKind>().ok())
        };
        let participants = participants(fields);
        Self {
            // Mid-2021 files carry the content type under `channelType`.
            content: kind("contentType").or_else(|| kind("channelType")),
            format: info
                .and_then(|info| info.text("format"))
                .and_then(|text| text.parse().ok()),
            chunk_duration_ms: fields.number("chunkDuration"),
            pauses_ms: pauses_ms(fields),
            channels: channels("channelType").or_else(|| channels("contentType")),
            audio_channels: info
                .and_then(|info| info.object("audioConfiguration"))
                .and_then(|audio| audio.count("channels")),
            participants: participants.readable,
            participants_unreadable: participants.unreadable,
            pauses: pauses(fields),
        }
    }

    /// Returns what the ledger keeps.
    pub fn summary(mut self) -> MetadataSummary {
        let beyond = self.participants.len().saturating_sub(PARTICIPANTS_KEPT);
        let participants_omitted = beyond.saturating_add(self.participants_unreadable);
        self.participants.truncate(PARTICIPANTS_KEPT);
        MetadataSummary {
            participants_omitted,
            content: self.content,
            format: self.format,
            channels: self.channels,
            duration_ms: self.chunk_duration_ms.and_then(whole_ms),
            participants: self.participants,
            pauses: self.pauses,
        }
    }

    /// Returns what the chunk holds, if the metadata says.
    pub fn media_kind(&self) -> Option<MediaKind> {
        MediaKind::from_parts(self.content, self.format)
    }
}

/// Sums up `pauseResumeIntervals`, an array of `{"startTime", "duration"}`; an implausible one counts as nothing.
fn pauses_ms(fields: Fields<'_>) -> f64 {
    let pauses = fields
        .array("pauseResumeIntervals")
        .unwrap_or_default()
        .iter()
        .filter_map(Fields::of);
    // Not `sum`: a sum of no floats is -0.0. A sum of finite floats may not be finite.
    let sum = pauses
        .filter_map(|pause| pause.number("duration"))
        .filter(|ms| *ms > 0.0)
        .fold(0.0, |sum, ms| sum + ms);
    sum.min(f64::MAX)
}

/// The participants of a metadata file.
#[derive(Debug, Default)]
struct ListedParticipants {
    readable: Vec<Participant>,
    unreadable: usize,
}

/// Reads `participants[{participantId, channel?}]`; ignores duplicates. Counts what is not readable: it may be anyone.
fn participants(fields: Fields<'_>) -> ListedParticipants {
    let mut listed = ListedParticipants::default();
    let Some(value) = fields.value("participants") else {
        return listed;
    };
    let Some(all) = value.as_array() else {
        listed.unreadable = 1;
        return listed;
    };
    let mut seen = HashSet::new();
    for one in all {
        match Fields::of(one).and_then(participant) {
            None => listed.unreadable += 1,
            Some(participant) if seen.insert(participant.id.to_lowercase()) => {
                listed.readable.push(participant);
            }
            Some(_) => {}
        }
    }
    listed
}

fn participant(fields: Fields<'_>) -> Option<Participant> {
    let id = fields
        .text("participantId")
        .or_else(|| fields.text("rawId"))?
        .trim();
    (!id.is_empty()).then(|| Participant {
        id: id.to_owned(),
        channel: fields.count("channel"),
    })
}

/// Returns the pauses whose place within the chunk is known.
fn pauses(fields: Fields<'_>) -> Vec<PauseInterval> {
    let Some(began_at) = fields.time("chunkStartTime") else {
        return Vec::new();
    };
    let reported = fields
        .array("pauseResumeIntervals")
        .unwrap_or_default()
        .iter()
        .filter_map(Fields::of);
    reported
        .filter_map(|pause| {
            let started_at: Timestamp = pause.time("startTime")?;
            let offset_ms =
                u64::try_from(started_at.duration_since(began_at).as_millis()).unwrap_or_default();
            Some(PauseInterval {
                offset_ms,
                duration_ms: pause.number("duration").and_then(whole_ms)?,
            })
        })
        .collect()
}

/// Returns milliseconds without their fraction; `None` for what is negative or implausible.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn whole_ms(ms: f64) -> Option<u64> {
    const LONGEST: f64 = 1e15;
    (0.0..LONGEST).contains(&ms).then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!(
            "{}/tests/fixtures/metadata/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read(path).unwrap()
    }

    #[rstest::rstest]
    #[case(
        "m01_seed_botframework_2021.json",
        ContentKind::AudioVideo,
        FormatKind::Mp4,
        15000.0
    )]
    #[case(
        "m02b_wire_bytes_1055.json",
        ContentKind::AudioVideo,
        FormatKind::Mp4,
        19320.0
    )]
    #[case(
        "m03b_wire_bytes_959.json",
        ContentKind::AudioVideo,
        FormatKind::Mp4,
        23820.0
    )]
    #[case(
        "m06_unmixed_wav_channels.json",
        ContentKind::Audio,
        FormatKind::Wav,
        6620.0
    )]
    fn every_generation_of_metadata_tells_its_media_kind(
        #[case] file: &str,
        #[case] content: ContentKind,
        #[case] format: FormatKind,
        #[case] duration_ms: f64,
    ) {
        let metadata = RecordingMetadata::parse(&fixture(file));
        assert_eq!(metadata.media_kind(), Some(MediaKind { content, format }));
        assert_eq!(metadata.chunk_duration_ms, Some(duration_ms));
    }

    #[test]
    fn metadata_names_its_chunk() {
        let chunk = chunk_of(&fixture("m01_seed_botframework_2021.json")).unwrap();
        assert_eq!(chunk.as_str(), "0-eus-d11-05bf22b166dfb2119e3ff85d98906121");
        for other in ["{}", "[]", "x", r#"{"chunkDocumentId": "../a"}"#] {
            assert_eq!(chunk_of(other.as_bytes()), None, "{other}");
        }
    }

    #[rstest::rstest]
    #[case("m01_seed_botframework_2021.json", 0.0)]
    #[case("m02b_wire_bytes_1055.json", 5220.0)]
    #[case("m05_net_unit_test_floats_version.json", 0.5)]
    #[case("m07_frameRate_camel.json", 0.0)]
    fn every_generation_of_metadata_tells_its_pauses(#[case] file: &str, #[case] pauses_ms: f64) {
        assert_eq!(
            RecordingMetadata::parse(&fixture(file)).pauses_ms.to_bits(),
            pauses_ms.to_bits()
        );
    }

    #[rstest::rstest]
    #[case(r#"[{"duration": "100"}, {"Duration": 20.5}, {"startTime": "x"}, {"duration": -5}, 7, null]"#, 120.5)]
    #[case(r#"[{"duration": 1e308}, {"duration": 1e308}]"#, f64::MAX)]
    #[case("{}", 0.0)]
    fn odd_pauses_are_read_as_far_as_they_can_be(#[case] pauses: &str, #[case] pauses_ms: f64) {
        let metadata =
            RecordingMetadata::parse(format!(r#"{{"pauseResumeIntervals": {pauses}}}"#).as_bytes());
        assert_eq!(metadata.pauses_ms.to_bits(), pauses_ms.to_bits());
    }

    #[test]
    fn a_byte_order_mark_hides_nothing() {
        let plain = fixture("m06_unmixed_wav_channels.json");
        let marked = [&b"\xef\xbb\xbf"[..], &plain].concat();
        assert_eq!(
            RecordingMetadata::parse(&marked),
            RecordingMetadata::parse(&plain)
        );
    }

    #[test]
    fn participants_and_pauses_are_read_with_their_places() {
        let summary = RecordingMetadata::parse(&fixture("m06_unmixed_wav_channels.json")).summary();
        let seen: Vec<_> = summary
            .participants
            .iter()
            .map(|one| (one.id.as_str(), one.channel))
            .collect();
        assert_eq!(
            seen,
            [
                ("8:acs:r_00000001", Some(0)),
                ("4:+15551230001", Some(1)),
                ("8:acs:r_00000003", None)
            ]
        );
        assert_eq!(
            (summary.channels, summary.duration_ms),
            (Some(ChannelKind::Unmixed), Some(6620))
        );
        let summary = RecordingMetadata::parse(&fixture("m02b_wire_bytes_1055.json")).summary();
        assert_eq!(
            summary.pauses,
            [PauseInterval {
                offset_ms: 2995,
                duration_ms: 5220
            }]
        );
        assert_eq!(
            (summary.channels, summary.participants.len()),
            (Some(ChannelKind::Mixed), 2)
        );
    }

    #[rstest::rstest]
    #[case(r#"{"participants": [{"participantId": "8:A"}, {"participantId": "8:a"}, {"participantId": " "}, 7]}"#, 1, 2)]
    #[case(r#"{"participants": [{"participantId": "8:A"}, {"participantId": {"rawId": "8:b"}}, {"id": "8:c"}, null]}"#, 1, 3)]
    #[case(r#"{"participants": {"participantId": "8:a"}}"#, 0, 1)]
    #[case(r#"{"participants": null}"#, 0, 0)]
    #[case(r#"{"participants": []}"#, 0, 0)]
    fn odd_participants_are_read_as_far_as_they_can_be_and_the_others_are_counted(
        #[case] metadata: &str,
        #[case] readable: usize,
        #[case] omitted: usize,
    ) {
        let summary = RecordingMetadata::parse(metadata.as_bytes()).summary();
        assert_eq!(
            (summary.participants.len(), summary.participants_omitted),
            (readable, omitted)
        );
    }

    #[test]
    fn metadata_that_says_nothing_reads_as_nothing_known() {
        assert_eq!(
            RecordingMetadata::parse(&fixture("m05_net_unit_test_floats_version.json"))
                .media_kind(),
            None
        );
        assert_eq!(
            RecordingMetadata::parse(b"<html>"),
            RecordingMetadata::default()
        );
    }
}
