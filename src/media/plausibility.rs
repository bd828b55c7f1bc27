//! Whether a file is what the event and the metadata say it is: the right kind, whole, and as long as it should be.
//!
//! A proof that the copy equals the source says nothing of the source: a file the service cut short copies well. Pure;
//! what the file says about itself comes from [`crate::media`].

use crate::media::{Container, ProbedMedia};
use crate::recording::media::{ContentKind, FormatKind};
use crate::recording::metadata::RecordingMetadata;

/// How far two lengths may lie apart, in milliseconds: encoders round to frames, and start late.
pub const TOLERANCE_MS: f64 = 2000.0;
/// The same as a share of the length: clocks drift.
pub const TOLERANCE_SHARE: f64 = 0.02;
/// What ACS records, in bytes a second: wav has 256 kbps for each channel, mp3 48 kbps, and mp4 at 1920x1080 and 16 frames
/// a second about 7.5 MB a minute
/// (<https://learn.microsoft.com/azure/communication-services/concepts/voice-video-calling/call-recording>).
pub const WAV_BYTES_PER_SECOND: f64 = 32_000.0;
pub const MP3_BYTES_PER_SECOND: f64 = 6000.0;
pub const MP4_BYTES_PER_SECOND: f64 = 125_000.0;
/// How many times more or less than these a sound may have: other rates are not excluded, other magnitudes are.
pub const SOUND_RATE_FACTOR: f64 = 2.0;
/// The same for an mp4, whose rate follows the picture.
pub const PICTURE_RATE_FACTOR: f64 = 20.0;
/// A length from which on a file must play at all and its data rate means something, in milliseconds.
pub const MEANINGFUL_MS: f64 = 2000.0;

/// What a look at a file has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plausibility {
    /// All that could be compared agrees.
    Agrees,
    /// There was nothing to compare with.
    Unknown,
    /// One sentence for an operator; it names what was said and what was found.
    Disagrees(String),
}

/// Compares a file of `total_bytes` with what is said about it. `expected` is the format its event tells, if it does;
/// else the metadata's counts.
pub fn examine(
    probed: &ProbedMedia,
    total_bytes: u64,
    expected: Option<FormatKind>,
    metadata: &RecordingMetadata,
) -> Plausibility {
    let expected = expected.or(metadata.format);
    if let Some(disagreement) = kind_disagreement(probed.container, expected) {
        return Plausibility::Disagrees(disagreement);
    }
    if let Some(flaw) = probed.flaw {
        return Plausibility::Disagrees(format!("the file has {total_bytes} bytes, but {flaw}"));
    }
    let plays_ms = probed
        .duration
        .map(|duration| duration.as_secs_f64() * 1000.0);
    match (claim(metadata), plays_ms) {
        (Some(claim), Some(plays_ms)) => compare_lengths(claim, plays_ms),
        (Some(claim), None) => compare_rate(probed, total_bytes, claim.without_pauses_ms),
        (None, Some(plays_ms)) => compare_rate(probed, total_bytes, plays_ms),
        (None, None) => Plausibility::Unknown,
    }
}

fn kind_disagreement(container: Container, expected: Option<FormatKind>) -> Option<String> {
    let expected_name = expected.map_or("media", FormatKind::as_str);
    match container {
        Container::WebPage => Some(format!(
            "the recording should be {expected_name}, and the file is a web page or an error text"
        )),
        Container::Unrecognised if expected.is_some() => Some(format!(
            "the recording should be {expected_name}, and the file is none of wav, mp3 and mp4"
        )),
        // A format that may be new: nothing says that it is wrong.
        Container::Unrecognised => None,
        Container::Wav | Container::Mp4 | Container::Mp3 => {
            let (expected, found) = (expected?, container.format()?);
            let differs = expected != found;
            differs.then(|| {
                format!(
                    "the recording should be {}, and the file is {}",
                    expected.as_str(),
                    found.as_str()
                )
            })
        }
    }
}

/// How long the metadata says a chunk plays. Whether a file's own length includes the pauses is not published, so either
/// of the two is right.
#[derive(Clone, Copy)]
struct Claim {
    with_pauses_ms: f64,
    without_pauses_ms: f64,
}

fn claim(metadata: &RecordingMetadata) -> Option<Claim> {
    let with_pauses_ms = metadata.chunk_duration_ms.filter(|ms| *ms >= 0.0)?;
    Some(Claim {
        with_pauses_ms,
        without_pauses_ms: (with_pauses_ms - metadata.pauses_ms).max(0.0),
    })
}

impl Claim {
    fn allows(self, plays_ms: f64) -> bool {
        let plays_nothing = plays_ms <= 0.0 && self.without_pauses_ms >= MEANINGFUL_MS;
        let near = |ms: f64| (plays_ms - ms).abs() <= TOLERANCE_MS.max(ms * TOLERANCE_SHARE);
        !plays_nothing && (near(self.with_pauses_ms) || near(self.without_pauses_ms))
    }
}

fn compare_lengths(claim: Claim, plays_ms: f64) -> Plausibility {
    if claim.allows(plays_ms) {
        return Plausibility::Agrees;
    }
    let (with, without, plays) = (
        claim.with_pauses_ms / 1e3,
        claim.without_pauses_ms / 1e3,
        plays_ms / 1e3,
    );
    Plausibility::Disagrees(format!(
        "the metadata says the recording lasts {with:.1} s ({without:.1} s without its pauses), and the file plays for {plays:.1} s"
    ))
}

/// The weaker comparison, where only one side tells a length: whether that many bytes are usual for it.
fn compare_rate(probed: &ProbedMedia, total_bytes: u64, length_ms: f64) -> Plausibility {
    let (usual, factor) = match probed.container {
        Container::Wav => match probed.channels {
            Some(channels) if channels > 0 => (
                WAV_BYTES_PER_SECOND * f64::from(channels),
                SOUND_RATE_FACTOR,
            ),
            Some(_) | None => return Plausibility::Unknown,
        },
        Container::Mp3 => (MP3_BYTES_PER_SECOND, SOUND_RATE_FACTOR),
        // Without a picture there is no usual rate.
        Container::Mp4 if probed.content == Some(ContentKind::Audio) => {
            return Plausibility::Unknown;
        }
        Container::Mp4 => (MP4_BYTES_PER_SECOND, PICTURE_RATE_FACTOR),
        Container::WebPage | Container::Unrecognised => return Plausibility::Unknown,
    };
    if length_ms < MEANINGFUL_MS {
        return Plausibility::Unknown;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is compared by its magnitude"
    )]
    let found = total_bytes as f64 / (length_ms / 1e3);
    if (usual / factor..=usual * factor).contains(&found) {
        return Plausibility::Agrees;
    }
    let seconds = length_ms / 1e3;
    Plausibility::Disagrees(format!(
        "a recording of {seconds:.1} s usually has {usual:.0} bytes a second, and the file of {total_bytes} bytes has {found:.0}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{moov, mp4_box, mvhd, probe, sample, wav};
    use super::*;
    use acs_simulator::media::Media;

    fn metadata(chunk_duration_ms: f64, pauses_ms: f64) -> RecordingMetadata {
        RecordingMetadata {
            chunk_duration_ms: Some(chunk_duration_ms),
            pauses_ms,
            ..RecordingMetadata::default()
        }
    }

    fn truth_of(
        file: &[u8],
        expected: Option<FormatKind>,
        metadata: &RecordingMetadata,
    ) -> Plausibility {
        examine(&probe(file), file.len() as u64, expected, metadata)
    }

    fn mp4(plays_ms: u64) -> Vec<u8> {
        [
            mp4_box("ftyp", b"isom\0\0\0\0"),
            moov(&[mvhd(0, 1000, plays_ms)]),
        ]
        .concat()
    }

    #[rstest::rstest]
    #[case::exact(60_000, 60_000.0, 0.0, true)]
    #[case::two_seconds_short(58_000, 60_000.0, 0.0, true)]
    #[case::three_seconds_short(57_000, 60_000.0, 0.0, false)]
    #[case::three_seconds_long(63_000, 60_000.0, 0.0, false)]
    #[case::two_percent_of_an_hour(3_600_000 - 72_000, 3_600_000.0, 0.0, true)]
    #[case::three_percent_of_an_hour(3_600_000 - 108_000, 3_600_000.0, 0.0, false)]
    #[case::pauses_left_out(40_000, 60_000.0, 20_000.0, true)]
    #[case::pauses_kept(60_000, 60_000.0, 20_000.0, true)]
    #[case::neither(50_000, 60_000.0, 20_000.0, false)]
    #[case::plays_nothing(0, 2000.0, 0.0, false)]
    #[case::all_of_it_paused(0, 20_000.0, 20_000.0, true)]
    #[case::more_pause_than_recording(0, 1000.0, 20_000.0, true)]
    #[case::should_play_nothing(60_000, 0.0, 0.0, false)]
    #[case::a_blink(0, 1.5, 0.5, true)]
    fn a_file_plays_as_long_as_its_metadata_says(
        #[case] plays_ms: u64,
        #[case] chunk_ms: f64,
        #[case] pauses_ms: f64,
        #[case] agrees: bool,
    ) {
        let truth = truth_of(
            &mp4(plays_ms),
            Some(FormatKind::Mp4),
            &metadata(chunk_ms, pauses_ms),
        );
        assert_eq!(truth == Plausibility::Agrees, agrees, "{truth:?}");
    }

    #[test]
    fn a_disagreement_names_both_lengths() {
        let truth = truth_of(&mp4(2000), None, &metadata(19_320.0, 5220.0));
        let sentence = "the metadata says the recording lasts 19.3 s (14.1 s without its pauses), and the file plays for 2.0 s";
        assert_eq!(truth, Plausibility::Disagrees(sentence.to_owned()));
    }

    #[rstest::rstest]
    #[case(
        b"<html>",
        Some(FormatKind::Mp4),
        "the recording should be mp4, and the file is a web page or an error text"
    )]
    #[case(
        b"{}",
        None,
        "the recording should be media, and the file is a web page or an error text"
    )]
    #[case(
        b"MZ\0\0",
        Some(FormatKind::Wav),
        "the recording should be wav, and the file is none of wav, mp3 and mp4"
    )]
    #[case(&wav(1, 100), Some(FormatKind::Mp3), "the recording should be mp3, and the file is wav")]
    #[case(&wav(1, 100)[..1000], None, "the file has 1000 bytes, but its own headers speak of 3244 bytes")]
    #[case(&mp4(0)[..16], None, "the file has 16 bytes, but no moov box: the file is not complete")]
    fn a_file_that_is_not_what_it_should_be_is_told(
        #[case] file: &[u8],
        #[case] expected: Option<FormatKind>,
        #[case] sentence: &str,
    ) {
        assert_eq!(
            truth_of(file, expected, &metadata(100.0, 0.0)),
            Plausibility::Disagrees(sentence.to_owned())
        );
    }

    #[test]
    fn the_metadata_tells_the_format_where_the_event_does_not() {
        let said = RecordingMetadata {
            format: Some(FormatKind::Mp4),
            ..metadata(100.0, 0.0)
        };
        assert!(matches!(
            truth_of(&wav(1, 100), None, &said),
            Plausibility::Disagrees(_)
        ));
        assert_eq!(
            truth_of(&wav(1, 100), Some(FormatKind::Wav), &said),
            Plausibility::Agrees,
            "the event counts first"
        );
    }

    #[rstest::rstest]
    #[case::wav(&wav(2, 5000), Plausibility::Agrees)]
    #[case::mp3(&sample("sample.mp3"), Plausibility::Agrees)]
    #[case::mp4(&sample("sample.mp4"), Plausibility::Agrees)]
    #[case::too_short_to_tell(&wav(1, 500), Plausibility::Unknown)]
    #[case::unrecognised(b"MZ\0\0", Plausibility::Unknown)]
    fn without_a_length_in_the_metadata_the_data_rate_is_compared(
        #[case] file: &[u8],
        #[case] expected: Plausibility,
    ) {
        assert_eq!(
            truth_of(file, None, &RecordingMetadata::default()),
            expected
        );
    }

    #[test]
    fn an_hour_in_a_few_bytes_is_told() {
        let truth = truth_of(&mp4(3_600_000), None, &RecordingMetadata::default());
        let sentence = "a recording of 3600.0 s usually has 125000 bytes a second, and the file of 132 bytes has 0";
        assert_eq!(truth, Plausibility::Disagrees(sentence.to_owned()));
    }

    #[test]
    fn a_file_that_does_not_tell_its_length_is_compared_by_its_size() {
        let fragmented = [
            mp4_box("ftyp", b"isom\0\0\0\0"),
            moov(&[mvhd(0, 1000, 0), mp4_box("mvex", b"")]),
        ]
        .concat();
        let sized = |mdat: usize| [fragmented.clone(), mp4_box("mdat", &vec![0; mdat])].concat();
        assert_eq!(
            truth_of(&sized(1_000_000), None, &metadata(10_000.0, 0.0)),
            Plausibility::Agrees
        );
        assert!(matches!(
            truth_of(&sized(1000), None, &metadata(10_000.0, 0.0)),
            Plausibility::Disagrees(_)
        ));
    }

    #[rstest::rstest]
    #[case(Media::wav(5, 60_000, 3))]
    #[case(Media::mp3(60_000))]
    #[case(Media::mp4(1_000_000, 60_000))]
    #[case(Media::mp4_of_size(7_500_000))]
    fn the_simulated_services_media_tell_their_own_length(#[case] media: Media) {
        let file = media.read(0, usize::try_from(media.len()).unwrap());
        let plays = probe(&file).duration.unwrap();
        assert_eq!(plays.as_millis(), u128::from(media.duration_ms()));
        assert_eq!(
            truth_of(&file, None, &metadata(60_000.0, 0.0)),
            Plausibility::Agrees
        );
    }
}
