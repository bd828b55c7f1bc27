//! Files of boxes, whole and broken.

use std::time::Duration;

use super::super::samples::{
    FTYP, MEDIA_AT, fragment, fragmented, init, long_mp4_box, mdat, moof, moov, mp4_box, mvhd,
    numbers, plain, probe, reads, sample, trak,
};
use super::*;
use crate::media::found::{Coverage, TrackKind};

fn picture(chunk_at: u32) -> Vec<u8> {
    trak("vide", 0, 1000, 90_500, chunk_at)
}

fn movie(chunk_at: u32) -> Vec<u8> {
    moov(&[mvhd(0, 1000, 90_500), picture(chunk_at)])
}

fn file(boxes: &[Vec<u8>]) -> Vec<u8> {
    [FTYP.to_vec(), boxes.concat()].concat()
}

#[test]
fn a_real_file_tells_its_length_and_tracks() {
    let probed = probe(&sample("sample.mp4"));
    assert_eq!(
        (probed.container, probed.flaw.clone()),
        (Container::Mp4, None)
    );
    assert_eq!(probed.duration(), Some(Duration::from_secs(2)));
    let tracks: Vec<_> = probed
        .tracks
        .iter()
        .map(|track| (track.kind, track.codec.as_deref(), track.channels))
        .collect();
    assert_eq!(
        tracks,
        [
            (TrackKind::Picture, Some("h264"), None),
            (TrackKind::Sound, Some("aac"), Some(1))
        ]
    );
}

#[rstest::rstest]
#[case::moov_first(vec![movie(16 + 8 + 400), mdat(300_000)])]
#[case::moov_last(vec![mdat(300_000), moov(&[mvhd(1, 1000, 90_500), picture(MEDIA_AT)])])]
#[case::after_a_64_bit_box(vec![long_mp4_box("mdat", &vec![0; 300_000]), movie(MEDIA_AT + 8)])]
#[case::up_to_the_end(vec![movie(16 + 8 + 400), b"\0\0\0\0mdat".to_vec(), vec![9; 300_000]])]
#[case::behind_a_large_box_of_moov(vec![mdat(9), moov(&[mp4_box("udta", &vec![1; 300_000]), mvhd(0, 1000, 90_500), picture(MEDIA_AT)])])]
#[case::by_its_longest_track(vec![mdat(9), moov(&[mvhd(0, 1000, 0), trak("vide", 0, 50, 4525, MEDIA_AT), trak("soun", 1, 16_000, 16_000, MEDIA_AT)])])]
#[case::length_of_all_ones(vec![mdat(9), moov(&[mvhd(0, 1000, u32::MAX.into()), picture(MEDIA_AT)])])]
#[case::a_tag_behind(vec![mdat(9), movie(MEDIA_AT), b"TAG".to_vec(), b"title".repeat(25)])]
#[case::a_few_bytes_behind(vec![mdat(9), movie(MEDIA_AT), vec![0; 11]])]
#[case::other_boxes_first(vec![mp4_box("uuid", &[0; 16]), mp4_box("sidx", &[0; 24]), mp4_box("emsg", &[0; 9]), mdat(900), movie(MEDIA_AT + 24 + 32 + 17)])]
#[case::thousands_of_free_boxes(vec![mdat(9), mp4_box("free", b"").repeat(5000), movie(MEDIA_AT)])]
#[case::media_that_claims_a_few_bytes_too_many(vec![movie(16 + 8 + 400), mdat(1000)[..1000].to_vec()])]
fn the_length_is_found_wherever_it_stands(#[case] boxes: Vec<Vec<u8>>) {
    let file = file(&boxes);
    let probed = probe(&file);
    assert_eq!(
        (probed.duration(), probed.flaw),
        (Some(Duration::from_millis(90_500)), None)
    );
    assert!(reads(&file) <= 3, "{} reads", reads(&file));
}

#[rstest::rstest]
#[case::no_media(vec![movie(MEDIA_AT)])]
#[case::media_elsewhere(vec![mdat(9), movie(2000)])]
#[case::a_track_without_chunks(vec![mdat(9), moov(&[mvhd(0, 1000, 90_500), mp4_box("trak", b""), picture(5)])])]
#[case::no_track(vec![mdat(9), moov(&[mvhd(0, 1000, 90_500)])])]
#[case::no_header(vec![mdat(9), moov(&[picture(MEDIA_AT)])])]
#[case::zeros(vec![mdat(9), mp4_box("moov", &[0; 500])])]
#[case::twice(vec![mdat(9), movie(MEDIA_AT), FTYP.to_vec(), mdat(9), movie(MEDIA_AT)])]
#[case::another_that_is_cut(vec![mdat(9), movie(MEDIA_AT), FTYP.to_vec(), mdat(9)])]
#[case::no_moov(vec![mdat(1000)])]
#[case::nothing_else(vec![])]
#[case::cut_in_a_header(vec![b"\0\0\0\x01mdat\0\0".to_vec()])]
#[case::cut_within_the_media(vec![movie(16 + 8 + 400 + 900), mdat(1000)[..800].to_vec()])]
#[case::cut_within_the_last_sample(vec![movie(16 + 8 + 400), mdat(1000)[..20].to_vec()])]
fn a_file_whose_media_is_missing_is_flawed(#[case] boxes: Vec<Vec<u8>>) {
    let probed = probe(&file(&boxes));
    assert!(probed.flaw.is_some(), "{probed:?}");
}

#[test]
fn a_file_cut_off_anywhere_is_flawed() {
    let whole = sample("sample.mp4");
    for cut in (24..whole.len()).step_by(97) {
        let probed = probe(&whole[..cut]);
        // The last bytes are less than a frame.
        let is_nearly_whole = whole.len() - cut <= usize::try_from(FEW_BYTES).unwrap();
        assert!(
            probed.flaw.is_some() || is_nearly_whole || probed.container != Container::Mp4,
            "cut at {cut}: {probed:?}"
        );
    }
}

#[rstest::rstest]
#[case::by_their_times(fragmented(&[(Some(0), 4000), (Some(4000), 4000), (Some(8000), 2000)]), 10_000)]
#[case::without_times(fragmented(&[(None, 4000), (None, 4000)]), 8000)]
#[case::begun_in_the_middle(fragmented(&[(Some(900_000), 4000), (Some(904_000), 4000)]), 8000)]
#[case::none(init(b""), 0)]
#[case::header_of_nothing([init(&mp4_box("mehd", &numbers(&[0, 0]))), fragment(Some(0), 3000, 8)].concat(), 3000)]
#[case::a_tag_behind([fragmented(&[(Some(0), 3000)]), b"TAG".to_vec(), vec![0; 125]].concat(), 3000)]
#[case::many_bytes(many_fragments(20, 300_000), 40_000)]
#[case::more_than_the_reads(many_fragments(120, 100_000), 240_000)]
fn a_fragmented_file_is_as_long_as_its_fragments(#[case] file: Vec<u8>, #[case] plays_ms: u64) {
    let probed = probe(&file);
    assert_eq!(probed.flaw, None);
    assert_eq!(probed.duration(), Some(Duration::from_millis(plays_ms)));
    assert_eq!(probed.coverage, Coverage::Complete);
}

/// Fragments of two seconds and this size.
fn many_fragments(number: u32, size_bytes: u32) -> Vec<u8> {
    let fragments = (0..number).map(|index| fragment(Some(index * 2000), 2000, size_bytes));
    [init(b""), fragments.collect::<Vec<_>>().concat()].concat()
}

#[rstest::rstest]
#[case::promised_more([init(&mp4_box("mehd", &numbers(&[0, 10_000]))), fragment(Some(0), 4000, 8)].concat())]
#[case::cut_in_a_fragment({ let file = many_fragments(3, 1000); file[..file.len() - 500].to_vec() })]
#[case::cut_behind_a_header([many_fragments(2, 1000), moof(Some(4000), 2000, 1000)].concat())]
#[case::cut_in_a_header([many_fragments(2, 1000), moof(Some(4000), 2000, 1000)[..50].to_vec()].concat())]
#[case::begins_again([many_fragments(30, 1000), many_fragments(30, 1000)].concat())]
#[case::times_begin_again([many_fragments(30, 1000), fragment(Some(0), 2000, 8)].concat())]
#[case::zeros_at_its_end([many_fragments(30, 1000), vec![0; 100_000]].concat())]
#[case::a_large_one_cut({ let file = many_fragments(120, 100_000); file[..file.len() - 50_000].to_vec() })]
fn a_fragmented_file_that_is_not_whole_is_flawed(#[case] file: Vec<u8>) {
    let probed = probe(&file);
    assert!(
        probed.flaw.is_some() || probed.coverage == Coverage::ReadsRanOut,
        "{probed:?}"
    );
}

#[test]
fn time_that_no_fragment_holds_is_a_gap() {
    let probed = probe(&fragmented(&[(Some(0), 4000), (Some(9000), 1000)]));
    assert_eq!(probed.gaps, Duration::from_secs(5));
    assert_eq!(probed.duration(), Some(Duration::from_secs(10)));
}

#[test]
fn a_large_fragmented_file_is_measured_from_its_end_by_two_reads() {
    let file = many_fragments(400, 50_000);
    assert_eq!(probe(&file).duration(), Some(Duration::from_secs(800)));
    assert!(reads(&file) <= 3, "{} reads", reads(&file));
}

#[test]
fn a_file_of_too_many_boxes_is_not_known() {
    let boxes = [mp4_box("free", b"").repeat(60_000), mdat(9)];
    let probed = probe(&file(&boxes));
    assert_eq!(
        (probed.duration(), probed.flaw, probed.coverage),
        (None, None, Coverage::ReadsRanOut)
    );
}

#[test]
fn boxes_in_boxes_end_where_their_parents_end() {
    let mut nested = mp4_box("trak", &[0; 8]);
    for _ in 0..200 {
        nested = mp4_box("moov", &mp4_box("trak", &mp4_box("mdia", &nested)));
    }
    let probed = probe(&[FTYP.to_vec(), mdat(9), nested].concat());
    assert_eq!(probed.flaw, Some(Flaw::EmptyMovie));
    let mut lying = plain(1000);
    let trak_at = lying.windows(4).position(|kind| kind == b"trak").unwrap() - 4;
    lying[trak_at..trak_at + 4].fill(0xff);
    assert_eq!(probe(&lying).duration(), Some(Duration::from_secs(1)));
}

#[test]
fn sound_that_begins_late_ends_with_the_picture() {
    let mut sound = trak("soun", 0, 1000, 50_500, MEDIA_AT);
    // The header of the track includes the wait before it; its first number is after `trak` and `tkhd`.
    sound[8 + 8 + 20..8 + 8 + 24].copy_from_slice(&90_500_u32.to_be_bytes());
    let file = file(&[
        mdat(9),
        moov(&[mvhd(0, 1000, 90_500), picture(MEDIA_AT), sound]),
    ]);
    let probed = probe(&file);
    let track = &probed.tracks[1];
    assert_eq!(track.duration, Some(Duration::from_millis(50_500)));
    assert_eq!(track.ends, Some(Duration::from_millis(90_500)));
}

/// A part of a fragment: samples of these durations, and a time of its own.
fn moof_of(begins: u32, durations: &[u32]) -> Vec<u8> {
    let entries: Vec<u32> = durations.iter().flat_map(|lasts| [*lasts, 4]).collect();
    let count = u32::try_from(durations.len()).unwrap();
    let trun = numbers(&[&[0x0300, count], &entries[..]].concat());
    let boxes = [
        mp4_box("tfhd", &numbers(&[0x02_0000, 1])),
        mp4_box("tfdt", &numbers(&[0, begins])),
        mp4_box("trun", &trun),
    ];
    let moof = mp4_box("moof", &mp4_box("traf", &boxes.concat()));
    [moof, mdat(4 * durations.len())].concat()
}

#[test]
fn samples_without_a_duration_leave_no_gap() {
    let parts: Vec<_> = (0..10)
        .map(|index| moof_of(index * 1000, &[if index % 2 == 0 { 0 } else { 1000 }]))
        .collect();
    let probed = probe(&[init(b""), parts.concat()].concat());
    assert_eq!(
        (probed.duration(), probed.gaps, probed.flaw),
        (Some(Duration::from_secs(10)), Duration::ZERO, None)
    );
    let small_gaps: Vec<_> = (0..10)
        .map(|index| moof_of(index * 1000, &[if index % 2 == 0 { 0 } else { 500 }]))
        .collect();
    let all = [init(b""), moof_of(0, &[1000]), small_gaps.concat()].concat();
    assert_eq!(probe(&all).gaps, Duration::ZERO);
    let jump = [all, moof_of(20_000, &[1000])].concat();
    assert_eq!(probe(&jump).gaps, Duration::from_millis(10_500));
    let last_is_unknown = probe(&[init(b""), parts[..9].concat()].concat());
    assert_eq!(last_is_unknown.duration(), None);
}

#[test]
fn the_second_part_of_a_fragment_lies_behind_the_first() {
    let part = |offset: u32| {
        let trun = numbers(&[0x0301, 1, offset, 2000, 1000]);
        let boxes = [mp4_box("tfhd", &numbers(&[0, 1])), mp4_box("trun", &trun)];
        mp4_box("traf", &boxes.concat())
    };
    let header_bytes = u32::try_from(8 + 2 * part(0).len() + 8).unwrap();
    let moof = mp4_box("moof", &[part(header_bytes), part(0)].concat());
    let file = [init(b""), moof, mdat(2000)].concat();
    assert_eq!(probe(&file).flaw, None);
    let cut = probe(&file[..file.len() - 500]);
    let declared_bytes = file.len() as u64;
    assert_eq!(
        cut.flaw,
        Some(Flaw::ShorterThanItsHeaders { declared_bytes })
    );
}

#[rstest::rstest]
#[case::behind_the_media(file(&[movie(16 + 8 + 400), mdat(9000)]))]
#[case::behind_moov(plain(1000))]
#[case::behind_fragments(many_fragments(3, 1000))]
fn bytes_behind_the_last_box_are_a_flaw_unless_they_are_padding(#[case] whole: Vec<u8>) {
    let at_byte = whole.len() as u64;
    let flaw_with = |behind: &[u8]| probe(&[&whole, behind].concat()).flaw;
    assert_eq!(flaw_with(&[0; 5000]), None);
    assert_eq!(flaw_with(&[0x9d; 2000]), None);
    let surplus = Some(Flaw::Surplus { at_byte });
    assert_eq!(flaw_with(&[0x9d; 5000]), surplus);
    assert_eq!(flaw_with(&b"JUNK".repeat(2000)), surplus);
    assert_eq!(flaw_with(&super::super::samples::wav(1, 1000)), surplus);
    assert_eq!(flaw_with(&mp4_box("skip", &[7; 5000])), None);
}

#[rstest::rstest]
#[case::no_codec(b"stsd")]
#[case::no_samples(b"stsz")]
#[case::no_times(b"stts")]
fn a_track_whose_tables_are_empty_cannot_be_played(#[case] table: &[u8; 4]) {
    let mut file = sample("sample.mp4");
    let kind_at = file.windows(4).position(|kind| kind == table).unwrap();
    let size = u32::from_be_bytes(*file[kind_at - 4..].first_chunk().unwrap());
    file[kind_at + 4..][..usize::try_from(size).unwrap() - 8].fill(0);
    assert_eq!(probe(&file).flaw, Some(Flaw::NotPlayable));
}

#[rstest::rstest]
#[case::no_media(b"mdia")]
#[case::no_kind(b"hdlr")]
#[case::no_tables(b"stbl")]
#[case::no_codec(b"stsd")]
#[case::no_sizes(b"stsz")]
#[case::no_times(b"stts")]
#[case::no_chunks(b"stsc")]
fn a_track_without_one_of_its_boxes_cannot_be_played(#[case] kind: &[u8; 4]) {
    for (file, is_fragmented) in [
        (sample("sample.mp4"), false),
        (many_fragments(3, 1000), true),
    ] {
        let Some(kind_at) = file.windows(4).position(|found| found == kind) else {
            assert!(is_fragmented);
            continue;
        };
        let without = [&file[..kind_at], b"lost", &file[kind_at + 4..]].concat();
        let flaw = probe(&without).flaw;
        assert!(
            matches!(flaw, Some(Flaw::NotPlayable | Flaw::NoMedia)),
            "{flaw:?}"
        );
    }
}

#[test]
fn sizes_of_few_bits_are_sizes() {
    let mut file = plain(1000);
    let kind_at = file.windows(4).position(|kind| kind == b"stsz").unwrap();
    file[kind_at..kind_at + 4].copy_from_slice(b"stz2");
    assert_eq!(probe(&file).flaw, None);
}

#[test]
fn a_chunk_outside_of_the_media_is_found_wherever_it_is_in_its_table() {
    let whole = sample("sample.mp4");
    let table_at = whole.windows(4).position(|kind| kind == b"stco").unwrap() + 8;
    let count = u32::from_be_bytes(*whole[table_at..].first_chunk().unwrap());
    for number in 0..usize::try_from(count).unwrap() {
        let mut file = whole.clone();
        file[table_at + 4 + 4 * number..][..4].copy_from_slice(&9_000_000_u32.to_be_bytes());
        let at_byte = 9_000_000;
        assert_eq!(probe(&file).flaw, Some(Flaw::MediaMissing { at_byte }));
    }
}

#[rstest::rstest]
#[case::its_media_is_missing([fragment(Some(0), 2000, 900), moof(Some(2000), 2000, 900), fragment(Some(4000), 2000, 900)].concat())]
#[case::its_header_is_there_twice([fragment(Some(0), 2000, 900), moof(Some(2000), 2000, 900), fragment(Some(2000), 2000, 900)].concat())]
#[case::its_track_is_not_named({
    let mut parts = [fragment(Some(0), 2000, 900), fragment(Some(2000), 2000, 900)].concat();
    let kind_at = parts.windows(4).position(|kind| kind == b"tfhd").unwrap();
    parts[kind_at..kind_at + 4].copy_from_slice(b"lost");
    parts
})]
fn a_fragment_whose_samples_are_missing_is_flawed(#[case] fragments: Vec<u8>) {
    let flaw = probe(&[init(b""), fragments].concat()).flaw;
    let is_found = matches!(flaw, Some(Flaw::MediaMissing { .. } | Flaw::NotPlayable));
    assert!(is_found, "{flaw:?}");
}

#[test]
fn the_media_of_a_file_with_few_bytes_is_measured() {
    let tracks = probe(&plain(4000)).tracks;
    assert_eq!(tracks[0].bytes_per_second, Some(2));
    let fragments = probe(&many_fragments(3, 1000)).tracks;
    assert_eq!(fragments[0].bytes_per_second, Some(500));
}
