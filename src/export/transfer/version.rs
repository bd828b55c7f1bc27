//! The version of a file's staged blocks. It is noted in the entry before the first block of that version is staged, so
//! that the next process finds out when the source has changed the file meanwhile.
//!
//! Staged blocks cannot be removed from Blob Storage. Once two versions were staged under one name, no other process
//! uses the blocks staged there any more, because the version of each block is unknown.

use tokio::sync::Mutex;

use crate::export::entry::StagedVersion;
use crate::export::fence::Fence;
use crate::export::layout::BlobName;
use crate::export::ledger::LedgerError;
use crate::export::receipt::VaultName;
use crate::export::source::Validator;

/// The version of one file, known and kept.
pub(in crate::export) struct KeptVersion<'a> {
    fence: Fence<'a>,
    name: &'a BlobName,
    vault: VaultName,
    kept: Mutex<Option<StagedVersion>>,
}

impl<'a> KeptVersion<'a> {
    /// `staged`: the version of the staged blocks, if known.
    pub fn new(
        fence: Fence<'a>,
        name: &'a BlobName,
        vault: VaultName,
        staged: Option<StagedVersion>,
    ) -> Self {
        Self {
            fence,
            name,
            vault,
            kept: Mutex::new(staged),
        }
    }

    /// Records the version of a block that is about to be staged.
    ///
    /// # Errors
    /// When the claim is lost or the storage fails: the block must then not be staged.
    pub async fn keep(&self, validator: &Validator) -> Result<(), LedgerError> {
        let mut kept = self.kept.lock().await;
        if kept
            .as_ref()
            .is_some_and(|kept| kept.validator == *validator)
        {
            return Ok(());
        }
        let version = StagedVersion {
            name: self.name.clone(),
            vault: self.vault,
            validator: validator.clone(),
            is_mixed: kept.is_some(),
        };
        self.fence.keep_version(&version).await?;
        *kept = Some(version);
        Ok(())
    }
}
