//! Opens vaults and ledgers: a container of Azure Blob Storage, or a directory.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_storage_blob::BlobContainerClient;

use super::BuildError;
use crate::clock::Clock;
use crate::config::StorageConfig;
use crate::export::Vaults;
use crate::export::destination::ExportDestination;
use crate::storage_url::ContainerUrl;
use crate::store::DocumentStore;
use crate::vault::VaultUrl;
use crate::vault::azure::{AzureDocumentStore, AzureStorage, AzureVault, AzureVaultOptions};
use crate::vault::directory::{DirectoryDocumentStore, DirectoryVault};

/// Opens storage with one identity.
pub(super) struct Storage {
    azure: AzureStorage,
}

impl Storage {
    pub(super) fn new(identity: Option<Arc<dyn TokenCredential>>) -> Self {
        Self {
            azure: AzureStorage::new(identity),
        }
    }

    pub(super) fn azure(&self) -> &AzureStorage {
        &self.azure
    }

    pub(super) fn vaults(
        &self,
        config: &StorageConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vaults, BuildError> {
        let options = &config.vault_options;
        // A copy waits in the backup vault to be moved home: it must not be locked in there.
        let backup = config
            .backup_vault
            .as_ref()
            .map(|url| self.vault(url, options.plain(), clock))
            .transpose()?;
        let home = self.vault(&config.vault, options.clone(), clock)?;
        Ok(Vaults::new(home, backup))
    }

    fn vault(
        &self,
        url: &VaultUrl,
        options: AzureVaultOptions,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<dyn ExportDestination>, BuildError> {
        Ok(match url {
            VaultUrl::Directory(path) => Arc::new(DirectoryVault::new(path)),
            VaultUrl::Container(container) => Arc::new(AzureVault::new(
                self.container(url, container)?,
                options,
                Arc::clone(clock),
            )),
        })
    }

    pub(super) fn documents(&self, url: &VaultUrl) -> Result<Arc<dyn DocumentStore>, BuildError> {
        Ok(match url {
            VaultUrl::Directory(path) => Arc::new(DirectoryDocumentStore::new(path)),
            VaultUrl::Container(container) => {
                Arc::new(AzureDocumentStore::new(self.container(url, container)?))
            }
        })
    }

    fn container(
        &self,
        url: &VaultUrl,
        container: &ContainerUrl,
    ) -> Result<BlobContainerClient, BuildError> {
        self.azure
            .container(container)
            .map_err(|source| BuildError::Storage {
                url: url.clone(),
                source: Box::new(source),
            })
    }
}
