//! Notices: what an operator may want to know of a recording that is as it should be. None of them keeps a source from being
//! deleted.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::media::found::{Container, ProbedMedia, Track, TrackKind, is_compressed};
use crate::media::sound::{ChannelLevel, SoundLevels};
use crate::recording::RecordingMetadata;
use crate::recording::media::ChannelKind;

/// How much of a file must have been heard before its silence means something, in thousandths.
const HEARD_PER_MILLE: u16 = 900;
/// A picture that never changes and no sound take fewer bytes of a second than this; one speaker takes 2,000 and more.
const BLACK_AND_SILENT_BYTES: u128 = 1000;
/// The same limits for the media of each track, where it was measured: at 30 pictures in a second a black one takes 1,700
/// bytes of them, and silence in AAC 100.
const BLACK_BYTES: u64 = 3000;
const SILENT_BYTES: u64 = 500;
/// Zero bytes of compressed media that are worth a notice: a run of 64 KiB has fifteen whole pages of 4 KiB wherever it begins.
const LEAST_ZERO_BYTES: u64 = 60 * 1024;
/// A recording must be at least this long before its rate means something, in milliseconds.
const MEANINGFUL_MS: u128 = 10_000;

/// One thing worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum MediaNotice {
    /// Nothing was heard on one channel of several.
    SilentChannel { channel: u32 },
    /// Nothing was heard at all.
    SilentRecording,
    /// Its tracks have as little data as a black or still picture and silence.
    BlackAndSilent,
    /// Compressed media of an mp4 has a long run of zero bytes, which no encoder writes.
    ZeroBytes {
        #[serde(rename = "atByte")]
        at_byte: u64,
        bytes: u64,
    },
    /// An unmixed channel that the metadata assigns to no participant.
    ChannelWithoutParticipant { channel: u32 },
    /// Participants of an unmixed recording whom no channel of the file belongs to.
    ParticipantWithoutChannel { participants: u32 },
}

impl fmt::Display for MediaNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SilentChannel { channel } => write!(f, "channel {channel} is silent"),
            Self::SilentRecording => f.write_str("the recording is silent"),
            Self::BlackAndSilent => f.write_str("hardly any picture data and no sound"),
            Self::ZeroBytes { at_byte, bytes } => {
                write!(f, "{bytes} zero bytes in the media, from byte {at_byte} on")
            }
            Self::ChannelWithoutParticipant { channel } => {
                write!(f, "channel {channel} has no participant")
            }
            Self::ParticipantWithoutChannel { participants: 1 } => {
                f.write_str("1 participant has no channel")
            }
            Self::ParticipantWithoutChannel { participants } => {
                write!(f, "{participants} participants have no channel")
            }
        }
    }
}

impl MediaNotice {
    /// All notices on a file of `total_bytes`. `long_zeros`: its long runs of zero bytes.
    pub fn of(
        probed: &ProbedMedia,
        total_bytes: u64,
        sound: Option<&SoundLevels>,
        long_zeros: &[Range<u64>],
        metadata: &RecordingMetadata,
    ) -> Vec<Self> {
        let mut notices = silence(sound);
        notices.extend(zero_bytes(probed, long_zeros));
        if is_black_and_silent(probed, total_bytes) {
            notices.push(Self::BlackAndSilent);
        }
        notices.extend(channels(probed, metadata));
        notices
    }
}

fn silence(sound: Option<&SoundLevels>) -> Vec<MediaNotice> {
    let Some(sound) = sound.filter(|sound| sound.seen_per_mille >= HEARD_PER_MILLE) else {
        return Vec::new();
    };
    if sound.channels.iter().all(ChannelLevel::is_silent) {
        return vec![MediaNotice::SilentRecording];
    }
    let channels = (0..).zip(&sound.channels);
    channels
        .filter(|(_, level)| level.is_silent())
        .map(|(channel, _)| MediaNotice::SilentChannel { channel })
        .collect()
}

/// The longest run of zero bytes in the media. A gap in samples that are plain numbers may be silence.
fn zero_bytes(probed: &ProbedMedia, long_zeros: &[Range<u64>]) -> Option<MediaNotice> {
    let media = probed.media.as_ref()?;
    let is_compressed = |track: &Track| {
        track.kind == TrackKind::Other || track.codec.as_deref().is_some_and(is_compressed)
    };
    if !probed.tracks.iter().all(is_compressed) {
        return None;
    }
    let runs = long_zeros
        .iter()
        .map(|run| run.start.max(media.start)..run.end.min(media.end));
    let longest = runs.max_by_key(|run| run.end.saturating_sub(run.start))?;
    let bytes = longest.end.saturating_sub(longest.start);
    (bytes >= LEAST_ZERO_BYTES).then_some(MediaNotice::ZeroBytes {
        at_byte: longest.start,
        bytes,
    })
}

fn is_black_and_silent(probed: &ProbedMedia, total_bytes: u64) -> bool {
    let plays_ms = probed.duration().unwrap_or_default().as_millis();
    probed.container == Container::Mp4
        && probed.has(TrackKind::Picture)
        && probed.has(TrackKind::Sound)
        && plays_ms >= MEANINGFUL_MS
        && match (
            bytes_per_second(probed, TrackKind::Picture),
            bytes_per_second(probed, TrackKind::Sound),
        ) {
            (Some(picture), Some(sound)) => picture < BLACK_BYTES && sound < SILENT_BYTES,
            (None, _) | (_, None) => {
                u128::from(total_bytes) * 1000 / plays_ms < BLACK_AND_SILENT_BYTES
            }
        }
}

/// Bytes in a second of all tracks of this kind; `None` if one was not measured.
fn bytes_per_second(probed: &ProbedMedia, kind: TrackKind) -> Option<u64> {
    let tracks = probed.tracks.iter().filter(|track| track.kind == kind);
    let rates = tracks.map(|track| track.bytes_per_second);
    rates.reduce(|one, two| Some(one?.saturating_add(two?)))?
}

fn channels(probed: &ProbedMedia, metadata: &RecordingMetadata) -> Vec<MediaNotice> {
    let is_unmixed = metadata.channels == Some(ChannelKind::Unmixed);
    let Some(found) = probed.channels().map(u32::from).filter(|_| is_unmixed) else {
        return Vec::new();
    };
    if metadata.participants.is_empty() {
        return Vec::new();
    }
    let named = |channel: u32| {
        let mut participants = metadata.participants.iter();
        participants.any(|participant| participant.channel == Some(channel))
    };
    let mut notices: Vec<_> = (0..found)
        .filter(|channel| !named(*channel))
        .map(|channel| MediaNotice::ChannelWithoutParticipant { channel })
        .collect();
    let without = metadata
        .participants
        .iter()
        .filter(|participant| participant.channel.is_none_or(|channel| channel >= found));
    let participants = u32::try_from(without.count()).unwrap_or(u32::MAX);
    if participants > 0 {
        notices.push(MediaNotice::ParticipantWithoutChannel { participants });
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::samples::{plain, probe, wav};
    use super::*;

    fn levels(silent_per_mille: &[u16], seen_per_mille: u16) -> SoundLevels {
        let level = |silent_per_mille: &u16| ChannelLevel {
            peak: 0,
            rms: 0,
            silent_per_mille: *silent_per_mille,
            waveform: String::new(),
        };
        SoundLevels {
            seen_per_mille,
            channels: silent_per_mille.iter().map(level).collect(),
        }
    }

    #[rstest::rstest]
    #[case::agent(&[100, 1000], 1000, vec![MediaNotice::SilentChannel { channel: 1 }])]
    #[case::all(&[1000, 1000], 1000, vec![MediaNotice::SilentRecording])]
    #[case::nearly(&[999, 998], 1000, vec![])]
    #[case::too_little_was_heard(&[100, 1000], 500, vec![])]
    fn a_silent_channel_is_noticed(
        #[case] silent: &[u16],
        #[case] seen: u16,
        #[case] expected: Vec<MediaNotice>,
    ) {
        assert_eq!(silence(Some(&levels(silent, seen))), expected);
    }

    #[test]
    fn channels_and_participants_that_do_not_meet_are_noticed() {
        let metadata = RecordingMetadata::parse(
            br#"{"recordingInfo": {"channelType": "unmixed"}, "participants": [
                {"participantId": "a", "channel": 0}, {"participantId": "b", "channel": 7}, {"participantId": "c"}]}"#,
        );
        let notices = MediaNotice::of(&probe(&wav(2, 100)), 1, None, &[], &metadata);
        assert_eq!(
            notices,
            [
                MediaNotice::ChannelWithoutParticipant { channel: 1 },
                MediaNotice::ParticipantWithoutChannel { participants: 2 }
            ]
        );
        let mixed = RecordingMetadata::default();
        assert_eq!(
            MediaNotice::of(&probe(&wav(2, 100)), 1, None, &[], &mixed),
            []
        );
    }

    #[test]
    fn a_picture_alone_is_not_called_black_and_silent() {
        let probed = probe(&plain(60_000));
        assert!(!is_black_and_silent(&probed, 1000));
        let mut both = probed;
        both.tracks.push(Track {
            kind: TrackKind::Sound,
            codec: None,
            duration: None,
            ends: None,
            channels: None,
            bytes_per_second: None,
        });
        assert!(is_black_and_silent(&both, 30_000));
        assert!(!is_black_and_silent(&both, 120_000));
    }

    #[rstest::rstest]
    #[case::black_and_silent(1700, 70, true)]
    #[case::black_with_a_voice(1700, 2000, false)]
    #[case::a_silent_picture(20_000, 70, false)]
    fn measured_tracks_tell_whether_a_recording_is_black_and_silent(
        #[case] picture: u64,
        #[case] sound: u64,
        #[case] expected: bool,
    ) {
        let mut probed = probe(&plain(60_000));
        probed.tracks[0].bytes_per_second = Some(picture);
        let mut track = probed.tracks[0].clone();
        (track.kind, track.bytes_per_second) = (TrackKind::Sound, Some(sound));
        probed.tracks.push(track);
        // What surrounds the media does not count.
        assert_eq!(is_black_and_silent(&probed, 600_000), expected);
    }

    #[rstest::rstest]
    #[case::in_the_media(50_000..150_000, "aac", true)]
    #[case::over_its_end(100_000..300_000, "h264", true)]
    #[case::too_short(50_000..100_000, "aac", false)]
    #[case::before_the_media(0..40_000, "aac", false)]
    #[case::of_plain_samples(50_000..150_000, "sowt", false)]
    #[case::of_an_unknown_codec(50_000..150_000, "new1", false)]
    fn zero_bytes_in_compressed_media_are_noticed(
        #[case] run: Range<u64>,
        #[case] codec: &str,
        #[case] expected: bool,
    ) {
        let mut probed = probe(&plain(60_000));
        probed.media = Some(40_000..200_000);
        probed.tracks[0].codec = Some(codec.to_owned());
        let (at_byte, end) = (run.start, run.end.min(200_000));
        let notice = MediaNotice::ZeroBytes {
            at_byte,
            bytes: end - at_byte,
        };
        assert_eq!(
            zero_bytes(&probed, &[0..20_000, run]),
            expected.then_some(notice)
        );
    }

    #[test]
    fn a_notice_is_kept_by_its_kind() {
        let json = serde_json::to_value(MediaNotice::SilentChannel { channel: 2 }).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"kind": "silentChannel", "channel": 2})
        );
        let zeros = MediaNotice::ZeroBytes {
            at_byte: 4096,
            bytes: 65_536,
        };
        assert_eq!(
            serde_json::to_value(zeros).unwrap(),
            serde_json::json!({"kind": "zeroBytes", "atByte": 4096, "bytes": 65_536})
        );
        assert_eq!(
            MediaNotice::ParticipantWithoutChannel { participants: 1 }.to_string(),
            "1 participant has no channel"
        );
    }
}
