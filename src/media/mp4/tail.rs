//! Finds the last fragments of a file from its end: boxes that lead exactly there. It knows no fragment's content.

use super::boxes::{HEADER_BYTES, is_kind};

/// Bytes that may follow the last box.
const FEW_BYTES: usize = 16;
/// An `ID3v1` tag.
const TAG_BYTES: usize = 128;

/// Where, in the end of a file, the first of the `moof` boxes begins from which all boxes lead exactly to the end; or
/// else the last one whose media does not end in the file.
pub(super) fn first_fragment(tail: &[u8]) -> Option<usize> {
    let (mut first, mut cut) = (None, None);
    let mut searched = tail.len();
    while let Some(kind_at) = tail[..searched]
        .windows(4)
        .rposition(|kind| kind == b"moof")
    {
        searched = kind_at + 3;
        let Some(at) = kind_at.checked_sub(4) else {
            break;
        };
        if leads_to_end(tail, at, first) {
            first = Some(at);
        } else if first.is_none() && cut.is_none() && is_cut(tail, at) {
            cut = Some(at);
        }
    }
    first.or(cut)
}

/// Whether the box at `at`, or the media after it, ends beyond the file.
fn is_cut(tail: &[u8], at: usize) -> bool {
    let Some(media_at) = size_at(tail, at).and_then(|size| at.checked_add(size)) else {
        return false;
    };
    let is_media =
        tail.get(media_at.saturating_add(4)..media_at.saturating_add(8)) == Some(b"mdat");
    let media_end = size_at(tail, media_at).and_then(|size| media_at.checked_add(size));
    is_media && media_end.is_some_and(|end| end > tail.len())
}

/// Whether the boxes from `at` on lead to a box that is known to, or to the end.
fn leads_to_end(tail: &[u8], mut at: usize, known: Option<usize>) -> bool {
    while Some(at) != known {
        if is_end(tail, at) {
            return true;
        }
        let Some(size) = size_at(tail, at) else {
            return false;
        };
        at = match at.checked_add(size) {
            Some(next) if next <= tail.len() && known.is_none_or(|known| next <= known) => next,
            Some(_) | None => return false,
        };
    }
    true
}

fn is_end(tail: &[u8], at: usize) -> bool {
    let left = tail.get(at..).unwrap_or_default();
    left.is_empty()
        || (left.len() == TAG_BYTES && left.starts_with(b"TAG"))
        || (left.len() < FEW_BYTES && size_at(tail, at).is_none())
}

fn size_at(tail: &[u8], at: usize) -> Option<usize> {
    let header: [u8; 8] = *tail.get(at..)?.first_chunk()?;
    let [s0, s1, s2, s3, kind @ ..] = header;
    let size = match u32::from_be_bytes([s0, s1, s2, s3]) {
        0 => tail.len() - at,
        1 => {
            let size: [u8; 8] = *tail.get(at.checked_add(8)?..)?.first_chunk()?;
            usize::try_from(u64::from_be_bytes(size)).ok()?
        }
        size => usize::try_from(size).ok()?,
    };
    (is_kind(kind) && size >= usize::try_from(HEADER_BYTES).ok()?).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::mp4_box;
    use super::*;

    fn fragment() -> Vec<u8> {
        [mp4_box("moof", &[0; 20]), mp4_box("mdat", b"..moof..moof")].concat()
    }

    #[test]
    fn boxes_that_lead_to_the_end_are_found_behind_other_bytes() {
        let tail = [b"...moof...".to_vec(), fragment(), fragment()].concat();
        assert_eq!(first_fragment(&tail), Some(10));
    }

    #[rstest::rstest]
    #[case::a_few_bytes(vec![0; 5])]
    #[case::a_tag([b"TAG".to_vec(), vec![b'x'; 125]].concat())]
    fn what_is_no_box_may_stand_behind_them(#[case] junk: Vec<u8>) {
        assert_eq!(first_fragment(&[fragment(), junk].concat()), Some(0));
    }

    #[test]
    fn a_fragment_whose_media_is_cut_is_found_where_none_leads_to_the_end() {
        let cut = fragment().len() - 3;
        assert_eq!(first_fragment(&fragment()[..cut]), Some(0));
        assert_eq!(first_fragment(&fragment()[..20]), None);
        assert_eq!(first_fragment(b"moof"), None);
    }
}
