//! Files of 4 GiB, generated as they are read: examinations stay within limits of reads, bytes and memory.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::plausibility::{Plausibility, ReportedLength, ReportedMedia, examine};
use super::samples::{FTYP, MEDIA_AT, init, init_of_two, moof, moov, mp4_box, mvhd, trak, with_id};
use super::*;
use crate::recording::media::{ContentKind, FormatKind};

const GIB: u64 = 1 << 30;
const FRAGMENT_BYTES: u64 = 2 << 20;
const BLOCK_BYTES: u64 = 8 << 20;
/// Time limit of an examination on a slow machine, without optimisation.
const TIME: Duration = Duration::from_secs(5);

/// A file of pieces at their places, and sevens between them.
struct VirtualFile {
    total_bytes: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl VirtualFile {
    /// `moov` with large tables behind 4 GiB of media.
    fn plain() -> Self {
        let media_bytes = 4 * GIB;
        let header = [
            &1_u32.to_be_bytes()[..],
            b"mdat",
            &(media_bytes + 16).to_be_bytes(),
        ]
        .concat();
        let movie = moov(&[
            mp4_box("udta", &vec![1; 2_000_000]),
            mvhd(0, 1000, 14_400_000),
            trak("vide", 0, 1000, 14_400_000, MEDIA_AT + 8),
        ]);
        let movie_at = FTYP.len() as u64 + 16 + media_bytes;
        Self {
            total_bytes: movie_at + movie.len() as u64,
            pieces: vec![(0, [FTYP, &header].concat()), (movie_at, movie)],
        }
    }

    /// Two seconds in every 2 MiB.
    fn fragmented() -> Self {
        let mut file = Self {
            total_bytes: 0,
            pieces: vec![(0, init(b""))],
        };
        file.total_bytes = file.pieces[0].1.len() as u64;
        for number in 0..u32::try_from(4 * GIB / FRAGMENT_BYTES).unwrap() {
            let header_bytes = moof(Some(0), 0, 0).len() as u64 + 8;
            let media_bytes = u32::try_from(FRAGMENT_BYTES - header_bytes).unwrap();
            let header = [
                moof(Some(number * 2000), 2000, media_bytes),
                (media_bytes + 8).to_be_bytes().to_vec(),
                b"mdat".to_vec(),
            ];
            file.pieces.push((file.total_bytes, header.concat()));
            file.total_bytes += FRAGMENT_BYTES;
        }
        file
    }

    /// Four seconds of sound and four of the picture in turn: the end of the file has the last part of one of them only.
    fn of_two_tracks(last: u8) -> Self {
        let mut file = Self {
            total_bytes: 0,
            pieces: vec![(0, init_of_two())],
        };
        file.total_bytes = file.pieces[0].1.len() as u64;
        for number in 0..400 {
            for (id, media_bytes) in [(3 - last, 160_000_u32), (last, 3_000_000)] {
                let header = [
                    with_id(moof(Some(number * 4000), 4000, media_bytes), id),
                    (media_bytes + 8).to_be_bytes().to_vec(),
                    b"mdat".to_vec(),
                ];
                let header = header.concat();
                let header_bytes = header.len() as u64;
                file.pieces.push((file.total_bytes, header));
                file.total_bytes += header_bytes + u64::from(media_bytes);
            }
        }
        file
    }

    fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![7; usize::try_from(range.end - range.start).unwrap()];
        let first = self
            .pieces
            .partition_point(|(at, piece)| at + piece.len() as u64 <= range.start);
        for (at, piece) in &self.pieces[first..] {
            let (from, to) = (range.start.max(*at), range.end.min(at + piece.len() as u64));
            if from >= to {
                break;
            }
            let place = |offset: u64, base: u64| usize::try_from(offset - base).unwrap();
            bytes[place(from, range.start)..place(to, range.start)]
                .copy_from_slice(&piece[place(from, *at)..place(to, *at)]);
        }
        bytes
    }
}

/// Examines a file. Returns how many reads and bytes that took.
fn look(file: &VirtualFile, mut probe: MediaProbe) -> (ProbedMedia, u32, u64) {
    let (began, mut reads, mut bytes) = (Instant::now(), 0, 0);
    while let Some(range) = probe.next_read() {
        reads += 1;
        bytes += range.end - range.start;
        probe.feed(&file.read(range));
    }
    assert!(began.elapsed() < TIME, "{:?}", began.elapsed());
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    (probe.finish(), reads, bytes)
}

#[rstest::rstest]
#[case::moov_at_its_end(VirtualFile::plain(), 14_400, 3)]
#[case::fragmented(VirtualFile::fragmented(), 4096, 2)]
fn a_file_of_4_gib_is_measured_by_few_reads(
    #[case] file: VirtualFile,
    #[case] plays_seconds: u64,
    #[case] most_reads: u32,
) {
    let (probed, reads, _) = look(&file, MediaProbe::new(file.total_bytes));
    assert_eq!(probed.duration(), Some(Duration::from_secs(plays_seconds)));
    assert_eq!((probed.flaw, probed.coverage), (None, Coverage::Complete));
    assert!(reads <= most_reads, "{reads} reads");
}

#[test]
fn a_fragmented_file_of_4_gib_that_passed_by_takes_no_read_and_little_memory() {
    let (file, mut passing) = (VirtualFile::fragmented(), PassingMedia::default());
    let mut at = 0;
    while at < file.total_bytes {
        let end = (at + BLOCK_BYTES).min(file.total_bytes);
        passing.pass(file.total_bytes, at, &file.read(at..end).into());
        at = end;
    }
    let kept: usize = passing.parts().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(kept < 6 << 20, "{kept} bytes are kept");
    let probe = MediaProbe::of_passing(file.total_bytes, &passing);
    let (probed, reads, _) = look(&file, probe);
    assert_eq!(reads, 0);
    assert_eq!(probed.duration(), Some(Duration::from_secs(4096)));
}

#[test]
fn a_hole_in_a_fragmented_file_that_passed_by_is_found() {
    let (mut file, mut passing) = (VirtualFile::fragmented(), PassingMedia::default());
    // 20 of its fragments are left out, and the others follow one another.
    file.pieces.truncate(200);
    file.pieces.drain(100..120);
    for (number, (at, _)) in file.pieces.iter_mut().enumerate().skip(1) {
        *at = init(b"").len() as u64 + (number as u64 - 1) * FRAGMENT_BYTES;
    }
    file.total_bytes = init(b"").len() as u64 + (file.pieces.len() as u64 - 1) * FRAGMENT_BYTES;
    let mut at = 0;
    while at < file.total_bytes {
        let end = (at + BLOCK_BYTES).min(file.total_bytes);
        passing.pass(file.total_bytes, at, &file.read(at..end).into());
        at = end;
    }
    let probe = MediaProbe::of_passing(file.total_bytes, &passing);
    let (probed, reads, _) = look(&file, probe);
    assert_eq!((reads, probed.gaps), (0, Duration::from_secs(40)));
}

#[rstest::rstest]
#[case::sound_before_the_picture(2)]
#[case::the_picture_before_sound(1)]
fn a_track_whose_end_was_not_seen_is_unknown(#[case] last: u8) {
    let file = VirtualFile::of_two_tracks(last);
    let (probed, ..) = look(&file, MediaProbe::new(file.total_bytes));
    let length = Duration::from_secs(1600);
    assert_eq!((&probed.flaw, probed.duration()), (&None, Some(length)));
    let ends: Vec<_> = probed.tracks.iter().map(|track| track.ends).collect();
    let (sound, picture) = if last == 2 {
        (None, Some(length))
    } else {
        (Some(length), None)
    };
    assert_eq!(ends, [sound, picture]);
    let reported = ReportedMedia {
        format: Some(FormatKind::Mp4),
        content: Some(ContentKind::AudioVideo),
        length: Some(ReportedLength {
            with_pauses: length,
            without_pauses: length,
        }),
        ..ReportedMedia::default()
    };
    let verdict = examine(&probed, file.total_bytes, &reported);
    assert!(matches!(verdict, Plausibility::Unknown(_)), "{verdict:?}");
}
