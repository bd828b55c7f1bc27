//! The vault, and the backup vault that is used while it is not available.

use std::sync::Arc;

use super::destination::{DestinationError, ExportDestination};
use super::layout::BlobName;
use super::read_again::ReadAgain;
use super::receipt::VaultName;

/// The vaults that files may be written to.
#[derive(Clone)]
pub struct Vaults {
    home: Arc<dyn ExportDestination>,
    backup: Option<Arc<dyn ExportDestination>>,
    pub(super) read_again: Arc<ReadAgain>,
}

impl Vaults {
    pub fn new(
        home: Arc<dyn ExportDestination>,
        backup: Option<Arc<dyn ExportDestination>>,
    ) -> Self {
        Self {
            home,
            backup,
            read_again: Arc::default(),
        }
    }

    pub fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    pub fn backup(&self) -> Option<&dyn ExportDestination> {
        self.backup.as_deref()
    }

    pub fn home(&self) -> &dyn ExportDestination {
        &*self.home
    }

    /// The vault of this name. `file` is the wanted file, for the error message.
    ///
    /// # Errors
    /// When it is the backup vault, and none is configured (any more).
    pub fn get(
        &self,
        name: VaultName,
        file: &BlobName,
    ) -> Result<&dyn ExportDestination, DestinationError> {
        let vault = match name {
            VaultName::Home => Some(&self.home),
            VaultName::Backup => self.backup.as_ref(),
        };
        vault.map(|vault| &**vault).ok_or_else(|| DestinationError {
            action: "reach",
            is_refused: false,
            name: file.clone(),
            source: "it is in the backup vault, and BACKUP_VAULT_URL is not set".into(),
        })
    }
}
