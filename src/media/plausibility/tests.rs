//! Files that fit what is reported of them, and files that do not.

use super::super::samples::{
    FTYP, MEDIA_AT, fragment, fragmented, init_of_two, mdat, moov, mp4_box, mvhd, plain, probe,
    sample, trak, trak_of_fragments, wav, with_id,
};
use super::*;
use acs_simulator::media::Media;

fn lasts(with_pauses_ms: f64, pauses_ms: f64) -> ReportedMedia {
    let metadata = RecordingMetadata {
        chunk_duration_ms: Some(with_pauses_ms),
        pauses_ms,
        ..RecordingMetadata::default()
    };
    ReportedMedia {
        length: ReportedLength::of(&metadata),
        ..ReportedMedia::default()
    }
}

fn verdict(file: &[u8], reported: &ReportedMedia) -> Plausibility {
    examine(&probe(file), file.len() as u64, reported)
}

fn disagrees(file: &[u8], reported: &ReportedMedia) -> bool {
    matches!(verdict(file, reported), Plausibility::Disagrees(_))
}

#[rstest::rstest]
#[case::exact(60_000, 60_000.0, 0.0, true)]
#[case::two_seconds_short(58_000, 60_000.0, 0.0, true)]
#[case::three_seconds_short(57_000, 60_000.0, 0.0, false)]
#[case::three_seconds_long(63_000, 60_000.0, 0.0, false)]
#[case::a_share_of_an_hour(3_600_000 - 7000, 3_600_000.0, 0.0, true)]
#[case::an_hour_that_lost_most_of_a_minute(3_600_000 - 54_000, 3_600_000.0, 0.0, false)]
#[case::pauses_left_out(40_000, 60_000.0, 20_000.0, true)]
#[case::pauses_kept(60_000, 60_000.0, 20_000.0, true)]
#[case::neither(50_000, 60_000.0, 20_000.0, false)]
#[case::cut_and_longer_pauses_than_the_chunk(1000, 60_000.0, 61_000.0, false)]
#[case::whole_and_longer_pauses_than_the_chunk(60_000, 60_000.0, 100_000.0, true)]
#[case::pauses_that_are_rounded(1000, 60_000.0, 60_200.0, true)]
#[case::should_play_nothing(60_000, 0.0, 0.0, false)]
#[case::a_blink(1, 1.5, 0.5, true)]
#[case::longer_than_any_clock(1000, 1e300, 0.0, true)]
#[case::less_than_nothing(1000, -5.0, 0.0, true)]
fn a_file_plays_as_long_as_its_metadata_says(
    #[case] plays_ms: u64,
    #[case] chunk_ms: f64,
    #[case] pauses_ms: f64,
    #[case] fits: bool,
) {
    let verdict = verdict(&plain(plays_ms), &lasts(chunk_ms, pauses_ms));
    assert_eq!(
        !matches!(verdict, Plausibility::Disagrees(_)),
        fits,
        "{verdict:?}"
    );
}

#[test]
fn a_file_that_plays_nothing_disagrees_with_a_length() {
    let nothing = [
        FTYP.to_vec(),
        moov(&[mvhd(0, 1000, 0), mp4_box("mvex", b"")]),
    ]
    .concat();
    let empty = wav(1, 0);
    assert!(disagrees(&nothing, &lasts(2000.0, 0.0)));
    let mp4 = ReportedMedia {
        format: Some(FormatKind::Mp4),
        ..ReportedMedia::default()
    };
    assert!(disagrees(&fragmented(&[]), &mp4));
    assert!(!disagrees(&fragmented(&[]), &lasts(0.0, 0.0)));
    assert!(disagrees(&empty, &lasts(2000.0, 0.0)));
    assert!(disagrees(&empty, &lasts(60_000.0, 61_000.0)));
    assert_eq!(
        verdict(&empty, &lasts(20_000.0, 20_000.0)),
        Plausibility::Agrees
    );
}

#[test]
fn a_disagreement_names_both_lengths() {
    let sentence = "the metadata says the recording lasts 19.3 s (14.1 s without its pauses), and the file plays for 2.0 s";
    assert_eq!(
        verdict(&plain(2000), &lasts(19_320.0, 5220.0)),
        Plausibility::Disagrees(sentence.to_owned())
    );
}

#[rstest::rstest]
#[case(
    b"<html>",
    Some(FormatKind::Mp4),
    "the recording should be mp4, and the file is a web page or another text"
)]
#[case(
    b"{}",
    None,
    "the recording should be media, and the file is a web page or another text"
)]
#[case(
    b"MZ\0\0",
    Some(FormatKind::Wav),
    "the recording should be wav, and the file is none of wav, mp3 and mp4"
)]
#[case(&wav(1, 100), Some(FormatKind::Mp3), "the recording should be mp3, and the file is wav")]
#[case(&wav(1, 100)[..1000], None, "the file has 1000 bytes, and its headers declare 3244 bytes: the file was cut off")]
#[case(&plain(0)[..16], None, "the file has 16 bytes, and it has no moov box: the file is not complete")]
fn a_file_that_is_not_what_it_should_be_disagrees(
    #[case] file: &[u8],
    #[case] format: Option<FormatKind>,
    #[case] sentence: &str,
) {
    let reported = ReportedMedia {
        format,
        ..lasts(100.0, 0.0)
    };
    assert_eq!(
        verdict(file, &reported),
        Plausibility::Disagrees(sentence.to_owned())
    );
}

#[rstest::rstest]
#[case::nothing_is_reported(&wav(1, 5000), ReportedMedia::default(), "nor metadata")]
#[case::an_empty_wav(&wav(1, 0), ReportedMedia { format: Some(FormatKind::Wav), ..ReportedMedia::default() }, "plays nothing")]
#[case::no_format_is_known(b"MZ\0\0", ReportedMedia::default(), "no format")]
#[case::the_file_tells_no_length(&plain(0), lasts(1000.0, 0.0), "does not say")]
fn what_cannot_be_compared_is_unknown(
    #[case] file: &[u8],
    #[case] reported: ReportedMedia,
    #[case] why: &str,
) {
    let verdict = verdict(file, &reported);
    let is_unknown = matches!(&verdict, Plausibility::Unknown(said) if said.contains(why));
    assert!(is_unknown, "{verdict:?}");
}

#[rstest::rstest]
#[case::as_many_as_reported(3, ChannelKind::Unmixed, Some(3), true)]
#[case::fewer(1, ChannelKind::Unmixed, Some(3), false)]
#[case::more(4, ChannelKind::Unmixed, Some(3), false)]
#[case::no_number(4, ChannelKind::Unmixed, None, true)]
#[case::mono(1, ChannelKind::Mixed, Some(2), true)]
#[case::stereo(2, ChannelKind::Mixed, Some(1), true)]
#[case::too_many_for_a_mix(3, ChannelKind::Mixed, None, false)]
fn channels_are_compared(
    #[case] found: u16,
    #[case] kind: ChannelKind,
    #[case] channels: Option<u32>,
    #[case] fits: bool,
) {
    let reported = ReportedMedia {
        channel_kind: Some(kind),
        channels,
        ..ReportedMedia::default()
    };
    assert_eq!(!disagrees(&wav(found, 1000), &reported), fits);
}

#[test]
fn time_between_fragments_may_be_a_pause_and_nothing_else() {
    let file = fragmented(&[(Some(0), 4000), (Some(14_000), 4000)]);
    assert_eq!(
        verdict(&file, &lasts(18_000.0, 10_000.0)),
        Plausibility::Agrees
    );
    assert!(disagrees(&file, &lasts(18_000.0, 0.0)));
    assert!(disagrees(&file, &lasts(18_000.0, 19_000.0)));
    assert!(disagrees(&file, &ReportedMedia::default()));
}

#[test]
fn a_clock_that_is_ahead_counts_unless_the_first_fragments_are_missing() {
    let mut file = fragmented(&[(Some(30_000), 30_000), (Some(60_000), 30_000)]);
    let fits = |file: &[u8], lasts_ms| !disagrees(file, &lasts(lasts_ms, 0.0));
    assert!(fits(&file, 60_000.0) && fits(&file, 90_000.0));
    let number_at = file.windows(4).position(|kind| kind == b"mfhd").unwrap() + 8;
    file[number_at + 3] = 2;
    assert!(fits(&file, 60_000.0) && !fits(&file, 90_000.0));
}

#[test]
fn picture_and_sound_are_both_expected_where_both_are_reported() {
    let both = ReportedMedia {
        content: Some(ContentKind::AudioVideo),
        ..ReportedMedia::default()
    };
    assert_eq!(verdict(&sample("sample.mp4"), &both), Plausibility::Agrees);
    assert!(disagrees(&plain(1000), &both), "it has a picture only");
    assert!(!disagrees(&plain(1000), &ReportedMedia::default()));
}

#[test]
fn the_event_counts_before_the_metadata() {
    let event = serde_json::json!({"documentId": "d", "index": 0, "callId": null, "serverCallId": null,
        "recordingId": null, "startedAt": null, "durationMs": null, "content": null, "format": "wav", "endReason": null,
        "locations": {"content": null, "metadata": null, "delete": null}, "eventId": null, "eventTime": null,
        "other": {"data.recordingChannelType": "Unmixed"}});
    let chunk: RecordingChunk = serde_json::from_value(event).unwrap();
    let metadata = RecordingMetadata::parse(
        br#"{"recordingInfo": {"format": "mp4", "contentType": "audio", "audioConfiguration": {"channels": "2"}}}"#,
    );
    let reported = ReportedMedia::of(&chunk, &metadata);
    assert_eq!(
        (
            reported.format,
            reported.content,
            reported.channel_kind,
            reported.channels
        ),
        (
            Some(FormatKind::Wav),
            Some(ContentKind::Audio),
            Some(ChannelKind::Unmixed),
            Some(2)
        )
    );
}

#[rstest::rstest]
#[case(Media::wav(5, 60_000, 3))]
#[case(Media::mp3(60_000))]
#[case(Media::mp4(1_000_000, 60_000))]
#[case(Media::mp4_of_size(7_500_000))]
fn the_simulated_services_media_tell_their_own_length(#[case] media: Media) {
    let file = media.read(0, usize::try_from(media.len()).unwrap());
    let plays = probe(&file).duration().unwrap();
    assert_eq!(plays.as_millis(), u128::from(media.duration_ms()));
    assert_eq!(verdict(&file, &lasts(60_000.0, 0.0)), Plausibility::Agrees);
}

/// A file of this length whose track of the kind `empty` has no media.
fn with_empty_track(full: &str, empty: &str, plays_ms: u64) -> Vec<u8> {
    let boxes = [
        mvhd(0, 1000, plays_ms),
        trak(full, 0, 1000, plays_ms, MEDIA_AT),
        with_id(trak_of_fragments(empty), 2),
    ];
    [FTYP.to_vec(), mdat(100), moov(&boxes)].concat()
}

#[rstest::rstest]
#[case::no_picture(
    with_empty_track("soun", "vide", 60_000),
    60_000.0,
    "the picture track"
)]
#[case::no_sound_in_a_short_file(with_empty_track("vide", "soun", 4000), 4000.0, "the sound track")]
#[case::no_length_in_its_headers(
    with_empty_track("soun", "vide", 0),
    60_000.0,
    "the picture track"
)]
#[case::no_fragment_of_the_picture([init_of_two(), fragment(Some(0), 60_000, 900)].concat(), 60_000.0, "the picture track")]
#[case::no_fragment_of_the_sound([init_of_two(), with_id(fragment(Some(0), 4000, 900), 2)].concat(), 4000.0, "the sound track")]
fn an_empty_track_is_none(#[case] file: Vec<u8>, #[case] plays_ms: f64, #[case] which: &str) {
    let both = ReportedMedia {
        format: Some(FormatKind::Mp4),
        content: Some(ContentKind::AudioVideo),
        ..lasts(plays_ms, 0.0)
    };
    let verdict = verdict(&file, &both);
    let is_found = matches!(&verdict, Plausibility::Disagrees(what) if what.contains(which));
    assert!(is_found, "{verdict:?}");
    let unreported = ReportedMedia {
        content: None,
        ..both
    };
    assert!(!disagrees(&file, &unreported), "no track is expected");
}
