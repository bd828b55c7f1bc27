//! Findings of a media examination. It does not know what the file should be.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::recording::media::FormatKind;

/// What kind of file it is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Container {
    Wav,
    Mp4,
    Mp3,
    /// A text, HTML, XML or JSON: an error page that was saved as a recording.
    Text,
    Unrecognised,
}

impl Container {
    /// The format of recordings it is, if it is one.
    pub fn format(self) -> Option<FormatKind> {
        match self {
            Self::Wav => Some(FormatKind::Wav),
            Self::Mp4 => Some(FormatKind::Mp4),
            Self::Mp3 => Some(FormatKind::Mp3),
            Self::Text | Self::Unrecognised => None,
        }
    }
}

/// What a track holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TrackKind {
    Picture,
    Sound,
    /// Subtitles, captions, time codes.
    Other,
}

/// A track; wav and mp3 have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    pub kind: TrackKind,
    /// `h264`, `aac`, `pcm`, …, or the code in the file.
    pub codec: Option<String>,
    pub duration: Option<Duration>,
    /// When it ends, counted from the beginning of the file: a track may begin late.
    pub ends: Option<Duration>,
    /// Channels of sound.
    pub channels: Option<u16>,
    /// Bytes of its media in a second, where that was measured.
    pub bytes_per_second: Option<u64>,
}

/// Codecs whose media never has long runs of zero bytes.
const COMPRESSED: [&str; 7] = ["h264", "h265", "av1", "vp8", "vp9", "aac", "opus"];

/// Whether the media of this codec never has long runs of zero bytes.
pub(super) fn is_compressed(codec: &str) -> bool {
    COMPRESSED.contains(&codec)
}

/// How long a file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Unknown,
    Exact(Duration),
    /// From samples of a varying bit rate.
    Estimated(Duration),
}

/// How much of a file's structure was examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    Complete,
    /// The file has more parts than the limit of reads allows.
    ReadsRanOut,
}

/// Why a file cannot be complete, or is more than one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Its own headers declare at least this many bytes, and it has fewer.
    ShorterThanItsHeaders { declared_bytes: u64 },
    /// An mp4 without the box that describes the others.
    NoMoovBox,
    /// A `moov` without `mvhd` or without a track.
    EmptyMovie,
    /// A track whose media is not where the headers say.
    MediaMissing { at_byte: u64 },
    /// An mp4 with a track, and no media of it.
    NoMedia,
    /// The header of a fragmented mp4 promises more than its fragments hold.
    FewerFragments { promised: Duration, found: Duration },
    /// A wav without sound.
    NoDataChunk,
    /// A wav whose header does not say how to play it.
    NoPlayableFormat,
    /// Bytes that no player can use, where media should be.
    Hole { at_byte: u64 },
    /// A track that does not say what it holds, how it is encoded, or where its samples are.
    NotPlayable,
    /// Bytes behind the last part of the file that are neither padding nor a tag.
    Surplus { at_byte: u64 },
    /// Another recording begins after the first one.
    SecondFile { at_byte: u64 },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShorterThanItsHeaders { declared_bytes } => {
                write!(
                    f,
                    "its headers declare {declared_bytes} bytes: the file was cut off"
                )
            }
            Self::NoMoovBox => f.write_str("it has no moov box: the file is not complete"),
            Self::EmptyMovie => {
                f.write_str("its moov box describes no track: nothing can be played")
            }
            Self::MediaMissing { at_byte } => {
                write!(
                    f,
                    "its headers refer to media at byte {at_byte}, where there is none"
                )
            }
            Self::NoMedia => f.write_str("one of its tracks has headers, and no media"),
            Self::FewerFragments { promised, found } => write!(
                f,
                "its header declares {:.1} s, and its fragments hold {:.1} s",
                promised.as_secs_f64(),
                found.as_secs_f64()
            ),
            Self::NoDataChunk => f.write_str("it has no data chunk: the file is not complete"),
            Self::NoPlayableFormat => f.write_str(
                "its header names no channels, sample rate or block size: it cannot be played",
            ),
            Self::Hole { at_byte } => {
                write!(
                    f,
                    "the bytes from {at_byte} on are no media, though media should be there"
                )
            }
            Self::NotPlayable => f.write_str(
                "one of its tracks does not say what it holds, how it is encoded or where its samples are: it cannot be played",
            ),
            Self::Surplus { at_byte } => {
                write!(
                    f,
                    "the bytes from {at_byte} on are no part of it: another file, or a block that is there twice"
                )
            }
            Self::SecondFile { at_byte } => {
                write!(f, "another recording begins at byte {at_byte}")
            }
        }
    }
}

/// Properties of a file, read from the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedMedia {
    pub container: Container,
    pub length: Length,
    /// When a fragmented file begins by its own clock, which may not begin at 0.
    pub starts_at: Duration,
    /// Time between fragments that is in none of them.
    pub gaps: Duration,
    pub tracks: Vec<Track>,
    /// From the first byte of an mp4's media to the last one.
    pub media: Option<Range<u64>>,
    pub flaw: Option<Flaw>,
    pub coverage: Coverage,
    /// Parts of it were left out that are looked at if they pass by.
    pub is_sampled: bool,
}

impl ProbedMedia {
    pub(super) fn of(container: Container) -> Self {
        Self {
            container,
            length: Length::Unknown,
            starts_at: Duration::ZERO,
            gaps: Duration::ZERO,
            tracks: Vec::new(),
            media: None,
            flaw: None,
            coverage: Coverage::Complete,
            is_sampled: false,
        }
    }

    /// How long it plays, exactly or by estimate.
    pub fn duration(&self) -> Option<Duration> {
        match self.length {
            Length::Unknown => None,
            Length::Exact(duration) | Length::Estimated(duration) => Some(duration),
        }
    }

    /// Channels of all its sound.
    pub fn channels(&self) -> Option<u16> {
        let channels = self.tracks.iter().filter_map(|track| track.channels);
        channels.reduce(u16::saturating_add)
    }

    /// Whether it has a track of this kind.
    pub fn has(&self, kind: TrackKind) -> bool {
        self.tracks.iter().any(|track| track.kind == kind)
    }

    /// Whether it has a track of this kind with something to play. Where nothing of the file plays, every track counts.
    pub fn plays(&self, kind: TrackKind) -> bool {
        let plays_nothing = self.duration() == Some(Duration::ZERO);
        let mut of_kind = self.tracks.iter().filter(|track| track.kind == kind);
        of_kind.any(|track| plays_nothing || track.duration != Some(Duration::ZERO))
    }

    /// One sentence on the flaw of this file of `total_bytes`, if it has one.
    pub fn flaw_sentence(&self, total_bytes: u64) -> Option<String> {
        let flaw = self.flaw.as_ref()?;
        Some(format!("the file has {total_bytes} bytes, and {flaw}"))
    }

    /// Adds the flaw of a part that is too short for its own fields.
    pub(super) fn add_unreadable_part(&mut self) {
        match self.container {
            Container::Wav => self.add_flaw(Flaw::NoPlayableFormat),
            Container::Mp4 | Container::Mp3 => self.add_flaw(Flaw::NotPlayable),
            Container::Text | Container::Unrecognised => {}
        }
    }

    /// Adds a flaw, unless there is one: the first says more than its consequences.
    pub(super) fn add_flaw(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }
}
