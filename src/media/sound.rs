//! Measures how loud a PCM wav is, by short stretches from across the file. It knows no names and no storage.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::media::seen::Seen;
use crate::media::wav;

/// Stretches of a file that are measured.
const PLACES: u64 = 1000;
/// Points of a waveform.
const POINTS: u64 = 500;
/// Maximum length of a stretch.
const PLACE_BYTES: u64 = 1024;
/// Below this root mean square a stretch is silent: -60 dB of full scale.
const SILENCE: u64 = 33;
/// Maximum channels that are measured: ACS records at most five.
const MAX_CHANNELS: u16 = 8;
/// Tags of formats (<http://soundfile.sapp.org/doc/WaveFormat/>).
const PCM: u16 = 1;
const FLOAT: u16 = 3;

/// How loud a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SoundLevels {
    /// Share of the sampled positions that were read, in thousandths: smaller for an export that was resumed.
    pub seen_per_mille: u16,
    pub channels: Vec<ChannelLevel>,
}

/// How loud a channel is. Full scale is 32,768.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelLevel {
    pub peak: u16,
    /// Root mean square.
    pub rms: u16,
    /// Share of the sampled positions that are quieter than -60 dB, in thousandths.
    pub silent_per_mille: u16,
    /// The peaks of equally long stretches, a byte each, in base64; 255 is full scale.
    pub waveform: String,
}

impl ChannelLevel {
    /// Whether nothing was heard on it.
    pub fn is_silent(&self) -> bool {
        self.silent_per_mille == 1000
    }
}

/// The stretches of a file of `total_bytes` that are measured.
pub(super) fn places(total_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let (step, count) = ((total_bytes / PLACES).max(64), PLACES);
    (0..count)
        .map(move |number| number * step)
        .take_while(move |at| *at < total_bytes)
        .map(move |at| at..(at + step.min(PLACE_BYTES)).min(total_bytes))
}

/// Measures the parts of a wav, given the offset of each. `None` if the samples are not plain numbers.
pub(super) fn hear<'a>(
    seen: &Seen,
    parts: impl Iterator<Item = (u64, &'a [u8])>,
) -> Option<SoundLevels> {
    let (format, sound) = wav::layout_of(seen)?;
    let sample = Sample::of(format.tag, format.bits)?;
    let channels = format.channels;
    let is_plain = u64::from(format.frame_bytes) == sample.bytes() as u64 * u64::from(channels)
        && (1..=MAX_CHANNELS).contains(&channels);
    if !is_plain || sound.is_empty() {
        return None;
    }
    let mut meters = vec![Meter::default(); usize::from(channels)];
    let (mut heard, all) = (0_u64, places(seen.total_bytes()).count() as u64);
    for (start, bytes) in parts {
        heard += 1;
        let Some((bytes, point)) =
            whole_frames(start, bytes, &sound, u64::from(format.frame_bytes))
        else {
            continue;
        };
        for (number, meter) in meters.iter_mut().enumerate() {
            meter.add(samples(bytes, sample, number, usize::from(channels)), point);
        }
    }
    let seen_per_mille = heard.saturating_mul(1000) / all.max(1);
    (heard > 0).then(|| SoundLevels {
        seen_per_mille: u16::try_from(seen_per_mille.min(1000)).unwrap_or(1000),
        channels: meters.iter().map(Meter::level).collect(),
    })
}

/// The complete sound frames of a part, and their point of the waveform.
fn whole_frames<'a>(
    start: u64,
    bytes: &'a [u8],
    sound: &Range<u64>,
    frame_bytes: u64,
) -> Option<(&'a [u8], usize)> {
    let end = start.saturating_add(bytes.len() as u64).min(sound.end);
    let from = start.max(sound.start);
    let from = from + (frame_bytes - (from - sound.start) % frame_bytes) % frame_bytes;
    let frames = end.checked_sub(from)? / frame_bytes;
    let first = usize::try_from(from - start).ok()?;
    let length = usize::try_from(frames * frame_bytes).ok()?;
    let bytes = bytes.get(first..first.checked_add(length)?)?;
    let point =
        u128::from(from - sound.start) * u128::from(POINTS) / u128::from(sound.end - sound.start);
    let point = usize::try_from(point).ok()?;
    (!bytes.is_empty()).then_some((bytes, point))
}

/// Encoding of a sample.
#[derive(Debug, Clone, Copy)]
enum Sample {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
}

impl Sample {
    fn of(tag: u16, bits: u16) -> Option<Self> {
        match (tag, bits) {
            (PCM, 8) => Some(Self::Unsigned8),
            (PCM, 16) => Some(Self::Signed16),
            (PCM, 24) => Some(Self::Signed24),
            (PCM, 32) => Some(Self::Signed32),
            (FLOAT, 32) => Some(Self::Float32),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 => 1,
            Self::Signed16 => 2,
            Self::Signed24 => 3,
            Self::Signed32 | Self::Float32 => 4,
        }
    }

    /// The magnitude, of 32,768.
    fn magnitude(self, bytes: &[u8]) -> u16 {
        match (self, bytes) {
            (Self::Unsigned8, [byte, ..]) => u16::from(byte.abs_diff(128)) << 8,
            (Self::Signed16, [low, high, ..])
            | (Self::Signed24, [_, low, high, ..])
            | (Self::Signed32, [_, _, low, high, ..]) => {
                i16::from_le_bytes([*low, *high]).unsigned_abs()
            }
            (Self::Float32, [a, b, c, d, ..]) => {
                let value = f32::from_le_bytes([*a, *b, *c, *d]).abs();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a float that is no number or too large is cut to the range"
                )]
                let magnitude = (value.min(1.0) * 32_768.0) as u16;
                magnitude
            }
            _ => 0,
        }
    }
}

/// The magnitudes of one channel.
fn samples(
    bytes: &[u8],
    sample: Sample,
    channel: usize,
    channels: usize,
) -> impl Iterator<Item = u16> {
    let size = sample.bytes();
    bytes
        .chunks_exact(size * channels)
        .map(move |frame| sample.magnitude(&frame[channel * size..]))
}

/// Sums up one channel.
#[derive(Debug, Clone, Default)]
struct Meter {
    peak: u16,
    squares: u64,
    samples: u64,
    stretches: u64,
    silent_stretches: u64,
    /// Peaks over time, of 255.
    points: Vec<u8>,
}

impl Meter {
    fn add(&mut self, samples: impl Iterator<Item = u16>, point: usize) {
        let (mut peak, mut squares, mut count) = (0, 0_u64, 0_u64);
        for magnitude in samples {
            peak = magnitude.max(peak);
            squares += u64::from(magnitude) * u64::from(magnitude);
            count += 1;
        }
        if count == 0 {
            return;
        }
        self.peak = self.peak.max(peak);
        self.squares = self.squares.saturating_add(squares);
        self.samples += count;
        self.stretches += 1;
        self.silent_stretches += u64::from(squares / count < SILENCE * SILENCE);
        let loudness = u8::try_from(peak >> 7).unwrap_or(u8::MAX);
        if self.points.len() <= point {
            self.points.resize(point + 1, 0);
        }
        self.points[point] = self.points[point].max(loudness);
    }

    /// The points of the whole file, whatever of it was heard.
    fn all_points(&self) -> Vec<u8> {
        let mut points = self.points.clone();
        points.resize(
            points
                .len()
                .max(usize::try_from(POINTS).unwrap_or_default()),
            0,
        );
        points
    }

    fn level(&self) -> ChannelLevel {
        let mean = self.squares.checked_div(self.samples).unwrap_or_default();
        let silent = (self.silent_stretches * 1000).checked_div(self.stretches);
        ChannelLevel {
            peak: self.peak,
            rms: u16::try_from(mean.isqrt()).unwrap_or(u16::MAX),
            silent_per_mille: u16::try_from(silent.unwrap_or_default()).unwrap_or(1000),
            waveform: STANDARD.encode(self.all_points()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{chunk, fmt, wav_of};
    use super::*;
    use crate::media::PassingMedia;

    /// A wav of 16 bits; what each channel plays at each frame.
    fn wav(channels: u16, frames: usize, play: impl Fn(u16, usize) -> i16) -> Vec<u8> {
        let sound: Vec<u8> = (0..frames)
            .flat_map(|frame| (0..channels).map(move |channel| (frame, channel)))
            .flat_map(|(frame, channel)| play(channel, frame).to_le_bytes())
            .collect();
        wav_of("RIFF", &[fmt(channels), chunk("data", &sound)])
    }

    fn square(frame: usize, loudness: i16) -> i16 {
        if frame % 32 < 16 { loudness } else { -loudness }
    }

    fn pass(file: &[u8], blocks: &[Range<usize>]) -> PassingMedia {
        let mut passing = PassingMedia::default();
        for block in blocks {
            passing.pass(
                file.len() as u64,
                block.start as u64,
                &file[block.clone()].to_vec().into(),
            );
        }
        passing
    }

    fn heard(file: &[u8], blocks: &[Range<usize>]) -> Option<SoundLevels> {
        let passing = pass(file, blocks);
        let mut seen = Seen::new(file.len() as u64);
        seen.add(0, &file[..file.len().min(65_536)]);
        hear(&seen, passing.sound_parts())
    }

    #[rstest::rstest]
    #[case::small(16_000)]
    #[case::large(16_000 * 200)]
    fn each_channel_is_heard_for_itself(#[case] frames: usize) {
        let file = wav(3, frames, |channel, frame| match channel {
            0 => square(frame, 1000),
            1 => 0,
            _ if frame < frames / 2 => square(frame, 20_000),
            _ => 0,
        });
        let size = 1 << 20;
        let blocks: Vec<_> = (0..file.len())
            .step_by(size)
            .map(|at| at..(at + size).min(file.len()))
            .collect();
        let heard = heard(&file, &blocks).unwrap();
        assert_eq!(heard.seen_per_mille, 1000);
        let [steady, silent, half] = &heard.channels[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(
            (steady.peak, steady.rms, steady.silent_per_mille),
            (1000, 1000, 0)
        );
        assert!(silent.is_silent() && silent.peak == 0);
        assert!(
            half.peak == 20_000 && half.silent_per_mille.abs_diff(500) < 5,
            "{half:?}"
        );
        assert!(half.rms.abs_diff(14_142) < 100, "{half:?}");
        for channel in &heard.channels {
            assert!(channel.waveform.len() <= 2048, "{channel:?}");
        }
        let points = STANDARD.decode(&half.waveform).unwrap();
        assert!(points[10] > 100 && points[points.len() - 10] == 0);
    }

    #[test]
    fn the_points_of_a_waveform_are_those_of_the_whole_file() {
        let file = wav(1, 16_000 * 200, |_, frame| square(frame, 500));
        let first_quarter = 0..file.len() / 4;
        let heard = heard(&file, std::slice::from_ref(&first_quarter)).unwrap();
        let points = STANDARD.decode(&heard.channels[0].waveform).unwrap();
        assert_eq!(points.len() as u64, POINTS);
        assert!(points[124] > 0 && points[126..].iter().all(|point| *point == 0));
    }

    #[test]
    fn what_did_not_pass_by_is_said() {
        let file = wav(1, 16_000 * 200, |_, frame| square(frame, 500));
        let half = file.len() / 2;
        let second_half = half..file.len();
        let heard = heard(&file, std::slice::from_ref(&second_half)).unwrap();
        assert!(heard.seen_per_mille.abs_diff(500) < 5, "{heard:?}");
        assert_eq!(heard.channels[0].peak, 500);
    }

    #[rstest::rstest]
    #[case::unsigned_8(PCM, 8, &[0, 255, 128, 128], 32_768)]
    #[case::signed_24(PCM, 24, &[0, 0, 0x40, 0, 0, 0], 16_384)]
    #[case::signed_32(PCM, 32, &[0, 0, 0, 0x80], 32_768)]
    #[case::float(FLOAT, 32, &(-0.5_f32).to_le_bytes(), 16_384)]
    #[case::no_number(FLOAT, 32, &f32::NAN.to_le_bytes(), 32_768)]
    fn samples_of_all_plain_kinds_are_read(
        #[case] tag: u16,
        #[case] bits: u16,
        #[case] bytes: &[u8],
        #[case] peak: u16,
    ) {
        let sample = Sample::of(tag, bits).unwrap();
        assert_eq!(samples(bytes, sample, 0, 1).max(), Some(peak));
    }

    #[test]
    fn a_compressed_wav_is_not_heard() {
        let mut file = wav(1, 16_000, |_, _| 7);
        file[20] = 7;
        let whole = 0..file.len();
        assert_eq!(heard(&file, std::slice::from_ref(&whole)), None);
    }
}
