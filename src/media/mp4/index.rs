//! Reads the segment index (`sidx`) of a fragmented file: where the fragments end that it lists. It knows no fragment.

use super::boxes::{BoxHeader, Boxes};
use crate::media::seen::Stop;

/// Maximum number of entries that are read.
const MAX_ENTRIES: u64 = 16_384;
const ENTRY_BYTES: u64 = 12;
/// The size of a fragment, next to a flag.
const SIZE_BITS: u32 = 0x7fff_ffff;

/// Where the last fragment of an index ends; `None` if that is unknown, or the index is not in memory.
pub(super) fn end(boxes: &Boxes<'_>, sidx: &BoxHeader) -> Option<u64> {
    read_end(boxes, sidx).ok().flatten()
}

fn read_end(boxes: &Boxes<'_>, sidx: &BoxHeader) -> Result<Option<u64>, Stop> {
    let is_long = boxes.version(sidx)? > 0;
    // Flags, an id, a timescale, and the first time.
    let (offset, entries_at) = if is_long {
        (boxes.u64(sidx, 20)?, 28)
    } else {
        (u64::from(boxes.u32(sidx, 16)?), 20)
    };
    let entries = u64::from(boxes.u16(sidx, entries_at + 2)?);
    if entries > MAX_ENTRIES {
        return Ok(None);
    }
    let mut end = sidx.end.saturating_add(offset);
    for entry in 0..entries {
        let size = boxes.u32(sidx, entries_at + 4 + entry * ENTRY_BYTES)?;
        end = end.saturating_add(u64::from(size & SIZE_BITS));
    }
    Ok(Some(end))
}
