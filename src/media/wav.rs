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
/// The fields of `fmt ` that every format has.
const FORMAT_BYTES: u64 = 14;
/// The tag of a format that names its codec at another offset.
const EXTENSIBLE: u16 = 0xfffe;
/// That offset in a `fmt ` chunk.
const SUBFORMAT_AT: u64 = 24;

/// Microsoft ADPCM, IMA ADPCM and GSM 6.10: their byte rate is often wrong, so their blocks are counted.
const BLOCK_CODECS: [u16; 3] = [0x02, 0x11, 0x31];
/// The samples of a block in their `fmt ` chunk.
const SAMPLES_OF_BLOCK_AT: u64 = 18;
/// Empty chunks without a name that may come before the sound: padding.
const MAX_EMPTY_CHUNKS: u32 = 8192;

/// The part of `fmt ` that counts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) tag: u16,
    pub(super) channels: u16,
    pub(super) hertz: u32,
    bytes_per_second: u32,
    pub(super) frame_bytes: u16,
    pub(super) bits: u16,
    /// Samples of each channel in a block of ADPCM or GSM.
    samples_of_block: Option<u16>,
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

    /// How long these bytes play.
    fn plays(self, bytes: u64) -> Option<Duration> {
        match self.samples_of_block {
            Some(samples) => {
                let blocks = bytes / u64::from(self.frame_bytes);
                duration(blocks.saturating_mul(samples.into()), u64::from(self.hertz))
            }
            None => duration(bytes, self.bytes_per_second()),
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
            Some(_) | None => format.plays(sound.end - sound.start),
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
    let (mut at, mut long_size, mut empty_chunks) = (RIFF_HEADER_BYTES, None, 0);
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
            b"\0\0\0\0" if chunk.size == 0 => {
                empty_chunks += 1;
                if empty_chunks > MAX_EMPTY_CHUNKS {
                    // Zeros where chunks should be.
                    layout.flaw = Some(Flaw::NoDataChunk);
                    return Ok(());
                }
            }
            b"fmt " if u64::from(chunk.size) >= FORMAT_BYTES => {
                layout.format = Some(read_format(seen, &chunk)?);
            }
            b"fact" if chunk.size >= 4 => {
                let samples = u32::from_le_bytes(seen.at(chunk.body)?);
                layout.samples = Some(samples).filter(|samples| ![0, u32::MAX].contains(samples));
            }
            // The size of the whole file, then that of `data`.
            b"ds64" if chunk.size >= 16 => {
                long_size = Some(u64::from_le_bytes(seen.at(chunk.body.saturating_add(8))?));
            }
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
    let frame_bytes = short(12)?;
    let mut samples_of_block = None;
    if BLOCK_CODECS.contains(&tag) && u64::from(chunk.size) >= SAMPLES_OF_BLOCK_AT + 2 {
        let samples = short(SAMPLES_OF_BLOCK_AT)?;
        // No codec spends less than a bit on a sample.
        let is_possible = samples > 0 && u32::from(samples) <= 8 * u32::from(frame_bytes);
        samples_of_block = is_possible.then_some(samples);
    }
    Ok(Format {
        tag: if names_codec_later {
            short(SUBFORMAT_AT)?
        } else {
            tag
        },
        channels: short(2)?,
        hertz: long(4)?,
        bytes_per_second: long(8)?,
        frame_bytes,
        bits: if has_bits { short(14)? } else { 0 },
        samples_of_block,
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
mod tests;
