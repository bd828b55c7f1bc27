//! What counting the frames of an mp3 from the first to the last has shown. It knows no format.

/// The frames of a file that passed by without a block being left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CountedFrames {
    /// Where the first one begins.
    pub(super) start: u64,
    pub(super) frames: u64,
    /// Where the last one ends.
    pub(super) end: u64,
    /// Where the first long stretch without frames begins that is followed by others.
    pub(super) hole_at: Option<u64>,
    /// Where a tag stands that is followed by more frames: another file begins there.
    pub(super) second_at: Option<u64>,
}
