//! MP4: the boxes of ISO/IEC 14496-12, by their headers only; the media itself is never read.

use std::time::Duration;

use crate::media::seen::{Seen, Stop};
use crate::media::{Container, Flaw, Looked, MAX_PARTS, ProbedMedia, duration};
use crate::recording::media::ContentKind;

/// The size and type of a box.
const HEADER_BYTES: u64 = 8;
/// The same with a 64-bit size.
const LONG_HEADER_BYTES: u64 = 16;
/// What a file may begin with; `ftyp` is the rule, the others are written by old or streaming muxers.
const FIRST_TYPES: [&[u8; 4]; 7] = [
    b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide",
];

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    let first = seen.head(8).get(4..8)?;
    FIRST_TYPES
        .iter()
        .any(|known| first == known.as_slice())
        .then(|| {
            let mut found = ProbedMedia::of(Container::Mp4);
            let end = Boxes {
                seen,
                left: MAX_PARTS,
            }
            .file(&mut found);
            (found, end)
        })
}

/// One box; its body may end beyond the file.
struct Header {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

/// What `moov` tells.
#[derive(Default)]
struct Movie {
    timescale: u32,
    /// In units of the timescale; of a fragmented file only what came before the fragments.
    length: Option<u64>,
    /// The longest track, by its own clock.
    longest_track: Option<Duration>,
    fragments: Fragments,
    has_picture: bool,
    has_tracks: bool,
}

/// Whether the media goes on outside of `moov`.
#[derive(Default)]
enum Fragments {
    #[default]
    None,
    LengthUnknown,
    /// In units of the movie's timescale, fragments included.
    Length(u64),
}

struct Boxes<'a> {
    seen: &'a Seen,
    left: u32,
}

impl Boxes<'_> {
    /// The box at `at`; `None` where no further one begins before `end`.
    fn next(&mut self, at: u64, end: u64) -> Result<Option<Header>, Stop> {
        if at
            .checked_add(HEADER_BYTES)
            .is_none_or(|body| body > end.min(self.seen.total_bytes()))
        {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Stop::TooMany)?;
        let size = u32::from_be_bytes(self.seen.at(at)?);
        let kind = self.seen.at(at + 4)?;
        let (size, header_bytes) = match size {
            0 => (end - at, HEADER_BYTES),
            1 => match self.seen.at(at + HEADER_BYTES) {
                Ok(size) => (u64::from_be_bytes(size), LONG_HEADER_BYTES),
                // The file ends inside of this header, so the box cannot be smaller than that.
                Err(Stop::PastEnd) => (LONG_HEADER_BYTES, LONG_HEADER_BYTES),
                Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
            },
            size => (u64::from(size), HEADER_BYTES),
        };
        // A box smaller than its header is none, and nothing after it can be found.
        let header = (size >= header_bytes).then(|| Header {
            kind,
            body: at + header_bytes,
            end: at.saturating_add(size),
        });
        Ok(header)
    }

    fn file(&mut self, found: &mut ProbedMedia) -> Result<(), Stop> {
        let total = self.seen.total_bytes();
        let (mut at, mut lacks_movie) = (0, true);
        while let Some(header) = self.next(at, total)? {
            if &header.kind == b"moov" {
                lacks_movie = false;
                let mut movie = Movie::default();
                match self.movie(&header, &mut movie) {
                    Ok(()) | Err(Stop::PastEnd) => movie.tell(found),
                    // Half of it could mislead: whether there are fragments stands last.
                    Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
                }
            }
            if header.end > total {
                found.flaw = Some(Flaw::ShorterThanItsHeaders {
                    declared_bytes: header.end,
                });
                return Ok(());
            }
            at = header.end;
        }
        if lacks_movie {
            found.flaw = Some(Flaw::NoMoovBox);
        }
        Ok(())
    }

    fn movie(&mut self, moov: &Header, movie: &mut Movie) -> Result<(), Stop> {
        let mut at = moov.body;
        while let Some(header) = self.next(at, moov.end)? {
            match &header.kind {
                b"mvhd" => (movie.timescale, movie.length) = self.timing(&header)?,
                b"trak" => self.track(&header, movie)?,
                b"mvex" => movie.fragments = self.fragments(&header)?,
                _ => {}
            }
            at = header.end;
        }
        Ok(())
    }

    fn track(&mut self, trak: &Header, movie: &mut Movie) -> Result<(), Stop> {
        let Some(mdia) = self.child(trak, *b"mdia")? else {
            return Ok(());
        };
        if let Some(hdlr) = self.child(&mdia, *b"hdlr")? {
            // Version and flags, a reserved word, then what the track holds.
            let kind: [u8; 4] = self.seen.at(hdlr.body.saturating_add(8))?;
            movie.has_tracks |= matches!(&kind, b"vide" | b"soun");
            movie.has_picture |= &kind == b"vide";
        }
        if let Some(mdhd) = self.child(&mdia, *b"mdhd")? {
            let (timescale, length) = self.timing(&mdhd)?;
            movie.longest_track = movie
                .longest_track
                .max(length.and_then(|length| duration(length, u64::from(timescale))));
        }
        Ok(())
    }

    fn fragments(&mut self, mvex: &Header) -> Result<Fragments, Stop> {
        let Some(mehd) = self.child(mvex, *b"mehd")? else {
            return Ok(Fragments::LengthUnknown);
        };
        let version = self.seen.at::<4>(mehd.body)?[0];
        let length = self.length(version, mehd.body.saturating_add(4))?;
        Ok(length.map_or(Fragments::LengthUnknown, Fragments::Length))
    }

    /// The first box of this type inside of `parent`.
    fn child(&mut self, parent: &Header, kind: [u8; 4]) -> Result<Option<Header>, Stop> {
        let mut at = parent.body;
        while let Some(header) = self.next(at, parent.end)? {
            if header.kind == kind {
                return Ok(Some(header));
            }
            at = header.end;
        }
        Ok(None)
    }

    /// Timescale and length of an `mvhd` or `mdhd`, which begin alike: version and flags, two times, these two.
    fn timing(&self, header: &Header) -> Result<(u32, Option<u64>), Stop> {
        let version = self.seen.at::<4>(header.body)?[0];
        let timescale_at = header
            .body
            .saturating_add(if version == 1 { 20 } else { 12 });
        let timescale = u32::from_be_bytes(self.seen.at(timescale_at)?);
        Ok((
            timescale,
            self.length(version, timescale_at.saturating_add(4))?,
        ))
    }

    /// A length of 64 bits in version 1, else of 32; all ones mean that it is not known.
    fn length(&self, version: u8, at: u64) -> Result<Option<u64>, Stop> {
        if version == 1 {
            let length = u64::from_be_bytes(self.seen.at(at)?);
            return Ok((length != u64::MAX).then_some(length));
        }
        let length = u32::from_be_bytes(self.seen.at(at)?);
        Ok((length != u32::MAX).then_some(u64::from(length)))
    }
}

impl Movie {
    fn tell(&self, found: &mut ProbedMedia) {
        let of_movie = |length: u64| duration(length, u64::from(self.timescale));
        found.duration = match self.fragments {
            Fragments::Length(length) => of_movie(length),
            Fragments::LengthUnknown => None,
            Fragments::None => match self.length {
                None | Some(0) => self
                    .longest_track
                    .or_else(|| self.length.and_then(of_movie)),
                Some(length) => of_movie(length),
            },
        };
        let kind = if self.has_picture {
            ContentKind::AudioVideo
        } else {
            ContentKind::Audio
        };
        found.content = self.has_tracks.then_some(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        long_mp4_box, mdat, moov, mp4_box, mvhd, probe, reads, sample, trak,
    };
    use super::*;

    const FTYP: &[u8] = b"\0\0\0\x10ftypisom\0\0\0\0";

    #[test]
    fn a_real_file_tells_its_length_and_picture() {
        let probed = probe(&sample("sample.mp4"));
        assert_eq!(
            (probed.container, probed.content, probed.flaw),
            (Container::Mp4, Some(ContentKind::AudioVideo), None)
        );
        assert_eq!(probed.duration, Some(Duration::from_secs(2)));
    }

    #[rstest::rstest]
    #[case::moov_first([moov(&[mvhd(0, 1000, 90_500)]), mdat(300_000)].concat())]
    #[case::moov_last([mdat(300_000), moov(&[mvhd(1, 1000, 90_500)])].concat())]
    #[case::after_a_64_bit_box([long_mp4_box("mdat", &vec![0; 300_000]), moov(&[mvhd(0, 1000, 90_500)])].concat())]
    #[case::up_to_the_end([moov(&[mvhd(0, 1000, 90_500)]), b"\0\0\0\0mdat".to_vec(), vec![9; 300_000]].concat())]
    #[case::behind_a_large_box_of_moov(moov(&[mp4_box("udta", &vec![1; 300_000]), mvhd(0, 1000, 90_500)]))]
    #[case::by_its_longest_track(moov(&[mvhd(0, 1000, 0), trak("vide", 0, 50, 4525), trak("soun", 1, 16_000, 16_000)]))]
    #[case::fragmented([moov(&[mvhd(0, 1000, 0), mp4_box("mvex", &mp4_box("mehd", b"\0\0\0\0\0\x01\x61\x84"))]), mdat(9)].concat())]
    fn the_length_is_found_wherever_it_stands(#[case] boxes: Vec<u8>) {
        let file = [FTYP, &boxes].concat();
        let probed = probe(&file);
        assert_eq!(
            (probed.duration, probed.flaw),
            (Some(Duration::from_millis(90_500)), None)
        );
        assert!(reads(&file) <= 3, "{} reads", reads(&file));
    }

    #[test]
    fn a_fragmented_file_without_a_total_does_not_tell_its_length() {
        let probed = probe(
            &[
                FTYP,
                &moov(&[
                    mvhd(0, 1000, 2000),
                    mp4_box("mvex", &mp4_box("trex", &[0; 24])),
                ]),
            ]
            .concat(),
        );
        assert_eq!((probed.duration, probed.flaw), (None, None));
    }

    #[test]
    fn sound_alone_is_audio() {
        let probed = probe(&[FTYP, &moov(&[mvhd(0, 1000, 10), trak("soun", 0, 1, 1)])].concat());
        assert_eq!(probed.content, Some(ContentKind::Audio));
    }

    #[test]
    fn a_length_of_nothing_is_a_length() {
        assert_eq!(
            probe(&[FTYP, &moov(&[mvhd(0, 1000, 0)])].concat()).duration,
            Some(Duration::ZERO)
        );
        assert_eq!(
            probe(&[FTYP, &moov(&[mvhd(0, 1000, u32::MAX.into())])].concat()).duration,
            None
        );
    }

    #[test]
    fn a_file_cut_off_is_shorter_than_its_boxes() {
        let whole = sample("sample.mp4");
        for cut in [13_000, 2200, 700, 100] {
            let declared_bytes = if cut > 2076 { 13_492 } else { 2076 };
            assert_eq!(
                probe(&whole[..cut]).flaw,
                Some(Flaw::ShorterThanItsHeaders { declared_bytes }),
                "at {cut}"
            );
        }
        assert_eq!(
            probe(&whole[..13_000]).duration,
            Some(Duration::from_secs(2)),
            "moov is whole"
        );
    }

    #[test]
    fn a_file_without_moov_is_not_complete() {
        assert_eq!(
            probe(&[FTYP, &mdat(1000)].concat()).flaw,
            Some(Flaw::NoMoovBox)
        );
        assert_eq!(probe(FTYP).flaw, Some(Flaw::NoMoovBox));
        let cut_in_a_header = [FTYP, b"\0\0\0\x01mdat\0\0"].concat();
        assert_eq!(
            probe(&cut_in_a_header).flaw,
            Some(Flaw::ShorterThanItsHeaders { declared_bytes: 32 })
        );
    }

    #[test]
    fn a_file_of_too_many_boxes_is_left_alone() {
        let probed = probe(&[FTYP, &mp4_box("free", b"").repeat(10_000)].concat());
        assert_eq!(
            (probed.container, probed.duration, probed.flaw),
            (Container::Mp4, None, None)
        );
    }
}
