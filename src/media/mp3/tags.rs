//! The tags around the sound of an mp3: `ID3v2` (<https://id3.org/id3v2.4.0-structure>) and `ID3v1`, `APEv1` and
//! `APEv2` (<https://wiki.hydrogenaud.io/index.php?title=APEv2_specification>) and `Lyrics3`
//! (<https://id3.org/Lyrics3v2>). It knows no frames.

use crate::media::seen::{Seen, Stop};

/// Tags on either side that are skipped.
const MAX_TAGS: u32 = 64;
/// An `ID3v2` header, and its footer.
const ID3V2_BYTES: u64 = 10;
const ID3V1_BYTES: u64 = 128;
/// Extension that some writers put before an `ID3v1` tag.
const ENHANCED_BYTES: u64 = 227;
/// Header and footer of an APE tag.
const APE_BYTES: u64 = 32;
/// `LYRICS200` and the six digits before it.
const LYRICS2_BYTES: u64 = 15;
/// Maximum size of the first version of `Lyrics3`, with its two marks.
const LYRICS1_BYTES: u64 = 5100 + 20;
/// How much of the end is read for tags in one read.
const TAIL_BYTES: u64 = 16 * 1024;

/// Where the sound may begin: after the tags that begin at `at`.
pub(super) fn sound_start(seen: &Seen, mut at: u64) -> Result<u64, Stop> {
    for _ in 0..MAX_TAGS {
        let Some(length) = tag_at(seen, at)? else {
            return Ok(at);
        };
        at = at.saturating_add(length);
    }
    Ok(at)
}

/// The length of the tag that begins at `at`, if one does.
pub(super) fn tag_at(seen: &Seen, at: u64) -> Result<Option<u64>, Stop> {
    if let Some([b'I', b'D', b'3', _, _, flags, size @ ..]) = bytes::<10>(seen, at)? {
        let footer = if flags & 0x10 == 0 { 0 } else { ID3V2_BYTES };
        return Ok(Some(ID3V2_BYTES + seven_bits(size) + footer));
    }
    if bytes::<8>(seen, at)? == Some(*b"APETAGEX")
        && let Some(size) = bytes::<4>(seen, at.saturating_add(12))?
    {
        return Ok(Some(APE_BYTES + u64::from(u32::from_le_bytes(size))));
    }
    Ok(None)
}

/// Where the sound ends: before the tags, and never before `start`.
pub(super) fn sound_end(seen: &Seen, start: u64) -> Result<u64, Stop> {
    let total = seen.total_bytes();
    seen.whole(total.saturating_sub(TAIL_BYTES)..total)?;
    let mut end = total;
    for _ in 0..MAX_TAGS {
        let Some(length) = tag_before(seen, end)?.filter(|length| end - start >= *length) else {
            return Ok(end);
        };
        end -= length;
    }
    Ok(end)
}

/// The length of the tag that ends at `end`, if one does.
fn tag_before(seen: &Seen, end: u64) -> Result<Option<u64>, Stop> {
    let back = |length: u64| end.checked_sub(length);
    if let Some(at) = back(ID3V1_BYTES)
        && bytes::<3>(seen, at)? == Some(*b"TAG")
    {
        let is_enhanced = match at.checked_sub(ENHANCED_BYTES) {
            Some(at) => bytes::<4>(seen, at)? == Some(*b"TAG+"),
            None => false,
        };
        return Ok(Some(
            ID3V1_BYTES + if is_enhanced { ENHANCED_BYTES } else { 0 },
        ));
    }
    if let Some(at) = back(APE_BYTES)
        && let Some(
            [
                b'A',
                b'P',
                b'E',
                b'T',
                b'A',
                b'G',
                b'E',
                b'X',
                _,
                _,
                _,
                _,
                s0,
                s1,
                s2,
                s3,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                flags,
            ],
        ) = bytes::<24>(seen, at)?
    {
        // The size counts the footer and not the header.
        let header = if flags & 0x80 == 0 { 0 } else { APE_BYTES };
        let size = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        return Ok((size >= APE_BYTES).then_some(size + header));
    }
    if let Some(at) = back(ID3V2_BYTES)
        && let Some([b'3', b'D', b'I', _, _, _, size @ ..]) = bytes::<10>(seen, at)?
    {
        return Ok(Some(seven_bits(size) + 2 * ID3V2_BYTES));
    }
    lyrics_before(seen, end)
}

fn lyrics_before(seen: &Seen, end: u64) -> Result<Option<u64>, Stop> {
    if let Some(at) = end.checked_sub(LYRICS2_BYTES)
        && let Some([d0, d1, d2, d3, d4, d5, name @ ..]) = bytes::<15>(seen, at)?
        && &name == b"LYRICS200"
    {
        let digits = [d0, d1, d2, d3, d4, d5];
        let size = std::str::from_utf8(&digits)
            .ok()
            .and_then(|digits| digits.parse::<u64>().ok());
        return Ok(size.map(|size| size + LYRICS2_BYTES));
    }
    if let Some(at) = end.checked_sub(9)
        && bytes::<9>(seen, at)? == Some(*b"LYRICSEND")
    {
        let from = end.saturating_sub(LYRICS1_BYTES);
        let begin = seen
            .whole(from..end)?
            .windows(11)
            .rposition(|word| word == b"LYRICSBEGIN");
        return Ok(begin.map(|begin| end - from - begin as u64));
    }
    Ok(None)
}

/// The bytes at `at`; `None` where the file ends before.
fn bytes<const N: usize>(seen: &Seen, at: u64) -> Result<Option<[u8; N]>, Stop> {
    match seen.at(at) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Stop::PastEnd) => Ok(None),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => Err(stop),
    }
}

/// `ID3v2` writes sizes in bytes of seven bits.
fn seven_bits(size: [u8; 4]) -> u64 {
    size.iter()
        .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f))
}
