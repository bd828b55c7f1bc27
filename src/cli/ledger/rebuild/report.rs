//! The outcome of `ledger rebuild`, and what it means for an operator.

use std::fmt;

use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::DestinationError;
use recording_vault::export::ledger::{LedgerError, Rebuilt};
use recording_vault::recording::DocumentId;
use recording_vault::visible;
use serde::Serialize;

use crate::cli::vault_receipts::ReceiptPlace;

/// The outcome for each entry.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::ledger) struct RebuildReport {
    /// What later events announced of them is not known: their sources are not deleted at ACS, and their copies are
    /// doubtful until an operator accepts them.
    rebuilt: Vec<DocumentId>,
    /// They are readable: nothing was changed.
    readable: Vec<DocumentId>,
    /// Another process wrote them meanwhile: nothing was changed.
    changed: Vec<DocumentId>,
    /// Their entries were not readable, and no vault has a receipt of them with its copy. The entries were kept under
    /// `corrupt/`, and a replay of their events records them again.
    awaiting_event: Vec<DocumentId>,
    /// They have no entry, and no vault has a receipt of them; their events have to be replayed.
    without_receipt: Vec<DocumentId>,
    /// They have no entry, and their copies are missing or differ from their receipts; their events have to be replayed.
    not_held: Vec<DocumentId>,
    /// The vaults have several receipts of one of their files: nothing was changed.
    ambiguous: Vec<AmbiguousReceipts>,
    /// Their receipts are those of other chunks: nothing was changed.
    of_another: Vec<DocumentId>,
    /// The audit log says that their copies were removed, or their recordings were erased: nothing was changed, whatever the
    /// vaults have of them again.
    removed: Vec<DocumentId>,
    /// The same, and they are or may be held, or the log may say that they were recorded again: nothing of them may be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed_in_doubt: Vec<NotCheckedEntry>,
    /// The audit log says that a deletion of their copies was begun, and not how it ended: nothing was changed. All of a copy
    /// may be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removal_begun: Vec<DocumentId>,
    /// The audit log has other proofs of their copies than their receipts: nothing was changed.
    contradicted: Vec<DocumentId>,
    /// Their receipts or copies, or what the audit log says of them, could not be read: nothing was changed.
    not_checked: Vec<NotCheckedEntry>,
    /// Why the backup vault could not be listed: entries that are missing, and of which it has receipts, are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_not_listed: Option<String>,
}

/// Why an entry is not rebuilt.
pub(super) enum NotRebuilt {
    WithoutReceipt,
    Ambiguous(Vec<ReceiptPlace>),
    NotHeld,
    Removed,
    /// With the reason.
    RemovedInDoubt(String),
    RemovalBegun,
    Contradicted,
    /// It was not readable, and was set aside: the next event of the chunk records it again.
    AwaitingEvent,
    Failed(String),
}

/// Receipts of which only one can be right.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AmbiguousReceipts {
    document_id: DocumentId,
    receipts: Vec<ReceiptPlace>,
}

/// A chunk that could not be looked into.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotCheckedEntry {
    document_id: DocumentId,
    reason: String,
}

impl From<DestinationError> for NotRebuilt {
    fn from(error: DestinationError) -> Self {
        Self::Failed(ErrorChain(&error).to_string())
    }
}

impl From<LedgerError> for NotRebuilt {
    fn from(error: LedgerError) -> Self {
        Self::Failed(ErrorChain(&error).to_string())
    }
}

impl RebuildReport {
    pub fn is_done(&self) -> bool {
        self.changed.is_empty()
            && self.awaiting_event.is_empty()
            && self.without_receipt.is_empty()
            && self.not_held.is_empty()
            && self.ambiguous.is_empty()
            && self.of_another.is_empty()
            && self.removed.is_empty()
            && self.removed_in_doubt.is_empty()
            && self.removal_begun.is_empty()
            && self.contradicted.is_empty()
            && self.not_checked.is_empty()
            && self.backup_not_listed.is_none()
    }

    pub(super) fn note_backup_not_listed(&mut self, reason: Option<&str>) {
        self.backup_not_listed = reason.map(str::to_owned);
    }

    pub(super) fn add(&mut self, document_id: DocumentId, outcome: Result<Rebuilt, NotRebuilt>) {
        let group = match outcome {
            Ok(Rebuilt::Rebuilt) => &mut self.rebuilt,
            Ok(Rebuilt::Readable) => &mut self.readable,
            Ok(Rebuilt::Changed) => &mut self.changed,
            Ok(Rebuilt::OtherChunk) => &mut self.of_another,
            Err(NotRebuilt::AwaitingEvent) => &mut self.awaiting_event,
            Err(NotRebuilt::WithoutReceipt) => &mut self.without_receipt,
            Err(NotRebuilt::NotHeld) => &mut self.not_held,
            Err(NotRebuilt::Removed) => &mut self.removed,
            Err(NotRebuilt::RemovalBegun) => &mut self.removal_begun,
            Err(NotRebuilt::Contradicted) => &mut self.contradicted,
            Err(NotRebuilt::Ambiguous(receipts)) => {
                self.ambiguous.push(AmbiguousReceipts {
                    document_id,
                    receipts,
                });
                return;
            }
            Err(NotRebuilt::RemovedInDoubt(reason)) => {
                self.removed_in_doubt.push(NotCheckedEntry {
                    document_id,
                    reason,
                });
                return;
            }
            Err(NotRebuilt::Failed(reason)) => {
                self.not_checked.push(NotCheckedEntry {
                    document_id,
                    reason,
                });
                return;
            }
        };
        group.push(document_id);
    }

    /// The groups of chunks of which nothing but the id is said, each with its sentence.
    fn groups(&self) -> [(&[DocumentId], &'static str); 10] {
        [
            (
                &self.rebuilt,
                "is rebuilt; whether events announced a longer form or another place of it is unknown, so its source is not deleted at ACS: replay its events, check its copy, then run `accept`",
            ),
            (&self.readable, "is readable; nothing was changed"),
            (
                &self.changed,
                "was written by another process meanwhile; nothing was changed: repeat the command",
            ),
            (
                &self.awaiting_event,
                "had an entry that is not readable, and no vault has a receipt of it with its copy; the entry was moved to `corrupt/`: replay its events while ACS has its file",
            ),
            (
                &self.without_receipt,
                "has no entry, and no receipt in a vault: replay its events, or import its file again if an import recorded it",
            ),
            (
                &self.not_held,
                "has no entry, and its copy differs from its receipt, or is missing: replay its events",
            ),
            (
                &self.of_another,
                "has a receipt in the vault that is another chunk's; nothing was changed: restore its receipt; if you cannot, move that one away, run this again, and replay its events",
            ),
            (
                &self.removed,
                "was deleted from the vault by policy or on request, or its recording was erased; nothing was changed: if no hold covers it, delete what the vaults have of it, restore the last readable version of its entry in the ledger, `chunks/<documentId>.json`, then run `ledger index`",
            ),
            (
                &self.removal_begun,
                "has a deletion that was begun, and whose end is not recorded; all of its copy may be there; nothing was changed: restore the last readable version of its entry in the ledger, `chunks/<documentId>.json`, then run the deletion again, which keeps what is held",
            ),
            (
                &self.contradicted,
                "has a receipt in the vault whose proof the audit log does not have; nothing was changed: compare the copy with `recording-vault audit show`, and restore the receipt; if you cannot, move it and the copy away, run this again, and replay its events",
            ),
        ]
    }
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups().into_iter();
        let mut all: Vec<String> = groups
            .flat_map(|(ids, what)| ids.iter().map(move |id| format!("{id} {what}")))
            .collect();
        all.extend(self.ambiguous.iter().map(|of| {
            let receipts: Vec<String> = of.receipts.iter().map(ToString::to_string).collect();
            let (id, receipts) = (&of.document_id, receipts.join(", "));
            format!("{id} has several receipts in the vaults: {receipts}; nothing was changed: move those away that are not its own")
        }));
        all.extend(self.removed_in_doubt.iter().map(|of| {
            let (id, reason) = (&of.document_id, &of.reason);
            format!("{id} was removed from the vault by policy or on request, or its recording was erased; {reason}; nothing was changed: keep what the vaults have of it until that is settled, then run this again")
        }));
        all.extend(self.not_checked.iter().map(|of| {
            let (id, reason) = (&of.document_id, &of.reason);
            format!("{id} was not checked, and nothing was changed: {reason}")
        }));
        all.extend(self.backup_not_listed.iter().map(|reason| {
            format!("The backup vault was not checked for receipts without an entry: {reason}")
        }));
        if all.is_empty() {
            return f.write_str("Every entry that exists is readable, and every receipt in the vaults has an entry. Accounts of recordings were not looked at: `status --check` reads them.");
        }
        visible::write_lines(f, &all)
    }
}
