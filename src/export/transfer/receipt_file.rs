//! Writes the receipt of a copy beside its files. It knows no states and no source.

use bytes::Bytes;

use super::chunk::ChunkExporter;
use crate::export::destination::{
    BlobProperties, CommitOutcome, DestinationError, ExportDestination, ReplaceOutcome,
};
use crate::export::entry::LedgerEntry;
use crate::export::layout::{self, BlobName};
use crate::export::receipt::ExportReceipt;
use crate::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT, ReceiptDocument};

/// Consecutive attempts to write one receipt while others write it.
const ATTEMPTS: u32 = 4;

/// Outcome of one attempt to write a receipt.
enum Written {
    /// The vault has it, or one that says no less.
    Yes,
    /// Another instance wrote it meanwhile.
    Changed,
    /// The vault protects one of an earlier proof.
    Earlier,
}

impl ChunkExporter {
    /// Writes the receipt beside the files. An existing one is from a run that was killed before it reached the ledger,
    /// or of a copy that the vault has lost: it stays if it says the same or more, else it is replaced in one conditional
    /// write. So there is always a receipt, and one that another instance has written meanwhile is read before it is
    /// replaced.
    ///
    /// Returns the receipt for the ledger: it says also what is wrong with the receipt's own file.
    ///
    /// # Errors
    /// When the vault does not take it, or the claim ends.
    pub(in crate::export) async fn put_receipt(
        &self,
        vault: &dyn ExportDestination,
        entry: &LedgerEntry,
        receipt: &ExportReceipt,
    ) -> Result<ExportReceipt, DestinationError> {
        let name = layout::receipt(&entry.folder, &entry.chunk);
        let audit_checkpoint = self.audit.anchor().await;
        let mut receipt = receipt.clone();
        for _ in 0..ATTEMPTS {
            let document = ReceiptDocument {
                receipt: &receipt,
                chunk: &entry.chunk,
                recorded_at: entry.recorded_at,
                audit_checkpoint,
            };
            match write(vault, &name, document.to_bytes(), &receipt).await? {
                Written::Yes => {
                    // A request only where the settings ask for protection.
                    let missing = vault.missing_protection(&name).await?;
                    if receipt.says_lacking(&missing) {
                        return Ok(receipt);
                    }
                    receipt = receipt.also_lacking(missing);
                }
                Written::Changed => {}
                Written::Earlier => {
                    // The ledger has the data that counts, and the copy must not wait for the receipt forever.
                    let id = &entry.chunk.document_id;
                    tracing::warn!(document.id = %id, blob = %name, "The receipt beside chunk `{id}` is of an earlier proof, and a policy of the vault protects it");
                    return Ok(receipt.beside_earlier_file());
                }
            }
        }
        Err(DestinationError {
            action: "write",
            is_refused: false,
            name,
            source: "it has too many concurrent writers".into(),
        })
    }
}

async fn write(
    vault: &dyn ExportDestination,
    name: &BlobName,
    content: Bytes,
    receipt: &ExportReceipt,
) -> Result<Written, DestinationError> {
    let properties = BlobProperties {
        content_type: "application/json",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    if vault.put(name, content.clone(), &properties).await? == CommitOutcome::Committed {
        return Ok(Written::Yes);
    }
    let Some(version) = vault.version(name).await? else {
        return Ok(Written::Changed);
    };
    let there = vault.read(name, 0..RECEIPT_READ_LIMIT).await?;
    let there = serde_json::from_slice::<KeptReceipt>(&there).ok();
    if there.is_some_and(|there| there.receipt.says_no_less_than(receipt)) {
        return Ok(Written::Yes);
    }
    Ok(
        match vault.replace(name, &version, content, &properties).await? {
            ReplaceOutcome::Replaced => Written::Yes,
            ReplaceOutcome::Changed => Written::Changed,
            ReplaceOutcome::Protected => Written::Earlier,
        },
    )
}
