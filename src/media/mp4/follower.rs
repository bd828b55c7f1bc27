//! Follows the boxes of an mp4 that passes by block by block, from one to the next. It keeps no more than
//! a partial header, and does not look into boxes.

use std::ops::Range;

use super::boxes::is_kind;
use crate::media::followed::FollowedBoxes;

/// Maximum number of boxes that are followed, and of those whose headers are kept.
const MAX_BOXES: u32 = 2_000_000;
const MAX_HEADERS: u32 = 20_000;
/// Maximum bytes of all fragment headers that are kept, and of one of them.
const FRAGMENTS_BYTES: u64 = 2 * 1024 * 1024;
const FRAGMENT_BYTES: u64 = 64 * 1024;
/// A box header with a 64-bit size.
const HEADER_BYTES: usize = 16;

/// Follows boxes for as long as no block is left out.
#[derive(Debug)]
pub(in crate::media) struct BoxFollower {
    at: u64,
    /// The part of its header that has passed so far.
    header: Vec<u8>,
    boxes_left: u32,
    headers_left: u32,
    fragment_bytes_left: u64,
    has_moov: bool,
    has_begun: bool,
    followed: FollowedBoxes,
    is_over: bool,
}

/// Bytes to keep.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::media) enum Keep {
    /// The header of a box, from this offset on.
    Header(u64, Vec<u8>),
    /// Bytes that may still have to pass.
    Range(Range<u64>),
}

impl BoxFollower {
    pub(in crate::media) fn new() -> Self {
        Self {
            at: 0,
            header: Vec::new(),
            boxes_left: MAX_BOXES,
            headers_left: MAX_HEADERS,
            fragment_bytes_left: FRAGMENTS_BYTES,
            has_moov: false,
            has_begun: false,
            followed: FollowedBoxes::default(),
            is_over: false,
        }
    }

    /// What was seen so far.
    pub(in crate::media) fn followed(&self) -> FollowedBoxes {
        self.followed
    }

    /// Takes the bytes at `offset` of a file of `total_bytes`. Returns the headers of the boxes that begin in them, and
    /// the fragment headers.
    pub(in crate::media) fn follow(
        &mut self,
        total_bytes: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Vec<Keep> {
        let (mut kept, end) = (Vec::new(), offset.saturating_add(bytes.len() as u64));
        while !self.is_over {
            let missing_at = self.at.saturating_add(self.header.len() as u64);
            if missing_at >= end {
                break;
            }
            let start = missing_at.checked_sub(offset);
            let Some(start) = start.and_then(|start| usize::try_from(start).ok()) else {
                // The block with the header did not pass by.
                self.is_over = true;
                break;
            };
            let length = (HEADER_BYTES - self.header.len()).min(bytes.len() - start);
            self.header.extend_from_slice(&bytes[start..start + length]);
            if self.header.len() < HEADER_BYTES {
                break;
            }
            let (at, header) = (self.at, std::mem::take(&mut self.header));
            let fragment = self.step(total_bytes, &header);
            // Behind a box without content, the rest of what was taken begins the next header.
            let of_next = usize::try_from(self.at - at).unwrap_or(HEADER_BYTES);
            if let Some(rest) = header.get(of_next..)
                && of_next > 0
            {
                self.header.extend_from_slice(rest);
            }
            if self.headers_left > 0 {
                self.headers_left -= 1;
                kept.push(Keep::Header(at, header));
            }
            kept.extend(fragment);
        }
        kept
    }

    /// Continues behind the box with this header. Returns the bytes of a fragment header.
    fn step(&mut self, total_bytes: u64, header: &[u8]) -> Option<Keep> {
        let Some((size, kind)) = size_of(header, total_bytes - self.at.min(total_bytes)) else {
            self.followed.broken_at = Some(self.at);
            self.is_over = true;
            return None;
        };
        let is_second = match &kind {
            b"moov" => self.has_moov,
            b"ftyp" => self.has_begun,
            _ => false,
        };
        if is_second {
            self.followed.second_at.get_or_insert(self.at);
        }
        self.has_moov |= &kind == b"moov";
        self.has_begun |= matches!(&kind, b"moov" | b"mdat" | b"moof");
        let end = self.at.saturating_add(size);
        let is_kept = &kind == b"moof" && size <= FRAGMENT_BYTES.min(self.fragment_bytes_left);
        let kept = is_kept.then_some(Keep::Range(self.at..end));
        if is_kept {
            self.fragment_bytes_left -= size;
        }
        self.at = end;
        self.boxes_left -= 1;
        self.is_over |= self.boxes_left == 0;
        kept
    }
}

/// The size of a box by its header, up to all bytes that are `left`, and its type; `None` if it is no box.
fn size_of(header: &[u8], left: u64) -> Option<(u64, [u8; 4])> {
    let kind: [u8; 4] = *header.get(4..)?.first_chunk()?;
    let (size, least) = match u32::from_be_bytes(*header.first_chunk()?) {
        0 => (left, 8),
        1 => (u64::from_be_bytes(*header.get(8..)?.first_chunk()?), 16),
        size => (u64::from(size), 8),
    };
    (is_kind(kind) && size >= least).then_some((size, kind))
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{FTYP, fragment, init, mdat};
    use super::*;

    /// What following a file in blocks of this size shows.
    fn follow(file: &[u8], block_bytes: usize) -> (FollowedBoxes, usize) {
        let (mut follower, mut kept, total) = (BoxFollower::new(), 0, file.len() as u64);
        for (number, block) in file.chunks(block_bytes).enumerate() {
            let at = (number * block_bytes) as u64;
            kept += follower.follow(total, at, block).len();
        }
        (follower.followed(), kept)
    }

    fn fragments() -> Vec<u8> {
        let fragments = (0..20).map(|number| fragment(Some(number * 2000), 2000, 900));
        [init(b""), fragments.collect::<Vec<_>>().concat()].concat()
    }

    #[test]
    fn boxes_that_follow_each_other_are_whole() {
        for block_bytes in [7, 100, 1 << 20] {
            let (followed, kept) = follow(&fragments(), block_bytes);
            assert_eq!((followed, kept), (FollowedBoxes::default(), 2 + 3 * 20));
        }
        let to_the_end = [fragments(), b"\0\0\0\0mdat".to_vec(), vec![0; 5000]].concat();
        assert_eq!(follow(&to_the_end, 999).0, FollowedBoxes::default());
    }

    #[rstest::rstest]
    #[case::zeros(0)]
    #[case::no_type(7)]
    fn bytes_where_a_box_should_begin_are_found(#[case] byte: u8) {
        let mut file = fragments();
        let at = file.len() - fragment(Some(0), 2000, 900).len();
        file[at..at + 300].fill(byte);
        for block_bytes in [7, 1 << 20] {
            assert_eq!(follow(&file, block_bytes).0.broken_at, Some(at as u64));
        }
    }

    #[test]
    fn a_second_file_is_found() {
        let first = fragments();
        let second_at = Some(first.len() as u64);
        for second in [fragments(), fragments()[FTYP.len()..].to_vec()] {
            let file = [first.clone(), second].concat();
            assert_eq!(follow(&file, 1000).0.second_at, second_at);
        }
        assert_eq!(
            follow(&[FTYP, FTYP, &mdat(9)].concat(), 99).0.second_at,
            None
        );
    }

    #[test]
    fn nothing_is_reported_for_a_file_of_which_a_block_was_left_out() {
        let mut file = fragments();
        let total = file.len() as u64;
        file[5000..].fill(0);
        let mut follower = BoxFollower::new();
        follower.follow(total, 0, &file[..100]);
        follower.follow(total, 4000, &file[4000..]);
        assert_eq!(follower.followed(), FollowedBoxes::default());
    }
}
