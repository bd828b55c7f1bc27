//! Reads the `moov` box: lengths, tracks, and where the last media of each is. It knows nothing of the boxes around it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::boxes::{BoxHeader, Boxes};
use super::codec::Description;
use super::media_ranges::MediaRanges;
use crate::media::found::{Flaw, Track, TrackKind, is_compressed};
use crate::media::seen::{READ_BYTES, Stop, TAIL_BYTES};
use crate::media::{duration, per_second};

/// Maximum number of tracks of a file.
pub(super) const MAX_TRACKS: usize = 256;
/// Maximum number of table entries that are summed.
const MAX_ENTRIES: u32 = 16_384;

/// Content of `moov`.
#[derive(Debug, Default)]
pub(super) struct Movie {
    has_header: bool,
    timescale: u32,
    /// In units of the timescale; 0 and all ones mean unknown.
    length: Option<u64>,
    pub(super) tracks: Vec<MovieTrack>,
    /// The media continues in fragments.
    pub(super) extends: Option<Extends>,
}

/// Content of `mvex`.
#[derive(Debug, Default)]
pub(super) struct Extends {
    /// The length with all fragments, in units of the movie's timescale.
    length: Option<u64>,
    /// By track; where a track has several, the first ones count.
    defaults: BTreeMap<u32, SampleDefaults>,
}

/// Defaults for the samples of a track.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SampleDefaults {
    pub(super) duration: u32,
    pub(super) size: u32,
}

/// A track.
#[derive(Debug)]
pub(super) struct MovieTrack {
    pub(super) id: u32,
    pub(super) kind: TrackKind,
    /// It says what it holds.
    has_kind: bool,
    /// One of its boxes is too short for its fields.
    is_broken: bool,
    codec: Option<String>,
    channels: Option<u16>,
    pub(super) timescale: u32,
    length: Option<u64>,
    /// When it ends, in units of the movie's timescale: its edits may begin with a wait.
    ends: Option<u64>,
    /// Where the last chunk that `moov` names begins.
    pub(super) last_chunk: Option<u64>,
    /// Duration of the media in `moov` itself, if it continues in fragments.
    pub(super) own_length: u64,
    /// Nothing names its codec.
    is_undescribed: bool,
    tables: Tables,
}

/// Boxes with the tables of a track.
#[derive(Debug, Default)]
struct Tables {
    times: Option<BoxHeader>,
    sizes: Option<BoxHeader>,
    /// Sizes of 4, 8 or 16 bits.
    compact_sizes: Option<BoxHeader>,
    chunks: Option<BoxHeader>,
    offsets: Option<Offsets>,
}

/// Table of chunk offsets, and the bytes of an entry.
#[derive(Debug)]
struct Offsets {
    table: BoxHeader,
    entry_bytes: u64,
}

impl Movie {
    pub(super) fn read(boxes: &mut Boxes<'_>, moov: &BoxHeader) -> Result<Self, Stop> {
        let size = moov.end - moov.start;
        let is_in_tail = boxes.seen.total_bytes() - moov.start <= TAIL_BYTES;
        if size > READ_BYTES && is_in_tail {
            boxes.seen.whole(moov.start..moov.end)?;
        }
        let mut movie = Self::default();
        for header in boxes.children(moov)? {
            let read = match &header.kind {
                b"mvhd" => movie.read_header(boxes, &header),
                b"trak" => movie.read_track(boxes, &header),
                b"mvex" => movie.read_extends(boxes, &header),
                _ => Ok(()),
            };
            unless_short(read)?;
        }
        movie.measure_tracks(boxes)?;
        Ok(movie)
    }

    /// Measures the media of tracks by their samples where `moov` may hold a part of it, or names no length.
    fn measure_tracks(&mut self, boxes: &Boxes<'_>) -> Result<(), Stop> {
        let (continues, has_length) = (self.extends.is_some(), self.length.is_some());
        let tracks = self.tracks.iter_mut();
        for track in tracks.filter(|track| track.last_chunk.is_some()) {
            if continues {
                let length = unless_short(track.length_by_times(boxes))?;
                track.own_length = length.unwrap_or_default();
            } else if !has_length && track.length.is_none() && track.is_media() {
                let is_whole = unless_short(track.has_all_times(boxes))?;
                let length = unless_short(track.length_by_times(boxes))?;
                track.length = length.filter(|length| *length > 0 && is_whole == Some(true));
            }
        }
        Ok(())
    }

    fn read_header(&mut self, boxes: &Boxes<'_>, mvhd: &BoxHeader) -> Result<(), Stop> {
        (self.timescale, self.length) = timing(boxes, mvhd)?;
        self.has_header = true;
        Ok(())
    }

    fn read_track(&mut self, boxes: &mut Boxes<'_>, header: &BoxHeader) -> Result<(), Stop> {
        if self.tracks.len() == MAX_TRACKS {
            return Err(Stop::TooMany);
        }
        let mut track = MovieTrack {
            id: 0,
            kind: TrackKind::Other,
            has_kind: false,
            is_broken: false,
            codec: None,
            channels: None,
            timescale: 0,
            length: None,
            ends: None,
            last_chunk: None,
            own_length: 0,
            is_undescribed: true,
            tables: Tables::default(),
        };
        let read = unless_short(track.read(boxes, header));
        track.is_broken = matches!(read, Ok(None));
        self.tracks.push(track);
        read.map(drop)
    }

    fn read_extends(&mut self, boxes: &mut Boxes<'_>, mvex: &BoxHeader) -> Result<(), Stop> {
        let mut extends = Extends::default();
        let children = boxes.children(mvex);
        self.extends = Some(Extends::default());
        for header in children? {
            match &header.kind {
                b"mehd" => {
                    let version = boxes.version(&header)?;
                    extends.length = length(boxes, &header, version, 4)?;
                }
                b"trex" => {
                    let defaults = SampleDefaults {
                        duration: boxes.u32(&header, 12)?,
                        size: boxes.u32(&header, 16)?,
                    };
                    let track = boxes.u32(&header, 4)?;
                    extends.defaults.entry(track).or_insert(defaults);
                }
                _ => {}
            }
        }
        self.extends = Some(extends);
        Ok(())
    }

    /// Whether it has nothing to play.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_header || self.tracks.is_empty()
    }

    /// Whether a track does not say what it holds, or holds media and has a box that is too short for its fields.
    pub(super) fn has_unreadable_track(&self) -> bool {
        let mut tracks = self.tracks.iter();
        tracks.any(|track| !track.has_kind || (track.is_broken && track.is_media()))
    }

    pub(super) fn length(&self) -> Option<Duration> {
        duration(self.length?, u64::from(self.timescale))
    }

    /// Duration of a fragmented movie, by its header.
    pub(super) fn promised(&self) -> Option<Duration> {
        let length = self.extends.as_ref()?.length?;
        duration(length, u64::from(self.timescale))
    }

    /// The tracks whose samples never begin with many zero bytes.
    pub(super) fn compressed_tracks(&self) -> BTreeSet<u32> {
        let compressed = self.tracks.iter().filter(|track| track.is_compressed());
        compressed.map(|track| track.id).collect()
    }

    pub(super) fn defaults(&self, track: u32) -> SampleDefaults {
        let extends = self.extends.as_ref();
        let defaults = extends.and_then(|extends| extends.defaults.get(&track));
        defaults.copied().unwrap_or_default()
    }
}

impl MovieTrack {
    fn read(&mut self, boxes: &mut Boxes<'_>, trak: &BoxHeader) -> Result<(), Stop> {
        let children = boxes.children(trak)?;
        if let Some(tkhd) = children.iter().find(|child| &child.kind == b"tkhd") {
            let is_long = boxes.version(tkhd)? == 1;
            self.id = boxes.u32(tkhd, if is_long { 20 } else { 12 })?;
            let length_at = if is_long { 28 } else { 20 };
            let ends = length(boxes, tkhd, u8::from(is_long), length_at);
            self.ends = unless_short(ends)?.flatten();
        }
        let Some(container) = children.iter().find(|child| &child.kind == b"mdia") else {
            return Ok(());
        };
        let boxes_of_media = boxes.children(container)?;
        let find = |kind: [u8; 4]| boxes_of_media.iter().find(|child| child.kind == kind);
        if let Some(hdlr) = find(*b"hdlr") {
            // Version and flags, a reserved word, then what the track holds.
            self.kind = match &boxes.field::<4>(hdlr, 8)? {
                b"vide" => TrackKind::Picture,
                b"soun" => TrackKind::Sound,
                _ => TrackKind::Other,
            };
            self.has_kind = true;
        }
        if let Some(mdhd) = find(*b"mdhd") {
            (self.timescale, self.length) = timing(boxes, mdhd)?;
        }
        if let Some(minf) = find(*b"minf")
            && let Some(stbl) = boxes.child(minf, *b"stbl")?
        {
            self.read_tables(boxes, &stbl)?;
        }
        Ok(())
    }

    fn read_tables(&mut self, boxes: &mut Boxes<'_>, stbl: &BoxHeader) -> Result<(), Stop> {
        for table in boxes.children(stbl)? {
            match &table.kind {
                b"stsd" => {
                    let described = Description::read(boxes, &table, self.kind);
                    self.is_undescribed = false;
                    if let Some(described) = unless_short(described)? {
                        self.is_undescribed = described.codec.is_none();
                        (self.codec, self.channels) = (described.codec, described.channels);
                    }
                }
                b"stco" | b"co64" => {
                    let entry_bytes = if &table.kind == b"co64" { 8 } else { 4 };
                    let offsets = Offsets { table, entry_bytes };
                    self.last_chunk = offsets.last(boxes)?;
                    self.tables.offsets = Some(offsets);
                }
                b"stts" => self.tables.times = Some(table),
                b"stsz" => self.tables.sizes = Some(table),
                b"stz2" => self.tables.compact_sizes = Some(table),
                b"stsc" => self.tables.chunks = Some(table),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether its media is required: text and time codes do not matter.
    pub(super) fn is_media(&self) -> bool {
        matches!(self.kind, TrackKind::Picture | TrackKind::Sound)
    }

    /// Whether its samples never begin with many zero bytes.
    fn is_compressed(&self) -> bool {
        self.codec.as_deref().is_some_and(is_compressed)
    }

    /// Whether it declares a duration.
    pub(super) fn plays(&self) -> bool {
        self.length.is_some()
    }

    pub(super) fn tell(&self, movie: &Movie) -> Track {
        let in_units = |length: Option<u64>, timescale: u32| duration(length?, timescale.into());
        let lasts = in_units(self.length, self.timescale);
        let ends = lasts.max(in_units(self.ends, movie.timescale));
        // All its media would be in chunks, and it has none.
        let plays_nothing = movie.extends.is_none() && self.last_chunk.is_none();
        let or_nothing = |time: Option<Duration>| time.or(plays_nothing.then_some(Duration::ZERO));
        Track {
            kind: self.kind,
            codec: self.codec.clone(),
            duration: or_nothing(lasts),
            ends: or_nothing(ends),
            channels: self.channels,
            bytes_per_second: None,
        }
    }

    /// Whether it names a codec, and its tables have samples if it has media outside fragments.
    pub(super) fn is_playable(&self, boxes: &Boxes<'_>) -> Result<bool, Stop> {
        if self.is_undescribed || self.last_chunk.is_none() {
            return Ok(!self.is_undescribed);
        }
        let sizes = self.tables.sizes.as_ref();
        let tables = [
            (sizes.or(self.tables.compact_sizes.as_ref()), 8),
            (self.tables.times.as_ref(), 4),
            (self.tables.chunks.as_ref(), 4),
        ];
        for (table, count_at) in tables {
            let Some(table) = table else {
                return Ok(false);
            };
            if unless_short(boxes.u32(table, count_at))?.is_none_or(|count| count == 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The flaw of the first chunk outside of all media, or in a long run of zeros, among the first ones.
    pub(super) fn misplaced_chunk(
        &self,
        boxes: &Boxes<'_>,
        media: &MediaRanges,
    ) -> Result<Option<Flaw>, Stop> {
        let Some(offsets) = &self.tables.offsets else {
            return Ok(None);
        };
        for number in 0..boxes.u32(&offsets.table, 4)?.min(MAX_ENTRIES) {
            let at_byte = offsets.at(boxes, number)?;
            if !media.contains(at_byte) {
                return Ok(Some(Flaw::MediaMissing { at_byte }));
            }
            if self.is_compressed() && boxes.seen.has_zeros_at(at_byte) {
                return Ok(Some(Flaw::Hole { at_byte }));
            }
        }
        Ok(None)
    }

    /// Bytes of its media in a second, by the sizes of its first samples.
    pub(super) fn bytes_per_second(&self, boxes: &Boxes<'_>) -> Result<Option<u64>, Stop> {
        let (Some(sizes), Some(length)) = (&self.tables.sizes, self.length) else {
            return Ok(None);
        };
        let bytes = unless_short(media_bytes(boxes, sizes))?;
        Ok(bytes.and_then(|bytes| per_second(bytes, length, self.timescale)))
    }

    /// Where the last chunk ends, by the sizes of its samples; `None` if that is unknown.
    pub(super) fn last_chunk_end(&self, boxes: &Boxes<'_>) -> Result<Option<u64>, Stop> {
        let (Some(offset), Some(sizes), Some(chunks)) =
            (self.last_chunk, &self.tables.sizes, &self.tables.chunks)
        else {
            return Ok(None);
        };
        let size = unless_short(last_chunk_size(boxes, sizes, chunks))?.flatten();
        Ok(size.and_then(|size| offset.checked_add(size)))
    }

    /// Whether the table of sample durations is read to its end, and is as long as it declares.
    fn has_all_times(&self, boxes: &Boxes<'_>) -> Result<bool, Stop> {
        let Some(times) = &self.tables.times else {
            return Ok(false);
        };
        let entries = boxes.u32(times, 4)?;
        let Some(last) = entries.checked_sub(1).filter(|_| entries <= MAX_ENTRIES) else {
            return Ok(false);
        };
        let last = unless_short(boxes.field::<8>(times, 8 + u64::from(last) * 8))?;
        Ok(last.is_some())
    }

    /// Sum of the durations of its samples, in units of its timescale.
    fn length_by_times(&self, boxes: &Boxes<'_>) -> Result<u64, Stop> {
        let Some(times) = &self.tables.times else {
            return Ok(0);
        };
        let (mut at, mut sum) = (8_u64, 0_u64);
        for _ in 0..boxes.u32(times, 4)?.min(MAX_ENTRIES) {
            let Some(entry) = unless_short(boxes.field::<8>(times, at))? else {
                break;
            };
            let [c0, c1, c2, c3, duration @ ..] = entry;
            let count = u64::from(u32::from_be_bytes([c0, c1, c2, c3]));
            sum = sum.saturating_add(count * u64::from(u32::from_be_bytes(duration)));
            at += 8;
        }
        Ok(sum)
    }
}

/// Treats a box that is too short for its fields as missing.
pub(super) fn unless_short<T>(read: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Stop::PastEnd) => Ok(None),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => Err(stop),
    }
}

impl Offsets {
    /// The last chunk; `None` if there is no chunk.
    fn last(&self, boxes: &Boxes<'_>) -> Result<Option<u64>, Stop> {
        let last = boxes.u32(&self.table, 4)?.checked_sub(1);
        last.map(|last| self.at(boxes, last)).transpose()
    }

    /// The chunk of this number. A table that is shorter than it declares gets an impossible offset.
    fn at(&self, boxes: &Boxes<'_>, number: u32) -> Result<u64, Stop> {
        let at = 8 + u64::from(number) * self.entry_bytes;
        let offset = if self.entry_bytes == 8 {
            boxes.u64(&self.table, at)
        } else {
            boxes.u32(&self.table, at).map(u64::from)
        };
        Ok(unless_short(offset)?.unwrap_or(u64::MAX))
    }
}

fn last_chunk_size(
    boxes: &Boxes<'_>,
    sizes: &BoxHeader,
    chunks: &BoxHeader,
) -> Result<Option<u64>, Stop> {
    let (same_size, samples) = (boxes.u32(sizes, 4)?, boxes.u32(sizes, 8)?);
    let Some(last) = boxes.u32(chunks, 4)?.checked_sub(1) else {
        return Ok(None);
    };
    let in_chunk = boxes
        .u32(chunks, 8 + u64::from(last) * 12 + 4)?
        .min(samples);
    if same_size > 0 {
        return Ok(Some(u64::from(same_size) * u64::from(in_chunk)));
    }
    if in_chunk > MAX_ENTRIES {
        return Ok(None);
    }
    let mut size = 0_u64;
    for sample in samples - in_chunk..samples {
        size = size.saturating_add(u64::from(boxes.u32(sizes, 12 + u64::from(sample) * 4)?));
    }
    Ok(Some(size))
}

/// Bytes of all samples of an `stsz`; those of a long one are estimated by the first of them.
fn media_bytes(boxes: &Boxes<'_>, sizes: &BoxHeader) -> Result<u64, Stop> {
    let (same_size, samples) = (boxes.u32(sizes, 4)?, u64::from(boxes.u32(sizes, 8)?));
    if same_size > 0 {
        return Ok(u64::from(same_size).saturating_mul(samples));
    }
    let summed = samples.min(MAX_ENTRIES.into());
    let mut bytes = 0_u64;
    for sample in 0..summed {
        bytes = bytes.saturating_add(boxes.u32(sizes, 12 + sample * 4)?.into());
    }
    let all = u128::from(bytes) * u128::from(samples) / u128::from(summed.max(1));
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}

/// Timescale and length of an `mvhd` or `mdhd`, which begin alike: version and flags, two times, these two.
fn timing(boxes: &Boxes<'_>, header: &BoxHeader) -> Result<(u32, Option<u64>), Stop> {
    let version = boxes.version(header)?;
    let timescale_at = if version == 1 { 20 } else { 12 };
    let timescale = boxes.u32(header, timescale_at)?;
    Ok((timescale, length(boxes, header, version, timescale_at + 4)?))
}

/// A length of 64 bits in version 1, else of 32; 0 and all ones mean that it is not known.
fn length(
    boxes: &Boxes<'_>,
    header: &BoxHeader,
    version: u8,
    at: u64,
) -> Result<Option<u64>, Stop> {
    let (length, unknown) = if version == 1 {
        (boxes.u64(header, at)?, u64::MAX)
    } else {
        (u64::from(boxes.u32(header, at)?), u64::from(u32::MAX))
    };
    Ok((length != 0 && length != unknown).then_some(length))
}
