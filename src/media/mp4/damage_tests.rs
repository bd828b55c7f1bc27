//! Damage to files that are larger than what is kept of them, or whose headers do not show it.

use std::time::Duration;

use super::super::samples::{
    FTYP, fragment, fragmented, init, mdat, moof, moov, mp4_box, mvhd, numbers, probe,
    probe_passed, trak,
};
use crate::media::found::{Coverage, Flaw, ProbedMedia};

const BLOCK_BYTES: usize = 1_000_003;
const MIB: usize = 1 << 20;

/// A fixture with the ending `mp4`.
fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media");
    std::fs::read(format!("{folder}/{name}.mp4")).unwrap()
}

fn fragments(numbers: impl IntoIterator<Item = u32>, size_bytes: u32) -> Vec<u8> {
    let of = |number: u32| fragment(Some(number * 2000), 2000, size_bytes);
    [init(b""), numbers.into_iter().flat_map(of).collect()].concat()
}

/// 800 s in 20 MB: too many fragments to read them one by one.
fn large() -> Vec<u8> {
    fragments(0..400, 50_000)
}

fn is_unflawed(probed: &ProbedMedia) -> bool {
    probed.flaw.is_none() && probed.coverage == Coverage::Complete
}

fn at_of(file: &[u8], kind: [u8; 4], from: usize) -> usize {
    let kind_at = file[from..].windows(4).position(|found| found == kind);
    from + kind_at.unwrap() - 4
}

#[test]
fn a_large_fragmented_file_without_damage_agrees_with_itself() {
    let probed = probe_passed(&large(), BLOCK_BYTES);
    assert!(is_unflawed(&probed), "{probed:?}");
    assert_eq!(probed.duration(), Some(Duration::from_secs(800)));
}

#[rstest::rstest]
#[case::many_fragments(MIB)]
#[case::one_header(8)]
fn zeros_over_a_fragment_header_are_found_in_a_file_that_passed_by(#[case] length: usize) {
    let mut file = large();
    let at = at_of(&file, *b"moof", 5 * MIB);
    file[at..at + length].fill(0);
    let flaw = probe_passed(&file, BLOCK_BYTES).flaw;
    assert_eq!(flaw, Some(Flaw::Hole { at_byte: at as u64 }));
}

/// The bytes that are read for the header of a box without content belong to the next box, too.
#[rstest::rstest]
fn damage_behind_an_empty_box_at_the_edge_of_a_block_is_found(
    #[values(4, 8, 9, 12, 15, 16)] edge: usize,
) {
    let mut file = large();
    let empty_at = at_of(&file, *b"moof", 2 * MIB);
    file.splice(empty_at..empty_at, mp4_box("free", b""));
    let at = at_of(&file, *b"moof", 5 * MIB);
    file[at..at + MIB].fill(0);
    let flaw = probe_passed(&file, empty_at + edge).flaw;
    assert_eq!(flaw, Some(Flaw::Hole { at_byte: at as u64 }));
}

#[test]
fn a_fragment_header_of_a_wrong_size_is_found_in_a_file_that_passed_by() {
    let mut file = large();
    let at = at_of(&file, *b"moof", 5 * MIB);
    file[at + 1] = 0x10;
    let flaw = probe_passed(&file, BLOCK_BYTES).flaw;
    assert!(matches!(flaw, Some(Flaw::Hole { .. })), "{flaw:?}");
}

#[rstest::rstest]
#[case(MIB)]
#[case(4 * MIB)]
#[case(8 * MIB)]
fn an_end_that_was_never_written_is_a_hole(#[case] missing: usize) {
    let mut file = large();
    let from = file.len() - missing;
    file[from..].fill(0);
    let flaw = probe_passed(&file, BLOCK_BYTES).flaw;
    assert!(matches!(flaw, Some(Flaw::Hole { .. })), "{flaw:?}");
    // Reads alone do not always find it; they never take it for a whole file.
    assert!(!is_unflawed(&probe(&file)));
}

#[test]
fn a_file_with_many_fragments_is_flawed_wherever_its_last_one_is_cut() {
    let whole = fragments(0..3000, 1500);
    let last = fragment(Some(0), 2000, 1500).len();
    // Its header has 124 bytes, and that of its media 8.
    for length in [
        3,
        8,
        15,
        16,
        20,
        60,
        110,
        123,
        124,
        125,
        131,
        132,
        133,
        1000,
        last - 1,
    ] {
        let file = &whole[..whole.len() - last + length];
        for probed in [probe(file), probe_passed(file, BLOCK_BYTES)] {
            // What is less than a header may be padding.
            let is_known = probed.flaw.is_some() || length < 8;
            assert!(is_known, "{length} bytes of it: {probed:?}");
        }
    }
}

#[test]
fn a_few_zeros_behind_a_large_fragmented_file_are_padding() {
    let file = [large(), vec![0; 5000]].concat();
    for probed in [probe(&file), probe_passed(&file, BLOCK_BYTES)] {
        assert!(is_unflawed(&probed), "{probed:?}");
        assert_eq!(probed.duration(), Some(Duration::from_secs(800)));
    }
}

/// More fragments than are read one by one, though all of them pass by.
const MANY: u32 = 16_000;

#[test]
fn many_fragments_that_passed_by_are_no_flaw() {
    let probed = probe_passed(&fragments(0..MANY, 300), BLOCK_BYTES);
    assert!(is_unflawed(&probed), "{probed:?}");
    let plays = Duration::from_secs(2 * u64::from(MANY));
    assert_eq!(
        (probed.duration(), probed.gaps),
        (Some(plays), Duration::ZERO)
    );
}

#[test]
fn a_hole_between_the_fragments_that_were_followed_is_a_gap() {
    let probed = probe_passed(&fragments((0..300).chain(600..MANY), 300), BLOCK_BYTES);
    assert_eq!(probed.gaps, Duration::from_mins(10));
    let probed = probe_passed(
        &fragments((0..MANY - 600).chain(MANY - 300..MANY), 300),
        BLOCK_BYTES,
    );
    assert_eq!(probed.gaps, Duration::from_mins(10));
}

#[test]
fn a_second_file_behind_many_fragments_is_found() {
    let first = fragments(0..MANY, 300);
    let at_byte = first.len() as u64;
    let flaw = probe_passed(&first.repeat(2), BLOCK_BYTES).flaw;
    assert_eq!(flaw, Some(Flaw::SecondFile { at_byte }));
}

#[rstest::rstest]
#[case::in_memory(7200)]
#[case::larger_than_that(60_000)]
fn a_fragment_for_every_frame_is_no_reason_for_a_doubt(#[case] count: u32) {
    let frames = (0..count).map(|number| fragment(Some(number * 25), 25, 60));
    let file = [init(b""), frames.collect::<Vec<_>>().concat()].concat();
    let plays = Duration::from_millis(25 * u64::from(count));
    for probed in [probe(&file), probe_passed(&file, BLOCK_BYTES)] {
        assert!(is_unflawed(&probed), "{probed:?}");
        assert_eq!(probed.duration(), Some(plays));
    }
}

#[test]
fn a_sound_track_without_samples_ends_at_once() {
    let mut file = fixture("s10-moov-end");
    let sound = at_of(&file, *b"soun", 0);
    for (kind, count_at) in [
        (*b"stts", 12),
        (*b"stsc", 12),
        (*b"stsz", 16),
        (*b"stco", 12),
    ] {
        let at = at_of(&file, kind, sound) + count_at;
        file[at..at + 4].fill(0);
    }
    // The header of the track, and that of its media, which is before its kind.
    let last = |kind: &[u8; 4]| {
        let kind_at = file[..sound].windows(4).rposition(|found| found == kind);
        kind_at.unwrap() + 4
    };
    for at in [last(b"tkhd") + 20, last(b"mdhd") + 16] {
        file[at..at + 4].fill(0);
    }
    let probed = probe(&file);
    assert_eq!(probed.flaw, None);
    let ends: Vec<_> = probed.tracks.iter().map(|track| track.ends).collect();
    assert!(ends.contains(&Some(Duration::ZERO)), "{probed:?}");
    assert_eq!(probed.duration().unwrap().as_secs(), 10);
}

/// `moov`, then this media, in which the only chunk begins at `chunk_at`.
fn faststart(chunk_at: usize, media: &[u8]) -> Vec<u8> {
    let movie = |at: usize| {
        let at = u32::try_from(at).unwrap();
        moov(&[mvhd(0, 1000, 60_000), trak("soun", 0, 1000, 60_000, at)])
    };
    let media_at = FTYP.len() + movie(0).len() + 8;
    [
        FTYP.to_vec(),
        movie(media_at + chunk_at),
        mp4_box("mdat", media),
    ]
    .concat()
}

#[test]
fn a_chunk_of_compressed_media_in_a_long_run_of_zeros_is_a_hole() {
    let mut media = vec![7; 6 * MIB];
    media[2 * MIB..].fill(0);
    let flaw = |chunk_at| probe_passed(&faststart(chunk_at, &media), BLOCK_BYTES).flaw;
    assert!(matches!(flaw(5 * MIB), Some(Flaw::Hole { .. })));
    // Zeros where no chunk begins are a notice only.
    assert_eq!(flaw(MIB), None);
    let mut pcm = faststart(5 * MIB, &media);
    let codec_at = at_of(&pcm, *b"Opus", 0) + 4;
    pcm[codec_at..codec_at + 4].copy_from_slice(b"sowt");
    assert_eq!(probe_passed(&pcm, BLOCK_BYTES).flaw, None);
}

#[test]
fn a_fragment_whose_media_is_in_a_long_run_of_zeros_is_a_hole() {
    let mut header = moof(Some(0), 2000, 300_000);
    // Behind the kind, flags and the number of samples.
    let offset_at = at_of(&header, *b"trun", 0) + 16;
    let offset = u32::try_from(header.len() + 8 + 100_000).unwrap();
    header[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    let file = |byte: u8| {
        let media = [vec![7; 50_000], vec![byte; 350_000], vec![7; 4 * MIB]].concat();
        [init(b""), header.clone(), mp4_box("mdat", &media)].concat()
    };
    assert_eq!(probe_passed(&file(7), BLOCK_BYTES).flaw, None);
    let at_byte = (init(b"").len() + header.len() + 8 + 100_000) as u64;
    let flaw = probe_passed(&file(0), BLOCK_BYTES).flaw;
    assert_eq!(flaw, Some(Flaw::Hole { at_byte }));
}

/// A file with an index before its fragments.
fn indexed(fragments: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(fragments.len()).unwrap();
    let mut fields = vec![0, 1, 1000, 0, 0, count];
    for fragment in fragments {
        fields.extend([u32::try_from(fragment.len()).unwrap(), 2000, 0x9000_0000]);
    }
    [
        init(b""),
        mp4_box("sidx", &numbers(&fields)),
        fragments.concat(),
    ]
    .concat()
}

#[test]
fn a_file_that_ends_before_its_index_does_is_cut_off() {
    let parts: Vec<_> = (0..5)
        .map(|number| fragment(Some(number * 2000), 2000, 5000))
        .collect();
    let file = indexed(&parts);
    assert_eq!(probe(&file).flaw, None);
    let declared_bytes = file.len() as u64;
    let cut = &file[..file.len() - parts[4].len()];
    let expected = Some(Flaw::ShorterThanItsHeaders { declared_bytes });
    assert_eq!(probe(cut).flaw, expected);
    // The index of one fragment among several says nothing of the others.
    let twice = [
        indexed(&parts[..2]),
        indexed(&parts)[init(b"").len()..].to_vec(),
    ]
    .concat();
    assert_ne!(probe(&twice).flaw, expected);
}

#[test]
fn media_that_swallows_the_fragments_behind_it_is_cut_off() {
    let mut file = fixture("frag-10s");
    let third = (0..3).fold(0, |from, _| at_of(&file, *b"mdat", from + 5));
    file[third] |= 0x40;
    let flaw = probe(&file).flaw;
    let is_cut = matches!(flaw, Some(Flaw::ShorterThanItsHeaders { .. }));
    assert!(is_cut, "{flaw:?}");
}

#[test]
fn a_few_bytes_that_the_last_media_declares_too_many_do_no_harm() {
    let mut file = fragmented(&[(Some(0), 4000), (Some(4000), 4000)]);
    let at = file.len() - 16;
    file[at + 3] += 9;
    assert_eq!(probe(&file).flaw, None);
}

#[test]
fn samples_tell_a_length_that_no_header_has() {
    let boxes = |chunk_at: u32| {
        let mut track = trak("vide", 0, 1000, 90_500, chunk_at);
        // Behind the kind, version, two times and the timescale of `mdhd`.
        let length_at = at_of(&track, *b"mdhd", 0) + 24;
        track[length_at..length_at + 4].fill(0);
        moov(&[mvhd(0, 1000, 0), track])
    };
    let file = [FTYP.to_vec(), mdat(100), boxes(24)].concat();
    let probed = probe(&file);
    assert_eq!(probed.duration(), Some(Duration::from_millis(90_500)));
    assert_eq!(probed.flaw, None);
    // A table that ends before its last entry tells no length.
    let mut cut = file;
    let count_at = at_of(&cut, *b"stts", 0) + 12;
    cut[count_at..count_at + 4].copy_from_slice(&1000_u32.to_be_bytes());
    assert_eq!(probe(&cut).duration(), None);
}
