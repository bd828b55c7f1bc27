//! What a media file says about itself: its container and how long it plays, from a few small reads.
//!
//! Sans-IO: the probe names the bytes it wants, the caller brings them. It never needs the whole file, and whatever the
//! file holds, it ends after a bounded number of bounded reads. It knows nothing of recordings: what the file *should*
//! be is compared in [`crate::media::plausibility`].

mod mp3;
mod mp4;
pub mod plausibility;
#[cfg(test)]
pub(crate) mod samples;
mod seen;
mod wav;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use self::seen::{READ_BYTES, Seen, Stop};
use crate::recording::media::{ContentKind, FormatKind};

/// Reads of one file, at most. A recording takes two or three; a fragmented mp4 would take one for each fragment.
pub const MAX_READS: u32 = 64;
/// Bytes of one read, at most.
pub const MAX_READ_BYTES: u64 = 256 * 1024;
/// Parts (boxes or chunks) of one file that are looked at.
const MAX_PARTS: u32 = 4096;
/// How much of a file must be text before it counts as a page, in bytes.
const PAGE_HEAD_BYTES: usize = 1024;

const _: () = assert!(
    READ_BYTES <= MAX_READ_BYTES,
    "a read is never larger than promised"
);

/// What kind of file it is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Wav,
    Mp4,
    Mp3,
    /// HTML, XML or JSON: an error page that was saved as a recording.
    WebPage,
    Unrecognised,
}

impl Container {
    /// The format of recordings it is, if it is one.
    pub fn format(self) -> Option<FormatKind> {
        match self {
            Self::Wav => Some(FormatKind::Wav),
            Self::Mp4 => Some(FormatKind::Mp4),
            Self::Mp3 => Some(FormatKind::Mp3),
            Self::WebPage | Self::Unrecognised => None,
        }
    }
}

/// Why a file cannot be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Its own headers speak of at least so many bytes, and it has fewer.
    ShorterThanItsHeaders { declared_bytes: u64 },
    /// An mp4 without the box that says what the rest is.
    NoMoovBox,
    /// A wav without sound.
    NoDataChunk,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShorterThanItsHeaders { declared_bytes } => {
                write!(f, "its own headers speak of {declared_bytes} bytes")
            }
            Self::NoMoovBox => f.write_str("no moov box: the file is not complete"),
            Self::NoDataChunk => f.write_str("no data chunk: the file is not complete"),
        }
    }
}

/// What a file says about itself; whatever it does not say, or too late to be worth the reads, is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedMedia {
    pub container: Container,
    pub duration: Option<Duration>,
    /// Channels of sound.
    pub channels: Option<u16>,
    /// Whether there is a picture.
    pub content: Option<ContentKind>,
    pub flaw: Option<Flaw>,
}

impl ProbedMedia {
    fn of(container: Container) -> Self {
        let content = match container {
            Container::Wav | Container::Mp3 => Some(ContentKind::Audio),
            Container::Mp4 | Container::WebPage | Container::Unrecognised => None,
        };
        Self {
            container,
            duration: None,
            channels: None,
            content,
            flaw: None,
        }
    }
}

/// A look into one file.
///
/// ```
/// # use recording_vault::media::{Container, MediaProbe};
/// let file = b"<html>Service unavailable</html>";
/// let mut probe = MediaProbe::new(32);
/// while let Some(range) = probe.next_read() {
///     probe.feed(&file[range.start as usize..range.end as usize]);
/// }
/// assert_eq!(probe.finish().container, Container::WebPage);
/// ```
#[derive(Debug)]
pub struct MediaProbe {
    seen: Seen,
    reads_left: u32,
    wanted: Option<Range<u64>>,
    found: ProbedMedia,
}

impl MediaProbe {
    /// Begins with a file of `total_bytes`.
    pub fn new(total_bytes: u64) -> Self {
        let wanted = (total_bytes > 0).then(|| 0..total_bytes.min(READ_BYTES));
        Self {
            seen: Seen::new(total_bytes),
            reads_left: MAX_READS,
            wanted,
            found: ProbedMedia::of(Container::Unrecognised),
        }
    }

    /// The bytes of the file to read next; never empty, never beyond its end. `None`: the probe knows enough.
    pub fn next_read(&self) -> Option<Range<u64>> {
        self.wanted.clone()
    }

    /// Takes the bytes of [`MediaProbe::next_read`], from its start; fewer are fine, none at all ends the probe.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(wanted) = self.wanted.take() else {
            return;
        };
        let length = usize::try_from(wanted.end - wanted.start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.seen.add(wanted.start, &bytes[..length]);
        self.reads_left = self.reads_left.saturating_sub(1);
        let (found, stop) = look(&self.seen);
        self.found = found;
        self.wanted = match stop {
            Err(Stop::Want(range)) if length > 0 && self.reads_left > 0 => Some(range),
            Err(Stop::Want(_) | Stop::PastEnd | Stop::TooMany) | Ok(()) => None,
        };
    }

    /// What the bytes so far tell.
    pub fn finish(self) -> ProbedMedia {
        self.found
    }
}

/// Reads the file anew from all that was seen of it: up to the first bytes that are missing.
fn look(seen: &Seen) -> (ProbedMedia, Result<(), Stop>) {
    let looks: [fn(&Seen) -> Option<Looked>; 4] = [wav::look, mp4::look, web_page, mp3::look];
    let nothing = || (ProbedMedia::of(Container::Unrecognised), Ok(()));
    looks
        .into_iter()
        .find_map(|look| look(seen))
        .unwrap_or_else(nothing)
}

/// What was found of a recognised file, and why the look ended.
type Looked = (ProbedMedia, Result<(), Stop>);

fn web_page(seen: &Seen) -> Option<Looked> {
    let head = seen.head(PAGE_HEAD_BYTES);
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    let is_text = text
        .iter()
        .all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
    let is_page = is_text && matches!(text.first(), Some(b'<' | b'{' | b'['));
    is_page.then(|| (ProbedMedia::of(Container::WebPage), Ok(())))
}

/// `units` of which `per_second` make a second.
fn duration(units: u64, per_second: u64) -> Option<Duration> {
    let seconds = units.checked_div(per_second)?;
    let nanoseconds = u128::from(units % per_second) * 1_000_000_000 / u128::from(per_second);
    Some(Duration::new(seconds, u32::try_from(nanoseconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::samples::{probe, probe_in_pieces, sample};
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case(b"<!DOCTYPE html><html>", Container::WebPage)]
    #[case("\u{feff}<?xml version=\"1.0\"?><Error>".as_bytes(), Container::WebPage)]
    #[case(b"\r\n {\"error\":{\"code\":\"8522\"}}", Container::WebPage)]
    #[case(b"{\0\x01\x02", Container::Unrecognised)]
    #[case(b"RIFF", Container::Unrecognised)]
    #[case(b"\xff", Container::Unrecognised)]
    #[case(b"", Container::Unrecognised)]
    fn a_file_that_is_no_media_is_told_apart(#[case] file: &[u8], #[case] container: Container) {
        assert_eq!(probe(file), ProbedMedia::of(container));
    }

    #[test]
    fn reads_that_bring_less_than_asked_lead_to_the_same_end() {
        for file in [sample("sample.mp4"), sample("sample.mp3")] {
            assert_eq!(probe_in_pieces(&file, 500), probe(&file));
        }
    }

    #[test]
    fn a_source_that_brings_nothing_ends_the_probe() {
        let mut probe = MediaProbe::new(1000);
        probe.feed(b"");
        assert_eq!(probe.next_read(), None);
    }

    /// Bytes that lead deep into the readers.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::sample::select(vec![
                &b"RIFF\0\0\0\0WAVE"[..],
                b"RF64\xff\xff\xff\xffWAVE",
                b"ds64",
                b"fmt \x10\0\0\0",
                b"data",
                b"\0\0\0\x08moov",
                b"\0\0\0\x20ftyp",
                b"\0\0\0\x6cmvhd",
                b"\0\0\0\0trak",
                b"\0\0\0\x01mdat",
                b"\0\0\xff\xffmdia",
                b"mvex",
                b"mehd",
                b"\xff\xf3\x68\xc4",
                b"\xff\xfb\x90\x64",
                b"ID3\x04\0\0\0\0\0\x0a",
                b"Xing",
                b"VBRI",
                b"\xff\xff\xff\xff",
                b"\0\0\0\0\0\0\0\0",
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_the_probe_reads_inside_of_it_and_ends(
            file in hostile(), total in prop_oneof![0..5000_u64, any::<u64>()], piece in 1..100_000_usize,
        ) {
            let mut probe = MediaProbe::new(total);
            let mut reads = 0;
            while let Some(range) = probe.next_read() {
                reads += 1;
                prop_assert!(reads <= MAX_READS);
                prop_assert!(range.start < range.end && range.end <= total && range.end - range.start <= MAX_READ_BYTES);
                // The file says the same over and over, wherever it is read.
                let length = usize::try_from(range.end - range.start).unwrap().min(piece);
                let bytes: Vec<u8> = file.iter().copied().cycle().take(length).collect();
                probe.feed(&bytes);
            }
            probe.finish();
        }
    }
}
