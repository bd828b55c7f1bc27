//! Finds the first frame of an mp3: where two or more frames follow each other. It knows nothing of where the sound
//! ends.

use super::frame::Frame;
use super::tags;
use crate::media::seen::{Seen, Stop};

/// How far after the tags the first frame may begin, in bytes: some writers pad.
const MAX_PADDING_BYTES: u64 = 64 * 1024;
/// From this offset on, two others must follow a first frame: junk occasionally looks like a frame.
const TRUSTED_PADDING_BYTES: u64 = 4096;
/// Frames that must follow one in free format.
const FREE_FOLLOWERS: u32 = 3;
/// How many bytes after a header in free format are searched for the next one.
const MAX_FREE_SEARCH: u64 = 8 * 1024;
/// Length of a frame in free format: its header and side information, to 640 kbit/s at 8 kHz.
const FREE_BYTES: std::ops::RangeInclusive<u16> = 24..=5761;

/// The first frame, and where it begins; `None` if there is none.
pub(super) fn first_frame(seen: &Seen) -> Result<Option<(u64, Frame)>, Stop> {
    let from = tags::sound_start(seen, 0)?;
    let end = from
        .saturating_add(MAX_PADDING_BYTES)
        .min(seen.total_bytes());
    let mut start = from;
    while start < end {
        let piece = match seen.some(start, 4.min(end - start)) {
            Ok(piece) => piece,
            Err(Stop::PastEnd) => return Ok(None),
            Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
        };
        // Every frame begins with this byte.
        let Some(skipped) = piece.iter().position(|byte| *byte == 0xff) else {
            start = start.saturating_add(piece.len() as u64);
            continue;
        };
        start = start.saturating_add(skipped as u64);
        let followers = if start - from <= TRUSTED_PADDING_BYTES {
            1
        } else {
            2
        };
        if start < end
            && let Some(frame) = frame_with_followers(seen, start, followers)?
        {
            return Ok(Some((start, frame)));
        }
        start = start.saturating_add(1);
    }
    Ok(None)
}

/// A frame followed by others of its kind: a single one could be chance.
fn frame_with_followers(seen: &Seen, start: u64, followers: u32) -> Result<Option<Frame>, Stop> {
    let Some(header) = header_at(seen, start)? else {
        return Ok(None);
    };
    if let Some(first) = Frame::read(header) {
        return Ok(is_followed(seen, start, first, followers)?.then_some(first));
    }
    // A length that is guessed needs more evidence, and is not looked for in padding.
    match Frame::read_free(header) {
        Some(first) if followers == 1 => free_frame(seen, start, first),
        Some(_) | None => Ok(None),
    }
}

/// Whether this many frames like `first` follow the one at `start`.
fn is_followed(seen: &Seen, start: u64, first: Frame, followers: u32) -> Result<bool, Stop> {
    let (mut at, mut last) = (start, first);
    for _ in 0..followers {
        at = at.saturating_add(last.length_bytes() as u64);
        let next = header_at(seen, at)?.and_then(|header| Frame::read_like(header, first));
        match next {
            Some(next) => last = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The frame at `start` in free format, whose length is the distance to the next header like its own, if more
/// follow at the same distance.
fn free_frame(seen: &Seen, start: u64, first: Frame) -> Result<Option<Frame>, Stop> {
    let bytes = seen.some(start, MAX_FREE_SEARCH.min(seen.total_bytes() - start))?;
    for distance in FREE_BYTES {
        let Some(found) = first.with_length(distance) else {
            continue;
        };
        if Frame::in_bytes(bytes, usize::from(distance), found).is_some()
            && is_followed(seen, start, found, FREE_FOLLOWERS)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn header_at(seen: &Seen, at: u64) -> Result<Option<[u8; 4]>, Stop> {
    match seen.at(at) {
        Ok(header) => Ok(Some(header)),
        Err(Stop::PastEnd) => Ok(None),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => Err(stop),
    }
}

#[cfg(test)]
mod tests {
    use crate::media::found::{Container, Flaw};
    use crate::media::samples::probe;
    use std::time::Duration;

    /// `MPEG-1`, 44.1 kHz, stereo, free format, without and with padding.
    const PLAIN: [u8; 4] = [0xff, 0xfb, 0x00, 0x04];
    const PADDED: [u8; 4] = [0xff, 0xfb, 0x02, 0x04];
    /// 320 frames of 200 kbit/s, of which every second one is padded.
    const FRAME_BYTES: usize = 653;

    fn frames(count: usize) -> Vec<u8> {
        let frame = |header: [u8; 4], length: usize| {
            let mut frame = header.to_vec();
            frame.resize(length, 0x55);
            frame
        };
        let pair = [frame(PLAIN, FRAME_BYTES), frame(PADDED, FRAME_BYTES + 1)].concat();
        pair.repeat(count / 2)
    }

    fn plays(count: u64) -> Option<Duration> {
        crate::media::duration(count * 1152, 44_100)
    }

    #[rstest::rstest]
    #[case::small(320)]
    #[case::large(20_000)]
    fn a_file_in_free_format_plays_as_long_as_its_frames(#[case] count: u32) {
        let probed = probe(&frames(usize::try_from(count).unwrap()));
        assert_eq!(
            (probed.container, probed.flaw.clone()),
            (Container::Mp3, None)
        );
        let (found, plays) = (probed.duration().unwrap(), plays(count.into()).unwrap());
        assert!(
            found.abs_diff(plays) < Duration::from_millis(500),
            "{found:?}"
        );
    }

    #[test]
    fn a_tag_before_free_format_is_stepped_over() {
        let tag = [b"ID3\x04\0\0\0\0\x10\0".to_vec(), vec![7; 2048]].concat();
        assert_eq!(probe(&[tag, frames(320)].concat()).duration(), plays(320));
    }

    #[test]
    fn a_hole_in_free_format_is_found() {
        let file = [frames(320), vec![0; 40_000], frames(320)].concat();
        let flaw = probe(&file).flaw;
        assert!(matches!(flaw, Some(Flaw::Hole { .. })), "{flaw:?}");
    }

    #[test]
    fn headers_in_free_format_at_no_common_distance_are_chance() {
        let mut file = vec![0x55; 100_000];
        for at in [0, 700, 1500, 2900, 4000] {
            file[at..at + 4].copy_from_slice(&PLAIN);
        }
        assert_eq!(probe(&file).container, Container::Unrecognised);
    }

    #[test]
    fn a_file_full_of_headers_in_free_format_ends_the_search() {
        let probed = probe(&PLAIN.repeat(50_000));
        assert!(matches!(
            probed.container,
            Container::Mp3 | Container::Unrecognised
        ));
    }
}
