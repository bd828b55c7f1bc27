//! What a media file says about itself: its container, tracks and how long it plays, from few and bounded reads.
//!
//! Sans-IO: the probe requests bytes, and the caller provides them. It never needs the whole file, and for any content
//! it ends after a bounded number of bounded reads. It knows nothing of recordings: what the file *should* be is
//! compared in [`crate::media::plausibility`].

mod counted;
mod examined;
mod followed;
mod found;
#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod manifest_tests;
mod mp3;
mod mp4;
mod notice;
mod passing;
pub mod plausibility;
#[cfg(test)]
pub(crate) mod samples;
mod seen;
mod sound;
mod surplus;
mod text;
mod wav;
mod zeros;

use std::ops::Range;
use std::time::Duration;

pub use self::examined::{ExaminedTrack, MediaExamination, MediaVerdict};
pub use self::found::{Container, Coverage, Flaw, Length, ProbedMedia, Track, TrackKind};
pub use self::notice::MediaNotice;
pub use self::passing::PassingMedia;
use self::seen::{READ_BYTES, Seen, Stop, TAIL_BYTES};
pub use self::sound::{ChannelLevel, SoundLevels};
pub use self::zeros::ZeroRuns;

/// Reads of one file, at most.
pub const MAX_READS: u32 = 64;
/// Bytes of one read, at most: only the end of a file is asked for in one piece of this size, and only once.
pub const MAX_READ_BYTES: u64 = TAIL_BYTES;
/// Bytes of one file that are read, at most.
pub const MAX_BYTES: u64 = MAX_READS as u64 * READ_BYTES + TAIL_BYTES;
/// Parts (boxes or chunks) of one file that are read.
const MAX_PARTS: u32 = 50_000;

/// Probe of one file.
///
/// ```
/// # use recording_vault::media::{Container, MediaProbe};
/// let file = b"<html>Service unavailable</html>";
/// let mut probe = MediaProbe::new(32);
/// while let Some(range) = probe.next_read() {
///     probe.feed(&file[range.start as usize..range.end as usize]);
/// }
/// assert_eq!(probe.finish().container, Container::Text);
/// ```
#[derive(Debug)]
pub struct MediaProbe {
    seen: Seen,
    reads_left: u32,
    /// How much may still be read in pieces larger than usual.
    large_bytes_left: u64,
    next: Option<Range<u64>>,
    found: ProbedMedia,
}

impl MediaProbe {
    /// Begins with a file of `total_bytes`.
    pub fn new(total_bytes: u64) -> Self {
        let mut probe = Self::of(Seen::new(total_bytes));
        probe.begin();
        probe
    }

    /// Begins with what was kept while the file passed by: that does not count as reads.
    pub fn of_passing(total_bytes: u64, passing: &PassingMedia) -> Self {
        let mut probe = Self::with_parts(total_bytes, passing);
        probe.begin();
        probe
    }

    /// The same without a first look, which may take long: [`MediaProbe::begin`] takes it.
    pub fn with_parts(total_bytes: u64, passing: &PassingMedia) -> Self {
        let mut seen = match passing.whole() {
            Some(file) if passing.is_whole(total_bytes) => Seen::of_file(file.clone()),
            Some(_) | None => Seen::new(total_bytes),
        };
        for (start, bytes) in passing.parts() {
            seen.add(*start, bytes);
        }
        seen.frames = passing.frames(total_bytes);
        seen.boxes = passing.followed();
        seen.long_zeros = passing.long_zeros();
        Self::of(seen)
    }

    fn of(seen: Seen) -> Self {
        Self {
            seen,
            reads_left: MAX_READS,
            large_bytes_left: TAIL_BYTES,
            next: None,
            found: ProbedMedia::of(Container::Unrecognised),
        }
    }

    /// Takes the first look.
    pub fn begin(&mut self) {
        self.look_again();
    }

    /// The bytes of the file to read next; never empty, never beyond its end. `None`: the probe knows enough.
    pub fn next_read(&self) -> Option<Range<u64>> {
        self.next.clone()
    }

    /// Takes the bytes of [`MediaProbe::next_read`], from its start; fewer are fine, none at all ends the probe.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(range) = self.next.take() else {
            return;
        };
        let length = usize::try_from(range.end - range.start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        if range.end - range.start > READ_BYTES {
            self.large_bytes_left = self.large_bytes_left.saturating_sub(length as u64);
        }
        self.reads_left = self.reads_left.saturating_sub(1);
        if length == 0 {
            self.found.coverage = Coverage::ReadsRanOut;
            return;
        }
        self.seen.add(range.start, &bytes[..length]);
        self.look_again();
    }

    fn look_again(&mut self) {
        let (found, end) = look(&self.seen);
        self.found = found;
        match end {
            Ok(()) => {}
            Err(Stop::PastEnd) => self.found.add_unreadable_part(),
            Err(Stop::Want(range)) if self.reads_left > 0 => self.next = Some(self.cut(range)),
            Err(Stop::Want(_) | Stop::TooMany) => self.found.coverage = Coverage::ReadsRanOut,
        }
    }

    fn cut(&self, range: Range<u64>) -> Range<u64> {
        let is_large = range.end - range.start > READ_BYTES;
        let most = if is_large && self.large_bytes_left > READ_BYTES {
            self.large_bytes_left
        } else {
            READ_BYTES
        };
        range.start..range.end.min(range.start.saturating_add(most))
    }

    /// The loudness of a wav, from the kept samples.
    pub fn hear(&self, passing: &PassingMedia) -> Option<SoundLevels> {
        sound::hear(&self.seen, passing.sound_parts())
    }

    /// What the bytes so far tell.
    pub fn found(&self) -> &ProbedMedia {
        &self.found
    }

    /// Returns what the bytes so far tell.
    pub fn finish(self) -> ProbedMedia {
        self.found
    }
}

/// Parses the file again from all known bytes, up to the first missing ones.
fn look(seen: &Seen) -> Looked {
    let nothing = || (ProbedMedia::of(Container::Unrecognised), Ok(()));
    if seen.total_bytes() == 0 {
        return nothing();
    }
    if let Err(stop) = seen.some(0, seen.total_bytes().min(text::HEAD_BYTES as u64)) {
        return (ProbedMedia::of(Container::Unrecognised), Err(stop));
    }
    let looks: [fn(&Seen) -> Option<Looked>; 4] = [wav::look, mp4::look, text::look, mp3::look];
    looks
        .into_iter()
        .find_map(|look| look(seen))
        .unwrap_or_else(nothing)
}

/// What was found of a recognised file, and why the look ended.
type Looked = (ProbedMedia, Result<(), Stop>);

/// `units` of which `per_second` make a second.
fn duration(units: u64, per_second: u64) -> Option<Duration> {
    let seconds = units.checked_div(per_second)?;
    let nanoseconds = u128::from(units % per_second) * 1_000_000_000 / u128::from(per_second);
    Some(Duration::new(seconds, u32::try_from(nanoseconds).ok()?))
}

/// Bytes in a second, of media that lasts these units of a timescale.
fn per_second(bytes: u64, units: u64, timescale: u32) -> Option<u64> {
    let bytes = u128::from(bytes) * u128::from(timescale);
    u64::try_from(bytes.checked_div(u128::from(units))?).ok()
}

#[cfg(test)]
mod tests {
    use super::samples::{probe, probe_in_pieces, sample};
    use super::*;
    use proptest::prelude::*;

    #[rstest::rstest]
    #[case(b"<!DOCTYPE html><html>", Container::Text)]
    #[case("\u{feff}<?xml version=\"1.0\"?><Error>".as_bytes(), Container::Text)]
    #[case(b"\r\n {\"error\":{\"code\":\"8522\"}}", Container::Text)]
    #[case(b"{\0\x01\x02", Container::Unrecognised)]
    #[case(b"Service Unavailable", Container::Text)]
    #[case("Dienst nicht verf\u{fc}gbar".as_bytes(), Container::Text)]
    #[case(b"\xff\xfe<\0h\0t\0m\0l\0>\0", Container::Text)]
    #[case(b"\xff\xfe\r\0\n\0<\0h\0t\0m\0l\0>\0", Container::Text)]
    #[case(b"<\0h\0t\0m\0l\0>\0D\0i\0e\0n\0s\0t\0", Container::Text)]
    #[case(b"\0\r\0\n\0<\0?\0x\0m\0l\0 \0v", Container::Text)]
    #[case(b"<html>Dienst nicht verf\xfcgbar</html>", Container::Text)]
    #[case(b"\n <!DOCTYPE html><title>\x93Fehler\x94</title>", Container::Text)]
    #[case(b"Dienst nicht verf\xfcgbar", Container::Text)]
    #[case(b"{\"error\": \"nicht verf\xfcgbar\"}", Container::Text)]
    #[case(b"\xfc\xe4\xf6\xff a", Container::Unrecognised)]
    #[case(b"Dienst\0nicht verf\xfcgbar", Container::Unrecognised)]
    #[case(b"RIFF\x01", Container::Unrecognised)]
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
