//! One frame of MPEG-1, 2 and 2.5 layer III (ISO/IEC 11172-3, 13818-3;
//! <http://www.mp3-tech.org/programmer/frame_header.html>), and the totals in a first frame. It knows no file.

/// Layer III in MPEG-1, and in MPEG-2 and 2.5.
const KBPS_1: [u16; 15] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const KBPS_2: [u16; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const HERTZ_1: [u16; 3] = [44_100, 48_000, 32_000];
/// Offset of a `VBRI` header after the frame's own.
const VBRI_AT: usize = 4 + 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    TwoAndAHalf,
}

/// A frame's header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    version: Version,
    pub(super) kbps: u16,
    pub(super) hertz: u16,
    padding_bytes: u16,
    pub(super) channels: u16,
    /// Bytes of a frame without padding in free format, where the bit rate does not tell them.
    free_bytes: u16,
}

impl Frame {
    /// A header with a bit rate from the table.
    pub(super) fn read(header: [u8; 4]) -> Option<Self> {
        Self::parse(header).filter(|frame| !frame.is_free())
    }

    /// A header in free format: the length of its frames is not known.
    pub(super) fn read_free(header: [u8; 4]) -> Option<Self> {
        Self::parse(header).filter(|frame| frame.is_free())
    }

    /// A header in a stream of frames like `first`. In free format all frames have the length of the first.
    pub(super) fn read_like(header: [u8; 4], first: Self) -> Option<Self> {
        let frame = Self {
            free_bytes: first.free_bytes,
            ..Self::parse(header)?
        };
        frame.agrees_with(first).then_some(frame)
    }

    /// This frame in free format, `bytes` before the next one.
    pub(super) fn with_length(self, bytes: u16) -> Option<Self> {
        let free_bytes = bytes.checked_sub(self.padding_bytes)?;
        Some(Self { free_bytes, ..self })
    }

    fn parse([sync, version, rates, mode]: [u8; 4]) -> Option<Self> {
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
        // A bit rate of 0 is "free format".
        let kbps = *bit_rates.get(usize::from(rates >> 4))?;
        let hertz = HERTZ_1.get(usize::from(rates >> 2 & 3))? / divisor;
        let channels = if mode >> 6 == 3 { 1 } else { 2 };
        Some(Self {
            version,
            kbps,
            hertz,
            padding_bytes: u16::from(rates >> 1 & 1),
            channels,
            free_bytes: 0,
        })
    }

    /// The frame whose header is at `at`, in a stream of frames like `first`.
    pub(super) fn in_bytes(bytes: &[u8], at: usize, first: Self) -> Option<Self> {
        Self::read_like(*bytes.get(at..)?.first_chunk()?, first)
    }

    fn is_free(self) -> bool {
        self.kbps == 0
    }

    pub(super) fn samples(self) -> u64 {
        match self.version {
            Version::One => 1152,
            Version::Two | Version::TwoAndAHalf => 576,
        }
    }

    pub(super) fn length_bytes(self) -> usize {
        if self.is_free() {
            return usize::from(self.free_bytes) + usize::from(self.padding_bytes);
        }
        let whole = usize::from(self.kbps)
            * 125
            * if self.version == Version::One {
                1152
            } else {
                576
            }
            / usize::from(self.hertz);
        whole + usize::from(self.padding_bytes)
    }

    /// Whether the two can belong to one stream.
    pub(super) fn agrees_with(self, other: Self) -> bool {
        self.version == other.version
            && self.hertz == other.hertz
            && self.is_free() == other.is_free()
    }

    /// Offset of a `Xing` header: after the frame's header and its side information.
    fn xing_at(self) -> usize {
        4 + match (self.version, self.channels) {
            (Version::One, 1) => 17,
            (Version::One, _) => 32,
            (Version::Two | Version::TwoAndAHalf, 1) => 9,
            (Version::Two | Version::TwoAndAHalf, _) => 17,
        }
    }

    /// Whether the frame that begins with `bytes` holds totals instead of sound.
    pub(super) fn has_totals(self, bytes: &[u8]) -> bool {
        let xing = self.xing_at();
        matches!(bytes.get(xing..xing + 4), Some(b"Xing" | b"Info"))
            || bytes.get(VBRI_AT..VBRI_AT + 4) == Some(b"VBRI")
    }
}

/// Totals over all frames that the first one may contain; 0 means unknown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) frames: Option<u32>,
    pub(super) bytes: Option<u32>,
}

impl Totals {
    /// A `Xing` (or `Info`) or `VBRI` header: <https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header>.
    pub(super) fn read(first: &[u8], frame: Frame) -> Option<Self> {
        if !frame.has_totals(first) {
            return None;
        }
        let number = |at: usize| {
            let bytes = first.get(at..)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes)).filter(|number| *number > 0)
        };
        let xing = frame.xing_at();
        if matches!(first.get(xing..xing + 4), Some(b"Xing" | b"Info")) {
            let flags = number(xing + 4).unwrap_or_default();
            let bytes_at = xing + if flags & 1 == 0 { 8 } else { 12 };
            return Some(Self {
                frames: number(xing + 8).filter(|_| flags & 1 != 0),
                bytes: number(bytes_at).filter(|_| flags & 2 != 0),
            });
        }
        Some(Self {
            frames: number(VBRI_AT + 14),
            bytes: number(VBRI_AT + 10),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_the_length_of_its_frame() {
        let frame = Frame::read([0xff, 0xfb, 0x90, 0x04]).unwrap();
        assert_eq!(
            (frame.kbps, frame.hertz, frame.length_bytes()),
            (128, 44_100, 417)
        );
        let padded = Frame::read([0xff, 0xfb, 0x92, 0x04]).unwrap();
        assert_eq!(padded.length_bytes(), 418);
    }

    #[rstest::rstest]
    #[case::no_sync([0xfe, 0xfb, 0x90, 0x04])]
    #[case::layer_two([0xff, 0xfd, 0x90, 0x04])]
    #[case::free_format_of_no_known_length([0xff, 0xfb, 0x00, 0x04])]
    #[case::no_bit_rate([0xff, 0xfb, 0xf0, 0x04])]
    #[case::no_sample_rate([0xff, 0xfb, 0x9c, 0x04])]
    fn what_is_no_header_is_no_frame(#[case] bytes: [u8; 4]) {
        assert!(Frame::read(bytes).is_none());
    }
}
