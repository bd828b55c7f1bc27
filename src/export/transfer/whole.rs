//! Reads a blob back whose content nothing else identifies: one that was created in one piece.

use sha2::{Digest as _, Sha256};

use crate::export::destination::{CommittedBlob, DestinationError, ExportDestination};
use crate::export::layout::BlobName;
use crate::store::digest::Sha256Digest;

/// Bytes per read.
const PIECE: u64 = 8 << 20;

/// Describes the committed blob `name`; one in one piece is read from end to end if it is as long as expected.
///
/// # Errors
/// When the vault cannot be asked.
pub(in crate::export) async fn inspect_and_read(
    vault: &dyn ExportDestination,
    name: &BlobName,
    expected_bytes: u64,
) -> Result<Option<CommittedBlob>, DestinationError> {
    let Some(found) = vault.inspect(name).await? else {
        return Ok(None);
    };
    if found.size_bytes == expected_bytes {
        return read_if_whole(vault, name, found).await.map(Some);
    }
    Ok(Some(found))
}

/// The blob with the digest of its content, if it was created in one piece: it is read from end to end.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn read_if_whole(
    vault: &dyn ExportDestination,
    name: &BlobName,
    mut found: CommittedBlob,
) -> Result<CommittedBlob, DestinationError> {
    if found.blocks.is_empty() && found.read_back.is_none() {
        found.read_back = Some(read_through(vault, name, found.size_bytes).await?);
    }
    Ok(found)
}

/// The SHA-256 of the first `size_bytes` of a committed blob, or of all of it if it is shorter.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn read_through(
    vault: &dyn ExportDestination,
    name: &BlobName,
    size_bytes: u64,
) -> Result<Sha256Digest, DestinationError> {
    let mut digest = Sha256::new();
    let mut offset = 0;
    while offset < size_bytes {
        let piece = vault
            .read(name, offset..(offset + PIECE).min(size_bytes))
            .await?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        digest.update(&piece);
    }
    Ok(Sha256Digest::from_bytes(digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::destination::BlobProperties;
    use crate::vault::memory::MemoryVault;
    use bytes::Bytes;

    #[tokio::test]
    async fn a_file_is_read_to_its_end_and_hashed() {
        let content = Bytes::from(vec![7; 9 << 20]);
        let (vault, name) = (MemoryVault::default(), "a/b".parse().unwrap());
        let (size_bytes, sha256) = (content.len() as u64, Sha256Digest::of(&content));
        let properties = BlobProperties {
            content_type: "x",
            metadata: Vec::new(),
            tags: Vec::new(),
        };
        let outcome = vault.put(&name, content, &properties).await;
        outcome.unwrap();
        let read = read_through(&vault, &name, size_bytes).await;
        assert_eq!(read.unwrap(), sha256);
    }
}
