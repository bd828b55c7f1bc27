//! MP4: the boxes of ISO/IEC 14496-12. Reads headers and the tables that locate the media, never the media.

#[cfg(test)]
mod bounds_tests;
mod boxes;
mod codec;
#[cfg(test)]
mod damage_tests;
mod follower;
mod fragmented;
mod fragments;
mod index;
mod media_ranges;
mod movie;
mod tail;
#[cfg(test)]
mod tests;

use self::boxes::{BoxHeader, Boxes, NextBox};
pub(super) use self::follower::{BoxFollower, Keep};
use self::fragments::Fragment;
use self::media_ranges::MediaRanges;
use self::movie::Movie;
use crate::media::found::{Container, Flaw, Length, ProbedMedia};
use crate::media::seen::{Seen, Stop, TAIL_BYTES};
use crate::media::surplus::surplus;
use crate::media::{Looked, MAX_PARTS};

/// Boxes that a file may begin with: usually `ftyp`; old or streaming muxers write the others.
const FIRST_TYPES: [&[u8; 4]; 16] = [
    b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"sidx", b"emsg",
    b"prft", b"pnot", b"moof", b"pdin", b"meta", b"ssix",
];
/// Surplus bytes that a media box may declare, if all tracks begin their last chunk in it.
const FEW_BYTES: u64 = 64;
/// Below this rate of a whole file, in bytes of a second, the media of its tracks is measured.
const QUIET_BYTES: u128 = 8000;
/// Fragments are followed one by one if that takes no more reads than this.
const READS_TO_FOLLOW: u64 = 56;
/// Parts that are left for the end of the file.
const PARTS_OF_TAIL: u32 = MAX_PARTS / 2;

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    begins_here(seen.head(8)).then(|| {
        let mut walk = Walk {
            boxes: Boxes::new(seen, MAX_PARTS),
            top: TopLevel::default(),
            found: ProbedMedia::of(Container::Mp4),
        };
        let end = walk.file();
        (walk.found, end)
    })
}

/// Whether a file that begins with these bytes is an mp4.
pub(super) fn begins_here(head: &[u8]) -> bool {
    let first = head.get(4..8);
    first.is_some_and(|first| FIRST_TYPES.iter().any(|known| first == known.as_slice()))
}

/// The boxes of the file itself.
#[derive(Default)]
struct TopLevel {
    movie: Option<Movie>,
    media: MediaRanges,
    /// A box that declares more bytes than the file has.
    beyond: Option<BoxHeader>,
    fragments: Vec<Fragment>,
    /// The last fragments have been looked for.
    has_sought_end: bool,
    /// How many fragments come before those that were not read.
    unseen_from: Option<usize>,
    /// The last one was not found either.
    has_unknown_end: bool,
    /// Where the fragments end by the index before them.
    indexed_end: Option<u64>,
    /// Where the boxes end and something else begins.
    junk_at: Option<u64>,
    begins_twice_at: Option<u64>,
}

/// Whether a box of this type may end a file.
fn may_be_last(kind: [u8; 4]) -> bool {
    FIRST_TYPES.contains(&&kind) || matches!(&kind, b"mfra" | b"udta" | b"mdta")
}

impl TopLevel {
    fn has_begun(&self) -> bool {
        self.movie.is_some() || !self.media.is_empty() || !self.fragments.is_empty()
    }
}

/// What to do after a box of the file.
enum Step {
    On,
    /// Stop after this box.
    End,
}

struct Walk<'a> {
    boxes: Boxes<'a>,
    top: TopLevel,
    found: ProbedMedia,
}

impl Walk<'_> {
    fn file(&mut self) -> Result<(), Stop> {
        let total = self.boxes.seen.total_bytes();
        let mut at = 0;
        loop {
            if self.is_fragmented() {
                at = self.pass_over_fragments(at)?;
            }
            match self.boxes.next(at, total)? {
                NextBox::End => break,
                NextBox::Junk => {
                    self.top.junk_at = Some(at);
                    break;
                }
                NextBox::Box(header) => match self.step(&header)? {
                    Step::On => at = header.end,
                    Step::End => break,
                },
            }
        }
        self.conclude()
    }

    /// Where to continue in a fragmented file: at `at`, or, if too many fragments follow, at the first one of its end.
    fn pass_over_fragments(&mut self, at: u64) -> Result<u64, Stop> {
        let seen = self.boxes.seen;
        let total = seen.total_bytes();
        let tail_start = total.saturating_sub(TAIL_BYTES);
        if self.top.has_sought_end || at >= total {
            return Ok(at);
        }
        let is_in_tail = at >= tail_start;
        if is_in_tail {
            seen.whole(at..total)?;
        }
        let can_follow = || self.knows(at) || self.reads_to(tail_start, at) <= READS_TO_FOLLOW;
        if self.boxes.left > PARTS_OF_TAIL && (is_in_tail || can_follow()) {
            return Ok(at);
        }
        let first = tail::first_fragment(seen.whole(tail_start..total)?);
        let first = first.map(|first| tail_start.saturating_add(first as u64));
        self.top.has_sought_end = true;
        if is_in_tail && first.is_none_or(|first| first <= at) {
            return Ok(at);
        }
        self.top.unseen_from = Some(self.top.fragments.len());
        self.top.has_unknown_end = first.is_none();
        Ok(first.unwrap_or(total))
    }

    /// Whether the required part of the box at `at` is in memory.
    fn knows(&self, at: u64) -> bool {
        let seen = self.boxes.seen;
        let is_known = |read: Result<&[u8], Stop>| !matches!(read, Err(Stop::Want(_)));
        match seen.at::<16>(at) {
            Ok([s0, s1, s2, s3, b'm', b'o', b'o', b'f', ..]) => {
                is_known(seen.some(at, u64::from(u32::from_be_bytes([s0, s1, s2, s3]))))
            }
            Ok(_) | Err(Stop::PastEnd | Stop::TooMany) => true,
            Err(Stop::Want(_)) => false,
        }
    }

    /// Estimates how many reads it takes to follow the fragments up to `end`, by those before `at`.
    fn reads_to(&self, end: u64, at: u64) -> u64 {
        let (Some(first), count) = (self.top.fragments.first(), self.top.fragments.len() as u64)
        else {
            return 0;
        };
        let average = ((at - first.start.min(at)) / count).max(1);
        end.saturating_sub(at) / average
    }

    fn is_fragmented(&self) -> bool {
        let movie = self.top.movie.as_ref();
        movie.is_some_and(|movie| movie.extends.is_some()) || !self.top.fragments.is_empty()
    }

    fn step(&mut self, header: &BoxHeader) -> Result<Step, Stop> {
        let total = self.boxes.seen.total_bytes();
        match &header.kind {
            b"ftyp" | b"moov" if self.top.begins_twice(header) => return Ok(Step::End),
            b"moov" if header.end <= total => {
                self.top.movie = Some(Movie::read(&mut self.boxes, header)?);
            }
            b"moof" if header.end <= total => {
                let fragment = self.boxes.inside(|boxes| Fragment::read(boxes, header))?;
                self.top.fragments.push(fragment);
            }
            b"mdat" => self.top.media.push(header.body..header.end.min(total)),
            b"sidx" if self.top.fragments.is_empty() => {
                let indexed_end = index::end(&self.boxes, header);
                self.top.indexed_end = self.top.indexed_end.max(indexed_end);
            }
            _ => {}
        }
        if header.end > total {
            self.top.beyond = Some(header.clone());
            return Ok(Step::End);
        }
        Ok(Step::On)
    }

    /// Evaluates the boxes once all are known.
    fn conclude(&mut self) -> Result<(), Stop> {
        let second_at = self.boxes.seen.boxes.second_at;
        if let Some(at_byte) = self.top.begins_twice_at.or(second_at) {
            self.found.add_flaw(Flaw::SecondFile { at_byte });
        }
        self.found.media = self.top.media.extent();
        let Some(movie) = self.top.movie.take() else {
            self.found.add_flaw(match &self.top.beyond {
                Some(beyond) => cut_off(beyond),
                None => Flaw::NoMoovBox,
            });
            return Ok(());
        };
        if movie.is_empty() {
            self.found.add_flaw(Flaw::EmptyMovie);
            return Ok(());
        }
        if movie.has_unreadable_track() {
            self.found.add_flaw(Flaw::NotPlayable);
        }
        if movie.extends.is_some() || !self.top.fragments.is_empty() {
            self.conclude_fragmented(&movie)?;
            self.note_surplus()?;
        } else {
            self.conclude_plain(&movie)?;
        }
        Ok(())
    }

    fn conclude_plain(&mut self, movie: &Movie) -> Result<(), Stop> {
        self.found.tracks = movie.tracks.iter().map(|track| track.tell(movie)).collect();
        let longest = self.found.tracks.iter().filter_map(|track| track.duration);
        let longest = longest.filter(|duration| !duration.is_zero()).max();
        let length = movie.length().or(longest);
        self.found.length = length.map_or(Length::Unknown, Length::Exact);
        if let Some(flaw) = self.missing_media(movie)? {
            self.found.add_flaw(flaw);
        }
        self.note_surplus()?;
        self.measure_quiet_tracks(movie)
    }

    /// Adds the flaw of what follows the last box, if all before is as it should be.
    fn note_surplus(&mut self) -> Result<(), Stop> {
        let beyond = self.top.beyond.as_ref();
        let no_box = beyond.filter(|beyond| !may_be_last(beyond.kind));
        if self.found.flaw.is_none()
            && let Some(at) = self.top.junk_at.or(no_box.map(|no_box| no_box.start))
        {
            self.found.flaw = surplus(self.boxes.seen, at)?;
        }
        Ok(())
    }

    /// Measures the media of each track of a file with so few bytes that its picture may be black and its sound silent.
    fn measure_quiet_tracks(&mut self, movie: &Movie) -> Result<(), Stop> {
        let plays_ms = self.found.duration().unwrap_or_default().as_millis();
        let total = u128::from(self.boxes.seen.total_bytes());
        if total * 1000 < QUIET_BYTES * plays_ms {
            for (found, track) in self.found.tracks.iter_mut().zip(&movie.tracks) {
                found.bytes_per_second = track.bytes_per_second(&self.boxes)?;
            }
        }
        Ok(())
    }

    /// Whether the media of each picture and sound track is where its headers say.
    fn missing_media(&self, movie: &Movie) -> Result<Option<Flaw>, Stop> {
        let total = self.boxes.seen.total_bytes();
        let beyond = self.top.beyond.as_ref();
        let tracks: Vec<_> = movie
            .tracks
            .iter()
            .filter(|track| track.is_media())
            .collect();
        let no_media = || beyond.map_or(Flaw::NoMedia, cut_off);
        let has_chunks = tracks.iter().any(|track| track.last_chunk.is_some());
        if !tracks.is_empty() && (self.top.media.is_empty() || !has_chunks) {
            return Ok(Some(no_media()));
        }
        let overrun =
            beyond.filter(|beyond| &beyond.kind == b"mdat" && beyond.end - total > FEW_BYTES);
        for track in tracks {
            let Some(offset) = track.last_chunk else {
                if track.plays() {
                    return Ok(Some(no_media()));
                }
                continue;
            };
            if !self.top.media.contains(offset) {
                let elsewhere = Flaw::MediaMissing { at_byte: offset };
                let cut = beyond.filter(|_| offset >= total);
                return Ok(Some(cut.map_or(elsewhere, cut_off)));
            }
            if !track.is_playable(&self.boxes)? {
                return Ok(Some(Flaw::NotPlayable));
            }
            let misplaced = track.misplaced_chunk(&self.boxes, &self.top.media)?;
            if misplaced.is_some() {
                return Ok(misplaced);
            }
            // If a header declares more bytes than there are, all media must be shown to exist.
            if let Some(overrun) = overrun
                && track
                    .last_chunk_end(&self.boxes)?
                    .is_none_or(|end| end > total)
            {
                return Ok(Some(cut_off(overrun)));
            }
        }
        Ok(None)
    }
}

impl TopLevel {
    fn begins_twice(&mut self, header: &BoxHeader) -> bool {
        let is_second = match &header.kind {
            b"moov" => self.movie.is_some(),
            _ => self.has_begun(),
        };
        if is_second {
            self.begins_twice_at.get_or_insert(header.start);
        }
        is_second
    }
}

fn cut_off(beyond: &BoxHeader) -> Flaw {
    Flaw::ShorterThanItsHeaders {
        declared_bytes: beyond.end,
    }
}
