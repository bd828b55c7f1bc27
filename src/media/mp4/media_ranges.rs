//! Where the media of a file is: the bodies of its `mdat` boxes. It knows no track.

use std::ops::Range;

/// Bodies of `mdat` boxes in the order of the file, up to its end.
#[derive(Debug, Default)]
pub(super) struct MediaRanges(Vec<Range<u64>>);

impl MediaRanges {
    /// Adds the next one. Boxes are read from the beginning to the end, so it begins after all others.
    pub(super) fn push(&mut self, body: Range<u64>) {
        self.0.push(body);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether media may be at `offset`.
    pub(super) fn contains(&self, offset: u64) -> bool {
        let next = self.0.partition_point(|media| media.start <= offset);
        let last = next.checked_sub(1).and_then(|last| self.0.get(last));
        last.is_some_and(|media| media.contains(&offset))
    }

    /// From the first byte of media to the last one.
    pub(super) fn extent(&self) -> Option<Range<u64>> {
        Some(self.0.first()?.start..self.0.last()?.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_between_two_boxes_are_no_media() {
        let mut ranges = MediaRanges::default();
        assert!(!ranges.contains(0));
        ranges.push(10..20);
        ranges.push(30..40);
        let found: Vec<u64> = (0..50).filter(|at| ranges.contains(*at)).collect();
        let expected: Vec<u64> = (10..20).chain(30..40).collect();
        assert_eq!(found, expected);
        assert_eq!(ranges.extent(), Some(10..40));
    }
}
