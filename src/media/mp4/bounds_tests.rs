//! Files with more parts than a writer makes, or parts that are too short: a look at them takes few steps and does not accept them.

use std::time::Duration;

use super::super::samples::{
    FTYP, MEDIA_AT, fragment, init, mdat, moov, mp4_box, mvhd, numbers, plain, probe, shorten,
    trak, trak_of_fragments,
};
use super::boxes::{BoxHeader, Boxes};
use super::fragments::Fragment;
use super::movie::MAX_TRACKS;
use super::*;
use crate::media::found::Coverage;

#[test]
fn tracks_and_parts_of_a_hostile_file_are_not_multiplied() {
    let traks = b"\0\0\0\x08trak".repeat(49_000);
    let parts = |count| mp4_box("moof", &b"\0\0\0\x08traf".repeat(count));
    let movie = moov(&[mvhd(0, 1000, 0), mp4_box("mvex", b""), traks]);
    let file = [FTYP.to_vec(), movie, parts(100_000), parts(99_990)].concat();
    let probed = probe(&file);
    assert_eq!(probed.coverage, Coverage::ReadsRanOut);
    assert_eq!((probed.tracks.len(), probed.flaw), (0, None));
}

#[test]
fn a_file_has_as_many_tracks_as_are_read() {
    let file = |tracks: usize| {
        let track = trak("soun", 0, 1000, 4000, MEDIA_AT);
        let boxes = [vec![mvhd(0, 1000, 4000)], vec![track; tracks]].concat();
        [FTYP.to_vec(), mdat(100), moov(&boxes)].concat()
    };
    let most = probe(&file(MAX_TRACKS));
    assert_eq!((most.tracks.len(), most.flaw), (MAX_TRACKS, None));
    assert_eq!(probe(&file(MAX_TRACKS + 1)).coverage, Coverage::ReadsRanOut);
}

#[test]
fn parts_without_a_track_and_samples_are_not_kept() {
    let moof = mp4_box("moof", &b"\0\0\0\x08traf".repeat(1000));
    let (total, kind) = (moof.len() as u64, *b"moof");
    let mut seen = Seen::new(total);
    seen.add(0, &moof);
    let header = BoxHeader {
        kind,
        start: 0,
        body: 8,
        end: total,
    };
    let read = Fragment::read(&mut Boxes::new(&seen, MAX_PARTS), &header);
    assert_eq!(read.unwrap().count_parts(), 0);
}

#[test]
fn each_part_of_a_fragment_belongs_to_one_track() {
    let boxes = [
        mvhd(0, 1000, 0),
        trak_of_fragments("soun"),
        trak_of_fragments("vide"),
        mp4_box("mvex", b""),
    ];
    let file = [FTYP.to_vec(), moov(&boxes), fragment(Some(0), 4000, 900)].concat();
    let lasts = probe(&file).tracks.into_iter().map(|track| track.duration);
    let lasts: Vec<_> = lasts.collect();
    assert_eq!(lasts, [Some(Duration::from_secs(4)), Some(Duration::ZERO)]);
}

#[rstest::rstest]
fn a_box_of_a_plain_file_that_is_too_short_for_its_fields_is_a_flaw(
    #[values("mvhd", "tkhd", "mdhd", "hdlr", "stsd", "stts", "stsc", "stsz", "stco")] kind: &str,
) {
    let mut file = plain(4000);
    shorten(&mut file, kind);
    let probed = probe(&file);
    assert!(probed.flaw.is_some(), "{probed:?}");
}

#[rstest::rstest]
fn a_box_of_a_fragmented_file_that_is_too_short_for_its_fields_is_a_flaw(
    #[values("tkhd", "mdhd", "hdlr", "stsd", "stco", "tfhd", "tfdt", "trun")] kind: &str,
) {
    let mut file = [init(b""), fragment(Some(0), 4000, 900)].concat();
    shorten(&mut file, kind);
    let probed = probe(&file);
    assert!(probed.flaw.is_some(), "{probed:?}");
}

#[test]
fn a_table_of_times_without_a_body_does_not_end_the_look() {
    let trex = mp4_box("trex", &numbers(&[0, 1, 1, 0, 0, 0]));
    let mut boxes = [
        mvhd(0, 1000, 0),
        trak("soun", 0, 1000, 4000, MEDIA_AT),
        mp4_box("mvex", &trex),
    ];
    shorten(&mut boxes[1], "stts");
    let file = [FTYP.to_vec(), mdat(100), moov(&boxes)].concat();
    let probed = probe(&file);
    assert_eq!(
        (probed.tracks.len(), probed.flaw),
        (1, Some(Flaw::NotPlayable))
    );
}
