//! Files of chunks, whole and broken.

use super::super::samples::{chunk, fmt, plain, probe, reads, wav, wav_of};
use super::*;

#[test]
fn a_wav_plays_as_long_as_its_bytes_last() {
    let probed = probe(&wav(2, 3000));
    assert_eq!(
        (probed.container, probed.channels(), probed.flaw.clone()),
        (Container::Wav, Some(2), None)
    );
    assert_eq!(probed.duration(), Some(Duration::from_secs(3)));
    assert_eq!(probed.tracks[0].codec.as_deref(), Some("pcm"));
}

#[rstest::rstest]
#[case::padded(vec![chunk("LIST", &vec![7; 100_001]), fmt(1), chunk("fact", &[1, 2, 3]), chunk("data", &vec![0; 32_000])])]
#[case::not_padded(vec![chunk("LIST", &[7; 101])[..109].to_vec(), fmt(1), chunk("data", &vec![0; 32_000])])]
#[case::format_behind_the_sound(vec![chunk("data", &vec![0; 32_000]), fmt(1)])]
#[case::zeros_behind_the_sound(vec![fmt(1), chunk("data", &vec![0; 32_000]), vec![0; 5000]])]
#[case::a_list_behind_the_sound(vec![fmt(1), chunk("data", &vec![0; 32_000]), chunk("LIST", &[1; 77])])]
#[case::a_list_that_is_cut(vec![fmt(1), chunk("data", &vec![0; 32_000]), chunk("LIST", &[1; 77])[..40].to_vec()])]
fn other_chunks_are_stepped_over_wherever_they_end(#[case] chunks: Vec<Vec<u8>>) {
    let probed = probe(&wav_of("RIFF", &chunks));
    assert_eq!(
        (probed.duration(), probed.flaw),
        (Some(Duration::from_secs(1)), None)
    );
}

#[rstest::rstest]
#[case::never_filled_in(0, 1000, None)]
#[case::gstreamer(0x7fff_0024, 1000, None)]
#[case::sox(0x7fff_f000, 1000, None)]
#[case::ffmpeg(u32::MAX, 1000, None)]
#[case::close_to_it(0xffff_ffbf, 1000, None)]
#[case::cut_off(64_000, 1000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 64_044 }))]
#[case::cut_off_far(0x7ffe_ffff, 1000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 0x7ffe_ffff + 44 }))]
#[case::followed_by_zeros(16_000, 500, None)]
fn the_bytes_that_are_there_count(
    #[case] declared: u32,
    #[case] plays_ms: u64,
    #[case] flaw: Option<Flaw>,
) {
    let mut file = wav(1, 1000);
    file[40..44].copy_from_slice(&declared.to_le_bytes());
    let probed = probe(&file);
    assert_eq!(probed.duration(), Some(Duration::from_millis(plays_ms)));
    assert_eq!(probed.flaw, flaw);
}

#[rstest::rstest]
#[case("RF64", 32_000, None)]
#[case("RF64", 0, None)]
#[case("RF64", u64::MAX, None)]
#[case("BW64", 64_000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 12 + 36 + 24 + 8 + 64_000 }))]
fn a_64_bit_size_has_its_own_chunk(
    #[case] riff: &str,
    #[case] declared: u64,
    #[case] flaw: Option<Flaw>,
) {
    let mut sizes = vec![0; 28];
    sizes[8..16].copy_from_slice(&declared.to_le_bytes());
    let mut sound = chunk("data", &vec![0; 32_000]);
    sound[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let probed = probe(&wav_of(riff, &[chunk("ds64", &sizes), fmt(1), sound]));
    assert_eq!(
        (probed.duration(), probed.flaw),
        (Some(Duration::from_secs(1)), flaw)
    );
}

#[test]
fn a_wav_that_ends_before_its_sound_is_not_complete() {
    assert_eq!(probe(&wav(1, 1000)[..36]).flaw, Some(Flaw::NoDataChunk));
    let cut_in_a_chunk = Some(Flaw::ShorterThanItsHeaders { declared_bytes: 36 });
    assert_eq!(probe(&wav(1, 1000)[..30]).flaw, cut_in_a_chunk);
}

#[test]
fn a_second_wav_behind_the_first_is_found() {
    let twice = wav(1, 1000).repeat(2);
    assert_eq!(
        probe(&twice).flaw,
        Some(Flaw::SecondFile { at_byte: 32_044 })
    );
}

#[rstest::rstest]
#[case::no_channel(22)]
#[case::no_rate(24)]
#[case::no_block(32)]
fn a_format_that_cannot_be_played_is_a_flaw(#[case] at: usize) {
    let mut file = wav(1, 1000);
    file[at..at + 2].fill(0);
    assert_eq!(probe(&file).flaw, Some(Flaw::NoPlayableFormat));
}

#[test]
fn the_byte_rate_counts_for_compressed_formats_only() {
    let mut file = wav(1, 1000);
    file[28..32].copy_from_slice(&8000_u32.to_le_bytes());
    assert_eq!(probe(&file).duration(), Some(Duration::from_secs(1)));
    file[20] = 0x31;
    assert_eq!(probe(&file).duration(), Some(Duration::from_secs(4)));
}

/// ADPCM whose byte rate is twice what it should be, as ffmpeg writes it.
fn adpcm(fact: u32, size: Option<u32>) -> Vec<u8> {
    let mut file = wav_of(
        "RIFF",
        &[
            fmt(1),
            chunk("fact", &fact.to_le_bytes()),
            chunk("data", &vec![7; 32_000]),
        ],
    );
    file[20] = 2;
    if let Some(size) = size {
        file[52..56].copy_from_slice(&size.to_le_bytes());
    }
    file
}

#[rstest::rstest]
#[case::counted(32_000, None, 2)]
#[case::not_counted(0, None, 1)]
#[case::a_count_of_all_ones(u32::MAX, None, 1)]
#[case::of_a_sound_without_a_size(320_000, Some(0), 1)]
fn the_samples_of_a_compressed_format_are_counted(
    #[case] fact: u32,
    #[case] size: Option<u32>,
    #[case] plays_seconds: u64,
) {
    let plays = probe(&adpcm(fact, size)).duration();
    assert_eq!(plays, Some(Duration::from_secs(plays_seconds)));
}

/// IMA ADPCM from a pipe, as ffmpeg writes it: a wrong byte rate, no samples and no size.
fn piped_adpcm(samples_of_block: u16) -> Vec<u8> {
    let fields: [&[u8]; 8] = [
        &0x11_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &16_000_u32.to_le_bytes(),
        &16_000_u32.to_le_bytes(),
        &1024_u16.to_le_bytes(),
        &4_u16.to_le_bytes(),
        &2_u16.to_le_bytes(),
        &samples_of_block.to_le_bytes(),
    ];
    let mut sound = chunk("data", &vec![7; 80_896]);
    sound[4..8].fill(0xff);
    let chunks = [
        chunk("fmt ", &fields.concat()),
        chunk("fact", &[0; 4]),
        sound,
    ];
    wav_of("RIFF", &chunks)
}

#[rstest::rstest]
#[case::by_its_blocks(2041, 10_077)]
#[case::without_the_size_of_a_block(0, 5056)]
#[case::of_an_impossible_size(9000, 5056)]
fn a_compressed_format_from_a_pipe_is_measured_by_its_blocks(
    #[case] samples_of_block: u16,
    #[case] plays_ms: u128,
) {
    let probed = probe(&piped_adpcm(samples_of_block));
    assert_eq!(probed.duration().unwrap().as_millis(), plays_ms);
    assert_eq!(probed.flaw, None);
}

#[rstest::rstest]
#[case::a_format_of_a_wrong_size(16, vec![0x10, 0x40])]
#[case::zeros_over_the_beginning(12, vec![0; 600_000])]
fn zeros_are_no_chunks(#[case] at: usize, #[case] damage: Vec<u8>) {
    let mut file = wav(1, 30_000);
    file[at..at + damage.len()].copy_from_slice(&damage);
    let probed = probe(&file);
    assert_eq!(probed.flaw, Some(Flaw::NoDataChunk), "{probed:?}");
}

#[test]
fn zeros_between_chunks_are_padding() {
    let sound = chunk("data", &vec![7; 32_000]);
    let probed = probe(&wav_of("RIFF", &[fmt(1), vec![0; 4096], sound]));
    assert_eq!(probed.flaw, None);
    assert_eq!(probed.duration(), Some(Duration::from_secs(1)));
}

#[rstest::rstest]
#[case::a_chunk_of_another_writer(chunk("xtra", &[7; 5000]), false)]
#[case::a_known_chunk_that_is_cut(chunk("LIST", &[7; 5000])[..4000].to_vec(), false)]
#[case::padding(vec![0; 5000], false)]
#[case::a_block_that_is_there_twice((0..5000_u16).flat_map(u16::to_be_bytes).collect(), true)]
#[case::bytes_that_look_like_a_chunk([b"what\xff\xff\xff\x7f".to_vec(), vec![7; 5000]].concat(), true)]
#[case::an_mp4(plain(1000).repeat(20), true)]
fn bytes_behind_the_sound_are_a_flaw_if_they_are_nothing_known(
    #[case] behind: Vec<u8>,
    #[case] is_flaw: bool,
) {
    let flaw = probe(&[wav(1, 1000), behind].concat()).flaw;
    let expected = is_flaw.then_some(Flaw::Surplus { at_byte: 32_044 });
    assert_eq!(flaw, expected);
}

#[test]
fn an_ordinary_wav_takes_one_read() {
    assert_eq!(reads(&wav(2, 60_000)), 1);
}

#[rstest::rstest]
#[case::a_format_at_the_end(vec![chunk("fmt ", &[1, 0, 1, 0])])]
#[case::a_format_before_the_sound(vec![chunk("fmt ", &[1, 0, 1, 0]), chunk("data", &vec![1; 32_000])])]
#[case::a_format_behind_the_sound(vec![chunk("data", &vec![1; 32_000]), chunk("fmt ", &[1, 0, 1, 0])])]
#[case::a_size_at_the_end(vec![fmt(1), chunk("ds64", &[0; 4])])]
fn a_chunk_that_is_too_short_for_its_fields_is_a_flaw(#[case] chunks: Vec<Vec<u8>>) {
    let probed = probe(&wav_of("RF64", &chunks));
    let is_found = matches!(
        probed.flaw,
        Some(Flaw::NoPlayableFormat | Flaw::NoDataChunk)
    );
    assert!(is_found, "{probed:?}");
}
