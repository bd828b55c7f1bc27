//! Checks a proved copy again later: is it still what its receipt says?

use super::destination::{BlobVersion, DestinationError, ExportDestination};
use super::layout::BlobName;
use super::read_again::Seen;
use super::receipt::{ExportReceipt, VaultName, VerifiedFile};
use super::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT};
use super::vaults::Vaults;
use crate::export::transfer::verify::{self, Mismatch};
use crate::export::transfer::whole::{inspect_and_read, read_through};

/// Depth of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// What the vault reports for the file: length, `ETag`, block list. A directory's files are read anyway.
    Described,
    /// The content too, from end to end.
    Read,
}

/// Result of checking a proved copy, or one file of it.
#[derive(Debug)]
pub enum Rechecked {
    /// It is still the proved one, as far as it was looked at.
    Same(Depth),
    /// A file of it is not in the vault.
    Missing(Mismatch),
    /// A file of it is not the one that was proved.
    Different(Mismatch),
    /// The vault could not be read, so the result is unknown.
    NotChecked(DestinationError),
}

/// A proved file as the vault has it before it is read.
#[derive(Debug)]
pub enum FoundFile {
    /// It seems to be the one that was proved. Reads are conditional on this version.
    Same(BlobVersion),
    /// It is not in the vault.
    Missing,
    Different(Mismatch),
}

impl Rechecked {
    fn of(compared: Result<(), Mismatch>, depth: Depth) -> Self {
        match compared {
            Ok(()) => Self::Same(depth),
            Err(missing @ Mismatch::Missing { .. }) => Self::Missing(missing),
            Err(mismatch) => Self::Different(mismatch),
        }
    }

    pub fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}

impl Vaults {
    /// Checks the files of a copy, up to the first that is not the one that was proved.
    pub async fn recheck(&self, receipt: &ExportReceipt, depth: Depth) -> Rechecked {
        let mut looked_at = Depth::Read;
        for file in receipt.files() {
            match self.recheck_file(receipt, file, depth).await {
                Rechecked::Same(depth) => looked_at = looked_at.min(depth),
                other @ (Rechecked::Missing(_)
                | Rechecked::Different(_)
                | Rechecked::NotChecked(_)) => return other,
            }
        }
        Rechecked::Same(looked_at)
    }

    /// Compares a file with its proof: is it there, as long, the same blob, of the same blocks if it has any, of the same
    /// content? Where the content is read, it decides.
    pub async fn recheck_file(
        &self,
        receipt: &ExportReceipt,
        file: &VerifiedFile,
        depth: Depth,
    ) -> Rechecked {
        let comparing = self.compare(receipt, file, depth);
        comparing.await.unwrap_or_else(Rechecked::NotChecked)
    }

    /// Compares what the vault reports for a file with its proof: its length, and its `ETag` where the vault has one. Where the
    /// `ETag` is another one, the block list decides, or the content of a file in one piece.
    ///
    /// # Errors
    /// When the vault cannot be asked.
    pub async fn look_at(
        &self,
        vault: VaultName,
        file: &VerifiedFile,
    ) -> Result<FoundFile, DestinationError> {
        let (name, in_vault) = (file.name(), vault);
        let vault = self.get(in_vault, name)?;
        let Some(described) = vault.describe(name).await? else {
            return Ok(FoundFile::Missing);
        };
        if described.size_bytes != file.size_bytes() {
            return Ok(FoundFile::Different(Mismatch::Length {
                name: name.clone(),
                expected: file.size_bytes(),
                found: described.size_bytes,
            }));
        }
        let another = described.etag.filter(|etag| etag != file.etag());
        let seen = another.map(|etag| Seen {
            etag,
            sha256: file.sha256(),
        });
        let Some(seen) = seen.filter(|seen| !self.read_again.has(in_vault, name, seen)) else {
            return Ok(FoundFile::Same(described.version));
        };
        let Some(found) = inspect_and_read(vault, name, file.size_bytes()).await? else {
            return Ok(FoundFile::Missing);
        };
        Ok(match verify::prove_again(file, &found) {
            Ok(again) => {
                if again.etag() == seen.etag {
                    self.read_again.note(in_vault, name, seen);
                }
                FoundFile::Same(described.version)
            }
            Err(mismatch) => FoundFile::Different(mismatch),
        })
    }

    async fn compare(
        &self,
        receipt: &ExportReceipt,
        file: &VerifiedFile,
        depth: Depth,
    ) -> Result<Rechecked, DestinationError> {
        let vault = self.get(receipt.vault(), file.name())?;
        let Some(found) = vault.inspect(file.name()).await? else {
            let name = file.name().clone();
            return Ok(Rechecked::Missing(Mismatch::Missing { name }));
        };
        let described = verify::still_proved(file, &found);
        let has_read = found.read_back.is_some();
        // A file whose `ETag` changed may still have the content that was proved: only reading it tells.
        let described = match described {
            Err(Mismatch::Touched { .. }) if depth == Depth::Read => Ok(()),
            described => described,
        };
        if has_read {
            return Ok(Rechecked::of(described, Depth::Read));
        }
        if described.is_err() || depth == Depth::Described {
            return Ok(Rechecked::of(described, Depth::Described));
        }
        let read = read_through(vault, file.name(), file.size_bytes()).await?;
        let compared = verify::same_digest(file, read);
        Ok(Rechecked::of(compared, Depth::Read))
    }
}

/// The receipt of that name beside the files, if it exists and is readable.
///
/// # Errors
/// When the vault cannot be asked.
pub async fn kept_receipt(
    vault: &dyn ExportDestination,
    name: &BlobName,
) -> Result<Option<KeptReceipt>, DestinationError> {
    if vault.inspect(name).await?.is_none() {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&vault.read(name, 0..RECEIPT_READ_LIMIT).await?).ok())
}
