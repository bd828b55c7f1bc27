//! The receipts in the vault, by chunk. Lists the whole vault.

use std::collections::BTreeMap;

use recording_vault::app::App;
use recording_vault::export::destination::DestinationError;
use recording_vault::export::layout::BlobName;

/// Names of the vault that are listed at a time.
pub const PAGE: usize = 5000;

/// The names of the vault's receipts, by document id.
///
/// # Errors
/// When the vault cannot be listed.
pub async fn vault_receipts(app: &App) -> Result<BTreeMap<String, BlobName>, DestinationError> {
    let mut receipts = BTreeMap::new();
    let mut after: Option<BlobName> = None;
    loop {
        let listed = app.vaults.home().list(after.as_ref(), PAGE).await?;
        let names: Vec<BlobName> = listed.into_iter().map(|blob| blob.name).collect();
        let is_last = names.len() < PAGE;
        after = names.last().cloned();
        for name in names {
            let document = name
                .as_str()
                .rsplit('/')
                .next()
                .and_then(|file| file.split_once("-receipt."));
            if let Some(id) = document.and_then(|(_, rest)| rest.strip_suffix(".json")) {
                receipts.insert(id.to_owned(), name.clone());
            }
        }
        if is_last {
            return Ok(receipts);
        }
    }
}
