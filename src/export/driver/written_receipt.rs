//! Writes the receipt of a copy beside it, and what the vault answered into the entry.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;

use super::ExportDriver;
use super::run::Run;
use crate::export::destination::DestinationError;
use crate::export::entry::LedgerEntry;
use crate::export::fence::Fence;
use crate::export::ledger::{AfterUpdate, LedgerError};
use crate::export::receipt::ExportReceipt;
use crate::recording::MetadataSummary;

impl ExportDriver {
    /// Writes the receipt together with the entry. Where the receipt in the vault is not the one of this proof, the entry
    /// is written after it, and says so.
    pub(super) async fn settle_with_receipt(
        &self,
        run: &Run<'_>,
        receipt: &ExportReceipt,
        metadata: Option<MetadataSummary>,
    ) -> Result<LedgerEntry, LedgerError> {
        let other = Mutex::new(None);
        let write = || {
            let noted = &other;
            async move {
                let written = self.write_receipt(run, receipt).await?;
                if written == *receipt {
                    return Ok(());
                }
                let name = written.media().name().clone();
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
                Err(DestinationError {
                    action: "write",
                    is_refused: false,
                    name,
                    source: "its receipt is not the one of this proof".into(),
                })
            }
            .boxed()
        };
        let exported = self.exported(run.claim, receipt, metadata.clone());
        let updating = self.ledger.update_with_receipt(run.claim, &write, exported);
        let updated = updating.await;
        let other = other.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (updated, other) {
            (Err(LedgerError::Receipt(_)), Some(receipt)) => {
                let exported = self.exported(run.claim, &receipt, metadata);
                let keep = AfterUpdate::KeepClaim;
                self.ledger.update(run.claim, keep, exported).await
            }
            (updated, Some(_) | None) => updated,
        }
    }

    /// Writes the receipt of a copy into the vault that has the copy.
    pub(super) async fn write_receipt(
        &self,
        run: &Run<'_>,
        receipt: &ExportReceipt,
    ) -> Result<ExportReceipt, DestinationError> {
        let vault = self.vaults().get(receipt.vault(), receipt.media().name())?;
        let vault = Fence::new(&self.ledger, run.claim).around(vault);
        self.exporter.put_receipt(&vault, &run.entry, receipt).await
    }
}
