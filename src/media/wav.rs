//! WAV: the chunks of a RIFF file (<http://soundfile.sapp.org/doc/WaveFormat/>), and of its 64-bit form RF64, also
//! called BW64 (EBU Tech 3306, ITU-R BS.2088). It decodes nothing.

use std::ops::Range;
use std::time::Duration;

use crate::media::found::{Container, Flaw, Length, ProbedMedia, Track, TrackKind};
use crate::media::seen::{Seen, Stop};
use crate::media::surplus::surplus;
use crate::media::{Looked, MAX_PARTS, duration};

/// `RIFF`, a size and `WAVE`.
const RIFF_HEADER_BYTES: u64 = 12;
/// The id and size of a chunk.
const CHUNK_HEADER_BYTES: u64 = 8;
/// Placeholder for a size that is in `ds64`.
const SIZE_ELSEWHERE: u32 = u32::MAX;
/// Sizes from this value on that lead beyond the file were never filled in: `GStreamer` writes this and more, sox
/// `0x7FFF_F000`, ffmpeg `0xFFFF_FFFF`.
const PLACEHOLDER: u64 = 0x7fff_0000;
/// The same limit for a size of 64 bits.
const LONG_PLACEHOLDER: u64 = 0x7fff_0000_0000_0000;
/// The tag of a format that names its codec at another offset.
const EXTENSIBLE: u16 = 0xfffe;
/// That offset in a `fmt ` chunk.
const SUBFORMAT_AT: u64 = 24;

/// The part of `fmt ` that counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) hertz: u32,
    bytes_per_second: u32,
    pub(super) frame_bytes: u16,
    pub(super) bits: u16,
}

impl Format {
    fn is_playable(self) -> bool {
        self.channels > 0 && self.hertz > 0 && self.frame_bytes > 0
    }

    /// Whether a block holds more than one sample of each channel: all but PCM, float, A-law and µ-law.
    fn is_compressed(self) -> bool {
        !matches!(self.tag, 1 | 3 | 6 | 7)
    }

    /// Bytes per second: from the header for a compressed format; else computed, because the header is often wrong.
    fn bytes_per_second(self) -> u64 {
        let by_frames = u64::from(self.hertz) * u64::from(self.frame_bytes);
        if self.is_compressed() && self.bytes_per_second > 0 {
            u64::from(self.bytes_per_second)
        } else {
            by_frames
        }
    }

    fn codec(self) -> String {
        match self.tag {
            1 => "pcm".to_owned(),
            3 => "float".to_owned(),
            6 => "alaw".to_owned(),
            7 => "mulaw".to_owned(),
            tag => format!("0x{tag:04x}"),
        }
    }
}

/// Content of the chunks.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) format: Option<Format>,
    /// Range of the sound.
    pub(super) sound: Option<Range<u64>>,
    /// Samples of each channel by `fact`: compressed formats have it, and it is right where their byte rate is not.
    samples: Option<u32>,
    /// The size of the sound was never filled in.
    is_open: bool,
    flaw: Option<Flaw>,
}

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    let head = seen.head(12);
    let is_wave =
        matches!(head.first_chunk(), Some(b"RIFF" | b"RF64" | b"BW64")) && head.ends_with(b"WAVE");
    is_wave.then(|| {
        let mut layout = Layout::default();
        let end = walk(seen, &mut layout);
        (layout.tell(end.is_ok()), end)
    })
}

/// Finds format and sound of a wav from its beginning; `None` if it lacks them.
pub(super) fn layout_of(seen: &Seen) -> Option<(Format, Range<u64>)> {
    let head = seen.head(12);
    if !matches!(head.first_chunk(), Some(b"RIFF" | b"RF64" | b"BW64")) {
        return None;
    }
    let mut layout = Layout::default();
    // What follows the sound does not matter here.
    let _ = walk(seen, &mut layout);
    Some((
        layout.format.filter(|format| format.is_playable())?,
        layout.sound?,
    ))
}

impl Layout {
    fn plays(&self, format: Format) -> Option<Duration> {
        let sound = self.sound.as_ref()?;
        match self.samples {
            Some(samples) if format.is_compressed() && !self.is_open => {
                duration(u64::from(samples), u64::from(format.hertz))
            }
            Some(_) | None => duration(sound.end - sound.start, format.bytes_per_second()),
        }
    }

    fn tell(self, is_complete: bool) -> ProbedMedia {
        let mut found = ProbedMedia::of(Container::Wav);
        match self.format {
            Some(format) if format.is_playable() => {
                let plays = self.plays(format);
                found.length = plays.map_or(Length::Unknown, Length::Exact);
                found.tracks.push(Track {
                    kind: TrackKind::Sound,
                    codec: Some(format.codec()),
                    duration: plays,
                    ends: plays,
                    channels: Some(format.channels),
                    bytes_per_second: None,
                });
            }
            Some(_) => found.add_flaw(Flaw::NoPlayableFormat),
            None if is_complete => found.add_flaw(Flaw::NoPlayableFormat),
            None => {}
        }
        found.flaw = self.flaw.or(found.flaw);
        found
    }
}

/// A chunk; it may end beyond the file.
struct Chunk {
    id: [u8; 4],
    size: u32,
    body: u64,
}

impl Chunk {
    fn read(seen: &Seen, at: u64) -> Result<Self, Stop> {
        let body = at.checked_add(CHUNK_HEADER_BYTES).ok_or(Stop::PastEnd)?;
        let [a, b, c, d, size @ ..] = seen.at::<8>(at)?;
        Ok(Self {
            id: [a, b, c, d],
            size: u32::from_le_bytes(size),
            body,
        })
    }

    fn end(&self) -> u64 {
        self.body.saturating_add(u64::from(self.size))
    }

    fn has_known_id(id: [u8; 4]) -> bool {
        matches!(
            &id,
            b"fmt " | b"data" | b"LIST" | b"fact" | b"JUNK" | b"bext" | b"PEAK" | b"cue " | b"ds64"
        )
    }

    fn has_id(id: [u8; 4]) -> bool {
        id.iter().all(|byte| (0x20..0x7f).contains(byte))
    }
}

fn walk(seen: &Seen, layout: &mut Layout) -> Result<(), Stop> {
    let total = seen.total_bytes();
    let (mut at, mut long_size) = (RIFF_HEADER_BYTES, None);
    for _ in 0..MAX_PARTS {
        let chunk = match Chunk::read(seen, at) {
            Ok(chunk) => chunk,
            Err(Stop::PastEnd) => {
                if layout.sound.is_none() {
                    layout.flaw = Some(Flaw::NoDataChunk);
                }
                return Ok(());
            }
            Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
        };
        let mut end = chunk.end();
        match &chunk.id {
            b"RIFF" | b"RF64" | b"BW64" => {
                layout.flaw.get_or_insert(Flaw::SecondFile { at_byte: at });
                return Ok(());
            }
            b"data" if layout.sound.is_none() => {
                end = layout.take_sound(total, &chunk, long_size);
            }
            // All sound is there, and what follows it is no chunk, or a chunk that was cut off.
            _ if layout.sound.is_some() && (!Chunk::has_id(chunk.id) || end > total) => {
                if layout.flaw.is_none() && !Chunk::has_known_id(chunk.id) {
                    layout.flaw = surplus(seen, at)?;
                }
                return Ok(());
            }
            _ if end > total => {
                layout.flaw = Some(Flaw::ShorterThanItsHeaders {
                    declared_bytes: end,
                });
                return Ok(());
            }
            b"fmt " => layout.format = Some(read_format(seen, &chunk)?),
            b"fact" if chunk.size >= 4 => {
                let samples = u32::from_le_bytes(seen.at(chunk.body)?);
                layout.samples = Some(samples).filter(|samples| ![0, u32::MAX].contains(samples));
            }
            // The size of the whole file, then that of `data`.
            b"ds64" => long_size = Some(u64::from_le_bytes(seen.at(chunk.body.saturating_add(8))?)),
            _ => {}
        }
        at = behind(seen, end)?;
    }
    Err(Stop::TooMany)
}

/// Where the chunk after one that ends at `end` begins. Chunks begin at even offsets, but not every writer complies.
fn behind(seen: &Seen, end: u64) -> Result<u64, Stop> {
    let padded = end.saturating_add(end % 2);
    if padded == end {
        return Ok(end);
    }
    let id = |at: u64| match seen.at::<4>(at) {
        Ok(id) => Ok(id),
        Err(Stop::PastEnd) => Ok([0; 4]),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => Err(stop),
    };
    let (here, there) = (id(end)?, id(padded)?);
    let is_here = Chunk::has_known_id(here)
        || &here == b"RIFF"
        || (Chunk::has_id(here) && !Chunk::has_id(there));
    Ok(if is_here { end } else { padded })
}

fn read_format(seen: &Seen, chunk: &Chunk) -> Result<Format, Stop> {
    let short = |at: u64| -> Result<u16, Stop> {
        Ok(u16::from_le_bytes(seen.at(chunk.body.saturating_add(at))?))
    };
    let long = |at: u64| -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(seen.at(chunk.body.saturating_add(at))?))
    };
    let (tag, has_bits) = (short(0)?, chunk.size >= 16);
    let names_codec_later = tag == EXTENSIBLE && u64::from(chunk.size) >= SUBFORMAT_AT + 2;
    Ok(Format {
        tag: if names_codec_later {
            short(SUBFORMAT_AT)?
        } else {
            tag
        },
        channels: short(2)?,
        hertz: long(4)?,
        bytes_per_second: long(8)?,
        frame_bytes: short(12)?,
        bits: if has_bits { short(14)? } else { 0 },
    })
}

impl Layout {
    /// Decides how much sound there is. Returns where it ends.
    fn take_sound(&mut self, total: u64, chunk: &Chunk, long_size: Option<u64>) -> u64 {
        let there = total.saturating_sub(chunk.body);
        let (declared, placeholder) = match (chunk.size, long_size) {
            (SIZE_ELSEWHERE, Some(long)) => (long, LONG_PLACEHOLDER),
            (size, None | Some(_)) => (u64::from(size), PLACEHOLDER),
        };
        let is_open = declared == 0 || (declared > there && declared >= placeholder);
        self.is_open = is_open;
        let size = if is_open { there } else { declared };
        if size > there {
            self.flaw = Some(Flaw::ShorterThanItsHeaders {
                declared_bytes: chunk.body.saturating_add(declared),
            });
        }
        let end = chunk.body.saturating_add(size.min(there));
        self.sound = Some(chunk.body..end);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{chunk, fmt, plain, probe, reads, wav, wav_of};
    use super::*;

    #[test]
    fn a_wav_plays_as_long_as_its_bytes_last() {
        let probed = probe(&wav(2, 3000));
        assert_eq!(
            (probed.container, probed.channels(), probed.flaw.clone()),
            (Container::Wav, Some(2), None)
        );
        assert_eq!(probed.duration(), Some(Duration::from_secs(3)));
        assert_eq!(probed.tracks[0].codec.as_deref(), Some("pcm"));
    }

    #[rstest::rstest]
    #[case::padded(vec![chunk("LIST", &vec![7; 100_001]), fmt(1), chunk("fact", &[1, 2, 3]), chunk("data", &vec![0; 32_000])])]
    #[case::not_padded(vec![chunk("LIST", &[7; 101])[..109].to_vec(), fmt(1), chunk("data", &vec![0; 32_000])])]
    #[case::format_behind_the_sound(vec![chunk("data", &vec![0; 32_000]), fmt(1)])]
    #[case::zeros_behind_the_sound(vec![fmt(1), chunk("data", &vec![0; 32_000]), vec![0; 5000]])]
    #[case::a_list_behind_the_sound(vec![fmt(1), chunk("data", &vec![0; 32_000]), chunk("LIST", &[1; 77])])]
    #[case::a_list_that_is_cut(vec![fmt(1), chunk("data", &vec![0; 32_000]), chunk("LIST", &[1; 77])[..40].to_vec()])]
    fn other_chunks_are_stepped_over_wherever_they_end(#[case] chunks: Vec<Vec<u8>>) {
        let probed = probe(&wav_of("RIFF", &chunks));
        assert_eq!(
            (probed.duration(), probed.flaw),
            (Some(Duration::from_secs(1)), None)
        );
    }

    #[rstest::rstest]
    #[case::never_filled_in(0, 1000, None)]
    #[case::gstreamer(0x7fff_0024, 1000, None)]
    #[case::sox(0x7fff_f000, 1000, None)]
    #[case::ffmpeg(u32::MAX, 1000, None)]
    #[case::close_to_it(0xffff_ffbf, 1000, None)]
    #[case::cut_off(64_000, 1000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 64_044 }))]
    #[case::cut_off_far(0x7ffe_ffff, 1000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 0x7ffe_ffff + 44 }))]
    #[case::followed_by_zeros(16_000, 500, None)]
    fn the_bytes_that_are_there_count(
        #[case] declared: u32,
        #[case] plays_ms: u64,
        #[case] flaw: Option<Flaw>,
    ) {
        let mut file = wav(1, 1000);
        file[40..44].copy_from_slice(&declared.to_le_bytes());
        let probed = probe(&file);
        assert_eq!(probed.duration(), Some(Duration::from_millis(plays_ms)));
        assert_eq!(probed.flaw, flaw);
    }

    #[rstest::rstest]
    #[case("RF64", 32_000, None)]
    #[case("RF64", 0, None)]
    #[case("RF64", u64::MAX, None)]
    #[case("BW64", 64_000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 12 + 36 + 24 + 8 + 64_000 }))]
    fn a_64_bit_size_stands_in_its_own_chunk(
        #[case] riff: &str,
        #[case] declared: u64,
        #[case] flaw: Option<Flaw>,
    ) {
        let mut sizes = vec![0; 28];
        sizes[8..16].copy_from_slice(&declared.to_le_bytes());
        let mut sound = chunk("data", &vec![0; 32_000]);
        sound[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let probed = probe(&wav_of(riff, &[chunk("ds64", &sizes), fmt(1), sound]));
        assert_eq!(
            (probed.duration(), probed.flaw),
            (Some(Duration::from_secs(1)), flaw)
        );
    }

    #[test]
    fn a_wav_that_ends_before_its_sound_is_not_complete() {
        assert_eq!(probe(&wav(1, 1000)[..36]).flaw, Some(Flaw::NoDataChunk));
        let cut_in_a_chunk = Some(Flaw::ShorterThanItsHeaders { declared_bytes: 36 });
        assert_eq!(probe(&wav(1, 1000)[..30]).flaw, cut_in_a_chunk);
    }

    #[test]
    fn a_second_wav_behind_the_first_is_found() {
        let twice = wav(1, 1000).repeat(2);
        assert_eq!(
            probe(&twice).flaw,
            Some(Flaw::SecondFile { at_byte: 32_044 })
        );
    }

    #[rstest::rstest]
    #[case::no_channel(22)]
    #[case::no_rate(24)]
    #[case::no_block(32)]
    fn a_format_that_cannot_be_played_is_a_flaw(#[case] at: usize) {
        let mut file = wav(1, 1000);
        file[at..at + 2].fill(0);
        assert_eq!(probe(&file).flaw, Some(Flaw::NoPlayableFormat));
    }

    #[test]
    fn the_byte_rate_counts_for_compressed_formats_only() {
        let mut file = wav(1, 1000);
        file[28..32].copy_from_slice(&8000_u32.to_le_bytes());
        assert_eq!(probe(&file).duration(), Some(Duration::from_secs(1)));
        file[20] = 0x31;
        assert_eq!(probe(&file).duration(), Some(Duration::from_secs(4)));
    }

    /// ADPCM whose byte rate is twice what it should be, as ffmpeg writes it.
    fn adpcm(fact: u32, size: Option<u32>) -> Vec<u8> {
        let mut file = wav_of(
            "RIFF",
            &[
                fmt(1),
                chunk("fact", &fact.to_le_bytes()),
                chunk("data", &vec![7; 32_000]),
            ],
        );
        file[20] = 2;
        if let Some(size) = size {
            file[52..56].copy_from_slice(&size.to_le_bytes());
        }
        file
    }

    #[rstest::rstest]
    #[case::counted(32_000, None, 2)]
    #[case::not_counted(0, None, 1)]
    #[case::a_count_of_all_ones(u32::MAX, None, 1)]
    #[case::of_a_sound_without_a_size(320_000, Some(0), 1)]
    fn the_samples_of_a_compressed_format_are_counted(
        #[case] fact: u32,
        #[case] size: Option<u32>,
        #[case] plays_seconds: u64,
    ) {
        let plays = probe(&adpcm(fact, size)).duration();
        assert_eq!(plays, Some(Duration::from_secs(plays_seconds)));
    }

    #[rstest::rstest]
    #[case::a_chunk_of_another_writer(chunk("xtra", &[7; 5000]), false)]
    #[case::a_known_chunk_that_is_cut(chunk("LIST", &[7; 5000])[..4000].to_vec(), false)]
    #[case::padding(vec![0; 5000], false)]
    #[case::a_block_that_is_there_twice((0..5000_u16).flat_map(u16::to_be_bytes).collect(), true)]
    #[case::bytes_that_look_like_a_chunk([b"what\xff\xff\xff\x7f".to_vec(), vec![7; 5000]].concat(), true)]
    #[case::an_mp4(plain(1000).repeat(20), true)]
    fn bytes_behind_the_sound_are_a_flaw_if_they_are_nothing_known(
        #[case] behind: Vec<u8>,
        #[case] is_flaw: bool,
    ) {
        let flaw = probe(&[wav(1, 1000), behind].concat()).flaw;
        let expected = is_flaw.then_some(Flaw::Surplus { at_byte: 32_044 });
        assert_eq!(flaw, expected);
    }

    #[test]
    fn an_ordinary_wav_takes_one_read() {
        assert_eq!(reads(&wav(2, 60_000)), 1);
    }
}
