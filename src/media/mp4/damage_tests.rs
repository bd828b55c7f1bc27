//! Damage to files that are larger than what is kept of them, or whose headers do not show it.

use std::time::{Duration, Instant};

use super::super::samples::{fragment, init, probe, probe_passed};
use crate::media::found::{Coverage, Flaw, ProbedMedia};

const BLOCK_BYTES: usize = 1_000_003;
const MIB: usize = 1 << 20;

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

#[test]
fn a_file_of_empty_fragments_takes_little_time() {
    let file = [init(b""), b"\0\0\0\x08moof".repeat(420_000), vec![1; 24]].concat();
    let began = Instant::now();
    probe(&file);
    assert!(began.elapsed() < Duration::from_secs(60));
}
