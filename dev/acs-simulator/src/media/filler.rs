//! Fills a file up to its size: with pages that differ, so that a swapped block is detected. Created once, then
//! borrowed.

use std::sync::LazyLock;

use bytes::Bytes;

/// The filling changes so often.
const PAGE_BYTES: u64 = 4096;
/// A prime, so that blocks of whole pages differ from their neighbours.
const PAGES: u64 = 251;
const PERIOD_BYTES: u64 = PAGE_BYTES * PAGES;
/// Pieces up to this size are borrowed, not copied.
const LENT_BYTES: u64 = 256 * 1024;

static POOL: LazyLock<Bytes> = LazyLock::new(|| (0..PERIOD_BYTES + LENT_BYTES).map(byte).collect());

/// The bytes of a filled file from `begin` to `end`.
pub fn read(begin: u64, end: u64) -> Bytes {
    if end.saturating_sub(begin) <= LENT_BYTES {
        return lent(begin, end.max(begin));
    }
    let starts = (begin..end).step_by(super::index(LENT_BYTES));
    let pieces = starts.map(|start| lent(start, end.min(start + LENT_BYTES)));
    pieces.collect::<Vec<_>>().concat().into()
}

fn lent(begin: u64, end: u64) -> Bytes {
    let from = super::index(begin % PERIOD_BYTES);
    POOL.slice(from..from + super::index(end - begin))
}

fn byte(at: u64) -> u8 {
    u8::try_from(at / PAGE_BYTES % PAGES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_filled_by_its_place_alone() {
        for (begin, end) in [
            (0, 10),
            (4090, 9000),
            (PERIOD_BYTES - 5, PERIOD_BYTES + 5),
            (3_000_001, 5_000_000),
            (7, 7),
        ] {
            assert_eq!(read(begin, end), (begin..end).map(byte).collect::<Vec<_>>());
        }
    }
}
