//! An MP4 file of any size that says it plays for any time; computed, not stored.

use std::sync::LazyLock;

use bytes::Bytes;

use super::filler;

const SAMPLE: &[u8] = include_bytes!("../../samples/sample.mp4");
/// The sample's own length: what a player shows, whatever the headers say.
const SAMPLE_MS: u64 = 2000;
/// Size and type of a box.
const BOX_HEADER: usize = 8;
/// About 7.5 MB a minute: what the service makes.
const BYTES_PER_SECOND: u64 = 125_000;

/// The sample with another length in its headers, and a `free` box that makes it `size_bytes` long.
///
/// A player shows the sample's 2 s, and then a still image.
#[derive(Debug, Clone, Copy)]
pub struct Mp4 {
    size_bytes: u64,
    duration_ms: u64,
}

/// How long a file of this size plays at the service's data rate; no shorter than the sample.
pub fn usual_duration_ms(size_bytes: u64) -> u64 {
    (size_bytes.saturating_mul(1000) / BYTES_PER_SECOND).max(SAMPLE_MS)
}

impl Mp4 {
    /// At least as large as the sample, at most 4 GiB and as long as its clocks can count.
    pub fn new(size_bytes: u64, duration_ms: u64) -> Self {
        let smallest = (SAMPLE.len() + BOX_HEADER) as u64;
        let longest_ms = CLOCKS
            .iter()
            .map(|clock| u64::from(u32::MAX) * 1000 / clock.ticks_per_second)
            .min();
        Self {
            size_bytes: size_bytes.max(smallest).min(u64::from(u32::MAX)),
            duration_ms: duration_ms.min(longest_ms.unwrap_or_default()),
        }
    }

    pub fn len(self) -> u64 {
        self.size_bytes
    }

    pub fn duration_ms(self) -> u64 {
        self.duration_ms
    }

    pub fn read(self, offset: u64, end: u64) -> Bytes {
        let head_bytes = SAMPLE.len() + BOX_HEADER;
        if offset >= head_bytes as u64 {
            return filler::read(offset, end);
        }
        let mut bytes =
            self.head()[super::index(offset)..super::index(end).min(head_bytes)].to_vec();
        bytes.extend_from_slice(&filler::read(head_bytes as u64, end));
        bytes.into()
    }

    /// The sample with its new length, and the header of the `free` box.
    fn head(self) -> Vec<u8> {
        let mut head = SAMPLE.to_vec();
        for clock in CLOCKS.iter() {
            let ticks =
                u32::try_from(self.duration_ms * clock.ticks_per_second / 1000).unwrap_or(u32::MAX);
            head[clock.length_at..clock.length_at + 4].copy_from_slice(&ticks.to_be_bytes());
        }
        let free_box = u32::try_from(self.size_bytes - SAMPLE.len() as u64).unwrap_or(u32::MAX);
        head.extend_from_slice(&free_box.to_be_bytes());
        head.extend_from_slice(b"free");
        head
    }
}

/// The position of a length in the sample, and its unit.
struct Clock {
    length_at: usize,
    ticks_per_second: u64,
}

/// Every length in the sample's headers, which are all of version 0.
static CLOCKS: LazyLock<Vec<Clock>> = LazyLock::new(|| {
    let mut clocks = Vec::new();
    find_clocks(0, SAMPLE.len(), &mut 0, &mut clocks);
    clocks
});

fn find_clocks(start: usize, end: usize, movie_ticks: &mut u64, clocks: &mut Vec<Clock>) {
    let mut at = start;
    while at + BOX_HEADER <= end {
        let size = number(at) as usize;
        let body = at + BOX_HEADER;
        match &SAMPLE[at + 4..body] {
            b"moov" | b"trak" | b"mdia" | b"edts" => {
                find_clocks(body, at + size, movie_ticks, clocks);
            }
            b"mvhd" => {
                *movie_ticks = number(body + 12).into();
                clocks.push(Clock {
                    length_at: body + 16,
                    ticks_per_second: *movie_ticks,
                });
            }
            b"mdhd" => clocks.push(Clock {
                length_at: body + 16,
                ticks_per_second: number(body + 12).into(),
            }),
            // These two use the movie's unit, which precedes them.
            b"tkhd" => clocks.push(Clock {
                length_at: body + 20,
                ticks_per_second: *movie_ticks,
            }),
            b"elst" => clocks.push(Clock {
                length_at: body + 8,
                ticks_per_second: *movie_ticks,
            }),
            _ => {}
        }
        at += size;
    }
}

fn number(at: usize) -> u32 {
    SAMPLE[at..]
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .expect("the sample is whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mp4_is_filled_up_with_a_free_box() {
        let bytes = Mp4::new(50_000, 2000).read(0, 50_000);
        assert_eq!(bytes.len(), 50_000);
        assert_eq!(&bytes[SAMPLE.len() + 4..SAMPLE.len() + 8], b"free");
    }

    #[test]
    fn every_header_says_the_planned_length() {
        let head = Mp4::new(0, 90_500).head();
        let lengths: Vec<u64> = CLOCKS
            .iter()
            .map(|clock| {
                let ticks = u32::from_be_bytes(
                    head[clock.length_at..clock.length_at + 4]
                        .try_into()
                        .unwrap(),
                );
                u64::from(ticks) * 1000 / clock.ticks_per_second
            })
            .collect();
        assert_eq!(
            lengths, [90_500; 7],
            "one movie, and three for each of its two tracks"
        );
    }

    #[test]
    fn nothing_but_the_lengths_differs_from_the_sample() {
        let head = Mp4::new(0, SAMPLE_MS).head();
        let differing: Vec<usize> = (0..SAMPLE.len())
            .filter(|at| head[*at] != SAMPLE[*at])
            .collect();
        // The sound's own clock counted 64 ms more, which its edit list skips.
        assert_eq!(differing, [1352]);
    }

    #[test]
    fn a_large_file_plays_as_long_as_the_services_would() {
        assert_eq!(usual_duration_ms(7_500_000), 60_000);
        assert_eq!(usual_duration_ms(1), SAMPLE_MS);
    }
}
