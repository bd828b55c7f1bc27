//! Checks whether a file is what the event and the metadata report: the right kind, complete, and of the right length.
//!
//! A proof that the copy equals the source says nothing about the source: a truncated file copies well. Pure;
//! what the file says about itself comes from [`crate::media`].

use std::time::Duration;

use crate::media::found::{Container, Coverage, Length, ProbedMedia, TrackKind};
use crate::recording::media::{ChannelKind, ContentKind, FormatKind};
use crate::recording::{RecordingChunk, RecordingMetadata};

/// Tolerance between two lengths: encoders round to frames, and start late.
const TOLERANCE: Duration = Duration::from_secs(2);
/// The tolerance as a share of the length: clocks drift. An hour that lost a minute exceeds it.
const TOLERANCE_PER_MILLE: u32 = 2;
/// Tolerance of an estimate.
const ESTIMATE_TOLERANCE: Duration = Duration::from_secs(5);
const ESTIMATE_TOLERANCE_PERCENT: u32 = 15;
/// How long before the end of a recording its sound may end.
const SOUND_TOLERANCE: Duration = Duration::from_secs(5);
const SOUND_TOLERANCE_PERCENT: u32 = 5;
/// How much longer the pauses of a recording may be than the recording: times are rounded.
const PAUSE_ROUNDING: Duration = Duration::from_millis(500);
/// From this reported length on, a file must have a duration.
const MEANINGFUL: Duration = Duration::from_secs(2);
/// Maximum channels of a mixed recording.
const MIXED_CHANNELS: u16 = 2;
/// The member of an event, as a chunk keeps it, with the kind of channels.
const EVENT_CHANNEL_TYPE: &str = "data.recordingChannelType";

/// Result of examining a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plausibility {
    /// Everything that could be compared agrees.
    Agrees,
    /// There was nothing to compare, or the examination was incomplete; one sentence says which.
    Unknown(String),
    /// One sentence for an operator; it names what was reported and what was found.
    Disagrees(String),
}

/// What event and metadata report for a chunk's media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportedMedia {
    pub format: Option<FormatKind>,
    pub content: Option<ContentKind>,
    pub channel_kind: Option<ChannelKind>,
    pub channels: Option<u32>,
    pub length: Option<ReportedLength>,
}

/// How long a chunk plays. Whether a file's own length includes the pauses is not published, so either of the two is
/// right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedLength {
    pub with_pauses: Duration,
    pub without_pauses: Duration,
}

impl ReportedMedia {
    /// Combines event and metadata. The event takes precedence.
    pub fn of(chunk: &RecordingChunk, metadata: &RecordingMetadata) -> Self {
        let by_event = || chunk.other.get(EVENT_CHANNEL_TYPE)?.as_str()?.parse().ok();
        let kind = chunk.media_kind().map(|kind| kind.format);
        Self {
            format: chunk.format.or(metadata.format).or(kind),
            content: chunk.content.or(metadata.content),
            channel_kind: metadata.channels.or_else(by_event),
            channels: metadata.audio_channels,
            length: ReportedLength::of(metadata),
        }
    }
}

impl ReportedLength {
    fn of(metadata: &RecordingMetadata) -> Option<Self> {
        let milliseconds = |ms: f64| Duration::try_from_secs_f64(ms / 1e3).ok();
        let with_pauses = milliseconds(metadata.chunk_duration_ms?)?;
        let pauses = milliseconds(metadata.pauses_ms).unwrap_or(Duration::MAX);
        // Such pauses are not those of this chunk: they excuse nothing that is missing in the file.
        let is_contradiction = pauses > with_pauses.saturating_add(PAUSE_ROUNDING);
        let pauses = if is_contradiction {
            Duration::ZERO
        } else {
            pauses
        };
        Some(Self {
            with_pauses,
            without_pauses: with_pauses.saturating_sub(pauses),
        })
    }

    /// Whether a file's duration matches; its clock may count from 0 wherever it starts.
    fn allows(self, probed: &ProbedMedia) -> Option<bool> {
        let (plays, tolerance): (Duration, fn(Duration) -> Duration) = match probed.length {
            Length::Unknown => return None,
            Length::Exact(plays) => (plays, tolerance),
            Length::Estimated(plays) => (plays, estimate_tolerance),
        };
        let plays_nothing = plays.is_zero() && self.without_pauses >= MEANINGFUL;
        let near = |reported: Duration| {
            let by_clock = plays.saturating_add(probed.starts_at);
            plays.abs_diff(reported).min(by_clock.abs_diff(reported)) <= tolerance(reported)
        };
        Some(!plays_nothing && (near(self.with_pauses) || near(self.without_pauses)))
    }

    fn pauses(self) -> Duration {
        self.with_pauses.saturating_sub(self.without_pauses)
    }
}

/// Tolerance of a measured length from this one.
pub(super) fn tolerance(length: Duration) -> Duration {
    TOLERANCE.max(length / 1000 * TOLERANCE_PER_MILLE)
}

/// Tolerance of an estimated length from this one.
pub(super) fn estimate_tolerance(length: Duration) -> Duration {
    ESTIMATE_TOLERANCE.max(length / 100 * ESTIMATE_TOLERANCE_PERCENT)
}

/// Result of comparing one property.
enum Comparison {
    Nothing,
    Agrees,
    Disagrees(String),
}

/// Compares a file of `total_bytes` with what is reported for it.
pub fn examine(probed: &ProbedMedia, total_bytes: u64, reported: &ReportedMedia) -> Plausibility {
    if let Comparison::Disagrees(what) = compare_kinds(probed, reported.format) {
        return Plausibility::Disagrees(what);
    }
    if let Some(flaw) = probed.flaw_sentence(total_bytes) {
        return Plausibility::Disagrees(flaw);
    }
    let compare: [fn(&ProbedMedia, &ReportedMedia) -> Comparison; 5] = [
        |probed, reported| compare_kinds(probed, reported.format),
        compare_tracks,
        compare_channels,
        compare_lengths,
        compare_gaps,
    ];
    let mut agrees = false;
    for compare in compare {
        match compare(probed, reported) {
            Comparison::Nothing => {}
            Comparison::Agrees => agrees = true,
            Comparison::Disagrees(what) => return Plausibility::Disagrees(what),
        }
    }
    let plays_nothing = probed.duration().is_some_and(|plays| plays.is_zero());
    if plays_nothing && reported.length.is_none() && probed.container == Container::Mp4 {
        return Plausibility::Disagrees("the file has headers, and nothing to play".to_owned());
    }
    let unknown = |why: &str| Plausibility::Unknown(why.to_owned());
    match (probed.coverage, probed.container) {
        (Coverage::ReadsRanOut, _) => {
            unknown("the file has more parts than one examination can read")
        }
        (Coverage::Complete, Container::Unrecognised) => {
            unknown("no format is reported, and the file is none of wav, mp3 and mp4")
        }
        (Coverage::Complete, _) if reported.length.is_some() && probed.duration().is_none() => {
            unknown("the file does not say how long it plays")
        }
        (Coverage::Complete, _) if plays_nothing && reported.length.is_none() => {
            unknown("the file plays nothing, and no length is reported")
        }
        (Coverage::Complete, _) if !agrees => {
            unknown("neither event nor metadata reports anything to compare the file with")
        }
        (Coverage::Complete, _) => Plausibility::Agrees,
    }
}

fn compare_kinds(probed: &ProbedMedia, reported: Option<FormatKind>) -> Comparison {
    let reported_name = reported.map_or("media", FormatKind::as_str);
    let disagrees = |what: &str| {
        Comparison::Disagrees(format!(
            "the recording should be {reported_name}, and the file is {what}"
        ))
    };
    match (probed.container, reported) {
        (Container::Text, _) => disagrees("a web page or another text"),
        // After the last permitted read the container may still be unknown.
        (Container::Unrecognised, Some(_)) if probed.coverage == Coverage::Complete => {
            disagrees("none of wav, mp3 and mp4")
        }
        // The format may be new, so it is not necessarily wrong.
        (Container::Unrecognised, _) => Comparison::Nothing,
        (Container::Wav | Container::Mp4 | Container::Mp3, None) => Comparison::Nothing,
        (Container::Wav | Container::Mp4 | Container::Mp3, Some(_)) => {
            match probed.container.format() {
                found if found == reported => Comparison::Agrees,
                Some(found) => disagrees(found.as_str()),
                None => Comparison::Nothing,
            }
        }
    }
}

/// Compares picture and sound of a recording that should have both.
fn compare_tracks(probed: &ProbedMedia, reported: &ReportedMedia) -> Comparison {
    let should_have_both = reported.content == Some(ContentKind::AudioVideo);
    if !should_have_both || probed.container != Container::Mp4 || probed.tracks.is_empty() {
        return Comparison::Nothing;
    }
    for (kind, name) in [(TrackKind::Picture, "picture"), (TrackKind::Sound, "sound")] {
        if !probed.has(kind) {
            return Comparison::Disagrees(format!(
                "the recording should have a picture and sound, and the file has no {name} track"
            ));
        }
        if !probed.plays(kind) {
            return Comparison::Disagrees(format!(
                "the recording should have a picture and sound, and the {name} track of the file is empty"
            ));
        }
    }
    let sound = probed
        .tracks
        .iter()
        .filter(|track| track.kind == TrackKind::Sound);
    let sound = sound.filter_map(|track| track.ends).max();
    let (Some(sound), Some(whole)) = (sound, probed.duration()) else {
        return Comparison::Agrees;
    };
    let allowed = SOUND_TOLERANCE.max(whole / 100 * SOUND_TOLERANCE_PERCENT);
    if whole.saturating_sub(sound) > allowed {
        let (sound, whole) = (sound.as_secs_f64(), whole.as_secs_f64());
        return Comparison::Disagrees(format!(
            "the file plays for {whole:.1} s, and its sound ends after {sound:.1} s"
        ));
    }
    Comparison::Agrees
}

fn compare_channels(probed: &ProbedMedia, reported: &ReportedMedia) -> Comparison {
    let Some(found) = probed.channels() else {
        return Comparison::Nothing;
    };
    let counted = format!("{found} channel{}", if found == 1 { "" } else { "s" });
    match (reported.channel_kind, reported.channels) {
        (Some(ChannelKind::Mixed), _) if found > MIXED_CHANNELS => Comparison::Disagrees(format!(
            "the recording is mixed, and the file has {counted}"
        )),
        (Some(ChannelKind::Mixed), _) => Comparison::Agrees,
        (Some(ChannelKind::Unmixed), Some(channels)) if channels > 0 => {
            if channels == u32::from(found) {
                return Comparison::Agrees;
            }
            Comparison::Disagrees(format!(
                "the metadata reports {channels} separate channels, and the file has {counted}"
            ))
        }
        (Some(ChannelKind::Unmixed), _) | (None, _) => Comparison::Nothing,
    }
}

fn compare_lengths(probed: &ProbedMedia, reported: &ReportedMedia) -> Comparison {
    let (Some(length), Some(plays)) = (reported.length, probed.duration()) else {
        return Comparison::Nothing;
    };
    match length.allows(probed) {
        None => Comparison::Nothing,
        Some(true) => Comparison::Agrees,
        Some(false) => {
            let (with, without, plays) = (
                length.with_pauses.as_secs_f64(),
                length.without_pauses.as_secs_f64(),
                plays.as_secs_f64(),
            );
            Comparison::Disagrees(format!(
                "the metadata says the recording lasts {with:.1} s ({without:.1} s without its pauses), and the file plays for {plays:.1} s"
            ))
        }
    }
}

/// Time that is in no fragment may be a pause. Time beyond the pauses is missing.
fn compare_gaps(probed: &ProbedMedia, reported: &ReportedMedia) -> Comparison {
    let pauses = reported
        .length
        .map(ReportedLength::pauses)
        .unwrap_or_default();
    let whole = probed.duration().unwrap_or_default();
    if probed.gaps <= pauses.saturating_add(tolerance(whole)) {
        return Comparison::Nothing;
    }
    Comparison::Disagrees(format!(
        "{:.1} s are missing between the fragments of the file",
        probed.gaps.as_secs_f64()
    ))
}

#[cfg(test)]
mod tests;
