//! MP3: MPEG-1, 2 and 2.5 layer III frames (ISO/IEC 11172-3, 13818-3; <http://www.mp3-tech.org/programmer/frame_header.html>)
//! behind any `ID3v2` tags (<https://id3.org/id3v2.4.0-structure>).

use crate::media::seen::{Seen, Stop};
use crate::media::{Container, Flaw, Looked, ProbedMedia, duration};

/// An `ID3v2` header, and its footer.
const TAG_HEADER_BYTES: u64 = 10;
/// Tags before the sound that are stepped over.
const MAX_TAGS: u32 = 8;
/// How far behind the tags the first frame may begin, in bytes: some writers pad.
const MAX_PADDING_BYTES: u64 = 4096;
/// Layer III in MPEG-1, and in MPEG-2 and 2.5.
const KBPS_1: [u16; 15] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const KBPS_2: [u16; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const HERTZ_1: [u16; 3] = [44_100, 48_000, 32_000];
/// Where a `VBRI` header stands behind the frame's own.
const VBRI_AT: usize = 4 + 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    TwoAndAHalf,
}

/// A frame's header.
#[derive(Clone, Copy)]
struct Frame {
    version: Version,
    kbps: u16,
    hertz: u16,
    padding_bytes: u16,
    channels: u16,
}

impl Frame {
    fn read([sync, version, rates, mode]: [u8; 4]) -> Option<Self> {
        // Eleven ones, and `01` for layer III.
        if sync != 0xff || version & 0xe6 != 0xe2 {
            return None;
        }
        let (version, bit_rates, divisor) = match version >> 3 & 3 {
            0 => (Version::TwoAndAHalf, KBPS_2, 4),
            2 => (Version::Two, KBPS_2, 2),
            3 => (Version::One, KBPS_1, 1),
            _ => return None,
        };
        // A bit rate of 0 is "free format", which nobody writes.
        let kbps = bit_rates
            .get(usize::from(rates >> 4))
            .copied()
            .filter(|kbps| *kbps > 0)?;
        let hertz = HERTZ_1.get(usize::from(rates >> 2 & 3))? / divisor;
        let channels = if mode >> 6 == 3 { 1 } else { 2 };
        Some(Self {
            version,
            kbps,
            hertz,
            padding_bytes: u16::from(rates >> 1 & 1),
            channels,
        })
    }

    fn samples(self) -> u64 {
        match self.version {
            Version::One => 1152,
            Version::Two | Version::TwoAndAHalf => 576,
        }
    }

    fn length_bytes(self) -> u64 {
        self.samples() * 125 * u64::from(self.kbps) / u64::from(self.hertz)
            + u64::from(self.padding_bytes)
    }

    fn agrees_with(self, next: Self) -> bool {
        self.version == next.version && self.hertz == next.hertz
    }

    /// Where a `Xing` header stands: behind the frame's header and its side information.
    fn xing_at(self) -> usize {
        4 + match (self.version, self.channels) {
            (Version::One, 1) => 17,
            (Version::One, _) => 32,
            (Version::Two | Version::TwoAndAHalf, 1) => 9,
            (Version::Two | Version::TwoAndAHalf, _) => 17,
        }
    }
}

/// What the first frame may say of all of them.
struct Totals {
    frames: Option<u32>,
    bytes: Option<u32>,
}

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    let mut found = ProbedMedia::of(Container::Mp3);
    match walk(seen, &mut found) {
        Ok(true) => Some((found, Ok(()))),
        Ok(false) => None,
        // It is not an mp3 before its frames were seen.
        Err(stop) => Some((ProbedMedia::of(Container::Unrecognised), Err(stop))),
    }
}

fn walk(seen: &Seen, found: &mut ProbedMedia) -> Result<bool, Stop> {
    let sound = after_tags(seen)?;
    for start in sound
        ..sound
            .saturating_add(MAX_PADDING_BYTES)
            .min(seen.total_bytes())
    {
        if let Some((frame, next)) = two_frames(seen, start)? {
            tell(seen, start, frame, next, found)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn after_tags(seen: &Seen) -> Result<u64, Stop> {
    let mut at: u64 = 0;
    for _ in 0..MAX_TAGS {
        let header = match seen.at::<10>(at) {
            Ok(header) => header,
            Err(Stop::PastEnd) => return Ok(at),
            Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
        };
        let [b'I', b'D', b'3', _, _, flags, size @ ..] = header else {
            return Ok(at);
        };
        let size = size
            .iter()
            .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        let footer_bytes = if flags & 0x10 == 0 {
            0
        } else {
            TAG_HEADER_BYTES
        };
        at = at.saturating_add(TAG_HEADER_BYTES + size + footer_bytes);
    }
    Ok(at)
}

/// Two frames in a row that agree: one alone could be chance.
fn two_frames(seen: &Seen, start: u64) -> Result<Option<(Frame, Frame)>, Stop> {
    let header = |at| match seen.at(at) {
        Ok(bytes) => Ok(Frame::read(bytes)),
        Err(Stop::PastEnd) => Ok(None),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => Err(stop),
    };
    let Some(frame) = header(start)? else {
        return Ok(None);
    };
    let Some(next) = header(start.saturating_add(frame.length_bytes()))? else {
        return Ok(None);
    };
    Ok(frame.agrees_with(next).then_some((frame, next)))
}

fn tell(
    seen: &Seen,
    start: u64,
    frame: Frame,
    next: Frame,
    found: &mut ProbedMedia,
) -> Result<(), Stop> {
    found.channels = Some(frame.channels);
    let bytes = seen.total_bytes().saturating_sub(start);
    let totals = totals(seen.some(start, frame.length_bytes())?, frame);
    if let Some(declared) = totals
        .as_ref()
        .and_then(|totals| totals.bytes)
        .map(u64::from)
        && declared > bytes
    {
        found.flaw = Some(Flaw::ShorterThanItsHeaders {
            declared_bytes: start.saturating_add(declared),
        });
    }
    let frames = totals.as_ref().and_then(|totals| totals.frames);
    found.duration = match (frames, totals) {
        (Some(frames), _) => duration(u64::from(frames) * frame.samples(), u64::from(frame.hertz)),
        // Constant bit rate: 125 bytes a second for each kbps.
        (None, None) if frame.kbps == next.kbps => duration(bytes, 125 * u64::from(frame.kbps)),
        (None, None | Some(_)) => None,
    };
    Ok(())
}

/// A `Xing` (or `Info`) or `VBRI` header: <https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header>.
fn totals(first: &[u8], frame: Frame) -> Option<Totals> {
    let number = |at: usize| {
        first
            .get(at..)?
            .first_chunk()
            .map(|bytes| u32::from_be_bytes(*bytes))
    };
    let xing = frame.xing_at();
    if matches!(first.get(xing..xing + 4), Some(b"Xing" | b"Info")) {
        let flags = number(xing + 4)?;
        let frames = if flags & 1 == 0 {
            None
        } else {
            number(xing + 8)
        };
        let bytes = if flags & 2 == 0 {
            None
        } else {
            number(xing + if flags & 1 == 0 { 8 } else { 12 })
        };
        return Some(Totals { frames, bytes });
    }
    let is_vbri = first.get(VBRI_AT..VBRI_AT + 4) == Some(b"VBRI");
    is_vbri.then(|| Totals {
        frames: number(VBRI_AT + 14),
        bytes: number(VBRI_AT + 10),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{probe, sample};
    use super::*;
    use std::time::Duration;

    /// `MPEG-1`, 128 kbps, 44.1 kHz, stereo: 417 bytes.
    const LOUD: [u8; 4] = [0xff, 0xfb, 0x90, 0x04];

    fn frame(header: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut frame = [&header, body].concat();
        frame.resize(
            usize::try_from(Frame::read(header).unwrap().length_bytes()).unwrap(),
            0,
        );
        frame
    }

    fn with_totals(at: usize, totals: &[u8]) -> Vec<u8> {
        let first = frame(LOUD, &[&vec![0; at - 4], totals].concat());
        [first, frame(LOUD, b"").repeat(9)].concat()
    }

    #[test]
    fn a_real_file_plays_as_long_as_its_frames() {
        let probed = probe(&sample("sample.mp3"));
        assert_eq!(
            (probed.container, probed.channels, probed.flaw),
            (Container::Mp3, Some(1), None)
        );
        assert_eq!(probed.duration, Some(Duration::from_millis(56 * 36)));
    }

    #[test]
    fn tags_and_padding_are_stepped_over() {
        let tag = [b"ID3\x04\0\0\0\x06\x0d\x20".to_vec(), vec![0xff; 100_000]].concat();
        let file = [tag.clone(), tag, vec![0; 100], sample("sample.mp3")].concat();
        assert_eq!(probe(&file).duration, Some(Duration::from_millis(56 * 36)));
    }

    #[rstest::rstest]
    #[case::xing(with_totals(36, b"Xing\0\0\0\x01\0\0\x03\xe8"))]
    #[case::info(with_totals(36, b"Info\0\0\0\x03\0\0\x03\xe8\0\0\x10\0"))]
    #[case::vbri(with_totals(36, b"VBRI\0\x01\0\0\0\0\0\0\x10\0\0\0\x03\xe8"))]
    fn a_varying_bit_rate_is_told_by_the_number_of_frames(#[case] file: Vec<u8>) {
        let probed = probe(&file);
        assert_eq!(probed.duration, duration(1000 * 1152, 44_100));
        assert_eq!(probed.flaw, None);
    }

    #[test]
    fn a_file_with_fewer_bytes_than_its_first_frame_counts_was_cut_off() {
        let file = with_totals(36, b"Xing\0\0\0\x03\0\0\x03\xe8\0\x01\0\0");
        assert_eq!(
            probe(&file).flaw,
            Some(Flaw::ShorterThanItsHeaders {
                declared_bytes: 65_536
            })
        );
    }

    #[test]
    fn a_varying_bit_rate_without_a_count_tells_no_length() {
        let probed = probe(
            &[
                frame(LOUD, b""),
                frame([0xff, 0xfb, 0x50, 0x04], b"").repeat(3),
            ]
            .concat(),
        );
        assert_eq!((probed.container, probed.duration), (Container::Mp3, None));
    }

    #[test]
    fn one_frame_alone_is_chance() {
        assert_eq!(probe(&frame(LOUD, b"")).container, Container::Unrecognised);
        let other_clock = [frame(LOUD, b""), frame([0xff, 0xf3, 0x68, 0xc4], b"")].concat();
        assert_eq!(probe(&other_clock).container, Container::Unrecognised);
    }
}
