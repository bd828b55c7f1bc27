//! Keeps the parts of a transferred file that its examination will read, block by block. So the examination of a file
//! that has just been copied needs no request. It draws no conclusions.

use std::ops::Range;

use bytes::Bytes;

use crate::media::counted::CountedFrames;
use crate::media::followed::FollowedBoxes;
use crate::media::mp3::FrameFollower;
use crate::media::mp4::{BoxFollower, Keep};
use crate::media::seen::{READ_BYTES, TAIL_BYTES};
use crate::media::zeros::{ZeroFinder, ZeroRuns};
use crate::media::{mp3, mp4, sound};

/// A file up to this size is kept as a whole.
const WHOLE_BYTES: u64 = TAIL_BYTES;
/// A box header with a 64-bit size.
const BOX_HEADER_BYTES: usize = 16;

/// The kept parts of one file.
#[derive(Debug, Default)]
pub struct PassingMedia {
    total_bytes: u64,
    /// How many of them have passed.
    passed_bytes: u64,
    /// Ranges still to be kept.
    awaited: Vec<Range<u64>>,
    boxes: Option<BoxFollower>,
    frames: Option<FrameFollower>,
    parts: Vec<(u64, Vec<u8>)>,
    /// The file, if it passed by in one piece and is small: its memory is shared, not copied.
    whole: Option<Bytes>,
    /// Stretches of what may be a wav.
    sound: Option<Vec<(u64, Vec<u8>)>>,
    zeros: ZeroFinder,
}

impl PassingMedia {
    /// Takes the bytes at `offset` of a file of `total_bytes`. Blocks come in the order of the file, and some
    /// may be left out.
    pub fn pass(&mut self, total_bytes: u64, offset: u64, bytes: &Bytes) {
        if offset == 0 || self.total_bytes != total_bytes {
            *self = Self::plan(total_bytes, if offset == 0 { bytes } else { b"" });
        }
        if offset == 0
            && (1..=WHOLE_BYTES).contains(&total_bytes)
            && bytes.len() as u64 == total_bytes
        {
            self.whole = Some(bytes.clone());
            self.awaited.clear();
        }
        self.passed_bytes = self.passed_bytes.saturating_add(bytes.len() as u64);
        let kept = self.boxes.as_mut();
        let kept = kept.map(|boxes| boxes.follow(total_bytes, offset, bytes));
        for kept in kept.into_iter().flatten() {
            match kept {
                Keep::Header(at, header) => self.parts.push((at, header)),
                Keep::Range(range) => self.awaited.push(range),
            }
        }
        if let Some(frames) = &mut self.frames
            && !frames.follow(offset, bytes)
        {
            self.frames = None;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        for range in &self.awaited {
            let (from, to) = (range.start.max(offset), range.end.min(end));
            if from < to
                && let (Ok(first), Ok(last)) =
                    (usize::try_from(from - offset), usize::try_from(to - offset))
            {
                keep(&mut self.parts, from, &bytes[first..last]);
            }
        }
        self.awaited.retain(|range| range.end > end);
        if let Some(sound) = &mut self.sound {
            keep_sound(sound, total_bytes, offset, bytes);
        }
        self.zeros.pass(offset, bytes);
    }

    /// The stretches for the sound levels, as far as they passed by.
    pub(super) fn sound_parts(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let kept = self.sound.iter().flatten();
        let whole = self
            .sound
            .is_none()
            .then(|| sound::places(self.total_bytes))
            .into_iter()
            .flatten()
            .filter_map(|place| Some((place.start, self.get(&place)?)));
        kept.map(|(start, bytes)| (*start, &bytes[..])).chain(whole)
    }

    /// Runs of zero bytes among what passed by.
    pub fn zeros(&self) -> ZeroRuns {
        self.zeros.runs()
    }

    /// Long runs of zero bytes among what passed by.
    pub fn long_zeros(&self) -> Vec<Range<u64>> {
        self.zeros.long_runs()
    }

    /// Whether nothing of a file has passed by.
    pub fn is_empty(&self) -> bool {
        self.passed_bytes == 0
    }

    /// Whether all of a file of `total_bytes` has passed by.
    pub fn is_whole(&self, total_bytes: u64) -> bool {
        self.total_bytes == total_bytes && self.passed_bytes == total_bytes
    }

    /// What following the boxes of an mp4 has shown.
    pub(super) fn followed(&self) -> FollowedBoxes {
        let boxes = self.boxes.as_ref();
        boxes.map(BoxFollower::followed).unwrap_or_default()
    }

    /// The frames of an mp3 of `total_bytes`, if all of it passed by.
    pub(super) fn frames(&self, total_bytes: u64) -> Option<CountedFrames> {
        self.frames.as_ref()?.counted(total_bytes)
    }

    /// The file, if it passed by in one piece, and is kept as a whole.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        self.whole.as_ref()
    }

    /// Other kept parts: the offset of each, and its bytes.
    pub fn parts(&self) -> &[(u64, Vec<u8>)] {
        &self.parts
    }

    /// The bytes of `range`, if they were kept in one piece.
    pub fn get(&self, range: &Range<u64>) -> Option<&[u8]> {
        let parts = self.parts.iter().map(|(start, bytes)| (*start, &bytes[..]));
        let whole = self.whole.iter().map(|file| (0, &file[..]));
        whole.chain(parts).find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
            bytes.get(from..to)
        })
    }

    /// Decides from the beginning of a file what to keep of it.
    fn plan(total_bytes: u64, head: &[u8]) -> Self {
        let mut awaited = vec![
            0..READ_BYTES.min(total_bytes),
            total_bytes.saturating_sub(READ_BYTES)..total_bytes,
        ];
        let (mut boxes, mut sound, mut frames) = (None, None, None);
        if total_bytes <= WHOLE_BYTES {
            awaited.clear();
            awaited.push(0..total_bytes);
        } else if matches!(head.first_chunk(), Some(b"RIFF" | b"RF64" | b"BW64")) {
            // Format and sound are at the beginning.
            sound = Some(Vec::new());
        } else if mp4::begins_here(head) {
            awaited = vec![
                0..movie_end(head).clamp(READ_BYTES, TAIL_BYTES),
                total_bytes - TAIL_BYTES..total_bytes,
            ];
            boxes = Some(BoxFollower::new());
        } else {
            // A file whose beginning is missing may be a wav.
            sound = head.is_empty().then(Vec::new);
            frames = mp3::follower(total_bytes, head);
            awaited.extend(mp3::places(total_bytes).map(|at| at..at + mp3::PLACE_BYTES));
        }
        Self {
            total_bytes,
            passed_bytes: 0,
            awaited,
            boxes,
            frames,
            parts: Vec::new(),
            whole: None,
            sound,
            zeros: ZeroFinder::default(),
        }
    }
}

/// Adds bytes to the part that ends before them, or as a part of their own.
fn keep(parts: &mut Vec<(u64, Vec<u8>)>, at: u64, bytes: &[u8]) {
    match parts.last_mut() {
        Some((start, kept)) if start.saturating_add(kept.len() as u64) == at => {
            kept.extend_from_slice(bytes);
        }
        Some(_) | None => parts.push((at, bytes.to_vec())),
    }
}

/// Keeps the stretches in this block. One that crosses its border is kept in part.
fn keep_sound(sound: &mut Vec<(u64, Vec<u8>)>, total_bytes: u64, offset: u64, bytes: &[u8]) {
    let end = offset.saturating_add(bytes.len() as u64);
    for place in sound::places(total_bytes) {
        let to = place.end.min(end);
        if place.start < offset || place.start >= to {
            continue;
        }
        if let (Ok(first), Ok(last)) = (
            usize::try_from(place.start - offset),
            usize::try_from(to - offset),
        ) {
            sound.push((place.start, bytes[first..last].to_vec()));
        }
    }
}

/// End of a `moov` box before the media; 0 if there is none.
fn movie_end(head: &[u8]) -> u64 {
    let mut at = 0_u64;
    for _ in 0..16 {
        let header = usize::try_from(at).ok().and_then(|at| head.get(at..));
        let Some([s0, s1, s2, s3, kind @ ..]) = header.and_then(<[u8]>::first_chunk::<8>) else {
            return 0;
        };
        let end = at.saturating_add(u64::from(u32::from_be_bytes([*s0, *s1, *s2, *s3])).max(8));
        match kind {
            // Includes the header of the next box.
            b"moov" => return end.saturating_add(BOX_HEADER_BYTES as u64),
            b"mdat" => return 0,
            _ => at = end,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::samples::{FTYP, fragment, init, mdat, moov, mp4_box, mvhd, trak, wav};
    use super::*;
    use crate::media::{MediaProbe, ProbedMedia};

    /// Passes a file in blocks of this size, and examines it with what was kept.
    fn look(file: &[u8], block_bytes: usize) -> (MediaProbe, usize) {
        let (mut passing, total) = (PassingMedia::default(), file.len() as u64);
        for (number, block) in file.chunks(block_bytes).enumerate() {
            passing.pass(total, (number * block_bytes) as u64, &block.to_vec().into());
        }
        let kept = passing.parts().iter().map(|(_, bytes)| bytes.len()).sum();
        (MediaProbe::of_passing(total, &passing), kept)
    }

    fn large_mp4(moov_first: bool) -> Vec<u8> {
        let tables = mp4_box("udta", &vec![7; 900_000]);
        let movie = |media_at: u32| {
            moov(&[
                tables.clone(),
                mvhd(0, 1000, 60_000),
                trak("vide", 0, 1000, 60_000, media_at),
            ])
        };
        let media = mdat(6_000_000);
        if moov_first {
            let media_at = u32::try_from(FTYP.len() + movie(0).len() + 8).unwrap();
            [FTYP.to_vec(), movie(media_at), media].concat()
        } else {
            [FTYP.to_vec(), media, movie(24)].concat()
        }
    }

    fn large_fragmented() -> Vec<u8> {
        let fragments = (0..200).map(|number| fragment(Some(number * 2000), 2000, 30_000));
        [init(b""), fragments.collect::<Vec<_>>().concat()].concat()
    }

    #[rstest::rstest]
    #[case::wav(wav(3, 60_000))]
    #[case::moov_first(large_mp4(true))]
    #[case::moov_last(large_mp4(false))]
    #[case::fragmented(large_fragmented())]
    #[case::an_index_first([mp4_box("sidx", &[0; 24]), large_fragmented()].concat())]
    #[case::a_message_first([mp4_box("emsg", &[0; 9]), large_fragmented()].concat())]
    #[case::mp3([0xff_u8, 0xfb, 0x90, 0x04].iter().copied().chain(std::iter::repeat_n(0, 413)).collect::<Vec<u8>>().repeat(10_000))]
    #[case::small(wav(1, 1000))]
    fn a_file_that_passed_by_is_looked_at_without_a_request(#[case] file: Vec<u8>) {
        for block_bytes in [64 * 1024, 1_000_003, 8 << 20] {
            let (probe, kept) = look(&file, block_bytes);
            assert_eq!(probe.next_read(), None, "in blocks of {block_bytes}");
            let found_by_reads = ProbedMedia {
                is_sampled: false,
                ..super::super::samples::probe(&file)
            };
            assert_eq!(probe.finish(), found_by_reads);
            assert!(kept <= 9 << 20, "{kept} bytes are kept");
        }
    }

    #[rstest::rstest]
    fn every_box_that_an_mp4_may_begin_with_is_followed(
        #[values(
            "ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "uuid", "sidx", "emsg", "prft",
            "pnot", "moof", "pdin", "meta", "ssix"
        )]
        kind: &str,
    ) {
        let mut passing = PassingMedia::default();
        passing.pass(10_000_000, 0, &mp4_box(kind, &[0; 100]).into());
        assert!(passing.boxes.is_some());
    }

    #[test]
    fn blocks_that_did_not_pass_by_are_asked_for() {
        let (file, mut passing) = (large_mp4(false), PassingMedia::default());
        let total = file.len() as u64;
        passing.pass(total, 0, &file[..1 << 20].to_vec().into());
        let probe = MediaProbe::of_passing(total, &passing);
        assert!(
            probe
                .next_read()
                .is_some_and(|range| range.start > 6_000_000)
        );
    }

    #[test]
    fn a_small_file_in_one_piece_is_kept_without_a_copy() {
        let file = Bytes::from(wav(1, 1000));
        let (mut passing, total) = (PassingMedia::default(), file.len() as u64);
        passing.pass(total, 0, &file);
        let kept = passing.get(&(0..total)).unwrap();
        assert_eq!(kept.as_ptr(), file.as_ptr());
        assert!(passing.parts().is_empty(), "nor is it kept twice");
    }

    #[test]
    fn a_length_that_changes_begins_again() {
        let (file, mut passing) = (wav(1, 1000), PassingMedia::default());
        passing.pass(10, 0, &Bytes::from_static(b"0123456789"));
        passing.pass(file.len() as u64, 0, &file.clone().into());
        assert_eq!(passing.get(&(0..file.len() as u64)), Some(&file[..]));
        assert_eq!(passing.get(&(0..1 << 40)), None);
    }
}
