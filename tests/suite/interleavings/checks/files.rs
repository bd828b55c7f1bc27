//! Whether the vaults hold what the ledger says, byte for byte, and nothing else: what `verify` and `reconcile` look at.

use std::collections::BTreeSet;

use bytes::Bytes;
use recording_vault::export::layout;
use recording_vault::export::receipt_document::KeptReceipt;
use recording_vault::export::{ExportReceipt, LedgerEntry};
use recording_vault::store::digest::Sha256Digest;

use crate::interleavings::world::{World, media};

/// What is wrong.
pub fn check(world: &World, entry: &LedgerEntry) -> Vec<String> {
    let home = world.home.files();
    let mut problems = Vec::new();
    for name in world.backup.files().keys() {
        problems.push(format!("{} is left in the backup vault", file(name)));
    }
    let receipt_name = layout::receipt(&entry.folder, &entry.chunk);
    let mut expected = BTreeSet::new();
    if let Some(receipt) = entry.state.receipt() {
        expected.insert(receipt_name.clone());
        for proved in std::iter::once(receipt.media()).chain(receipt.metadata()) {
            expected.insert(proved.name().clone());
            let found = home.get(proved.name());
            if found.map(|found| Sha256Digest::of(found)) != Some(proved.sha256()) {
                problems.push(format!(
                    "{} is not what its receipt says",
                    file(proved.name())
                ));
            }
        }
        if receipt.media().sha256() != Sha256Digest::of(&media()) {
            problems.push("the media is not what ACS had".to_owned());
        }
        problems.extend(kept_receipt(home.get(&receipt_name), receipt));
    }
    for name in home.keys().filter(|name| !expected.contains(*name)) {
        let state = entry.state.name();
        problems.push(format!(
            "{} is in the vault, and the chunk is {state}",
            file(name)
        ));
    }
    problems
}

fn kept_receipt(kept: Option<&Bytes>, receipt: &ExportReceipt) -> Option<String> {
    let Some(kept) = kept else {
        return Some("the receipt is not in the vault".to_owned());
    };
    let kept = match serde_json::from_slice::<KeptReceipt>(kept) {
        Ok(kept) => kept.receipt,
        Err(error) => return Some(format!("the receipt in the vault is not readable: {error}")),
    };
    let is_same = contents(&kept).eq(contents(receipt));
    (!is_same).then(|| "the receipt in the vault is not the ledger's".to_owned())
}

/// What a receipt says of the files; a file that was touched has another version and the same content.
fn contents(receipt: &ExportReceipt) -> impl Iterator<Item = (&layout::BlobName, Sha256Digest)> {
    let files = std::iter::once(receipt.media()).chain(receipt.metadata());
    files.map(|file| (file.name(), file.sha256()))
}

/// The last part of a name.
pub fn file(name: &layout::BlobName) -> &str {
    name.as_str().rsplit('/').next().unwrap_or_default()
}
