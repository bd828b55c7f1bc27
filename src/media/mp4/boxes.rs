//! Reads the headers of boxes, one after the other. It knows no box's content.

use crate::media::seen::{Seen, Stop};

/// The size and type of a box.
pub(super) const HEADER_BYTES: u64 = 8;
/// Header with a 64-bit size.
const LONG_HEADER_BYTES: u64 = 16;

/// Maximum number of boxes inside fragments.
const MAX_INSIDE: u32 = 200_000;

/// One box; its body may end beyond the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BoxHeader {
    pub(super) kind: [u8; 4],
    pub(super) start: u64,
    pub(super) body: u64,
    pub(super) end: u64,
}

/// Content at an offset where a box may begin.
pub(super) enum NextBox {
    Box(BoxHeader),
    /// Fewer bytes than a header has.
    End,
    /// Bytes that are no header: nothing after them can be found.
    Junk,
}

/// A reader of boxes that stops after a number of them.
pub(super) struct Boxes<'a> {
    pub(super) seen: &'a Seen,
    pub(super) left: u32,
    /// The same for boxes inside fragments, of which there are many.
    left_inside: u32,
}

impl<'a> Boxes<'a> {
    pub(super) fn new(seen: &'a Seen, most: u32) -> Self {
        Self {
            seen,
            left: most,
            left_inside: MAX_INSIDE,
        }
    }

    /// Reads boxes inside a fragment.
    pub(super) fn inside<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.left, &mut self.left_inside);
        let found = read(self);
        std::mem::swap(&mut self.left, &mut self.left_inside);
        found
    }

    /// The box at `at`, which must begin before `end`.
    pub(super) fn next(&mut self, at: u64, end: u64) -> Result<NextBox, Stop> {
        let end = end.min(self.seen.total_bytes());
        if at.checked_add(HEADER_BYTES).is_none_or(|body| body > end) {
            return Ok(NextBox::End);
        }
        self.left = self.left.checked_sub(1).ok_or(Stop::TooMany)?;
        let [s0, s1, s2, s3, kind @ ..] = self.seen.at::<8>(at)?;
        if !is_kind(kind) {
            return Ok(NextBox::Junk);
        }
        let (size, header_bytes) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => (end - at, HEADER_BYTES),
            1 => match self.seen.at(at + HEADER_BYTES) {
                Ok(size) => (u64::from_be_bytes(size), LONG_HEADER_BYTES),
                // The file ends inside this header, so the box cannot be smaller than that.
                Err(Stop::PastEnd) => (LONG_HEADER_BYTES, LONG_HEADER_BYTES),
                Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
            },
            size => (u64::from(size), HEADER_BYTES),
        };
        if size < header_bytes {
            return Ok(NextBox::Junk);
        }
        Ok(NextBox::Box(BoxHeader {
            kind,
            start: at,
            body: at + header_bytes,
            end: at.saturating_add(size),
        }))
    }

    /// The boxes inside `parent`, none of which ends after it.
    pub(super) fn children(&mut self, parent: &BoxHeader) -> Result<Vec<BoxHeader>, Stop> {
        self.children_from(parent.body, parent.end)
    }

    /// The boxes from `at` on.
    pub(super) fn children_from(&mut self, at: u64, end: u64) -> Result<Vec<BoxHeader>, Stop> {
        let (mut at, mut children) = (at, Vec::new());
        while let NextBox::Box(mut header) = self.next(at, end)? {
            at = header.end;
            header.end = header.end.min(end);
            children.push(header);
        }
        Ok(children)
    }

    /// The first box of this type inside `parent`.
    pub(super) fn child(
        &mut self,
        parent: &BoxHeader,
        kind: [u8; 4],
    ) -> Result<Option<BoxHeader>, Stop> {
        let children = self.children(parent)?;
        Ok(children.into_iter().find(|child| child.kind == kind))
    }

    /// The bytes at `at` of the body of a box; `PastEnd` where it has fewer.
    pub(super) fn field<const N: usize>(
        &self,
        header: &BoxHeader,
        at: u64,
    ) -> Result<[u8; N], Stop> {
        let at = header.body.saturating_add(at);
        if at.saturating_add(N as u64) > header.end {
            return Err(Stop::PastEnd);
        }
        self.seen.at(at)
    }

    pub(super) fn u32(&self, header: &BoxHeader, at: u64) -> Result<u32, Stop> {
        Ok(u32::from_be_bytes(self.field(header, at)?))
    }

    pub(super) fn u64(&self, header: &BoxHeader, at: u64) -> Result<u64, Stop> {
        Ok(u64::from_be_bytes(self.field(header, at)?))
    }

    pub(super) fn u16(&self, header: &BoxHeader, at: u64) -> Result<u16, Stop> {
        Ok(u16::from_be_bytes(self.field(header, at)?))
    }

    pub(super) fn version(&self, header: &BoxHeader) -> Result<u8, Stop> {
        Ok(self.field::<1>(header, 0)?[0])
    }

    /// The flags after a version.
    pub(super) fn flags(&self, header: &BoxHeader) -> Result<u32, Stop> {
        Ok(self.u32(header, 0)? & 0x00ff_ffff)
    }
}

/// Types are printable; `QuickTime` begins some with a copyright sign.
pub(super) fn is_kind(kind: [u8; 4]) -> bool {
    kind.iter()
        .all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9)
}
