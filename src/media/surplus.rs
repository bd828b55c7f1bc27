//! Bytes behind the last part of a file: padding and tags do no harm, anything else is another file, or a block that is there
//! twice. It knows no container.

use crate::media::found::Flaw;
use crate::media::mp3;
use crate::media::seen::{Seen, Stop};

/// Bytes that may follow, whatever they are.
const FEW_BYTES: u64 = 2048;

/// The flaw of the bytes from `at` to the end, if they are one.
pub(super) fn surplus(seen: &Seen, at: u64) -> Result<Option<Flaw>, Stop> {
    let left = |at: u64| seen.total_bytes().saturating_sub(at);
    if left(at) <= FEW_BYTES {
        return Ok(None);
    }
    let at = mp3::tags_end(seen, at)?;
    if left(at) <= FEW_BYTES {
        return Ok(None);
    }
    let bytes = seen.some(at, FEW_BYTES)?;
    let is_padding = bytes.iter().all(|byte| *byte == 0);
    Ok((!is_padding).then_some(Flaw::Surplus { at_byte: at }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(behind: &[u8]) -> Option<Flaw> {
        let file = [&[7; 100], behind].concat();
        let mut seen = Seen::new(file.len() as u64);
        seen.add(0, &file);
        surplus(&seen, 100).unwrap()
    }

    #[rstest::rstest]
    #[case::a_few_bytes(vec![9; 2000])]
    #[case::padding(vec![0; 100_000])]
    #[case::a_tag([b"ID3\x04\0\0\0\x01\0\0".to_vec(), vec![9; 16_384]].concat())]
    fn what_a_writer_may_add_is_no_flaw(#[case] behind: Vec<u8>) {
        assert_eq!(flaw(&behind), None);
    }

    #[test]
    fn other_bytes_are_one() {
        let at_byte = 100;
        assert_eq!(flaw(&[9; 5000]), Some(Flaw::Surplus { at_byte }));
    }
}
