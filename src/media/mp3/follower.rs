//! Follows the frames of an mp3 that passes by block by block, from the first to the last. It keeps no bytes, and does not
//! know where the sound should end.

use super::HOLE_BYTES;
use super::frame::Frame;
use crate::media::counted::CountedFrames;

const HEADER_BYTES: usize = 4;

/// Counts frames. After bytes that are no frame it continues where two frames follow each other.
#[derive(Debug)]
pub(in crate::media) struct FrameFollower {
    first: Frame,
    counted: CountedFrames,
    /// End of the bytes that have passed.
    passed: u64,
    /// Where the next header may be, and the bytes of it that have passed.
    at: u64,
    header: Vec<u8>,
    place: Place,
}

/// How the bytes before the next header were read.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A frame ends here.
    AfterFrame,
    /// No frame was found from this offset on.
    Lost(Gap),
    /// What looks like a frame begins after the gap.
    AfterCandidate(Gap, u64),
}

/// Bytes between two frames.
#[derive(Debug, Clone, Copy)]
struct Gap {
    start: u64,
    begins_with_tag: bool,
}

impl FrameFollower {
    pub(super) fn new(start: u64, first: Frame) -> Self {
        Self {
            first,
            counted: CountedFrames {
                start,
                frames: 0,
                end: start,
                hole_at: None,
                second_at: None,
            },
            passed: 0,
            at: start,
            header: Vec::with_capacity(HEADER_BYTES),
            place: Place::AfterFrame,
        }
    }

    /// Takes the bytes at `offset`; `false` if bytes before them were left out, and nothing can be counted.
    pub(in crate::media) fn follow(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if offset != self.passed {
            return false;
        }
        self.passed = offset.saturating_add(bytes.len() as u64);
        while let Some(rest) = self.rest(offset, bytes) {
            if self.header.is_empty() && matches!(self.place, Place::Lost(_)) {
                // Every frame begins with this byte.
                let skipped = rest.iter().position(|byte| *byte == 0xff);
                let skipped = skipped.unwrap_or(rest.len());
                self.at = self.at.saturating_add(skipped as u64);
                if skipped > 0 {
                    continue;
                }
            }
            let missing = (HEADER_BYTES - self.header.len()).min(rest.len());
            self.header.extend_from_slice(&rest[..missing]);
            if let Some(header) = self.header.first_chunk() {
                self.take(*header);
            }
        }
        true
    }

    /// The bytes of a block after those of the header that are known; `None` if there are none.
    fn rest<'a>(&self, offset: u64, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let from = self.at.saturating_add(self.header.len() as u64);
        let from = usize::try_from(from.checked_sub(offset)?).ok()?;
        bytes.get(from..).filter(|rest| !rest.is_empty())
    }

    fn take(&mut self, header: [u8; HEADER_BYTES]) {
        let Some(frame) = Frame::read_like(header, self.first) else {
            self.miss(header);
            return;
        };
        let end = self.at.saturating_add(frame.length_bytes() as u64);
        match self.place {
            Place::AfterFrame => self.count(1, end),
            Place::Lost(gap) => self.place = Place::AfterCandidate(gap, self.at),
            Place::AfterCandidate(gap, found_at) => {
                self.close(gap, found_at);
                self.count(2, end);
            }
        }
        self.at = end;
        self.header.clear();
    }

    fn count(&mut self, frames: u64, end: u64) {
        self.counted.frames += frames;
        self.counted.end = end;
        self.place = Place::AfterFrame;
    }

    /// Continues one byte later; where a candidate was followed by no frame, after it.
    fn miss(&mut self, header: [u8; HEADER_BYTES]) {
        self.place = Place::Lost(match self.place {
            Place::AfterFrame => Gap {
                start: self.at,
                begins_with_tag: header.starts_with(b"ID3") || &header == b"APET",
            },
            Place::Lost(gap) | Place::AfterCandidate(gap, _) => gap,
        });
        // A frame may begin in these bytes.
        let next = header[1..].iter().position(|byte| *byte == 0xff);
        let skipped = next.map_or(HEADER_BYTES, |next| next + 1);
        self.header.drain(..skipped);
        self.at = self.at.saturating_add(skipped as u64);
    }

    fn close(&mut self, gap: Gap, end: u64) {
        if gap.begins_with_tag {
            self.counted.second_at.get_or_insert(gap.start);
        } else if end - gap.start >= HOLE_BYTES {
            self.counted.hole_at.get_or_insert(gap.start);
        }
    }

    /// The frames of a file of `total_bytes`, if all of it has passed.
    pub(in crate::media) fn counted(&self, total_bytes: u64) -> Option<CountedFrames> {
        (self.passed == total_bytes).then_some(CountedFrames {
            end: self.counted.end.min(total_bytes),
            ..self.counted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::found::{Flaw, Length, ProbedMedia};
    use crate::media::{MediaProbe, PassingMedia, duration};

    /// `MPEG-1`, 128 and 64 kbps, 44.1 kHz, stereo.
    const LOUD: [u8; 4] = [0xff, 0xfb, 0x90, 0x04];
    const QUIET: [u8; 4] = [0xff, 0xfb, 0x50, 0x04];

    fn frames(header: [u8; 4], count: usize) -> Vec<u8> {
        let mut frame = header.to_vec();
        frame.resize(Frame::read(header).unwrap().length_bytes(), 0);
        frame.repeat(count)
    }

    fn garbage(count: u32) -> Vec<u8> {
        let byte = |number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        (0..count).map(byte).collect()
    }

    /// Examines a file after it passed in blocks of this size.
    fn look(file: &[u8], block_bytes: usize) -> ProbedMedia {
        let (mut passing, total) = (PassingMedia::default(), file.len() as u64);
        for (number, block) in file.chunks(block_bytes).enumerate() {
            passing.pass(total, (number * block_bytes) as u64, &block.to_vec().into());
        }
        let probe = MediaProbe::of_passing(total, &passing);
        assert_eq!(probe.next_read(), None);
        probe.finish()
    }

    fn length(frames: u64) -> Length {
        Length::Exact(duration(frames * 1152, 44_100).unwrap())
    }

    #[test]
    fn a_large_file_of_varying_bit_rate_that_passed_by_is_counted() {
        let file = [frames(LOUD, 2000), frames(QUIET, 30_000)].concat();
        for block_bytes in [65_537, 1 << 20, 8 << 20] {
            let probed = look(&file, block_bytes);
            assert_eq!((probed.length, probed.flaw), (length(32_000), None));
        }
    }

    #[rstest::rstest]
    #[case::zeros(vec![0; 20_000])]
    #[case::garbage(garbage(20_000))]
    #[case::false_starts([vec![0xff; 9000], garbage(9000), LOUD.to_vec()].concat())]
    fn a_hole_anywhere_in_a_large_file_that_passed_by_is_found(#[case] hole: Vec<u8>) {
        for before in [3333, 4444, 7777] {
            let file = [frames(LOUD, before), hole.clone(), frames(LOUD, 9000)].concat();
            let flaw = look(&file, 100_003).flaw;
            let at_byte = frames(LOUD, before).len() as u64;
            assert_eq!(flaw, Some(Flaw::Hole { at_byte }));
        }
    }

    #[test]
    fn a_hole_before_the_end_is_found_and_a_tag_there_is_none() {
        let sound = frames(LOUD, 9000);
        let hole = look(&[sound.clone(), garbage(20_000)].concat(), 1 << 20).flaw;
        let at_byte = sound.len() as u64;
        assert_eq!(hole, Some(Flaw::Hole { at_byte }));
        let mut tag = vec![7; 20_000];
        tag[20_000 - 32..].fill(0);
        tag[20_000 - 32..20_000 - 24].copy_from_slice(b"APETAGEX");
        tag[20_000 - 20..20_000 - 16].copy_from_slice(&20_000_u32.to_le_bytes());
        let tagged = look(&[sound, tag].concat(), 1 << 20);
        assert_eq!((tagged.length, tagged.flaw), (length(9000), None));
    }

    #[test]
    fn a_few_bytes_between_frames_are_no_hole() {
        let file = [frames(LOUD, 5000), garbage(3000), frames(LOUD, 5000)].concat();
        assert_eq!(look(&file, 1 << 20).flaw, None);
    }

    #[test]
    fn a_tag_before_more_frames_begins_another_file() {
        let tag = [b"ID3\x04\0\0\0\0\0\x05".to_vec(), vec![0; 5]].concat();
        let file = [frames(LOUD, 5000), tag, frames(LOUD, 5000)].concat();
        let at_byte = frames(LOUD, 5000).len() as u64;
        assert_eq!(look(&file, 77_777).flaw, Some(Flaw::SecondFile { at_byte }));
    }

    #[test]
    fn a_file_of_which_a_block_was_left_out_is_not_counted() {
        let file = [frames(LOUD, 4000), frames(QUIET, 20_000)].concat();
        let (mut passing, total) = (PassingMedia::default(), file.len() as u64);
        for (number, block) in file.chunks(1 << 20).enumerate().filter(|(n, _)| *n != 2) {
            passing.pass(total, (number as u64) << 20, &block.to_vec().into());
        }
        let mut probe = MediaProbe::of_passing(total, &passing);
        while let Some(range) = probe.next_read() {
            let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            probe.feed(&file[from..to]);
        }
        assert!(matches!(probe.finish().length, Length::Estimated(_)));
    }
}
