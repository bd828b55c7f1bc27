//! The receipts in the vault, by chunk. Lists the whole vault.

use std::collections::BTreeMap;
use std::future::ready;

use futures::TryStreamExt as _;
use recording_vault::app::App;
use recording_vault::export::destination::{DestinationError, ExportDestination, all_files};
use recording_vault::export::layout::BlobName;

/// The names of the vault's receipts, by document id. A document has one, unless receipts were added.
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
