//! The receipts in the vault, by chunk. Lists the whole vault.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::ready;

use futures::TryStreamExt as _;
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{DestinationError, ExportDestination, all_files};
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::receipt::VaultName;
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::recheck::{Depth, Rechecked};
use recording_vault::recording::DocumentId;
use recording_vault::visible;
use serde::Serialize;

/// The names of the vault's receipts, by document id. A document has one, unless its copy was made again in another folder,
/// or receipts were added.
///
/// # Errors
/// When the vault cannot be listed.
pub async fn vault_receipts(
    app: &App,
) -> Result<BTreeMap<String, Vec<BlobName>>, DestinationError> {
    let mut receipts: BTreeMap<String, Vec<BlobName>> = BTreeMap::new();
    for name in receipt_names(app.vaults.home()).await? {
        if let Some(id) = id_of_receipt(&name) {
            receipts.entry(id.to_owned()).or_default().push(name);
        }
    }
    Ok(receipts)
}

/// A receipt in one of the vaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptPlace {
    pub vault: VaultName,
    pub name: BlobName,
}

impl fmt::Display for ReceiptPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vault {
            VaultName::Home => visible::write_part(f, format_args!("`{}`", self.name)),
            VaultName::Backup => {
                visible::write_part(f, format_args!("`{}` in the backup vault", self.name))
            }
        }
    }
}

/// The receipts in both vaults.
#[derive(Debug, Default)]
pub struct ReceiptsOfBoth {
    /// By document id, with the number of a further file behind it; those at home first.
    places: BTreeMap<String, Vec<ReceiptPlace>>,
    /// Why those of the backup vault are not known.
    pub backup_not_listed: Option<String>,
}

impl ReceiptsOfBoth {
    /// Lists both vaults.
    ///
    /// # Errors
    /// When the vault at home cannot be listed.
    pub async fn list(app: &App) -> Result<Self, DestinationError> {
        let mut receipts = Self::default();
        let names = receipt_names(app.vaults.home()).await?;
        receipts.add(VaultName::Home, names);
        if let Some(backup) = app.vaults.backup() {
            match receipt_names(backup).await {
                Ok(names) => receipts.add(VaultName::Backup, names),
                Err(error) => {
                    receipts.backup_not_listed = Some(ErrorChain(&error).to_string());
                }
            }
        }
        Ok(receipts)
    }

    fn add(&mut self, vault: VaultName, names: Vec<BlobName>) {
        for name in names {
            if let Some(id) = id_of_receipt(&name) {
                let of_file = self.places.entry(id.to_owned()).or_default();
                of_file.push(ReceiptPlace { vault, name });
            }
        }
    }

    /// Those of a file. `id`: of its document, with its number behind it.
    pub fn of(&self, id: &str) -> &[ReceiptPlace] {
        self.places.get(id).map_or(&[], Vec::as_slice)
    }

    /// The documents that have receipts.
    pub fn documents(&self) -> BTreeSet<DocumentId> {
        let places = self.places.values().flatten();
        places
            .filter_map(|place| layout::document_of(&place.name))
            .collect()
    }
}

/// Of several receipts of one file, the newest whose copy may be the proved one, or the newest if there is none: where a
/// chunk was exported again into another folder, its earlier receipt is still in the first one.
pub async fn decisive_receipt(
    app: &App,
    mut receipts: Vec<(BlobName, KeptReceipt)>,
) -> Option<(BlobName, KeptReceipt)> {
    receipts.sort_by_key(|(_, kept)| Reverse(kept.receipt.verified_at()));
    let mut decisive = 0;
    if receipts.len() > 1 {
        for (place, (_, kept)) in receipts.iter().enumerate() {
            match app.vaults.recheck(&kept.receipt, Depth::Described).await {
                Rechecked::Same(_) | Rechecked::NotChecked(_) => {
                    decisive = place;
                    break;
                }
                Rechecked::Missing(_) | Rechecked::Different(_) => {}
            }
        }
    }
    receipts.into_iter().nth(decisive)
}

/// The names of all receipts in a vault.
///
/// # Errors
/// When the vault cannot be listed.
pub async fn receipt_names(
    vault: &dyn ExportDestination,
) -> Result<Vec<BlobName>, DestinationError> {
    let names = all_files(vault, None).map_ok(|blob| blob.name);
    let receipts = names.try_filter(|name| ready(is_receipt(name)));
    receipts.try_collect().await
}

pub fn is_receipt(name: &BlobName) -> bool {
    id_of_receipt(name).is_some()
}

/// The document in the name of a receipt, with the number of a further file behind it.
fn id_of_receipt(name: &BlobName) -> Option<&str> {
    let file = name.as_str().rsplit('/').next()?;
    let (_, rest) = file.split_once("-receipt.")?;
    rest.strip_suffix(".json")
}
