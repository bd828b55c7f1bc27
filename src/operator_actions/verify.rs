//! Compares a copy with its receipt: is it still the one that was proved? If the storage does not answer, the copy is
//! not wrong but "not checked".

use serde_json::{Value, json};

use super::{Operator, OperatorActions};
use crate::error_chain::ErrorChain;
use crate::export::layout::{self, BlobName};
use crate::export::ledger::{Finding, LedgerError};
use crate::export::receipt::VerifiedFile;
use crate::export::recheck::{self, Depth, Rechecked};
use crate::export::{ChunkState, ExportReceipt, LedgerEntry, Vaults};
use crate::recording::DocumentId;
use crate::store::audit::AuditAction;

/// A copy that can be verified.
#[derive(Debug, Clone)]
pub struct ProvedCopy {
    pub receipt: ExportReceipt,
    /// Where the receipt should be in the vault.
    pub kept_at: BlobName,
}

/// Result of a verification. Both lists are empty: the copy is the one that was proved, as far as it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyCheck {
    /// What is missing or different.
    pub wrong: Vec<String>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// Files of which only what the vault reports was compared: their content was not read.
    pub unread: usize,
}

/// Result of `verify` for one chunk.
#[derive(Debug)]
pub enum Verified {
    Unknown,
    /// There is no copy to verify; the state says why.
    NoCopy {
        problem: String,
    },
    Checked {
        /// That of the document's own file. The check covers its further files, too.
        media: VerifiedFile,
        check: CopyCheck,
    },
}

impl CopyCheck {
    /// Adds what was found of another copy of the chunk.
    pub fn add(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.not_checked.extend(other.not_checked);
        self.unread += other.unread;
    }

    fn finding(&self) -> Finding {
        let has_read = self.depth() == Depth::Read;
        match (self.wrong.is_empty(), self.not_checked.is_empty()) {
            (true, true) => Finding::Same { has_read },
            (true, false) => Finding::NotChecked {
                reason: self.not_checked.join("; "),
            },
            (false, _) => Finding::Different {
                has_read,
                problem: self.wrong.join("; "),
            },
        }
    }

    /// How closely every file was looked at.
    pub fn depth(&self) -> Depth {
        if self.unread == 0 {
            Depth::Read
        } else {
            Depth::Described
        }
    }

    /// Whether all of it was checked, and matches.
    pub fn is_same(&self) -> bool {
        self.wrong.is_empty() && self.not_checked.is_empty()
    }
}

impl ProvedCopy {
    /// Returns every copy of an entry: that of the document's own file first, then those of its further files.
    pub fn all_of(entry: &LedgerEntry) -> Vec<Self> {
        let copies = entry.copies().map(|(chunk, receipt)| Self {
            receipt: receipt.clone(),
            kept_at: layout::receipt(entry.folder_of(chunk.file_number), &chunk),
        });
        copies.collect()
    }

    /// Checks media, metadata and receipt.
    pub async fn check(&self, vaults: &Vaults, depth: Depth) -> CopyCheck {
        let receipt = &self.receipt;
        let mut check = CopyCheck::default();
        for file in receipt.files() {
            match vaults.recheck_file(receipt, file, depth).await {
                Rechecked::Same(Depth::Read) => {}
                Rechecked::Same(Depth::Described) => check.unread += 1,
                Rechecked::Missing(mismatch) | Rechecked::Different(mismatch) => {
                    check.wrong.push(mismatch.to_string());
                }
                Rechecked::NotChecked(error) => {
                    check.not_checked.push(ErrorChain(&error).to_string());
                }
            }
        }
        let kept = match vaults.get(receipt.vault(), &self.kept_at) {
            Ok(vault) => recheck::kept_receipt(vault, &self.kept_at).await,
            Err(error) => Err(error),
        };
        let name = &self.kept_at;
        match kept {
            Ok(Some(kept)) if contents(&kept.receipt).eq(contents(receipt)) => {}
            Ok(Some(_)) => check.wrong.push(format!(
                "the receipt `{name}` has another length or SHA-256 than the ledger"
            )),
            Ok(None) => check
                .wrong
                .push(format!("the receipt `{name}` is missing or not readable")),
            Err(error) => check.not_checked.push(ErrorChain(&error).to_string()),
        }
        check
    }
}

impl OperatorActions {
    /// Verifies every copy of one chunk by what the vault reports about its files.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn verify(
        &self,
        id: &DocumentId,
        operator: &Operator,
    ) -> Result<Verified, LedgerError> {
        let Some(found) = self.ledger.find(id).await? else {
            return Ok(Verified::Unknown);
        };
        let state = &found.entry.state;
        let Some(own) = state.receipt() else {
            let detail = json!({"result": "noCopy"});
            self.note_verified(id.as_str(), operator, detail).await?;
            let place = if matches!(state, ChunkState::InPlace { .. }) {
                "it is in your own storage"
            } else {
                "it has no copy in the vault"
            };
            return Ok(Verified::NoCopy {
                problem: format!("{place}: its state is {}", state.kind()),
            });
        };
        let mut check = CopyCheck::default();
        let copies = ProvedCopy::all_of(&found.entry);
        for copy in &copies {
            check.add(copy.check(&self.vaults, Depth::Described).await);
        }
        let receipts: Vec<ExportReceipt> = copies.into_iter().map(|copy| copy.receipt).collect();
        self.note_checked(id, &receipts, &check, operator).await?;
        Ok(Verified::Checked {
            check,
            media: own.media().clone(),
        })
    }

    /// Records what a check of all copies of a chunk found, in the audit log and in its entry. `receipts`: those of the
    /// copies that were checked.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn note_checked(
        &self,
        id: &DocumentId,
        receipts: &[ExportReceipt],
        check: &CopyCheck,
        operator: &Operator,
    ) -> Result<(), LedgerError> {
        let finding = check.finding();
        self.ledger
            .note_verified(id, receipts, &finding, operator)
            .await
    }

    /// Records in the audit log that copies were verified: of one chunk, or `vault` for many.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn note_verified(
        &self,
        subject: &str,
        operator: &Operator,
        detail: Value,
    ) -> Result<(), LedgerError> {
        self.ledger
            .audit_operator(AuditAction::Verified, subject, operator, detail)
            .await
            .map(drop)
    }
}

/// What a receipt says about its files' content.
fn contents(receipt: &ExportReceipt) -> impl Iterator<Item = (&BlobName, u64, String)> {
    receipt
        .files()
        .map(|file| (file.name(), file.size_bytes(), file.sha256().to_string()))
}
