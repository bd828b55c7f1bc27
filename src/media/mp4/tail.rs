//! Finds the last fragments of a file from its end: boxes that lead exactly there. It knows no fragment's content.

use std::collections::HashSet;

use super::boxes::{HEADER_BYTES, is_kind};

/// Bytes that may follow the last box.
const FEW_BYTES: usize = 16;
/// An `ID3v1` tag.
const TAG_BYTES: usize = 128;
/// Largest fragment header.
const MAX_HEADER_BYTES: usize = 1024 * 1024;
/// Maximum number of fragments that are read from the end of a file.
const MAX_FRAGMENTS: u32 = 5000;
/// Whole boxes that begin with a fragment where none leads to the end.
const WHOLE_BOXES: u32 = 2;

/// Where, in the end of a file, the first of the `moof` boxes begins from which all boxes lead exactly to the end; or
/// else the last one that is cut, or whose media does not end in the file; or else the last one that is followed by
/// its whole media.
pub(super) fn first_fragment(tail: &[u8]) -> Option<usize> {
    let mut chains = Chains {
        tail,
        first: None,
        dead: HashSet::new(),
    };
    let (mut cut, mut whole, mut found) = (None, None, 0);
    let mut searched = tail.len();
    while let Some(kind_at) = tail[..searched]
        .windows(4)
        .rposition(|kind| kind == b"moof")
    {
        searched = kind_at + 3;
        let Some(at) = kind_at.checked_sub(4) else {
            break;
        };
        if chains.lead_to_end(at) {
            chains.first = Some(at);
            found += 1;
            if found == MAX_FRAGMENTS {
                break;
            }
        } else if chains.first.is_none() {
            cut = cut.or_else(|| is_cut(tail, at).then_some(at));
            whole = whole.or_else(|| is_whole(tail, at).then_some(at));
        }
    }
    chains.first.or(cut).or(whole)
}

/// Whether the box at `at`, or the media after it, ends beyond the file.
fn is_cut(tail: &[u8], at: usize) -> bool {
    let size = size_at(tail, at).filter(|size| *size <= MAX_HEADER_BYTES);
    let Some(media_at) = size.and_then(|size| at.checked_add(size)) else {
        return false;
    };
    if media_at > tail.len() {
        // Media may hold the same four letters by chance.
        let first_kind = tail.get(at + 12..at + 16);
        return first_kind.is_none_or(|kind| kind == b"mfhd");
    }
    let is_media =
        tail.get(media_at.saturating_add(4)..media_at.saturating_add(8)) == Some(b"mdat");
    let media_end = size_at(tail, media_at).and_then(|size| media_at.checked_add(size));
    is_media && media_end.is_some_and(|end| end > tail.len())
}

/// Whether the box at `at` and the one behind it end in the file.
fn is_whole(tail: &[u8], mut at: usize) -> bool {
    for _ in 0..WHOLE_BOXES {
        match size_at(tail, at).and_then(|size| at.checked_add(size)) {
            Some(end) if end <= tail.len() => at = end,
            Some(_) | None => return false,
        }
    }
    true
}

/// Chains of boxes in the end of a file.
struct Chains<'a> {
    tail: &'a [u8],
    /// A box that leads to the end.
    first: Option<usize>,
    /// Boxes that do not. Each box is passed once, however many chains there are.
    dead: HashSet<usize>,
}

impl Chains<'_> {
    /// Whether the boxes from `at` on lead to the first box that is known to, or to the end.
    fn lead_to_end(&mut self, mut at: usize) -> bool {
        let mut passed = Vec::new();
        while Some(at) != self.first && !is_end(self.tail, at) {
            let next = size_at(self.tail, at).and_then(|size| at.checked_add(size));
            let limit = self.first.unwrap_or(self.tail.len());
            let Some(next) = next.filter(|next| *next <= limit && !self.dead.contains(&at)) else {
                self.dead.extend(passed);
                return false;
            };
            passed.push(at);
            at = next;
        }
        true
    }
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
        assert_eq!(first_fragment(b"9999moof....junk...."), None);
    }

    #[test]
    fn a_fragment_whose_header_is_cut_is_found_where_none_leads_to_the_end() {
        let header = mp4_box("moof", &mp4_box("mfhd", &[0; 100]));
        for length in 8..header.len() {
            let tail = [fragment(), header[..length].to_vec()].concat();
            assert!(first_fragment(&tail).is_some(), "{length} bytes");
        }
    }

    #[test]
    fn a_whole_fragment_is_found_where_none_leads_to_the_end() {
        let tail = [b"junk".to_vec(), fragment(), fragment(), vec![0; 5000]].concat();
        assert_eq!(first_fragment(&tail), Some(4 + fragment().len()));
    }

    #[test]
    fn each_box_is_passed_once_however_many_lead_nowhere() {
        let tail = [b"\0\0\0\x08moof".repeat(390_000), vec![1; 24]].concat();
        let mut chains = Chains {
            tail: &tail,
            first: None,
            dead: HashSet::new(),
        };
        assert!(!chains.lead_to_end(0));
        assert!(!chains.lead_to_end(8));
        assert_eq!(chains.dead.len(), 390_000);
        // Each search would take minutes if it passed the boxes again and again.
        assert!(first_fragment(&tail).is_some());
    }
}
