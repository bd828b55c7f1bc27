//! WAV: the chunks of a RIFF file (<http://soundfile.sapp.org/doc/WaveFormat/>), and of its 64-bit form RF64, also called
//! BW64 (EBU Tech 3306, ITU-R BS.2088).

use crate::media::seen::{Seen, Stop};
use crate::media::{Container, Flaw, Looked, MAX_PARTS, ProbedMedia, duration};

/// `RIFF`, a size and `WAVE`.
const RIFF_HEADER_BYTES: u64 = 12;
/// The id and size of a chunk.
const CHUNK_HEADER_BYTES: u64 = 8;
/// A size that is told elsewhere: in `ds64`, or nowhere by a writer that could not seek back.
const SIZE_ELSEWHERE: u32 = u32::MAX;

/// The part of `fmt ` that counts here.
#[derive(Clone, Copy)]
struct Format {
    channels: u16,
    bytes_per_second: u32,
}

pub(super) fn look(seen: &Seen) -> Option<Looked> {
    let head = seen.head(12);
    let is_wave =
        matches!(head.first_chunk(), Some(b"RIFF" | b"RF64" | b"BW64")) && head.ends_with(b"WAVE");
    is_wave.then(|| {
        let mut found = ProbedMedia::of(Container::Wav);
        let end = walk(seen, &mut found);
        (found, end)
    })
}

fn walk(seen: &Seen, found: &mut ProbedMedia) -> Result<(), Stop> {
    let (mut at, mut format, mut long_size) = (RIFF_HEADER_BYTES, None, None);
    for _ in 0..MAX_PARTS {
        let Some(body) = at
            .checked_add(CHUNK_HEADER_BYTES)
            .filter(|body| *body <= seen.total_bytes())
        else {
            found.flaw = Some(Flaw::NoDataChunk);
            return Ok(());
        };
        let id = seen.at::<4>(at)?;
        let size = u32::from_le_bytes(seen.at(at + 4)?);
        let end = body.saturating_add(u64::from(size));
        match &id {
            b"data" => {
                sound(seen.total_bytes(), body, size, long_size, format, found);
                return Ok(());
            }
            _ if end > seen.total_bytes() => {
                found.flaw = Some(Flaw::ShorterThanItsHeaders {
                    declared_bytes: end,
                });
                return Ok(());
            }
            b"fmt " => format = Some(read_format(seen, body)?),
            // The size of the whole file, then that of `data`.
            b"ds64" => long_size = Some(u64::from_le_bytes(seen.at(body.saturating_add(8))?)),
            _ => {}
        }
        // Chunks begin at even offsets.
        at = end.saturating_add(end % 2);
    }
    Err(Stop::TooMany)
}

fn read_format(seen: &Seen, body: u64) -> Result<Format, Stop> {
    let fields: [u8; 14] = seen.at(body)?;
    let [
        _,
        _,
        channels_low,
        channels_high,
        r0,
        r1,
        r2,
        r3,
        b0,
        b1,
        b2,
        b3,
        frame_low,
        frame_high,
    ] = fields;
    let bytes_per_second = match u32::from_le_bytes([b0, b1, b2, b3]) {
        0 => u32::from_le_bytes([r0, r1, r2, r3])
            .saturating_mul(u32::from(u16::from_le_bytes([frame_low, frame_high]))),
        told => told,
    };
    Ok(Format {
        channels: u16::from_le_bytes([channels_low, channels_high]),
        bytes_per_second,
    })
}

/// Decides how much sound there is: the file's bytes count, not what its header promises.
fn sound(
    total: u64,
    body: u64,
    size: u32,
    long_size: Option<u64>,
    format: Option<Format>,
    found: &mut ProbedMedia,
) {
    let there = total.saturating_sub(body);
    let declared = match (size, long_size) {
        (SIZE_ELSEWHERE, Some(long)) => long,
        // A streaming writer left the size open: all that follows is sound.
        (0 | SIZE_ELSEWHERE, None | Some(_)) => there,
        (size, None | Some(_)) => u64::from(size),
    };
    if declared > there {
        found.flaw = Some(Flaw::ShorterThanItsHeaders {
            declared_bytes: body.saturating_add(declared),
        });
    }
    if let Some(format) = format {
        found.channels = Some(format.channels);
        found.duration = duration(declared.min(there), u64::from(format.bytes_per_second));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{chunk, fmt, probe, wav, wav_of};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_wav_plays_as_long_as_its_bytes_last() {
        let probed = probe(&wav(2, 3000));
        assert_eq!(
            (probed.container, probed.channels, probed.flaw),
            (Container::Wav, Some(2), None)
        );
        assert_eq!(probed.duration, Some(Duration::from_secs(3)));
    }

    #[test]
    fn other_chunks_are_stepped_over_wherever_they_end() {
        let chunks = [
            chunk("LIST", &vec![7; 100_001]),
            fmt(1),
            chunk("fact", &[1, 2, 3]),
            chunk("data", &vec![0; 32_000]),
        ];
        assert_eq!(
            probe(&wav_of("RIFF", &chunks)).duration,
            Some(Duration::from_secs(1))
        );
    }

    #[rstest::rstest]
    #[case::never_filled_in(0, 1000, None)]
    #[case::written_to_a_pipe(u32::MAX, 1000, None)]
    #[case::cut_off(64_000, 1000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 64_044 }))]
    #[case::followed_by_more(16_000, 500, None)]
    fn the_bytes_that_are_there_count(
        #[case] declared: u32,
        #[case] plays_ms: u64,
        #[case] flaw: Option<Flaw>,
    ) {
        let mut file = wav(1, 1000);
        file[40..44].copy_from_slice(&declared.to_le_bytes());
        let probed = probe(&file);
        assert_eq!(probed.duration, Some(Duration::from_millis(plays_ms)));
        assert_eq!(probed.flaw, flaw);
    }

    #[rstest::rstest]
    #[case("RF64", 32_000, None)]
    #[case("BW64", 64_000, Some(Flaw::ShorterThanItsHeaders { declared_bytes: 12 + 36 + 24 + 8 + 64_000 }))]
    fn a_64_bit_size_stands_in_its_own_chunk(
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
            (probed.duration, probed.flaw),
            (Some(Duration::from_secs(1)), flaw)
        );
    }

    #[test]
    fn a_wav_that_ends_before_its_sound_is_not_complete() {
        assert_eq!(probe(&wav(1, 1000)[..36]).flaw, Some(Flaw::NoDataChunk));
        let cut_in_a_chunk = Some(Flaw::ShorterThanItsHeaders { declared_bytes: 36 });
        assert_eq!(probe(&wav(1, 1000)[..30]).flaw, cut_in_a_chunk);
    }
}
