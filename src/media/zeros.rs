//! Finds long runs of zero bytes in a file that passes by: a disk or cache that never got the data. It knows no format.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Page size in bytes.
const PAGE_BYTES: usize = 4096;
/// Minimum run that counts, in pages: encoders pad by less.
const LEAST_PAGES: u64 = 4;

/// Pages of a long run: 64 KiB of zeros have as many, wherever they begin.
const LONG_PAGES: u64 = 15;
/// Maximum number of long runs that are kept.
const MAX_LONG: usize = 64;

/// Runs of zero bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZeroRuns {
    pub count: u64,
    /// Of all runs.
    pub bytes: u64,
    /// Where the longest one begins, and its length.
    pub longest_at: u64,
    pub longest_bytes: u64,
}

/// Finds runs of zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct ZeroFinder {
    runs: ZeroRuns,
    long: Vec<Range<u64>>,
    /// The current run: where it began, and its pages.
    begins: u64,
    pages: u64,
    ends: u64,
}

impl ZeroFinder {
    /// Takes the bytes at `offset`.
    pub(super) fn pass(&mut self, offset: u64, bytes: &[u8]) {
        for (number, page) in bytes.chunks_exact(PAGE_BYTES).enumerate() {
            // Nearly every page shows by its first bytes that it is not empty.
            if page[..8] != [0; 8] || page.iter().any(|byte| *byte != 0) {
                self.end();
                continue;
            }
            let at = offset.saturating_add((number * PAGE_BYTES) as u64);
            if self.pages == 0 || at != self.ends {
                self.end();
                self.begins = at;
            }
            self.pages += 1;
            self.ends = at.saturating_add(PAGE_BYTES as u64);
        }
    }

    fn end(&mut self) {
        let pages = std::mem::take(&mut self.pages);
        if pages < LEAST_PAGES {
            return;
        }
        let bytes = pages.saturating_mul(PAGE_BYTES as u64);
        if pages >= LONG_PAGES && self.long.len() < MAX_LONG {
            self.long.push(self.begins..self.ends);
        }
        self.runs.count += 1;
        self.runs.bytes = self.runs.bytes.saturating_add(bytes);
        if bytes > self.runs.longest_bytes {
            (self.runs.longest_at, self.runs.longest_bytes) = (self.begins, bytes);
        }
    }

    /// The runs so far.
    pub(super) fn runs(&self) -> ZeroRuns {
        self.ended().runs
    }

    /// The first of those runs that are as long as a part of a file that was never written.
    pub(super) fn long_runs(&self) -> Vec<Range<u64>> {
        self.ended().long
    }

    fn ended(&self) -> Self {
        let mut finder = self.clone();
        finder.end();
        finder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_across_blocks() {
        let mut file = vec![1; 200_000];
        file[40_960..122_880].fill(0);
        file[150_000..152_000].fill(0);
        let mut finder = ZeroFinder::default();
        for (number, block) in file.chunks(65_536).enumerate() {
            finder.pass(number as u64 * 65_536, block);
        }
        let expected = ZeroRuns {
            count: 1,
            bytes: 81_920,
            longest_at: 40_960,
            longest_bytes: 81_920,
        };
        assert_eq!(finder.runs(), expected);
        assert_eq!(finder.long_runs().first(), Some(&(40_960..122_880)));
    }

    #[test]
    fn a_run_at_the_end_counts() {
        let mut finder = ZeroFinder::default();
        finder.pass(0, &vec![0; 32_768]);
        assert_eq!(finder.runs().bytes, 32_768);
        assert_eq!(ZeroFinder::default().runs(), ZeroRuns::default());
    }
}
