//! What following the boxes of an mp4 from the first one on has shown. It knows no box's content.

/// Boxes of a file that passed by, from the first one on, without a block being left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FollowedBoxes {
    /// Where a box should begin and other bytes are.
    pub(super) broken_at: Option<u64>,
    /// Where another file begins.
    pub(super) second_at: Option<u64>,
}
