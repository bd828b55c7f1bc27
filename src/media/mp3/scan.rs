//! Counts the frames in a stretch of an mp3. It knows no tags and no file.

use super::frame::Frame;

/// Content of a stretch of bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) frames: u64,
    /// Bytes of these frames.
    pub(super) bytes: u64,
    /// The common bit rate of all frames, or that it differs.
    pub(super) rate: Rate,
    /// Where the longest run of bytes that are no frames begins, and its length.
    pub(super) gap: (usize, usize),
    /// Offset of a frame with totals, or of a tag, between frames: another file begins there.
    pub(super) second_at: Option<usize>,
}

/// Bit rates of several frames.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    #[default]
    Unknown,
    Constant(u16),
    Varying,
}

impl Rate {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, rate) | (rate, Self::Unknown) => rate,
            (Self::Constant(one), Self::Constant(two)) if one == two => self,
            (Self::Constant(_) | Self::Varying, Self::Constant(_) | Self::Varying) => Self::Varying,
        }
    }
}

/// Scans all of `bytes`, in which frames like `first` are expected; they may begin and end inside a frame.
pub(super) fn scan(bytes: &[u8], first: Frame) -> Scan {
    let mut scan = Scan::default();
    let (mut at, mut gap_at, mut tag_at) = (0, 0, None);
    while at < bytes.len() {
        let frame =
            Frame::in_bytes(bytes, at, first).filter(|frame| is_frame(bytes, at, *frame, first));
        let Some(frame) = frame else {
            // Every frame begins with this byte.
            let next = bytes[at + 1..].iter().position(|byte| *byte == 0xff);
            at = next.map_or(bytes.len(), |next| at + 1 + next);
            continue;
        };
        scan.note_gap(gap_at, at);
        let end = at + frame.length_bytes();
        if end <= bytes.len() {
            scan.frames += 1;
            scan.bytes += frame.length_bytes() as u64;
        }
        let has_totals = frame.has_totals(&bytes[at..]);
        let second_at = tag_at.or((has_totals && scan.frames > 1).then_some(at));
        scan.second_at = scan.second_at.or(second_at);
        // The frame with totals may have another bit rate than the sound.
        if !has_totals {
            scan.rate = scan.rate.and(Rate::Constant(frame.kbps));
        }
        at = end;
        gap_at = end;
        tag_at = has_tag(bytes, end).then_some(end);
    }
    scan.note_gap(gap_at, bytes.len());
    scan
}

/// Whether it is a frame: another one, a tag, or the end of the stretch follows.
fn is_frame(bytes: &[u8], at: usize, frame: Frame, first: Frame) -> bool {
    let next_at = at + frame.length_bytes();
    match bytes.get(next_at..next_at + 4) {
        None | Some([b'I', b'D', b'3', _] | [b'T', b'A', b'G', _] | b"APET") => true,
        Some(_) => Frame::in_bytes(bytes, next_at, first).is_some(),
    }
}

fn has_tag(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(b"ID3"))
}

impl Scan {
    fn note_gap(&mut self, from: usize, to: usize) {
        let length = to.saturating_sub(from);
        if length > self.gap.1 {
            self.gap = (from, length);
        }
    }
}
