//! Files that are too large to be counted, and were looked at in places only.

use std::time::Duration;

use super::super::samples::{probe, probe_passed};
use super::frame::Frame;
use crate::media::found::{Coverage, Flaw, Length};

/// `MPEG-1`, 44.1 kHz, stereo, at 128 and at 32 kbps.
const LOUD: [u8; 4] = [0xff, 0xfb, 0x90, 0x04];
const SILENT: [u8; 4] = [0xff, 0xfb, 0x10, 0x04];
/// Frames before, in and after a stretch of silence that is between two places.
const FRAMES: [usize; 3] = [4000, 1900, 6000];
/// Where the number of frames is in the first one.
const COUNT_AT: usize = 36 + 8;

fn frames(header: [u8; 4], count: usize) -> Vec<u8> {
    let mut frame = header.to_vec();
    frame.resize(Frame::read(header).unwrap().length_bytes(), 0);
    frame.repeat(count)
}

/// A file whose first frame counts this many, and names its size if it should.
fn file(counted: usize, names_size: bool) -> Vec<u8> {
    let mut file = [
        frames(LOUD, 1 + FRAMES[0]),
        frames(SILENT, FRAMES[1]),
        frames(LOUD, FRAMES[2]),
    ]
    .concat();
    let numbers = [counted, file.len()].map(|number| u32::try_from(number).unwrap().to_be_bytes());
    file[36..40].copy_from_slice(b"Xing");
    file[43] = 1;
    file[COUNT_AT..COUNT_AT + 4].copy_from_slice(&numbers[0]);
    if names_size {
        file[43] = 3;
        file[COUNT_AT + 4..COUNT_AT + 8].copy_from_slice(&numbers[1]);
    }
    file
}

fn length(frames: usize) -> Length {
    Length::Exact(crate::media::duration(frames as u64 * 1152, 44_100).unwrap())
}

#[test]
fn silence_between_the_places_does_not_make_a_good_file_a_cut_one() {
    let counted: usize = FRAMES.iter().sum();
    let sampled = probe(&file(counted, true));
    assert!(sampled.is_sampled);
    assert_eq!((sampled.flaw, sampled.coverage), (None, Coverage::Complete));
    assert_eq!(sampled.length, length(counted));
    // Where nothing but the sample speaks, it proves nothing, and what it contradicts is unknown.
    let without_size = probe(&file(counted, false));
    assert_eq!(
        (without_size.flaw, without_size.coverage),
        (None, Coverage::ReadsRanOut)
    );
    let passed = probe_passed(&file(counted, false), 1 << 20);
    assert_eq!((passed.flaw, passed.coverage), (None, Coverage::Complete));
}

#[test]
fn frames_that_were_counted_contradict_the_first_one() {
    let there: usize = FRAMES.iter().sum();
    let flaw = |counted: usize| probe_passed(&file(counted, false), 1 << 20).flaw;
    let longer = flaw(2 * there);
    let is_cut = matches!(longer, Some(Flaw::ShorterThanItsHeaders { .. }));
    assert!(is_cut, "{longer:?}");
    let shorter = flaw(there / 2);
    assert!(matches!(shorter, Some(Flaw::Surplus { .. })), "{shorter:?}");
}

#[test]
fn a_sample_that_fits_is_enough() {
    let all = frames(LOUD, 12_000);
    let probed = probe(&all);
    assert!(probed.is_sampled);
    let plays = probed.duration().unwrap();
    assert!(plays.abs_diff(Duration::from_secs(313)) < Duration::from_secs(2));
}
