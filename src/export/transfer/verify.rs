//! Verifies copies. The only code that creates a [`VerifiedFile`].

use crate::export::block::{BlockChain, BlockId};
use crate::export::destination::CommittedBlob;
use crate::export::layout::BlobName;
use crate::export::receipt::VerifiedFile;
use crate::store::digest::Sha256Digest;

/// Difference between what was read from the source and what the vault reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("`{name}` in the vault was not written by this product, or not completely: {why}")]
    Foreign { name: BlobName, why: &'static str },
    #[error("`{name}` has {found} bytes in the vault, {expected} at the source")]
    Length {
        name: BlobName,
        expected: u64,
        found: u64,
    },
    #[error("the committed block list of `{name}` is not the one that was staged")]
    BlockList { name: BlobName },
    #[error("`{name}` reads back with SHA-256 {found}, not {expected}")]
    Digest {
        name: BlobName,
        expected: String,
        found: String,
    },
    #[error("`{name}` is not in the vault")]
    Missing { name: BlobName },
    #[error(
        "`{name}` was written, or its properties were changed, since it was proved: its ETag is another one"
    )]
    Touched { name: BlobName },
}

/// Compares a committed blob with the chain of blocks that was read from the source.
pub(in crate::export) fn verify(
    name: &BlobName,
    chain: &BlockChain,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    let Some(sha256) = chain.digest() else {
        return Err(Mismatch::Foreign {
            name: name.clone(),
            why: "its last block is missing",
        });
    };
    if found.size_bytes != chain.total_bytes() {
        return Err(Mismatch::Length {
            name: name.clone(),
            expected: chain.total_bytes(),
            found: found.size_bytes,
        });
    }
    let staged = chain.ids().iter().map(|id| (Some(*id), id.size_bytes()));
    if !staged.eq(found.blocks.iter().copied()) {
        return Err(Mismatch::BlockList { name: name.clone() });
    }
    if let Some(read_back) = found.read_back.filter(|read_back| *read_back != sha256) {
        let (expected, found) = (sha256.to_string(), read_back.to_string());
        return Err(Mismatch::Digest {
            name: name.clone(),
            expected,
            found,
        });
    }
    Ok(VerifiedFile::new(
        name.clone(),
        found.size_bytes,
        sha256,
        found.etag.clone(),
    ))
}

/// Verifies a blob that an earlier run committed before it was killed, by its block list.
pub(in crate::export) fn verify_committed_before(
    name: &BlobName,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    let ids: Vec<BlockId> = found.blocks.iter().filter_map(|(id, _)| *id).collect();
    let Some(chain) = BlockChain::resume(&ids) else {
        return Err(Mismatch::Foreign {
            name: name.clone(),
            why: "its block list does not begin with a block of ours",
        });
    };
    verify(name, &chain, found)
}

/// Verifies a blob that another instance committed while this one staged the same content.
pub(in crate::export) fn verify_same(
    name: &BlobName,
    chain: &BlockChain,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    let theirs = verify_committed_before(name, found)?;
    match chain.digest() {
        Some(ours) if ours == theirs.sha256() => Ok(theirs),
        ours => {
            let expected = ours.map_or_else(|| "none".to_owned(), |ours| ours.to_string());
            Err(Mismatch::Digest {
                name: name.clone(),
                expected,
                found: theirs.sha256().to_string(),
            })
        }
    }
}

/// Checks that a file is the same as one that was proved elsewhere.
pub(in crate::export) fn same_content(
    there: &VerifiedFile,
    here: VerifiedFile,
) -> Result<VerifiedFile, Mismatch> {
    if here.size_bytes() == there.size_bytes() && here.sha256() == there.sha256() {
        return Ok(here);
    }
    let (expected, found) = (there.sha256().to_string(), here.sha256().to_string());
    Err(Mismatch::Digest {
        name: there.name().clone(),
        expected,
        found,
    })
}

/// Checks that a blob is still the one that was proved.
pub(in crate::export) fn unchanged(
    proved: &VerifiedFile,
    found: &CommittedBlob,
) -> Result<(), Mismatch> {
    let name = || proved.name().clone();
    if found.size_bytes != proved.size_bytes() {
        return Err(Mismatch::Length {
            name: name(),
            expected: proved.size_bytes(),
            found: found.size_bytes,
        });
    }
    if let Some(read_back) = found.read_back {
        same_digest(proved, read_back)?;
    }
    if found.etag == proved.etag() {
        Ok(())
    } else {
        Err(Mismatch::Touched { name: name() })
    }
}

/// Proves a file whose `ETag` changed again: its block list still identifies its content.
pub(in crate::export) fn prove_again(
    proved: &VerifiedFile,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    if unchanged(proved, found).is_ok() {
        return Ok(proved.clone());
    }
    same_content(proved, verify_committed_before(proved.name(), found)?)
}

/// Checks that the content that was read back is what was proved.
pub(in crate::export) fn same_digest(
    proved: &VerifiedFile,
    read_back: Sha256Digest,
) -> Result<(), Mismatch> {
    if read_back == proved.sha256() {
        return Ok(());
    }
    let (expected, found) = (proved.sha256().to_string(), read_back.to_string());
    Err(Mismatch::Digest {
        name: proved.name().clone(),
        expected,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn committed() -> (BlobName, BlockChain, CommittedBlob) {
        let chain = BlockChain::start(100)
            .hash_next(Bytes::from_static(&[1; 64]))
            .0;
        let chain = chain.hash_next(Bytes::from_static(&[2; 36])).0;
        let blocks = chain
            .ids()
            .iter()
            .map(|id| (Some(*id), id.size_bytes()))
            .collect();
        let found = CommittedBlob {
            size_bytes: 100,
            etag: "e".into(),
            blocks,
            read_back: None,
        };
        ("a/b".parse().unwrap(), chain, found)
    }

    #[test]
    fn what_agrees_is_proved() {
        let (name, chain, found) = committed();
        assert_eq!(
            verify(&name, &chain, &found).unwrap().sha256(),
            chain.digest().unwrap()
        );
        assert_eq!(
            verify_committed_before(&name, &found),
            verify(&name, &chain, &found)
        );
    }

    #[test]
    fn a_wrong_length_is_no_proof() {
        let (name, chain, found) = committed();
        let found = CommittedBlob {
            size_bytes: 99,
            ..found
        };
        assert!(matches!(
            verify(&name, &chain, &found),
            Err(Mismatch::Length {
                expected: 100,
                found: 99,
                ..
            })
        ));
    }

    #[test]
    fn the_same_content_in_other_blocks_is_proved_by_its_own_list() {
        let (name, _, found) = committed();
        let whole: Vec<u8> = [vec![1; 64], vec![2; 36]].concat();
        let in_one = BlockChain::start(100).hash_next(Bytes::from(whole)).0;
        assert!(matches!(
            verify(&name, &in_one, &found),
            Err(Mismatch::BlockList { .. })
        ));
        assert_eq!(
            verify_same(&name, &in_one, &found).unwrap().sha256(),
            in_one.digest().unwrap()
        );
        let other = BlockChain::start(100)
            .hash_next(Bytes::from_static(&[3; 100]))
            .0;
        assert!(matches!(
            verify_same(&name, &other, &found),
            Err(Mismatch::Digest { .. })
        ));
    }

    #[test]
    fn another_block_list_is_no_proof() {
        let (name, chain, mut found) = committed();
        found.blocks.swap(0, 1);
        assert!(matches!(
            verify(&name, &chain, &found),
            Err(Mismatch::BlockList { .. })
        ));
    }

    #[test]
    fn bytes_that_read_back_differently_are_no_proof() {
        let (name, chain, found) = committed();
        let found = CommittedBlob {
            read_back: Some(Sha256Digest::of(b"rot")),
            ..found
        };
        assert!(matches!(
            verify(&name, &chain, &found),
            Err(Mismatch::Digest { .. })
        ));
    }

    #[test]
    fn what_changed_since_it_was_proved_is_told_apart() {
        let (name, chain, found) = committed();
        let proved = verify(&name, &chain, &found).unwrap();
        assert_eq!(unchanged(&proved, &found), Ok(()));
        let shorter = CommittedBlob {
            size_bytes: 99,
            ..found.clone()
        };
        assert!(matches!(
            unchanged(&proved, &shorter),
            Err(Mismatch::Length {
                expected: 100,
                found: 99,
                ..
            })
        ));
        let rotten = CommittedBlob {
            read_back: Some(Sha256Digest::of(b"rot")),
            ..found.clone()
        };
        assert!(matches!(
            unchanged(&proved, &rotten),
            Err(Mismatch::Digest { .. })
        ));
        let touched = CommittedBlob {
            etag: "f".into(),
            ..found
        };
        assert!(matches!(
            unchanged(&proved, &touched),
            Err(Mismatch::Touched { .. })
        ));
    }

    #[test]
    fn a_blob_somebody_else_wrote_is_no_proof() {
        let (name, _, found) = committed();
        let foreign = CommittedBlob {
            blocks: vec![(None, 100)],
            ..found.clone()
        };
        assert!(matches!(
            verify_committed_before(&name, &foreign),
            Err(Mismatch::Foreign { .. })
        ));
        let half = CommittedBlob {
            blocks: found.blocks[..1].to_vec(),
            ..found
        };
        assert!(matches!(
            verify_committed_before(&name, &half),
            Err(Mismatch::Foreign { .. })
        ));
    }
}
