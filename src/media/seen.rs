//! The stretches of a file that were read so far: a parser takes bytes from here, or learns which to ask for.

use std::ops::Range;

/// How much is asked for at once, in bytes: a round trip costs more than this does.
pub(super) const READ_BYTES: u64 = 64 * 1024;

/// Why a parser could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// These bytes of the file have to be read first.
    Want(Range<u64>),
    /// What the parser looks for would lie beyond the end of the file.
    PastEnd,
    /// The file has more parts than are worth looking at.
    TooMany,
}

/// Parts of one file.
#[derive(Debug)]
pub(super) struct Seen {
    total_bytes: u64,
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }

    /// What lies from `offset` on.
    fn from(&self, offset: u64) -> Option<&[u8]> {
        let skipped = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(skipped..)
    }
}

impl Seen {
    pub(super) fn new(total_bytes: u64) -> Self {
        Self {
            total_bytes,
            windows: Vec::new(),
        }
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(super) fn add(&mut self, start: u64, bytes: &[u8]) {
        match self.windows.iter_mut().find(|window| window.end() == start) {
            Some(before) => before.bytes.extend_from_slice(bytes),
            None => self.windows.push(Window {
                start,
                bytes: bytes.to_vec(),
            }),
        }
    }

    /// The `N` bytes at `offset`.
    pub(super) fn at<const N: usize>(&self, offset: u64) -> Result<[u8; N], Stop> {
        self.some(offset, N as u64)?
            .first_chunk()
            .copied()
            .ok_or(Stop::PastEnd)
    }

    /// At least `length` bytes from `offset` on: as many as there are in one piece.
    pub(super) fn some(&self, offset: u64, length: u64) -> Result<&[u8], Stop> {
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.total_bytes)
        {
            return Err(Stop::PastEnd);
        }
        let longest = self
            .windows
            .iter()
            .filter_map(|window| window.from(offset))
            .max_by_key(|bytes| bytes.len());
        let there = longest.unwrap_or_default();
        if there.len() as u64 >= length {
            return Ok(there);
        }
        let start = offset + there.len() as u64;
        Err(Stop::Want(
            start..start.saturating_add(READ_BYTES).min(self.total_bytes),
        ))
    }

    /// What was read of the file's first `most` bytes.
    pub(super) fn head(&self, most: usize) -> &[u8] {
        let bytes = self
            .windows
            .iter()
            .find_map(|window| window.from(0))
            .unwrap_or_default();
        &bytes[..bytes.len().min(most)]
    }
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
        seen.add(12, b"cd");
        assert_eq!(seen.at::<4>(10), Ok(*b"abcd"));
    }

    #[test]
    fn nothing_is_asked_for_beyond_the_end() {
        assert_eq!(Seen::new(100).at::<4>(97), Err(Stop::PastEnd));
        assert_eq!(Seen::new(100).at::<4>(u64::MAX), Err(Stop::PastEnd));
    }
}
