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
    let sha256 = digest_of(name, chain)?;
    if found.size_bytes != chain.total_bytes() {
        return Err(Mismatch::Length {
            name: name.clone(),
            expected: chain.total_bytes(),
            found: found.size_bytes,
        });
    }
    if found.blocks.is_empty() {
        return verify_whole(name, sha256, found);
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

/// The proof of a blob of one block that the vault confirmed: its answer has the block's CRC-64.
pub(in crate::export) fn confirmed(
    name: &BlobName,
    chain: &BlockChain,
    etag: String,
) -> Result<VerifiedFile, Mismatch> {
    let sha256 = digest_of(name, chain)?;
    Ok(VerifiedFile::new(
        name.clone(),
        chain.total_bytes(),
        sha256,
        etag,
    ))
}

/// Verifies a blob that was created in one piece, by what reads back.
fn verify_whole(
    name: &BlobName,
    expected: Sha256Digest,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    let Some(read_back) = found.read_back else {
        return Err(foreign(name, "it has no block list, and it was not read"));
    };
    if read_back != expected {
        let (expected, found) = (expected.to_string(), read_back.to_string());
        return Err(Mismatch::Digest {
            name: name.clone(),
            expected,
            found,
        });
    }
    let (size_bytes, etag) = (found.size_bytes, found.etag.clone());
    Ok(VerifiedFile::new(name.clone(), size_bytes, expected, etag))
}

fn digest_of(name: &BlobName, chain: &BlockChain) -> Result<Sha256Digest, Mismatch> {
    chain
        .digest()
        .ok_or_else(|| foreign(name, "its last block is missing"))
}

fn foreign(name: &BlobName, why: &'static str) -> Mismatch {
    let name = name.clone();
    Mismatch::Foreign { name, why }
}

/// Verifies a blob that an earlier run created before it was killed: by its block list, or, if it is in one piece, by the
/// block that it names and what reads back.
pub(in crate::export) fn verify_committed_before(
    name: &BlobName,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    let listed = found.blocks.iter().filter_map(|(id, _)| *id);
    let ids: Vec<BlockId> = match found.named {
        Some(only) if found.blocks.is_empty() => vec![only],
        Some(_) | None => listed.collect(),
    };
    let Some(chain) = BlockChain::resume(&ids) else {
        let why = "its block list does not begin with a block of ours";
        return Err(foreign(name, why));
    };
    verify(name, &chain, found)
}

/// Verifies a blob that another instance committed while this one staged the same content.
pub(in crate::export) fn verify_same(
    name: &BlobName,
    chain: &BlockChain,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    if found.blocks.is_empty() {
        return verify(name, chain, found);
    }
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

/// Checks that a blob is still the one that was proved, and of blocks of ours if it has any.
pub(in crate::export) fn still_proved(
    proved: &VerifiedFile,
    found: &CommittedBlob,
) -> Result<(), Mismatch> {
    unchanged(proved, found)?;
    if found.blocks.is_empty() {
        // A blob of one piece: its `ETag` says that it was not written since.
        return Ok(());
    }
    let of_blocks = verify_committed_before(proved.name(), found)?;
    same_digest(proved, of_blocks.sha256())
}

/// Checks that a blob is still the one that was proved.
fn unchanged(proved: &VerifiedFile, found: &CommittedBlob) -> Result<(), Mismatch> {
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

/// Proves a file whose `ETag` changed again: its block list, or what reads back, still identifies its content.
pub(in crate::export) fn prove_again(
    proved: &VerifiedFile,
    found: &CommittedBlob,
) -> Result<VerifiedFile, Mismatch> {
    if unchanged(proved, found).is_ok() {
        return Ok(proved.clone());
    }
    let here = if found.blocks.is_empty() {
        verify_whole(proved.name(), proved.sha256(), found)?
    } else {
        verify_committed_before(proved.name(), found)?
    };
    same_content(proved, here)
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
            named: None,
            read_back: None,
        };
        ("a/b".parse().unwrap(), chain, found)
    }

    /// The same content, created in one piece, and read back.
    fn whole() -> (BlobName, BlockChain, CommittedBlob) {
        let (name, _, found) = committed();
        let content: Vec<u8> = [vec![1; 64], vec![2; 36]].concat();
        let digest = Sha256Digest::of(&content);
        let chain = BlockChain::start(100).hash_next(Bytes::from(content)).0;
        let found = CommittedBlob {
            blocks: Vec::new(),
            named: Some(chain.ids()[0]),
            read_back: Some(digest),
            ..found
        };
        (name, chain, found)
    }

    #[test]
    fn a_blob_of_one_piece_is_proved_by_what_reads_back() {
        let (name, chain, found) = whole();
        let proved = verify(&name, &chain, &found).unwrap();
        assert_eq!(proved.sha256(), chain.digest().unwrap());
        assert_eq!(verify_committed_before(&name, &found), Ok(proved.clone()));
        assert_eq!(verify_same(&name, &chain, &found), Ok(proved.clone()));
        assert_eq!(confirmed(&name, &chain, "e".into()), Ok(proved.clone()));
        assert_eq!(still_proved(&proved, &found), Ok(()));
        let touched = CommittedBlob {
            etag: "f".into(),
            ..found
        };
        assert_eq!(prove_again(&proved, &touched).unwrap().etag(), "f");
    }

    #[test]
    fn a_blob_of_one_piece_is_no_proof_if_it_reads_back_differently_or_was_not_read() {
        let (name, chain, found) = whole();
        let proved = verify(&name, &chain, &found).unwrap();
        let other = Sha256Digest::of(b"rot");
        for read_back in [None, Some(other)] {
            let found = CommittedBlob {
                read_back,
                ..found.clone()
            };
            assert!(verify(&name, &chain, &found).is_err());
            assert!(verify_committed_before(&name, &found).is_err());
            assert!(verify_same(&name, &chain, &found).is_err());
            let touched = CommittedBlob {
                etag: "f".into(),
                ..found
            };
            assert!(prove_again(&proved, &touched).is_err());
        }
        // Another program has changed its content.
        let exchanged = CommittedBlob {
            read_back: Some(other),
            ..found.clone()
        };
        assert!(verify_same(&name, &chain, &exchanged).is_err());
        let of_a_stranger = CommittedBlob {
            named: None,
            ..found
        };
        assert!(matches!(
            verify_committed_before(&name, &of_a_stranger),
            Err(Mismatch::Foreign { .. })
        ));
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
