//! The parts of a file that are in memory: a parser takes bytes from here, or learns which to request. It knows no
//! format.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::media::counted::CountedFrames;
use crate::media::followed::FollowedBoxes;

/// Bytes per request: a round trip costs more than these.
pub(super) const READ_BYTES: u64 = 64 * 1024;
/// Maximum bytes of a file's end in one request.
pub(super) const TAIL_BYTES: u64 = 3 * 1024 * 1024;

/// No compressed sample begins with this many zero bytes.
const ZERO_BYTES: u64 = 4096;

/// Why a parser could not continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// These bytes of the file have to be read first.
    Want(Range<u64>),
    /// The bytes that the parser needs would be beyond the end of the file.
    PastEnd,
    /// The file has more parts than are worth reading.
    TooMany,
}

/// Parts of one file: windows that neither overlap nor touch, by their start.
#[derive(Debug)]
pub(super) struct Seen {
    total_bytes: u64,
    windows: BTreeMap<u64, Bytes>,
    /// What was counted while the file passed by.
    pub(super) frames: Option<CountedFrames>,
    pub(super) boxes: FollowedBoxes,
    /// Long runs of zero bytes among what passed by.
    pub(super) long_zeros: Vec<Range<u64>>,
}

impl Seen {
    pub(super) fn new(total_bytes: u64) -> Self {
        Self {
            total_bytes,
            windows: BTreeMap::new(),
            frames: None,
            boxes: FollowedBoxes::default(),
            long_zeros: Vec::new(),
        }
    }

    /// A file of which all bytes are known.
    pub(super) fn of_file(file: Bytes) -> Self {
        let mut seen = Self::new(file.len() as u64);
        seen.windows.insert(0, file);
        seen
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Adds what was read at `start`. Known bytes and bytes after the end of the file are ignored.
    pub(super) fn add(&mut self, start: u64, bytes: &[u8]) {
        let room = self.total_bytes.saturating_sub(start);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if bytes.is_empty() {
            return;
        }
        let before = self.windows.range_mut(..=start).next_back();
        let key = match before {
            Some((key, window)) if end_of(*key, window) >= start => {
                let known = usize::try_from(end_of(*key, window) - start).unwrap_or(usize::MAX);
                extend(window, bytes.get(known..).unwrap_or_default());
                *key
            }
            Some(_) | None => {
                self.windows.insert(start, Bytes::copy_from_slice(bytes));
                start
            }
        };
        self.merge_following(key);
    }

    /// Merges windows that the one at `key` has reached into it.
    fn merge_following(&mut self, key: u64) {
        loop {
            let end = self
                .windows
                .get(&key)
                .map_or(key, |window| end_of(key, window));
            let Some(next) = self
                .windows
                .range(key.saturating_add(1)..=end)
                .map(|(next, _)| *next)
                .next()
            else {
                return;
            };
            let (Some(tail), Some(window)) =
                (self.windows.remove(&next), self.windows.get_mut(&key))
            else {
                return;
            };
            let known = usize::try_from(end - next).unwrap_or(usize::MAX);
            extend(window, tail.get(known..).unwrap_or_default());
        }
    }

    /// The `N` bytes at `offset`.
    pub(super) fn at<const N: usize>(&self, offset: u64) -> Result<[u8; N], Stop> {
        self.some(offset, N as u64)?
            .first_chunk()
            .copied()
            .ok_or(Stop::PastEnd)
    }

    /// At least `length` bytes from `offset` on: as many as are in one piece.
    pub(super) fn some(&self, offset: u64, length: u64) -> Result<&[u8], Stop> {
        self.piece(offset, length, READ_BYTES)
    }

    /// Exactly the bytes of `range`, requested in one read regardless of their number.
    pub(super) fn whole(&self, range: Range<u64>) -> Result<&[u8], Stop> {
        let length = range.end.saturating_sub(range.start);
        let bytes = self.piece(range.start, length, length)?;
        Ok(&bytes[..bytes
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX))])
    }

    fn piece(&self, offset: u64, length: u64, read_bytes: u64) -> Result<&[u8], Stop> {
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.total_bytes)
        {
            return Err(Stop::PastEnd);
        }
        let there = self.from(offset);
        if there.len() as u64 >= length {
            return Ok(there);
        }
        let start = offset + there.len() as u64;
        let missing = (offset + length - start).max(read_bytes);
        let end = start.saturating_add(missing).min(self.total_bytes);
        let next = self.windows.range(start..end).next();
        Err(Stop::Want(
            start..next.map_or(end, |(next, _)| (*next).min(end)),
        ))
    }

    /// What is known from `offset` on, in one piece.
    fn from(&self, offset: u64) -> &[u8] {
        let window = self.windows.range(..=offset).next_back();
        window
            .and_then(|(start, bytes)| bytes.get(usize::try_from(offset - start).ok()?..))
            .unwrap_or_default()
    }

    /// Whether a long run of zero bytes is known from `offset` on.
    pub(super) fn has_zeros_at(&self, offset: u64) -> bool {
        let mut runs = self.long_zeros.iter();
        runs.any(|run| run.start <= offset && offset.saturating_add(ZERO_BYTES) <= run.end)
    }

    /// What is known of the file's first `most` bytes.
    pub(super) fn head(&self, most: usize) -> &[u8] {
        let bytes = self.from(0);
        &bytes[..bytes.len().min(most)]
    }
}

/// Appends to a window, in place unless another holder shares its memory.
fn extend(window: &mut Bytes, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut longer = BytesMut::from(std::mem::take(window));
    longer.extend_from_slice(bytes);
    *window = longer.freeze();
}

fn end_of(start: u64, window: &[u8]) -> u64 {
    start.saturating_add(window.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_asked_for() {
        let mut seen = Seen::new(100);
        assert_eq!(seen.at::<4>(10), Err(Stop::Want(10..100)));
        seen.add(10, b"ab");
        assert_eq!(
            seen.at::<4>(10),
            Err(Stop::Want(12..100)),
            "only what is missing"
        );
        seen.add(14, b"e");
        assert_eq!(
            seen.at::<4>(10),
            Err(Stop::Want(12..14)),
            "only up to what is known"
        );
        seen.add(12, b"cd");
        assert_eq!(seen.at::<4>(10), Ok(*b"abcd"));
        assert_eq!(seen.at::<5>(10), Ok(*b"abcde"));
    }

    #[test]
    fn nothing_is_asked_for_beyond_the_end() {
        assert_eq!(Seen::new(100).at::<4>(97), Err(Stop::PastEnd));
        assert_eq!(Seen::new(100).at::<4>(u64::MAX), Err(Stop::PastEnd));
    }

    #[test]
    fn a_file_that_is_known_as_a_whole_is_neither_read_nor_changed() {
        let file = Bytes::from_static(b"0123456789");
        let mut seen = Seen::of_file(file.clone());
        seen.add(4, b"xxxxxxxx");
        assert_eq!(seen.whole(0..10), Ok(&file[..]));
        assert_eq!(seen.head(4).as_ptr(), file.as_ptr(), "it was copied");
    }

    #[test]
    fn windows_that_overlap_become_one() {
        let file: Vec<u8> = (0..100).collect();
        let mut seen = Seen::new(100);
        for (start, end) in [
            (50, 60),
            (20, 30),
            (55, 70),
            (0, 5),
            (5, 20),
            (25, 55),
            (10, 40),
        ] {
            seen.add(start, &file[usize::try_from(start).unwrap()..end]);
        }
        assert_eq!(seen.whole(0..70), Ok(&file[..70]));
        seen.add(95, &[95, 96, 97, 98, 99, 100, 101]);
        assert_eq!(
            seen.whole(95..100),
            Ok(&file[95..]),
            "nothing lies behind the end"
        );
    }
}
