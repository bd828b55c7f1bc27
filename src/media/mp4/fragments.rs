//! Reads `moof` boxes: how long the samples of each fragment last, and where their media ends. It knows nothing of the
//! boxes around them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::boxes::{BoxHeader, Boxes};
use super::movie::{Movie, MovieTrack, SampleDefaults, unless_short};
use crate::media::found::TrackKind;
use crate::media::seen::Stop;
use crate::media::{duration, per_second, plausibility};

/// Largest fragment header that is parsed.
const MAX_BYTES: u64 = 1024 * 1024;
/// Flags of `tfhd`.
const BASE_IS_MOOF: u32 = 0x02_0000;
const HAS_BASE: u32 = 0x1;
const HAS_DESCRIPTION: u32 = 0x2;
const HAS_DURATION: u32 = 0x8;
const HAS_SIZE: u32 = 0x10;
/// Flags of `trun`.
const HAS_OFFSET: u32 = 0x1;
const HAS_FIRST_FLAGS: u32 = 0x4;
const HAS_SAMPLE_DURATIONS: u32 = 0x100;
const HAS_SAMPLE_SIZES: u32 = 0x200;
const HAS_SAMPLE_FLAGS: u32 = 0x400;
const HAS_SAMPLE_COMPOSITIONS: u32 = 0x800;

/// One `moof`.
#[derive(Debug, Clone, Default)]
pub(super) struct Fragment {
    pub(super) start: u64,
    /// Its number by `mfhd`.
    number: Option<u32>,
    parts: Vec<TrackPart>,
    /// A part of it is too short for its own fields.
    has_broken_part: bool,
}

/// The part of one track in a fragment.
#[derive(Debug, Clone, Default)]
struct TrackPart {
    /// The id by `tfhd`; `None` without one.
    track: Option<u32>,
    /// When it begins, in units of the track's timescale.
    begins: Option<u64>,
    default_duration: Option<u32>,
    default_size: Option<u32>,
    runs: Vec<Run>,
}

/// Contiguous samples.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    samples: u64,
    /// The samples' own times and sizes, if any.
    duration: Option<u64>,
    size: Option<u64>,
    /// Where the media begins, if known.
    media: Option<u64>,
}

impl Fragment {
    pub(super) fn read(boxes: &mut Boxes<'_>, moof: &BoxHeader) -> Result<Self, Stop> {
        if moof.end - moof.start > MAX_BYTES {
            return Err(Stop::TooMany);
        }
        let mut fragment = Self {
            start: moof.start,
            number: None,
            parts: Vec::new(),
            has_broken_part: false,
        };
        // The media of a part begins where that of the previous one ends, unless the part says something else.
        let mut base = Some(moof.start);
        let children = boxes.children(moof)?;
        if let Some(mfhd) = children.iter().find(|child| &child.kind == b"mfhd") {
            fragment.number = unless_short(boxes.u32(mfhd, 4))?;
        }
        for traf in children {
            if &traf.kind == b"traf" {
                match TrackPart::read(boxes, &traf, base, moof.start) {
                    Ok(part) => {
                        if !part.runs.is_empty() {
                            base = part.media_end(part.default_size);
                        }
                        if !part.is_empty() {
                            fragment.parts.push(part);
                        }
                    }
                    // A part that cannot be read has no duration.
                    Err(Stop::PastEnd) => {
                        base = None;
                        fragment.has_broken_part = true;
                    }
                    Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
                }
            }
        }
        Ok(fragment)
    }

    #[cfg(test)]
    pub(super) fn count_parts(&self) -> usize {
        self.parts.len()
    }

    /// Whether its number is that of a file's first fragment; writers count from 0 or 1.
    pub(super) fn may_be_first(&self) -> bool {
        self.number.is_none_or(|number| number <= 1)
    }

    /// Whether a part of it is too short for its fields, or does not say to which track its samples belong.
    pub(super) fn has_unreadable_part(&self) -> bool {
        let mut with_runs = self.parts.iter().filter(|part| !part.runs.is_empty());
        self.has_broken_part || with_runs.any(|part| part.track.is_none())
    }

    /// The tracks of its samples, and where their media begins, as far as it says so.
    pub(super) fn media_starts(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        let runs = |part: &'_ TrackPart| {
            let runs = part.runs.iter();
            let with_media = runs.filter(|run| run.size.is_some_and(|size| size > 0));
            let starts = with_media.filter_map(|run| Some((part.track, run.media?)));
            starts.collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(runs)
    }

    /// Where its media ends; `None` if it does not say.
    pub(super) fn media_end(&self, movie: &Movie) -> Option<u64> {
        let with_runs = self.parts.iter().filter(|part| !part.runs.is_empty());
        let ends = with_runs.map(|part| part.media_end(Some(part.default_size(movie))));
        ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

impl TrackPart {
    fn read(
        boxes: &mut Boxes<'_>,
        traf: &BoxHeader,
        mut base: Option<u64>,
        moof_start: u64,
    ) -> Result<Self, Stop> {
        let mut part = Self::default();
        for header in boxes.children(traf)? {
            match &header.kind {
                b"tfhd" => {
                    part.track = Some(boxes.u32(&header, 4)?);
                    let flags = boxes.flags(&header)?;
                    let mut at = 8;
                    if flags & HAS_BASE != 0 {
                        base = Some(boxes.u64(&header, at)?);
                        at += 8;
                    } else if flags & BASE_IS_MOOF != 0 {
                        base = Some(moof_start);
                    }
                    at += if flags & HAS_DESCRIPTION == 0 { 0 } else { 4 };
                    if flags & HAS_DURATION != 0 {
                        part.default_duration = Some(boxes.u32(&header, at)?);
                        at += 4;
                    }
                    if flags & HAS_SIZE != 0 {
                        part.default_size = Some(boxes.u32(&header, at)?);
                    }
                }
                b"tfdt" => {
                    part.begins = Some(match boxes.version(&header)? {
                        1 => boxes.u64(&header, 4)?,
                        _ => u64::from(boxes.u32(&header, 4)?),
                    });
                }
                b"trun" => part.runs.push(Run::read(boxes, &header, base)?),
                _ => {}
            }
        }
        Ok(part)
    }

    /// Whether it has neither a track nor samples.
    fn is_empty(&self) -> bool {
        self.track.is_none() && self.runs.is_empty()
    }

    fn defaults(&self, movie: &Movie) -> SampleDefaults {
        let defaults = self.track.map(|track| movie.defaults(track));
        defaults.unwrap_or_default()
    }

    fn default_size(&self, movie: &Movie) -> u32 {
        self.default_size.unwrap_or(self.defaults(movie).size)
    }

    /// Where its media ends; `None` if it does not say. Samples without a size have this one.
    fn media_end(&self, default_size: Option<u32>) -> Option<u64> {
        let ends = self.runs.iter().map(|run| {
            let size = run.bytes(default_size)?;
            Some(run.media?.saturating_add(size))
        });
        ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    fn bytes(&self, movie: &Movie) -> u64 {
        let default_size = Some(self.default_size(movie));
        let bytes = self.runs.iter().filter_map(|run| run.bytes(default_size));
        bytes.fold(0, u64::saturating_add)
    }

    /// How long it lasts; `None` if its samples have no times.
    fn lasts(&self, movie: &Movie) -> Option<u64> {
        let default = self
            .default_duration
            .unwrap_or(self.defaults(movie).duration);
        let lasts = self.runs.iter().fold(0_u64, |sum, run| {
            let by_default = run.samples.saturating_mul(u64::from(default));
            sum.saturating_add(run.duration.unwrap_or(by_default))
        });
        let samples = self.runs.iter().map(|run| run.samples).max();
        (lasts > 0 || samples.unwrap_or_default() == 0).then_some(lasts)
    }
}

impl Run {
    /// Bytes of its samples; those without a size have this one.
    fn bytes(&self, default_size: Option<u32>) -> Option<u64> {
        let by_default = || Some(self.samples.saturating_mul(u64::from(default_size?)));
        self.size.or_else(by_default)
    }

    fn read(boxes: &Boxes<'_>, trun: &BoxHeader, base: Option<u64>) -> Result<Self, Stop> {
        let (flags, samples) = (boxes.flags(trun)?, boxes.u32(trun, 4)?);
        let mut at = 8;
        let mut run = Self {
            samples: u64::from(samples),
            ..Self::default()
        };
        if flags & HAS_OFFSET != 0 {
            let offset = i32::from_be_bytes(boxes.field(trun, at)?);
            run.media = base.and_then(|base| base.checked_add_signed(i64::from(offset)));
            at += 4;
        }
        at += if flags & HAS_FIRST_FLAGS == 0 { 0 } else { 4 };
        let fields = [
            HAS_SAMPLE_DURATIONS,
            HAS_SAMPLE_SIZES,
            HAS_SAMPLE_FLAGS,
            HAS_SAMPLE_COMPOSITIONS,
        ];
        let sample_bytes = 4 * fields.iter().filter(|field| flags & **field != 0).count() as u64;
        if at + sample_bytes.saturating_mul(run.samples) > trun.end.saturating_sub(trun.body) {
            return Err(Stop::PastEnd);
        }
        let has_durations = flags & HAS_SAMPLE_DURATIONS != 0;
        let has_sizes = flags & HAS_SAMPLE_SIZES != 0;
        if !has_durations && !has_sizes {
            return Ok(run);
        }
        let (mut duration, mut size) = (0_u64, 0_u64);
        for sample in 0..run.samples {
            let at = at + sample * sample_bytes;
            let size_at = if has_durations { at + 4 } else { at };
            if has_durations {
                duration = duration.saturating_add(u64::from(boxes.u32(trun, at)?));
            }
            if has_sizes {
                size = size.saturating_add(u64::from(boxes.u32(trun, size_at)?));
            }
        }
        run.duration = has_durations.then_some(duration);
        run.size = has_sizes.then_some(size);
        Ok(run)
    }
}

/// Time between the fragments of a track.
#[derive(Debug, Default)]
struct Gaps {
    all: u64,
    /// Those that are longer than the tolerance.
    jumps: u64,
    /// Some samples have no durations, so the end of their fragment is unknown.
    are_unknown: bool,
}

impl Gaps {
    fn add(&mut self, gap: u64, timescale: u32) {
        self.all = self.all.saturating_add(gap);
        let is_jump = duration(gap, u64::from(timescale))
            .is_some_and(|gap| gap > plausibility::tolerance(Duration::ZERO));
        if is_jump {
            self.jumps = self.jumps.saturating_add(gap);
        }
    }

    /// A writer that leaves out durations leaves small gaps too, which say nothing.
    fn units(&self) -> u64 {
        if self.are_unknown {
            self.jumps
        } else {
            self.all
        }
    }
}

/// The parts of each track in their order, each with the number of its fragment.
fn parts_by_track(fragments: &[Fragment]) -> BTreeMap<u32, Vec<(usize, &TrackPart)>> {
    let mut by_track: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (number, fragment) in fragments.iter().enumerate() {
        for part in &fragment.parts {
            if let Some(track) = part.track {
                by_track.entry(track).or_default().push((number, part));
            }
        }
    }
    by_track
}

/// When a track begins and ends by its fragments.
#[derive(Debug)]
pub(super) struct TrackTimes {
    pub(super) is_media: bool,
    pub(super) begins: Option<Duration>,
    ends: Option<Duration>,
    /// None of its parts is behind the fragments that were not seen.
    pub(super) ends_unseen: bool,
    /// Time between its fragments that is in none of them.
    pub(super) gaps: Duration,
    /// Bytes of its media in a second of these fragments.
    pub(super) bytes_per_second: Option<u64>,
    /// A fragment begins long before the end of the previous one: it is of another recording.
    pub(super) goes_back: bool,
}

impl TrackTimes {
    /// Computes it for each track of `movie`. Before the fragment of the number `unseen_from` others are missing among
    /// these.
    pub(super) fn of_all(
        movie: &Movie,
        fragments: &[Fragment],
        unseen_from: Option<usize>,
    ) -> Vec<Self> {
        let mut parts = parts_by_track(fragments);
        let tracks = movie.tracks.iter();
        // Two tracks cannot share an id: the parts are those of the first one.
        let times = tracks.map(|track| {
            let parts = parts.remove(&track.id).unwrap_or_default();
            Self::of(movie, track, &parts, unseen_from)
        });
        times.collect()
    }

    /// Computes it for the track that has these parts, each in the fragment of this number.
    fn of(
        movie: &Movie,
        track: &MovieTrack,
        parts: &[(usize, &TrackPart)],
        unseen_from: Option<usize>,
    ) -> Self {
        let seconds = |units: u64| duration(units, u64::from(track.timescale));
        let mut times = Self {
            is_media: matches!(track.kind, TrackKind::Picture | TrackKind::Sound),
            begins: None,
            ends: None,
            ends_unseen: false,
            gaps: Duration::ZERO,
            bytes_per_second: None,
            goes_back: false,
        };
        if track.own_length > 0 {
            times.begins = Some(Duration::ZERO);
        }
        // The end of the previous part: unknown after samples without times.
        let mut end = Some(track.own_length);
        let (mut gaps, mut bytes, mut units) = (Gaps::default(), 0_u64, 0_u64);
        let mut next_unseen = unseen_from;
        for (number, part) in parts {
            let is_behind_unseen = next_unseen.take_if(|from| *number >= *from).is_some();
            // Without a time of its own it follows the previous one.
            let Some(begins) = part.begins.or(end.filter(|_| !is_behind_unseen)) else {
                end = None;
                continue;
            };
            if times.begins.is_none() {
                times.begins = seconds(begins);
            } else if let Some(end) = end {
                if !is_behind_unseen {
                    gaps.add(begins.saturating_sub(end), track.timescale);
                }
                let back = seconds(end.saturating_sub(begins)).unwrap_or_default();
                times.goes_back |= back > plausibility::tolerance(back);
            }
            let lasts = part.lasts(movie);
            gaps.are_unknown |= lasts.is_none();
            end = lasts.map(|lasts| begins.saturating_add(lasts));
            bytes = bytes.saturating_add(part.bytes(movie));
            units = units.saturating_add(lasts.unwrap_or_default());
        }
        if next_unseen.is_some() {
            // Those that were not seen may hold its last part, or all parts.
            (end, units) = (None, 0);
            times.ends_unseen = true;
        }
        times.ends = end.and_then(seconds).filter(|_| times.begins.is_some());
        times.gaps = seconds(gaps.units()).unwrap_or_default();
        times.bytes_per_second = per_second(bytes, units, track.timescale);
        if unseen_from.is_none() && times.begins.is_none() {
            // A track without fragments has no duration.
            (times.begins, times.ends) = (Some(Duration::ZERO), Some(Duration::ZERO));
        }
        times
    }

    /// When the track ends, counted from this time.
    pub(super) fn ends_after(&self, starts_at: Duration) -> Option<Duration> {
        Some(self.ends?.saturating_sub(starts_at))
    }

    /// How long the track plays.
    pub(super) fn plays(&self) -> Option<Duration> {
        Some(self.ends?.saturating_sub(self.begins?))
    }
}
