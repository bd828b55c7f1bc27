//! MP3: where its sound begins and ends, and how long it is by its frames. It decodes nothing.

mod first;
mod follower;
mod frame;
#[cfg(test)]
mod sampled_tests;
mod scan;
mod tags;

use std::time::Duration;

use self::first::first_frame;
pub(super) use self::follower::FrameFollower;
use self::frame::{Frame, Totals};
use self::scan::{Rate, Scan, scan};
use crate::media::counted::CountedFrames;
use crate::media::found::{Container, Coverage, Flaw, Length, ProbedMedia, Track, TrackKind};
use crate::media::seen::{READ_BYTES, Seen, Stop, TAIL_BYTES};
use crate::media::{Looked, duration, plausibility};

/// Sound up to this size is scanned as a whole.
const WHOLE_BYTES: u64 = TAIL_BYTES - READ_BYTES;
/// Places of a larger one that are scanned, and how much there.
const PLACES: u64 = 16;
pub(super) const PLACE_BYTES: u64 = 16 * 1024;
/// Bytes without a frame that are more than an encoder's accident.
const HOLE_BYTES: u64 = 8 * 1024;
/// Tolerance between declared and actual bytes: some headers count tags, or do not count themselves.
const SLACK_BYTES: u64 = 4096;
const SLACK_DIVISOR: u64 = 200;

/// How much of the beginning is searched for the first frame while a file passes by.
const FIRST_FRAME_BYTES: usize = 1024 * 1024;

/// Offsets at which a file of `total_bytes` is scanned, besides its beginning and end.
pub(super) fn places(total_bytes: u64) -> impl Iterator<Item = u64> {
    (1..PLACES).map(move |number| total_bytes / PLACES * number)
}

/// A follower of the frames of a file of `total_bytes` that begins like this; `None` if it has no frame there.
pub(super) fn follower(total_bytes: u64, head: &[u8]) -> Option<FrameFollower> {
    let mut seen = Seen::new(total_bytes);
    seen.add(0, &head[..head.len().min(FIRST_FRAME_BYTES)]);
    let (start, frame) = first_frame(&seen).ok().flatten()?;
    Some(FrameFollower::new(start, frame))
}

/// Where the tags that begin at `at` end.
pub(super) fn tags_end(seen: &Seen, at: u64) -> Result<u64, Stop> {
    tags::sound_start(seen, at)
}

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    match first_frame(seen) {
        Ok(Some((start, frame))) => {
            let mut found = ProbedMedia::of(Container::Mp3);
            found.tracks.push(Track {
                kind: TrackKind::Sound,
                codec: Some("mp3".to_owned()),
                duration: None,
                ends: None,
                channels: Some(frame.channels),
                bytes_per_second: None,
            });
            let end = measure(seen, start, frame, &mut found);
            Some((found, end))
        }
        Ok(None) => None,
        // It is not an mp3 until its frames were seen.
        Err(stop) => Some((ProbedMedia::of(Container::Unrecognised), Err(stop))),
    }
}

fn measure(seen: &Seen, start: u64, frame: Frame, found: &mut ProbedMedia) -> Result<(), Stop> {
    let totals = Totals::read(seen.some(start, frame.length_bytes() as u64)?, frame);
    let end = tags::sound_end(seen, start)?;
    if let Some(totals) = totals
        && let Some(flaw) = wrong_bytes(seen, &(start..end), totals, frame)?
    {
        found.add_flaw(flaw);
    }
    let measured = match seen.frames {
        Some(counted) if counted.start == start => {
            note_holes(counted, end, found);
            length_of(seen, start, frame, counted.frames)?
        }
        Some(_) | None if end - start <= WHOLE_BYTES => {
            measure_whole(seen, start..end, frame, found)?
        }
        Some(_) | None => measure_places(seen, start..end, frame, found)?,
    };
    let promised = totals
        .and_then(|totals| totals.frames)
        .and_then(|frames| duration(u64::from(frames) * frame.samples(), u64::from(frame.hertz)));
    found.length = promised.map_or(measured, Length::Exact);
    let plays = found.duration();
    if let Some(track) = found.tracks.first_mut() {
        (track.duration, track.ends) = (plays, plays);
    }
    if let Some(promised) = promised {
        if found.is_sampled {
            let names_size = totals.is_some_and(|totals| totals.name_size(end - start));
            if !names_size && differs(promised, measured) {
                found.coverage = Coverage::ReadsRanOut;
            }
        } else if let Length::Exact(there) = measured {
            compare_with_promise(promised, there, &(start..end), found);
        }
    }
    Ok(())
}

/// Whether a sample of a file contradicts the time that its first frame promises. That proves nothing: a stretch of silence has
/// few bytes and much time, and no place may be in it.
fn differs(promised: Duration, sampled: Length) -> bool {
    match sampled {
        Length::Unknown => false,
        Length::Exact(there) => promised.abs_diff(there) > plausibility::tolerance(promised),
        Length::Estimated(there) => {
            promised.abs_diff(there) > plausibility::estimate_tolerance(promised)
        }
    }
}

/// Compares the time that the first frame promises with that of all frames.
fn compare_with_promise(
    promised: Duration,
    there: Duration,
    sound: &std::ops::Range<u64>,
    found: &mut ProbedMedia,
) {
    let declared = || {
        let bytes = scaled(sound.end - sound.start, promised, there);
        bytes.saturating_add(sound.start)
    };
    if there > promised.saturating_add(plausibility::tolerance(promised)) {
        // Its frames are more than it counts.
        let at_byte = declared();
        found.add_flaw(Flaw::Surplus { at_byte });
    } else if promised > there.saturating_add(plausibility::tolerance(there)) {
        // The header was copied from a longer file, or the rest was cut off.
        let declared_bytes = declared();
        found.add_flaw(Flaw::ShorterThanItsHeaders { declared_bytes });
    }
}

fn scaled(bytes: u64, by: Duration, of: Duration) -> u64 {
    let scaled = u128::from(bytes) * by.as_millis() / of.as_millis().max(1);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// How many bytes more or less than these a file may have.
fn slack(declared: u64) -> u64 {
    SLACK_BYTES.max(declared / SLACK_DIVISOR)
}

impl Totals {
    /// Whether they name this number of bytes.
    fn name_size(self, there: u64) -> bool {
        let declared = self.bytes.map(u64::from);
        declared.is_some_and(|declared| declared.abs_diff(there) <= slack(declared))
    }
}

/// Compares the bytes that a header declares with the actual bytes.
fn wrong_bytes(
    seen: &Seen,
    sound: &std::ops::Range<u64>,
    totals: Totals,
    frame: Frame,
) -> Result<Option<Flaw>, Stop> {
    let Some(declared) = totals.bytes.map(u64::from) else {
        return Ok(None);
    };
    let there = sound.end - sound.start;
    let slack = slack(declared);
    let allowed = if totals.frames.is_some() { slack } else { 0 };
    let declared_end = sound.start.saturating_add(declared);
    if declared > there.saturating_add(allowed) {
        return Ok(Some(Flaw::ShorterThanItsHeaders {
            declared_bytes: declared_end,
        }));
    }
    if declared.saturating_add(slack) >= there {
        return Ok(None);
    }
    let length = SLACK_BYTES.min(sound.end - declared_end);
    let behind = seen.some(declared_end, length)?;
    let behind = &behind[..behind
        .len()
        .min(usize::try_from(length).unwrap_or(usize::MAX))];
    let is_second = tags::tag_at(seen, declared_end)?.is_some() || scan(behind, frame).frames > 1;
    Ok(is_second.then_some(Flaw::SecondFile {
        at_byte: declared_end,
    }))
}

/// Adds the flaw of a file whose sound should end at `end`.
fn note_holes(counted: CountedFrames, end: u64, found: &mut ProbedMedia) {
    if let Some(at_byte) = counted.second_at {
        found.add_flaw(Flaw::SecondFile { at_byte });
    }
    let ends_early = end.saturating_sub(counted.end) >= HOLE_BYTES;
    if let Some(at_byte) = counted.hole_at.or(ends_early.then_some(counted.end)) {
        found.add_flaw(Flaw::Hole { at_byte });
    }
}

fn measure_whole(
    seen: &Seen,
    sound: std::ops::Range<u64>,
    frame: Frame,
    found: &mut ProbedMedia,
) -> Result<Length, Stop> {
    let scan = scan(seen.whole(sound.clone())?, frame);
    let (gap_at, gap_bytes) = (scan.gap.0 as u64, scan.gap.1 as u64);
    let gap_at = sound.start + gap_at;
    if let Some(at) = scan.second_at {
        found.add_flaw(Flaw::SecondFile {
            at_byte: sound.start + at as u64,
        });
    } else if gap_bytes >= HOLE_BYTES {
        found.add_flaw(hole(seen, gap_at)?);
    }
    length_of(seen, sound.start, frame, scan.frames)
}

/// How long these frames play, of which the first one begins at `start`.
fn length_of(seen: &Seen, start: u64, frame: Frame, frames: u64) -> Result<Length, Stop> {
    let has_totals = frame.has_totals(seen.some(start, frame.length_bytes() as u64)?);
    let frames = frames.saturating_sub(u64::from(has_totals));
    let plays = duration(
        frames.saturating_mul(frame.samples()),
        u64::from(frame.hertz),
    );
    Ok(plays.map_or(Length::Unknown, Length::Exact))
}

/// The flaw for bytes that are no frames: no media, or the tag of another file.
fn hole(seen: &Seen, at_byte: u64) -> Result<Flaw, Stop> {
    Ok(match tags::tag_at(seen, at_byte)? {
        Some(_) => Flaw::SecondFile { at_byte },
        None => Flaw::Hole { at_byte },
    })
}

fn measure_places(
    seen: &Seen,
    sound: std::ops::Range<u64>,
    frame: Frame,
    found: &mut ProbedMedia,
) -> Result<Length, Stop> {
    found.is_sampled = true;
    let (mut frames, mut bytes, mut rate) = (0_u64, 0_u64, Rate::Unknown);
    let ends = [sound.start, sound.end.saturating_sub(PLACE_BYTES)];
    for at in places(seen.total_bytes()).chain(ends) {
        let end = at.saturating_add(PLACE_BYTES).min(sound.end);
        if at < sound.start || end < at.saturating_add(HOLE_BYTES) {
            continue;
        }
        let place: Scan = scan(seen.whole(at..end)?, frame);
        if let Some(second) = place.second_at {
            let at_byte = at + second as u64;
            found.add_flaw(Flaw::SecondFile { at_byte });
        }
        let (gap_at, gap_bytes) = (place.gap.0 as u64, place.gap.1 as u64);
        if gap_bytes >= HOLE_BYTES {
            found.add_flaw(hole(seen, at + gap_at)?);
        }
        frames = frames.saturating_add(place.frames);
        bytes = bytes.saturating_add(place.bytes);
        rate = rate.and(place.rate);
    }
    let there = sound.end - sound.start;
    let samples = u128::from(frames) * u128::from(frame.samples()) * u128::from(there)
        / u128::from(bytes.max(1));
    let samples = u64::try_from(samples).unwrap_or(u64::MAX);
    let plays = duration(samples, u64::from(frame.hertz));
    Ok(match (rate, plays) {
        (Rate::Unknown, _) | (_, None) => Length::Unknown,
        (Rate::Constant(_), Some(plays)) => Length::Exact(plays),
        (Rate::Varying, Some(plays)) => Length::Estimated(plays),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{probe, sample};
    use super::*;

    /// `MPEG-1`, 128 kbps, 44.1 kHz, stereo: 417 bytes.
    const LOUD: [u8; 4] = [0xff, 0xfb, 0x90, 0x04];
    /// The same at 64 kbps: 208 bytes.
    const QUIET: [u8; 4] = [0xff, 0xfb, 0x50, 0x04];
    const SAMPLE_LENGTH: Duration = Duration::from_millis(56 * 36);

    fn frame(header: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut frame = [&header, body].concat();
        frame.resize(Frame::read(header).unwrap().length_bytes(), 0);
        frame
    }

    fn with_totals(at: usize, totals: &[u8], frames: usize) -> Vec<u8> {
        let first = frame(LOUD, &[&vec![0; at - 4], totals].concat());
        [first, frame(LOUD, b"").repeat(frames)].concat()
    }

    fn frames(number: u64) -> Option<Duration> {
        duration(number * 1152, 44_100)
    }

    fn ape(size_bytes: usize) -> Vec<u8> {
        let mut tag = vec![7; size_bytes];
        let size = u32::try_from(size_bytes).unwrap().to_le_bytes();
        tag[size_bytes - 32..].fill(0);
        tag[size_bytes - 32..size_bytes - 24].copy_from_slice(b"APETAGEX");
        tag[size_bytes - 20..size_bytes - 16].copy_from_slice(&size);
        tag
    }

    #[test]
    fn a_real_file_plays_as_long_as_its_frames() {
        let probed = probe(&sample("sample.mp3"));
        assert_eq!(
            (probed.container, probed.channels(), probed.flaw.clone()),
            (Container::Mp3, Some(1), None)
        );
        assert_eq!(probed.length, Length::Exact(SAMPLE_LENGTH));
    }

    #[test]
    fn tags_and_padding_before_the_sound_are_stepped_over() {
        let tag = [b"ID3\x04\0\0\0\x06\x0d\x20".to_vec(), vec![0xff; 100_000]].concat();
        let ape = [b"APETAGEX\xd0\x07\0\0\x20\0\0\0".to_vec(), vec![0; 16 + 32]].concat();
        let file = [tag.clone(), ape, tag, vec![0; 60_000], sample("sample.mp3")].concat();
        assert_eq!(probe(&file).duration(), Some(SAMPLE_LENGTH));
    }

    #[rstest::rstest]
    #[case::id3v1([b"TAG".to_vec(), vec![0; 125]].concat())]
    #[case::enhanced([b"TAG+".to_vec(), vec![1; 223], b"TAG".to_vec(), vec![0; 125]].concat())]
    #[case::ape(ape(20_000))]
    #[case::ape_and_id3v1([ape(20_000), b"TAG".to_vec(), vec![0; 125]].concat())]
    #[case::lyrics_2([b"LYRICSBEGIN".to_vec(), vec![b'x'; 9000], b"009011LYRICS200".to_vec()].concat())]
    #[case::lyrics_1([b"LYRICSBEGIN".to_vec(), vec![b'x'; 5000], b"LYRICSEND".to_vec()].concat())]
    #[case::id3v2_footer([b"ID3\x04\0\x10\0\x01\0\0".to_vec(), vec![3; 16_384], b"3DI\x04\0\x10\0\x01\0\0".to_vec()].concat())]
    fn tags_behind_the_sound_are_no_sound(#[case] tag: Vec<u8>) {
        let probed = probe(&[sample("sample.mp3"), tag].concat());
        assert_eq!(
            (probed.length, probed.flaw),
            (Length::Exact(SAMPLE_LENGTH), None)
        );
    }

    #[rstest::rstest]
    #[case::xing(with_totals(36, b"Xing\0\0\0\x01\0\0\x03\xe8", 1000))]
    #[case::info(with_totals(36, b"Info\0\0\0\x03\0\0\x03\xe8\0\x06\x5e\x89", 1000))]
    #[case::vbri(with_totals(36, b"VBRI\0\x01\0\0\0\0\0\x06\x5e\x89\0\0\x03\xe8", 1000))]
    #[case::nothing_filled_in(with_totals(36, b"Xing\0\0\0\x03\0\0\0\0\0\0\0\0", 1000))]
    #[case::bytes_without_the_first_frame(with_totals(
        36,
        b"Info\0\0\0\x03\0\0\x03\xe8\0\x06\x5c\xe8",
        1000
    ))]
    #[case::bytes_with_a_tag(with_totals(36, b"Info\0\0\0\x03\0\0\x03\xe8\0\x06\x6c\x00", 1000))]
    fn the_number_of_frames_tells_the_length(#[case] file: Vec<u8>) {
        let probed = probe(&file);
        assert_eq!(probed.duration(), frames(1000));
        assert_eq!(probed.flaw, None);
    }

    #[rstest::rstest]
    #[case::by_bytes(b"Xing\0\0\0\x03\0\0\x03\xe8\0\x06\x5e\x89")]
    #[case::by_frames(b"Xing\0\0\0\x01\0\0\x03\xe8")]
    fn a_file_with_less_than_its_first_frame_counts_was_cut_off(#[case] totals: &[u8]) {
        let file = with_totals(36, totals, 500);
        assert!(matches!(
            probe(&file).flaw,
            Some(Flaw::ShorterThanItsHeaders { .. })
        ));
    }

    #[test]
    fn a_file_with_more_frames_than_it_counts_has_a_block_twice() {
        let totals = b"Info\0\0\0\x03\0\0\x03\xe8\0\x06\x5e\x89";
        let frames_of = |frames| probe(&with_totals(36, totals, frames)).flaw;
        assert_eq!(frames_of(1009), None);
        let flaw = frames_of(1100);
        assert!(
            matches!(flaw, Some(Flaw::Surplus { .. } | Flaw::SecondFile { .. })),
            "{flaw:?}"
        );
    }

    #[rstest::rstest]
    #[case::with_totals([with_totals(36, b"Info\0\0\0\x03\0\0\x03\xe8\0\x06\x5e\x89", 1000)].concat().repeat(2), 417 * 1001)]
    #[case::bytes_only([with_totals(36, b"Info\0\0\0\x02\0\x06\x5e\x89", 1000), frame(LOUD, b"").repeat(300)].concat(), 417 * 1001)]
    #[case::totals_without_bytes(with_totals(36, b"Xing\0\0\0\x01\0\0\x03\xe8", 1000).repeat(2), 417 * 1001)]
    #[case::behind_a_small_tag([frame(LOUD, b"").repeat(100), b"ID3\x04\0\0\0\0\0\x05".to_vec(), vec![0; 5], frame(LOUD, b"").repeat(100)].concat(), 417 * 100)]
    #[case::behind_a_tag([frame(LOUD, b"").repeat(100), b"ID3\x04\0\0\0\x01\0\0".to_vec(), vec![0; 16_384], frame(LOUD, b"").repeat(100)].concat(), 417 * 100)]
    fn a_second_file_behind_the_first_is_found(#[case] file: Vec<u8>, #[case] at_byte: u64) {
        let flaw = probe(&file).flaw;
        let near = |found: u64| found.abs_diff(at_byte) <= 417;
        assert!(
            matches!(flaw, Some(Flaw::SecondFile { at_byte }) if near(at_byte)),
            "{flaw:?}"
        );
    }

    #[test]
    fn a_small_file_of_varying_bit_rate_is_measured_by_every_frame() {
        let file = [frame(LOUD, b"").repeat(4), frame(QUIET, b"").repeat(300)].concat();
        assert_eq!(probe(&file).length, Length::Exact(frames(304).unwrap()));
    }

    #[test]
    fn a_large_file_of_varying_bit_rate_is_estimated() {
        let pair = [frame(LOUD, b"").repeat(100), frame(QUIET, b"").repeat(100)].concat();
        let probed = probe(&pair.repeat(100));
        let (Length::Estimated(found), Some(plays)) = (probed.length, frames(20_000)) else {
            panic!("{probed:?}");
        };
        assert!(found.abs_diff(plays) < plays / 7, "{found:?} of {plays:?}");
        assert_eq!(probed.flaw, None);
    }

    #[test]
    fn a_large_file_of_one_bit_rate_is_measured_by_its_size() {
        let probed = probe(&frame(LOUD, b"").repeat(20_000));
        let Length::Exact(found) = probed.length else {
            panic!("{probed:?}");
        };
        assert!(found.abs_diff(frames(20_000).unwrap()) < Duration::from_secs(1));
    }

    #[rstest::rstest]
    #[case::zeros(100, vec![0; 40_000])]
    #[case::garbage(100, (0..40_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect())]
    #[case::of_a_large_file(10_000, vec![0; 1_000_000])]
    fn a_place_without_frames_is_a_hole(#[case] before: usize, #[case] hole: Vec<u8>) {
        let half = frame(LOUD, b"").repeat(before);
        let flaw = probe(&[half.clone(), hole, half].concat()).flaw;
        assert!(matches!(flaw, Some(Flaw::Hole { .. })), "{flaw:?}");
    }

    #[test]
    fn one_frame_alone_is_chance() {
        assert_eq!(probe(&frame(LOUD, b"")).container, Container::Unrecognised);
        let other_clock = [frame(LOUD, b""), frame([0xff, 0xf3, 0x68, 0xc4], b"")].concat();
        assert_eq!(probe(&other_clock).container, Container::Unrecognised);
    }
}
